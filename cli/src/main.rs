//! `qctl`: arbitrate and inspect quorum disks.

fn main() {}

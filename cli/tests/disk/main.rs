//! `qctl disk` as people use it: the real program on emulated disks, and what it prints.
//!
//! Each test has a directory of its own, and names its disk `emu:q?nexus=HOST`: every host is a nexus.
//! What differs from run to run (times, tokens, WWIDs) is replaced by its name before it is compared, and
//! every JSON document is held to its schema.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod bad_input;
mod check;
mod faults;
#[path = "../common/folder.rs"]
mod folder;
mod help;
mod holding;
mod preempting;
mod reading;
mod registering;
#[path = "../common/schema.rs"]
mod schema;
mod schemas;
#[path = "../common/shown.rs"]
mod shown;
mod watching;
mod world;

//! The log on the real world's disks: owners that are killed, file systems that fill up, turn read-only or die.
//!
//! The owner and the check are `lab-log` (tests/src/log): the parent here keeps what the owner said to be
//! acknowledged, kills it, or its file system, and asks the check. What needs root or a program that is not there says
//! `skipped: why` on stderr (`cargo test -p tests --test log -- --nocapture`).

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests; what was skipped is said"
)]

mod killing;
mod owner;
mod volume;

/// How often an owner is killed on each file system. `LOG_KILLS` says another number.
fn kills() -> u32 {
    let wanted = std::env::var("LOG_KILLS").ok();
    wanted.and_then(|count| count.parse().ok()).unwrap_or(8)
}

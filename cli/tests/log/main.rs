//! `qctl log` as people use it: the real program on files, and what it prints.
//!
//! Each test has a directory of its own. What differs from run to run (ids, times, tokens) is replaced by its name
//! before it is compared, and every JSON document is held to its schema.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests; what was skipped is said"
)]

mod bad_input;
mod creating;
mod devices;
#[path = "../common/folder.rs"]
mod folder;
mod looking;
mod rescuing;
#[path = "../common/schema.rs"]
mod schema;
#[path = "../common/shown.rs"]
mod shown;
mod world;

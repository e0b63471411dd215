//! `qctl` over `iscsi://`: real processes, our target, and, in `.ci/run`, Debian's tgt.
//!
//! No test asserts a time: each waits for events, or for processes to be gone, and gives up only when
//! nothing at all happens for a minute.
//!
//! The tests that need tgt are ignored where nobody asks for them (`cargo test -p qctl --test iscsi --
//! --ignored`): the tests of a fresh clone need no package but Rust's.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod arbitration;
mod checking;
#[path = "../common/folder.rs"]
mod folder;
mod hostile;
#[path = "../common/lateness.rs"]
mod lateness;
mod portals;
#[path = "../common/running.rs"]
mod running;
mod serving;
mod verbs;
mod world;

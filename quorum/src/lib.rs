//! Arbitration of a quorum disk, and the cluster service that stands on it.
//!
//! The decisions are in the package `quorum-core`, which touches no world; this crate drives them.
//!
//! | module | what it is |
//! |---|---|
//! | [`arbiter`] | takes a shared disk, keeps it, and says for how long that is proved |
//!
//! With the default features this is arbitration alone: threads and bounded queues, no TLS, no HTTP, no
//! async runtime.

pub mod arbiter;

//! Arbitration of a quorum disk, and the cluster service that stands on it.
//!
//! The decisions are in the package `quorum-core`, which touches no world; this crate drives them.
//!
//! | module | what it is |
//! |---|---|
//! | [`arbiter`] | takes a shared disk, keeps it, and says for how long that is proved |
//! | [`lun`] | a log's storage on the disk itself, for its owner only |
//! | [`log`] | the log of a quorum disk: claimed by its owner, parked at a hand-over |
//!
//! With the default features this is arbitration alone: threads and bounded queues, no TLS, no HTTP, no
//! async runtime.

pub mod arbiter;
pub mod log;
pub mod lun;

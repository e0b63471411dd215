//! What can go wrong, and what the caller may do about it.

use crate::ids::{Epoch, Lsn};
use std::io;
use std::ops::Range;

/// Damage to something that had been acknowledged. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "corrupt: {what} (bytes {}..{} of the region); records from LSN {first_lost} on cannot be trusted{}; \
     `qctl log salvage` copies what is good before it elsewhere",
    .range.start, .range.end,
    .later.map_or_else(String::new, |lsn| format!(", although LSN {lsn} is still there"))
)]
pub struct Corrupt {
    /// What is wrong, in words.
    pub what: String,
    /// Where, in bytes from the start of the region.
    pub range: Range<u64>,
    /// The first record that is lost or doubtful.
    pub first_lost: Lsn,
    /// A later record that proves that there was more.
    pub later: Option<Lsn>,
}

/// Why a region does not open. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be read.
    #[error("cannot read {what} at byte {offset}: {source}")]
    Read {
        /// What was to be read.
        what: &'static str,
        /// From the start of the region.
        offset: u64,
        /// The operating system's reason.
        source: io::Error,
    },
    /// No superblock, nor the remains of one.
    #[error("no log here: none of the superblock places holds one (`qctl log create` makes a log)")]
    NotALog,
    /// Remains of superblocks, but no whole one.
    #[error(
        "every superblock is damaged ({remains} places hold remains of one); restore the region from a copy"
    )]
    NoSuperblock {
        /// Places with the mark of a superblock.
        remains: usize,
    },
    /// A later version wrote it.
    #[error(
        "format {major} with features {features:#x}: this program reads format 1 without features; use a newer one"
    )]
    NewerFormat {
        /// Its version.
        major: u32,
        /// Its feature bits that this program does not know.
        features: u64,
    },
    /// Two different superblocks claim to be the newest.
    #[error(
        "two superblocks of epoch {epoch} differ: two owners wrote at once (was the disk fenced?)"
    )]
    TwoOwners {
        /// Their epoch.
        epoch: Epoch,
    },
    /// The region is not the one that the log was made for.
    #[error("{0}")]
    Region(String),
    /// What had been acknowledged is damaged.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

/// Why no log was made. The region may be partly zeros.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The sizes do not go together.
    #[error(transparent)]
    Format(#[from] crate::FormatError),
    /// They do not go with this region.
    #[error("{0}")]
    Region(String),
    /// It cannot be written.
    #[error("cannot write at byte {offset}: {source}")]
    Write {
        /// From the start of the region.
        offset: u64,
        /// The operating system's reason.
        source: io::Error,
    },
}

/// Why an epoch did not begin. The claim may be on the disk: open again to see.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Ownership is not proved.
    #[error("not the owner: {0}")]
    Fenced(String),
    /// Another claim came first.
    #[error("another owner has claimed epoch {epoch} (node {node})")]
    Lost {
        /// The epoch that is there.
        epoch: Epoch,
        /// Whose it is.
        node: u32,
    },
    /// No segment is left to begin in, which no owner's appends do: the superblock that was read is not the newest.
    #[error("no segment is free for epoch {epoch}: the superblocks are older than the log")]
    NoSegment {
        /// The epoch that was to begin.
        epoch: Epoch,
    },
    /// It cannot be written or read back.
    #[error("cannot {what} at byte {offset}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// From the start of the region.
        offset: u64,
        /// The operating system's reason.
        source: io::Error,
    },
}

/// The handle has ended after an error; only a new [`crate::open`] goes on, which reads and verifies again.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "the log has stopped: {cause}; whether LSN {}..{} are durable is unknown until it is opened again",
    .indeterminate.start, .indeterminate.end
)]
pub struct Poisoned {
    /// These records may be found after an open, or not; all before were acknowledged, all after were not
    /// written.
    pub indeterminate: Range<Lsn>,
    /// Why.
    pub cause: String,
    /// Because ownership was lost, and not for an error of the storage.
    pub fenced: bool,
}

/// Why something was not written.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WriteError {
    /// The log is full; nothing was written. Take a checkpoint.
    #[error(
        "the log is full: {needed} more bytes do not fit before the next checkpoint; nothing was written"
    )]
    Full {
        /// Bytes that the record takes.
        needed: u64,
    },
    /// No chunks are left for this checkpoint or object; nothing was written.
    #[error("no room: {needed} chunks are needed, {free} are free; nothing was written")]
    NoChunks {
        /// Chunks that it takes.
        needed: u32,
        /// Chunks that are free.
        free: u32,
    },
    /// It can never fit; nothing was written.
    #[error("{what} of {bytes} bytes is larger than {max}; nothing was written")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Its size.
        bytes: u64,
        /// The largest.
        max: u64,
    },
    /// A name is empty or longer than 64 bytes, or there are 64 objects already.
    #[error("{0}; nothing was written")]
    Object(String),
    /// A checkpoint covers records that are not durable, or fewer than the one before; nothing was written.
    #[error(
        "a checkpoint up to LSN {upto}: it must be from {least} to {most}; nothing was written"
    )]
    Upto {
        /// What it was to cover.
        upto: Lsn,
        /// The checkpoint before it.
        least: Lsn,
        /// The last durable record.
        most: Lsn,
    },
    /// The handle was parked or closed.
    #[error("the log was handed over or closed; nothing was written")]
    Closed,
    /// The handle has ended after an error.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
}

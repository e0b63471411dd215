//! The recovery log and checkpoint store of a quorum disk: the one copy of the truth when every node is down.
//!
//! ```text
//!   append ──► open batch ──► one frame, one write, one flush ──► acknowledged
//!                                    │
//!   region:  superblock slots │ segment ring │ catalogues │ chunks │ superblock slots
//!                                    │              ▲
//!   open   ◄── replay: checkpoint, then every acknowledged record, or an error; never a shorter log
//! ```
//!
//! A log lives in a *region*: a file of fixed, zero-written size, a partition, a LUN: anything that is a
//! [`Storage`]. `FORMAT.md` beside this crate has the bytes, and for each step the argument why no crash can
//! lose an acknowledged record or invent one.
//!
//! * [`create`] writes a region; [`open`] reads one, writes nothing, and hands out what it holds;
//! * [`Recovered::claim`] begins an epoch on it and gives a [`Log`], which appends, commits and checkpoints;
//! * [`salvage`](salvage()) copies what is good elsewhere; [`inspect`] tells the health of every part.
//!
//! Invariants:
//! * acknowledged ⊆ recovered ⊆ submitted, whatever the crash;
//! * good data is never overwritten before its successor was flushed, and read back where it is believed;
//! * an error of a write or a flush ends the handle: nothing later is acknowledged, nobody hangs;
//! * bytes of a region are never trusted: they become a value, or an error that says what, where and what to do;
//! * a full log says so before a byte is written.
//!
//! What it never does: fence. An [`Epoch`] detects another owner; the reservation of the disk is the fence.

mod buffer;
mod catalogue;
mod claim;
mod error;
mod frame;
mod guards;
mod ids;
pub mod inspect;
mod layout;
mod log;
#[cfg(feature = "pieces")]
#[doc(hidden)]
pub mod pieces;
mod recover;
mod salvage;
mod segment;
pub mod storage;
mod sum;
mod superblock;
mod words;

pub use buffer::Aligned;
pub use claim::{Claim, Fencing, Owner, Proof};
pub use error::{ClaimError, Corrupt, CreateError, OpenError, Poisoned, WriteError};
pub use guards::{Guard, Guards};
pub use ids::{Epoch, Generation, LogId, Lsn};
pub use layout::{Format, FormatError, Layout, MAX_OBJECT_BYTES, MAX_OBJECTS, MAX_RECORD_BYTES};
pub use log::{Log, Position, Ticket, create, create_with};
pub use recover::{Entry, Note, Recovered, Replay, Root, open, open_with, peek};
pub use salvage::{SalvageError, Salvaged, salvage};
pub use storage::Storage;
pub use superblock::{Cluster, Parked};

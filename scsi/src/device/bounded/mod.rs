//! The caller's bound on every command, kept by a thread that can be given up.
//!
//! ```text
//!   caller ── job ──> thread that owns the device (blocks in the ioctl)
//!     │ waits at most the bound           │
//!     ├── in time: the reply <────────────┤
//!     └── TimedOut, and the reply is owed │ … comes back some day, or never
//! ```
//!
//! Invariants:
//! * a call returns within its bound, whatever the device does;
//! * nothing queues behind a stuck command: while a reply is owed, a verb goes on a further handle of the same
//!   nexus, with a thread of its own, where there is one that is free; else it is `NotSent(Busy)`;
//! * a verb overtakes a stuck one only where the order of the two is nothing to the disk (see
//!   [`BoundedReservations`]); every call is answered by the reply to its own command;
//! * attentions that an owed reply brings back late are reported with the next exchange, not lost;
//! * dropping never waits: a stuck thread is left to the kernel, with its companions, until it comes back.
//!
//! Never does: retry, reorder, or cancel. A command that outlived its bound may still take effect.

mod device;
mod reservations;
mod within;
mod worker;

pub use device::BoundedDevice;
pub use reservations::{BoundedReservations, HANDLES_MAX};
pub use within::within;
pub use worker::StartError;

#[cfg(test)]
mod tests;

//! The target: a [`crate::logical_unit`] over a file, for any initiator.
//!
//! ```text
//!   sockets ── bytes ──► Target (pure) ──► connections ──► login, session ──► LogicalUnit ──► Store
//!      ▲                    │                                                     (blocks, APTPL state)
//!      └──── bytes ─────────┘   server: one thread, one poll; the file's I/O is done in it
//! ```
//!
//! | file | what it decides |
//! |---|---|
//! | `portal` | who is connected, whose session ends when (pure) |
//! | `login` | whom to let in, and how to talk (pure) |
//! | `session` | PDUs of the full feature phase; which commands, in which order (pure) |
//! | `command` | a SCSI command's data, its answer (pure) |
//! | `function` | task management (pure) |
//! | `backend` | the unit, its store, and the faults that are scheduled |
//! | `store` | the file: blocks, and the state that survives a power loss |
//! | `server` | sockets, the clock, the end |
//!
//! Invariants:
//! * one nexus is one initiator name and ISID: a new login with both ends the old session
//!   (RFC 7143 6.3.5), and registrations belong to the nexus, not to the session;
//! * what a PERSISTENT RESERVE OUT with APTPL changed is on the disk before it is answered;
//! * everything that grows is bounded: connections, sessions, tasks, data that is gathered, answers that
//!   wait for a slow reader;
//! * nothing that arrives makes it panic. Whoever breaks the protocol loses the connection and nothing else.
//!
//! One thread does all of it: a command that waits for the file makes the others wait. That is what a small
//! disk does, and it keeps the order of commands and of what is on the disk plain.

mod backend;
mod command;
mod function;
mod login;
mod portal;
mod server;
mod session;
mod store;
#[cfg(test)]
mod tests;

pub use backend::{Backend, Store};
pub use portal::{CONNECTIONS_MAX, ConnectionId, SESSIONS_MAX, Settings, Target};
pub use server::{ServeError, Server};
pub use store::{FileStore, StoreError};

/// The one logical unit.
const LUN: u16 = 0;

/// The relative identifier of the one target port, and its portal group.
const TARGET_PORT: u16 = 1;

/// The longest data segment that is taken.
const RECEIVE_BYTES_MAX: u32 = 256 * 1024;

//! The initiator: an iSCSI session from user space as a [`crate::device::Device`].
//!
//! ```text
//!   IscsiDevice ──► Link: Connection (TCP, frames, deadlines) + Session (pure)
//!        ▲                       ▲ Login (pure)
//!        └── keep-alive thread: answers pings, notices a dead target, never waits
//! ```
//!
//! | file | what it decides |
//! |---|---|
//! | `url` | how users name a logical unit |
//! | `login` | who is who, and how to talk (pure) |
//! | `session` | commands to PDUs and back (pure) |
//! | `connection` | bytes over TCP, each wait with a deadline |
//! | `disk` | a URL as a disk |
//! | `device` | the device: one session, its loss reported, one new login a command |
//!
//! Invariants:
//! * every call returns within its bound, also when the network is dead;
//! * a command is sent once. What happened to one whose session was lost is unknown, and is said to be;
//! * a session that was lost is replaced by at most one login a command, and the caller learns of it: the
//!   first command on the new session is not sent, it ends with I_T NEXUS LOSS OCCURRED (29/07), as
//!   though the target had said so (many targets do not). An SPC-2 reservation is gone then.

mod connection;
mod device;
mod disk;
pub mod login;
pub mod session;
mod url;

pub(crate) use disk::open_disk;

pub use device::{ConnectError, IscsiDevice, Options};
pub use login::LoginError;
pub use url::{PORTALS_MAX, Portal, Url};

use super::pdu::Isid;
use super::world;
use std::io;

/// The first four bytes of the ISIDs of an arbiter: type "random" (RFC 7143 11.12.5), always the same.
const ARBITER: [u8; 4] = [0x80, b'q', b'c', b't'];

/// The ISID of the one process on a host that arbitrates, through its so-many-th portal.
///
/// It never changes, so that a registration survives a re-login and a restart.
#[must_use]
pub fn arbiter_isid(portal: u8) -> Isid {
    let [a, b, c, d] = ARBITER;
    Isid([a, b, c, d, 0, portal])
}

/// The first four bytes of the ISIDs of verbs that change reservations.
const VERBS: [u8; 4] = [0x80, b'q', b'c', b'v'];

/// The ISID of the one process on a host that changes persistent reservations by hand, through its so-many-th portal.
///
/// It never changes, so that a registration that one verb has made is there for the next.
#[must_use]
pub fn verbs_isid(portal: u8) -> Isid {
    let [a, b, c, d] = VERBS;
    Isid([a, b, c, d, 0, portal])
}

/// An ISID of one's own, that ends nobody's session: random, and neither an arbiter's nor that of verbs.
///
/// # Errors
/// When there are no random bytes.
pub fn own_isid() -> io::Result<Isid> {
    let random: [u8; 5] = world::random()?;
    let mut isid = [0x80, random[0], random[1], random[2], random[3], random[4]];
    if isid.starts_with(&ARBITER) || isid.starts_with(&VERBS) {
        isid[1] ^= 0x80;
    }
    Ok(Isid(isid))
}

//! iSCSI (RFC 7143): SCSI commands over TCP, both ends.
//!
//! | module | what it is | touches the world |
//! |---|---|---|
//! | [`pdu`] | PDUs as values, frames out of a byte stream, digests | no |
//! | [`text`] | `key=value` lists of login and text requests | no |
//! | [`negotiation`] | the operational parameters and how both ends agree on them | no |
//! | [`name`] | iSCSI names | no |
//! | [`chap`] | the computation and the encodings of CHAP | no |
//! | [`keyring`] | CHAP names and secrets out of a file's text | no |
//! | [`serial`] | serial-number arithmetic of CmdSN, StatSN and DataSN | no |
//! | `initiator` | a session over TCP, as a [`crate::device::Device`] | its driver |
//! | `target` | a [`crate::logical_unit`] over a file, for any initiator | its server and store |
//!
//! What this implementation is: one connection a session (MaxConnections=1), a lost connection ends its
//! session (ErrorRecoveryLevel=0), no markers. A session that comes back is a new login; a registration
//! survives it because it belongs to initiator name, ISID and target port, not to the session.

pub mod chap;
#[cfg(feature = "initiator")]
pub mod initiator;
pub mod keyring;
pub mod name;
pub mod negotiation;
pub mod pdu;
pub mod serial;
#[cfg(feature = "target")]
pub mod target;
pub mod text;
#[cfg(any(feature = "initiator", feature = "target"))]
mod world;

#[cfg(any(feature = "initiator", feature = "target"))]
pub use world::read_keyring;

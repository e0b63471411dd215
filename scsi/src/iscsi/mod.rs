//! iSCSI (RFC 7143): SCSI commands over TCP, both ends.
//!
//! | module | what it is | touches the world |
//! |---|---|---|
//! | [`pdu`] | PDUs as values, frames out of a byte stream, digests | no |
//! | [`text`] | `key=value` lists of login and text requests | no |
//! | [`negotiation`] | the operational parameters and how both ends agree on them | no |
//! | [`chap`] | the computation and the encodings of CHAP | no |
//! | [`serial`] | serial-number arithmetic of CmdSN, StatSN and DataSN | no |
//!
//! What this implementation is: one connection a session (MaxConnections=1), a lost connection ends its
//! session (ErrorRecoveryLevel=0), no markers. A session that comes back is a new login; a registration
//! survives it because it belongs to initiator name, ISID and target port, not to the session.

pub mod chap;
pub mod negotiation;
pub mod pdu;
pub mod serial;
pub mod text;

//! Bytes to values and back, one file for each format. Pure; bytes are never trusted.
//!
//! ```text
//!   host                                        device
//!   cdb::Command ---emit---> CDB bytes --parse--> cdb::Command
//!   persistent_out --------> data-out ----------> persistent_out
//!   persistent_in <--------- data-in <----------- persistent_in
//!   sense::Sense <---------- sense data <-------- sense::Sense
//! ```
//!
//! Invariants:
//! * no byte sequence makes a parser panic, and none makes it allocate more than a small multiple of
//!   what arrived;
//! * a length field is believed only as far as bytes arrived;
//! * what a parser accepted, `emit` writes such that it parses to the same value;
//! * code points that are not known are kept or named in the error, never mapped to a known one.
//!
//! Each file names its field offsets in one block and cites the clause: by its number where a
//! published draft was at hand to look it up in (SPC-4 as of revision 36f, SBC-3 as of revision 36,
//! SPC-2 as of revision 20), else by its name. Nothing here executes, retries,
//! or decides what an answer means.

mod bytes;
pub mod capacity;
pub mod cdb;
pub mod inquiry;
pub mod luns;
pub mod mode;
pub mod nvme;
pub mod opcodes;
mod parameter;
pub mod persistent_in;
pub mod persistent_out;
pub mod sense;
pub mod status;
pub mod transport_id;
pub mod vpd;

pub use parameter::ParameterError;

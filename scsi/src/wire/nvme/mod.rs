//! NVMe: reservations, the Identify fields that matter to them, and status codes.
//! All fields are little-endian.
//!
//! | file | what | NVMe Base 2.0, the part named |
//! |---|---|---|
//! | `command` | Reservation Acquire, Register, Release, Report | the commands of these names |
//! | `report` | Reservation Status data, both forms | Reservation Report command |
//! | `identify` | Identify Namespace and Controller | Identify command; NVM Command Set, the same |
//! | `status` | status codes in words | Common Completion Queue Entry, Status Field |
//!
//! Invariants: as everywhere in [`super`]; the host's byte order never shows.

mod command;
mod identify;
mod report;
mod status;

pub use command::{
    AcquireAction, PowerLossPersistence, RegisterAction, ReleaseAction, ReservationCommand,
};
pub use identify::{IDENTIFY_LENGTH, IdentifyController, IdentifyNamespace};
pub use report::{Registrant, ReportForm, ReservationReport};
pub use status::NvmeStatus;

use super::bytes::array;

/// 16 bits, little-endian.
fn le16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(bytes, at))
}

/// 32 bits, little-endian.
fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

/// 64 bits, little-endian.
fn le64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

#[cfg(test)]
mod tests;

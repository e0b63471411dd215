//! NVMe: reservations, the Identify fields that matter to them, and status codes (NVMe Base 2.0).
//! All fields are little-endian.
//!
//! | file | what | clause |
//! |---|---|---|
//! | `command` | Reservation Acquire, Register, Release, Report | 7.2 to 7.5 |
//! | `report` | Reservation Status data, both forms | 7.5.1 |
//! | `identify` | Identify Namespace and Controller | 5.17.2.1, NVM Command Set 4.1.5.1 |
//! | `status` | status codes in words | 3.3.3.2.1 |
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

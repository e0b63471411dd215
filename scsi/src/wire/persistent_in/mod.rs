//! What PERSISTENT RESERVE IN brings back (SPC-4 6.15).
//!
//! ```text
//! READ KEYS, READ RESERVATION, READ FULL STATUS        REPORT CAPABILITIES
//!  0  PRGENERATION (4)                                  0  LENGTH = 8 (2)
//!  4  ADDITIONAL LENGTH (4): bytes that exist,          2  RLR_C CRH SIP_C ATP_C PTPL_C
//!     not bytes that were returned                      3  TMV, ALLOW COMMANDS, PTPL_A
//!  8  keys (8 each) | reservation (16) | descriptors    4  TYPE MASK (2)
//! ```
//!
//! How a whole list is read: ask with [`FIRST_ALLOCATION`]; parse what arrived together with the
//! allocation length that was asked with; on [`ParameterError::Incomplete`] ask again with
//! [`next_allocation`], until it says that no more can be asked for.
//!
//! Invariants:
//! * never more entries than arrived, whatever ADDITIONAL LENGTH says;
//! * a list is whole, or an error: half the registrants are never taken for all;
//! * a zero key, an unknown type or an unknown scope is an error and not a guess.

mod capabilities;
mod full_status;
mod keys;
mod reservation;

pub use capabilities::ReportedCapabilities;
pub use full_status::{FullStatus, FullStatusEntry};
pub use keys::RegisteredKeys;
pub use reservation::HeldReservation;

use super::ParameterError;
use super::bytes::{be32, length};
use crate::reservation::{Key, Reservation, ReservationType};

/// Offsets of the header that three of the four answers share (SPC-4 6.15.2).
mod header {
    pub(super) const GENERATION: usize = 0;
    pub(super) const ADDITIONAL_LENGTH: usize = 4;
    pub(super) const LENGTH: usize = 8;
}

/// The first ALLOCATION LENGTH to ask with, in bytes: 511 keys, and small enough for every host.
pub const FIRST_ALLOCATION: u16 = 4096;

/// The largest ALLOCATION LENGTH to ask with: the 16 bits of the CDB, rounded down to whole keys.
pub const LAST_ALLOCATION: u16 = 65528;

/// The ALLOCATION LENGTH to ask with after `asked` was too small for `needed` bytes; `None` when no
/// more can be asked for.
///
/// It at least doubles, so that a disk whose list grows with each question is asked at most a few times.
#[must_use]
pub fn next_allocation(asked: u16, needed: usize) -> Option<u16> {
    let doubled = usize::from(asked) * 2;
    let wanted = needed.next_multiple_of(8).max(doubled);
    let next = u16::try_from(wanted)
        .unwrap_or(LAST_ALLOCATION)
        .min(LAST_ALLOCATION);
    (next > asked).then_some(next)
}

/// The part of an answer behind its header, if it is whole.
///
/// `entry_length_max` is the most that one entry can take: LIO, before it was mended, reported as
/// ADDITIONAL LENGTH the bytes that fit and left out the entries that did not. So a list that leaves
/// no room for one more entry may have been cut, and is asked for again as long as more can be asked for.
fn whole_list(
    arrived: &[u8],
    allocation_length: u16,
    entry_length_max: usize,
) -> Result<&[u8], ParameterError> {
    let asked = usize::from(allocation_length);
    let arrived = &arrived[..arrived.len().min(asked)];
    ParameterError::at_least(header::LENGTH, arrived)?;
    let told = length(be32(arrived, header::ADDITIONAL_LENGTH));
    let needed = told.saturating_add(header::LENGTH);
    if needed > asked {
        return Err(ParameterError::Incomplete { needed });
    }
    // There was room for all of it: what did not arrive is not coming.
    ParameterError::at_least(needed, arrived)?;
    let with_one_more = needed + entry_length_max;
    if with_one_more > asked && allocation_length < LAST_ALLOCATION {
        return Err(ParameterError::Incomplete {
            needed: with_one_more,
        });
    }
    Ok(&arrived[header::LENGTH..needed])
}

fn generation(arrived: &[u8]) -> u32 {
    be32(arrived, header::GENERATION)
}

/// A header for these entries.
fn emit_header(generation: u32, entries: &[u8]) -> Vec<u8> {
    // The entries of a unit of ours are bounded far below 4 GiB by its registrant table.
    let told = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(header::LENGTH + entries.len());
    bytes.extend(generation.to_be_bytes());
    bytes.extend(told.to_be_bytes());
    bytes.extend(entries);
    bytes
}

/// SCOPE and TYPE in one byte (SPC-4 6.15.3.3, 6.15.3.4); SCOPE 0 is the logical unit, all else is obsolete.
fn parse_scope_type(value: u8, at: usize) -> Result<ReservationType, ParameterError> {
    if value >> 4 != 0 {
        let what = "the scope is not the logical unit";
        return Err(ParameterError::Field { at, what });
    }
    ReservationType::from_scsi_code(value & 0x0f).ok_or(ParameterError::Field {
        at,
        what: "the reservation type is obsolete or not known",
    })
}

/// The holder as a value: under the All Registrants types the key says nothing.
fn holder(
    key: Option<Key>,
    kind: ReservationType,
    at: usize,
) -> Result<Reservation, ParameterError> {
    if kind.all_registrants() {
        return Ok(Reservation { key: None, kind });
    }
    if key.is_none() {
        let what = "the holder's key is zero";
        return Err(ParameterError::Field { at, what });
    }
    Ok(Reservation { key, kind })
}

#[cfg(test)]
mod tests;

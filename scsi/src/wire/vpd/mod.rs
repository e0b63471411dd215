//! Vital product data pages (SPC-4 7.8; Block Limits: SBC-3).
//!
//! ```text
//!  0  PERIPHERAL QUALIFIER, DEVICE TYPE     4  00h: page codes     80h: serial number (ASCII)
//!  1  PAGE CODE                             4  83h: designation descriptors
//!  2  PAGE LENGTH (2): bytes that exist     4  B0h: limits in blocks
//! ```
//!
//! Invariants: an answer for another page than was asked for is an error (some devices answer EVPD with
//! standard data); a page of which only a part arrived is [`ParameterError::Incomplete`], and whoever
//! had asked for all of it knows that the rest is not coming.

mod designation;

pub use designation::{Association, Designator, DesignatorValue, DeviceIdentification};

use super::ParameterError;
use super::bytes::{be16, be32, byte, put, text};

/// Offsets of the header.
mod header {
    pub(super) const PAGE_CODE: usize = 1;
    pub(super) const PAGE_LENGTH: usize = 2;
    pub(super) const LENGTH: usize = 4;
}

/// The ALLOCATION LENGTH to ask with at first; a page that is longer says so.
pub const FIRST_ALLOCATION: u16 = 512;

/// PAGE CODE of Supported VPD Pages.
pub const SUPPORTED_PAGES: u8 = 0x00;
/// PAGE CODE of Unit Serial Number.
pub const UNIT_SERIAL: u8 = 0x80;
/// PAGE CODE of Device Identification.
pub const DEVICE_IDENTIFICATION: u8 = 0x83;
/// PAGE CODE of Block Limits.
pub const BLOCK_LIMITS: u8 = 0xb0;

/// The page behind its header.
fn body(arrived: &[u8], page: u8) -> Result<&[u8], ParameterError> {
    ParameterError::at_least(header::LENGTH, arrived)?;
    if byte(arrived, header::PAGE_CODE) != page {
        return Err(ParameterError::Field {
            at: header::PAGE_CODE,
            what: "another page than was asked for",
        });
    }
    let needed = header::LENGTH + usize::from(be16(arrived, header::PAGE_LENGTH));
    arrived
        .get(header::LENGTH..needed)
        .ok_or(ParameterError::Incomplete { needed })
}

/// A page of a block device (qualifier and type are zero).
fn emit(page: u8, body: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut bytes = vec![0, page, high, low];
    bytes.extend(body);
    bytes
}

/// Page 00h: which pages there are (SPC-4 7.8.16).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct SupportedPages {
    /// Their codes, ascending.
    pub pages: Vec<u8>,
}

impl SupportedPages {
    /// Parses what arrived.
    ///
    /// # Errors
    /// [`ParameterError`]: see the [module](self).
    pub fn parse(arrived: &[u8]) -> Result<Self, ParameterError> {
        let pages = body(arrived, SUPPORTED_PAGES)?.to_vec();
        Ok(Self { pages })
    }

    /// The whole page.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        emit(SUPPORTED_PAGES, &self.pages)
    }
}

/// Page 80h, Unit Serial Number (SPC-4 7.8.18).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct UnitSerial {
    /// PRODUCT SERIAL NUMBER without padding; empty when the device has none.
    pub serial: String,
}

impl UnitSerial {
    /// Parses what arrived.
    ///
    /// # Errors
    /// [`ParameterError`]: see the [module](self).
    pub fn parse(arrived: &[u8]) -> Result<Self, ParameterError> {
        let serial = text(body(arrived, UNIT_SERIAL)?);
        Ok(Self { serial })
    }

    /// The whole page.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        emit(UNIT_SERIAL, self.serial.as_bytes())
    }
}

/// Offsets of page B0h, counted from the page's first byte (SBC-3, Block Limits VPD page).
mod limits {
    pub(super) const COMPARE_AND_WRITE: usize = 5;
    pub(super) const GRANULARITY: usize = 6;
    pub(super) const TRANSFER_MAX: usize = 8;
    pub(super) const TRANSFER_OPTIMAL: usize = 12;
    /// Everything up to here has been there since SBC-2.
    pub(super) const LENGTH_MIN: usize = 16;
    pub(super) const LENGTH: usize = 64;
}

/// Page B0h: how many blocks a command may have.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct BlockLimits {
    /// MAXIMUM COMPARE AND WRITE LENGTH, in blocks; 0: there is no COMPARE AND WRITE.
    pub compare_and_write_blocks_max: u8,
    /// OPTIMAL TRANSFER LENGTH GRANULARITY, in blocks; 0: not told.
    pub transfer_granularity_blocks: u16,
    /// MAXIMUM TRANSFER LENGTH, in blocks; 0: not told.
    pub transfer_blocks_max: u32,
    /// OPTIMAL TRANSFER LENGTH, in blocks; 0: not told.
    pub transfer_blocks_optimal: u32,
}

impl BlockLimits {
    /// Parses what arrived.
    ///
    /// # Errors
    /// [`ParameterError`]: see the [module](self).
    pub fn parse(arrived: &[u8]) -> Result<Self, ParameterError> {
        let length = body(arrived, BLOCK_LIMITS)?.len() + header::LENGTH;
        let page = &arrived[..length];
        ParameterError::at_least(limits::LENGTH_MIN, page)?;
        Ok(Self {
            compare_and_write_blocks_max: byte(page, limits::COMPARE_AND_WRITE),
            transfer_granularity_blocks: be16(page, limits::GRANULARITY),
            transfer_blocks_max: be32(page, limits::TRANSFER_MAX),
            transfer_blocks_optimal: be32(page, limits::TRANSFER_OPTIMAL),
        })
    }

    /// The whole page.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut page = emit(BLOCK_LIMITS, &[0; limits::LENGTH - header::LENGTH]);
        page[limits::COMPARE_AND_WRITE] = self.compare_and_write_blocks_max;
        let granularity = self.transfer_granularity_blocks.to_be_bytes();
        put(&mut page, limits::GRANULARITY, &granularity);
        let max = self.transfer_blocks_max.to_be_bytes();
        put(&mut page, limits::TRANSFER_MAX, &max);
        let optimal = self.transfer_blocks_optimal.to_be_bytes();
        put(&mut page, limits::TRANSFER_OPTIMAL, &optimal);
        page
    }
}

#[cfg(test)]
mod tests;

//! READ, WRITE, COMPARE AND WRITE and SYNCHRONIZE CACHE (SBC-3 5.11, 5.33, 5.2, 5.26) on the blocks behind.

use super::config::{BLOCK_BYTES, COMPARE_BLOCKS_MAX, TRANSFER_BLOCKS_MAX};
use super::media::Media;
use super::refused::Refused;
use crate::wire::cdb::{Access, BlockRange};

/// SBC-3, Block Limits VPD page: a transfer beyond MAXIMUM TRANSFER LENGTH is refused.
pub(super) const fn check_transfer(range: BlockRange) -> Result<(), Refused> {
    if range.blocks() > TRANSFER_BLOCKS_MAX {
        Err(Refused::CDB_FIELD)
    } else {
        Ok(())
    }
}

/// SBC-3 5.2: no more as MAXIMUM COMPARE AND WRITE LENGTH.
pub(super) const fn check_compare(blocks: u8) -> Result<(), Refused> {
    if blocks > COMPARE_BLOCKS_MAX {
        Err(Refused::CDB_FIELD)
    } else {
        Ok(())
    }
}

const fn bytes(blocks: u32) -> usize {
    // Bounded by TRANSFER_BLOCKS_MAX: no overflow.
    blocks as usize * BLOCK_BYTES as usize
}

pub(super) fn read(media: &mut dyn Media, range: BlockRange) -> Result<Vec<u8>, Refused> {
    check_transfer(range)?;
    let mut data = vec![0; bytes(range.blocks())];
    media
        .read(range.lba(), &mut data)
        .map_err(|_| Refused::MEDIUM_READ)?;
    Ok(data)
}

pub(super) fn write(
    media: &mut dyn Media,
    range: BlockRange,
    access: Access,
    data_out: &[u8],
) -> Result<(), Refused> {
    // Too few bytes are a host that says one thing and sends another: nothing is written.
    let data = data_out
        .get(..bytes(range.blocks()))
        .ok_or(Refused::CDB_FIELD)?;
    media
        .write(range.lba(), data, access.fua)
        .map_err(|_| Refused::MEDIUM_WRITE)
}

pub(super) fn compare_and_write(
    media: &mut dyn Media,
    lba: u64,
    blocks: u8,
    access: Access,
    data_out: &[u8],
) -> Result<(), Refused> {
    let half = bytes(u32::from(blocks));
    let data_out = data_out.get(..2 * half).ok_or(Refused::CDB_FIELD)?;
    let (compare, write) = data_out.split_at(half);
    let mut there = vec![0; half];
    media
        .read(lba, &mut there)
        .map_err(|_| Refused::MEDIUM_READ)?;
    if let Some(at) = there.iter().zip(compare).position(|(a, b)| a != b) {
        return Err(Refused::miscompare(u64::try_from(at).unwrap_or(u64::MAX)));
    }
    media
        .write(lba, write, access.fua)
        .map_err(|_| Refused::MEDIUM_WRITE)
}

/// The whole medium, whatever the range: more than asked for is allowed (SBC-3 5.26).
pub(super) fn synchronize(media: &mut dyn Media) -> Result<(), Refused> {
    media.sync().map_err(|_| Refused::MEDIUM_WRITE)
}

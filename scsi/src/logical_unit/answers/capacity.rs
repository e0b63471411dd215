//! READ CAPACITY(10) and (16) (SBC-3 5.15, 5.16).

use crate::logical_unit::config::{BLOCK_BYTES, Config};

/// Bytes of the long answer.
const LONG_BYTES: usize = 32;

/// The last address, or all ones when it does not fit, and the size of a block.
pub(in crate::logical_unit) fn short(config: &Config) -> Vec<u8> {
    let last = u32::try_from(config.blocks.saturating_sub(1)).unwrap_or(u32::MAX);
    [last.to_be_bytes(), BLOCK_BYTES.to_be_bytes()].concat()
}

/// The same with 64 bits; no protection information, no thin provisioning.
pub(in crate::logical_unit) fn long(config: &Config) -> Vec<u8> {
    let mut data = vec![0; LONG_BYTES];
    data[..8].copy_from_slice(&config.blocks.saturating_sub(1).to_be_bytes());
    data[8..12].copy_from_slice(&BLOCK_BYTES.to_be_bytes());
    data
}

//! The blocks behind the unit: a seam, and the implementation in memory.

use super::config::BLOCK_BYTES;
use std::collections::BTreeMap;

/// The medium could not do it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
#[error("the medium failed")]
pub struct MediaError;

/// Blocks. The unit has checked the range: callers never go beyond the blocks of its
/// [`super::Config`], and buffers are whole blocks.
pub trait Media {
    /// Reads from this block on.
    ///
    /// # Errors
    /// When the medium cannot.
    fn read(&mut self, lba: u64, into: &mut [u8]) -> Result<(), MediaError>;

    /// Writes from this block on; with `through` (FUA) it is on the medium when this returns.
    ///
    /// # Errors
    /// When the medium cannot; then any part of it may have been written.
    fn write(&mut self, lba: u64, data: &[u8], through: bool) -> Result<(), MediaError>;

    /// Brings everything that was written onto the medium.
    ///
    /// # Errors
    /// When the medium cannot.
    fn sync(&mut self) -> Result<(), MediaError>;
}

/// One block of memory.
type Block = Box<[u8; BLOCK_BYTES as usize]>;

/// A medium in memory with a write cache: what was written and not synchronised is lost with the power.
/// Blocks that were never written read as zeros and take no room.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct MemoryMedia {
    durable: BTreeMap<u64, Block>,
    cached: BTreeMap<u64, Block>,
}

impl MemoryMedia {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The power fails: the cache is lost.
    pub fn power_loss(&mut self) {
        self.cached.clear();
    }

    /// The block as a READ would see it.
    #[must_use]
    pub fn block(&self, lba: u64) -> [u8; BLOCK_BYTES as usize] {
        self.cached
            .get(&lba)
            .or_else(|| self.durable.get(&lba))
            .map_or([0; BLOCK_BYTES as usize], |block| **block)
    }
}

impl Media for MemoryMedia {
    fn read(&mut self, lba: u64, into: &mut [u8]) -> Result<(), MediaError> {
        for (block, at) in into.chunks_mut(BLOCK_BYTES as usize).zip(lba..) {
            block.copy_from_slice(&self.block(at)[..block.len()]);
        }
        Ok(())
    }

    fn write(&mut self, lba: u64, data: &[u8], through: bool) -> Result<(), MediaError> {
        for (chunk, at) in data.chunks_exact(BLOCK_BYTES as usize).zip(lba..) {
            let mut block: Block = Box::new([0; BLOCK_BYTES as usize]);
            block.copy_from_slice(chunk);
            if through {
                self.cached.remove(&at);
                self.durable.insert(at, block);
            } else {
                self.cached.insert(at, block);
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), MediaError> {
        self.durable.append(&mut self.cached);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_block_of_the_largest_unit_can_be_read_and_written() {
        let last = u64::MAX - 1;
        let mut media = MemoryMedia::new();
        let mut back = [0; BLOCK_BYTES as usize];
        media.write(last, &[7; BLOCK_BYTES as usize], true).unwrap();
        media.read(last, &mut back).unwrap();
        assert_eq!(back, [7; BLOCK_BYTES as usize]);
    }
}

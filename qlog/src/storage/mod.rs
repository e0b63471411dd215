//! Where a region is: the seam between the log and the world.
//!
//! A storage is read and written in whole blocks at multiples of the block size. A write that has returned may
//! still be lost in a crash until a flush that began after it has returned; at a crash each sector of an
//! unflushed write is whole, absent, garbage or unreadable, in any combination.

#[cfg(feature = "file")]
mod file;
#[cfg(feature = "file")]
mod mapped;
mod memory;

#[cfg(feature = "file")]
pub use file::{FileStorage, Method, Probed};
#[cfg(feature = "file")]
pub use mapped::Mapped;
pub use memory::MemoryStorage;

use std::io;
use std::sync::Arc;

/// A region of fixed length. All methods may be called from several threads at once.
pub trait Storage: Send + Sync {
    /// Its length in bytes.
    fn region_bytes(&self) -> u64;

    /// The unit of reads and writes: offsets, lengths are multiples of it, and buffers start at multiples of
    /// 4096 in memory (or of this, when it is smaller). A power of two.
    fn block_bytes(&self) -> u32;

    /// Reads from the medium, not from a cache that another node's writes pass by.
    ///
    /// # Errors
    /// The operating system's, or a short read.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes. A short write is an error.
    ///
    /// # Errors
    /// Whatever part of it reached the medium is unknown then.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Everything that was written before is on the medium when this returns.
    ///
    /// # Errors
    /// What was written since the last flush may be on the medium or not, for good.
    fn flush(&self) -> io::Result<()>;

    /// [`Self::write_at`], then [`Self::flush`] at least of these bytes; in one call where that is cheaper.
    ///
    /// # Errors
    /// As those.
    fn write_durable(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_at(offset, bytes)?;
        self.flush()
    }

    /// A writer is about to begin: measure, if there is a choice, how [`Self::write_durable`] is best done.
    /// The block at `scratch` holds nothing.
    ///
    /// # Errors
    /// No way to write works.
    fn tune(&self, scratch: u64) -> io::Result<()> {
        let _no_choice = scratch;
        Ok(())
    }
}

impl<S: Storage + ?Sized> Storage for Arc<S> {
    fn region_bytes(&self) -> u64 {
        (**self).region_bytes()
    }

    fn block_bytes(&self) -> u32 {
        (**self).block_bytes()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        (**self).write_at(offset, bytes)
    }

    fn flush(&self) -> io::Result<()> {
        (**self).flush()
    }

    fn write_durable(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        (**self).write_durable(offset, bytes)
    }

    fn tune(&self, scratch: u64) -> io::Result<()> {
        (**self).tune(scratch)
    }
}

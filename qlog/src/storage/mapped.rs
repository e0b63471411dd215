//! A region mapped into memory, for looking at it. Never written through.

use super::Storage;
use memmap2::Mmap;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use std::fs::File;
use std::io;
use std::path::Path;

/// A file or a device, mapped read-only.
///
/// What another process writes meanwhile may be seen or not; a file that is made shorter meanwhile, or a block that
/// cannot be read, ends this process with SIGBUS. So it is for inspection of what was seen to be readable, and the log
/// itself never reads through it.
#[derive(Debug)]
pub struct Mapped {
    map: Mmap,
}

impl Mapped {
    /// Maps a file or a device.
    ///
    /// # Errors
    /// The operating system's.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // Another node may have written since: what the page cache has is not what the medium has.
        posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
        Ok(Self { map: map(&file)? })
    }

    /// All bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }
}

#[expect(
    unsafe_code,
    reason = "a mapping is the one way to look at a large image without reading it whole"
)]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the mapping is read-only and private to this value; the type's document says what a change of the file
    // by others means.
    unsafe { Mmap::map(file) }
}

impl Storage for Mapped {
    fn region_bytes(&self) -> u64 {
        self.map.len() as u64
    }

    fn block_bytes(&self) -> u32 {
        256
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(buffer.len());
        let bytes = self
            .map
            .get(start..end)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn write_at(&self, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&self) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

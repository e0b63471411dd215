//! The floor: aligned O_DIRECT writes into a zero-written file, each followed by a flush. Keeps no log.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use anyhow::{Context, Result, ensure};

/// The unit of a raw write.
pub(crate) const BLOCK_BYTES: usize = 4096;

/// How it is done, for the report.
pub(crate) const OPTIONS: &str = "pwrite of whole 4 KiB blocks with O_DIRECT into a zero-written file, then fdatasync; \
     recovery: one thread reads the same bytes with O_DIRECT, 1 MiB at a time";

/// A zero-written file, written from its start to its end and then again.
pub(crate) struct RawFile {
    file: File,
    len: u64,
    next: u64,
    buffer: AlignedBuffer,
}

impl RawFile {
    /// `len` is a multiple of every size that will be written.
    pub(crate) fn create(path: &Path, len: u64) -> Result<Self> {
        let mut zeroed = File::create_new(path).with_context(|| path.display().to_string())?;
        let zeros = vec![0; 1 << 20];
        for _ in 0..len / (1 << 20) {
            zeroed.write_all(&zeros)?;
        }
        zeroed.sync_all()?;
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_DIRECT)
            .open(path)
            .with_context(|| format!("{}: O_DIRECT", path.display()))?;
        Ok(Self {
            file,
            len,
            next: 0,
            buffer: AlignedBuffer::new(1 << 20),
        })
    }

    /// Writes the bytes, padded to whole blocks, and flushes.
    pub(crate) fn write_and_flush(&mut self, bytes: &[u8]) -> Result<()> {
        let len = bytes.len().next_multiple_of(BLOCK_BYTES);
        ensure!(
            len <= self.buffer.get().len(),
            "a raw write is at most 1 MiB"
        );
        let block = &mut self.buffer.get()[..len];
        block[..bytes.len()].copy_from_slice(bytes);
        if self.next + len as u64 > self.len {
            self.next = 0;
        }
        self.file.write_all_at(block, self.next)?;
        self.file.sync_data()?;
        self.next += len as u64;
        Ok(())
    }
}

/// Reads the file to its end with O_DIRECT, 1 MiB at a time.
pub(crate) fn read_direct(path: &Path) -> Result<u64> {
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECT)
        .open(path)?;
    let mut buffer = AlignedBuffer::new(1 << 20);
    let mut bytes = 0;
    loop {
        match file.read(buffer.get())? {
            0 => return Ok(bytes),
            len => bytes += len as u64,
        }
    }
}

/// Memory aligned to a block, found inside a larger piece.
struct AlignedBuffer {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBuffer {
    fn new(len: usize) -> Self {
        let bytes = vec![0; len + BLOCK_BYTES];
        let start = bytes.as_ptr().align_offset(BLOCK_BYTES);
        Self { bytes, start, len }
    }

    fn get(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..][..self.len]
    }
}

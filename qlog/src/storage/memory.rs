//! A region in memory, with what was written and what was flushed kept apart.

use super::Storage;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A region in memory. What was not flushed is gone after [`Self::power_cut`].
#[derive(Debug)]
pub struct MemoryStorage {
    block_bytes: u32,
    images: Mutex<Images>,
}

#[derive(Debug)]
struct Images {
    live: Vec<u8>,
    durable: Vec<u8>,
    dirty: Vec<(usize, usize)>,
}

impl MemoryStorage {
    /// A region of zeros.
    #[must_use]
    pub fn new(len: usize, block_bytes: u32) -> Self {
        Self::from_image(vec![0; len], block_bytes)
    }

    /// A region that holds these bytes.
    #[must_use]
    pub fn from_image(image: Vec<u8>, block_bytes: u32) -> Self {
        let images = Images {
            live: image.clone(),
            durable: image,
            dirty: Vec::new(),
        };
        Self {
            block_bytes,
            images: Mutex::new(images),
        }
    }

    /// What a reader sees now.
    #[must_use]
    pub fn image(&self) -> Vec<u8> {
        self.lock().live.clone()
    }

    /// The region after a power cut that lost everything that was not flushed.
    #[must_use]
    pub fn power_cut(&self) -> Self {
        Self::from_image(self.lock().durable.clone(), self.block_bytes)
    }

    /// Changes bytes behind the log's back: damage, or another writer.
    pub fn alter(&self, change: impl FnOnce(&mut [u8])) {
        let mut images = self.lock();
        change(&mut images.live);
        images.durable = images.live.clone();
    }

    /// No code panics while it holds this lock but `alter`, whose panic is its test's.
    fn lock(&self) -> MutexGuard<'_, Images> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn range(len: usize, offset: u64, count: usize) -> io::Result<std::ops::Range<usize>> {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    match start.checked_add(count) {
        Some(end) if end <= len => Ok(start..end),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

impl Storage for MemoryStorage {
    fn region_bytes(&self) -> u64 {
        self.lock().live.len() as u64
    }

    fn block_bytes(&self) -> u32 {
        self.block_bytes
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let images = self.lock();
        let range = range(images.live.len(), offset, buffer.len())?;
        buffer.copy_from_slice(&images.live[range]);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut images = self.lock();
        let range = range(images.live.len(), offset, bytes.len())?;
        images.dirty.push((range.start, range.end));
        images.live[range].copy_from_slice(bytes);
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let mut images = self.lock();
        let images = &mut *images;
        for (start, end) in images.dirty.drain(..) {
            images.durable[start..end].copy_from_slice(&images.live[start..end]);
        }
        Ok(())
    }
}

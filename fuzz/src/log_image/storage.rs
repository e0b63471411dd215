//! A region that is looked at: an image with a page that cannot be read, and a bound of what may be read of it.

use super::picture::{PAGE, Picture};
use super::right_sums;
use qlog::Storage;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) struct Image {
    bytes: Vec<u8>,
    unreadable: Option<usize>,
    read: AtomicU64,
}

impl Image {
    pub(super) fn of(picture: &Picture) -> Self {
        let mut bytes = picture.image.clone();
        right_sums::make(&mut bytes, picture.rights);
        Self {
            bytes,
            unreadable: picture.unreadable,
            read: AtomicU64::new(0),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) const fn has_unreadable(&self) -> bool {
        self.unreadable.is_some()
    }

    /// Time is what is read: no image makes anybody read it over and over. Counts from the last time.
    pub(super) fn was_read_within_bounds(&self, who: &str) {
        let read = self.read.swap(0, Ordering::Relaxed);
        let bound = TIMES * (self.bytes.len() as u64 + PAGE as u64);
        assert!(
            read <= bound,
            "{who} read {read} bytes of {}",
            self.bytes.len()
        );
    }
}

/// An image may be read so many times over: a segment for each of 16 that could be the one before it, and for each kind
/// of look.
const TIMES: u64 = 64;

impl Storage for Image {
    fn region_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn block_bytes(&self) -> u32 {
        256
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = start
            .checked_add(buffer.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        let bytes = self
            .bytes
            .get(start..end)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        if let Some(page) = self.unreadable
            && start < (page + 1) * PAGE
            && page * PAGE < end
        {
            return Err(io::Error::other("a bad block"));
        }
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn write_at(&self, _: u64, _: &[u8]) -> io::Result<()> {
        panic!("a look writes")
    }

    fn flush(&self) -> io::Result<()> {
        panic!("a look flushes")
    }
}

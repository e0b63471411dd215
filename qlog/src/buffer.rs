//! Memory that direct I/O accepts: its start is a multiple of 4096.

use bytemuck::{Pod, Zeroable};
use std::ops::{Deref, DerefMut};

/// The alignment of [`Aligned`], and the unit that it grows by.
pub(crate) const PAGE: usize = 4096;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(4096))]
struct Page([u8; PAGE]);

/// Bytes whose first is at a multiple of 4096; zeros until written.
#[derive(Clone, Default)]
pub struct Aligned {
    pages: Vec<Page>,
    len: usize,
}

impl Aligned {
    /// `len` zero bytes.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        let mut new = Self::default();
        new.resize(len);
        new
    }

    /// A copy of these bytes.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut new = Self::zeroed(bytes.len());
        new.copy_from_slice(bytes);
        new
    }

    /// Longer by zeros, or shorter; what is there stays, and memory is kept.
    pub fn resize(&mut self, len: usize) {
        if len < self.len {
            let old = self.len;
            self[len..old].fill(0);
        }
        let pages = len.div_ceil(PAGE);
        if self.pages.is_empty() {
            // Zeros from the allocator, which has not touched them yet.
            self.pages = bytemuck::zeroed_vec(pages);
        } else if pages > self.pages.len() {
            self.pages.resize(pages, Page::zeroed());
        }
        self.len = len;
    }

    /// Bytes of memory that it keeps.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.pages.capacity() * PAGE
    }
}

impl Deref for Aligned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.pages)[..self.len]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.pages)[..self.len]
    }
}

impl std::fmt::Debug for Aligned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} aligned bytes", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::Aligned;

    #[test]
    fn starts_at_a_page_and_what_is_cut_off_comes_back_as_zeros() {
        let mut bytes = Aligned::copy_of(&[7; 5000]);
        assert_eq!(bytes.as_ptr().align_offset(4096), 0);
        bytes.resize(10);
        bytes.resize(5000);
        assert_eq!(bytes[..10], [7; 10]);
        assert!(bytes[10..].iter().all(|byte| *byte == 0));
    }
}

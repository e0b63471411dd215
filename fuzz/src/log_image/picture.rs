//! An input of the target: a short form of a mostly empty image, and what is to be made right in it.
//!
//! ```text
//! rights (1) │ length (1, in 4096 bytes) │ unreadable (1, in 4096 bytes, 0 none) │ run, run, …
//! run: zeros (2, in 8 bytes) │ count (1) │ count bytes
//! ```

/// Which sums are made right after the image was drawn: whoever attacks can work them out as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rights(pub u8);

impl Rights {
    /// Superblocks.
    pub const SUPERBLOCKS: Self = Self(1);
    /// Heads of segments and of shadow slots.
    pub const HEADS: Self = Self(2);
    /// Headers of frames.
    pub const HEADERS: Self = Self(4);
    /// What a frame says of the one before it.
    pub const CHAINS: Self = Self(8);
    /// Bodies.
    pub const BODIES: Self = Self(16);
    /// Catalogues, as superblocks refer to them.
    pub const CATALOGUES: Self = Self(32);
    /// Chunks, as catalogues refer to them.
    pub const CHUNKS: Self = Self(64);
    /// All.
    pub const ALL: Self = Self(127);

    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// The unit of lengths, and of what cannot be read.
pub(super) const PAGE: usize = 4096;
const ZEROS_UNIT: usize = 8;
/// A shorter gap is cheaper as bytes.
const GAP_MIN: usize = 16;

/// An image, and what is done to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picture {
    /// What is made right.
    pub rights: Rights,
    /// The page that cannot be read.
    pub unreadable: Option<usize>,
    /// The bytes of the region, at most 255 pages.
    pub image: Vec<u8>,
}

impl Picture {
    /// The picture in these bytes. What does not fit is left out.
    pub(super) fn parse(data: &[u8]) -> Option<Self> {
        let (&[rights, pages, unreadable], mut rest) = data.split_first_chunk()?;
        let mut image = vec![0; usize::from(pages) * PAGE];
        let mut at = 0;
        while let Some((&[low, high, count], more)) = rest.split_first_chunk() {
            at += usize::from(u16::from_le_bytes([low, high])) * ZEROS_UNIT;
            let bytes = &more[..more.len().min(usize::from(count))];
            rest = &more[bytes.len()..];
            let room = image.len().saturating_sub(at).min(bytes.len());
            if let Some(place) = image.get_mut(at..at + room) {
                place.copy_from_slice(&bytes[..room]);
            }
            at += bytes.len();
        }
        Some(Self {
            rights: Rights(rights),
            unreadable: usize::from(unreadable).checked_sub(1),
            image,
        })
    }

    /// Bytes that [`super::log_image`] takes for this picture.
    ///
    /// # Panics
    /// When the image is longer than 255 pages.
    pub fn emit(&self) -> Vec<u8> {
        let byte = |number: usize| u8::try_from(number).expect("at most 255 pages");
        let mut out = vec![
            self.rights.0,
            byte(self.image.len() / PAGE),
            byte(self.unreadable.map_or(0, |page| page + 1)),
        ];
        let mut at = 0;
        while at < self.image.len() {
            let left = &self.image[at..];
            let zeros = left.iter().take_while(|byte| **byte == 0).count();
            let units = (zeros / ZEROS_UNIT).min(usize::from(u16::MAX));
            let from = units * ZEROS_UNIT;
            let bytes = &left[from..];
            let gap = bytes
                .windows(GAP_MIN)
                .position(|gap| gap.iter().all(|byte| *byte == 0));
            let count = gap.unwrap_or(bytes.len()).min(usize::from(u8::MAX));
            // The next run begins where zeros are counted from: at a multiple of the unit behind this one.
            let count = count.next_multiple_of(ZEROS_UNIT).min(248).min(bytes.len());
            out.extend_from_slice(&u16::try_from(units).unwrap_or(u16::MAX).to_le_bytes());
            out.push(byte(count));
            out.extend_from_slice(&bytes[..count]);
            at += from + count;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_was_drawn() {
        let mut image = vec![0; 3 * PAGE];
        image[5] = 1;
        image[PAGE..PAGE + 700].fill(9);
        image[3 * PAGE - 1] = 7;
        let picture = Picture {
            rights: Rights::HEADS,
            unreadable: Some(2),
            image,
        };
        assert_eq!(Picture::parse(&picture.emit()), Some(picture));
    }

    #[test]
    fn any_bytes_are_a_picture_of_at_most_a_mebibyte() {
        let longest = Picture::parse(&[255; 600]).expect("a picture");
        assert_eq!(longest.image.len(), 255 * PAGE);
        assert_eq!(Picture::parse(&[1, 2]), None);
    }
}

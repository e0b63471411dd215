//! Makes the sums of an image right: a second implementation of where `qlog/FORMAT.md` puts them, and of what they cover,
//! which knows nothing of `qlog`'s code.

use super::picture::Rights;

const SUPERBLOCK: usize = 4096;
const SUPERBLOCKS: usize = 8;
const HEAD: usize = 128;
const HEADER: usize = 64;
const SHADOW_HEAD: usize = 64;
/// Segments of a ring, frames of a segment, chunks of a catalogue: beyond that nothing is made right.
const MOST: usize = 64;

/// Makes right what is asked for. What is not where it could be is left as it is.
pub(super) fn make(image: &mut [u8], rights: Rights) {
    let length = image.len() / SUPERBLOCK * SUPERBLOCK;
    let Some(behind) = length.checked_sub(SUPERBLOCKS * SUPERBLOCK) else {
        return;
    };
    let places = (0..SUPERBLOCKS).flat_map(|index| {
        let at = index * SUPERBLOCK;
        [at, behind + at]
    });
    let mut ring_is_right = false;
    for at in places {
        if image.get(at..at + 8) != Some(b"QLOG-SB\0") {
            continue;
        }
        if let Some(layout) = Layout::read(image, at) {
            if !ring_is_right {
                layout.ring(image, rights);
                ring_is_right = true;
            }
            layout.catalogues(image, at, rights);
        }
        if rights.has(Rights::SUPERBLOCKS) {
            let seed = seed(&[0; 16], 0, at);
            let (crc32, crc32c) = sums(&seed, &image[at + 16..at + SUPERBLOCK]);
            put32(image, at + 8, crc32);
            put32(image, at + 12, crc32c);
        }
    }
}

/// What of a superblock says where things are.
struct Layout {
    id: [u8; 16],
    block: usize,
    segments: usize,
    segment: usize,
    catalogue: usize,
    chunk: usize,
}

impl Layout {
    fn read(image: &[u8], at: usize) -> Option<Self> {
        let id = image.get(at + 32..)?.first_chunk().copied()?;
        let small = |place| {
            let value = usize::try_from(get32(image, at + place)?).ok()?;
            (value <= image.len()).then_some(value)
        };
        let layout = Self {
            id,
            block: small(56)?,
            segments: small(60)?.min(MOST),
            segment: small(64)?,
            catalogue: small(72)?,
            chunk: small(76)?,
        };
        (layout.block > 0 && layout.chunk > 0).then_some(layout)
    }

    fn first_shadow(&self, index: usize) -> usize {
        (SUPERBLOCKS + 1) * self.block.max(SUPERBLOCK) + index * (2 * self.block + self.segment)
    }

    fn ring(&self, image: &mut [u8], rights: Rights) {
        for index in 0..self.segments {
            let shadow = self.first_shadow(index);
            let segment = shadow + 2 * self.block;
            self.segment(image, segment, rights);
            for slot in 0..2 {
                self.shadow(image, shadow + slot * self.block, segment, rights);
            }
        }
    }

    fn segment(&self, image: &mut [u8], segment: usize, rights: Rights) {
        if rights.has(Rights::HEADS) {
            self.head(image, segment, b"QSEG", HEAD);
        }
        let Some(mut previous) = get32(image, segment + 4) else {
            return;
        };
        let mut at = segment + HEAD;
        for _ in 0..MOST {
            if image.get(at..at + 4) != Some(b"QFRM") {
                at = segment + (at - segment).next_multiple_of(self.block);
            }
            if at >= segment + self.segment || image.get(at..at + 4) != Some(b"QFRM") {
                return;
            }
            if rights.has(Rights::CHAINS) {
                put32(image, at + 32, previous);
            }
            let Some(bytes) = self.frame(image, at, at, rights) else {
                return;
            };
            previous = get32(image, at + 4).unwrap_or_default();
            at += bytes.next_multiple_of(8);
        }
    }

    /// A frame that stands here, and whose home is there; its bytes, when it is all in the image.
    fn frame(&self, image: &mut [u8], at: usize, home: usize, rights: Rights) -> Option<usize> {
        let body = usize::try_from(get32(image, at + 8)?).ok()?;
        let end = (at + HEADER).checked_add(body)?;
        let generation = get64(image, at + 56)?;
        let seed = seed(&self.id, generation, home);
        if rights.has(Rights::BODIES)
            && let Some(body) = image.get(at + HEADER..end)
        {
            let (crc32, crc32c) = sums(&seed, body);
            put32(image, at + 40, crc32);
            put32(image, at + 44, crc32c);
        }
        if rights.has(Rights::HEADERS) {
            let (crc32, _) = sums(&seed, image.get(at + 8..at + HEADER)?);
            put32(image, at + 4, crc32);
        }
        (end <= image.len()).then_some(HEADER + body)
    }

    fn shadow(&self, image: &mut [u8], slot: usize, segment: usize, rights: Rights) {
        if image.get(slot..slot + 4) != Some(b"QSHD") {
            return;
        }
        let Some(block) = get32(image, slot + 16).and_then(|block| usize::try_from(block).ok())
        else {
            return;
        };
        let home = segment.saturating_add(block.saturating_mul(self.block));
        for place in (SHADOW_HEAD..self.block).step_by(8) {
            if image.get(slot + place..slot + place + 4) == Some(b"QFRM") {
                let _outside = self.frame(
                    image,
                    slot + place,
                    home.saturating_add(place - SHADOW_HEAD),
                    rights,
                );
            }
        }
        if rights.has(Rights::HEADS) {
            self.head(image, slot, b"QSHD", SHADOW_HEAD);
        }
    }

    fn head(&self, image: &mut [u8], at: usize, magic: &[u8], bytes: usize) {
        if image.get(at..at + 4) != Some(magic) {
            return;
        }
        let Some(generation) = get64(image, at + 8) else {
            return;
        };
        if let Some(summed) = image.get(at + 8..at + bytes) {
            let (crc32, _) = sums(&seed(&self.id, generation, at), summed);
            put32(image, at + 4, crc32);
        }
    }

    /// The two catalogues that the superblock here refers to.
    fn catalogues(&self, image: &mut [u8], superblock: usize, rights: Rights) {
        for reference in [superblock + 192, superblock + 216] {
            let Some(slot) = get32(image, reference + 12).and_then(|slot| slot.checked_sub(1))
            else {
                continue;
            };
            let first = self.first_shadow(self.segments);
            let at = first.saturating_add((slot as usize).saturating_mul(self.catalogue));
            let bytes = get32(image, reference + 8).unwrap_or_default() as usize;
            let end = at.saturating_add(bytes);
            if rights.has(Rights::CHUNKS) {
                self.chunks(image, at..end, first + 4 * self.catalogue);
            }
            if rights.has(Rights::CATALOGUES)
                && let Some(catalogue) = image.get(at..end)
            {
                let (crc32, crc32c) = sums(&seed(&self.id, 0, at), catalogue);
                put32(image, reference + 16, crc32);
                put32(image, reference + 20, crc32c);
            }
        }
    }

    /// The chunks of the objects in a catalogue: version (4), number, first LSN (8 each), then two that may be there,
    /// then the named ones.
    fn chunks(&self, image: &mut [u8], catalogue: std::ops::Range<usize>, first: usize) {
        let mut at = catalogue.start + 20;
        for _ in 0..2 {
            let there = image.get(at).copied();
            at += 1;
            if there == Some(1) {
                at = self.object(image, at, catalogue.end, first);
            }
        }
        let count = get32(image, at).unwrap_or_default() as usize;
        at += 4;
        for _ in 0..count.min(MOST) {
            let Some(name) = image.get(at).copied() else {
                return;
            };
            at = self.object(image, at + 1 + usize::from(name), catalogue.end, first);
        }
    }

    /// LSN (8), bytes (4), then index, CRC-32, CRC-32C (4 each) of each chunk; where it ends.
    fn object(&self, image: &mut [u8], at: usize, end: usize, first: usize) -> usize {
        let bytes = get32(image, at + 8).unwrap_or_default() as usize;
        let (mut at, mut left) = (at + 12, bytes);
        for _ in 0..bytes.div_ceil(self.chunk).min(MOST) {
            if at + 12 > end {
                break;
            }
            let index = get32(image, at).unwrap_or_default() as usize;
            let chunk = first.saturating_add(index.saturating_mul(self.chunk));
            let used = left.min(self.chunk);
            left -= used;
            if let Some(content) = image.get(chunk..chunk.saturating_add(used)) {
                let (crc32, crc32c) = sums(&seed(&self.id, 0, chunk), content);
                put32(image, at + 4, crc32);
                put32(image, at + 8, crc32c);
            }
            at += 12;
        }
        at
    }
}

fn seed(id: &[u8; 16], generation: u64, offset: usize) -> [u8; 32] {
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(id);
    seed[16..24].copy_from_slice(&generation.to_le_bytes());
    seed[24..].copy_from_slice(&(offset as u64).to_le_bytes());
    seed
}

/// CRC-32 and CRC-32C.
fn sums(seed: &[u8], content: &[u8]) -> (u32, u32) {
    let mut crc32 = crc32fast::Hasher::new();
    crc32.update(seed);
    crc32.update(content);
    (
        crc32.finalize(),
        crc32c::crc32c_append(crc32c::crc32c(seed), content),
    )
}

fn get32(image: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*image.get(at..)?.first_chunk()?))
}

fn get64(image: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*image.get(at..)?.first_chunk()?))
}

fn put32(image: &mut [u8], at: usize, value: u32) {
    if let Some(place) = image.get_mut(at..at.saturating_add(4)) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}

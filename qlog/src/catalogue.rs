//! The catalogue: which chunks hold the checkpoint, the one before it, and the named objects. `FORMAT.md`,
//! "Catalogue".
//!
//! Written as a whole to the place that is not in use, and named by the superblock with its sums; so it holds no
//! sum of its own.

use crate::ids::Lsn;
use crate::layout::{Layout, MAX_OBJECTS};
use crate::sum::Sums;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const NAME_BYTES_MAX: usize = 64;
/// The first number is the format of this list.
const VERSION: u32 = 1;

/// Bytes in chunks.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Object {
    /// Of a checkpoint: the last record it covers. Of an object: the last one when it was written.
    pub(crate) lsn: Lsn,
    pub(crate) bytes: u32,
    pub(crate) chunks: Vec<Chunk>,
}

/// One chunk and the sums of what is used of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Chunk {
    pub(crate) index: u32,
    pub(crate) sums: Sums,
}

/// Everything that is stored beside the log.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Catalogue {
    /// Counts the catalogues of this log.
    pub(crate) number: u64,
    /// The first record that the log still holds.
    pub(crate) kept_from: Lsn,
    /// The newest checkpoint.
    pub(crate) state: Option<Object>,
    /// The one before it, unless its records had to make room.
    pub(crate) previous: Option<Object>,
    pub(crate) objects: BTreeMap<String, Object>,
}

impl Catalogue {
    /// Every chunk that it refers to.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = u32> + '_ {
        let states = self.state.iter().chain(&self.previous);
        states
            .chain(self.objects.values())
            .flat_map(|object| object.chunks.iter().map(|chunk| chunk.index))
    }

    pub(crate) fn emit(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put32(&mut out, VERSION);
        put64(&mut out, self.number);
        put64(&mut out, self.kept_from.0);
        for state in [&self.state, &self.previous] {
            out.push(u8::from(state.is_some()));
            if let Some(state) = state {
                put_object(&mut out, state);
            }
        }
        put32(&mut out, crate::words::small(self.objects.len()));
        for (name, object) in &self.objects {
            out.push(u8::try_from(name.len()).expect("at most 64 bytes"));
            out.extend_from_slice(name.as_bytes());
            put_object(&mut out, object);
        }
        out
    }

    /// The catalogue in these bytes, whose sums are right; nothing when it is impossible for this layout.
    pub(crate) fn parse(bytes: &[u8], layout: &Layout) -> Option<Self> {
        let mut input = Input(bytes);
        if input.u32()? != VERSION {
            return None;
        }
        let (number, kept_from) = (input.u64()?, Lsn(input.u64()?));
        if !Lsn(number).is_possible() || !kept_from.is_possible() {
            return None;
        }
        let mut state = || match input.u8()? {
            0 => Some(None),
            1 => Some(Some(input.object(layout)?)),
            _ => None,
        };
        let (state, previous) = (state()?, state()?);
        let count = input.u32()? as usize;
        if count > MAX_OBJECTS {
            return None;
        }
        let mut objects = BTreeMap::new();
        for _ in 0..count {
            let length = usize::from(input.u8()?);
            let name = String::from_utf8(input.take(length)?.to_vec()).ok()?;
            objects.insert(name, input.object(layout)?);
        }
        let catalogue = Self {
            number,
            kept_from,
            state,
            previous,
            objects,
        };
        let is_possible = input.0.is_empty()
            && catalogue.objects.len() == count
            && catalogue.has_each_chunk_once();
        is_possible.then_some(catalogue)
    }

    /// Whoever reads everything in it reads no more than the chunks hold.
    fn has_each_chunk_once(&self) -> bool {
        let mut seen = BTreeSet::new();
        self.chunks().all(|index| seen.insert(index))
    }
}

fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_object(out: &mut Vec<u8>, object: &Object) {
    put64(out, object.lsn.0);
    put32(out, object.bytes);
    for chunk in &object.chunks {
        put32(out, chunk.index);
        put32(out, chunk.sums.crc32);
        put32(out, chunk.sums.crc32c);
    }
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)
            .map(|bytes| u32::from_le_bytes(bytes.try_into().expect("4 bytes")))
    }

    fn u64(&mut self) -> Option<u64> {
        self.take(8)
            .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("8 bytes")))
    }

    fn object(&mut self, layout: &Layout) -> Option<Object> {
        let lsn = Lsn(self.u64()?);
        let bytes = self.u32()?;
        if bytes > layout.max_object_bytes() || !lsn.is_possible() {
            return None;
        }
        let count = bytes.div_ceil(layout.format().chunk_bytes);
        let chunks = (0..count)
            .map(|_| {
                let index = self.u32()?;
                let sums = Sums {
                    crc32: self.u32()?,
                    crc32c: self.u32()?,
                };
                (index < layout.format().chunks).then_some(Chunk { index, sums })
            })
            .collect::<Option<_>>()?;
        Some(Object { lsn, bytes, chunks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Format;
    use crate::words::small;
    use proptest::prelude::*;

    fn layout() -> Layout {
        Format::for_region(4 << 20, 4096).unwrap().layout().unwrap()
    }

    /// An object of this size from the chunk `first` on.
    fn object(lsn: u64, bytes: u32, first: u32) -> Object {
        let count = bytes.div_ceil(layout().format().chunk_bytes);
        let chunk = |index| Chunk {
            index,
            sums: Sums {
                crc32: index,
                crc32c: !index,
            },
        };
        Object {
            lsn: Lsn(lsn),
            bytes,
            chunks: (first..first + count).map(chunk).collect(),
        }
    }

    #[test]
    fn comes_back_as_it_was_written() {
        let mut catalogue = Catalogue {
            number: 9,
            state: Some(object(7, 50_000, 0)),
            ..Catalogue::default()
        };
        assert_eq!(
            Catalogue::parse(&catalogue.emit(), &layout()),
            Some(catalogue.clone())
        );
        catalogue.previous = Some(object(3, 0, 0));
        catalogue
            .objects
            .insert("disk-1".into(), object(5, 20_000, 9));
        assert_eq!(
            Catalogue::parse(&catalogue.emit(), &layout()),
            Some(catalogue)
        );
    }

    #[test]
    fn one_that_has_a_chunk_twice_is_nothing() {
        let catalogue = Catalogue {
            state: Some(object(7, 50_000, 0)),
            previous: Some(object(3, 50_000, 2)),
            ..Catalogue::default()
        };
        assert_eq!(Catalogue::parse(&catalogue.emit(), &layout()), None);
    }

    #[test]
    fn the_fullest_one_fits_its_place() {
        let layout = Format::for_region(1 << 30, 4096).unwrap().layout().unwrap();
        let largest = layout.max_object_bytes();
        let chunks = largest.div_ceil(layout.format().chunk_bytes);
        // As many chunks as there can be, in one object after the other.
        let mut indexes = 0..layout.format().chunks;
        let mut object = || Object {
            lsn: Lsn(1),
            bytes: largest.min(small(indexes.len()) * layout.format().chunk_bytes),
            chunks: indexes
                .by_ref()
                .take(chunks as usize)
                .map(|index| Chunk {
                    index,
                    sums: Sums::default(),
                })
                .collect(),
        };
        let catalogue = Catalogue {
            number: 1,
            kept_from: Lsn(1),
            state: Some(object()),
            previous: Some(object()),
            objects: (0..MAX_OBJECTS)
                .map(|number| (format!("{number:064}"), object()))
                .collect(),
        };
        let bytes = catalogue.emit();
        assert!(
            bytes.len() <= layout.format().catalogue_bytes as usize,
            "{} bytes",
            bytes.len()
        );
        assert_eq!(Catalogue::parse(&bytes, &layout), Some(catalogue));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_catalogue_or_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _parsed = Catalogue::parse(&bytes, &layout());
        }

        #[test]
        fn a_cut_one_is_nothing(at in 0_usize..60) {
            let catalogue = Catalogue { number: 9, state: Some(object(7, 50_000, 0)), ..Catalogue::default() };
            prop_assert_eq!(Catalogue::parse(&catalogue.emit()[..at], &layout()), None);
        }
    }
}

//! The superblock: what an owner claims, and where a reader begins. `FORMAT.md`, "Superblock".
//!
//! Bytes to values and back; which of the many copies counts is decided in `recover::roots`.

use crate::claim::Owner;
use crate::guards::{Guard, Guards};
use crate::ids::{Epoch, Generation, LogId, Lsn};
use crate::layout::{Format, MAX_SEGMENTS, RingSet, SUPERBLOCK_BYTES};
use crate::sum::{Seed, Sums};
use crate::words::{Le16, Le32, Le64, small};
use bytemuck::{Pod, Zeroable, bytes_of, pod_read_unaligned};

/// The format that this program writes.
pub(crate) const MAJOR: u32 = 1;
const MAGIC: [u8; 8] = *b"QLOG-SB\0";
const NAME_BYTES: usize = 64;
const TIMES_BYTES: usize = 256;

/// What the cluster writes into its superblock: for people, and so that another cluster's log is noticed.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Cluster {
    /// The cluster's name, at most 64 bytes.
    pub name: String,
    /// The times in force, in bytes that only their owner reads; at most 256.
    pub times: Vec<u8>,
}

impl Cluster {
    pub(crate) fn fits(&self) -> bool {
        self.name.len() <= NAME_BYTES && self.times.len() <= TIMES_BYTES
    }
}

/// A hand-over: the epoch is over, and the holder of the disk lets itself be preempted without a wait.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Parked {
    /// The epoch that was parked.
    pub epoch: Epoch,
    /// Who parked; its key still holds the disk.
    pub owner: Owner,
}

/// A segment that is no longer written, or the one that is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Extent {
    pub(crate) generation: Generation,
    pub(crate) epoch: Epoch,
    pub(crate) incarnation: u64,
    /// The first record in it.
    pub(crate) first_lsn: Lsn,
    /// The record after its last.
    pub(crate) end_lsn: Lsn,
    /// Where its last frame ends, from its start.
    pub(crate) end: u32,
    /// The chain sum of its last frame.
    pub(crate) sum: u32,
}

/// A catalogue that can be trusted when its sum is right.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct CatalogueRef {
    pub(crate) slot: u8,
    pub(crate) bytes: u32,
    pub(crate) number: u64,
    pub(crate) sums: Sums,
}

/// Everything that a superblock says.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Superblock {
    pub(crate) id: LogId,
    pub(crate) format: Format,
    pub(crate) cluster: Cluster,
    /// Counts the superblocks of this log.
    pub(crate) number: u64,
    pub(crate) epoch: Epoch,
    pub(crate) owner: Owner,
    pub(crate) incarnation: u64,
    /// The first segment of the epoch that is kept.
    pub(crate) start: Generation,
    /// Its first record: at the claim, where the epochs before were cut.
    pub(crate) start_lsn: Lsn,
    /// Segments of the ring that this epoch leaves alone: the owner before it may still have had a write under way there.
    pub(crate) avoid: RingSet,
    /// Segments that were in use until this was written: the owner may have gone round them meanwhile.
    pub(crate) freed: RingSet,
    /// The segments of earlier epochs that are still needed, in order.
    pub(crate) sealed: Vec<Extent>,
    /// The newest catalogue, and the one before it.
    pub(crate) catalogues: [Option<CatalogueRef>; 2],
    /// The number of the catalogue that changed an object last.
    pub(crate) objects: u64,
    /// All records before this one were durable when this was written.
    pub(crate) durable: Lsn,
    /// The end of the epoch, when its owner closed or parked it.
    pub(crate) clean: Option<Extent>,
    pub(crate) parked: bool,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct ExtentBytes {
    generation: Le64,
    epoch: Le64,
    incarnation: Le64,
    first_lsn: Le64,
    end_lsn: Le64,
    end: Le32,
    sum: Le32,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct CatalogueRefBytes {
    number: Le64,
    bytes: Le32,
    /// 0 none, else 1 + slot.
    slot: Le32,
    crc32: Le32,
    crc32c: Le32,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Bytes {
    magic: [u8; 8],
    crc32: Le32,
    crc32c: Le32,
    major: Le32,
    avoid: Le16,
    freed: Le16,
    features: Le64,
    id: [u8; 16],
    number: Le64,
    block_bytes: Le32,
    segments: Le32,
    segment_bytes: Le64,
    catalogue_bytes: Le32,
    chunk_bytes: Le32,
    chunks: Le32,
    region_bytes: Le64,
    sealed_count: Le16,
    flags: Le16,
    epoch: Le64,
    incarnation: Le64,
    key: Le64,
    node: Le32,
    name_bytes: Le16,
    times_bytes: Le16,
    start: Le64,
    start_lsn: Le64,
    clean: ExtentBytes,
    catalogues: [CatalogueRefBytes; 2],
    name: [u8; NAME_BYTES],
    times: [u8; TIMES_BYTES],
    sealed: [ExtentBytes; MAX_SEGMENTS as usize],
    objects: Le64,
    durable: Le64,
}
/// What the sums cover begins behind them.
const SUMMED_FROM: usize = 16;
const CLEAN: u16 = 1;
const PARKED: u16 = 2;

/// What the bytes of a superblock place are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// Nothing of ours.
    Nothing,
    /// The mark of a superblock, but the sums are wrong.
    Remains,
    /// A whole superblock of a later format.
    Newer { major: u32, features: u64 },
    /// A whole superblock.
    Whole(Box<Superblock>),
}

/// A superblock stands at its place only.
fn seed(offset: u64, guards: Guards) -> Seed {
    Seed {
        log: LogId::default(),
        generation: Generation(0),
        offset: if guards.on(Guard::SeedOfPlace) {
            offset
        } else {
            0
        },
    }
}

impl Superblock {
    /// Its bytes at this place.
    ///
    /// # Panics
    /// When it says more than there is room for: a broken invariant.
    pub(crate) fn emit(&self, offset: u64, guards: Guards) -> Vec<u8> {
        let mut raw = Bytes {
            magic: MAGIC,
            major: Le32::new(MAJOR),
            avoid: Le16::new(self.avoid.0),
            freed: Le16::new(self.freed.0),
            id: self.id.0,
            number: Le64::new(self.number),
            block_bytes: Le32::new(self.format.block_bytes),
            segments: Le32::new(self.format.segments),
            segment_bytes: Le64::new(self.format.segment_bytes),
            catalogue_bytes: Le32::new(self.format.catalogue_bytes),
            chunk_bytes: Le32::new(self.format.chunk_bytes),
            chunks: Le32::new(self.format.chunks),
            region_bytes: Le64::new(self.format.region_bytes),
            sealed_count: short(self.sealed.len()),
            flags: Le16::new(
                if self.clean.is_some() { CLEAN } else { 0 } | if self.parked { PARKED } else { 0 },
            ),
            epoch: Le64::new(self.epoch.0),
            incarnation: Le64::new(self.incarnation),
            key: Le64::new(self.owner.key),
            node: Le32::new(self.owner.node),
            name_bytes: short(self.cluster.name.len()),
            times_bytes: short(self.cluster.times.len()),
            start: Le64::new(self.start.0),
            start_lsn: Le64::new(self.start_lsn.0),
            objects: Le64::new(self.objects),
            durable: Le64::new(self.durable.0),
            clean: self.clean.unwrap_or_default().to_bytes(),
            catalogues: self.catalogues.map(catalogue_bytes),
            ..Bytes::zeroed()
        };
        raw.name[..self.cluster.name.len()].copy_from_slice(self.cluster.name.as_bytes());
        raw.times[..self.cluster.times.len()].copy_from_slice(&self.cluster.times);
        for (place, extent) in raw.sealed.iter_mut().zip(&self.sealed) {
            *place = extent.to_bytes();
        }
        assert!(
            self.sealed.len() <= raw.sealed.len(),
            "a ring has at most 16 segments"
        );
        let mut bytes = vec![0; SUPERBLOCK_BYTES];
        bytes[..size_of::<Bytes>()].copy_from_slice(bytes_of(&raw));
        let sums = Sums::of(seed(offset, guards), &bytes[SUMMED_FROM..]);
        bytes[8..12].copy_from_slice(&sums.crc32.to_le_bytes());
        bytes[12..16].copy_from_slice(&sums.crc32c.to_le_bytes());
        bytes
    }

    /// What is in these bytes, which stand at this place.
    pub(crate) fn parse(bytes: &[u8], offset: u64, guards: Guards) -> Found {
        let Some(bytes) = bytes.get(..SUPERBLOCK_BYTES) else {
            return Found::Nothing;
        };
        let raw: Bytes = pod_read_unaligned(&bytes[..size_of::<Bytes>()]);
        if raw.magic != MAGIC {
            return Found::Nothing;
        }
        let sums = Sums {
            crc32: raw.crc32.get(),
            crc32c: raw.crc32c.get(),
        };
        if Sums::of(seed(offset, guards), &bytes[SUMMED_FROM..]) != sums {
            return Found::Remains;
        }
        let (major, features) = (raw.major.get(), raw.features.get());
        if major != MAJOR || features != 0 {
            return Found::Newer { major, features };
        }
        raw.values()
            .map_or(Found::Remains, |all| Found::Whole(Box::new(all)))
    }

    /// The log as its owner parked it.
    pub(crate) fn parked(&self) -> Option<Parked> {
        self.parked.then_some(Parked {
            epoch: self.epoch,
            owner: self.owner,
        })
    }
}

impl Bytes {
    /// The values, when each is possible.
    fn values(&self) -> Option<Superblock> {
        let format = Format {
            block_bytes: self.block_bytes.get(),
            segments: self.segments.get(),
            segment_bytes: self.segment_bytes.get(),
            catalogue_bytes: self.catalogue_bytes.get(),
            chunk_bytes: self.chunk_bytes.get(),
            chunks: self.chunks.get(),
            region_bytes: self.region_bytes.get(),
        };
        format.layout().ok()?;
        let flags = self.flags.get();
        let name = self.name.get(..usize::from(self.name_bytes.get()))?;
        let [newest, previous] = self.catalogues;
        let superblock = Superblock {
            id: LogId(self.id),
            format,
            cluster: Cluster {
                name: String::from_utf8(name.to_vec()).ok()?,
                times: self
                    .times
                    .get(..usize::from(self.times_bytes.get()))?
                    .to_vec(),
            },
            number: self.number.get(),
            epoch: Epoch(self.epoch.get()),
            owner: Owner {
                node: self.node.get(),
                key: self.key.get(),
            },
            incarnation: self.incarnation.get(),
            start: Generation(self.start.get()),
            start_lsn: Lsn(self.start_lsn.get()),
            avoid: RingSet(self.avoid.get()),
            freed: RingSet(self.freed.get()),
            objects: self.objects.get(),
            durable: Lsn(self.durable.get()),
            sealed: self
                .sealed
                .get(..usize::from(self.sealed_count.get()))?
                .iter()
                .map(ExtentBytes::value)
                .collect(),
            catalogues: [newest.value()?, previous.value()?],
            clean: (flags & CLEAN != 0).then(|| self.clean.value()),
            parked: flags & PARKED != 0,
        };
        superblock.is_possible().then_some(superblock)
    }
}

impl Superblock {
    /// Could an owner have said this? Only what those who read on rely on.
    fn is_possible(&self) -> bool {
        let mut extents = self.sealed.iter().chain(&self.clean);
        let catalogues = self.catalogues.iter().flatten();
        let mut counted = catalogues
            .map(|it| it.number)
            .chain([self.number, self.objects]);
        let in_the_ring = |set: RingSet| u32::from(set.0) >> self.format.segments == 0;
        self.epoch.is_possible()
            && in_the_ring(self.avoid)
            && in_the_ring(self.freed)
            && self.start.is_possible()
            && self.start_lsn.is_possible()
            && self.start_lsn > Lsn(0)
            && extents.all(|extent| extent.is_possible(self.format.segment_bytes))
            && counted.all(|number| Lsn(number).is_possible())
    }
}

impl Extent {
    fn is_possible(&self, segment: u64) -> bool {
        self.generation.is_possible()
            && self.epoch.is_possible()
            && self.end_lsn.is_possible()
            && (Lsn(1)..=self.end_lsn).contains(&self.first_lsn)
            && u64::from(self.end) <= segment
    }

    fn to_bytes(self) -> ExtentBytes {
        ExtentBytes {
            generation: Le64::new(self.generation.0),
            epoch: Le64::new(self.epoch.0),
            incarnation: Le64::new(self.incarnation),
            first_lsn: Le64::new(self.first_lsn.0),
            end_lsn: Le64::new(self.end_lsn.0),
            end: Le32::new(self.end),
            sum: Le32::new(self.sum),
        }
    }
}

impl ExtentBytes {
    fn value(&self) -> Extent {
        Extent {
            generation: Generation(self.generation.get()),
            epoch: Epoch(self.epoch.get()),
            incarnation: self.incarnation.get(),
            first_lsn: Lsn(self.first_lsn.get()),
            end_lsn: Lsn(self.end_lsn.get()),
            end: self.end.get(),
            sum: self.sum.get(),
        }
    }
}

impl CatalogueRefBytes {
    /// The reference, or that there is none; nothing when it is impossible.
    fn value(&self) -> Option<Option<CatalogueRef>> {
        let slot = match self.slot.get() {
            0 => return Some(None),
            slot @ 1..=4 => u8::try_from(slot - 1).expect("below 4"),
            _ => return None,
        };
        Some(Some(CatalogueRef {
            slot,
            bytes: self.bytes.get(),
            number: self.number.get(),
            sums: Sums {
                crc32: self.crc32.get(),
                crc32c: self.crc32c.get(),
            },
        }))
    }
}

fn catalogue_bytes(reference: Option<CatalogueRef>) -> CatalogueRefBytes {
    reference.map_or_else(CatalogueRefBytes::zeroed, |reference| CatalogueRefBytes {
        number: Le64::new(reference.number),
        bytes: Le32::new(reference.bytes),
        slot: Le32::new(u32::from(reference.slot) + 1),
        crc32: Le32::new(reference.sums.crc32),
        crc32c: Le32::new(reference.sums.crc32c),
    })
}

fn short(length: usize) -> Le16 {
    Le16::new(u16::try_from(small(length)).expect("bounded below 64 KiB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Superblock {
        let extent = Extent {
            generation: Generation(4),
            epoch: Epoch(2),
            incarnation: 3,
            first_lsn: Lsn(1),
            end_lsn: Lsn(9),
            end: 500,
            sum: 77,
        };
        Superblock {
            id: LogId([8; 16]),
            format: Format::for_region(4 << 20, 4096).unwrap(),
            cluster: Cluster {
                name: "alpha".into(),
                times: vec![1, 2, 3],
            },
            number: 12,
            epoch: Epoch(3),
            owner: Owner { node: 5, key: 0xa7 },
            incarnation: 99,
            start: Generation(7),
            start_lsn: Lsn(9),
            avoid: RingSet(0b101),
            freed: RingSet(0b1000),
            objects: 4,
            durable: Lsn(12),
            sealed: vec![extent; 2],
            catalogues: [
                Some(CatalogueRef {
                    slot: 1,
                    bytes: 100,
                    number: 4,
                    sums: Sums {
                        crc32: 1,
                        crc32c: 2,
                    },
                }),
                None,
            ],
            clean: Some(extent),
            parked: true,
        }
    }

    #[test]
    fn comes_back_as_it_was_written_and_only_at_its_place() {
        let bytes = example().emit(4096, Guards::ALL_ON);
        assert_eq!(
            Superblock::parse(&bytes, 4096, Guards::ALL_ON),
            Found::Whole(Box::new(example()))
        );
        assert_eq!(
            Superblock::parse(&bytes, 8192, Guards::ALL_ON),
            Found::Remains
        );
        assert_eq!(
            Superblock::parse(&[0; SUPERBLOCK_BYTES], 0, Guards::ALL_ON),
            Found::Nothing
        );
        assert_eq!(
            Superblock::parse(&bytes[..100], 4096, Guards::ALL_ON),
            Found::Nothing
        );
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = example().emit(0, Guards::ALL_ON);
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let expected = if bit / 8 < 8 {
                Found::Nothing
            } else {
                Found::Remains
            };
            assert_eq!(
                Superblock::parse(&bad, 0, Guards::ALL_ON),
                expected,
                "bit {bit}"
            );
        }
    }
}

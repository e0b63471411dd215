//! A disk for many short runs from one image: what was written lies over the image, sector by sector, and every flush
//! is a moment at which a crash can be looked at.

use crate::oracle::Oracle;
use crate::world::{Shared, lock};
use qlog::Storage;
use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a crash keeps or loses as a whole.
pub(crate) const SECTOR: usize = 64;

/// Bytes that were written, or arrived.
#[derive(Clone, Debug)]
pub(crate) struct Patch {
    pub(crate) offset: usize,
    pub(crate) bytes: Arc<[u8]>,
}

/// What lies over the image when a run begins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Over {
    pub(crate) patches: Vec<Patch>,
    /// How many of them a flush has kept.
    pub(crate) flushed: usize,
    /// Sectors that cannot be read.
    pub(crate) broken: BTreeSet<usize>,
}

/// A flush with something to keep: just before it, every write since the last one may be there or not.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub(crate) flushed: usize,
    pub(crate) upto: usize,
    /// What is known by then.
    pub(crate) oracle: Oracle,
}

pub(crate) struct Overlay {
    base: Arc<Vec<u8>>,
    block: u32,
    oracle: Shared,
    core: Mutex<Core>,
}

struct Core {
    over: Over,
    moments: Vec<Moment>,
}

impl std::fmt::Debug for Overlay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("overlay")
    }
}

impl Overlay {
    pub(crate) fn new(base: &Arc<Vec<u8>>, block: u32, over: Over, oracle: &Shared) -> Arc<Self> {
        let core = Core {
            over,
            moments: Vec::new(),
        };
        Arc::new(Self {
            base: Arc::clone(base),
            block,
            oracle: Arc::clone(oracle),
            core: Mutex::new(core),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn over(&self) -> Over {
        self.lock().over.clone()
    }

    pub(crate) fn moments(&self) -> Vec<Moment> {
        self.lock().moments.clone()
    }
}

/// These bytes of an image with something over it.
pub(crate) fn read(base: &[u8], patches: &[Patch], offset: usize, buffer: &mut [u8]) {
    buffer.copy_from_slice(&base[offset..][..buffer.len()]);
    let end = offset + buffer.len();
    for patch in patches {
        let from = patch.offset.max(offset);
        let to = (patch.offset + patch.bytes.len()).min(end);
        if from < to {
            buffer[from - offset..to - offset]
                .copy_from_slice(&patch.bytes[from - patch.offset..to - patch.offset]);
        }
    }
}

fn within(len: usize, offset: u64, count: usize) -> io::Result<usize> {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    match start.checked_add(count) {
        Some(end) if end <= len => Ok(start),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

impl Storage for Overlay {
    fn region_bytes(&self) -> u64 {
        self.base.len() as u64
    }

    fn block_bytes(&self) -> u32 {
        self.block
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = within(self.base.len(), offset, buffer.len())?;
        let core = self.lock();
        let sectors = start / SECTOR..(start + buffer.len()).div_ceil(SECTOR);
        if core.over.broken.range(sectors).next().is_some() {
            return Err(io::Error::other("medium error"));
        }
        read(&self.base, &core.over.patches, start, buffer);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let start = within(self.base.len(), offset, bytes.len())?;
        let mut core = self.lock();
        for sector in start / SECTOR..(start + bytes.len()) / SECTOR {
            core.over.broken.remove(&sector);
        }
        core.over.patches.push(Patch {
            offset: start,
            bytes: bytes.into(),
        });
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let oracle = lock(&self.oracle).clone();
        let mut core = self.lock();
        let (flushed, upto) = (core.over.flushed, core.over.patches.len());
        if flushed < upto {
            core.moments.push(Moment {
                flushed,
                upto,
                oracle,
            });
            core.over.flushed = upto;
        }
        Ok(())
    }
}

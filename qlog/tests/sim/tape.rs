//! A disk that records what it is told, and does otherwise where a script says so: for histories in words, and for
//! every crash of a workload.

use qlog::Storage;
use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One write or flush.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Op {
    Write { offset: usize, bytes: Vec<u8> },
    Flush,
}

/// What becomes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Act {
    /// It is done.
    Do,
    /// It is told as done.
    Lose,
    /// It is told as failed, and nothing is written.
    Fail,
}

type Script = Box<dyn FnMut(&Op) -> Act + Send>;

/// The disk.
pub(crate) struct Tape {
    block: u32,
    core: Mutex<Core>,
    script: Mutex<Option<Script>>,
}

struct Core {
    image: Vec<u8>,
    /// What a flush has kept.
    durable: Vec<u8>,
    /// What none has kept yet, in order.
    pending: Vec<(usize, Vec<u8>)>,
    /// Blocks that cannot be read.
    unreadable: BTreeSet<usize>,
    ops: Vec<Op>,
}

impl std::fmt::Debug for Tape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("tape")
    }
}

impl Tape {
    pub(crate) fn new(image: Vec<u8>, block: u32) -> Arc<Self> {
        let core = Core {
            durable: image.clone(),
            pending: Vec::new(),
            image,
            unreadable: BTreeSet::new(),
            ops: Vec::new(),
        };
        Arc::new(Self {
            block,
            core: Mutex::new(core),
            script: Mutex::new(None),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it holds.
    pub(crate) fn image(&self) -> Vec<u8> {
        self.lock().image.clone()
    }

    /// What a power cut now keeps at least, and the writes of which it keeps what it likes.
    pub(crate) fn at_a_cut(&self) -> (Vec<u8>, Vec<(usize, Vec<u8>)>) {
        let core = self.lock();
        (core.durable.clone(), core.pending.clone())
    }

    /// From now on this decides. It runs outside of all locks, so it may use the disk; what it does there itself is
    /// not decided by it.
    pub(crate) fn script(&self, script: impl FnMut(&Op) -> Act + Send + 'static) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(script));
    }

    /// No script any more.
    pub(crate) fn as_it_is(&self) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The writes since this many operations: where, and how many bytes.
    pub(crate) fn writes_since(&self, ops: usize) -> Vec<(usize, Vec<u8>)> {
        let core = self.lock();
        let writes = core.ops[ops..].iter().filter_map(|op| match op {
            Op::Write { offset, bytes } => Some((*offset, bytes.clone())),
            Op::Flush => None,
        });
        writes.collect()
    }

    /// How many operations there were.
    pub(crate) fn now(&self) -> usize {
        self.lock().ops.len()
    }

    /// Bytes arrive behind everybody's back.
    pub(crate) fn put(&self, offset: usize, bytes: &[u8]) {
        let mut core = self.lock();
        core.image[offset..][..bytes.len()].copy_from_slice(bytes);
        core.durable[offset..][..bytes.len()].copy_from_slice(bytes);
    }

    /// More than one bit of each sector is wrong.
    pub(crate) fn garble(&self, range: Range<usize>) {
        for (index, byte) in self.lock().image[range].iter_mut().enumerate() {
            *byte ^= 0x5a ^ index.to_le_bytes()[0];
        }
    }

    /// One bit is wrong.
    pub(crate) fn flip(&self, offset: usize, bit: u8) {
        self.lock().image[offset] ^= 1 << bit;
    }

    /// These bytes cannot be read any more.
    pub(crate) fn spoil(&self, range: Range<usize>) {
        let block = self.block as usize;
        let blocks = range.start / block..range.end.div_ceil(block);
        self.lock().unreadable.extend(blocks);
    }

    fn decide(&self, op: &Op) -> Act {
        let slot = || self.script.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = slot().take();
        self.lock().ops.push(op.clone());
        let Some(mut script) = taken else {
            return Act::Do;
        };
        let act = script(op);
        slot().get_or_insert(script);
        act
    }
}

fn range(len: usize, offset: u64, count: usize) -> io::Result<Range<usize>> {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    match start.checked_add(count) {
        Some(end) if end <= len => Ok(start..end),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

impl Storage for Tape {
    fn region_bytes(&self) -> u64 {
        self.lock().image.len() as u64
    }

    fn block_bytes(&self) -> u32 {
        self.block
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let core = self.lock();
        let range = range(core.image.len(), offset, buffer.len())?;
        let block = self.block as usize;
        let blocks = range.start / block..range.end.div_ceil(block);
        if core.unreadable.range(blocks).next().is_some() {
            return Err(io::Error::other("medium error"));
        }
        buffer.copy_from_slice(&core.image[range]);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let range = range(self.lock().image.len(), offset, bytes.len())?;
        let op = Op::Write {
            offset: range.start,
            bytes: bytes.to_vec(),
        };
        match self.decide(&op) {
            Act::Do => {
                let mut core = self.lock();
                core.pending.push((range.start, bytes.to_vec()));
                core.image[range].copy_from_slice(bytes);
                Ok(())
            }
            Act::Lose => Ok(()),
            Act::Fail => Err(io::Error::other("EIO")),
        }
    }

    fn flush(&self) -> io::Result<()> {
        match self.decide(&Op::Flush) {
            Act::Do => {
                let mut core = self.lock();
                for (offset, bytes) in std::mem::take(&mut core.pending) {
                    core.durable[offset..][..bytes.len()].copy_from_slice(&bytes);
                }
                Ok(())
            }
            Act::Lose => Ok(()),
            Act::Fail => Err(io::Error::other("EIO")),
        }
    }
}

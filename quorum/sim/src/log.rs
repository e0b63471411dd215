//! The quorum log of a world: the shipped `qlog` on a region of the simulated disk.
//!
//! `qlog` is synchronous, so what it does happens between two steps of the world, at one instant: whether the disk
//! admits the node's writes is found out by a real write of that nexus just before. What goes wrong with one of those
//! writes is drawn: it is *kept* in the host, which gives it up (the log hears an error, and its handle is poisoned), and
//! travels on as any late write of the world does, past the loss of the disk and into the next owner's term, if the disk
//! admits it then; or it took effect, and its answer is *lost*.
//!
//! What must hold: whoever is told `Held` opens the log and finds every record that was acknowledged before, whatever
//! came late. Once an owner of before has written through a disk that was open (SCSI-2; an operator's CLEAR; a power loss
//! without APTPL), or has been let in by a late REGISTER, two have written one log, and nothing is claimed of it any more;
//! such logs are counted.

use crate::rng::Rng;
use qlog::{
    Claim, Cluster, Entry, Fencing, Format, Log, Lsn, OpenError, Owner, Proof, Replay, Storage,
    WriteError,
};
use quorum_core::arbitration::ParkedMark;
use scsi::reservation::Key;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many of the last records a checkpoint names: far more than are written in two terms.
const NAMED: usize = 256;

/// A region small enough to be read in no time: a ring of four segments that turns around in a few terms.
fn format() -> Format {
    let mut format = Format {
        block_bytes: 512,
        segments: 4,
        segment_bytes: 8 << 10,
        catalogue_bytes: 4 << 10,
        chunk_bytes: 1 << 10,
        chunks: 24,
        region_bytes: 0,
    };
    format.region_bytes = format.used_bytes().next_multiple_of(4096);
    format
}

/// What goes wrong with one of the next writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Spoil {
    /// It stays in the host, and travels on.
    Kept,
    /// It takes effect, and its answer is lost.
    AnswerLost,
}

/// The medium, and what is admitted to it at this instant.
#[derive(Debug)]
struct Region {
    image: Vec<u8>,
    admits: bool,
    spoil: Option<(u64, Spoil)>,
    kept: Vec<(u64, Vec<u8>)>,
}

/// The way of one node to the region.
#[derive(Clone, Debug)]
pub(crate) struct Port(Arc<Mutex<Region>>);

impl Port {
    fn lock(&self) -> MutexGuard<'_, Region> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for Port {
    fn region_bytes(&self) -> u64 {
        self.lock().image.len() as u64
    }

    fn block_bytes(&self) -> u32 {
        512
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let region = self.lock();
        let range = range(offset, buffer.len(), region.image.len())?;
        buffer.copy_from_slice(&region.image[range]);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut region = self.lock();
        let range = range(offset, bytes.len(), region.image.len())?;
        if !region.admits {
            return Err(io::Error::other("reservation conflict"));
        }
        let spoil = match &mut region.spoil {
            Some((0, spoil)) => Some(*spoil),
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        };
        if spoil == Some(Spoil::Kept) {
            region.kept.push((offset, bytes.to_vec()));
        } else {
            region.image[range].copy_from_slice(bytes);
        }
        if spoil.is_some() {
            // The nexus is in trouble: nothing after it is answered either.
            region.admits = false;
            return Err(io::Error::from(io::ErrorKind::TimedOut));
        }
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

fn range(offset: u64, len: usize, end: usize) -> io::Result<std::ops::Range<usize>> {
    let start = usize::try_from(offset).map_err(io::Error::other)?;
    match start.checked_add(len) {
        Some(stop) if stop <= end => Ok(start..stop),
        Some(_) | None => Err(io::Error::other("beyond the region")),
    }
}

/// The node's ownership, as its driver proves it to the log.
#[derive(Debug, Default)]
struct Proved(AtomicBool);

impl Proof for Proved {
    fn check(&self) -> Result<(), String> {
        if self.0.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err("the proof is over".into())
        }
    }
}

/// The log as one owner has it open.
struct Open {
    log: Log<Port>,
    proof: Arc<Proved>,
    /// The last records, for the next checkpoint.
    named: Vec<u64>,
}

/// The log of a world.
pub(crate) struct Quorum {
    port: Port,
    open: BTreeMap<u8, Open>,
    /// Acknowledged, and to be found by every owner that comes.
    acknowledged: Vec<u64>,
    /// An owner of before has written through a disk that was open: nothing is claimed of this log any more.
    exposed: bool,
}

/// What an owner did to the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Done {
    /// It was answered well.
    pub(crate) well: bool,
    /// Writes that their host has given up.
    pub(crate) kept: Vec<(u64, Vec<u8>)>,
}

/// All that a log holds.
#[derive(Default)]
struct Found(Vec<u64>);

impl Replay for Found {
    fn checkpoint(&mut self, _upto: Lsn, state: &[u8]) {
        self.0 = state.chunks_exact(8).map(token).collect();
    }

    fn record(&mut self, entry: Entry<'_>) {
        self.0.push(token(entry.bytes));
    }
}

fn token(bytes: &[u8]) -> u64 {
    bytes
        .get(..8)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_le_bytes)
}

impl Quorum {
    /// A new log.
    pub(crate) fn new() -> Self {
        let format = format();
        let len = usize::try_from(format.region_bytes).expect("it is small");
        let port = Port(Arc::new(Mutex::new(Region {
            image: vec![0; len],
            admits: true,
            spoil: None,
            kept: Vec::new(),
        })));
        let cluster = Cluster {
            name: "simulated".into(),
            times: Vec::new(),
        };
        qlog::create(&port, format, cluster, &mut |_| {}).expect("the region is there");
        Self {
            port,
            open: BTreeMap::new(),
            acknowledged: Vec::new(),
            exposed: false,
        }
    }

    /// An owner of before has written. True the first time.
    pub(crate) const fn is_exposed(&mut self) -> bool {
        !std::mem::replace(&mut self.exposed, true)
    }

    /// What happens to the writes of the next operation.
    pub(crate) fn prepare(&self, admits: bool, spoil: Option<(u64, Spoil)>) {
        let mut region = self.port.lock();
        region.admits = admits;
        region.spoil = spoil;
        region.kept.clear();
    }

    fn done(&self, well: bool) -> Done {
        let mut region = self.port.lock();
        region.admits = false;
        region.spoil = None;
        Done {
            well,
            kept: std::mem::take(&mut region.kept),
        }
    }

    /// The process is gone, and its handle with it.
    pub(crate) fn dies(&mut self, node: u8) {
        self.open.remove(&node);
    }

    /// Has this node the log open, and can it write?
    pub(crate) fn is_open(&self, node: u8) -> bool {
        self.open
            .get(&node)
            .is_some_and(|open| open.log.poisoned().is_none())
    }

    /// A new owner reads the log and begins an epoch.
    ///
    /// # Errors
    /// When an acknowledged record is not there, or the log cannot be read.
    pub(crate) fn claim(
        &mut self,
        node: u8,
        key: Option<Key>,
        rng: &mut Rng,
    ) -> Result<Done, String> {
        self.open.remove(&node);
        let mut found = Found::default();
        let recovered = match qlog::open(self.port.clone(), &mut found) {
            Ok(recovered) => recovered,
            Err(OpenError::Read { .. }) => return Ok(self.done(false)),
            Err(_) if self.exposed => return Ok(self.done(false)),
            Err(why) => return Err(format!("n{node} cannot read the log: {why}")),
        };
        let there: BTreeSet<u64> = found.0.iter().copied().collect();
        let missing = |token: &&u64| !there.contains(token);
        let lost = self.acknowledged.iter().find(missing);
        if let Some(lost) = lost.filter(|_| !self.exposed) {
            return Err(format!(
                "record {lost} was acknowledged, and n{node} does not find it in the log of epoch {}",
                recovered.epoch().0
            ));
        }
        let proof = Arc::new(Proved(AtomicBool::new(true)));
        let claim = Claim {
            owner: Owner {
                node: u32::from(node),
                key: key.map_or(0, Key::get),
            },
            fencing: Fencing::Proved(Arc::<Proved>::clone(&proof)),
            incarnation: rng.draw(),
        };
        let Ok(log) = recovered.claim(claim) else {
            return Ok(self.done(false));
        };
        let mut open = Open {
            log,
            proof,
            named: found.0,
        };
        let mut well = true;
        if rng.chance(300) {
            well = open.checkpoint();
        }
        self.open.insert(node, open);
        Ok(self.done(well))
    }

    /// An owner appends a record; `proved`: its proof has not run out.
    pub(crate) fn append(&mut self, node: u8, record: u64, proved: bool) -> Done {
        let Some(open) = self.open.get_mut(&node) else {
            return self.done(false);
        };
        open.proof.0.store(proved, Ordering::Relaxed);
        let bytes = record.to_le_bytes();
        let mut answer = open.log.append_durable(&bytes);
        if matches!(answer, Err(WriteError::Full { .. })) && open.checkpoint() {
            answer = open.log.append_durable(&bytes);
        }
        let well = answer.is_ok();
        if well {
            open.named.push(record);
        }
        self.done(well)
    }

    /// It is acknowledged: from now on every owner must find it.
    pub(crate) fn acknowledge(&mut self, record: u64) {
        self.acknowledged.push(record);
        if self.acknowledged.len() > NAMED / 2 {
            self.acknowledged.remove(0);
        }
    }

    /// An owner hands over.
    pub(crate) fn park(&mut self, node: u8) -> Done {
        let parked = self
            .open
            .get(&node)
            .is_some_and(|open| open.log.park().is_ok());
        self.open.remove(&node);
        self.done(parked)
    }

    /// A write that was given up long ago reaches the medium.
    pub(crate) fn land(&self, offset: u64, bytes: &[u8]) {
        let mut region = self.port.lock();
        if let Ok(range) = range(offset, bytes.len(), region.image.len()) {
            region.image[range].copy_from_slice(bytes);
        }
    }

    /// The parked mark.
    pub(crate) fn mark(&self) -> Option<ParkedMark> {
        let parked = qlog::peek(&self.port).ok()?.parked?;
        Some(ParkedMark {
            epoch: parked.epoch.0,
            holder: Key::new(parked.owner.key)?,
        })
    }

    /// Whose key claimed the last epoch.
    pub(crate) fn claimed_by(&self) -> Option<Key> {
        Key::new(qlog::peek(&self.port).ok()?.owner.key)
    }
}

impl Open {
    /// The last records, in place of all that are in the ring.
    fn checkpoint(&mut self) -> bool {
        let from = self.named.len().saturating_sub(NAMED);
        self.named.drain(..from);
        let bytes: Vec<u8> = self
            .named
            .iter()
            .flat_map(|token| token.to_le_bytes())
            .collect();
        let upto = Lsn(self.log.position().durable.0 - 1);
        self.log.checkpoint(upto, &bytes).is_ok()
    }
}

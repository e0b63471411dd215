//! A disk that fails as disks do, and the processes that talk to it through ports.
//!
//! # The fault model
//!
//! What a write does until it is flushed:
//! * a reader sees it at once (the *live* image); a power cut keeps of it what it likes (the *durable* image and the
//!   *pending* writes). Of each sector that unflushed writes touched, the durable content or any of the versions
//!   that were written is found, in any combination over sectors (so in any order), or, in some cuts, garbage, a
//!   mixture of old and new bytes, or a sector that cannot be read until it is written again;
//! * a sector (64 bytes, or 512) is the unit of this; a block (256, or 4096) is what the log writes.
//!
//! What may happen to a process at any of its I/Os (a [`Fate`], drawn per I/O):
//! * [`Fate::Cut`]: the power goes; a write under way is one more unflushed write;
//! * [`Fate::Kill`]: the process is gone, the disk is not: the next reader sees what is live, flushed or not, and a
//!   later power cut may still take it;
//! * [`Fate::Fence`]: the disk refuses this process from here on (a reservation), and the write under way lands
//!   late: after any number of the successor's I/Os, or never; but not after a second claim;
//! * [`Fate::WriteError`]: EIO once, any sectors of the write may have been written; the next I/O is well;
//! * [`Fate::FlushError`]: fsyncgate: what was not flushed is dropped or kept sector by sector, for good, and the
//!   next flush says that all is well;
//! * [`Fate::NoSpace`]: ENOSPC, nothing is written;
//! * [`Fate::Lost`]: a write that is told as done and never happened;
//! * [`Fate::Misdirected`]: a write that happened at another block;
//! * [`Fate::StaleRead`]: a read that brings what was there some time ago;
//! * [`Fate::ReadError`]: a read that fails once.
//!
//! And to a disk: a *lying flush* (told as done, nothing is), *FUA* (a durable write flushes itself and nothing
//! else), flipped bits, zeroed and garbled sectors.
//!
//! What never happens, because nothing could stand it: a fault outside a write in flight that hits every copy of
//! something at once, and two faults from this list in one life.

use crate::rng::Rng;
use qlog::Storage;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What befalls a process at one of its I/Os.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Cut,
    Kill,
    Fence,
    WriteError,
    FlushError,
    NoSpace,
    Lost,
    Misdirected,
    StaleRead,
    ReadError,
}

/// What the process was doing, for the histogram of the cuts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) enum Phase {
    #[default]
    Recovery,
    Claim,
    Append,
    Checkpoint,
    Close,
}

/// One write that is not flushed.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) offset: usize,
    pub(crate) bytes: Vec<u8>,
}

/// The disk.
pub(crate) struct Disk {
    sector: usize,
    block: u32,
    core: Mutex<Core>,
    /// Ports below this number are refused.
    fence: AtomicU32,
    /// Runs once, at an I/O, outside of all locks: what another thread of the process does meanwhile.
    hook: Mutex<Option<(u64, Hook)>>,
}

type Hook = Box<dyn FnOnce() + Send>;

pub(crate) struct Core {
    pub(crate) live: Vec<u8>,
    pub(crate) durable: Vec<u8>,
    pending: Vec<Written>,
    unreadable: BTreeSet<usize>,
    /// What was live some time ago.
    old: Vec<u8>,
    /// I/Os until it lands, and which owner sent it.
    late: Vec<(usize, u32, Written)>,
    rng: Rng,
    /// Writes and flushes of the present life.
    ios: u64,
    /// And its reads.
    reads: u64,
    fate: Option<(u64, Fate)>,
    /// A cut waits until a frame is under way.
    pub(crate) aimed: bool,
    /// The fate has struck.
    pub(crate) struck: bool,
    off: bool,
    pub(crate) lying: bool,
    pub(crate) fua: bool,
    pub(crate) phase: Phase,
    /// Segments and shadow slots, to know a frame's write.
    pub(crate) frames: std::ops::Range<usize>,
    /// The chunks of objects.
    pub(crate) chunks: std::ops::Range<usize>,
    /// A late write has hit one.
    pub(crate) late_chunk: bool,
    /// Where the cuts were: phase, and whether a frame was under way.
    pub(crate) cuts: BTreeMap<(Phase, bool), u64>,
    /// The write that the fate took was a frame's.
    pub(crate) struck_frame: bool,
    /// It was longer than a block.
    pub(crate) struck_many: bool,
}

/// How a process reaches the disk.
#[derive(Clone)]
pub(crate) struct Port {
    disk: Arc<Disk>,
    number: u32,
}

impl std::fmt::Debug for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "port {}", self.number)
    }
}

fn gone(what: &str) -> io::Error {
    io::Error::other(what.to_owned())
}

impl Disk {
    pub(crate) fn new(image: Vec<u8>, sector: usize, block: u32, seed: u64) -> Arc<Self> {
        let core = Core {
            durable: image.clone(),
            old: image.clone(),
            live: image,
            pending: Vec::new(),
            unreadable: BTreeSet::new(),
            late: Vec::new(),
            rng: Rng::new(seed),
            ios: 0,
            reads: 0,
            fate: None,
            aimed: false,
            struck: false,
            off: false,
            lying: false,
            fua: false,
            phase: Phase::Recovery,
            frames: 0..0,
            chunks: 0..0,
            late_chunk: false,
            cuts: BTreeMap::new(),
            struck_frame: false,
            struck_many: false,
        };
        Arc::new(Self {
            sector,
            block,
            core: Mutex::new(core),
            fence: AtomicU32::new(0),
            hook: Mutex::new(None),
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new process, and what befalls it at which of its I/Os.
    pub(crate) fn port(self: &Arc<Self>, number: u32, fate: Option<(u64, Fate)>) -> Port {
        let mut core = self.lock();
        core.ios = 0;
        core.reads = 0;
        core.fate = fate;
        core.aimed = false;
        core.struck = false;
        core.struck_frame = false;
        core.struck_many = false;
        *self.hook.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Port {
            disk: Arc::clone(self),
            number,
        }
    }

    /// At the present life's I/O after `more` others, run this first.
    pub(crate) fn hook(&self, more: u64, hook: Hook) {
        let at = self.lock().ios + more;
        *self.hook.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, hook));
    }

    pub(crate) fn unhook(&self) {
        *self.hook.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn phase(&self, phase: Phase) {
        self.lock().phase = phase;
    }

    /// A new owner has claimed: what those before the last sent never arrives.
    pub(crate) fn claimed(&self, by: u32, before: u32) {
        let keep = |owner: u32| owner >= before && owner < by;
        self.lock().late.retain(|(_, owner, _)| keep(*owner));
    }

    /// The power comes back: what was not flushed is what chance made of it.
    pub(crate) fn power_on(&self) {
        let mut core = self.lock();
        core.settle(self.sector);
        core.off = false;
        core.late.clear();
    }

    /// What was live is what a stale read will bring.
    pub(crate) fn remember(&self) {
        let mut core = self.lock();
        core.old = core.live.clone();
    }

    /// Damage behind everybody's back.
    pub(crate) fn alter(&self, change: impl FnOnce(&mut [u8])) {
        let mut core = self.lock();
        change(&mut core.live);
        assert!(core.pending.is_empty(), "altered only when all is flushed");
        core.durable = core.live.clone();
    }

    fn run_hook(&self, ios: u64) {
        let mut hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner);
        if hook.as_ref().is_some_and(|(at, _)| ios >= *at) {
            let (_, now) = hook.take().expect("it is there");
            drop(hook);
            now();
        }
    }
}

impl Core {
    /// A write becomes visible, and may be lost.
    fn apply(&mut self, offset: usize, bytes: &[u8], sector: usize) {
        self.live[offset..][..bytes.len()].copy_from_slice(bytes);
        for index in offset / sector..(offset + bytes.len()).div_ceil(sector) {
            self.unreadable.remove(&index);
        }
        self.pending.push(Written {
            offset,
            bytes: bytes.to_vec(),
        });
    }

    fn flush(&mut self) {
        if self.lying {
            return;
        }
        for Written { offset, bytes } in std::mem::take(&mut self.pending) {
            self.durable[offset..][..bytes.len()].copy_from_slice(&bytes);
        }
    }

    /// Each sector that was not flushed gets one of its versions, or worse.
    fn settle(&mut self, sector: usize) {
        let mut versions: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
        for (number, written) in self.pending.iter().enumerate() {
            for at in (0..written.bytes.len()).step_by(sector) {
                let index = (written.offset + at) / sector;
                versions.entry(index).or_default().push((number, at));
            }
        }
        let pending = std::mem::take(&mut self.pending);
        let style = self.rng.below(8);
        let in_order = self.rng.below(pending.len() + 1);
        for (index, versions) in versions {
            let place = index * sector;
            let chosen = match style {
                0 => 0,
                1 => versions.len(),
                // Whole writes up to one of them, in order.
                2 => versions.iter().filter(|(n, _)| *n < in_order).count(),
                _ => self.rng.below(versions.len() + 1),
            };
            if chosen > 0 {
                let (number, at) = versions[chosen - 1];
                let bytes = &pending[number].bytes[at..][..sector];
                self.durable[place..][..sector].copy_from_slice(bytes);
            }
            if style == 6 && self.rng.one_in(3) {
                self.garble(place, sector, &pending, &versions);
            }
            if style == 7 && self.rng.one_in(3) {
                let mut garbage = vec![0; sector];
                self.rng.fill(&mut garbage);
                self.durable[place..][..sector].copy_from_slice(&garbage);
                self.unreadable.insert(index);
            }
        }
        self.live.copy_from_slice(&self.durable);
    }

    /// Earlier versions of these bytes cannot come back.
    fn supersede(&mut self, by: std::ops::Range<usize>, sector: usize) {
        let left = std::mem::take(&mut self.pending)
            .into_iter()
            .flat_map(|write| {
                let pieces = write.bytes.chunks(sector).enumerate();
                let pieces: Vec<_> = pieces
                    .map(|(index, bytes)| Written {
                        offset: write.offset + index * sector,
                        bytes: bytes.to_vec(),
                    })
                    .collect();
                pieces
            });
        self.pending = left.filter(|piece| !by.contains(&piece.offset)).collect();
    }

    fn garble(
        &mut self,
        place: usize,
        sector: usize,
        pending: &[Written],
        versions: &[(usize, usize)],
    ) {
        if self.rng.one_in(2) {
            let mut garbage = vec![0; sector];
            self.rng.fill(&mut garbage);
            self.durable[place..][..sector].copy_from_slice(&garbage);
            return;
        }
        let (number, at) = versions[self.rng.below(versions.len())];
        let cut = self.rng.below(sector);
        let new = &pending[number].bytes[at..][..cut];
        self.durable[place..][..cut].copy_from_slice(new);
    }

    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Writes and flushes of the present life.
    pub(crate) fn ios(&self) -> u64 {
        self.ios
    }

    pub(crate) fn is_off(&self) -> bool {
        self.off
    }

    fn is_frame(&self, offset: usize) -> bool {
        self.frames.contains(&offset)
    }

    fn frame_under_way(&self) -> bool {
        self.pending.iter().any(|write| self.is_frame(write.offset))
    }

    /// The power is gone at this I/O.
    fn cut(&mut self) {
        self.off = true;
        let frame = self.frame_under_way();
        let phase = self.phase;
        *self.cuts.entry((phase, frame)).or_default() += 1;
    }

    /// Late writes of those who were fenced land between the I/Os of others.
    /// One that hits a chunk may damage an object of the successor, when chunks are few: told, not lost.
    fn land_late(&mut self, sector: usize) {
        let mut still = Vec::new();
        for (left, owner, written) in std::mem::take(&mut self.late) {
            if left == 0 {
                self.apply(written.offset, &written.bytes, sector);
                self.late_chunk |= self.chunks.contains(&written.offset);
            } else {
                still.push((left - 1, owner, written));
            }
        }
        self.late = still;
    }
}

impl Port {
    /// What happens at this I/O, if it is the one: the number of a fate of reads counts reads, of others the rest.
    fn begin(&self, reading: bool) -> io::Result<(MutexGuard<'_, Core>, Option<Fate>)> {
        if !reading {
            let ios = self.disk.lock().ios;
            self.disk.run_hook(ios);
        }
        let mut core = self.disk.lock();
        if core.off {
            return Err(gone("no power"));
        }
        if self.number < self.disk.fence.load(Ordering::SeqCst) {
            return Err(gone("reservation conflict"));
        }
        if reading {
            core.reads += 1;
        } else {
            core.ios += 1;
            core.land_late(self.disk.sector);
        }
        let due = |(at, fate): &(u64, Fate)| match fate {
            Fate::StaleRead | Fate::ReadError => reading && core.reads >= *at,
            Fate::Cut if core.aimed => !reading && core.ios >= *at && core.frame_under_way(),
            Fate::FlushError
            | Fate::Cut
            | Fate::Kill
            | Fate::Fence
            | Fate::WriteError
            | Fate::NoSpace
            | Fate::Lost
            | Fate::Misdirected => !reading && core.ios >= *at,
        };
        let fate = core.fate.filter(due);
        Ok((core, fate.map(|(_, fate)| fate)))
    }

    /// From here on this process is refused.
    fn refuse(&self) {
        self.disk.fence.store(self.number + 1, Ordering::SeqCst);
    }

    fn strike(&self, core: &mut Core, frame: bool) {
        core.fate = None;
        core.struck = true;
        core.struck_frame = frame;
    }

    fn lose_some(&self, core: &mut Core, offset: usize, bytes: &[u8]) {
        for at in (0..bytes.len()).step_by(self.disk.sector) {
            if core.rng.one_in(2) {
                core.apply(
                    offset + at,
                    &bytes[at..][..self.disk.sector],
                    self.disk.sector,
                );
            }
        }
    }
}

fn range(len: usize, offset: u64, count: usize) -> io::Result<usize> {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    match start.checked_add(count) {
        Some(end) if end <= len => Ok(start),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

impl Storage for Port {
    fn region_bytes(&self) -> u64 {
        self.disk.lock().live.len() as u64
    }

    fn block_bytes(&self) -> u32 {
        self.disk.block
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let (mut core, fate) = self.begin(true)?;
        let start = range(core.live.len(), offset, buffer.len())?;
        match fate {
            Some(Fate::ReadError) => {
                self.strike(&mut core, false);
                return Err(gone("EIO"));
            }
            Some(Fate::StaleRead) => {
                let frame = core.is_frame(start);
                self.strike(&mut core, frame);
                buffer.copy_from_slice(&core.old[start..][..buffer.len()]);
                return Ok(());
            }
            _ => {}
        }
        let sectors = start / self.disk.sector..(start + buffer.len()).div_ceil(self.disk.sector);
        if core.unreadable.range(sectors).next().is_some() {
            return Err(gone("medium error"));
        }
        buffer.copy_from_slice(&core.live[start..][..buffer.len()]);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let (mut core, fate) = self.begin(false)?;
        let sector = self.disk.sector;
        let start = range(core.live.len(), offset, bytes.len())?;
        let frame = core.is_frame(start);
        if fate.is_some_and(|fate| {
            !matches!(fate, Fate::FlushError | Fate::StaleRead | Fate::ReadError)
        }) {
            self.strike(&mut core, frame);
            core.struck_many = bytes.len() > self.disk.block as usize;
        }
        match fate {
            Some(Fate::Cut) => {
                core.apply(start, bytes, sector);
                core.cut();
                Err(gone("the power went"))
            }
            Some(Fate::Kill) => {
                self.lose_some(&mut core, start, bytes);
                self.refuse();
                Err(gone("killed"))
            }
            Some(Fate::Fence) => {
                let wait = core.rng.pick(&[0, 2, 5, 9, 14, 25, 60]);
                let bytes = bytes.to_vec();
                let late = Written {
                    offset: start,
                    bytes,
                };
                core.late.push((wait, self.number, late));
                self.refuse();
                Err(gone("reservation conflict"))
            }
            Some(Fate::WriteError) => {
                self.lose_some(&mut core, start, bytes);
                Err(gone("EIO"))
            }
            Some(Fate::NoSpace) => Err(io::ErrorKind::StorageFull.into()),
            Some(Fate::Lost) => Ok(()),
            Some(Fate::Misdirected) => {
                let block = self.disk.block as usize;
                let places = (core.live.len() - bytes.len()) / block + 1;
                let elsewhere = core.rng.below(places) * block;
                core.apply(elsewhere, bytes, sector);
                Ok(())
            }
            Some(Fate::FlushError | Fate::StaleRead | Fate::ReadError) | None => {
                core.apply(start, bytes, sector);
                Ok(())
            }
        }
    }

    fn flush(&self) -> io::Result<()> {
        let (mut core, fate) = self.begin(false)?;
        match fate {
            Some(Fate::Cut) => {
                self.strike(&mut core, false);
                core.cut();
                return Err(gone("the power went"));
            }
            Some(Fate::Kill | Fate::Fence) => {
                self.strike(&mut core, false);
                self.refuse();
                return Err(gone("killed"));
            }
            Some(Fate::FlushError) => {
                self.strike(&mut core, false);
                core.settle(self.disk.sector);
                return Err(gone("EIO"));
            }
            Some(
                Fate::WriteError
                | Fate::NoSpace
                | Fate::Lost
                | Fate::Misdirected
                | Fate::StaleRead
                | Fate::ReadError,
            )
            | None => {}
        }
        core.flush();
        Ok(())
    }

    fn write_durable(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let fua = self.disk.lock().fua;
        if !fua {
            self.write_at(offset, bytes)?;
            return self.flush();
        }
        self.write_at(offset, bytes)?;
        let mut core = self.disk.lock();
        let at = usize::try_from(offset).expect("it was in the region");
        let is_last = core.pending.last().is_some_and(|last| last.offset == at);
        if core.lying || !is_last {
            return Ok(()); // It was lost.
        }
        let written = core.pending.pop().expect("it was just pushed");
        core.durable[written.offset..][..written.bytes.len()].copy_from_slice(&written.bytes);
        core.supersede(
            written.offset..written.offset + written.bytes.len(),
            self.disk.sector,
        );
        Ok(())
    }
}

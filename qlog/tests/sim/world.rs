//! One world: a disk, the lives of the log's owners on it, and the oracle over all of them. Everything follows from
//! the seed but the log's id, which `qlog` draws itself and which decides nothing.

use crate::disk::{Disk, Fate, Phase, Port};
use crate::oracle::{Found, Oracle, Tolerance};
use crate::rng::Rng;
use qlog::storage::MemoryStorage;
use qlog::{
    Claim, ClaimError, Cluster, Fencing, Format, Guards, Log, Note, Owner, Recovered, WriteError,
    create,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a world is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) guards: Guards,
    /// The fates that may befall its owners.
    pub(crate) fates: &'static [Fate],
    pub(crate) lying: bool,
    /// Flip a bit between lives.
    pub(crate) flips: bool,
    /// Owners of real geometry: 4096-byte blocks of 512-byte sectors.
    pub(crate) real_geometry: bool,
    /// Many checkpoints, and appends beside each of them, on rings of many small segments.
    pub(crate) beside: bool,
    pub(crate) lives: usize,
}

/// The power cut, and what a process may suffer without the disk doing wrong.
pub(crate) const HONEST: &[Fate] = &[
    Fate::Cut,
    Fate::Cut,
    Fate::Cut,
    Fate::Cut,
    Fate::Cut,
    Fate::Cut,
    Fate::Kill,
    Fate::Fence,
    Fate::WriteError,
    Fate::FlushError,
    Fate::NoSpace,
];

/// The disk does wrong: an error is allowed, a shorter log is not.
pub(crate) const DISHONEST: &[Fate] = &[
    Fate::Cut,
    Fate::Lost,
    Fate::Misdirected,
    Fate::StaleRead,
    Fate::ReadError,
];

impl Setting {
    pub(crate) const HONEST: Self = Self {
        guards: Guards::ALL_ON,
        fates: HONEST,
        lying: false,
        flips: false,
        real_geometry: false,
        beside: false,
        lives: 24,
    };
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) worlds: u64,
    pub(crate) lives: u64,
    /// By what the owner was doing, and whether a frame was not durable yet.
    pub(crate) cuts: BTreeMap<(Phase, bool), u64>,
    pub(crate) fates: BTreeMap<String, u64>,
    /// Opens that were refused after the disk had done wrong.
    pub(crate) refused: u64,
    pub(crate) records: u64,
    pub(crate) checkpoints: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.worlds += other.worlds;
        self.lives += other.lives;
        self.refused += other.refused;
        self.records += other.records;
        self.checkpoints += other.checkpoints;
        for (at, count) in &other.cuts {
            *self.cuts.entry(*at).or_default() += count;
        }
        for (fate, count) in &other.fates {
            *self.fates.entry(fate.clone()).or_default() += count;
        }
    }

    pub(crate) fn crashes(&self) -> u64 {
        self.cuts.values().sum()
    }

    /// Of a hundred cuts, those that this holds for.
    pub(crate) fn percent(&self, of: impl Fn(Phase, bool) -> bool) -> u64 {
        let some = self
            .cuts
            .iter()
            .filter(|((phase, frame), _)| of(*phase, *frame));
        some.map(|(_, count)| count).sum::<u64>() * 100 / self.crashes().max(1)
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{} crashes in {} worlds and {} lives; {} records and {} checkpoints acknowledged; {} opens refused",
            self.crashes(),
            self.worlds,
            self.lives,
            self.records,
            self.checkpoints,
            self.refused
        )?;
        for ((phase, frame), count) in &self.cuts {
            let frame = if *frame { "a frame under way" } else { "" };
            let percent = 100 * count / self.crashes().max(1);
            writeln!(
                f,
                "  {:<11} {frame:<18} {count:>9}  {percent:>3} %",
                format!("{phase:?}")
            )?;
        }
        write!(f, "  fates: {:?}", self.fates)
    }
}

/// Sizes for a world.
pub(crate) fn geometry(rng: &mut Rng, real: bool) -> Format {
    // Of 256 bytes only one frame fits behind another into a block, of 512 several do.
    let block_bytes: u32 = if real {
        4096
    } else {
        rng.pick(&[256, 256, 512])
    };
    let blocks = rng.pick(&[4_u64, 5, 8, 16]);
    let mut format = Format {
        block_bytes,
        segments: rng.pick(&[4, 4, 4, 5, 7]),
        segment_bytes: blocks * u64::from(block_bytes),
        catalogue_bytes: 4096,
        chunk_bytes: block_bytes * rng.pick(&[1, 2, 4]),
        chunks: rng.pick(&[9, 12, 24]),
        region_bytes: 0,
    };
    format.region_bytes = format.used_bytes().next_multiple_of(4096);
    format
}

/// A region with a new log.
pub(crate) fn image(format: Format) -> Vec<u8> {
    let bytes = usize::try_from(format.region_bytes).expect("small");
    let memory = MemoryStorage::new(bytes, format.block_bytes);
    let cluster = Cluster {
        name: "sim".into(),
        times: vec![7; 9],
    };
    create(&memory, format, cluster, &mut |_| {}).expect("memory takes it");
    memory.image()
}

/// The bytes of the region that frames are written to.
pub(crate) fn frame_places(format: Format) -> std::ops::Range<usize> {
    let layout = format.layout().expect("it was used");
    let at = |offset: u64| usize::try_from(offset).expect("small");
    at(layout.shadow(0, 0))..at(layout.catalogue(0))
}

/// And the bytes of the chunks.
pub(crate) fn chunk_places(format: Format) -> std::ops::Range<usize> {
    let layout = format.layout().expect("it was used");
    let at = |offset: u64| usize::try_from(offset).expect("small");
    at(layout.chunk(0))..at(layout.chunk(format.chunks))
}

/// Owners share it with what runs in between.
pub(crate) type Shared = Arc<Mutex<Oracle>>;

pub(crate) fn lock(oracle: &Shared) -> MutexGuard<'_, Oracle> {
    oracle.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A claim that repeats: its incarnation is given.
pub(crate) fn claim_of(node: u32, incarnation: u64) -> Claim {
    let owner = Owner {
        node,
        key: u64::from(node),
    };
    Claim {
        owner,
        fencing: Fencing::Unfenced,
        incarnation,
    }
}

/// A disk that did nothing wrong damages what was under way, and that ends the log or is void.
fn nothing_is_missed(found: &Found) -> Result<(), String> {
    let is_missed = |note: &&Note| match note {
        Note::CoveredDamage { .. } | Note::OlderCheckpoint { .. } => true,
        // A head was under way with its first frame, which may be whole.
        Note::SegmentHead { .. }
        | Note::SuperblockCopy { .. }
        | Note::FlippedBit { .. }
        | Note::TornTail { .. }
        | Note::UnreadableTail { .. } => false,
    };
    match found.notes.iter().find(is_missed) {
        Some(note) => Err(format!("MISSED: {note}")),
        None => Ok(()),
    }
}

/// A world under way.
pub(crate) struct World {
    setting: Setting,
    rng: Rng,
    disk: Arc<Disk>,
    oracle: Shared,
    owners: u32,
    /// The last one that tried to claim.
    claimed: u32,
    tally: Tally,
    /// The disk has done wrong, and the log may refuse from now on.
    wrong: bool,
    /// Faults of the disk since a superblock was last written and read back: two may take both its copies.
    faults: u32,
    tolerance: Tolerance,
}

/// Lives through a world, and says what was wrong.
pub(crate) fn run(seed: u64, setting: Setting) -> (Tally, Result<(), String>) {
    let mut world = World::new(seed, setting);
    let mut result = Ok(());
    for _ in 0..setting.lives {
        match world.life() {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                result = Err(error);
                break;
            }
        }
    }
    world.tally.cuts = world.disk.lock().cuts.clone();
    (world.tally, result)
}

impl World {
    fn new(seed: u64, setting: Setting) -> Self {
        let mut rng = Rng::new(seed);
        let mut format = geometry(&mut rng, setting.real_geometry);
        if setting.beside {
            format.segments = rng.pick(&[5, 6, 7]);
            format.segment_bytes = 4 * u64::from(format.block_bytes);
            format.region_bytes = format.used_bytes().next_multiple_of(4096);
        }
        let sector = if setting.real_geometry { 512 } else { 64 };
        let disk = Disk::new(image(format), sector, format.block_bytes, rng.next());
        {
            let mut core = disk.lock();
            core.lying = setting.lying;
            core.fua = rng.one_in(4);
            core.frames = frame_places(format);
            core.chunks = chunk_places(format);
        }
        Self {
            setting,
            rng,
            disk,
            oracle: Shared::default(),
            owners: 0,
            claimed: 0,
            tally: Tally {
                worlds: 1,
                ..Tally::default()
            },
            wrong: false,
            faults: 0,
            tolerance: Tolerance::Nothing,
        }
    }

    /// One owner: opens, is judged, claims, works, ends. False when the log refuses, as it may.
    fn life(&mut self) -> Result<bool, String> {
        self.tally.lives += 1;
        self.owners += 1;
        if self.setting.flips && self.rng.one_in(2) {
            self.flip();
        }
        let fate = self.draw_fate();
        let port = self.disk.port(self.owners, fate);
        self.disk.lock().aimed = self.rng.one_in(4); // Frames are few among the I/Os of a claim or a checkpoint.
        self.disk.phase(Phase::Recovery);
        let opened = Found::open(port, self.setting.guards);
        let over = self.is_over(fate);
        self.wrong |= self.disk.lock().late_chunk;
        let goes_on = match opened {
            _ if over => Ok(true),
            Ok((found, opened)) => {
                let judged = self.judge(&found);
                judged
                    .and_then(|()| self.work(found, opened))
                    .map(|()| true)
            }
            Err(_) if self.disk.lock().struck => Ok(true), // Its end, or an I/O that failed: open again.
            Err(_) if self.wrong => {
                self.tally.refused += 1;
                Ok(false)
            }
            Err(error) => Err(format!("REFUSED: {error}")),
        };
        self.disk.unhook();
        let goes_on = goes_on?;
        self.end(fate);
        Ok(goes_on)
    }

    /// The process is gone before it could act on what it read.
    fn is_over(&self, fate: Option<(u64, Fate)>) -> bool {
        let died = matches!(fate, Some((_, Fate::Cut | Fate::Kill | Fate::Fence)));
        died && self.disk.lock().struck
    }

    fn draw_fate(&mut self) -> Option<(u64, Fate)> {
        let reach = self.rng.pick(&[6, 18, 30, 60]);
        let at = 1 + self.rng.below(reach) as u64;
        let fate = self.rng.pick(self.setting.fates);
        let nothing = self.rng.one_in(12);
        (!nothing).then_some((at, fate))
    }

    fn flip(&mut self) {
        let disk = Arc::clone(&self.disk);
        let rng = &mut self.rng;
        if disk.lock().has_pending() {
            return;
        }
        disk.alter(|image| {
            let at = rng.below(image.len());
            image[at] ^= 1 << rng.below(8);
        });
        self.wrong = true;
        self.faults += 1;
    }

    fn judge(&mut self, found: &Found) -> Result<(), String> {
        let struck = self.disk.lock().struck;
        // Two may take both legs of anything: a superblock's copies, the last frame and what proves it.
        let many = self.faults + u32::from(struck) >= 2;
        let tolerance = if many {
            Tolerance::SinceSuperblock
        } else if struck && self.tolerance == Tolerance::Nothing {
            Tolerance::LastFrame // A read failed or was stale in this very life.
        } else {
            self.tolerance
        };
        lock(&self.oracle).judge_log(found, tolerance)?;
        if !many {
            lock(&self.oracle).judge_objects(found)?;
        }
        if self.wrong || self.disk.lock().struck {
            return Ok(());
        }
        nothing_is_missed(found)?;
        Oracle::objects_are_whole(found)
    }

    fn work(&mut self, found: Found, opened: Recovered<Port>) -> Result<(), String> {
        self.disk.claimed(self.owners, self.claimed);
        self.claimed = self.owners;
        self.disk.phase(Phase::Claim);
        let log = match opened.claim(claim_of(self.owners, self.rng.next())) {
            Ok(log) => log,
            Err(error @ ClaimError::NoSegment { .. }) if !self.wrong => {
                return Err(format!("REFUSED: a claim: {error}"));
            }
            Err(_) => return Ok(()), // Its fate, or a late claim of another: open again.
        };
        lock(&self.oracle).settle(&found);
        self.faults = 0;
        self.tolerance = Tolerance::Nothing;
        drop(found);
        let log = Arc::new(log);
        let ops = self.rng.pick(&[3, 10, 25]);
        for _ in 0..ops {
            if self.operation(&log).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn operation(&mut self, log: &Arc<Log<Port>>) -> Result<(), WriteError> {
        self.disk.phase(Phase::Append);
        let what = self.rng.below(20);
        match what {
            11..=14 if self.setting.beside => self.checkpoint(log),
            0..=10 => self.append(log, 1),
            11..=15 => {
                let count = 2 + self.rng.below(5);
                self.append(log, count)
            }
            16 => {
                let before = self.disk.lock().ios();
                log.seal()?;
                if self.disk.lock().ios() > before {
                    lock(&self.oracle).sealed();
                }
                Ok(())
            }
            17 => self.checkpoint(log),
            18 => self.object(log),
            _ => {
                self.disk.phase(Phase::Close);
                if self.rng.one_in(2) {
                    log.close()?;
                } else {
                    log.park()?;
                }
                lock(&self.oracle).sealed();
                Err(WriteError::Closed)
            }
        }
    }

    fn append(&mut self, log: &Arc<Log<Port>>, count: usize) -> Result<(), WriteError> {
        let mut last = None;
        for _ in 0..count {
            let record = self.record(log);
            let mut oracle = lock(&self.oracle);
            match log.append(&record) {
                Ok(ticket) => {
                    oracle.submit(ticket.lsn, &record);
                    last = Some(ticket);
                }
                Err(WriteError::Full { .. }) => {
                    drop(oracle);
                    if let Some(last) = last.take() {
                        log.commit(last)?;
                        lock(&self.oracle).acknowledge(last.lsn);
                    }
                    self.checkpoint(log)?;
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(last) = last {
            if self.rng.one_in(12) {
                return Ok(()); // Left in the open batch.
            }
            log.commit(last)?;
            lock(&self.oracle).acknowledge(last.lsn);
            self.tally.records += 1;
        }
        Ok(())
    }

    fn record(&mut self, log: &Log<Port>) -> Vec<u8> {
        let max = log.layout().max_record_bytes() as usize;
        let block = usize::try_from(log.layout().block()).expect("small");
        let length = match self.rng.below(12) {
            0 => 0,
            1..=6 => self.rng.below(block / 4),
            7..=9 => self.rng.below(2 * block),
            10 => self.rng.below(max + 1),
            _ => max,
        };
        let mut record = vec![0; length.min(max)];
        self.rng.fill(&mut record);
        record
    }

    fn checkpoint(&mut self, log: &Arc<Log<Port>>) -> Result<(), WriteError> {
        self.disk.phase(Phase::Checkpoint);
        let durable = log.position().durable.0 - 1;
        let least = lock(&self.oracle).checkpoint();
        let behind = if self.rng.one_in(3) {
            self.rng.below(6) as u64
        } else {
            0
        };
        let upto = durable.saturating_sub(behind).max(least);
        let most = log.layout().max_object_bytes() as usize / 3;
        let size = 16 + self.rng.below(most.max(17) - 16);
        let state = lock(&self.oracle).state(upto, size);
        let state = &state[..state.len().min(log.layout().max_object_bytes() as usize)];
        if self.setting.beside || self.rng.one_in(2) {
            self.append_meanwhile(log);
        }
        match log.checkpoint(qlog::Lsn(upto), state) {
            Ok(()) => {
                lock(&self.oracle).checkpointed(upto);
                self.tally.checkpoints += 1;
                self.faults = 0;
            }
            Err(WriteError::NoChunks { .. } | WriteError::Upto { .. }) => {}
            Err(error) => return Err(error),
        }
        self.disk.unhook();
        Ok(())
    }

    /// Another thread appends and commits while a checkpoint is at one of its I/Os.
    fn append_meanwhile(&mut self, log: &Arc<Log<Port>>) {
        let (other, oracle) = (Arc::downgrade(log), Arc::clone(&self.oracle));
        let count = if self.setting.beside {
            1 + self.rng.below(3)
        } else {
            1
        };
        let records = std::iter::repeat_with(|| {
            let mut record = vec![0; self.rng.below(300)];
            self.rng.fill(&mut record);
            record
        });
        let records: Vec<_> = records.take(count).collect();
        let more = self.rng.below(14) as u64;
        let hook = move || {
            let Some(log) = other.upgrade() else { return };
            for record in records {
                let Ok(ticket) = log.append(&record) else {
                    return;
                };
                lock(&oracle).submit(ticket.lsn, &record);
                if log.commit(ticket).is_ok() {
                    lock(&oracle).acknowledge(ticket.lsn);
                }
            }
        };
        self.disk.hook(more, Box::new(hook));
    }

    fn object(&mut self, log: &Log<Port>) -> Result<(), WriteError> {
        self.disk.phase(Phase::Checkpoint);
        let name = self.rng.pick(&["disk", "name", "address"]);
        if self.rng.one_in(5) {
            lock(&self.oracle).submit_object(name, None);
            log.remove_object(name)?; // Perhaps it was not there, and nothing was written.
            lock(&self.oracle).acknowledge_object(name);
            return Ok(());
        }
        let chunk = log.layout().format().chunk_bytes as usize;
        let mut value = vec![0; self.rng.below(2 * chunk)];
        self.rng.fill(&mut value);
        lock(&self.oracle).submit_object(name, Some(value.clone()));
        match log.put_object(name, &value) {
            Ok(()) => {
                let mut oracle = lock(&self.oracle);
                oracle.acknowledge_object(name);
                oracle.marked();
                self.faults = 0;
            }
            Err(WriteError::NoChunks { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The process is over; sometimes the power too.
    fn end(&mut self, fate: Option<(u64, Fate)>) {
        let (struck, frame, off) = {
            let core = self.disk.lock();
            (core.struck, core.struck_frame, core.is_off())
        };
        if let Some((_, fate)) = fate.filter(|_| struck) {
            *self.tally.fates.entry(format!("{fate:?}")).or_default() += 1;
            self.allow(fate, frame);
        }
        if off || (!struck && self.rng.one_in(2)) || (struck && self.rng.one_in(4)) {
            self.disk.power_on();
        }
        self.disk.remember();
    }

    /// What this fault of the disk excuses.
    fn allow(&mut self, fate: Fate, frame: bool) {
        match fate {
            Fate::Lost | Fate::StaleRead => {
                self.wrong = true;
                self.faults += 1;
                if frame {
                    self.tolerance = Tolerance::LastFrame;
                }
            }
            Fate::Misdirected => {
                self.wrong = true;
                self.faults += 1;
                self.tolerance = if self.disk.lock().struck_many {
                    Tolerance::SinceSuperblock
                } else {
                    Tolerance::LastTwoFrames
                };
            }
            Fate::Cut
            | Fate::Kill
            | Fate::Fence
            | Fate::WriteError
            | Fate::FlushError
            | Fate::NoSpace
            | Fate::ReadError => {}
        }
    }
}

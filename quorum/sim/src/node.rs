//! One contender of a world: the shipped machine, its clock, its nexuses, and what its driver owes.

use crate::checkers::takes::Seen;
use crate::checkers::terms::Win;
use crate::clock::Clock;
use crate::disk::Nexus;
use crate::faults::Fault;
use quorum_core::Instant;
use quorum_core::arbitration::{Arbitration, CommandId, Config, Input, PathId};
use scsi::reservation::{Key, Verb};
use std::collections::VecDeque;
use std::time::Duration;

/// How many serials a node takes at once.
const SERIALS: u32 = 1000;

/// What a node thinks of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Belief {
    /// Not the owner.
    Nothing,
    /// The disk refuses everybody else.
    Held,
    /// It may start whatever the disk cannot fence.
    Owner,
}

/// A command that was decided on while its process stood still.
#[derive(Clone, Debug)]
pub(crate) struct Unsent {
    pub(crate) id: CommandId,
    pub(crate) path: PathId,
    pub(crate) verb: Verb,
    pub(crate) bound: Duration,
    /// In the world's time.
    pub(crate) decided_at: Instant,
}

/// A command that its process waits for.
#[derive(Clone, Debug)]
pub(crate) struct Out {
    pub(crate) id: CommandId,
    pub(crate) verb: Verb,
    /// By its own clock, counted from its decision.
    pub(crate) given_up_at: Instant,
}

/// What the people of a node have asked it for, once its writes have ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Farewell {
    Park,
    Release,
}

/// One contender.
pub struct Node {
    /// Its number.
    pub number: u8,
    /// What its machine is told at its start.
    pub config: Config,
    /// The machine; none while the node is dead.
    pub machine: Option<Arbitration>,
    pub(crate) incarnation: u32,
    /// It does nothing, and what comes is kept for later.
    pub paused: bool,
    /// How often it was paused, so that the end of one pause does not end another.
    pub(crate) pauses: u32,
    pub(crate) inbox: VecDeque<Input>,
    pub(crate) unsent: Vec<Unsent>,
    pub(crate) clock: Clock,
    /// Its clock stood still, and this is what it showed when it went on: older proofs prove nothing.
    pub(crate) stood_until: Option<Instant>,
    /// When its clock stood still last, in the world's time.
    pub(crate) stands_since: Instant,
    /// Its clock has stood still in its present term.
    pub(crate) stood: bool,
    /// One for each path.
    pub nexuses: Vec<Nexus>,
    pub(crate) path_up: Vec<bool>,
    /// The machine says that it may be written over.
    pub(crate) path_good: Vec<bool>,
    /// The key that was registered last.
    pub(crate) registered_as: Option<Key>,
    /// By its own clock.
    pub proved_until: Instant,
    /// The same, as the machine has just said and nobody has obeyed yet.
    pub(crate) told_until: Instant,
    /// What it thinks of itself.
    pub belief: Belief,
    /// The key of its term.
    pub key: Option<Key>,
    /// Its term, as the world counts them.
    pub(crate) term: u64,
    /// The first write of its term claims the epoch.
    pub(crate) must_claim: bool,
    /// Its win had no barrier that covers every earlier owner.
    pub(crate) weak_barrier: bool,
    pub(crate) farewell: Option<Farewell>,
    /// Data writes of this process that are under way.
    pub(crate) writes_out: u32,
    pub(crate) next_serial: u32,
    /// Whoever it serves is silent.
    pub hungry: bool,
    /// How late its timers come.
    pub late: Duration,
    /// Its next timer, in the world's time, without lateness.
    pub(crate) timer: Option<Instant>,
    /// A command there and back.
    pub round_trip: Duration,
    /// Others on its nexuses eat its attentions.
    pub eats_attentions: bool,
    /// One after the other, for the next command whose name contains the text.
    pub faults: Vec<(String, Fault)>,
    /// In the world's time.
    pub(crate) next_write: Instant,
    /// Commands that are out, for the checkers.
    pub(crate) out: Vec<Out>,
    /// What this process has seen.
    pub(crate) seen: Seen,
    /// Its last win.
    pub(crate) win: Win,
    /// When it was fed last, when it went on after a pause, and when a path came: by its clock.
    pub(crate) fed_at: Instant,
    pub(crate) resumed_at: Instant,
    pub(crate) paused_at: Instant,
    /// When it last said that a round had failed: what that round had asked is nobody's.
    pub(crate) round_failed_at: Instant,
    pub(crate) path_came_at: Instant,
    /// It was told to give the disk back, in the world's time.
    pub(crate) release_asked_at: Option<Instant>,
    /// SCSI-2: when its last CLEAR TASK SET took effect, and whether others have eaten an attention of its since.
    pub(crate) cleared_at: Option<Instant>,
    pub(crate) blind: bool,
    /// SCSI-2: when the last RESERVE of it took effect.
    pub(crate) reserve_took_effect_at: Option<Instant>,
    /// Its next write stays in its host for so long.
    pub hold_next: Option<Duration>,
    /// One after the other: the next command whose name contains the text is an occasion for this.
    pub(crate) ambushes: VecDeque<(&'static str, Ambush)>,
}

/// What happens to a node right behind one of its commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ambush {
    Pause(Duration),
    Release,
    Park,
    Reset,
    PowerLoss,
    Die,
}

impl Node {
    pub(crate) fn new(config: Config, clock: Clock) -> Self {
        let paths = usize::from(config.paths);
        Self {
            number: config.node.0,
            config,
            machine: None,
            incarnation: 0,
            paused: false,
            pauses: 0,
            inbox: VecDeque::new(),
            unsent: Vec::new(),
            clock,
            stood_until: None,
            stands_since: Instant::ZERO,
            stood: false,
            nexuses: Vec::new(),
            path_up: vec![true; paths],
            path_good: vec![false; paths],
            registered_as: None,
            proved_until: Instant::ZERO,
            told_until: Instant::ZERO,
            belief: Belief::Nothing,
            key: None,
            term: 0,
            must_claim: false,
            weak_barrier: false,
            farewell: None,
            writes_out: 0,
            next_serial: 1,
            hungry: false,
            late: Duration::ZERO,
            timer: None,
            round_trip: Duration::from_millis(4),
            eats_attentions: false,
            faults: Vec::new(),
            next_write: Instant::ZERO,
            out: Vec::new(),
            seen: Seen::default(),
            win: Win::default(),
            fed_at: Instant::ZERO,
            resumed_at: Instant::ZERO,
            paused_at: Instant::ZERO,
            round_failed_at: Instant::ZERO,
            path_came_at: Instant::ZERO,
            release_asked_at: None,
            cleared_at: None,
            blind: false,
            reserve_took_effect_at: None,
            hold_next: None,
            ambushes: VecDeque::new(),
        }
    }

    /// The process is gone, at once.
    pub(crate) fn die(&mut self) {
        self.machine = None;
        self.timer = None;
        self.incarnation += 1;
        self.paused = false;
        self.inbox.clear();
        self.unsent.clear();
        self.belief = Belief::Nothing;
        self.key = None;
        self.farewell = None;
        self.writes_out = 0;
        self.hungry = false;
        self.path_good.fill(false);
        self.out.clear();
        self.seen = Seen::default();
        self.win = Win::default();
        self.release_asked_at = None;
        self.ambushes.clear();
    }

    /// A block of serials that were never used.
    pub(crate) const fn serials(&mut self) -> (u32, u32) {
        let first = self.next_serial;
        self.next_serial += SERIALS;
        (first, SERIALS)
    }

    /// Its serial file comes from a backup, or from another node.
    pub const fn restore_serials(&mut self, first: u32) {
        self.next_serial = first;
    }

    /// Is the process there, and does it run?
    pub(crate) const fn runs(&self) -> bool {
        self.machine.is_some() && !self.paused
    }

    /// When its next timer comes.
    pub(crate) fn tick_at(&self) -> Option<Instant> {
        self.timer.filter(|_| !self.paused).map(|at| at + self.late)
    }

    /// When it writes next: while it believes that it owns the disk, and its proof has not run out.
    pub(crate) fn write_at(&self) -> Option<Instant> {
        let believes = self.belief != Belief::Nothing && !self.paused && self.farewell.is_none();
        (believes && self.clock.shows(self.next_write) < self.proved_until)
            .then_some(self.next_write)
    }

    /// When everything that it started has ended, if it proves nothing more.
    pub(crate) fn acts_until(&self) -> Instant {
        self.clock
            .when(self.proved_until + self.config.times.stop_time)
    }

    /// Was its last proof sent after its clock had gone on?
    pub(crate) fn proof_is_fresh(&self) -> bool {
        let sent_at = self.proved_until - self.config.times.self_stop;
        self.clock.runs() && self.stood_until.is_none_or(|at| sent_at >= at)
    }
}

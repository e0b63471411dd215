//! From a take to a term: sweep, barrier, first clean round.
//!
//! ```text
//!            +--------------------- read the state <------------------+---------+
//!            |                |                |                      |         |
//!       holds, others    holds, alone,    holds, alone,          (again)   GOOD of the
//!       registered       barrier due      no barrier due              |      barrier
//!            |                |                |                      |         |
//!       PREEMPT each,     LUN RESET        PTPL_A, unless             |         |
//!       barrier due             |          read since                 |         |
//!            |                  |              |                      |         |
//!            +------------------+--------------|----------------------+---------+
//!                                              v
//!                                 first clean round: Held
//! ```
//!
//! Invariants:
//! * GOOD of PREEMPT or RESERVE is not "I hold it": `Held` comes with a read that shows this node holding
//!   and nobody else, sent after the barrier.
//! * PTPL_A was 1 at the generation of the read that makes `Held`: the last REGISTER of any nexus decides it
//!   for the whole unit (SPC-4 5.13.5), and every REGISTER counts the generation up. A REGISTER of the key that
//!   this nexus has switches it on again: it can bring no registration about that is not there.
//! * The barrier is a LUN reset, which persistent reservations survive (SPC-4 5.13.5), after every take and
//!   after registrations were removed. PREEMPT AND ABORT alone covers only the holder that it names: if that
//!   one took the disk, plainly or when it was free, and died before its own barrier, writes of an owner
//!   before it lie in the target still.
//! * Where no LUN reset can be sent, PREEMPT AND ABORT is the barrier; a plain PREEMPT is given back; after
//!   a RESERVE or a nexus found holding only the settle time stands between, the log may be read only when
//!   it is over, and that is said. `Held` is not told by the clock then: the win is looked at once more.

use super::super::BarrierKind;
use super::super::guards::Guard;
use super::super::tenure::{Before, Tenure, is_stale};
use super::defence::Owning;
use super::power_loss::Retake;
use super::verdict::{Verdict, judge, victims};
use super::{
    Answer, Attentions, Event, Instant, Key, KeyOwner, PathId, Persistent, PersistentState, Phase,
    Refusal, Refused, Registration, Support, Verb,
};
use scsi::reservation::ResetScope;

/// How often a barrier is tried before it counts as one that cannot be sent.
const BARRIER_TRIES_MAX: u32 = 3;
/// How often PTPL_A is switched on again before the win is given up.
const APTPL_TRIES_MAX: u32 = 3;
/// How often the state is read before the win is given up: each time for registrations that came anew,
/// a conflict or an attention. Contenders come once in a challenge wait.
const READS_MAX: u32 = 32;

/// How the reservation came to be this node's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum How {
    /// PREEMPT AND ABORT of the holder.
    Aborted,
    /// PREEMPT of the holder.
    Preempted,
    /// RESERVE of a disk that nobody held.
    Reserved,
    /// Found: after a rebirth, or after a take whose answer was lost.
    FoundHolding,
}

impl How {
    /// By this take.
    pub(super) const fn of(take: &Verb) -> Self {
        if let Verb::Preempt { abort, .. } = take {
            if *abort {
                Self::Aborted
            } else {
                Self::Preempted
            }
        } else {
            Self::Reserved
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Win {
    key: Key,
    how: How,
    barrier: Barrier,
    barrier_tries: u32,
    /// Nothing could be sent: only the settle time stands between.
    settle_only: bool,
    /// That time is over: there is nothing more to wait for.
    settled: bool,
    /// Being removed.
    sweep: Vec<Registration>,
    reads: u32,
    /// The generation at which PTPL_A is known to have been 1.
    aptpl_at: Option<u32>,
    /// How often it was switched on again.
    aptpl_tries: u32,
    /// It was taken from an owner that had parked: nothing of that one runs any more, and nothing of any before it.
    pub(super) handed_over: bool,
    /// An owner that lost the reservation in a power loss.
    pub(super) retake: Option<Retake>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Barrier {
    Due,
    Done,
}

impl Win {
    pub(super) fn retaking(key: Key, retake: Retake) -> Self {
        Self {
            retake: Some(retake),
            ..Self::new(key, How::Reserved)
        }
    }

    fn new(key: Key, how: How) -> Self {
        Self {
            key,
            how,
            barrier: Barrier::Due,
            barrier_tries: 0,
            settle_only: false,
            settled: false,
            sweep: Vec::new(),
            reads: 0,
            aptpl_at: None,
            aptpl_tries: 0,
            handed_over: false,
            retake: None,
        }
    }

    pub(super) fn retake(&self) -> Option<&Tenure> {
        self.retake.as_ref().map(|retake| &retake.tenure)
    }

    pub(super) const fn key(&self) -> Key {
        self.key
    }

    pub(super) fn normalize(&mut self, now: Instant) {
        if let Some(retake) = &mut self.retake {
            retake.tenure.normalize(now);
        }
    }
}

impl Persistent {
    /// A take was answered GOOD, or this nexus was found to hold.
    pub(super) fn win(&mut self, key: Key, how: How) {
        if how == How::FoundHolding {
            self.kind = self.wanted_kind();
        }
        self.wins += 1;
        self.may_hold = Some(key);
        self.phase = Phase::Win(Win::new(key, how));
        if self.desk.stands(Guard::FirstCleanRound) {
            self.read_state();
        } else {
            self.begin_tenure(self.desk.now);
        }
    }

    /// The settle time is over that was the only barrier. Before anybody hears of this win it is looked at again: whoever
    /// registered meanwhile may have switched APTPL off since the last round.
    pub(super) fn win_by_settling(&mut self, key: Key) {
        self.phase = Phase::Win(Win {
            barrier: Barrier::Done,
            settled: true,
            ..Win::new(key, How::FoundHolding)
        });
        self.read_state();
    }

    pub(super) fn win_state(&mut self, path: PathId, sent_at: Instant, state: &PersistentState) {
        let kind = self.kind;
        let Phase::Win(win) = &mut self.phase else {
            return;
        };
        win.reads += 1;
        let retakes = win.retake.is_some();
        if win.reads > READS_MAX && !retakes {
            self.give_up("the state of the disk does not settle");
            return;
        }
        let key = win.key;
        if self.key_is_shared(state, key) {
            self.refuse(Refused::DuplicateNode { key });
            return;
        }
        let Phase::Win(win) = &mut self.phase else {
            return;
        };
        match judge(state, win.key, kind) {
            Verdict::Others(others) => {
                win.sweep = others;
                self.sweep_next();
            }
            Verdict::Alone => self.win_alone(sent_at, state.generation),
            Verdict::NoHolder if retakes => self.reserve_on(path),
            Verdict::OtherHolder(held) if held.key == Some(win.key) => self.retype(path),
            Verdict::OtherHolder(held) if retakes => self.depose(Some(held)),
            Verdict::KeyGone(held) if retakes => self.depose(held),
            Verdict::OtherHolder(held) => self.lost(Some(held), None),
            Verdict::KeyGone(held) => self.lost(held, None),
            Verdict::NoHolder => self.lost(None, None),
        }
    }

    /// Held by this node alone. What is still due comes first, and is followed by another read.
    fn win_alone(&mut self, sent_at: Instant, generation: u32) {
        let check = self.win_demands_aptpl();
        let barrier_first = self.desk.stands(Guard::BarrierBeforeHeld);
        let Phase::Win(win) = &self.phase else {
            return;
        };
        match win.barrier {
            Barrier::Due if barrier_first => self.send_barrier(),
            Barrier::Due | Barrier::Done if check && win.aptpl_at != Some(generation) => {
                self.read(Verb::ReadCapabilities);
            }
            Barrier::Due | Barrier::Done => {
                if is_stale(&self.desk, sent_at) {
                    self.stumble_for("the reply is older than the self-stop age");
                } else if !self.ask_epoch() {
                    self.begin_tenure(sent_at);
                }
            }
        }
    }

    /// PTPL_A was read, behind the state that was read last.
    pub(super) fn win_capabilities(&mut self) {
        let generation = self.seen.as_ref().map(|seen| seen.generation);
        let active = self.capabilities.aptpl_active == Support::Yes;
        let Phase::Win(win) = &mut self.phase else {
            return;
        };
        if active {
            win.aptpl_at = generation;
            self.read_state();
        } else if win.aptpl_tries >= APTPL_TRIES_MAX {
            self.refuse(Refused::NoAptpl);
        } else {
            win.aptpl_tries += 1;
            let key = win.key;
            self.switch_aptpl_on(key);
        }
    }

    fn win_demands_aptpl(&self) -> bool {
        self.demands_aptpl(Guard::AptplReadBackInWin)
    }

    fn switch_aptpl_on(&mut self, key: Key) {
        let path = self.paths.for_change(key, |path| !self.desk.is_busy(path));
        let Some(path) = path else {
            self.stumble_for("no registered path is free");
            return;
        };
        let verb = self.say_again(key);
        self.ask(path, verb);
    }

    /// REGISTER of the key that the nexus has, for the APTPL bit.
    pub(super) fn say_again(&self, key: Key) -> Verb {
        Verb::Register {
            existing: Some(key),
            new: Some(key),
            options: self.register_options(),
        }
    }

    fn begin_tenure(&mut self, sent_at: Instant) {
        let Phase::Win(win) = &self.phase else {
            return;
        };
        let key = win.key;
        let before = if win.settle_only {
            Before::MayStillWrite
        } else if win.settled || win.handed_over {
            Before::HasEnded
        } else {
            Before::MayStillRun
        };
        let aptpl_at = win.aptpl_at;
        let settle_only = win.settle_only;
        let retake = win.retake.clone();
        self.attentions = Attentions::default();
        // Whoever is served hears of its disk only now.
        self.fed_at = self.desk.now;
        let now = self.desk.now;
        let tenure = match retake {
            Some(retake) => self.retaken(key, retake, sent_at, settle_only),
            None => Tenure::begin(&mut self.desk, Some(key), sent_at, now, before),
        };
        self.errand = super::Errand::default();
        self.wins = 0;
        self.phase = Phase::Owning(Owning::new(key, tenure, aptpl_at));
    }

    // ----------------------------------------------------------------- sweep

    fn sweep_next(&mut self) {
        let kind = self.kind;
        let abort = self.uses_abort();
        let Phase::Win(win) = &self.phase else {
            return;
        };
        let key = win.key;
        let Some(victim) = victims(&win.sweep).first().copied() else {
            self.read_state();
            return;
        };
        let path = self.paths.for_change(key, |path| !self.desk.is_busy(path));
        let Some(path) = path else {
            self.stumble_for("no registered path is free");
            return;
        };
        let verb = Verb::Preempt {
            key,
            victim: Some(victim),
            kind,
            abort,
        };
        self.ask(path, verb);
    }

    fn swept(&mut self, victim: Key) {
        let barrier_due = self.desk.stands(Guard::BarrierAfterSweep);
        let can_reset = self.capabilities.resets.lun != Support::No;
        let Phase::Win(win) = &mut self.phase else {
            return;
        };
        let (removed, left) = std::mem::take(&mut win.sweep)
            .into_iter()
            .partition(|registration: &Registration| registration.key == victim);
        win.sweep = left;
        // Where no reset can be sent (NVMe), the removal was an abort itself.
        if barrier_due && can_reset && win.barrier == Barrier::Done && !win.settled {
            win.barrier = Barrier::Due;
        }
        self.tell_removed(removed);
        self.sweep_next();
    }

    /// Tells of registrations that were removed.
    pub(super) fn tell_removed(&mut self, removed: Vec<Registration>) {
        for registration in removed {
            let foreign = self.owner_of(registration.key) == KeyOwner::Foreign;
            self.desk.tell(Event::Removed {
                registration: registration.clone(),
                foreign,
            });
            if foreign {
                self.count_foreign(registration);
            }
        }
    }

    // --------------------------------------------------------------- barrier

    fn send_barrier(&mut self) {
        if self.capabilities.resets.lun == Support::No {
            self.no_reset();
            return;
        }
        let Some(path) = self.free_path() else {
            self.stumble_for("no path is free");
            return;
        };
        self.ask(
            path,
            Verb::Reset {
                scope: ResetScope::Lun,
                escalate: false,
            },
        );
    }

    /// A LUN reset cannot be sent.
    fn no_reset(&mut self) {
        let nvme = self.capabilities.host_registration;
        let Phase::Win(win) = &mut self.phase else {
            return;
        };
        let barrier = match win.how {
            How::Aborted if nvme => BarrierKind::Nvme,
            How::Aborted => BarrierKind::Abort,
            How::Preempted => {
                self.refuse(Refused::Unsupported(
                    "LUN RESET, the barrier that a PREEMPT without abort needs".into(),
                ));
                return;
            }
            How::Reserved | How::FoundHolding => BarrierKind::SettleOnly,
        };
        win.barrier = Barrier::Done;
        win.settle_only = barrier == BarrierKind::SettleOnly;
        self.desk.tell(Event::Barrier(barrier));
        self.read_behind_barrier();
    }

    /// PTPL_A, where that is still to be read, spares a read of the state before it: the one that showed this
    /// node alone stands before the barrier.
    fn read_behind_barrier(&mut self) {
        if self.win_demands_aptpl() {
            self.read(Verb::ReadCapabilities);
        } else {
            self.read_state();
        }
    }

    fn barrier_answer(&mut self, answer: &Answer) {
        let Phase::Win(win) = &mut self.phase else {
            return;
        };
        win.barrier_tries += 1;
        let too_often = win.barrier_tries >= BARRIER_TRIES_MAX;
        match answer {
            Answer::Done(_) => {
                win.barrier = Barrier::Done;
                win.settle_only = false;
                self.desk.tell(Event::Barrier(BarrierKind::LunReset));
                self.read_behind_barrier();
            }
            Answer::Unsupported => self.no_reset(),
            _ if too_often => self.no_reset(),
            Answer::Attention(_)
            | Answer::Conflict { .. }
            | Answer::Refused(_)
            | Answer::OutcomeUnknown(_)
            | Answer::NotSent(_) => self.stumble(answer),
        }
    }

    // --------------------------------------------------------------- answers

    pub(super) fn win_answer(&mut self, path: PathId, verb: &Verb, answer: &Answer) {
        if let Verb::Reset { .. } = verb {
            self.barrier_answer(answer);
            return;
        }
        let Phase::Win(win) = &self.phase else {
            return;
        };
        let key = win.key;
        match (verb, answer) {
            (
                Verb::Preempt {
                    victim: Some(victim),
                    ..
                },
                Answer::Done(_),
            ) => {
                if *victim == key {
                    self.paths.only_registered(path);
                    self.read_state();
                } else {
                    self.swept(*victim);
                }
            }
            (
                Verb::Preempt { abort: true, .. },
                Answer::Unsupported | Answer::Refused(Refusal::Sense(_)),
            ) => {
                self.abort_refused = true;
                self.read_state();
            }
            (_, Answer::Done(_) | Answer::Conflict { .. } | Answer::Attention(_)) => {
                self.read_state();
            }
            (
                _,
                Answer::Refused(_)
                | Answer::Unsupported
                | Answer::OutcomeUnknown(_)
                | Answer::NotSent(_),
            ) => self.stumble(answer),
        }
    }

    /// This node holds, with another type than it wants: one's own key is preempted, which changes the
    /// type without a gap (a RESERVE of another type would conflict, SPC-4 5.13.7).
    fn retype(&mut self, path: PathId) {
        let Phase::Win(win) = &self.phase else {
            return;
        };
        let key = win.key;
        let verb = Verb::Preempt {
            key,
            victim: Some(key),
            kind: self.kind,
            abort: false,
        };
        match self.paths.registered(path) {
            Some(_) if !self.desk.is_busy(path) => self.ask(path, verb),
            Some(_) | None => self.stumble_for("the path that holds is not free"),
        }
    }
}

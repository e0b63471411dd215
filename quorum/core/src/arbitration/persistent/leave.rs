//! Taking away what is this node's: after a lost race, a refusal, and at an operator's word.
//!
//! ```text
//!   read the state --+-- nothing of ours ------------------------------> done, confirmed
//!        ^           +-- ours holds, and nobody asked for a release: stays holder
//!        ^           +-- ours holds ---- RELEASE on each path in turn
//!        |           |                   none did it (the holder's path is dead): PREEMPT one's own key
//!        |           |                   from a live path, which moves the reservation there
//!        |           +-- ours is registered -- REGISTER(key, none) on each path in turn
//!        +-------------------+
//! ```
//!
//! An owner's first read is the last look at its term: another that holds, or its own key gone (but by a power loss), means
//! that it has lost the disk, though nothing had told it so before. What is still its own is taken away all the same.
//!
//! Invariants: the disk is given back only at an operator's word, or by an owner that took it again after a power loss
//! and finds the epoch another's, for a RELEASE opens it, and whatever an owner of before has under way lands then; a
//! loser or a refused node that turns out to hold stays holder, as if it were dead, until it contends again or another one
//! challenges it; a holder's registration is never taken away before its reservation (on the target that
//! would release it while other paths could still write, SPC-4 5.13.11.2); a loser that finds itself
//! holding has won after all, but for one whose wins come to nothing again and again, or that has an unregister under way
//! whose end it does not know (it would take the term away; the disk stays closed instead); each step is tried
//! once on each path, but for an unregister that was not performed, a few times, so this ends; taking a key
//! away carries the APTPL bit as registering it does; only a read that shows nothing of this node is
//! "withdrawn".

use super::super::guards::Guard;
use super::super::tenure::Tenure;
use super::win::How;
use super::{
    Answer, Errand, Event, Instant, Key, PathId, Persistent, PersistentState, Phase, Refused,
    Reservation, Stopped, Verb, normal,
};

/// How often a path is sent an unregister: for each key that it may have, and a few attentions that were
/// pending.
const SENDS_MAX: usize = 8;
/// How often in a row a loser that finds itself holding tries to make a term of it, before it lets
/// others challenge it.
const WINS_MAX: u32 = 3;

/// What comes afterwards.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum After {
    /// Contend again, then.
    Rest(Instant),
    /// Stand still for good.
    Stop(Stopped),
}

impl After {
    /// Told to stop meanwhile: a contender contends no more. Whoever owned the disk, or was refused, ends as it would have.
    pub(super) fn is_told_to_stop(&mut self) {
        if self.is_lost_race() {
            *self = Self::Stop(Stopped::Withdrawn);
        }
    }

    /// A lost race: nothing is given back that turns out to be won.
    const fn is_lost_race(&self) -> bool {
        matches!(self, Self::Rest(_) | Self::Stop(Stopped::NotTaken { .. }))
    }

    /// At an operator's word the disk is given back; and by an owner that took it again after a power loss and learns
    /// that it is another's. Whoever else turns out to hold it stays holder.
    const fn gives_back(&self) -> bool {
        matches!(
            self,
            Self::Stop(Stopped::Released { .. } | Stopped::Withdrawn | Stopped::Deposed { .. })
        )
    }

    /// A copy of this node may hold with this node's very key: its reservation is not ours to give back.
    const fn is_of_a_duplicate(&self) -> bool {
        matches!(
            self,
            Self::Stop(Stopped::Refused(Refused::DuplicateNode { .. }))
        )
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Leaving {
    after: After,
    /// The term that is given back, until the first read has shown whether it lasted.
    term: Option<Tenure>,
    /// Every key that may be ours.
    keys: Vec<Key>,
    /// An unregister came to no known end: it may still take effect, and take a term away.
    unsettled: bool,
    released: Vec<PathId>,
    moved: bool,
    /// Paths that are through with it, whatever came of it.
    unregistered: Vec<PathId>,
    /// The path of each unregister that was sent.
    sent: Vec<PathId>,
}

impl Leaving {
    pub(super) fn is_told_to_stop(&mut self) {
        self.after.is_told_to_stop();
    }

    pub(super) fn normalize(&mut self, now: Instant) {
        if let After::Rest(until) = &mut self.after {
            *until = normal(*until, now);
        }
        if let Some(term) = &mut self.term {
            term.normalize(now);
        }
    }
}

impl Persistent {
    pub(super) fn leave(&mut self, after: After) {
        let keys = self.paths.own_keys();
        let stay = after.is_lost_race() && !self.desk.stands(Guard::LoserUnregisters);
        let nothing = keys.is_empty() || stay;
        let term = self
            .tenure()
            .filter(|_| matches!(after, After::Stop(Stopped::Released { .. })))
            .cloned();
        self.leave_asked = false;
        self.errand = Errand::default();
        self.phase = Phase::Leaving(Leaving {
            after,
            term,
            keys,
            unsettled: false,
            released: Vec::new(),
            moved: false,
            unregistered: Vec::new(),
            sent: Vec::new(),
        });
        if nothing {
            self.left(true);
        } else {
            self.read_state();
        }
    }

    /// The last look at the term: did it last?
    fn judge_term(&mut self, state: &PersistentState) {
        let lost_power = self.attentions.reset && !self.attentions.preempted;
        let Phase::Leaving(leaving) = &mut self.phase else {
            return;
        };
        let Some(term) = leaving.term.take() else {
            return;
        };
        let own = |key: &Key| leaving.keys.contains(key);
        let registered = state.registrations.iter().any(|one| own(&one.key));
        match state.reservation {
            Some(held) if held.key.as_ref().is_some_and(own) => {}
            None if registered || lost_power => self.desk.tell(Event::Exposed {
                at_most: term.age(&self.desk),
            }),
            holder => {
                if self.desk.stands(Guard::ReleaseIsProved) {
                    leaving.after = After::Stop(Stopped::Deposed { holder });
                }
            }
        }
    }

    pub(super) fn leave_state(&mut self, path: PathId, state: &PersistentState) {
        self.judge_term(state);
        let Phase::Leaving(leaving) = &self.phase else {
            return;
        };
        let own = |key: &Key| leaving.keys.contains(key);
        let held = state
            .reservation
            .filter(|held| held.key.as_ref().is_some_and(own))
            .filter(|_| !leaving.after.is_of_a_duplicate());
        let registered = state.registrations.iter().any(|one| own(&one.key));
        if !registered {
            self.left(true);
        } else if let Some(held) = held {
            self.leave_holder(path, held);
        } else {
            self.unregister_next();
        }
    }

    fn leave_holder(&mut self, path: PathId, held: Reservation) {
        let Phase::Leaving(leaving) = &mut self.phase else {
            return;
        };
        let Some(key) = held.key else {
            return;
        };
        let won = leaving.after.is_lost_race() && self.key == Some(key) && !leaving.unsettled;
        let earned = self.has_earned(key);
        let Phase::Leaving(leaving) = &mut self.phase else {
            return;
        };
        if won && earned && self.wins < WINS_MAX {
            self.win(key, How::FoundHolding);
            return;
        }
        if !leaving.after.gives_back() {
            self.stay_holder();
            return;
        }
        let registered = self.paths.registered_with(key);
        let free = |path: &PathId| !self.desk.is_busy(*path);
        let next = registered
            .iter()
            .copied()
            .find(|path| free(path) && !leaving.released.contains(path));
        if let Some(next) = next {
            leaving.released.push(next);
            let kind = held.kind;
            self.ask(next, Verb::Release { key, kind });
        } else if !leaving.moved && registered.contains(&path) && free(&path) {
            leaving.moved = true;
            leaving.released.clear();
            let verb = Verb::Preempt {
                key,
                victim: Some(key),
                kind: held.kind,
                abort: false,
            };
            self.ask(path, verb);
        } else {
            self.left(false);
        }
    }

    /// A RELEASE would open the disk, and whatever an owner of before has under way would land. It stays closed, as after
    /// the death of its holder, until somebody challenges; and whoever waits lets two waits pass, in which it sweeps nobody
    /// away.
    fn stay_holder(&mut self) {
        let wait = self.desk.config.times.challenge_wait;
        if let Phase::Leaving(leaving) = &mut self.phase {
            match &mut leaving.after {
                After::Rest(until) => *until = *until + wait * 2,
                // It is this node that holds, and nobody else.
                After::Stop(stopped @ Stopped::NotTaken { .. }) => {
                    *stopped = Stopped::Released { confirmed: false };
                }
                After::Stop(_) => {}
            }
        }
        self.left(false);
    }

    fn unregister_next(&mut self) {
        let options = self.register_options();
        let Phase::Leaving(leaving) = &mut self.phase else {
            return;
        };
        let paths = self.paths.usable().into_iter();
        let mut open =
            paths.filter(|path| !leaving.unregistered.contains(path) && !self.desk.is_busy(*path));
        let Some(path) = open.next() else {
            self.left(false);
            return;
        };
        let seen = self.seen.as_ref();
        let sends = leaving.sent.iter().filter(|sent| **sent == path).count();
        let key = self.paths.next_to_remove(path, seen, &leaving.keys);
        match key.filter(|_| sends < SENDS_MAX) {
            Some(key) => {
                leaving.sent.push(path);
                let verb = Verb::Register {
                    existing: Some(key),
                    new: None,
                    options,
                };
                self.ask(path, verb);
            }
            None => {
                leaving.unregistered.push(path);
                self.unregister_next();
            }
        }
    }

    /// A change came back. One that was not performed is tried again; one whose end is not known is not.
    pub(super) fn leave_answer(&mut self, path: PathId, verb: &Verb, answer: &Answer) {
        let Phase::Leaving(leaving) = &mut self.phase else {
            return;
        };
        let again = matches!(answer, Answer::Conflict { .. } | Answer::Attention(_));
        if self.desk.stands(Guard::UnsettledLeaveIsNoWin) {
            leaving.unsettled |= matches!(answer, Answer::OutcomeUnknown(_));
        }
        if matches!(verb, Verb::Register { .. }) && !again {
            leaving.unregistered.push(path);
        }
        self.read_state();
    }

    /// Done, or as far as it goes.
    pub(super) fn left(&mut self, confirmed: bool) {
        let Phase::Leaving(leaving) = &self.phase else {
            return;
        };
        match leaving.after.clone() {
            After::Rest(until) => {
                self.errand = Errand::default();
                self.phase = Phase::Resting { until };
            }
            After::Stop(Stopped::Released { .. }) => self.stop(Stopped::Released { confirmed }),
            After::Stop(Stopped::Withdrawn) if !confirmed => {
                self.stop(Stopped::Released { confirmed });
            }
            After::Stop(stopped) => self.stop(stopped),
        }
    }
}

//! Taking away what is this node's: after a lost race, a refusal, and at an operator's word.
//!
//! ```text
//!   read the state --+-- nothing of ours ------------------------------> done, confirmed
//!        ^           +-- ours holds ---- RELEASE on each path in turn
//!        |           |                   none did it (the holder's path is dead): PREEMPT one's own key
//!        |           |                   from a live path, which moves the reservation there
//!        |           +-- ours is registered -- REGISTER(key, none) on each path in turn
//!        +-------------------+
//! ```
//!
//! Invariants: a holder's registration is never taken away before its reservation (on the target that
//! would release it while other paths could still write, SPC-4 5.13.11.2); a loser that finds itself
//! holding has won after all; each step is tried once on each path, so this ends.

use super::super::guards::Guard;
use super::win::How;
use super::{
    Errand, Instant, Key, PathId, Persistent, PersistentState, Phase, Reservation, Stopped, Verb,
    normal,
};
use scsi::reservation::RegisterOptions;

/// What comes afterwards.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum After {
    /// Contend again, then.
    Rest(Instant),
    /// Stand still for good.
    Stop(Stopped),
}

impl After {
    /// A lost race: nothing is given back that turns out to be won.
    const fn is_lost_race(&self) -> bool {
        matches!(self, Self::Rest(_) | Self::Stop(Stopped::NotTaken { .. }))
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Leaving {
    after: After,
    /// Every key that may be ours.
    keys: Vec<Key>,
    released: Vec<PathId>,
    moved: bool,
    unregistered: Vec<PathId>,
}

impl Leaving {
    pub(super) fn then(&mut self, after: After) {
        self.after = after;
    }

    pub(super) fn normalize(&mut self, now: Instant) {
        if let After::Rest(until) = &mut self.after {
            *until = normal(*until, now);
        }
    }
}

impl Persistent {
    pub(super) fn leave(&mut self, after: After) {
        let keys = self.paths.own_keys();
        let stay = after.is_lost_race() && !self.desk.stands(Guard::LoserUnregisters);
        let nothing = keys.is_empty() || stay;
        self.leave_asked = false;
        self.errand = Errand::default();
        self.phase = Phase::Leaving(Leaving {
            after,
            keys,
            released: Vec::new(),
            moved: false,
            unregistered: Vec::new(),
        });
        if nothing {
            self.left(true);
        } else {
            self.read_state();
        }
    }

    pub(super) fn leave_state(&mut self, path: PathId, state: &PersistentState) {
        let Phase::Leaving(leaving) = &self.phase else {
            return;
        };
        let own = |key: &Key| leaving.keys.contains(key);
        let held = state
            .reservation
            .filter(|held| held.key.as_ref().is_some_and(own));
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
        if leaving.after.is_lost_race() && self.key == Some(key) {
            self.win(key, How::FoundHolding);
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

    fn unregister_next(&mut self) {
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
        let existing = self.paths.next_existing(path, seen, &leaving.keys);
        match existing.flatten() {
            Some(key) => {
                if self.paths.registered(path) == Some(key) {
                    leaving.unregistered.push(path);
                }
                let verb = Verb::Register {
                    existing: Some(key),
                    new: None,
                    options: RegisterOptions::default(),
                };
                self.ask(path, verb);
            }
            None => {
                leaving.unregistered.push(path);
                self.unregister_next();
            }
        }
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
            After::Stop(stopped) => self.stop(stopped),
        }
    }
}

//! One fresh key on every usable path.
//!
//! ```text
//!   pass: path 0 REGISTER(existing, K) GOOD --> path 1 REGISTER(existing, K) GOOD --> ... --> challenge
//!           |
//!           +-- conflict (not what this nexus has), attention, no definite end:
//!               read the state, take another fresh key, begin the pass again
//! ```
//!
//! A pass that is begun again replaces the key where it was registered already, so that in the end all
//! paths have one key, and no path was ever sent the same key twice: a REGISTER that takes effect late
//! cannot look like a key that survived a challenge wait.
//!
//! Whether this nexus is registered from an earlier life is found out by trying: first "not registered",
//! then the registered keys that carry this cluster and node.

use super::super::guards::Guard;
use super::super::tenure::Tenure;
use super::challenge::Challenge;
use super::{
    Answer, Event, Instant, Key, KeyOwner, PathId, Persistent, PersistentState, Phase, Refusal,
    Refused, Reservation, Support, Verb,
};

/// How many REGISTERs one challenge may send: 24 paths, each refused once, or a few paths among the
/// leftovers of many lives.
const SENDS_MAX: usize = 48;

/// How often all guesses may be refused before the nexus counts as registered by somebody else.
const EXHAUSTED_MAX: u32 = 3;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Registering {
    /// For an owner that lost its registration in a power loss: its tenure, which ages on.
    pub(super) retake: Option<Tenure>,
    key: Option<Key>,
    /// Paths that do not have the key yet.
    todo: Vec<PathId>,
    /// A key of another life that was replaced.
    replaced: Option<Key>,
    /// A nexus of this node held before anything was sent.
    held: bool,
    /// The keys that were sent.
    sent: Vec<Key>,
    /// How often every guess was refused.
    exhausted: u32,
    /// The pass begins when serials have come.
    needs_serials: bool,
}

impl Registering {
    pub(super) fn normalize(&mut self, now: Instant) {
        if let Some(tenure) = &mut self.retake {
            tenure.normalize(now);
        }
    }
}

impl Persistent {
    /// Registers all usable paths. The state has just been read.
    pub(super) fn register(&mut self, retake: Option<Tenure>) {
        let held = self.seen.as_ref().and_then(|seen| seen.reservation);
        let holder = held.and_then(|held| held.key);
        let held = holder.is_some_and(|key| self.owner_of(key) == KeyOwner::OwnNode);
        self.phase = Phase::Registering(Registering {
            retake,
            key: None,
            todo: Vec::new(),
            replaced: None,
            held,
            sent: Vec::new(),
            exhausted: 0,
            needs_serials: false,
        });
        self.register_after_read();
    }

    /// An owner that registers again would let in what it has under way: not when another holds the disk already.
    pub(super) fn registering_state(&mut self, state: &PersistentState) {
        let own = |key: &Key| self.key == Some(*key) || self.paths.own_keys().contains(key);
        let by_another = |held: &Reservation| held.key.is_some_and(|key| !own(&key));
        match state.reservation.filter(by_another) {
            Some(held) if self.tenure().is_some() => self.depose(Some(held)),
            Some(_) | None => self.register_after_read(),
        }
    }

    /// Begins a pass with a key that was never sent.
    pub(super) fn register_after_read(&mut self) {
        if let Phase::Registering(registering) = &self.phase
            && registering.sent.len() >= SENDS_MAX
        {
            self.give_up_registering("REGISTER is refused again and again");
            return;
        }
        let Some(key) = self.fresh_key() else {
            // They have been asked for, and come as an input of their own.
            if let Phase::Registering(registering) = &mut self.phase {
                registering.needs_serials = true;
            }
            return;
        };
        let mut todo = self.paths.trusted();
        if self.capabilities.host_registration {
            todo.truncate(1);
        }
        if todo.is_empty() {
            self.stumble_for("no path is usable");
            return;
        }
        self.key = Some(key);
        self.key_sent = 0;
        if let Phase::Registering(registering) = &mut self.phase {
            registering.key = Some(key);
            registering.todo = todo;
        }
        self.register_next_path();
    }

    /// A block of serials has come.
    pub(super) fn register_with_new_serials(&mut self) {
        if let Phase::Registering(registering) = &mut self.phase
            && std::mem::take(&mut registering.needs_serials)
        {
            self.register_after_read();
        }
    }

    fn fresh_key(&mut self) -> Option<Key> {
        if !self.desk.stands(Guard::FreshKeyForEachRegister) && self.key.is_some() {
            return self.key;
        }
        let seen = self
            .seen
            .as_ref()
            .filter(|_| self.desk.stands(Guard::KeyUnlikeThoseSeen));
        self.serials
            .take(self.desk.config.cluster, self.desk.config.node, seen)
    }

    fn register_next_path(&mut self) {
        let further = self.keys_of_other_lives();
        let options = self.register_options();
        let Phase::Registering(registering) = &mut self.phase else {
            return;
        };
        let Some(path) = registering.todo.first().copied() else {
            return;
        };
        let existing = self.paths.next_existing(path, self.seen.as_ref(), &further);
        let Some(existing) = existing else {
            self.all_refused(path);
            return;
        };
        if self.desk.is_busy(path) {
            self.stumble_for("the path is busy");
            return;
        }
        registering.sent.extend(registering.key);
        self.key_sent += 1;
        let new = registering.key;
        let verb = if self.desk.stands(Guard::ExistingKeyIsNamed) {
            Verb::Register {
                existing,
                new,
                options,
            }
        } else {
            Verb::RegisterIgnoringExisting { new, options }
        };
        self.ask(path, verb);
    }

    /// The nexus has none of the keys that it may have. A REGISTER of ours may have taken effect late, so
    /// all are tried again, a few times.
    fn all_refused(&mut self, path: PathId) {
        let Phase::Registering(registering) = &mut self.phase else {
            return;
        };
        registering.exhausted += 1;
        if registering.exhausted >= EXHAUSTED_MAX {
            self.refuse(Refused::CannotRegister(
                "the nexus has a registration under a key that is not known here".into(),
            ));
        } else {
            self.paths.try_again(path);
            self.stumble_for("every key that the nexus may have was refused");
        }
    }

    /// Nothing of this is known to last: a waiting contender tries again.
    fn give_up_registering(&mut self, why: &str) {
        if self.desk.config.policy.wait && self.tenure().is_none() {
            self.lost(None, None);
        } else {
            self.refuse(Refused::CannotRegister(why.into()));
        }
    }

    /// Registered keys that a nexus of this node may have from an earlier life, and not from this one; when foreign ones are to be
    /// evicted, those too.
    pub(super) fn keys_of_other_lives(&self) -> Vec<Key> {
        let Some(state) = &self.seen else {
            return Vec::new();
        };
        let mut of_this_life = self.paths.own_keys();
        if let Phase::Registering(registering) = &self.phase {
            of_this_life.extend(&registering.sent);
        }
        let keys = state
            .registrations
            .iter()
            .map(|registration| registration.key);
        let keys = keys.filter(|key| !of_this_life.contains(key));
        keys.filter(|key| match self.owner_of(*key) {
            KeyOwner::OwnNode => true,
            KeyOwner::Peer(_) => false,
            KeyOwner::Foreign => self.desk.config.policy.evict_foreign,
        })
        .collect()
    }

    /// A REGISTER came back.
    pub(super) fn registered(
        &mut self,
        path: PathId,
        verb: &Verb,
        sent_at: Instant,
        answer: &Answer,
    ) {
        let accept_no_aptpl = self.desk.config.policy.accept_no_aptpl;
        let Phase::Registering(registering) = &mut self.phase else {
            return;
        };
        match answer {
            Answer::Done(_) => {
                registering.todo.retain(|todo| *todo != path);
                if let Verb::Register {
                    existing: Some(old),
                    ..
                } = verb
                    && !registering.sent.contains(old)
                {
                    registering.replaced = Some(*old);
                }
                if let Some(key) = registering.key {
                    self.desk.tell(Event::Registered { path, key });
                }
                if registering.todo.is_empty() {
                    self.all_registered(sent_at);
                } else {
                    self.register_next_path();
                }
            }
            // Not what the nexus has, or not performed: another guess, and another key.
            Answer::Conflict { .. } | Answer::Attention(_) => self.read_state(),
            Answer::Refused(Refusal::Sense(sense))
                if sense.key == 5 && accept_no_aptpl && !self.aptpl_refused =>
            {
                self.aptpl_refused = true;
                self.read_state();
            }
            Answer::Unsupported => self.refuse(Refused::Unsupported(verb.name().into())),
            Answer::Refused(_) | Answer::OutcomeUnknown(_) | Answer::NotSent(_) => {
                self.stumble(answer);
            }
        }
    }

    /// Every path has the key. The challenge wait begins now: not before the last GOOD has arrived.
    fn all_registered(&mut self, sent_at: Instant) {
        let Phase::Registering(registering) = &mut self.phase else {
            return;
        };
        let Some(key) = registering.key else {
            return;
        };
        let retake = registering.retake.take();
        let replaced = registering.replaced;
        // A disk that forgets may have been taken by the life before through a power loss, without a wait.
        let persists = !self.desk.config.policy.accept_no_aptpl
            || self.capabilities.aptpl_active == Support::Yes;
        self.may_hold = (registering.held && persists).then_some(key);
        self.errand.stumbles = 0;
        if self.capabilities.host_registration {
            self.paths.all_registered(key);
        }
        let registered_at = if self.desk.stands(Guard::WaitFromGood) {
            self.desk.now
        } else {
            sent_at
        };
        match retake {
            Some(tenure) => self.reserve_again(key, tenure),
            None => self.challenge(Challenge::new(
                key,
                registered_at,
                self.desk.config.times.challenge_wait,
                replaced,
            )),
        }
    }
}

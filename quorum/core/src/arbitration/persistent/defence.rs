//! The owner's rounds: what a defender does every defend interval, and on everything it meets.
//!
//! ```text
//!   every d, on every free path: READ STATE
//!        |
//!        +-- holds, alone ----------------------> clean: proved from the read's send
//!        +-- holds, others registered ----------> PREEMPT each, read again
//!        |                                          conflict, attention: read again at once
//!        +-- registered, nobody holds ----------> RESERVE, Exposed, read again
//!        +-- another holds ---------------------> deposed
//!        +-- key gone --------------------------> power loss, or deposed
//!        +-- no definite answer on any path ----> round failed; ownership ages on
//! ```
//!
//! A reset that a challenger or a stranger sent is an attention here and nothing more: persistent
//! reservations survive it, and the read that drained it decides.
//!
//! Several paths read at the same time; the first that shows a clean state proves, so that a path that
//! hangs holds up nothing. A path that dies under its reservation is left as it is: the holder's key is
//! this node's, so this node is the owner still, and defends from another path. Moving the reservation
//! would remove its own key from other paths for a moment; only a release does that (see `leave`).
//!
//! A path that comes (back) during a term joins it: it is given the term's key, once, after a clean round that was
//! sent since. Until then it may be read over, for REGISTER on it would make an owner that was deposed
//! meanwhile, and whose clock did not tell it so, a registrant again, under the very key that its late PREEMPTs
//! carry. One that failed is
//! tried again some rounds later. One on which a change conflicted is doubted: others may have the key while
//! it has not, so the next change goes over another path, and it joins anew.
//!
//! When the disk's generation has moved, somebody has registered, and the last REGISTER decides about APTPL for
//! the whole unit: then PTPL_A is read between two rounds, and switched on again (see `win`).
//!
//! Invariants: one change is out at a time; a round reads at most [`READS_MAX`] times; an owner that is
//! not fed starts no round.

use super::super::guards::Guard;
use super::super::tenure::{Tenure, is_stale};
use super::super::{CommandId, PathId};
use super::verdict::{Verdict, judge, victims};
use super::{
    Answer, Attentions, Event, Instant, Key, Persistent, PersistentState, Phase, Registration,
    Reply, Support, Verb, normal, trouble,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often one round reads: each time for what was removed, a conflict or an attention. The interval
/// ends the round in any case.
const READS_MAX: u32 = 8;
/// How often in a row APTPL is switched on again where it is found off.
const APTPL_TRIES_MAX: u32 = 3;
/// Foreign registrations within a minute that are a fight.
const CONTESTED: usize = 3;
const CONTESTED_WITHIN: Duration = Duration::from_secs(60);

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Owning {
    key: Key,
    pub(super) tenure: Tenure,
    round: Option<Round>,
    /// A round is owed, as soon as a path is free and none is under way: this host stood still during the last one, or
    /// no path was free when one was due.
    again: bool,
    /// A path that is being given the term's key.
    join: Option<Join>,
    aptpl: Aptpl,
}

/// Persistence through power loss, as far as it is known.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Aptpl {
    /// The generation at which it was on.
    on_at: Option<u32>,
    /// The look, or the REGISTER, that is out, and the generation before it.
    out: Option<(CommandId, u32)>,
    /// How often it has been found off in a row.
    off: u32,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Round {
    /// Reads that are out.
    reads: BTreeMap<PathId, CommandId>,
    reads_left: u32,
    /// The one change that is out.
    change: Option<CommandId>,
    /// Being removed.
    sweep: Vec<Registration>,
    /// How many keys were removed.
    removed: u32,
    /// It has been told that they are too many.
    crowded: bool,
    /// When the read was sent that found them.
    found_at: Instant,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Join {
    path: PathId,
    id: CommandId,
    /// The path may have had the term's key before.
    had_key: bool,
}

impl Owning {
    pub(super) const fn new(key: Key, tenure: Tenure, aptpl_at: Option<u32>) -> Self {
        Self {
            key,
            tenure,
            round: None,
            again: false,
            join: None,
            aptpl: Aptpl {
                on_at: aptpl_at,
                out: None,
                off: 0,
            },
        }
    }

    pub(super) fn normalize(
        &mut self,
        now: Instant,
        rename: &impl Fn(CommandId) -> Option<CommandId>,
    ) {
        self.tenure.normalize(now);
        if let Some(round) = &mut self.round {
            round.found_at = normal(round.found_at, now);
            round.change = round.change.and_then(rename);
            for id in round.reads.values_mut() {
                if let Some(new) = rename(*id) {
                    *id = new;
                }
            }
        }
        self.aptpl.out = (self.aptpl.out).and_then(|(id, at)| rename(id).map(|id| (id, at)));
        if let Some(join) = &mut self.join
            && let Some(new) = rename(join.id)
        {
            join.id = new;
        }
    }
}

impl Persistent {
    pub(super) fn defend_when_due(&mut self) {
        let fed_at = self.fed_at;
        let Phase::Owning(owning) = &mut self.phase else {
            return;
        };
        let key = owning.key;
        let looks_again = self.desk.stands(Guard::SettledWinIsLookedAt)
            && owning.tenure.has_settled_unheld(&self.desk);
        if looks_again && self.free_path().is_some() {
            self.win_by_settling(key);
            return;
        }
        let Phase::Owning(owning) = &mut self.phase else {
            return;
        };
        if !looks_again {
            owning.tenure.settle(&mut self.desk, Some(key));
        }
        if owning.tenure.round_is_due(&mut self.desk) {
            if owning.round.take().is_some() {
                self.round_failed("not finished before the next round");
            }
            if Tenure::may_defend(&self.desk, fed_at) {
                self.start_round();
            } else {
                self.round_failed("not fed: whoever is served has gone silent");
            }
        }
    }

    /// This host stood still: what was proved before may not be true any more. A round that is due begins by itself.
    pub(super) fn prove_again(&mut self) {
        let fed_at = self.fed_at;
        let Phase::Owning(owning) = &mut self.phase else {
            return;
        };
        if self.desk.now >= owning.tenure.next_round_at() {
            return;
        }
        if owning.round.is_some() {
            owning.again = true;
        } else if Tenure::may_defend(&self.desk, fed_at) {
            self.start_round();
        }
    }

    fn start_round(&mut self) {
        self.paths.count_down_to_retry();
        let reads_left = READS_MAX;
        let found_at = self.desk.now;
        if let Phase::Owning(owning) = &mut self.phase {
            owning.again = false;
            owning.round = Some(Round {
                reads: BTreeMap::new(),
                reads_left,
                change: None,
                sweep: Vec::new(),
                removed: 0,
                crowded: false,
                found_at,
            });
        }
        self.read_on_all_paths();
    }

    /// Reads the state on every path that is free; earlier reads of the round do not count any more.
    fn read_on_all_paths(&mut self) {
        let Phase::Owning(owning) = &mut self.phase else {
            return;
        };
        let Some(round) = &mut owning.round else {
            return;
        };
        let paths = self.paths.defending(owning.key);
        round.reads.clear();
        round.change = None;
        round.sweep.clear();
        if round.reads_left == 0 {
            self.round_failed("the state of the disk does not settle");
            return;
        }
        round.reads_left -= 1;
        for path in paths {
            if !self.desk.is_busy(path) {
                let id = self.desk.perform(path, Verb::ReadState);
                round.reads.insert(path, id);
            }
        }
        if round.reads.is_empty() {
            owning.again = true;
            self.round_failed("no path is free");
        }
    }

    fn round_failed(&mut self, why: &str) {
        let Phase::Owning(owning) = &mut self.phase else {
            return;
        };
        owning.round = None;
        let age = owning.tenure.age(&self.desk);
        self.desk.tell(Event::RoundFailed {
            why: why.into(),
            age,
        });
    }

    // --------------------------------------------------------------- answers

    pub(super) fn on_round_answer(
        &mut self,
        id: CommandId,
        path: PathId,
        verb: &Verb,
        sent_at: Instant,
        answer: Answer,
    ) {
        self.take_round_answer(id, path, verb, sent_at, answer);
        let fed_at = self.fed_at;
        if let Phase::Owning(owning) = &self.phase
            && owning.again
            && owning.round.is_none()
            && Tenure::may_defend(&self.desk, fed_at)
        {
            self.start_round();
        }
    }

    fn take_round_answer(
        &mut self,
        id: CommandId,
        path: PathId,
        verb: &Verb,
        sent_at: Instant,
        answer: Answer,
    ) {
        let Phase::Owning(owning) = &mut self.phase else {
            return;
        };
        if owning.join.as_ref().is_some_and(|join| join.id == id) {
            self.join_answer(&answer);
            return;
        }
        if let Some((_, generation)) = owning.aptpl.out.take_if(|(out, _)| *out == id) {
            self.aptpl_answer(path, generation, &answer);
            return;
        }
        let Some(round) = &mut owning.round else {
            return;
        };
        if round.change == Some(id) {
            round.change = None;
            self.change_answer(path, verb, &answer);
            return;
        }
        if round.reads.get(&path) != Some(&id) {
            return;
        }
        round.reads.remove(&path);
        let last = round.reads.is_empty() && round.change.is_none();
        if let Answer::Done(Reply::State(state)) = answer {
            self.seen = Some(state.clone());
            self.round_state(path, sent_at, &state);
        } else if last {
            let why = trouble(&answer).unwrap_or_else(|| "the state could not be read".into());
            self.round_failed(&why);
        }
    }

    fn round_state(&mut self, path: PathId, sent_at: Instant, state: &PersistentState) {
        let kind = self.kind;
        let Phase::Owning(Owning { key, .. }) = self.phase else {
            return;
        };
        if self.key_is_shared(state, key) {
            self.depose(state.reservation);
            return;
        }
        let Phase::Owning(owning) = &mut self.phase else {
            return;
        };
        let Some(round) = &mut owning.round else {
            return;
        };
        let changing = round.change.is_some();
        match judge(state, key, kind) {
            Verdict::Alone => {
                self.clean_round(sent_at);
                self.look_at_aptpl(path, state.generation);
            }
            // Another path's read has found them already.
            Verdict::Others(_) | Verdict::NoHolder if changing => {}
            Verdict::Others(others) => {
                round.sweep = others;
                round.found_at = sent_at;
                self.tell_crowded();
                self.remove_next(path);
            }
            Verdict::NoHolder => self.change(path, Verb::Reserve { key, kind }),
            Verdict::OtherHolder(held) => {
                if self.desk.stands(Guard::OtherHolderDeposes) {
                    self.depose(Some(held));
                } else {
                    self.round_failed("another holds");
                }
            }
            Verdict::KeyGone(held) => {
                if self.desk.stands(Guard::KeyGoneDeposes) {
                    let tenure = owning.tenure.clone();
                    self.key_gone(held, tenure);
                } else {
                    self.round_failed("own key is gone");
                }
            }
        }
    }

    fn clean_round(&mut self, sent_at: Instant) {
        if is_stale(&self.desk, sent_at) {
            self.round_failed("the reply is older than the self-stop age");
            return;
        }
        let now = self.desk.now;
        let Phase::Owning(owning) = &mut self.phase else {
            return;
        };
        owning.round = None;
        owning.tenure.prove(&mut self.desk, sent_at, now);
        self.attentions = Attentions::default();
        let proves_for_paths = self.path_came_at.is_none_or(|at| sent_at >= at)
            || !self.desk.stands(Guard::JoinFollowsACleanRound);
        if proves_for_paths {
            self.join_paths();
        }
    }

    // --------------------------------------------------------------- changes

    fn change(&mut self, path: PathId, verb: Verb) {
        let Phase::Owning(owning) = &mut self.phase else {
            return;
        };
        let Some(round) = &mut owning.round else {
            return;
        };
        round.change = Some(self.desk.perform(path, verb));
    }

    fn remove_next(&mut self, path: PathId) {
        let kind = self.kind;
        let Phase::Owning(owning) = &self.phase else {
            return;
        };
        let Some(round) = &owning.round else {
            return;
        };
        let key = owning.key;
        let found_at = round.found_at;
        match victims(&round.sweep).first().copied() {
            Some(victim) => self.change(
                path,
                Verb::Preempt {
                    key,
                    victim: Some(victim),
                    kind,
                    abort: false,
                },
            ),
            None if self.desk.stands(Guard::SweepIsReadBack) => self.read_on_all_paths(),
            None => self.clean_round(found_at),
        }
    }

    fn change_answer(&mut self, path: PathId, verb: &Verb, answer: &Answer) {
        match (verb, answer) {
            (
                Verb::Preempt {
                    victim: Some(victim),
                    ..
                },
                Answer::Done(_),
            ) => self.removed(path, *victim),
            (Verb::Reserve { .. }, Answer::Done(_)) => {
                // Nobody was kept out since the last clean round.
                let age = self.tenure().map(|tenure| tenure.age(&self.desk));
                if let Some(at_most) = age {
                    self.desk.tell(Event::Exposed { at_most });
                }
                self.read_on_all_paths();
            }
            // Somebody else acts on the disk, or nothing was performed: look again at once.
            (_, Answer::Conflict { .. } | Answer::Attention(_) | Answer::Done(_)) => {
                self.read_on_all_paths();
            }
            (
                _,
                Answer::Refused(_)
                | Answer::Unsupported
                | Answer::OutcomeUnknown(_)
                | Answer::NotSent(_),
            ) => {
                let why = trouble(answer).unwrap_or_default();
                self.round_failed(&why);
            }
        }
    }

    fn removed(&mut self, path: PathId, victim: Key) {
        let Phase::Owning(owning) = &mut self.phase else {
            return;
        };
        let Some(round) = &mut owning.round else {
            return;
        };
        let (removed, left) = std::mem::take(&mut round.sweep)
            .into_iter()
            .partition(|registration: &Registration| registration.key == victim);
        round.sweep = left;
        round.removed += 1;
        self.tell_removed(removed);
        self.remove_next(path);
    }

    /// Tells when the round has more keys to remove than the times cover.
    fn tell_crowded(&mut self) {
        let covered = self.desk.config.times.removable_keys;
        let Phase::Owning(Owning {
            round: Some(round), ..
        }) = &mut self.phase
        else {
            return;
        };
        let found = u32::try_from(victims(&round.sweep).len()).unwrap_or(u32::MAX);
        let keys = round.removed.saturating_add(found);
        if keys > covered && !round.crowded {
            round.crowded = true;
            self.desk.tell(Event::Crowded { keys, covered });
        }
    }

    /// Three foreign registrations within a minute: somebody is fighting over this disk.
    pub(super) fn count_foreign(&mut self, registration: Registration) {
        let now = self.desk.now;
        self.foreign_removed.push_back(now);
        if self.foreign_removed.len() > CONTESTED {
            self.foreign_removed.pop_front();
        }
        let oldest = self.foreign_removed.front().copied().unwrap_or(now);
        let within = now.saturating_since(oldest) <= CONTESTED_WITHIN;
        if self.foreign_removed.len() == CONTESTED && within {
            self.foreign_removed.clear();
            self.desk.tell(Event::Contested { registration });
        }
    }

    // ----------------------------------------------------------------- aptpl

    /// A round was clean at this generation. What is asked here comes back before the next round, or else the
    /// next clean round asks.
    fn look_at_aptpl(&mut self, path: PathId, generation: u32) {
        let demanded = self.demands_aptpl(Guard::AptplKeptOn);
        let bound = self.desk.config.times.command_bound;
        let Phase::Owning(owning) = &mut self.phase else {
            return;
        };
        let Owning { aptpl, tenure, .. } = owning;
        let in_time = self.desk.now + bound <= tenure.next_round_at();
        let wanted = demanded && aptpl.on_at != Some(generation) && aptpl.off < APTPL_TRIES_MAX;
        if wanted && in_time && aptpl.out.is_none() && !self.desk.is_busy(path) {
            let id = self.desk.perform(path, Verb::ReadCapabilities);
            aptpl.out = Some((id, generation));
        }
    }

    fn aptpl_answer(&mut self, path: PathId, generation: u32, answer: &Answer) {
        let Answer::Done(Reply::Capabilities(can)) = answer else {
            // Of the REGISTER, or of no definite end: the next clean round looks.
            return;
        };
        self.capabilities = *can;
        let active = can.aptpl_active == Support::Yes;
        let Phase::Owning(owning) = &mut self.phase else {
            return;
        };
        let key = owning.key;
        let told_off = std::mem::replace(&mut owning.aptpl.off, 0);
        if active {
            owning.aptpl.on_at = Some(generation);
        } else {
            owning.aptpl.off = told_off + 1;
        }
        if active == (told_off > 0) {
            self.desk.tell(Event::Aptpl { active });
        }
        if active || self.desk.is_busy(path) || self.paths.registered(path) != Some(key) {
            return;
        }
        let verb = self.say_again(key);
        let id = self.desk.perform(path, verb);
        if let Phase::Owning(owning) = &mut self.phase {
            owning.aptpl.out = Some((id, generation));
        }
    }

    // ----------------------------------------------------------------- paths

    /// Gives the term's key to a path that has come, one at a time.
    fn join_paths(&mut self) {
        let further = self.keys_to_join_over();
        let options = self.register_options();
        let Phase::Owning(owning) = &mut self.phase else {
            return;
        };
        if owning.join.is_some() {
            return;
        }
        let key = owning.key;
        let lacking = self.paths.lacking(key).into_iter();
        let mut free = lacking.filter(|path| !self.desk.is_busy(*path));
        let Some(path) = free.next() else {
            return;
        };
        if self.capabilities.host_registration {
            self.paths.accept_term_key(path, key);
            self.desk.tell(Event::Path { path, usable: true });
            return;
        }
        let had_key = self.paths.may_have(path, key);
        let Some(existing) = self.paths.next_to_join(path, key, &further) else {
            self.paths.fail(path);
            return;
        };
        let verb = Verb::Register {
            existing,
            new: Some(key),
            options,
        };
        self.paths.will_send(path, &verb);
        self.key_sent += 1;
        let id = self.desk.perform(path, verb);
        owning.join = Some(Join { path, id, had_key });
    }

    /// Keys that a path may have from another life of this node; the term's own is none of them.
    fn keys_to_join_over(&self) -> Vec<Key> {
        let own = self.key;
        let keys = self.keys_of_other_lives().into_iter();
        keys.filter(|other| Some(*other) != own).collect()
    }

    fn join_answer(&mut self, answer: &Answer) {
        let further = self.keys_to_join_over();
        let Phase::Owning(owning) = &mut self.phase else {
            return;
        };
        let Some(join) = owning.join.take() else {
            return;
        };
        let Join { path, had_key, .. } = join;
        let key = owning.key;
        match answer {
            Answer::Done(_) => {
                self.desk.tell(Event::Registered { path, key });
                self.desk.tell(Event::Path { path, usable: true });
            }
            // It may have had the term's key, and has nothing else, nor is it without a registration: it has it still.
            Answer::Conflict { .. }
                if had_key && self.paths.next_to_join(path, key, &further).is_none() =>
            {
                self.paths.accept_term_key(path, key);
                self.desk.tell(Event::Path { path, usable: true });
            }
            Answer::Conflict { .. } | Answer::Attention(_) => {}
            // The key may take effect late. It is not sent on this path again.
            Answer::Refused(_)
            | Answer::Unsupported
            | Answer::OutcomeUnknown(_)
            | Answer::NotSent(_) => self.paths.fail(path),
        }
    }
}

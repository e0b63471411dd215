//! The challenge: note the holder, wait, look, take.
//!
//! ```text
//!  GOOD of REGISTER                                              + w
//!   |-- PTPL_A? -- note the holder -- parked mark? ------- wait ---|-- look -- take
//!                     |                    |                           |        |
//!                     | own nexus holds    | names the holder          |        +-- no definite end: look again
//!                     v                    v                           +-- own key gone, or another
//!                    win                  take                             holder than noted: lost
//! ```
//!
//! Invariants:
//! * A take is never instant: a disk without a holder is waited for like any other, for a power loss, a
//!   CLEAR and another's reset look like "free".
//! * Any difference between the noted holder and the holder at the look means lost, also when the holder
//!   went away: a live owner whose reservation was released under it reserves again within one round.
//! * PREEMPT names the noted holder's key and one's own, so that it does nothing once either is gone.

use super::super::guards::Guard;
use super::super::{CommandId, ParkedMark};
use super::leave::After;
use super::win::How;
use super::{
    Answer, Event, Instant, Key, KeyOwner, Output, Persistent, PersistentState, Phase, Refusal,
    Refused, Reservation, Stopped, Support, Verb, normal,
};
use std::time::Duration;

/// How often a challenge takes: a few attentions that were pending, answers that were lost, or moments
/// without a free path. More is somebody else's doing.
const TAKES_MAX: u32 = 4;

/// How often in a defend interval who waits looks for the parked mark: it costs a read, and shortens a hand-over.
const MARK_LOOKS: u32 = 10;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Challenge {
    key: Key,
    registered_at: Instant,
    /// When the wait is over.
    look_at: Instant,
    /// A key of another life that the REGISTER replaced.
    replaced: Option<Key>,
    noted: Option<Reservation>,
    /// When the log is looked into again: the owner may park while this node waits.
    mark_at: Option<Instant>,
    /// The noted holder has parked.
    parked: bool,
    stage: Stage,
    takes: u32,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Stage {
    /// Reading PTPL_A back.
    Aptpl,
    Noting,
    /// Reading the parked mark, and waiting meanwhile.
    Mark,
    Waiting,
    Looking,
    Taking,
}

impl Challenge {
    pub(super) fn new(
        key: Key,
        registered_at: Instant,
        wait: Duration,
        replaced: Option<Key>,
    ) -> Self {
        Self {
            key,
            registered_at,
            look_at: registered_at + wait,
            replaced,
            noted: None,
            mark_at: None,
            parked: false,
            stage: Stage::Noting,
            takes: 0,
        }
    }

    pub(super) const fn stage(&self) -> super::Stage {
        match self.stage {
            Stage::Aptpl => super::Stage::CheckingAptpl,
            Stage::Noting => super::Stage::Noting,
            Stage::Mark => super::Stage::ReadingMark,
            Stage::Waiting => super::Stage::Waiting,
            Stage::Looking => super::Stage::Looking,
            Stage::Taking => super::Stage::Taking,
        }
    }

    pub(super) fn checks_aptpl(&self) -> bool {
        self.stage == Stage::Aptpl
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Mark => Some(self.look_at),
            Stage::Waiting => Some(self.mark_at.map_or(self.look_at, |at| at.min(self.look_at))),
            Stage::Aptpl | Stage::Noting | Stage::Looking | Stage::Taking => None,
        }
    }

    pub(super) fn normalize(&mut self, now: Instant) {
        self.registered_at = normal(self.registered_at, now);
        self.look_at = normal(self.look_at, now);
        self.mark_at = self.mark_at.map(|at| normal(at, now));
    }
}

impl Persistent {
    /// All paths are registered.
    pub(super) fn challenge(&mut self, mut challenge: Challenge) {
        let check = self.demands_aptpl(Guard::AptplReadBack);
        challenge.stage = if check { Stage::Aptpl } else { Stage::Noting };
        self.phase = Phase::Challenge(challenge);
        if check {
            self.read(Verb::ReadCapabilities);
        } else {
            self.read_state();
        }
    }

    /// PTPL_A was read back after REGISTER.
    pub(super) fn challenge_capabilities(&mut self) {
        let Phase::Challenge(challenge) = &mut self.phase else {
            return;
        };
        if self.capabilities.aptpl_active != Support::Yes {
            let registered_at = challenge.registered_at;
            let others = self
                .seen
                .as_ref()
                .is_some_and(|seen| !seen.registrations.is_empty());
            if self.desk.config.policy.wait && others {
                // The last REGISTER of any nexus decides: another's may have come in between.
                self.lost(None, Some(registered_at));
            } else {
                self.refuse(Refused::NoAptpl);
            }
            return;
        }
        challenge.stage = Stage::Noting;
        self.read_state();
    }

    pub(super) fn challenge_state(&mut self, state: &PersistentState) {
        let Phase::Challenge(challenge) = &self.phase else {
            return;
        };
        let Challenge {
            key,
            registered_at,
            noted,
            ..
        } = *challenge;
        let noting = challenge.stage == Stage::Noting;
        if self.key_is_shared(state, key) {
            self.refuse(Refused::DuplicateNode { key });
            return;
        }
        let held = state.reservation;
        let holds = held.is_some_and(|held| held.key == Some(key));
        let waits = noting && !self.has_earned(key) && !self.desk.config.policy.others_are_down;
        if holds && !waits {
            self.found_holding(noting);
            return;
        }
        let foreign = self.foreign_in(state);
        let refuse_foreign = !self.desk.config.policy.evict_foreign
            && self.desk.stands(Guard::ForeignRefusedInChallenge);
        if !foreign.is_empty() && refuse_foreign && self.waits_behind(held) {
            self.lost(held, Some(registered_at));
            return;
        }
        if !foreign.is_empty() && refuse_foreign {
            self.refuse(Refused::Foreign {
                registrations: foreign,
            });
            return;
        }
        if !state.has_key(key) && self.desk.stands(Guard::OwnKeySurvived) {
            self.lost_to_defender(noted, held, registered_at);
        } else if noting {
            self.note(held);
        } else if held != noted && self.desk.stands(Guard::HolderUnchanged) {
            self.lost(held, Some(registered_at));
        } else {
            self.take();
        }
    }

    /// One's own nexus is the holder: after a rebirth, or after a take whose answer was lost. The disk
    /// refuses everybody else already, so that there is nothing to wait for. (Where it came to hold by an older RESERVE that
    /// took effect late, it has waited.)
    fn found_holding(&mut self, noting: bool) {
        let Phase::Challenge(challenge) = &self.phase else {
            return;
        };
        let key = challenge.key;
        if noting && let Some(old) = challenge.replaced {
            self.desk.tell(Event::Reborn {
                old,
                was_holder: true,
            });
        }
        self.win(key, How::FoundHolding);
    }

    /// The state after one's own REGISTER.
    fn note(&mut self, held: Option<Reservation>) {
        let policy = self.desk.config.policy;
        let Phase::Challenge(challenge) = &mut self.phase else {
            return;
        };
        challenge.noted = held;
        if let Some(old) = challenge.replaced {
            self.desk.tell(Event::Reborn {
                old,
                was_holder: false,
            });
        }
        if held.is_some() && policy.no_preempt {
            let registered_at = challenge.registered_at;
            self.lost(held, Some(registered_at));
            return;
        }
        if policy.others_are_down {
            self.take();
            return;
        }
        let until = challenge.look_at;
        challenge.stage = Stage::Waiting;
        if policy.has_log && held.is_some() {
            self.read_mark();
        }
        self.desk.tell(Event::Waiting {
            holder: held,
            until,
        });
    }

    fn read_mark(&mut self) {
        let Phase::Challenge(challenge) = &mut self.phase else {
            return;
        };
        challenge.stage = Stage::Mark;
        challenge.mark_at = None;
        self.desk.question(|id| Output::ReadMark { id });
    }

    /// What the superblock says, read after one's own REGISTER and after the holder was noted.
    pub(super) fn on_mark(&mut self, id: CommandId, mark: Option<ParkedMark>) {
        let names_holder = self.desk.stands(Guard::ParkedMarkNamesHolder);
        let answered = self.desk.is_answered(id);
        let Phase::Challenge(challenge) = &mut self.phase else {
            return;
        };
        if challenge.stage != Stage::Mark || !answered {
            return;
        }
        challenge.stage = Stage::Waiting;
        let holder = challenge.noted.and_then(|held| held.key);
        let parked = mark.is_some_and(|mark| holder == Some(mark.holder) || !names_holder);
        challenge.parked = parked;
        if parked {
            self.take();
        } else {
            let again = self.desk.config.times.defend_interval / MARK_LOOKS;
            challenge.mark_at.get_or_insert(self.desk.now + again);
        }
    }

    /// Somebody says that the disk was handed over.
    pub(super) fn look_for_the_mark_now(&mut self) {
        let now = self.desk.now;
        let has_log = self.desk.config.policy.has_log;
        match &mut self.phase {
            // A read that is under way may have begun before the mark was there: another follows it.
            Phase::Challenge(challenge)
                if has_log && matches!(challenge.stage, Stage::Mark | Stage::Waiting) =>
            {
                challenge.mark_at = challenge.noted.is_some().then_some(now);
            }
            Phase::Resting { until } if has_log => *until = (*until).min(now),
            Phase::Idle
            | Phase::Probing
            | Phase::Registering(_)
            | Phase::Challenge(_)
            | Phase::Win(_)
            | Phase::Owning(_)
            | Phase::Leaving(_)
            | Phase::Resting { .. }
            | Phase::Stopped(_) => {}
        }
    }

    pub(super) fn look_when_due(&mut self) {
        let full_wait = self.desk.stands(Guard::FullWait);
        let Phase::Challenge(challenge) = &mut self.phase else {
            return;
        };
        let waits = matches!(challenge.stage, Stage::Mark | Stage::Waiting);
        let due = self.desk.now >= challenge.look_at;
        let mark_due = challenge.mark_at.is_some_and(|at| self.desk.now >= at);
        if waits && (due || !full_wait) {
            challenge.stage = Stage::Looking;
            self.read_state();
        } else if challenge.stage == Stage::Waiting && mark_due {
            self.read_mark();
        }
    }

    /// Preempts the noted holder, or reserves the disk that nobody holds.
    fn take(&mut self) {
        let kind = self.wanted_kind();
        let abort = self.uses_abort();
        let Phase::Challenge(challenge) = &mut self.phase else {
            return;
        };
        challenge.stage = Stage::Looking;
        let (key, noted) = (challenge.key, challenge.noted);
        if challenge.takes >= TAKES_MAX {
            let registered_at = challenge.registered_at;
            self.lost(noted, Some(registered_at));
            return;
        }
        challenge.takes += 1;
        let path = self.paths.for_change(key, |path| !self.desk.is_busy(path));
        let Some(path) = path else {
            self.stumble_for("no registered path is free");
            return;
        };
        challenge.stage = Stage::Taking;
        let handed_over = challenge.parked;
        self.may_hold = Some(key);
        self.kind = kind;
        let victim = noted.and_then(|held| held.key);
        self.desk.tell(Event::Taking {
            victim,
            handed_over,
        });
        let verb = match noted {
            Some(_) => Verb::Preempt {
                key,
                victim,
                kind,
                abort,
            },
            None => Verb::Reserve { key, kind },
        };
        self.ask(path, verb);
    }

    /// PREEMPT or RESERVE came back.
    pub(super) fn taken(&mut self, verb: &Verb, answer: &Answer) {
        let Phase::Challenge(challenge) = &mut self.phase else {
            return;
        };
        challenge.stage = Stage::Looking;
        let (key, registered_at) = (challenge.key, challenge.registered_at);
        let too_often = challenge.takes >= TAKES_MAX;
        let abort = matches!(verb, Verb::Preempt { abort: true, .. });
        match answer {
            Answer::Done(_) => {
                let handed_over = challenge.parked;
                self.desk.tell(Event::Taken);
                self.win(key, How::of(verb));
                if let Phase::Win(win) = &mut self.phase {
                    win.handed_over = handed_over;
                }
            }
            Answer::Conflict { holder } if too_often => self.lost(*holder, Some(registered_at)),
            Answer::Conflict { .. } | Answer::Attention(_) if !too_often => self.read_state(),
            Answer::Unsupported | Answer::Refused(Refusal::Sense(_)) if abort => {
                self.abort_refused = true;
                if self.capabilities.resets.lun == Support::No {
                    self.refuse(Refused::Unsupported(verb.name().into()));
                } else {
                    self.read_state();
                }
            }
            Answer::Unsupported => self.refuse(Refused::Unsupported(verb.name().into())),
            Answer::Attention(_) => self.lost(None, Some(registered_at)),
            Answer::Conflict { .. }
            | Answer::Refused(_)
            | Answer::OutcomeUnknown(_)
            | Answer::NotSent(_) => self.stumble(answer),
        }
    }

    /// Own key was removed: by the noted holder if that still holds, and then it is alive.
    fn lost_to_defender(
        &mut self,
        noted: Option<Reservation>,
        held: Option<Reservation>,
        registered_at: Instant,
    ) {
        let defender = held.filter(|_| held == noted).and_then(|held| held.key);
        let duplicate = defender.filter(|key| self.owner_of(*key) == KeyOwner::OwnNode);
        match duplicate {
            Some(key) if self.desk.stands(Guard::DuplicateNodeRefused) => {
                self.refuse(Refused::DuplicateNode { key });
            }
            // It removed the key before it parked: it defends no more, and there is nothing to wait for.
            Some(_) | None if self.noted_has_parked() && held == noted => {
                self.register_for_the_parked(held);
            }
            Some(_) | None => self.lost(held, Some(registered_at)),
        }
    }

    /// Nobody defends: who waits registers again at once, and out of its turn.
    fn register_for_the_parked(&mut self, held: Option<Reservation>) {
        let now = self.desk.now;
        if !self.desk.config.policy.wait {
            self.lost_until(held, now);
            return;
        }
        self.desk.tell(Event::Lost {
            holder: held,
            again_at: Some(now),
        });
        self.paths.forgive();
        self.register(None);
    }

    fn noted_has_parked(&self) -> bool {
        matches!(&self.phase, Phase::Challenge(challenge) if challenge.parked)
    }

    /// Does this node wait anyhow, behind a holder of its own cluster? Foreign keys that come up then are
    /// the holder's to remove, and not the end of every waiting contender.
    pub(super) fn waits_behind(&self, held: Option<Reservation>) -> bool {
        let holder = held.and_then(|held| held.key);
        self.desk.config.policy.wait
            && holder.is_some_and(|key| self.owner_of(key) != KeyOwner::Foreign)
    }

    /// The race was lost. A loser starts over one wait after its REGISTER, and in the nodes' order.
    pub(super) fn lost(&mut self, holder: Option<Reservation>, registered_at: Option<Instant>) {
        let registered_at = registered_at.unwrap_or(self.desk.now);
        self.lost_until(
            holder,
            registered_at + self.desk.config.times.challenge_wait,
        );
    }

    /// As [`Self::lost`], to start over at this time at the earliest.
    fn lost_until(&mut self, holder: Option<Reservation>, earliest: Instant) {
        let now = self.desk.now;
        if !self.desk.config.policy.wait {
            self.desk.tell(Event::Lost {
                holder,
                again_at: None,
            });
            self.leave(After::Stop(Stopped::NotTaken { holder }));
            return;
        }
        let until = if self.desk.stands(Guard::LosersTakeTurns) {
            earliest.max(now) + self.desk.config.own_turn()
        } else {
            now
        };
        self.desk.tell(Event::Lost {
            holder,
            again_at: Some(until),
        });
        self.leave(After::Rest(until));
    }
}

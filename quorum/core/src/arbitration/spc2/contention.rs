//! The challenge: probe, reset whoever holds, poll for a whole wait, reserve once.
//!
//! ```text
//!   TUR --- conflict ---> LUN RESET ---> drain one's own attention (TUR) --+
//!    |                                                                    |
//!    +----- GOOD ---------------------------------------------------------+--> wait w
//!                                                                         ^      |
//!       reset attention, a gap in the polling, a poll or a RESERVE        |      | TUR every d/2
//!       without a definite end, or with an attention: the wait starts over ------------------+------+
//!                                                                                | w is over
//!       conflict, at any time: lost                                              v
//!                                                                          RESERVE once: win
//! ```
//!
//! The wait counts from the later of one's own reset and the last reset attention, so that every live owner
//! had time to reserve again after every reset that this node could see.

use super::super::guards::Guard;
use super::super::{Event, Refused};
use super::win::Win;
use super::{Answer, Attention, Instant, Phase, Spc2, Support, Verb, is_reset, normal};
use scsi::reservation::ResetScope;

/// How often the wait may start over before the race counts as lost: every other node of a cluster of
/// sixteen resets the disk once.
const WAITS_MAX: u32 = 16;

/// How often a reset without a definite end is sent before the conflict behind it counts as lost.
const UNSURE_RESETS_MAX: u32 = 3;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Contention {
    stage: Stage,
    /// From when the wait counts.
    since: Instant,
    /// When the last poll with a definite answer was sent.
    polled_at: Instant,
    /// When the next poll is due.
    poll_at: Instant,
    /// How often the wait has begun.
    waits: u32,
    /// How often the reset came to no definite end.
    unsure_resets: u32,
    /// A poll of this wait came to no definite end.
    unsure_poll: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Stage {
    /// The first TUR is out.
    First,
    Resetting,
    /// Draining the attention of one's own reset.
    Draining,
    Waiting,
    /// A poll is out.
    Polling,
    Reserving,
}

impl Contention {
    pub(super) const fn since(&self) -> Instant {
        self.since
    }

    pub(super) const fn stage(&self) -> super::Stage {
        match self.stage {
            Stage::First => super::Stage::Trying,
            Stage::Resetting => super::Stage::Resetting,
            Stage::Draining => super::Stage::Draining,
            Stage::Waiting => super::Stage::Waiting,
            Stage::Polling => super::Stage::Polling,
            Stage::Reserving => super::Stage::Taking,
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Waiting => Some(self.poll_at),
            Stage::First
            | Stage::Resetting
            | Stage::Draining
            | Stage::Polling
            | Stage::Reserving => None,
        }
    }

    pub(super) fn normalize(&mut self, now: Instant) {
        for at in [&mut self.since, &mut self.polled_at, &mut self.poll_at] {
            *at = normal(*at, now);
        }
    }
}

impl Spc2 {
    pub(super) fn contend(&mut self) {
        let now = self.desk.now;
        self.phase = Phase::Contention(Contention {
            stage: Stage::First,
            since: now,
            polled_at: now,
            poll_at: now,
            waits: 0,
            unsure_resets: 0,
            unsure_poll: false,
        });
        self.ask(Verb::TestUnitReady);
    }

    /// After a command that came to no definite end.
    pub(super) fn contend_again(&mut self) {
        let Phase::Contention(contention) = &self.phase else {
            return;
        };
        match contention.stage {
            Stage::First | Stage::Draining | Stage::Polling => self.ask(Verb::TestUnitReady),
            Stage::Resetting => self.reset(),
            Stage::Waiting | Stage::Reserving => {}
        }
    }

    pub(super) fn contention_answer(
        &mut self,
        sent_at: Instant,
        answer: &Answer,
        met: &[Attention],
    ) {
        let Phase::Contention(contention) = &self.phase else {
            return;
        };
        let reset = met.iter().copied().rfind(|one| is_reset(*one));
        match contention.stage {
            Stage::First => self.probed_once(answer),
            Stage::Resetting => self.was_reset(answer),
            Stage::Draining => self.drained(sent_at, answer),
            Stage::Polling => self.polled(sent_at, answer, reset),
            Stage::Reserving => self.reserved(sent_at, answer, met),
            Stage::Waiting => {}
        }
    }

    fn probed_once(&mut self, answer: &Answer) {
        match answer {
            Answer::Done(_) => self.begin_wait(self.desk.now),
            Answer::Conflict { .. } if self.desk.config.policy.no_preempt => self.lost(),
            Answer::Conflict { .. } => self.reset(),
            Answer::Attention(_)
            | Answer::Refused(_)
            | Answer::Unsupported
            | Answer::OutcomeUnknown(_)
            | Answer::NotSent(_) => self.stumble(answer),
        }
    }

    // ----------------------------------------------------------------- reset

    fn reset(&mut self) {
        if self.capabilities.resets.lun == Support::No {
            self.refuse(Refused::Unsupported(
                "LUN RESET, with which a holder is challenged".into(),
            ));
            return;
        }
        let Phase::Contention(contention) = &mut self.phase else {
            return;
        };
        contention.stage = Stage::Resetting;
        self.desk.tell(Event::ResetSent);
        self.ask(Verb::Reset {
            scope: ResetScope::Lun,
            escalate: false,
        });
    }

    fn was_reset(&mut self, answer: &Answer) {
        let now = self.desk.now;
        let drain = self.desk.stands(Guard::Spc2DrainsOwnAttention);
        let Phase::Contention(contention) = &mut self.phase else {
            return;
        };
        match answer {
            // A reset that takes effect late raises an attention, which starts the wait over.
            Answer::Done(_) | Answer::OutcomeUnknown(_) => {
                if matches!(answer, Answer::Done(_)) {
                    contention.unsure_resets = 0;
                } else {
                    contention.unsure_resets += 1;
                }
                contention.since = now;
                if drain {
                    contention.stage = Stage::Draining;
                    self.ask(Verb::TestUnitReady);
                } else {
                    self.begin_wait(now);
                }
            }
            Answer::Unsupported => self.refuse(Refused::Unsupported("LUN RESET".into())),
            Answer::Conflict { .. }
            | Answer::Attention(_)
            | Answer::Refused(_)
            | Answer::NotSent(_) => self.stumble(answer),
        }
    }

    fn drained(&mut self, sent_at: Instant, answer: &Answer) {
        let Phase::Contention(contention) = &self.phase else {
            return;
        };
        let unsure = contention.unsure_resets;
        match answer {
            Answer::Done(_) => {
                self.begin_wait(self.desk.now);
                if let Phase::Contention(contention) = &mut self.phase {
                    contention.polled_at = sent_at;
                }
            }
            // Perhaps the owner has reserved again; perhaps there was no reset at all.
            Answer::Conflict { .. } if (1..UNSURE_RESETS_MAX).contains(&unsure) => self.reset(),
            Answer::Conflict { .. } => self.lost(),
            Answer::Attention(_)
            | Answer::Refused(_)
            | Answer::Unsupported
            | Answer::OutcomeUnknown(_)
            | Answer::NotSent(_) => self.stumble(answer),
        }
    }

    // ------------------------------------------------------------------ wait

    fn begin_wait(&mut self, since: Instant) {
        let times = self.desk.config.times;
        let at_once =
            self.desk.config.policy.others_are_down || !self.desk.stands(Guard::Spc2ProbesFullWait);
        let polls = self.desk.stands(Guard::Spc2PollsWhileWaiting);
        let Phase::Contention(contention) = &mut self.phase else {
            return;
        };
        let until = since + times.challenge_wait;
        let first_poll = since + times.defend_interval / 2;
        contention.waits += 1;
        if contention.waits > WAITS_MAX {
            self.lost();
            return;
        }
        contention.stage = Stage::Waiting;
        contention.unsure_poll = false;
        contention.since = since;
        contention.polled_at = self.desk.now;
        contention.poll_at = if polls { first_poll.min(until) } else { until };
        if at_once {
            self.reserve();
        } else {
            self.desk.tell(Event::Waiting {
                holder: None,
                until,
            });
        }
    }

    pub(super) fn contend_when_due(&mut self) {
        let Phase::Contention(contention) = &mut self.phase else {
            return;
        };
        if contention.stage != Stage::Waiting || self.desk.now < contention.poll_at {
            return;
        }
        contention.stage = Stage::Polling;
        self.ask(Verb::TestUnitReady);
    }

    fn polled(&mut self, sent_at: Instant, answer: &Answer, reset: Option<Attention>) {
        let restarts = self.desk.stands(Guard::Spc2AttentionRestartsWait);
        let loses = self.desk.stands(Guard::Spc2ConflictLoses);
        match (answer, reset) {
            (Answer::Conflict { .. }, _) if loses => self.lost(),
            (_, Some(attention)) if restarts => {
                self.desk.tell(Event::WaitRestarted { attention });
                self.begin_wait(self.desk.now);
            }
            (Answer::Done(_) | Answer::Conflict { .. }, _) => self.polled_well(sent_at),
            (
                Answer::Attention(_)
                | Answer::Refused(_)
                | Answer::Unsupported
                | Answer::OutcomeUnknown(_)
                | Answer::NotSent(_),
                _,
            ) => {
                if let Phase::Contention(contention) = &mut self.phase {
                    contention.unsure_poll |= matches!(answer, Answer::OutcomeUnknown(_));
                }
                self.stumble(answer);
            }
        }
    }

    fn polled_well(&mut self, sent_at: Instant) {
        let times = self.desk.config.times;
        let gap_restarts = self.desk.stands(Guard::Spc2PollGapRestartsWait);
        let unsure_restarts = self.desk.stands(Guard::Spc2UnsurePollRestartsWait);
        let now = self.desk.now;
        let Phase::Contention(contention) = &mut self.phase else {
            return;
        };
        // In a longer gap an owner may have reserved, and another may have reset it away, unseen.
        let gap = sent_at.saturating_since(contention.polled_at);
        if gap > times.defend_interval && gap_restarts {
            self.desk.tell(Event::Late { by: gap });
            self.begin_wait(now);
            return;
        }
        // It may have taken the attention of a reset with it that nobody will tell of.
        if contention.unsure_poll && unsure_restarts {
            self.begin_wait(now);
            return;
        }
        let until = contention.since + times.challenge_wait;
        contention.polled_at = sent_at;
        contention.stage = Stage::Waiting;
        contention.poll_at = (sent_at + times.defend_interval / 2).min(until);
        if now >= until {
            self.reserve();
        }
    }

    // --------------------------------------------------------------- reserve

    fn reserve(&mut self) {
        let Phase::Contention(contention) = &mut self.phase else {
            return;
        };
        contention.stage = Stage::Reserving;
        self.desk.tell(Event::Taking {
            victim: None,
            handed_over: false,
        });
        self.ask(Verb::Spc2Reserve);
    }

    fn reserved(&mut self, sent_at: Instant, answer: &Answer, met: &[Attention]) {
        let once = self.desk.stands(Guard::Spc2ReserveOnce);
        match answer {
            Answer::Done(_) => {
                self.desk.tell(Event::Taken);
                self.phase = Phase::Win(Win::new(sent_at));
                self.win_next();
            }
            Answer::Conflict { .. } => self.lost(),
            Answer::Unsupported => self.refuse(Refused::Unsupported("SPC-2 RESERVE".into())),
            Answer::Attention(_) if !once => self.reserve(),
            Answer::Attention(_)
            | Answer::Refused(_)
            | Answer::OutcomeUnknown(_)
            | Answer::NotSent(_) => {
                if let Some(attention) = met.last().copied() {
                    self.desk.tell(Event::WaitRestarted { attention });
                }
                self.begin_wait(self.desk.now);
            }
        }
    }
}

//! The owner's rounds: RESERVE every defend interval.
//!
//! ```text
//!   every d, and at once after a re-login: RESERVE
//!        |
//!        +-- GOOD ------------------------------> clean: proved from its send
//!        +-- reset, power-on, nexus loss -------> RESERVE again at once; then Exposed, for nobody was kept
//!        |                                        out since the last clean round
//!        +-- another attention -----------------> RESERVE again at once
//!        +-- conflict --------------------------> deposed
//!        +-- no definite answer ----------------> round failed; ownership ages on
//! ```
//!
//! An owner that is told to give the disk back does one more round, at once, and only then sends RELEASE: a conflict has
//! deposed it, as in every round, and one that comes to no definite end until the self-stop age stops it as lost.
//!
//! The settle time ends with a clean round that was sent after it, and not by itself: in the meantime a reset may have
//! opened the disk, and an owner of before reserved it again without knowing that its term was over. It has stopped
//! itself by the end of the settle time, unless it holds; and then the round meets a conflict.
//!
//! A reservation that vanished while the attention was eaten by others is taken again by the same RESERVE
//! without anybody noticing: safety rests on the settle time of whoever wins, not on seeing it.

use super::super::guards::Guard;
use super::super::tenure::{Tenure, is_stale};
use super::{After, Answer, Event, Instant, PATH, Phase, Spc2, Stopped, Verb, normal, trouble};

/// How many attentions one round drains: a target queues at most about so many.
const ATTENTIONS_MAX: u32 = 8;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Owning {
    pub(super) tenure: Tenure,
    /// A RESERVE is out.
    in_round: bool,
    attentions: u32,
    /// This host stood still during the round: another follows it.
    again: bool,
    /// Something took the reservation away since the last clean round.
    exposed: bool,
    /// When it was told to give the disk back, if it was: after a clean round that was sent since.
    give_back: Option<Instant>,
}

impl Owning {
    pub(super) const fn new(tenure: Tenure) -> Self {
        Self {
            tenure,
            in_round: false,
            attentions: 0,
            again: false,
            exposed: false,
            give_back: None,
        }
    }

    pub(super) const fn gives_back(&self) -> bool {
        self.give_back.is_some()
    }

    pub(super) fn normalize(&mut self, now: Instant) {
        self.tenure.normalize(now);
        self.give_back = self.give_back.map(|at| normal(at, now));
    }
}

impl Spc2 {
    pub(super) fn defend_when_due(&mut self) {
        let fed_at = self.fed_at;
        let Phase::Owning(owning) = &mut self.phase else {
            return;
        };
        let mut due = false;
        if self.desk.stands(Guard::Spc2OwnerNeedsARound) {
            due = owning.tenure.settling_is_over(&self.desk) && !self.desk.is_busy(PATH);
        } else {
            owning.tenure.settle(&mut self.desk, None);
        }
        due |= owning.tenure.round_is_due(&mut self.desk);
        if !due {
            return;
        }
        if owning.in_round {
            self.round_failed("not finished before the next round");
        }
        if Tenure::may_defend(&self.desk, fed_at) {
            self.start_round();
        } else {
            self.round_failed("not fed: whoever is served has gone silent");
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
        if owning.in_round {
            owning.again = true;
        } else if Tenure::may_defend(&self.desk, fed_at) {
            self.start_round();
        }
    }

    /// A reset took the reservation away.
    pub(super) fn expose(&mut self) {
        if let Phase::Owning(owning) = &mut self.phase {
            owning.exposed = true;
        }
    }

    /// The session is back: what it held is gone, and nobody was told.
    pub(super) fn defend_after_login(&mut self) {
        let at_once = self.desk.stands(Guard::Spc2ReservesAfterLogin);
        let may_defend = Tenure::may_defend(&self.desk, self.fed_at);
        let Phase::Owning(owning) = &mut self.phase else {
            return;
        };
        owning.exposed = true;
        if at_once && may_defend && !self.desk.is_busy(PATH) {
            self.start_round();
        }
    }

    /// Told to give the disk back. Another may have reset and reserved it since the last round, and RELEASE would not tell:
    /// so one more round comes first.
    pub(super) fn give_back(&mut self) {
        let proves_first = self.desk.stands(Guard::Spc2ReleaseIsProved);
        let now = self.desk.now;
        let may_defend = Tenure::may_defend(&self.desk, self.fed_at);
        let Phase::Owning(owning) = &mut self.phase else {
            return;
        };
        if !proves_first {
            self.leave(After::Stop(Stopped::Released { confirmed: true }));
            return;
        }
        if owning.give_back.is_none() {
            owning.give_back = Some(now);
            if !owning.in_round && may_defend {
                self.start_round();
            }
        }
    }

    fn start_round(&mut self) {
        let usable = self.path_is_up && !self.desk.is_busy(PATH);
        let Phase::Owning(owning) = &mut self.phase else {
            return;
        };
        if usable {
            owning.in_round = true;
            owning.again = false;
            owning.attentions = 0;
            self.ask(Verb::Spc2Reserve);
        } else {
            self.round_failed("no path is free");
        }
    }

    fn round_failed(&mut self, why: &str) {
        let Phase::Owning(owning) = &mut self.phase else {
            return;
        };
        owning.in_round = false;
        self.errand.awaited = None;
        let age = owning.tenure.age(&self.desk);
        self.desk.tell(Event::RoundFailed {
            why: why.into(),
            age,
        });
    }

    pub(super) fn round_answer(&mut self, sent_at: Instant, answer: &Answer) {
        match answer {
            Answer::Done(_) if is_stale(&self.desk, sent_at) => {
                self.round_failed("the reply is older than the self-stop age");
            }
            Answer::Done(_) => self.clean_round(sent_at),
            Answer::Conflict { .. } => self.stop(Stopped::Deposed { holder: None }),
            Answer::Attention(_) => self.reserve_again(),
            Answer::Refused(_)
            | Answer::Unsupported
            | Answer::OutcomeUnknown(_)
            | Answer::NotSent(_) => {
                let why = trouble(answer).unwrap_or_default();
                self.round_failed(&why);
            }
        }
    }

    fn clean_round(&mut self, sent_at: Instant) {
        let now = self.desk.now;
        let Phase::Owning(owning) = &mut self.phase else {
            return;
        };
        owning.in_round = false;
        if std::mem::take(&mut owning.exposed) {
            self.desk.tell(Event::Exposed {
                at_most: owning.tenure.age(&self.desk),
            });
        }
        let give_back = owning.give_back;
        owning.tenure.prove(&mut self.desk, sent_at, now);
        match give_back {
            None => {
                owning.tenure.settle_by_round(&mut self.desk, sent_at, None);
                if owning.again {
                    self.start_round();
                }
            }
            Some(since) if sent_at >= since => {
                self.leave(After::Stop(Stopped::Released { confirmed: true }));
            }
            // It was under way when the word came.
            Some(_) => self.start_round(),
        }
    }

    /// The attention was met instead of the RESERVE, and is consumed.
    fn reserve_again(&mut self) {
        let at_once = self.desk.stands(Guard::Spc2ReservesAgainAtOnce);
        let Phase::Owning(owning) = &mut self.phase else {
            return;
        };
        owning.attentions += 1;
        if owning.attentions > ATTENTIONS_MAX || !at_once {
            self.round_failed("attentions do not end");
        } else {
            self.ask(Verb::Spc2Reserve);
        }
    }
}

//! From a RESERVE that was answered GOOD to a term: barrier, first clean round.
//!
//! RESERVE orders nothing: a write that the old owner sent in the window of the reset may lie in the target
//! still. CLEAR TASK SET throws it away and leaves the reservation. Where that cannot be sent, only the
//! settle time stands between, the log may be read only when it is over, and that is said: nobody promises
//! how long a target keeps what it has accepted.
//!
//! A win is as old as the RESERVE that was answered GOOD: one that comes to no end within the self-stop age is lost, for
//! another node may have challenged, taken and owned the disk meanwhile, and the next reset would let a late RESERVE in
//! without any wait.
//!
//! A reset between the barrier and the first clean round opens the disk again: it is reserved, and the barrier comes
//! once more. So it does after a command that came to no definite end, for that may have taken the attention of a reset
//! with it.

use super::super::guards::Guard;
use super::super::tenure::{Before, Tenure, is_stale};
use super::super::{BarrierKind, Event};
use super::defence::Owning;
use super::{Answer, Errand, Instant, Phase, Spc2, Support, Verb, is_reset, normal};

/// How often the barrier is tried before it counts as one that cannot be sent.
const BARRIER_TRIES_MAX: u32 = 3;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Win {
    /// What came of the barrier.
    barrier: Option<BarrierKind>,
    tries: u32,
    /// A reset has opened the disk: it is reserved again before anything else.
    reopened: bool,
    /// When the last RESERVE was sent that was answered GOOD.
    reserved_at: Instant,
}

impl Win {
    pub(super) const fn new(reserved_at: Instant) -> Self {
        Self {
            barrier: None,
            tries: 0,
            reopened: false,
            reserved_at,
        }
    }

    pub(super) fn normalize(&mut self, now: Instant) {
        self.reserved_at = normal(self.reserved_at, now);
    }
}

impl Spc2 {
    /// The next step of the win.
    pub(super) fn win_next(&mut self) {
        let barrier_first = self.desk.stands(Guard::BarrierBeforeHeld);
        let can_clear = self.capabilities.clear_task_set != Support::No;
        let must_be_fresh = self.desk.stands(Guard::Spc2WinIsFresh);
        let Phase::Win(win) = &self.phase else {
            return;
        };
        let age = self.desk.now.saturating_since(win.reserved_at);
        if must_be_fresh && age >= self.desk.config.times.self_stop {
            self.lost();
            return;
        }
        match win.barrier {
            _ if win.reopened => self.ask(Verb::Spc2Reserve),
            None if barrier_first && can_clear => self.ask(Verb::ClearTaskSet),
            None if barrier_first => self.set_barrier(BarrierKind::SettleOnly),
            None | Some(_) => self.ask(Verb::Spc2Reserve),
        }
    }

    fn set_barrier(&mut self, kind: BarrierKind) {
        let Phase::Win(win) = &mut self.phase else {
            return;
        };
        win.barrier = Some(kind);
        self.desk.tell(Event::Barrier(kind));
        self.win_next();
    }

    pub(super) fn win_answer(&mut self, verb: &Verb, sent_at: Instant, answer: &Answer) {
        let renews = self.desk.stands(Guard::Spc2ResetRenewsBarrier);
        let Phase::Win(win) = &mut self.phase else {
            return;
        };
        // It may have taken the attention of a reset with it, of which nobody will tell any more.
        // A reset by a challenger: this node holds, and defends. What was accepted while the disk was open must be
        // thrown away too.
        let opened = match answer {
            Answer::OutcomeUnknown(_) => true,
            Answer::Attention(attention) => is_reset(*attention),
            Answer::Done(_)
            | Answer::Conflict { .. }
            | Answer::Refused(_)
            | Answer::Unsupported
            | Answer::NotSent(_) => false,
        };
        win.reopened |= renews && opened;
        if *verb == Verb::ClearTaskSet {
            self.cleared(answer);
            return;
        }
        match answer {
            Answer::Done(_) if win.reopened => {
                // A barrier that cannot be sent is not tried again.
                *win = Win {
                    barrier: win.barrier.filter(|kind| *kind == BarrierKind::SettleOnly),
                    tries: win.tries,
                    ..Win::new(sent_at)
                };
                self.win_next();
            }
            Answer::Done(_) if is_stale(&self.desk, sent_at) => {
                self.stumble_for("the reply is older than the self-stop age");
            }
            Answer::Done(_) => self.begin_tenure(sent_at),
            Answer::Conflict { .. } => self.lost(),
            Answer::Attention(_) => self.stumble_now(),
            Answer::Refused(_)
            | Answer::Unsupported
            | Answer::OutcomeUnknown(_)
            | Answer::NotSent(_) => self.stumble(answer),
        }
    }

    /// Repeats the step at once: an attention was met, and is consumed.
    fn stumble_now(&mut self) {
        self.errand.stumbles += 1;
        if self.errand.stumbles < super::STUMBLES_MAX {
            self.win_next();
        } else {
            self.lost();
        }
    }

    fn cleared(&mut self, answer: &Answer) {
        let Phase::Win(win) = &mut self.phase else {
            return;
        };
        win.tries += 1;
        let too_often = win.tries >= BARRIER_TRIES_MAX;
        match answer {
            Answer::Done(_) => self.set_barrier(BarrierKind::ClearTaskSet),
            Answer::Unsupported => self.set_barrier(BarrierKind::SettleOnly),
            Answer::Conflict { .. } => self.lost(),
            Answer::Attention(_)
            | Answer::Refused(_)
            | Answer::OutcomeUnknown(_)
            | Answer::NotSent(_) => {
                if too_often {
                    self.set_barrier(BarrierKind::SettleOnly);
                } else {
                    self.stumble(answer);
                }
            }
        }
    }

    fn begin_tenure(&mut self, sent_at: Instant) {
        let Phase::Win(win) = &self.phase else {
            return;
        };
        let before = if win.barrier == Some(BarrierKind::SettleOnly) {
            Before::MayStillWrite
        } else {
            Before::MayStillRun
        };
        let now = self.desk.now;
        // Whoever is served hears of its disk only now.
        self.fed_at = now;
        let tenure = Tenure::begin(&mut self.desk, None, sent_at, now, before);
        self.errand = Errand::default();
        self.phase = Phase::Owning(Owning::new(tenure));
    }
}

//! An owner that finds its key gone and no holder: the disk lost power, or somebody cleared it.
//!
//! ```text
//!  key gone, no holder --- power-on or reset attention, none of "preempted" or "released"?
//!        | no                       | yes
//!        v                          v
//!     deposed        register a fresh key, RESERVE, barrier, epoch still ours, clean round: Retaken
//!                                   |                           |
//!                                   +-- another holds: deposed  +-- not: give back, deposed
//! ```
//!
//! Everybody else waits a whole challenge wait before taking a disk without a holder; that is what lets
//! the owner win. Ownership ages on meanwhile, so that an owner that is too slow stops itself, and no
//! write is let through before the clean round.

use super::super::CommandId;
use super::super::guards::Guard;
use super::super::tenure::Tenure;
use super::leave::After;
use super::win::Win;
use super::{Event, Instant, Key, Output, PathId, Persistent, Phase, Reservation, Stopped, Verb};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Retake {
    pub(super) tenure: Tenure,
    epoch: Epoch,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Epoch {
    Unread,
    Asked,
    Ours,
}

impl Persistent {
    /// The owner's key is gone.
    pub(super) fn key_gone(&mut self, held: Option<Reservation>, tenure: Tenure) {
        let lost_power =
            self.attentions.reset || !self.desk.stands(Guard::RetakeNeedsResetAttention);
        let preempted =
            self.attentions.preempted && self.desk.stands(Guard::RetakeNeverAfterPreempt);
        if held.is_some() || !lost_power || preempted {
            self.depose(held);
            return;
        }
        self.paths.none_is_registered();
        self.paths.forgive();
        self.register(Some(tenure));
    }

    /// The fresh key is registered: reserve, before anything else.
    pub(super) fn reserve_again(&mut self, key: Key, tenure: Tenure) {
        let retake = Retake {
            tenure,
            epoch: Epoch::Unread,
        };
        self.phase = Phase::Win(Win::retaking(key, retake));
        match self.paths.for_change(key, |path| !self.desk.is_busy(path)) {
            Some(path) => self.reserve_on(path),
            None => self.stumble_for("no path is free"),
        }
    }

    pub(super) fn reserve_on(&mut self, path: PathId) {
        let kind = self.kind;
        let Phase::Win(win) = &self.phase else {
            return;
        };
        let key = win.key();
        self.ask(path, Verb::Reserve { key, kind });
    }

    /// Asks for the epoch, once, before a re-taken disk counts as ours. False when there is nothing to ask.
    pub(super) fn ask_epoch(&mut self) -> bool {
        let has_log = self.desk.config.policy.has_log;
        let Phase::Win(win) = &mut self.phase else {
            return false;
        };
        let Some(retake) = &mut win.retake else {
            return false;
        };
        match retake.epoch {
            Epoch::Unread if has_log => {
                retake.epoch = Epoch::Asked;
                self.desk.question(|id| Output::ReadEpoch { id });
                true
            }
            Epoch::Unread | Epoch::Ours => false,
            Epoch::Asked => true,
        }
    }

    pub(super) fn on_epoch(&mut self, id: CommandId, still_ours: bool) {
        let strict = self.desk.stands(Guard::RetakeNeedsOwnEpoch);
        let answered = self.desk.is_answered(id);
        let Phase::Win(win) = &mut self.phase else {
            return;
        };
        let Some(retake) = win
            .retake
            .as_mut()
            .filter(|retake| answered && retake.epoch == Epoch::Asked)
        else {
            return;
        };
        if still_ours || !strict {
            retake.epoch = Epoch::Ours;
            self.read_state();
        } else {
            // Somebody owned the disk in between. What was just reserved is given back.
            self.leave(After::Stop(Stopped::Deposed { holder: None }));
        }
    }

    /// The first clean round after the power loss.
    pub(super) fn retaken(
        &mut self,
        key: Key,
        retake: Retake,
        sent_at: Instant,
        settle_only: bool,
    ) -> Tenure {
        let mut tenure = retake.tenure;
        if settle_only {
            tenure.settle_anew(&self.desk);
        }
        self.desk.tell(Event::Exposed {
            at_most: tenure.age(&self.desk),
        });
        self.desk.tell(Event::Retaken { key });
        let now = self.desk.now;
        tenure.prove(&mut self.desk, sent_at, now);
        tenure
    }
}

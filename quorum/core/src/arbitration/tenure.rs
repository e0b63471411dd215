//! The clock of an owner: how old its proof is, when the next round starts, when it may be `Owner`.
//!
//! ```text
//!  proved_at            + d        + d       ...        + s
//!  ----|----------------|----------|---------------------|------>
//!      clean round      round      round                 stops itself
//!
//!      Held ---- settle g ---- Owner
//! ```
//!
//! Invariants: the proof is the *send* time of the last completed clean round and only moves on; rounds
//! start on a fixed grid, so that one late round does not delay the next.

use super::desk::{Desk, normal};
use super::guards::Guard;
use super::{Event, Output};
use crate::Instant;
use scsi::reservation::Key;
use std::time::Duration;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Tenure {
    proved_at: Instant,
    next_round_at: Instant,
    settling: Option<Settling>,
}

/// What is known of the owner before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Before {
    /// Nothing could be sent to clear its writes: the log may be read only after the settle time.
    MayStillWrite,
    /// The disk refuses it; what the disk cannot fence may run until the settle time is over.
    MayStillRun,
    /// It said that it had ended, and so had all before it: there is nothing to wait for.
    HasEnded,
}

/// Between the first clean round and `Owner`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Settling {
    until: Instant,
    /// The log may be read already; else the settle time stands in for the barrier.
    held: bool,
    /// Its end has come, and a round was asked for that ends it.
    over: bool,
}

impl Tenure {
    /// A tenure that begins with this clean round.
    pub(super) fn begin(
        desk: &mut Desk,
        key: Option<Key>,
        sent_at: Instant,
        replied_at: Instant,
        before: Before,
    ) -> Self {
        let times = desk.config.times;
        let proved_at = proof(desk, sent_at, replied_at);
        let settles = before != Before::HasEnded && desk.stands(Guard::SettleBeforeOwner);
        let settle = if settles {
            times.settle
        } else {
            Duration::ZERO
        };
        let held = before != Before::MayStillWrite || !desk.stands(Guard::SettleIsTheLastBarrier);
        desk.push(Output::ProvedUntil(proved_at + times.self_stop));
        if held {
            desk.tell(Event::Held { key, proved_at });
        }
        Self {
            proved_at,
            next_round_at: proved_at + times.defend_interval,
            settling: Some(Settling {
                until: desk.now + settle,
                held,
                over: false,
            }),
        }
    }

    /// One more clean round.
    pub(super) fn prove(&mut self, desk: &mut Desk, sent_at: Instant, replied_at: Instant) {
        let proved_at = proof(desk, sent_at, replied_at);
        if proved_at > self.proved_at {
            self.proved_at = proved_at;
            desk.push(Output::ProvedUntil(proved_at + desk.config.times.self_stop));
        }
        desk.tell(Event::Defended { proved_at });
    }

    pub(super) fn age(&self, desk: &Desk) -> Duration {
        desk.now.saturating_since(self.proved_at)
    }

    /// Has the self-stop age been reached?
    pub(super) fn is_over(&self, desk: &Desk) -> bool {
        desk.stands(Guard::SelfStop) && desk.now >= self.stops_at(desk)
    }

    fn stops_at(&self, desk: &Desk) -> Instant {
        self.proved_at + desk.config.times.self_stop
    }

    /// Tells `Owner` when the settle time is over.
    pub(super) fn settle(&mut self, desk: &mut Desk, key: Option<Key>) {
        let Some(settling) = &self.settling else {
            return;
        };
        if desk.now < settling.until {
            return;
        }
        if !settling.held {
            desk.tell(Event::Held {
                key,
                proved_at: self.proved_at,
            });
        }
        desk.tell(Event::Owner { key });
        self.settling = None;
    }

    pub(super) const fn next_round_at(&self) -> Instant {
        self.next_round_at
    }

    /// Has the settle time just come to its end, so that a round is due that ends it? True once.
    pub(super) fn settling_is_over(&mut self, desk: &Desk) -> bool {
        let Some(settling) = &mut self.settling else {
            return false;
        };
        let comes = !settling.over && desk.now >= settling.until;
        settling.over |= comes;
        comes
    }

    /// Has the settle time come to its end that stood in for the barrier, so that nobody has been told `Held` yet?
    pub(super) fn has_settled_unheld(&mut self, desk: &Desk) -> bool {
        let Some(settling) = &mut self.settling else {
            return false;
        };
        let ends = !settling.held && desk.now >= settling.until;
        settling.over |= ends;
        ends
    }

    /// The disk has been open, and again only the settle time stands in for the barrier: where nobody has been told `Held`
    /// yet, it begins anew.
    pub(super) fn settle_anew(&mut self, desk: &Desk) {
        if let Some(settling) = &mut self.settling
            && !settling.held
        {
            settling.until = desk.now + desk.config.times.settle;
            settling.over = false;
        }
    }

    /// Tells `Owner` when this clean round was sent after the settle time.
    pub(super) fn settle_by_round(&mut self, desk: &mut Desk, sent_at: Instant, key: Option<Key>) {
        if self
            .settling
            .as_ref()
            .is_some_and(|settling| sent_at >= settling.until)
        {
            self.settle(desk, key);
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        self.settling.is_none()
    }

    /// Is it time for a round? Moves the grid on when it is.
    pub(super) fn round_is_due(&mut self, desk: &mut Desk) -> bool {
        if desk.now < self.next_round_at {
            return false;
        }
        let times = desk.config.times;
        let by = desk.now.saturating_since(self.next_round_at);
        if by > times.lateness {
            desk.tell(Event::Late { by });
        }
        while self.next_round_at <= desk.now {
            self.next_round_at = self.next_round_at + times.defend_interval;
        }
        true
    }

    /// Is the owner fed, so that it may defend?
    pub(super) fn may_defend(desk: &Desk, fed_at: Instant) -> bool {
        !desk.stands(Guard::FedToDefend)
            || desk.now.saturating_since(fed_at) <= desk.config.times.self_stop
    }

    pub(super) fn next_deadline(&self, desk: &Desk) -> Instant {
        let settling = self.settling.as_ref().filter(|settling| !settling.over);
        let settled_at = settling.map(|settling| settling.until);
        self.next_round_at
            .min(self.stops_at(desk))
            .min(settled_at.unwrap_or(self.next_round_at))
    }

    /// When it must stop, for a tenure that is not being defended.
    pub(super) fn end(&self, desk: &Desk) -> Instant {
        self.stops_at(desk)
    }

    pub(super) fn normalize(&mut self, now: Instant) {
        self.proved_at = normal(self.proved_at, now);
        self.next_round_at = normal(self.next_round_at, now);
        if let Some(settling) = &mut self.settling {
            settling.until = normal(settling.until, now);
        }
    }
}

/// From when on a clean round proves: its send, for by the time of its reply others may have acted.
fn proof(desk: &Desk, sent_at: Instant, replied_at: Instant) -> Instant {
    if desk.stands(Guard::ProofIsSendTime) {
        sent_at
    } else {
        replied_at
    }
}

/// Is a reply to what was sent then too old to prove anything?
pub(super) fn is_stale(desk: &Desk, sent_at: Instant) -> bool {
    desk.stands(Guard::StaleReplyIsVoid)
        && desk.now.saturating_since(sent_at) >= desk.config.times.self_stop
}

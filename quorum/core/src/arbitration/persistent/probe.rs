//! Looking before anything is changed: what the disk can, who is registered, who holds.
//!
//! ```text
//!   ReadCapabilities --> ReadState --> refused | rest (held, no_preempt) | register
//! ```
//!
//! Invariant: what is refused here was not changed.

use super::super::guards::Guard;
use super::{
    Capabilities, Errand, Event, KeyOwner, Persistent, PersistentState, Phase, Refused,
    ReservationType, Support, Verb,
};

impl Persistent {
    /// Contends, from the beginning.
    pub(super) fn probe(&mut self) {
        self.errand = Errand::default();
        self.wins = 0;
        self.paths.forgive();
        self.phase = Phase::Probing;
        self.read(Verb::ReadCapabilities);
    }

    pub(super) fn probe_state(&mut self, state: &PersistentState) {
        if !self.described {
            self.described = true;
            self.desk.tell(Event::Found {
                reservation: state.reservation,
                registrations: state.registrations.clone(),
            });
        }
        if let Some(refused) = self.refusal(state) {
            if matches!(refused, Refused::Foreign { .. }) && self.waits_behind(state.reservation) {
                self.lost(state.reservation, None);
                return;
            }
            self.refuse(refused);
            return;
        }
        // A holder with this node's own number may be this very nexus, from another life: only a
        // REGISTER can tell, and takes nothing from anybody.
        let by_other = state.reservation.is_some_and(|held| {
            held.key
                .is_none_or(|key| self.owner_of(key) != KeyOwner::OwnNode)
        });
        let no_preempt = self.desk.config.policy.no_preempt;
        if no_preempt && by_other && self.desk.stands(Guard::NoPreemptLeavesTheHolder) {
            self.lost(state.reservation, None);
            return;
        }
        self.register(None);
    }

    fn refusal(&self, state: &PersistentState) -> Option<Refused> {
        let policy = self.desk.config.policy;
        let foreign = self.foreign_in(state);
        let refuse_foreign =
            !policy.evict_foreign && self.desk.stands(Guard::ForeignRefusedAtFirstLook);
        if !foreign.is_empty() && refuse_foreign {
            return Some(Refused::Foreign {
                registrations: foreign,
            });
        }
        let can = &self.capabilities;
        if can.persistent == Support::No {
            return Some(Refused::Unsupported("persistent reservations".into()));
        }
        let kind = self.wanted_kind();
        if !has_type(can, kind) {
            return Some(Refused::Unsupported(format!("type {}", kind.words())));
        }
        if !self.uses_abort() && can.resets.lun == Support::No {
            return Some(Refused::Unsupported(
                "a barrier: neither PREEMPT AND ABORT nor LUN RESET can be sent".into(),
            ));
        }
        let persists = can.aptpl_capable != Support::No || policy.accept_no_aptpl;
        if !persists && self.desk.stands(Guard::AptplCapable) {
            return Some(Refused::NoAptpl);
        }
        None
    }

    /// Is the old owner preempted with PREEMPT AND ABORT?
    pub(super) fn uses_abort(&self) -> bool {
        let policy = self.desk.config.policy;
        !policy.no_abort
            && self.capabilities.preempt_and_abort != Support::No
            && !self.abort_refused
    }
}

fn has_type(can: &Capabilities, kind: ReservationType) -> bool {
    can.types.is_none_or(|types| types.contains(kind))
}

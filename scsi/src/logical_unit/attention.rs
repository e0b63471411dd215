//! The Unit Attentions that wait for one nexus (SAM-5, Unit attention conditions).
//!
//! ```text
//!   establish ──► [29/03] [2A/03] [2A/05]  ──► the next command of the nexus (or REQUEST SENSE) takes the first
//! ```
//!
//! Invariants:
//! * a queue holds at most [`ATTENTIONS_MAX`], and (but under `tgt`) each code at most once;
//! * the 29h family comes before everything else, and lower qualifiers come first (SAM-5, the precedence
//!   of unit attention conditions).

use super::behaviour::{Behaviour, Difference};
use crate::reservation::Attention;

/// How many attentions one nexus can have waiting. A reader that drains this many has drained all;
/// the codes that this unit raises are fewer, so nothing is lost but `tgt`'s repeats.
pub const ATTENTIONS_MAX: usize = 8;

/// POWER ON OCCURRED.
pub(super) const POWER_ON: Attention = Attention::new(0x29, 0x01);
/// POWER ON, RESET, OR BUS DEVICE RESET OCCURRED.
pub(super) const POWER_ON_OR_RESET: Attention = Attention::new(0x29, 0x00);
/// SCSI BUS RESET OCCURRED.
pub(super) const BUS_RESET: Attention = Attention::new(0x29, 0x02);
/// BUS DEVICE RESET FUNCTION OCCURRED.
pub(super) const DEVICE_RESET: Attention = Attention::new(0x29, 0x03);
/// I_T NEXUS LOSS OCCURRED.
pub(super) const NEXUS_LOSS: Attention = Attention::new(0x29, 0x07);
/// RESERVATIONS PREEMPTED.
pub(super) const RESERVATIONS_PREEMPTED: Attention = Attention::new(0x2a, 0x03);
/// RESERVATIONS RELEASED.
pub(super) const RESERVATIONS_RELEASED: Attention = Attention::new(0x2a, 0x04);
/// REGISTRATIONS PREEMPTED.
pub(super) const REGISTRATIONS_PREEMPTED: Attention = Attention::new(0x2a, 0x05);
/// COMMANDS CLEARED BY ANOTHER INITIATOR.
pub(super) const COMMANDS_CLEARED: Attention = Attention::new(0x2f, 0x00);
/// INQUIRY DATA HAS CHANGED: what `hostile` raises in place of the right one.
pub(super) const UNRELATED: Attention = Attention::new(0x3f, 0x03);

/// In which order attentions leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    /// By SAM's precedence, each code once.
    Precedence,
    /// Resets first, all others as they came, each code once.
    ResetsThenArrival,
    /// As they came, repeats too.
    Arrival,
}

impl Order {
    /// The order of this behaviour.
    pub(super) fn of(behaviour: Behaviour) -> Self {
        if behaviour.has(Difference::AttentionsInOrderOfArrival) {
            Self::Arrival
        } else if behaviour.has(Difference::OnlyResetsGoFirst) {
            Self::ResetsThenArrival
        } else {
            Self::Precedence
        }
    }
}

/// The attentions that wait for one nexus.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Attentions {
    waiting: Vec<Attention>,
    /// Established, but not to be seen by the next command (behaviour `hostile`).
    late: Vec<Attention>,
}

impl Attentions {
    /// Of these: what a state image brought back, put in order where it was not.
    pub(super) fn restored(waiting: &[Attention], late: &[Attention], order: Order) -> Self {
        let mut attentions = Self::default();
        for attention in waiting {
            attentions.establish(*attention, order);
        }
        for attention in late {
            attentions.establish_late(*attention);
        }
        attentions
    }

    /// Establishes one. When the queue is full the last of its order is given up.
    pub(super) fn establish(&mut self, attention: Attention, order: Order) {
        match order {
            Order::Arrival => self.waiting.push(attention),
            Order::Precedence | Order::ResetsThenArrival if self.waiting.contains(&attention) => {}
            Order::ResetsThenArrival => {
                let is_reset = |other: Attention| other.asc == DEVICE_RESET.asc;
                let at = if is_reset(attention) {
                    self.waiting.partition_point(|&other| is_reset(other))
                } else {
                    self.waiting.len()
                };
                self.waiting.insert(at, attention);
            }
            Order::Precedence => {
                let at = self
                    .waiting
                    .partition_point(|&other| rank(other) <= rank(attention));
                self.waiting.insert(at, attention);
            }
        }
        self.waiting.truncate(ATTENTIONS_MAX);
    }

    /// Establishes one that the next command does not see yet.
    pub(super) fn establish_late(&mut self, attention: Attention) {
        if self.late.len() < ATTENTIONS_MAX && !self.late.contains(&attention) {
            self.late.push(attention);
        }
    }

    /// A command has gone by: what was late is due.
    pub(super) fn late_are_due(&mut self, order: Order) {
        for attention in std::mem::take(&mut self.late) {
            self.establish(attention, order);
        }
    }

    /// The first, which goes.
    pub(super) fn take_first(&mut self) -> Option<Attention> {
        (!self.waiting.is_empty()).then(|| self.waiting.remove(0))
    }

    /// All go.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.late.clear();
    }

    /// Does none wait?
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.late.is_empty()
    }

    /// Those that wait, first first.
    pub(super) fn waiting(&self) -> &[Attention] {
        &self.waiting
    }

    /// Those that are late.
    pub(super) fn late(&self) -> &[Attention] {
        &self.late
    }
}

/// Lower leaves first: resets, then reservations, then the rest; within a family by qualifier.
const fn rank(attention: Attention) -> (u8, u8, u8) {
    let family = match attention.asc {
        0x29 => 0,
        0x2a => 1,
        _ => 2,
    };
    (family, attention.asc, attention.ascq)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_only_resets_have_precedence_the_others_keep_their_order() {
        let mut attentions = Attentions::default();
        for attention in [
            RESERVATIONS_RELEASED,
            RESERVATIONS_PREEMPTED,
            DEVICE_RESET,
            RESERVATIONS_RELEASED,
        ] {
            attentions.establish(attention, Order::ResetsThenArrival);
        }
        assert_eq!(
            attentions.waiting(),
            [DEVICE_RESET, RESERVATIONS_RELEASED, RESERVATIONS_PREEMPTED]
        );
    }

    #[test]
    fn resets_come_first_and_a_code_waits_once() {
        let mut attentions = Attentions::default();
        for attention in [
            COMMANDS_CLEARED,
            REGISTRATIONS_PREEMPTED,
            DEVICE_RESET,
            RESERVATIONS_PREEMPTED,
            DEVICE_RESET,
            BUS_RESET,
        ] {
            attentions.establish(attention, Order::Precedence);
        }
        assert_eq!(
            attentions.waiting(),
            [
                BUS_RESET,
                DEVICE_RESET,
                RESERVATIONS_PREEMPTED,
                REGISTRATIONS_PREEMPTED,
                COMMANDS_CLEARED,
            ]
        );
    }

    #[test]
    fn repeats_are_kept_in_order_of_arrival_up_to_the_bound() {
        let mut attentions = Attentions::default();
        for _ in 0..ATTENTIONS_MAX + 3 {
            attentions.establish(RESERVATIONS_PREEMPTED, Order::Arrival);
        }
        assert_eq!(
            attentions.waiting(),
            [RESERVATIONS_PREEMPTED; ATTENTIONS_MAX]
        );
    }
}

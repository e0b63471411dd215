//! The persistent reservation of the unit, and the rules that change it: one file for each.
//!
//! | file | service actions of PERSISTENT RESERVE OUT |
//! |---|---|
//! | `register` | REGISTER, REGISTER AND IGNORE EXISTING KEY |
//! | `reserve` | RESERVE |
//! | `release` | RELEASE, and the release that comes with an unregistration |
//! | `clear` | CLEAR |
//! | `preempt` | PREEMPT, PREEMPT AND ABORT |
//! | `relocate` | REGISTER AND MOVE |
//!
//! REPLACE LOST RESERVATION is not supported (RLR_C=0, 05/24/00): it mends a unit that knows that it lost
//! its own reservation data, and this one never does.
//!
//! Invariants, asserted after every change:
//! * a nexus has at most one registration;
//! * the holder is registered; nobody holds when nobody is registered;
//! * the generation never goes back but at power on.

mod clear;
mod preempt;
mod register;
mod release;
mod relocate;
mod reserve;

pub(super) use preempt::Preempt;
pub(super) use register::Register;
pub(super) use relocate::Relocate;

use super::behaviour::{Behaviour, Difference};
use super::nexus::Nexus;
use super::refused::Refused;
use crate::reservation::{
    Attention, Key, NexusId, PersistentState, Registration, Reservation, ReservationType,
};

/// How many registrations the unit keeps; one more is refused with 05/55/04. Enough for a cluster of 64
/// nodes with 4 paths each, and small enough for a state image of fixed size.
pub const REGISTRATIONS_MAX: usize = 256;

/// One registration.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Registrant {
    /// The nexus that registered, or was registered.
    pub(super) nexus: Nexus,
    /// Its key.
    pub(super) key: Key,
    /// ALL_TG_PT: it stands for the initiator port through every target port.
    pub(super) all_target_ports: bool,
    /// Its session has ended and no nexus owns it any more (`registration-ends-with-nexus`).
    pub(super) orphaned: bool,
}

impl Registrant {
    /// Is this the registration of that nexus?
    pub(super) fn covers(&self, nexus: &Nexus) -> bool {
        !self.orphaned
            && self.nexus.initiator == nexus.initiator
            && (self.all_target_ports || self.nexus.target_port == nexus.target_port)
    }

    /// How READ FULL STATUS names it.
    fn id(&self) -> NexusId {
        NexusId::Scsi {
            initiator: self.nexus.initiator.clone(),
            relative_target_port: (!self.all_target_ports).then_some(self.nexus.target_port),
        }
    }
}

/// The reservation in force.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Held {
    /// The nexus of the registration that holds; under an all registrants type, of the one that reserved
    /// or took its place, which has no more rights than the others.
    pub(super) holder: Nexus,
    /// It is held by the registration that `holder` had in an earlier session.
    pub(super) orphaned: bool,
    /// Its type.
    pub(super) kind: ReservationType,
}

impl Held {
    /// Held by this registration.
    pub(super) fn by(registrant: &Registrant, kind: ReservationType) -> Self {
        Self {
            holder: registrant.nexus.clone(),
            orphaned: registrant.orphaned,
            kind,
        }
    }

    /// Is this the registration that is recorded as the holder?
    pub(super) fn is_recorded(&self, registrant: &Registrant) -> bool {
        self.holder == registrant.nexus && self.orphaned == registrant.orphaned
    }
}

/// Registrations and reservation.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Persistent {
    /// PRGENERATION.
    pub(super) generation: u32,
    /// In the order in which they were made.
    pub(super) registrants: Vec<Registrant>,
    /// The reservation in force.
    pub(super) held: Option<Held>,
    /// PTPL_A: the last registration said APTPL.
    pub(super) aptpl: bool,
}

/// What a rule needs to know of the unit around it.
pub(super) struct Surroundings<'a> {
    /// Whose behaviour.
    pub(super) behaviour: Behaviour,
    /// Target ports are 1 to this.
    pub(super) target_ports: u16,
    /// The nexuses that have been seen.
    pub(super) known: &'a dyn Fn(&Nexus) -> bool,
}

impl Surroundings<'_> {
    pub(super) fn has(&self, difference: Difference) -> bool {
        self.behaviour.has(difference)
    }
}

/// What a change does to others: carried out by the unit, which knows queues and tasks.
#[derive(Default, Debug)]
pub(super) struct Effects {
    /// Attentions to establish, for every nexus that the registrant stood for.
    pub(super) attentions: Vec<(Registrant, Attention)>,
    /// Attentions to establish for every nexus but those that the registrant stood for.
    pub(super) attentions_but: Vec<(Registrant, Attention)>,
    /// Whose queued commands are aborted (PREEMPT AND ABORT).
    pub(super) aborted: Vec<Registrant>,
}

impl Effects {
    /// One attention for each of these.
    fn notify<'a>(&mut self, whom: impl IntoIterator<Item = &'a Registrant>, attention: Attention) {
        self.attentions
            .extend(whom.into_iter().map(|one| (one.clone(), attention)));
    }
}

impl Persistent {
    /// The registration of this nexus.
    pub(super) fn registration(&self, nexus: &Nexus) -> Option<&Registrant> {
        self.registrants.iter().find(|one| one.covers(nexus))
    }

    /// Is this nexus registered?
    pub(super) fn is_registered(&self, nexus: &Nexus) -> bool {
        self.registration(nexus).is_some()
    }

    /// Does this nexus hold the reservation (SPC-4 5.13.10)?
    pub(super) fn is_holder(&self, nexus: &Nexus) -> bool {
        self.registration(nexus)
            .is_some_and(|one| self.is_holding(one))
    }

    /// Does this registration hold?
    pub(super) fn is_holding(&self, registrant: &Registrant) -> bool {
        self.held
            .as_ref()
            .is_some_and(|held| held.kind.all_registrants() || held.is_recorded(registrant))
    }

    /// The type in force.
    pub(super) fn kind(&self) -> Option<ReservationType> {
        self.held.as_ref().map(|held| held.kind)
    }

    /// The key of the registration that is recorded as the holder, under an all registrants type too.
    fn recorded_key(&self) -> Option<Key> {
        let held = self.held.as_ref()?;
        self.registrants
            .iter()
            .find(|one| held.is_recorded(one))
            .map(|one| one.key)
    }

    /// Everything that PERSISTENT RESERVE IN can say, as a value.
    pub(super) fn state(&self) -> PersistentState {
        PersistentState {
            generation: self.generation,
            registrations: self
                .registrants
                .iter()
                .map(|one| Registration {
                    key: one.key,
                    nexus: Some(one.id()),
                    holder: Some(self.is_holding(one)),
                    all_target_ports: one.all_target_ports,
                })
                .collect(),
            reservation: self.held.as_ref().map(|held| Reservation {
                key: if held.kind.all_registrants() {
                    None
                } else {
                    self.recorded_key()
                },
                kind: held.kind,
            }),
        }
    }

    /// Counts PRGENERATION (SPC-4 6.15.2): modulo 2^32.
    fn count(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }

    /// The registrations but that of this nexus.
    fn others<'a>(&'a self, nexus: &'a Nexus) -> impl Iterator<Item = &'a Registrant> {
        self.registrants.iter().filter(|one| !one.covers(nexus))
    }

    /// The caller's registration, if its key is the one that it gave.
    ///
    /// SPC-4 5.13.7, 6.16.3: an unregistered nexus, and one that gives another key, meet RESERVATION CONFLICT.
    fn caller(&self, nexus: &Nexus, key: Option<Key>) -> Result<&Registrant, Refused> {
        self.registration(nexus)
            .filter(|one| Some(one.key) == key)
            .ok_or(Refused::Conflict)
    }

    /// What an unregistered nexus meets that wants more than to register.
    fn refuse_stranger(&self, nexus: &Nexus, around: &Surroundings<'_>) -> Result<(), Refused> {
        if self.is_registered(nexus) {
            Ok(())
        } else if self.held.is_none() && around.has(Difference::UnregisteredIsNotReady) {
            Err(Refused::COMMUNICATION)
        } else {
            Err(Refused::Conflict)
        }
    }

    /// Removes the registrations that are chosen, and says which they were. What they held is
    /// released; under an all registrants type only with the last one (SPC-4 5.13.11.2.1).
    fn remove(&mut self, chosen: impl Fn(&Registrant) -> bool) -> Vec<Registrant> {
        let (gone, kept) = std::mem::take(&mut self.registrants)
            .into_iter()
            .partition(|one| chosen(one));
        self.registrants = kept;
        if let Some(held) = &mut self.held
            && !self.registrants.iter().any(|one| held.is_recorded(one))
        {
            match self.registrants.first() {
                Some(next) if held.kind.all_registrants() => *held = Held::by(next, held.kind),
                Some(_) | None => self.held = None,
            }
        }
        gone
    }

    /// The power of the unit was lost (SPC-4 5.13.5.1): without APTPL everything goes.
    pub(super) fn power_loss(&mut self) {
        self.generation = 0;
        if !self.aptpl {
            self.registrants.clear();
            self.held = None;
        }
    }

    /// The session of this nexus has ended, on a unit that binds registrations to sessions.
    pub(super) fn orphan(&mut self, nexus: &Nexus) {
        for one in &mut self.registrants {
            if one.covers(nexus) {
                if let Some(held) = &mut self.held
                    && held.is_recorded(one)
                {
                    held.orphaned = true;
                }
                one.orphaned = true;
            }
        }
    }

    /// The invariants. A unit that broke one must not go on.
    pub(super) fn assert_sound(&self) {
        if let Some(held) = &self.held {
            assert!(
                self.registrants.iter().any(|one| held.is_recorded(one)),
                "the holder is registered"
            );
        }
        for (at, one) in self.registrants.iter().enumerate() {
            assert!(
                one.orphaned
                    || !self.registrants[..at]
                        .iter()
                        .any(|earlier| earlier.covers(&one.nexus)),
                "a nexus has one registration"
            );
        }
        assert!(
            self.registrants.len() <= REGISTRATIONS_MAX,
            "registrations are bounded"
        );
    }
}

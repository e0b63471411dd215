//! PREEMPT and PREEMPT AND ABORT (SPC-4 5.13.11.2.4 to 5.13.11.2.6).
//!
//! | reservation | service action key | what happens |
//! |---|---|---|
//! | none, or not all registrants | 0 | 05/26/00 |
//! | all registrants | 0 | all others unregistered, reserved anew for the caller |
//! | any | the holder's | its key unregistered everywhere but at the caller, reserved anew for the caller |
//! | any | another registered key | unregistered, at the caller too; nothing is reserved |
//! | any | not registered | conflict |
//!
//! Under an all registrants type no key is "the holder's".

use super::{Effects, Held, Persistent, Registrant, Surroundings};
use crate::logical_unit::attention::{
    REGISTRATIONS_PREEMPTED, RESERVATIONS_PREEMPTED, RESERVATIONS_RELEASED,
};
use crate::logical_unit::behaviour::Difference;
use crate::logical_unit::nexus::Nexus;
use crate::logical_unit::refused::Refused;
use crate::reservation::{Key, ReservationType};

/// The parameters.
#[derive(Clone, Debug)]
pub(in crate::logical_unit) struct Preempt {
    /// RESERVATION KEY.
    pub(in crate::logical_unit) key: Option<Key>,
    /// SERVICE ACTION RESERVATION KEY.
    pub(in crate::logical_unit) victim: Option<Key>,
    /// TYPE, where it is one.
    pub(in crate::logical_unit) kind: Option<ReservationType>,
    /// SCOPE is the logical unit.
    pub(in crate::logical_unit) lu_scope: bool,
    /// PREEMPT AND ABORT.
    pub(in crate::logical_unit) abort: bool,
}

impl Persistent {
    pub(in crate::logical_unit) fn preempt(
        &mut self,
        nexus: &Nexus,
        asked: &Preempt,
        around: &Surroundings<'_>,
    ) -> Result<Effects, Refused> {
        if asked.kind.is_none() && around.has(Difference::PreemptLooksAtTheTypeFirst) {
            return Err(Refused::CDB_FIELD);
        }
        let own = self.caller(nexus, asked.key)?.clone();
        if !asked.lu_scope && around.has(Difference::BadScopeIsListField) {
            return Err(Refused::LIST_FIELD);
        }
        let shared = self.kind().is_some_and(ReservationType::all_registrants);
        let holder_falls = match asked.victim {
            None if shared => true,
            None if self.held.is_none() && around.has(Difference::PreemptOfNothingIsGood) => {
                self.count();
                return Ok(Effects::default());
            }
            None => {
                return Err(if around.has(Difference::BadListIsCdbField) {
                    Refused::CDB_FIELD
                } else {
                    Refused::LIST_FIELD
                });
            }
            Some(victim) => {
                if !self.registrants.iter().any(|one| one.key == victim) {
                    return Err(Refused::Conflict);
                }
                self.recorded_key() == Some(victim)
                    && (!shared || around.has(Difference::FirstHolderFallsToPreempt))
            }
        };
        let mut effects = if holder_falls {
            self.take_over(&own, asked, around)?
        } else {
            self.remove_registrations(&own, asked, shared, around)
        };
        if asked.abort {
            effects.aborted.extend(
                effects
                    .attentions
                    .iter()
                    .filter(|(_, attention)| *attention != RESERVATIONS_RELEASED)
                    .map(|(one, _)| one.clone()),
            );
            // SPC-4 5.13.11.2.6: the caller's own queued commands go too when its key is the victim's.
            if asked.victim.is_none_or(|victim| victim == own.key) {
                effects.aborted.push(own);
            }
        }
        self.count();
        Ok(effects)
    }

    /// SPC-4 5.13.11.2.4.3: an uninterrupted series of actions.
    fn take_over(
        &mut self,
        own: &Registrant,
        asked: &Preempt,
        around: &Surroundings<'_>,
    ) -> Result<Effects, Refused> {
        let kind = asked.kind.ok_or(Refused::CDB_FIELD)?;
        if !asked.lu_scope {
            return Err(Refused::CDB_FIELD);
        }
        let was = self.kind();
        let gone =
            self.remove(|one| one != own && asked.victim.is_none_or(|victim| one.key == victim));
        self.held = Some(Held::by(own, kind));
        let mut effects = Effects::default();
        effects.notify(&gone, lost_registration(around));
        if was != Some(kind) {
            effects.notify(self.others(&own.nexus), RESERVATIONS_RELEASED);
        }
        Ok(effects)
    }

    /// SPC-4 5.13.11.2.5: registrations go, the reservation stays with whom it is.
    fn remove_registrations(
        &mut self,
        own: &Registrant,
        asked: &Preempt,
        shared: bool,
        around: &Surroundings<'_>,
    ) -> Effects {
        let spared = around.has(Difference::PreemptSparesCaller)
            || shared && around.has(Difference::SharedPreemptSparesCaller);
        let gone = self.remove(|one| Some(one.key) == asked.victim && !(spared && one == own));
        let mut effects = Effects::default();
        effects.notify(
            gone.iter().filter(|one| *one != own),
            lost_registration(around),
        );
        effects
    }
}

fn lost_registration(around: &Surroundings<'_>) -> crate::reservation::Attention {
    if around.has(Difference::PreemptedAttentionIsCleared) {
        RESERVATIONS_PREEMPTED
    } else {
        REGISTRATIONS_PREEMPTED
    }
}

//! RELEASE (SPC-4 5.13.11.2.2), and who hears of a reservation that is given up.

use super::{Effects, Persistent, Surroundings};
use crate::logical_unit::attention::RESERVATIONS_RELEASED;
use crate::logical_unit::behaviour::Difference;
use crate::logical_unit::nexus::Nexus;
use crate::logical_unit::refused::Refused;
use crate::reservation::{Key, ReservationType};

impl Persistent {
    pub(in crate::logical_unit) fn release(
        &mut self,
        nexus: &Nexus,
        key: Option<Key>,
        kind: Option<ReservationType>,
        lu_scope: bool,
        around: &Surroundings<'_>,
    ) -> Result<Effects, Refused> {
        self.refuse_stranger(nexus, around)?;
        let idle = !self.is_holder(nexus);
        if !(idle && around.has(Difference::IdleReleaseIgnoresKey)) {
            self.caller(nexus, key)?;
        }
        let held = match &self.held {
            Some(held) if !idle => held.kind,
            Some(_) | None => return Ok(Effects::default()),
        };
        if kind != Some(held) || !lu_scope {
            return Err(if around.has(Difference::WrongReleaseConflicts) {
                Refused::Conflict
            } else {
                Refused::INVALID_RELEASE
            });
        }
        self.held = None;
        let mut effects = Effects::default();
        attend_release(self, held, nexus, around, false, &mut effects);
        Ok(effects)
    }
}

/// 2A/04 for every registrant but the one that gave the reservation up, where its type admitted them.
pub(super) fn attend_release(
    persistent: &Persistent,
    kind: ReservationType,
    by: &Nexus,
    around: &Surroundings<'_>,
    by_unregistering: bool,
    effects: &mut Effects,
) {
    let heard = match (
        by_unregistering,
        around.has(Difference::ReleaseAttentionsReversed),
    ) {
        (true, _) if around.has(Difference::UnregisterAlwaysAttends) => true,
        // The last of all registrants leaves nobody to hear.
        (true, _) | (false, false) => kind.admits_registrants(),
        (false, true) => !kind.admits_registrants(),
    };
    if !heard {
        return;
    }
    let others = persistent.others(by);
    if around.has(Difference::ReleaseAttendsTheOthers) {
        let but = others.map(|one| (one.clone(), RESERVATIONS_RELEASED));
        effects.attentions_but.extend(but);
    } else {
        effects.notify(others, RESERVATIONS_RELEASED);
    }
}

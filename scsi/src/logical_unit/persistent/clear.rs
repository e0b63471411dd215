//! CLEAR (SPC-4 5.13.11.2.7): the reservation and every registration go.

use super::{Effects, Persistent, Surroundings};
use crate::logical_unit::attention::RESERVATIONS_PREEMPTED;
use crate::logical_unit::behaviour::Difference;
use crate::logical_unit::nexus::Nexus;
use crate::logical_unit::refused::Refused;
use crate::reservation::Key;

impl Persistent {
    pub(in crate::logical_unit) fn clear(
        &mut self,
        nexus: &Nexus,
        key: Option<Key>,
        around: &Surroundings<'_>,
    ) -> Result<Effects, Refused> {
        self.refuse_stranger(nexus, around)?;
        self.caller(nexus, key)?;
        let mut effects = Effects::default();
        effects.notify(self.others(nexus), RESERVATIONS_PREEMPTED);
        self.held = None;
        self.registrants.clear();
        if around.has(Difference::ClearTurnsAptplOff) {
            self.aptpl = false;
        }
        self.count();
        Ok(effects)
    }
}

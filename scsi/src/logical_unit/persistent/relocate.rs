//! REGISTER AND MOVE (SPC-4 5.13.8): the holder registers another nexus and hands it the reservation.

use super::{Effects, Held, Persistent, Registrant, Surroundings};
use crate::logical_unit::behaviour::Difference;
use crate::logical_unit::nexus::Nexus;
use crate::logical_unit::refused::Refused;
use crate::reservation::{Key, ReservationType};

/// The parameters.
#[derive(Clone, Debug)]
pub(in crate::logical_unit) struct Relocate {
    /// RESERVATION KEY.
    pub(in crate::logical_unit) key: Option<Key>,
    /// SERVICE ACTION RESERVATION KEY.
    pub(in crate::logical_unit) new: Option<Key>,
    /// UNREG.
    pub(in crate::logical_unit) unregister: bool,
    /// APTPL.
    pub(in crate::logical_unit) aptpl: bool,
    /// TransportID and RELATIVE TARGET PORT IDENTIFIER.
    pub(in crate::logical_unit) to: Nexus,
}

impl Persistent {
    pub(in crate::logical_unit) fn relocate(
        &mut self,
        nexus: &Nexus,
        asked: &Relocate,
        around: &Surroundings<'_>,
    ) -> Result<Effects, Refused> {
        if around.has(Difference::MoveToRegistrantsOnly) {
            return self.relocate_to_registrant(nexus, asked);
        }
        if self.held.is_none() && !around.has(Difference::UnregisteredIsNotReady) {
            return Err(Refused::CDB_FIELD);
        }
        self.refuse_stranger(nexus, around)?;
        if around.has(Difference::MoveLooksAtTheListFirst) {
            self.caller(nexus, asked.key)?;
            asked.new.ok_or(Refused::LIST_FIELD)?;
            self.check_destination(nexus, asked, around)?;
        }
        // A holder of an all registrants type cannot hand over what all have.
        let shared = self.kind().is_some_and(ReservationType::all_registrants);
        if self.held.is_some() && (shared || !self.is_holder(nexus)) {
            return Err(Refused::Conflict);
        }
        let own = self.caller(nexus, asked.key)?.clone();
        let new = asked.new.ok_or(Refused::LIST_FIELD)?;
        self.check_destination(nexus, asked, around)?;
        let Some(kind) = self.kind() else {
            return Err(Refused::CDB_FIELD);
        };

        let mut moved = self.clone();
        let destination = match moved
            .registrants
            .iter_mut()
            .find(|one| one.covers(&asked.to))
        {
            Some(known) => {
                known.key = new;
                known.clone()
            }
            None => {
                let added = Registrant {
                    nexus: asked.to.clone(),
                    key: new,
                    all_target_ports: false,
                    orphaned: false,
                };
                moved.add(added.clone())?;
                added
            }
        };
        moved.held = Some(Held::by(&destination, kind));
        if asked.unregister {
            moved.remove(|one| *one == own);
        }
        moved.aptpl = asked.aptpl;
        moved.count();
        *self = moved;
        Ok(Effects::default())
    }

    /// The destination must be another initiator port, behind a target port that there is.
    fn check_destination(
        &self,
        nexus: &Nexus,
        asked: &Relocate,
        around: &Surroundings<'_>,
    ) -> Result<(), Refused> {
        let port_exists = (1..=around.target_ports).contains(&asked.to.target_port);
        let known = !around.has(Difference::DestinationsMustBeKnown)
            || (around.known)(&asked.to)
            || self.is_registered(&asked.to);
        if asked.to.initiator == nexus.initiator || !port_exists || !known {
            return Err(Refused::LIST_FIELD);
        }
        Ok(())
    }

    /// As tgt does it.
    fn relocate_to_registrant(
        &mut self,
        nexus: &Nexus,
        asked: &Relocate,
    ) -> Result<Effects, Refused> {
        if asked.aptpl {
            return Err(Refused::CDB_FIELD);
        }
        let Some(own) = self.registration(nexus).cloned() else {
            return Err(if self.held.is_some() {
                Refused::Conflict
            } else {
                Refused::CDB_FIELD
            });
        };
        if !self.is_holding(&own) {
            return Ok(Effects::default());
        }
        if Some(own.key) != asked.key || asked.new.is_none() {
            return Err(Refused::Conflict);
        }
        let destination = self
            .registrants
            .iter()
            .find(|one| Some(one.key) == asked.new)
            .filter(|one| one.nexus.initiator == asked.to.initiator)
            .cloned()
            .ok_or(Refused::CDB_FIELD)?;
        if let Some(held) = &mut self.held {
            *held = Held::by(&destination, held.kind);
        }
        if asked.unregister {
            self.remove(|one| *one == own);
        }
        self.count();
        Ok(Effects::default())
    }
}

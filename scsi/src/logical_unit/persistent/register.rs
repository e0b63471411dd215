//! REGISTER and REGISTER AND IGNORE EXISTING KEY (SPC-4 5.13.7 and 5.13.11.2.3).
//!
//! | nexus | reservation key | service action key | what happens |
//! |---|---|---|---|
//! | unregistered | not 0 (REGISTER only) | any | conflict |
//! | unregistered | 0 | 0 | GOOD, nothing |
//! | unregistered | 0 | not 0 | registered, with those of SPEC_I_PT, all or none; 05/26/00 if one of them is already |
//! | registered | another (REGISTER only) | any | conflict |
//! | registered | its own | 0 | unregistered; what it held is released |
//! | registered | its own | not 0 | its key is replaced; what it holds it keeps |
//!
//! With ALL_TG_PT one registration stands for the initiator port through every target port; it replaces
//! those that the port had one by one, and goes as a whole.

use super::release::attend_release;
use super::{Effects, Held, Persistent, REGISTRATIONS_MAX, Registrant, Surroundings};
use crate::logical_unit::behaviour::Difference;
use crate::logical_unit::nexus::Nexus;
use crate::logical_unit::refused::Refused;
use crate::reservation::Key;
use crate::wire::transport_id::TransportId;

/// The parameters.
#[derive(Clone, Debug)]
pub(in crate::logical_unit) struct Register {
    /// REGISTER AND IGNORE EXISTING KEY: `existing` says nothing.
    pub(in crate::logical_unit) ignore_existing: bool,
    /// RESERVATION KEY.
    pub(in crate::logical_unit) existing: Option<Key>,
    /// SERVICE ACTION RESERVATION KEY.
    pub(in crate::logical_unit) new: Option<Key>,
    /// APTPL.
    pub(in crate::logical_unit) aptpl: bool,
    /// ALL_TG_PT.
    pub(in crate::logical_unit) all_target_ports: bool,
    /// SPEC_I_PT: the initiator ports to register too; `None` without the bit.
    pub(in crate::logical_unit) also: Option<Vec<TransportId>>,
}

impl Persistent {
    pub(in crate::logical_unit) fn register(
        &mut self,
        nexus: &Nexus,
        asked: &Register,
        around: &Surroundings<'_>,
    ) -> Result<Effects, Refused> {
        if asked.ignore_existing && asked.also.is_some() {
            return Err(Refused::LIST_FIELD);
        }
        match self.registration(nexus).cloned() {
            None => self.register_stranger(nexus, asked, around),
            Some(own) => {
                if !asked.ignore_existing && asked.existing != Some(own.key) {
                    return Err(Refused::Conflict);
                }
                if asked.also.is_some() {
                    return Err(Refused::LIST_FIELD);
                }
                if own.all_target_ports
                    && !asked.all_target_ports
                    && around.has(Difference::PortsMustBeAllAgain)
                {
                    return Err(Refused::CDB_FIELD);
                }
                match asked.new {
                    Some(key) => {
                        self.replace_key(&own, key, asked, around);
                        Ok(Effects::default())
                    }
                    None => Ok(self.unregister(&own, asked.aptpl, around)),
                }
            }
        }
    }

    fn register_stranger(
        &mut self,
        nexus: &Nexus,
        asked: &Register,
        around: &Surroundings<'_>,
    ) -> Result<Effects, Refused> {
        if !asked.ignore_existing && asked.existing.is_some() {
            return Err(Refused::Conflict);
        }
        let Some(key) = asked.new else {
            if around.has(Difference::EmptyRegisterIsCounted) {
                self.count();
            }
            return Ok(Effects::default());
        };
        let also = self.specified(nexus, asked, around)?;
        let new: Vec<Nexus> = std::iter::once(nexus.clone()).chain(also).collect();
        let mut grown = self.clone();
        for one in new {
            // The list may name a port twice, or the caller itself: it is registered once.
            if !grown.is_registered(&one) {
                grown.add(Registrant {
                    nexus: one,
                    key,
                    all_target_ports: asked.all_target_ports,
                    orphaned: false,
                })?;
                if around.has(Difference::EachPortIsCounted) {
                    grown.count();
                }
            }
        }
        if !around.has(Difference::EachPortIsCounted) {
            grown.count();
        }
        grown.aptpl = asked.aptpl;
        *self = grown;
        Ok(Effects::default())
    }

    /// The other nexuses that SPEC_I_PT asks to register.
    ///
    /// SPC-4 5.13.7, table 67: one that is registered already is an error, and nobody is registered.
    fn specified(
        &self,
        nexus: &Nexus,
        asked: &Register,
        around: &Surroundings<'_>,
    ) -> Result<Vec<Nexus>, Refused> {
        let is_taken = |one: &Nexus| {
            self.is_registered(one)
                || asked.all_target_ports
                    && self
                        .registrants
                        .iter()
                        .any(|other| !other.orphaned && other.nexus.initiator == one.initiator)
        };
        let mut new = Vec::new();
        for port in asked.also.as_deref().unwrap_or_default() {
            let one = Nexus::new(port.clone(), nexus.target_port);
            if one.initiator == nexus.initiator {
                // The caller itself, whom the command registers anyway.
                continue;
            }
            if is_taken(&one) {
                if around.has(Difference::RegisteredPortsAreSkipped) {
                    continue;
                }
                return Err(Refused::LIST_FIELD);
            }
            if around.has(Difference::DestinationsMustBeKnown) && !(around.known)(&one) {
                return Err(Refused::LIST_FIELD);
            }
            new.push(one);
        }
        Ok(new)
    }

    /// Adds one. With ALL_TG_PT it takes the place of those that the initiator port had one by one,
    /// and what one of those held.
    pub(super) fn add(&mut self, new: Registrant) -> Result<(), Refused> {
        let replaced = |one: &Registrant| new.covers(&one.nexus) && !one.orphaned;
        if let Some(held) = &mut self.held
            && self
                .registrants
                .iter()
                .any(|one| replaced(one) && held.is_recorded(one))
        {
            *held = Held::by(&new, held.kind);
        }
        self.registrants.retain(|one| !replaced(one));
        if self.registrants.len() >= REGISTRATIONS_MAX {
            return Err(Refused::NO_ROOM_TO_REGISTER);
        }
        self.registrants.push(new);
        Ok(())
    }

    fn replace_key(
        &mut self,
        own: &Registrant,
        key: Key,
        asked: &Register,
        around: &Surroundings<'_>,
    ) {
        let widened = asked.all_target_ports
            && !own.all_target_ports
            && !around.has(Difference::PortsStayAsRegistered);
        if widened {
            self.registrants.retain(|one| {
                one.orphaned || one.nexus == own.nexus || one.nexus.initiator != own.nexus.initiator
            });
            if let Some(held) = &mut self.held
                && held.holder.initiator == own.nexus.initiator
                && !held.orphaned
            {
                *held = Held::by(own, held.kind);
            }
        }
        for one in &mut self.registrants {
            if one.nexus == own.nexus && !one.orphaned {
                one.key = key;
                one.all_target_ports = widened || own.all_target_ports;
            }
        }
        self.aptpl = asked.aptpl;
        self.count();
    }

    fn unregister(&mut self, own: &Registrant, aptpl: bool, around: &Surroundings<'_>) -> Effects {
        let was = self.held.clone();
        self.remove(|one| one == own);
        let mut effects = Effects::default();
        if let Some(was) = was
            && self.held.is_none()
        {
            if around.has(Difference::EmptyRegisterIsCounted) {
                self.count();
            }
            attend_release(self, was.kind, &own.nexus, around, true, &mut effects);
        }
        self.aptpl = aptpl;
        if !around.has(Difference::UnregisteringIsNotCounted) {
            self.count();
        }
        effects
    }
}

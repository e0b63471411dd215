//! The persistent-reservation state of a logical unit, as read from it.

use super::{Key, NexusId, ReservationType};

/// One registration.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Registration {
    /// Its key; several nexuses may share one.
    pub key: Key,
    /// The registrant, where the disk tells (READ FULL STATUS, NVMe report); `None` on READ KEYS only.
    pub nexus: Option<NexusId>,
    /// R_HOLDER, where the disk tells.
    pub holder: Option<bool>,
    /// ALL_TG_PT: registered through every target port.
    pub all_target_ports: bool,
}

/// The persistent reservation in force.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Reservation {
    /// The holder's key; `None` under the All Registrants types, where every registrant holds.
    pub key: Option<Key>,
    /// Its type.
    pub kind: ReservationType,
}

/// Everything that READ KEYS, READ RESERVATION and READ FULL STATUS say together.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct PersistentState {
    /// PRGENERATION. Registrations and preempts count it up; RESERVE and RELEASE do not, so an equal
    /// generation does not prove an unchanged holder (SPC-4 6.15.2).
    pub generation: u32,
    /// One entry for each registered nexus, in the disk's order.
    pub registrations: Vec<Registration>,
    /// The reservation in force.
    pub reservation: Option<Reservation>,
}

impl PersistentState {
    /// Is this key registered, by whatever nexus?
    #[must_use]
    pub fn has_key(&self, key: Key) -> bool {
        self.registrations
            .iter()
            .any(|registration| registration.key == key)
    }

    /// Does this key hold the reservation (under the All Registrants types: is it registered)?
    #[must_use]
    pub fn is_held_by(&self, key: Key) -> bool {
        self.reservation.is_some_and(|held| match held.key {
            Some(holder) => holder == key,
            None => self.has_key(key),
        })
    }
}

//! RESERVE and RELEASE of SPC-2, and how they and persistent reservations keep out of each
//! other's way (SPC-2 5.5.1, SPC-4 5.13.3, CRH).
//!
//! | registered | RESERVE, RELEASE |
//! |---|---|
//! | nobody | as SPC-2 has it |
//! | the caller holds, or is a registrant of a type that admits registrants | GOOD, nothing happens |
//! | otherwise somebody | conflict |
//!
//! RELEASE by a nexus that does not hold is GOOD and does nothing.

use super::behaviour::Difference;
use super::nexus::Nexus;
use super::persistent::{Persistent, Surroundings};
use super::refused::Refused;
use crate::reservation::ReservationType;

/// RESERVE of the whole logical unit.
pub(super) fn reserve(
    holder: &mut Option<Nexus>,
    nexus: &Nexus,
    persistent: &Persistent,
    around: &Surroundings<'_>,
) -> Result<(), Refused> {
    match standing(nexus, persistent, around)? {
        Standing::Persistent => Ok(()),
        Standing::Free => match holder {
            Some(other) if other != nexus => Err(Refused::Conflict),
            Some(_) | None => {
                *holder = Some(nexus.clone());
                Ok(())
            }
        },
    }
}

/// RELEASE of the whole logical unit.
pub(super) fn release(
    holder: &mut Option<Nexus>,
    nexus: &Nexus,
    persistent: &Persistent,
    around: &Surroundings<'_>,
) -> Result<(), Refused> {
    match standing(nexus, persistent, around)? {
        Standing::Persistent => {}
        Standing::Free => {
            if holder.as_ref() == Some(nexus) {
                *holder = None;
            }
        }
    }
    Ok(())
}

/// What SPC-2's commands meet.
enum Standing {
    /// Nobody is registered: SPC-2 decides.
    Free,
    /// The persistent reservation already gives the caller what it asks for.
    Persistent,
}

fn standing(
    nexus: &Nexus,
    persistent: &Persistent,
    around: &Surroundings<'_>,
) -> Result<Standing, Refused> {
    // Without CRH a unit does not look at registrations here (tgt).
    if persistent.registrants.is_empty() || around.has(Difference::NoCompatibleHandling) {
        return Ok(Standing::Free);
    }
    let recorded = persistent
        .held
        .as_ref()
        .zip(persistent.registration(nexus))
        .is_some_and(|(held, own)| held.is_recorded(own));
    let admitted = persistent
        .kind()
        .is_some_and(ReservationType::admits_registrants)
        && persistent.is_registered(nexus)
        && !around.has(Difference::RegistrantsReserveConflicts);
    if recorded || admitted {
        Ok(Standing::Persistent)
    } else {
        Err(Refused::Conflict)
    }
}

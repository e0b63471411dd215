//! RESERVE (SPC-4 5.13.9).

use super::{Held, Persistent, Surroundings};
use crate::logical_unit::behaviour::Difference;
use crate::logical_unit::nexus::Nexus;
use crate::logical_unit::refused::Refused;
use crate::reservation::{Key, ReservationType};

impl Persistent {
    /// `kind` is `None` for a type that is not one; `lu_scope` says that the scope is the logical unit.
    pub(in crate::logical_unit) fn reserve(
        &mut self,
        nexus: &Nexus,
        key: Option<Key>,
        kind: Option<ReservationType>,
        lu_scope: bool,
        around: &Surroundings<'_>,
    ) -> Result<(), Refused> {
        let kind = kind.ok_or(Refused::CDB_FIELD)?;
        if !lu_scope && !around.has(Difference::BadScopeIsListField) {
            return Err(Refused::CDB_FIELD);
        }
        self.refuse_stranger(nexus, around)?;
        if !around.has(Difference::ReserveIgnoresKey) {
            self.caller(nexus, key)?;
        }
        if !lu_scope {
            return Err(Refused::LIST_FIELD);
        }
        match &self.held {
            None => {
                let own = self.registration(nexus).ok_or(Refused::Conflict)?;
                self.held = Some(Held::by(own, kind));
                Ok(())
            }
            Some(held) if held.kind == kind && self.is_holder(nexus) => Ok(()),
            Some(_) => Err(Refused::Conflict),
        }
    }
}

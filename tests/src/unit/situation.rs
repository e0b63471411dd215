//! In which situation an operation met the disk: what is in force, and what its sender is to that.

use crate::both::{Both, NEXUSES};
use crate::operation::Action;
use scsi::reservation::ReservationType;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What is in force.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Force {
    Nothing,
    Spc2,
    Persistent(ReservationType),
}

/// What the sender is to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Role {
    Holder,
    Registrant,
    Stranger,
}

/// A column of the matrix.
pub(crate) type Situation = (Force, Role);

/// Every situation that there can be: under an all registrants type every registrant is a holder, and SPC-2 knows
/// no registrants.
pub(crate) fn all() -> Vec<Situation> {
    let mut all = vec![
        (Force::Nothing, Role::Registrant),
        (Force::Nothing, Role::Stranger),
        (Force::Spc2, Role::Holder),
        (Force::Spc2, Role::Stranger),
    ];
    for kind in ReservationType::ALL {
        let force = Force::Persistent(kind);
        all.push((force, Role::Holder));
        if !is_shared(kind) {
            all.push((force, Role::Registrant));
        }
        all.push((force, Role::Stranger));
    }
    all
}

pub(crate) const fn is_shared(kind: ReservationType) -> bool {
    matches!(
        kind,
        ReservationType::WriteExclusiveAllRegistrants
            | ReservationType::ExclusiveAccessAllRegistrants
    )
}

/// The situation of a nexus now.
pub(crate) fn of(both: &Both, nexus: usize) -> Situation {
    let unit = &both.unit;
    let name = both.nexus(nexus);
    if let Some(holder) = unit.spc2_holder() {
        let role = if holder == name {
            Role::Holder
        } else {
            Role::Stranger
        };
        return (Force::Spc2, role);
    }
    let force = unit
        .persistent_state()
        .reservation
        .map_or(Force::Nothing, |held| Force::Persistent(held.kind));
    let role = if unit.is_persistent_holder(name) {
        Role::Holder
    } else if unit.is_registered(name) {
        Role::Registrant
    } else {
        Role::Stranger
    };
    (force, role)
}

/// How often each action was done in each situation.
pub(crate) struct Matrix {
    actions: Vec<Action>,
    seen: BTreeMap<(Action, Situation), u32>,
}

impl Matrix {
    /// Of these actions.
    pub(crate) const fn new(actions: Vec<Action>) -> Self {
        Self {
            actions,
            seen: BTreeMap::new(),
        }
    }

    /// The rows.
    pub(crate) fn actions(&self) -> &[Action] {
        &self.actions
    }

    pub(crate) fn count(&mut self, action: Action, situation: Situation) {
        *self.seen.entry((action, situation)).or_default() += 1;
    }

    pub(crate) fn of(&self, action: Action, situation: Situation) -> u32 {
        self.seen.get(&(action, situation)).copied().unwrap_or(0)
    }

    /// The cells that were seen least, so that the next step can go there.
    pub(crate) fn least(&self) -> (u32, Vec<(Action, Situation)>) {
        let mut least = u32::MAX;
        let mut cells = Vec::new();
        for &action in &self.actions {
            for situation in all() {
                let count = self.of(action, situation);
                if count < least {
                    least = count;
                    cells.clear();
                }
                if count == least {
                    cells.push((action, situation));
                }
            }
        }
        (least, cells)
    }

    /// As a table: a row for each action, a column for each situation.
    pub(crate) fn to_table(&self) -> String {
        let mut table = format!("{:<20}", "action");
        for (force, role) in all() {
            let force = match force {
                Force::Nothing => "none".to_owned(),
                Force::Spc2 => "spc2".to_owned(),
                Force::Persistent(kind) => kind.name().to_owned(),
            };
            let role = match role {
                Role::Holder => 'H',
                Role::Registrant => 'R',
                Role::Stranger => 'S',
            };
            // Writing to a string cannot fail.
            let _ = write!(table, "{:>8}", format!("{force}/{role}"));
        }
        for &action in &self.actions {
            let _ = write!(table, "\n{:<20}", format!("{action:?}"));
            for situation in all() {
                let _ = write!(table, "{:>8}", self.of(action, situation));
            }
        }
        table.push_str("\nH holder, R registrant, S stranger; of three nexuses");
        debug_assert_eq!(NEXUSES, 3);
        table
    }
}

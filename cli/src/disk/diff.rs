//! What changed between two readings of a disk.

use super::view;
use scsi::reservation::{Key, NexusId, PersistentState, Registration, Reservation};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One difference.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Difference {
    /// A nexus is registered that was not, or under another key.
    Added(Registration),
    /// A registration is gone, or has another key.
    Removed(Registration),
    /// The reservation is another.
    Holder {
        /// What it was.
        from: Option<Reservation>,
        /// What it is.
        to: Option<Reservation>,
    },
    /// PRGENERATION counted on: somebody registered, preempted or cleared.
    Generation {
        /// What it was.
        from: u32,
        /// What it is.
        to: u32,
    },
}

/// The differences, in the order in which a person tells them: who went, who came, who holds, the count.
pub(crate) fn between(before: &PersistentState, after: &PersistentState) -> Vec<Difference> {
    let gone = missing_in(before, after)
        .into_iter()
        .map(Difference::Removed);
    let new = missing_in(after, before).into_iter().map(Difference::Added);
    let mut differences: Vec<Difference> = gone.chain(new).collect();
    if before.reservation != after.reservation {
        differences.push(Difference::Holder {
            from: before.reservation,
            to: after.reservation,
        });
    }
    if before.generation != after.generation {
        differences.push(Difference::Generation {
            from: before.generation,
            to: after.generation,
        });
    }
    differences
}

/// Registrations of `one` that `other` does not have. Where nexuses are not told the same key may stand
/// several times, so equal ones are counted against each other.
fn missing_in(one: &PersistentState, other: &PersistentState) -> Vec<Registration> {
    let mut twins: BTreeMap<_, usize> = BTreeMap::new();
    for entry in &other.registrations {
        *twins.entry(who(entry)).or_default() += 1;
    }
    one.registrations
        .iter()
        .filter(|entry| match twins.get_mut(&who(entry)) {
            Some(left) if *left > 0 => {
                *left -= 1;
                false
            }
            Some(_) | None => true,
        })
        .cloned()
        .collect()
}

/// What makes a registration the same one; who holds is told by [`Difference::Holder`].
fn who(entry: &Registration) -> (Key, Option<&NexusId>) {
    (entry.key, entry.nexus.as_ref())
}

impl Difference {
    /// The name of its kind.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Added(_) => "registration-added",
            Self::Removed(_) => "registration-removed",
            Self::Holder { .. } => "holder-changed",
            Self::Generation { .. } => "generation",
        }
    }

    /// Its own fields.
    pub(crate) fn json(&self) -> Value {
        match self {
            Self::Added(entry) | Self::Removed(entry) => {
                json!({ "registration": view::entry_json(entry) })
            }
            Self::Holder { from, to } => json!({
                "from": from.as_ref().map(view::reservation_json),
                "to": to.as_ref().map(view::reservation_json),
            }),
            Self::Generation { from, to } => json!({ "from": from, "to": to }),
        }
    }

    /// One line.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Added(entry) => format!("+ {}  {}", entry.key, view::nexus_words(entry)),
            Self::Removed(entry) => format!("- {}  {}", entry.key, view::nexus_words(entry)),
            Self::Holder { from, to } => format!(
                "reservation {} -> {}",
                view::reservation_words(from.as_ref()),
                view::reservation_words(to.as_ref())
            ),
            Self::Generation { from, to } => format!("generation {from} -> {to}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scsi::reservation::{HostId, ReservationType};

    fn entry(key: u64, host: Option<u8>) -> Registration {
        Registration {
            key: Key::new(key).unwrap(),
            nexus: host.map(|host| NexusId::Nvme {
                host: HostId([host; 16]),
            }),
            holder: None,
            all_target_ports: false,
        }
    }

    fn state(generation: u32, registrations: &[Registration]) -> PersistentState {
        PersistentState {
            generation,
            registrations: registrations.to_vec(),
            reservation: None,
        }
    }

    #[test]
    fn a_replaced_key_is_one_gone_and_one_new() {
        let before = state(1, &[entry(1, Some(1)), entry(2, Some(2))]);
        let after = state(2, &[entry(3, Some(1)), entry(2, Some(2))]);
        assert_eq!(
            between(&before, &after),
            [
                Difference::Removed(entry(1, Some(1))),
                Difference::Added(entry(3, Some(1))),
                Difference::Generation { from: 1, to: 2 },
            ]
        );
    }

    #[test]
    fn equal_keys_without_a_nexus_are_counted() {
        let before = state(2, &[entry(1, None), entry(1, None)]);
        let after = state(2, &[entry(1, None)]);
        assert_eq!(
            between(&before, &after),
            [Difference::Removed(entry(1, None))]
        );
        assert_eq!(between(&before, &before), []);
    }

    #[test]
    fn the_holder_is_told_apart_from_who_is_registered() {
        let before = state(2, &[entry(1, Some(1))]);
        let mut after = before.clone();
        after.registrations[0].holder = Some(true);
        after.reservation = Some(Reservation {
            key: Key::new(1),
            kind: ReservationType::WriteExclusive,
        });
        let differences = between(&before, &after);
        assert_eq!(differences.len(), 1);
        assert_eq!(differences[0].name(), "holder-changed");
    }
}

//! What a state that was read says about this node. The one place where "I hold it" is defined.

use scsi::reservation::{
    Key, NexusId, PersistentState, Registration, Reservation, ReservationType,
};
use std::collections::BTreeSet;

/// A state, judged.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Verdict {
    /// This node holds, and nobody else is registered: what makes a round clean.
    Alone,
    /// This node holds, and these are registered beside it.
    Others(Vec<Registration>),
    /// This node is registered, and nobody holds.
    NoHolder,
    /// This node is registered, and another holds (or its own key, with another type).
    OtherHolder(Reservation),
    /// This node is not registered any more.
    KeyGone(Option<Reservation>),
}

/// Judges a state for the node with this key, which holds with this type. Keys are never used twice, so
/// a registration with the key is a nexus of this node.
pub(super) fn judge(state: &PersistentState, key: Key, kind: ReservationType) -> Verdict {
    if !state.has_key(key) {
        return Verdict::KeyGone(state.reservation);
    }
    match state.reservation {
        None => Verdict::NoHolder,
        Some(held) if held.key != Some(key) || held.kind != kind => Verdict::OtherHolder(held),
        Some(_) => {
            let other = |registration: &&Registration| registration.key != key;
            let others: Vec<_> = state.registrations.iter().filter(other).cloned().collect();
            if others.is_empty() {
                Verdict::Alone
            } else {
                Verdict::Others(others)
            }
        }
    }
}

/// How many initiator ports have this key, of those that the disk names.
pub(super) fn ports_with(state: &PersistentState, key: Key) -> usize {
    let own = |registration: &&Registration| registration.key == key;
    let port = |registration: &Registration| match &registration.nexus {
        Some(NexusId::Scsi { initiator, .. }) => Some(initiator.clone()),
        Some(NexusId::Nvme { .. }) | None => None,
    };
    let ports = state.registrations.iter().filter(own).filter_map(port);
    ports.collect::<BTreeSet<_>>().len()
}

/// The keys of these registrations, each once, in their order: one PREEMPT removes all that share a key.
pub(super) fn victims(registrations: &[Registration]) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    for registration in registrations {
        if !keys.contains(&registration.key) {
            keys.push(registration.key);
        }
    }
    keys
}

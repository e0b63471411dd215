//! Which registrations are this host's: by nexus, never by the key alone (a key that looks like ours may
//! belong to a nexus that is dead, or to another node).

use scsi::disk::Path;
use scsi::reservation::{Key, NexusId, PersistentState, Registration};
use scsi::wire::transport_id::TransportId;

/// Whose a registration is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Own {
    /// This path's, by its index.
    Path(usize),
    /// Another nexus's.
    Other,
    /// The disk or the path does not tell.
    Unknown,
}

/// Whose each registration is, in the disk's order.
pub(crate) fn of(state: &PersistentState, paths: &[Path]) -> Vec<Own> {
    state
        .registrations
        .iter()
        .map(|entry| whose(entry, paths))
        .collect()
}

fn whose(entry: &Registration, paths: &[Path]) -> Own {
    let Some(theirs) = &entry.nexus else {
        return Own::Unknown;
    };
    let same = |path: &Path| {
        path.nexus
            .as_ref()
            .is_some_and(|ours| same_nexus(ours, theirs))
    };
    match paths.iter().position(same) {
        Some(index) => Own::Path(index),
        None if paths.iter().any(|path| path.nexus.is_none()) => Own::Unknown,
        None => Own::Other,
    }
}

fn same_nexus(ours: &NexusId, theirs: &NexusId) -> bool {
    match (ours, theirs) {
        (NexusId::Nvme { host: ours }, NexusId::Nvme { host: theirs }) => ours == theirs,
        (
            NexusId::Scsi {
                initiator,
                relative_target_port,
            },
            NexusId::Scsi {
                initiator: their_initiator,
                relative_target_port: their_target_port,
            },
        ) => {
            // Under ALL_TG_PT, and where a path does not know its target port, the initiator decides.
            let same_target = match (relative_target_port, their_target_port) {
                (Some(ours), Some(theirs)) => ours == theirs,
                (None, _) | (_, None) => true,
            };
            same_target && same_port(initiator, their_initiator)
        }
        (NexusId::Nvme { .. }, NexusId::Scsi { .. })
        | (NexusId::Scsi { .. }, NexusId::Nvme { .. }) => false,
    }
}

/// The same initiator port? An iSCSI identifier without a session names every session of its initiator.
fn same_port(ours: &TransportId, theirs: &TransportId) -> bool {
    match (ours, theirs) {
        (
            TransportId::Iscsi { name: ours, isid },
            TransportId::Iscsi {
                name: theirs,
                isid: their_isid,
            },
        ) => ours == theirs && (isid == their_isid || isid.is_none() || their_isid.is_none()),
        _ => ours == theirs,
    }
}

/// The key that this path has registered: `Ok(None)` when it has none, `Err` when that cannot be told.
pub(crate) fn key_of_path(
    state: &PersistentState,
    own: &[Own],
    path: usize,
) -> Result<Option<Key>, CannotTell> {
    let mine = state
        .registrations
        .iter()
        .zip(own)
        .find(|(_, own)| **own == Own::Path(path));
    match mine {
        Some((entry, _)) => Ok(Some(entry.key)),
        None if own.contains(&Own::Unknown) => Err(CannotTell),
        None => Ok(None),
    }
}

/// The disk does not say which nexus registered which key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CannotTell;

#[cfg(test)]
mod tests {
    use super::*;
    use scsi::disk::Way;
    use scsi::reservation::{Answer, Capabilities, Exchange, Verb};
    use scsi::reservations::Reservations;
    use std::time::Duration;

    struct Silent;

    impl Reservations for Silent {
        fn capabilities(&self) -> Capabilities {
            Capabilities::default()
        }

        fn perform(&mut self, _: &Verb, _: Duration) -> Exchange {
            Answer::Unsupported.into()
        }
    }

    fn path(initiator: Option<TransportId>, port: Option<u16>) -> Path {
        Path {
            name: "p".to_owned(),
            way: Way::SgIo,
            nexus: initiator.map(|initiator| NexusId::Scsi {
                initiator,
                relative_target_port: port,
            }),
            lock_names: vec!["p".to_owned()],
            reservations: Box::new(Silent),
            device: None,
        }
    }

    fn state(key: u64, initiator: TransportId, port: Option<u16>) -> PersistentState {
        PersistentState {
            registrations: vec![Registration {
                key: Key::new(key).unwrap(),
                nexus: Some(NexusId::Scsi {
                    initiator,
                    relative_target_port: port,
                }),
                holder: None,
                all_target_ports: false,
            }],
            ..PersistentState::default()
        }
    }

    const A: TransportId = TransportId::Sas([1; 8]);
    const B: TransportId = TransportId::Sas([2; 8]);

    #[test]
    fn one_s_own_registration_is_recognised_by_its_nexus() {
        let paths = [path(Some(A), Some(1)), path(Some(A), Some(2))];
        assert_eq!(of(&state(7, A, Some(2)), &paths), [Own::Path(1)]);
        assert_eq!(of(&state(7, B, Some(2)), &paths), [Own::Other]);
        assert_eq!(of(&state(7, A, Some(3)), &paths), [Own::Other]);
        // Registered through all target ports at once.
        assert_eq!(of(&state(7, A, None), &paths), [Own::Path(0)]);
    }

    #[test]
    fn a_path_that_does_not_know_itself_cannot_tell() {
        let paths = [path(None, None)];
        let state = state(7, A, Some(1));
        let own = of(&state, &paths);
        assert_eq!(own, [Own::Unknown]);
        assert_eq!(key_of_path(&state, &own, 0), Err(CannotTell));
    }

    #[test]
    fn an_iscsi_session_with_another_isid_is_another_nexus() {
        let port = |isid| TransportId::Iscsi {
            name: "iqn.a".to_owned(),
            isid,
        };
        let paths = [path(Some(port(Some([1; 6]))), None)];
        let mine = state(7, port(Some([1; 6])), Some(1));
        let earlier = state(7, port(Some([2; 6])), Some(1));
        assert_eq!(of(&mine, &paths), [Own::Path(0)]);
        assert_eq!(of(&earlier, &paths), [Own::Other]);
        assert_eq!(key_of_path(&earlier, &of(&earlier, &paths), 0), Ok(None));
    }
}

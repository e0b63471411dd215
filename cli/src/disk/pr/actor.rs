//! Which of this host's paths acts, and under which key.

use crate::args::KeyArg;
use crate::disk::own::{self, CannotTell, Own};
use crate::disk::session::{Reading, Session};
use crate::exit::{Exit, Failure};
use scsi::reservation::Key;

/// A path of this host and the key that it has registered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Actor {
    /// The path's index.
    pub(super) path: usize,
    /// Its key.
    pub(super) key: Key,
}

/// The path and key of this host that may act: the holder's if one of them holds, else the first that is
/// registered. A key that the user gives is taken at his word; the disk checks it.
pub(super) fn find(
    session: &Session,
    reading: &Reading,
    key: Option<&KeyArg>,
) -> Result<Actor, Failure> {
    let given = key
        .map(|key| key.resolve(&reading.state, session.name()))
        .transpose()?;
    let mine: Vec<(Actor, bool)> = reading
        .entries()
        .filter(|(entry, _)| given.is_none_or(|key| key == entry.key))
        .filter_map(|(entry, own)| match own {
            Own::Path(path) => Some((
                Actor {
                    path,
                    key: entry.key,
                },
                entry.holder == Some(true),
            )),
            Own::Other | Own::Unknown => None,
        })
        .collect();
    let holder = mine.iter().find(|(_, holds)| *holds);
    if let Some((actor, _)) = holder.or_else(|| mine.first()) {
        return Ok(*actor);
    }
    match given {
        Some(key) => Ok(Actor { path: 0, key }),
        None if reading.own.contains(&Own::Unknown) => Err(cannot_tell(session.name())),
        None => Err(Failure::new(
            Exit::Conflict,
            format!("this host is not registered on {}", session.name()),
            format!("qctl disk pr register {} --key 0x...", session.name()),
        )),
    }
}

/// The key that this path has registered.
pub(super) fn registered(
    session: &Session,
    reading: &Reading,
    path: usize,
) -> Result<Option<Key>, Failure> {
    own::key_of_path(&reading.state, &reading.own, path)
        .map_err(|CannotTell| cannot_tell(session.name()))
}

fn cannot_tell(disk: &str) -> Failure {
    Failure::usage(
        format!(
            "{disk} does not tell which nexus registered which key, so this host's own key is not known"
        ),
        "name the key that this host registered with --key",
    )
}

//! A log on a logical unit that this host reaches past the kernel: `iscsi://…`, or an emulated one.

use crate::Context;
use crate::exit::{Exit, Failure};
use quorum::lun::Lun;
use scsi::disk::Options;
use scsi::reservation::{Answer, Reply, Verb};
use std::path::Path;
use std::time::Duration;

/// The bound on opening the unit, and on each command.
const BOUND: Duration = Duration::from_secs(5);

/// A unit, and who is registered on it.
pub(super) struct Unit {
    pub(super) lun: Lun,
    /// In words, each.
    pub(super) registered: Vec<String>,
}

/// Does this name a unit, and not a file?
pub(super) fn is_one(path: &Path) -> bool {
    let name = path.to_str().unwrap_or_default();
    name.starts_with("emu:") || name.starts_with("iscsi:")
}

/// Opens it.
pub(super) fn open(path: &Path, context: &Context) -> Result<Unit, Failure> {
    let name = path.to_str().unwrap_or_default();
    let options = Options {
        bound: BOUND,
        ..Options::default()
    };
    let disk = crate::disk::opening::open(name, &context.global, &options)?;
    let unreachable = |why: String| {
        Failure::new(
            Exit::Transport,
            format!("{name}: {why}"),
            format!("qctl disk show {name}"),
        )
    };
    let Some(path) = disk.paths.into_iter().next() else {
        return Err(unreachable("no path to it".to_owned()));
    };
    let mut verbs = path.reservations;
    let registered = match verbs.perform(&Verb::ReadState, BOUND).answer {
        Answer::Done(Reply::State(state)) => state
            .registrations
            .iter()
            .map(|entry| format!("key {} is registered on it", entry.key))
            .collect(),
        // Without persistent reservations nobody can be.
        Answer::Unsupported => Vec::new(),
        answer @ (Answer::Done(_)
        | Answer::Conflict { .. }
        | Answer::Attention(_)
        | Answer::Refused(_)
        | Answer::OutcomeUnknown(_)
        | Answer::NotSent(_)) => vec![format!(
            "nobody can tell who is registered on it: {answer:?}"
        )],
    };
    let Some(device) = path.device else {
        return Err(unreachable(
            "it has no way to read and write blocks".to_owned(),
        ));
    };
    let lun = Lun::open(device, BOUND).map_err(|error| unreachable(error.to_string()))?;
    Ok(Unit { lun, registered })
}

//! The quorum log of an arbitration (`--log`): where it is, its claim at `Held`, its mark at a hand-over.
//!
//! Reading and writing it can block, so it happens on threads of its own; the session hears how it went.

use crate::exit::{Exit, Failure};
use qlog::storage::FileStorage;
use qlog::{Entry, Log, Lsn, OpenError, Replay, Root, Storage};
use quorum::arbiter::{Ownership, QuorumLog};
use quorum::log::{Claimed, LogError, ParkError, Wanted, claim};
use quorum::lun::Lun;
use quorum_core::times::Times;
use scsi::device::Companion;
use scsi::disk::Disk;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// Where the log is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Where {
    /// On the disk that is arbitrated, from its first block on.
    Disk,
    /// In this file or on this block device.
    Path(PathBuf),
}

impl FromStr for Where {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("`disk`, or a file or block device".to_owned()),
            "disk" => Ok(Self::Disk),
            path => Ok(Self::Path(PathBuf::from(path))),
        }
    }
}

/// The log, before and after it is claimed.
pub(super) struct Place {
    means: Means,
    cluster: String,
    times: Times,
    node: u8,
}

#[derive(Clone)]
enum Means {
    Lun(Lun),
    Path(PathBuf),
}

/// A claimed log, on whatever it is.
pub(super) type OwnedLog = Log<Arc<dyn Storage>>;

/// A claim as it is told.
pub(super) struct Claim {
    pub(super) log: Arc<OwnedLog>,
    pub(super) checkpoint: Lsn,
    pub(super) records: u64,
    pub(super) next: Lsn,
    pub(super) notes: Vec<String>,
}

impl Place {
    /// Takes one path's plain commands for the log, where it is on the disk itself.
    pub(super) fn new(
        place: &Where,
        disk: &mut Disk,
        cluster: &str,
        node: u8,
        times: Times,
    ) -> Result<Self, Failure> {
        let means = match place {
            Where::Path(path) => Means::Path(path.clone()),
            Where::Disk => {
                let device = disk.paths.iter_mut().find_map(|path| path.device.take());
                let Some(device) = device else {
                    return Err(Failure::new(
                        Exit::Unsupported,
                        format!(
                            "--log disk: no path to {} reads and writes blocks by itself",
                            disk.name
                        ),
                        "name a file or a block device: --log /dev/disk/by-id/...-part1",
                    ));
                };
                let lun = Lun::open(device, times.command_bound).map_err(|error| {
                    Failure::new(
                        Exit::Transport,
                        format!("--log disk: {error}"),
                        format!("qctl disk show {}", disk.name),
                    )
                })?;
                Means::Lun(lun)
            }
        };
        Ok(Self {
            means,
            cluster: cluster.to_owned(),
            times,
            node,
        })
    }

    /// Everything that was written was answered with GOOD, and what went wrong was a read: of the mark, if it was sent.
    pub(super) fn only_a_read_failed(&self) -> bool {
        match &self.means {
            Means::Lun(lun) => lun.only_a_read_failed(),
            Means::Path(_) => false,
        }
    }

    /// On the disk itself it is written over the arbiter's nexus, and keeps that locked while a write is under way.
    pub(super) fn accompany(&self, with: Companion) {
        match &self.means {
            Means::Lun(lun) => lun.accompany(with),
            Means::Path(_) => {}
        }
    }

    /// For the arbiter, which looks for the mark.
    pub(super) fn reader(&self) -> Box<dyn QuorumLog> {
        match &self.means {
            Means::Lun(lun) => Box::new(lun.reader()),
            Means::Path(path) => Box::new(PathReader(path.clone())),
        }
    }

    /// Claims it on a thread of its own; `told` hears how it went.
    pub(super) fn claim(
        &self,
        ownership: Ownership,
        told: impl FnOnce(Result<Claim, LogError>) + Send + 'static,
    ) {
        let (means, cluster) = (self.means.clone(), self.cluster.clone());
        let (times, node) = (self.times, self.node);
        std::thread::spawn(move || {
            let storage = || means.owned_by(&ownership);
            let wanted = Wanted {
                name: &cluster,
                times: Some(&times),
            };
            let claimed = claim(storage, &ownership, wanted, u32::from(node), Count::default);
            told(claimed.map(|Claimed { log, replay, notes }| Claim {
                next: log.position().next,
                log: Arc::new(log),
                checkpoint: replay.checkpoint,
                records: replay.records,
                notes: notes.iter().map(ToString::to_string).collect(),
            }));
        });
    }
}

impl Means {
    fn owned_by(&self, ownership: &Ownership) -> io::Result<Arc<dyn Storage>> {
        Ok(match self {
            Self::Lun(lun) => Arc::new(lun.owned_by(ownership.clone())),
            Self::Path(path) => Arc::new(FileStorage::open_for_writing(path)?),
        })
    }
}

/// Writes the mark of a hand-over on a thread of its own; `told` hears how it went.
pub(super) fn park(
    log: Arc<OwnedLog>,
    ownership: Ownership,
    told: impl FnOnce(Result<(), ParkError>) + Send + 'static,
) {
    std::thread::spawn(move || told(quorum::log::park(&log, &ownership)));
}

/// Opened for each look, so that it need not be there before.
struct PathReader(PathBuf);

impl QuorumLog for PathReader {
    fn root(&mut self) -> Result<Root, String> {
        let storage = FileStorage::open(&self.0).map_err(|error| error.to_string())?;
        qlog::peek(&storage).map_err(|error| error.to_string())
    }
}

/// How much a log holds.
#[derive(Default)]
struct Count {
    checkpoint: Lsn,
    records: u64,
}

impl Replay for Count {
    fn checkpoint(&mut self, upto: Lsn, _state: &[u8]) {
        self.checkpoint = upto;
    }

    fn record(&mut self, _entry: Entry<'_>) {
        self.records += 1;
    }
}

/// Why the disk was given back although it was held: its log cannot be used.
pub(super) fn failure(place: &Where, disk: &str, error: &LogError) -> Failure {
    let place = match place {
        Where::Disk => disk.to_owned(),
        Where::Path(path) => path.display().to_string(),
    };
    let (exit, hint) = match error {
        LogError::Fenced(_) => (Exit::Lost, "qctl disk show   (who holds it)".to_owned()),
        LogError::Storage(_) | LogError::Claim(_) => (
            Exit::CannotOpen,
            format!("qctl log show {place}   (what can be read of it)"),
        ),
        LogError::Foreign { .. } => (
            Exit::Foreign,
            "the same --cluster as the log was made for".to_owned(),
        ),
        LogError::OtherTimes => (
            Exit::Foreign,
            format!(
                "the --profile or --takeover, and the --mode, that the log was made for: qctl log show {place}"
            ),
        ),
        LogError::Open(error) => match error {
            OpenError::NotALog => (Exit::NoSuch, format!("qctl log create {place}")),
            OpenError::NewerFormat { .. } => (Exit::Unsupported, "use a newer qctl".to_owned()),
            OpenError::Read { .. }
            | OpenError::NoSuperblock { .. }
            | OpenError::TwoOwners { .. }
            | OpenError::Region(_)
            | OpenError::Corrupt(_) => (Exit::Medium, format!("qctl log verify {place}")),
        },
    };
    Failure::new(exit, format!("the quorum log on {place}: {error}"), hint)
}

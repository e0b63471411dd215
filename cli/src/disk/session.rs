//! A disk that a verb works with: opened by name, read with every attention told, each command bounded.
//!
//! Invariants:
//! * a state is read over the first path that answers, and says over which;
//! * attentions that a read drained are never dropped: they are in what is returned.

use super::opening;
use super::own::{self, Own};
use super::turn::{self, Turn};
use crate::Context;
use crate::exit::Failure;
use crate::{output, words};
use scsi::disk::{Disk, Identity, Options, Purpose, Way};
use scsi::reservation::{
    Answer, Attention, Capabilities, Exchange, PersistentState, Registration, Reply, Verb,
};
use std::time::Duration;

/// The disk of a verb, and how long one command may take.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct DiskArg {
    /// The disk: /dev/sdX, /dev/sgN, /dev/disk/by-id/..., /dev/mapper/..., /dev/nvmeXnY, or
    /// emu:FILE?nexus=NAME
    #[arg(value_name = "DISK")]
    pub(crate) disk: String,
    /// How long one command may take
    #[arg(long, value_name = "DURATION", default_value = "10s",
          value_parser = crate::args::positive_duration)]
    pub(crate) timeout: Duration,
    /// How commands travel, where the disk leaves a choice
    #[arg(long, value_name = "WAY")]
    pub(crate) via: Option<Via>,
}

/// How commands travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Via {
    /// SCSI commands by SG_IO
    SgIo,
    /// The kernel's IOC_PR calls
    IocPr,
    /// NVMe commands by passthrough
    Nvme,
}

impl Via {
    const fn way(self) -> Way {
        match self {
            Self::SgIo => Way::SgIo,
            Self::IocPr => Way::IocPr,
            Self::Nvme => Way::Nvme,
        }
    }
}

/// An attention, and the path that met it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Met {
    /// The name of the path.
    pub(crate) path: String,
    /// What it met.
    pub(crate) attention: Attention,
}

/// An open disk.
pub(crate) struct Session {
    /// It.
    pub(crate) disk: Disk,
    bound: Duration,
    /// Held as long as the disk is open, and given up after it is closed.
    _turn: Option<Turn>,
    /// `--trace`: say what is sent before it is sent, for it may never come back.
    trace: bool,
}

/// The persistent-reservation state, and how it was read.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// What the disk says.
    pub(crate) state: PersistentState,
    /// For each registration, in the disk's order: is it one of this host's paths?
    pub(crate) own: Vec<Own>,
    /// The names of this host's paths, for [`Own::Path`].
    pub(crate) paths: Vec<String>,
    /// Attentions that were drained on the way.
    pub(crate) met: Vec<Met>,
}

impl Reading {
    /// Every registration, and whose it is.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&Registration, Own)> {
        self.state
            .registrations
            .iter()
            .zip(self.own.iter().copied())
    }
}

/// Which disk something is about.
#[derive(Clone, Debug)]
pub(crate) struct About {
    /// The name that the user gave.
    pub(crate) name: String,
    /// What it is.
    pub(crate) identity: Identity,
}

impl Session {
    /// Opens the disk, for one verb that nothing comes back to.
    pub(crate) fn open(arg: &DiskArg, context: &Context) -> Result<Self, Failure> {
        Self::open_for(Purpose::Verb, None, arg, context)
    }

    /// Opens the disk to look at who is registered: this host is whoever [`Self::open_to_change`] makes of it.
    pub(crate) fn open_to_look(arg: &DiskArg, context: &Context) -> Result<Self, Failure> {
        Self::open_for(Purpose::Look, None, arg, context)
    }

    /// Opens the disk to change registrations and reservations: always as the same nexus, so that the next verb finds its
    /// own. Over iSCSI a second session of this nexus would end the first: such verbs take turns.
    pub(crate) fn open_to_change(arg: &DiskArg, context: &Context) -> Result<Self, Failure> {
        let turn = turn::take_if_needed(&arg.disk, arg.timeout)?;
        Self::open_for(Purpose::Change, turn, arg, context)
    }

    fn open_for(
        purpose: Purpose,
        turn: Option<Turn>,
        arg: &DiskArg,
        context: &Context,
    ) -> Result<Self, Failure> {
        let options = Options {
            bound: arg.timeout,
            purpose,
            via: arg.via.map(Via::way),
            ..Options::default()
        };
        Ok(Self {
            disk: opening::open(&arg.disk, &context.global, &options)?,
            _turn: turn,
            bound: arg.timeout,
            trace: context.global.trace,
        })
    }

    /// The name that the user gave.
    pub(crate) fn name(&self) -> &str {
        &self.disk.name
    }

    /// How long one command may take.
    pub(crate) fn bound(&self) -> Duration {
        self.bound
    }

    /// Which disk this is.
    pub(crate) fn about(&self) -> About {
        About {
            name: self.disk.name.clone(),
            identity: self.disk.identity.clone(),
        }
    }

    /// Performs one verb over one path. The attentions are the caller's to report.
    pub(crate) fn perform(&mut self, path: usize, verb: &Verb) -> Exchange {
        let path = &mut self.disk.paths[path];
        if self.trace {
            output::trace(&format!("{}: -> {}", path.name, words::verb(verb)));
        }
        path.reservations.perform(verb, self.bound)
    }

    /// Performs one verb that reads, over the first path that answers.
    pub(crate) fn ask(&mut self, verb: &Verb) -> Result<(Reply, Vec<Met>), Failure> {
        let mut met = Vec::new();
        let mut failure = None;
        for index in 0..self.disk.paths.len() {
            let exchange = self.perform(index, verb);
            self.note(index, &exchange, &mut met);
            match exchange.answer {
                Answer::Done(reply) => return Ok((reply, met)),
                // Another path may answer; a disk that refuses would refuse there too.
                Answer::NotSent(_) | Answer::OutcomeUnknown(_) => {
                    failure = Failure::of_answer(verb, &exchange.answer, self.name());
                }
                Answer::Conflict { .. }
                | Answer::Attention(_)
                | Answer::Refused(_)
                | Answer::Unsupported => {
                    failure = Failure::of_answer(verb, &exchange.answer, self.name());
                    break;
                }
            }
        }
        Err(failure.unwrap_or_else(|| no_paths(self.name())))
    }

    /// Reads who is registered and who holds what.
    pub(crate) fn read(&mut self) -> Result<Reading, Failure> {
        match self.ask(&Verb::ReadState)? {
            (Reply::State(state), met) => {
                let own = own::of(&state, &self.disk.paths);
                let paths = self
                    .disk
                    .paths
                    .iter()
                    .map(|path| path.name.clone())
                    .collect();
                Ok(Reading {
                    state,
                    own,
                    paths,
                    met,
                })
            }
            (Reply::Good | Reply::Capabilities(_), _) => {
                unreachable!("ReadState is answered with a state")
            }
        }
    }

    /// Asks the disk what it can do.
    pub(crate) fn capabilities(&mut self) -> Result<(Capabilities, Vec<Met>), Failure> {
        match self.ask(&Verb::ReadCapabilities)? {
            (Reply::Capabilities(capabilities), met) => Ok((capabilities, met)),
            (Reply::Good | Reply::State(_), _) => {
                unreachable!("ReadCapabilities is answered with capabilities")
            }
        }
    }

    /// Notes the attentions that an exchange brought.
    pub(crate) fn note(&self, path: usize, exchange: &Exchange, met: &mut Vec<Met>) {
        met.extend(exchange.attentions.iter().map(|&attention| Met {
            path: self.disk.paths[path].name.clone(),
            attention,
        }));
    }
}

fn no_paths(name: &str) -> Failure {
    Failure::new(
        crate::exit::Exit::Transport,
        format!("{name} has no path"),
        "`qctl disk list` shows the paths that are there",
    )
}

/// Sessions for the tests of this crate.
#[cfg(test)]
pub(super) mod sessions {
    use super::*;
    use std::path::{Path, PathBuf};

    /// A directory of a test's own.
    pub(in crate::disk) fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("qctl-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    /// One emulated disk that this host sees through several nexuses.
    pub(in crate::disk) fn multipath(directory: &Path, nexuses: &[&str]) -> Session {
        let mut disks = nexuses.iter().map(|nexus| {
            let name = format!("emu:{}?nexus={nexus}", directory.join("q").display());
            scsi::disk::open(&name, &Options::default()).unwrap()
        });
        let mut disk = disks.next().unwrap();
        disk.paths.extend(disks.flat_map(|disk| disk.paths));
        Session {
            disk,
            _turn: None,
            bound: Duration::from_secs(60),
            trace: false,
        }
    }
}

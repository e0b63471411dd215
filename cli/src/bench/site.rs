//! The disk under test: one that is served here, an emulated one, or a real one with consent.
//!
//! A bench registers, reserves, preempts and resets, and writes nothing to the medium. On a disk that is not
//! emulated it therefore wants what every dangerous verb wants: it refuses one that this host uses or on which
//! anybody is registered, and prints its plan until it is told `--yes`.

use super::Contended;
use crate::Context;
use crate::contest::folder::Folder;
use crate::contest::served::{REMARK, Served};
use crate::disk::change::{Change, Step};
use crate::disk::condition::{Admission, Condition};
use crate::disk::guard;
use crate::disk::plan::Plan;
use crate::disk::session::{DiskArg, Session};
use crate::exit::{Exit, Failure};
use scsi::disk::{Identity, Way};
use scsi::reservation::{ResetScope, Verb};
use std::path::PathBuf;
use std::time::Duration;

/// The contenders' cluster.
pub(super) const CLUSTER: &str = "bench";

/// Initiator names begin so, where none is given.
const INITIATOR: &str = "iqn.2026-01.local.qctl:bench";

/// The bound on one command before the bench begins.
const BOUND: Duration = Duration::from_secs(10);

/// The disk under test.
pub(super) struct Site {
    /// As each contender names it.
    names: Vec<String>,
    initiator: String,
    /// How commands travel.
    pub(super) way: Way,
    /// What it is.
    pub(super) identity: Identity,
    /// What was left out, and why.
    pub(super) remarks: Vec<String>,
    /// Its contenders are hosts of their own.
    played: bool,
    folder: Folder,
    /// Served here, with the folder of its files, which goes after it.
    served: Option<(Served, Folder)>,
}

/// A new disk with a quorum log on it. Its files are in memory if the log can be made there.
fn serve() -> Result<(Served, Folder), Failure> {
    let serve = |folder: Folder| Ok((Served::with_log(folder.path(), CLUSTER)?, folder));
    serve(Folder::in_memory("bench-disk")?).or_else(|_: Failure| serve(Folder::new("bench-disk")?))
}

impl Site {
    /// A disk for these contenders; none when the plan was all that was wanted.
    pub(super) fn contended(
        args: &Contended,
        context: &mut Context,
    ) -> Result<Option<Self>, Failure> {
        let count = usize::from(args.contenders);
        let site = Self::open(&args.disks, count, context)?;
        let mut session = site.session(context)?;
        if site.is_emulated_here() || consented(args, &mut session, context)? {
            return Ok(Some(site));
        }
        Ok(None)
    }

    /// A disk that so many reach, each over a nexus of its own.
    pub(super) fn open(
        disks: &[String],
        count: usize,
        context: &mut Context,
    ) -> Result<Self, Failure> {
        let folder = Folder::new("bench")?;
        let served = disks.is_empty().then(serve).transpose()?;
        let names = match (&served, disks) {
            (Some((target, _)), _) => vec![target.url().to_owned(); count],
            (None, [one]) => names_of(one, count)?,
            (None, several) if several.len() == count => several.to_vec(),
            (None, several) => {
                return Err(Failure::usage(
                    format!("{} names for {count} contenders", several.len()),
                    "name the disk once for each: --contenders says how many",
                ));
            }
        };
        let initiator = context.global.initiator.clone();
        let mut site = Self {
            names,
            initiator: initiator.unwrap_or_else(|| INITIATOR.to_owned()),
            way: Way::Iscsi,
            identity: Identity::default(),
            remarks: served.iter().map(|_| REMARK.to_owned()).collect(),
            played: false,
            folder,
            served,
        };
        let session = site.session(context)?;
        if let Some(path) = session.disk.paths.first() {
            site.way = path.way;
        }
        site.identity = session.disk.identity.clone();
        let loopback = ["iscsi://127.", "iscsi://[::1]"];
        site.played = match site.way {
            Way::Emulated => true,
            Way::Iscsi => loopback
                .iter()
                .any(|start| session.disk.paths[0].name.starts_with(start)),
            Way::SgIo | Way::IocPr | Way::Nvme => false,
        };
        Ok(site)
    }

    /// What a person calls it.
    pub(super) fn name(&self) -> &str {
        &self.names[0]
    }

    /// As this node names it.
    pub(super) fn name_of(&self, node: u8) -> &str {
        &self.names[usize::from(node - 1)]
    }

    /// Where a quorum log is, as contenders name it, if there is one without being named.
    pub(super) fn log(&self) -> Option<&'static str> {
        self.served.as_ref().map(|_| "disk")
    }

    /// This node's iSCSI name.
    pub(super) fn initiator_of(&self, node: u8) -> String {
        format!("{}-{node}", self.initiator)
    }

    /// Where this node keeps its files, if it is a host of its own.
    pub(super) fn files_of(&self, node: u8) -> Option<PathBuf> {
        self.played
            .then(|| self.folder.path().join(format!("host{node}")))
    }

    /// The disk as nobody's contender.
    pub(super) fn session(&self, context: &mut Context) -> Result<Session, Failure> {
        let arg = DiskArg {
            disk: self.name().to_owned(),
            timeout: BOUND,
            via: None,
        };
        let before = context.global.initiator.replace(self.initiator_of(0));
        let session = Session::open(&arg, context);
        context.global.initiator = before;
        session
    }

    /// Nobody else can be hurt.
    const fn is_emulated_here(&self) -> bool {
        self.served.is_some() || matches!(self.way, Way::Emulated)
    }
}

/// One name, for so many contenders.
fn names_of(name: &str, count: usize) -> Result<Vec<String>, Failure> {
    if name.starts_with("iscsi://") {
        return Ok(vec![name.to_owned(); count]);
    }
    if let Some(file) = name.strip_prefix("emu:") {
        let file = file.split_once('?').map_or(file, |(file, _)| file);
        return Ok((1..=count)
            .map(|node| format!("emu:{file}?nexus=bench{node}"))
            .collect());
    }
    if count == 1 {
        return Ok(vec![name.to_owned()]);
    }
    Err(Failure::usage(
        format!("{name} is one nexus, and {count} contenders need one each"),
        "name the disk once for each contender, as it is seen through different nexuses (LIO's tcm_loop, or \
         several HBAs), or name it by iscsi://",
    ))
}

fn consented(
    args: &Contended,
    session: &mut Session,
    context: &mut Context,
) -> Result<bool, Failure> {
    let condition = Condition::with_admission(session, 0);
    let mut refusals = guard::in_use(&session.disk);
    if condition.admission == Some(Admission::ShutOut) {
        refusals.push("another nexus has an SPC-2 reservation on it".to_owned());
    }
    match condition.reading() {
        Some(reading) => {
            let state = &reading.state;
            if state.reservation.is_some() || !state.registrations.is_empty() {
                refusals.push("somebody is registered on it, or holds it".to_owned());
            }
        }
        None if args.mode()?.0 == "pr" => {
            refusals.push("its persistent reservations cannot be read".to_owned());
        }
        None => {}
    }
    let change = Change {
        name: "BENCH",
        steps: vec![Step {
            path: 0,
            verb: Verb::Reset {
                scope: ResetScope::Lun,
                escalate: false,
            },
        }],
        expectation: Box::new(|_| Ok(())),
        spc2: true,
        remarks: vec![format!(
            "{} contenders register, reserve, preempt, reset the LUN and release, again and again; nothing is \
             written to the medium, and nothing of them is left in the end",
            args.contenders
        )],
    };
    let losses = vec![
        "every host's queued commands on this disk are aborted, again and again".to_owned(),
        "nobody else can use it meanwhile".to_owned(),
    ];
    let plan = Plan::new(session, &condition, &change, losses, refusals);
    args.consent.given(session, context, plan)
}

/// It was asked to stop.
pub(super) fn interrupted() -> Failure {
    Failure::new(
        Exit::Command(130),
        "interrupted",
        "`qctl disk show` tells whether anything of the contenders is left on a real disk",
    )
}

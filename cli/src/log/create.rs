//! `qctl log create`: a log in a new file or on a device, written through once, so that no later write lacks room.

use super::destination::{Destination, Plan, Wish, cluster};
use super::failure;
use super::progress::Bar;
use super::view;
use crate::Context;
use crate::arbitrate::setup::ProfileArg;
use crate::audit;
use crate::disk::plan::Consent;
use crate::disk::session::About;
use crate::exit::{Exit, Failure};
use crate::output::{GOOD, Report};
use qlog::{Cluster, LogId};
use quorum_core::arbitration::Mode;
use quorum_core::times::{Demand, Times};
use scsi::disk::Identity;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A cluster's name has so many bytes at most.
const NAME_MAX: usize = 64;

/// `qctl log create`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Every block is written with zeros and flushed before the log is there. The size never changes afterwards. Without
--segments and --segment-size a quarter of the room becomes the ring of segments, the rest holds checkpoints and
objects.

A place with anything on it (a file system, a partition table, a member of LVM, md, ZFS or LUKS, another log, or bytes
that are not recognised) is written over only with --yes. One that is in use on this host (mounted, swapped to, held by
another device, under a loop device) never is.

Examples:
  qctl log create /var/lib/quorum.log --size 64MiB --cluster alpha
  qctl log create /dev/disk/by-id/wwn-0x5000c500a1b2c3d4-part1 --cluster alpha
  qctl log create iscsi://192.0.2.7/iqn.2026-01.org.example:quorum/0 --cluster alpha
  qctl log create old.log --yes --dry-run")]
pub(crate) struct Args {
    /// The file to make, a block device, or a unit: iscsi://..., emu:FILE?nexus=NAME
    #[arg(value_name = "PLACE")]
    path: PathBuf,
    #[command(flatten)]
    wish: Wish,
    /// The cluster that it belongs to, at most 64 bytes
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true, value_parser = name)]
    cluster: String,
    /// The times that its cluster goes by, as in `qctl arbitrate`: an arbiter with other times refuses the log, and
    /// `qctl log show` tells them. Without this it is for any
    #[arg(long, value_name = "NAME")]
    profile: Option<ProfileArg>,
    /// In place of a profile
    #[arg(long, value_name = "DURATION", conflicts_with = "profile", value_parser = crate::args::positive_duration)]
    takeover: Option<Duration>,
    /// The protocol that they are for: pr or scsi2
    #[arg(long, default_value = "pr", value_parser = crate::sim::mode)]
    mode: Mode,
    #[command(flatten)]
    consent: Consent,
}

fn name(text: &str) -> Result<String, String> {
    if text.len() > NAME_MAX {
        return Err(format!("a cluster's name has at most {NAME_MAX} bytes"));
    }
    Ok(text.to_owned())
}

impl Args {
    /// Makes it.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        // What cannot be is refused before anything is made.
        let times = self.times()?.map_or_else(Vec::new, Times::to_bytes);
        let prepared =
            Destination::prepare("create", &self.path, &self.wish, &self.consent, context)?;
        let Some(destination) = prepared else {
            return Ok(Exit::Done);
        };
        for remark in &destination.plan.remarks {
            context.output.message(&format!("warning: {remark}"));
        }
        let storage = destination.open()?;
        let format = destination.plan.format;
        let bar = Bar::new(context, "writing", format.region_bytes);
        let cluster = Cluster {
            name: self.cluster.clone(),
            times,
        };
        let made = qlog::create(&storage, format, cluster, &mut |done| {
            bar.at(done, format.region_bytes);
        });
        drop(bar);
        let id = made.map_err(|error| {
            destination.abandon();
            failure::of_create(&self.path, &error)
        })?;
        let plan = destination.plan.clone();
        let created = Created {
            audit: event(&plan, "log create", json!({ "id": id.to_string() })),
            plan,
            cluster: self.cluster,
            id,
        };
        context.output.report(&created)?;
        Ok(Exit::Done)
    }
}

impl Args {
    fn times(&self) -> Result<Option<Times>, Failure> {
        match (self.takeover, self.profile) {
            (Some(takeover), _) => {
                crate::sim::solve(&Demand::for_takeover(self.mode, takeover)).map(Some)
            }
            (None, profile) => Ok(profile.map(|profile| profile.0.times(self.mode))),
        }
    }
}

/// The audit event of a log that was made at a place.
pub(super) fn event(plan: &Plan, verb: &str, after: Value) -> audit::Event {
    let about = About {
        name: plan.place.path.display().to_string(),
        identity: Identity {
            wwid: plan.wwid(),
            ..Identity::default()
        },
    };
    let before = plan.json()["found"].clone();
    audit::Event::now(&about, verb, "done", before, after).logged_to(Path::new(audit::SYSTEM_LOG))
}

/// What was made.
struct Created {
    plan: Plan,
    cluster: String,
    id: LogId,
    audit: audit::Event,
}

impl Report for Created {
    fn schema(&self) -> &'static str {
        "log-create"
    }

    fn json(&self) -> Value {
        json!({
            "place": self.plan.place.json(),
            "device": self.plan.device_json(),
            "id": self.id.to_string(),
            "cluster": self.cluster,
            "format": view::format_json(&self.plan.format),
            "remarks": self.plan.remarks,
            "audit": self.audit.summary(),
        })
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        let place = &self.plan.place;
        writeln!(
            page,
            "{GOOD}made{GOOD:#}        {}, {}: a log{}",
            place.path.display(),
            place.words(),
            cluster(&self.cluster)
        )?;
        writeln!(page, "id          {}", self.id)?;
        view::format_text(page, &self.plan.format)
    }
}

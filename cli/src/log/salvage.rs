//! `qctl log salvage`: what is good of a damaged log, in a new one. The damaged one is only read.

use super::destination::{Destination, Plan, Wish};
use super::progress::Bar;
use super::{create, failure, place, view};
use crate::Context;
use crate::audit;
use crate::disk::plan::Consent;
use crate::exit::{Exit, Failure};
use crate::output::{GOOD, Report, WARN};
use qlog::{Format, OpenError, Salvaged};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::PathBuf;

/// `qctl log salvage`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Copies the checkpoint, the records up to the first damage, and the objects that are whole, under the same numbers. What
is behind the first damage is not copied, for nobody can say what it would mean without what is missing;
`qctl log dump` shows it. The new log has an id and an epoch of its own, and is closed.

The checkpoint is the newest that is whole, also where opening would refuse it: the older of two when the newest is damaged,
and the one that the catalogue before names when the newest catalogue is lost; objects that come from that one may be
older than the last that were stored, which is told. Without any whole checkpoint, and with records cut off that one
covered, nothing is copied: what is left are changes of a state that nobody has.

The new log has the ring of the old one, or a larger one when the records lie less densely in it and need that.

Whether the cluster may go on from a log that has lost acknowledged records is for people to decide.

Examples:
  qctl log salvage damaged.log rescued.log
  qctl log salvage /dev/sdb1 /var/tmp/rescued.log --size 128MiB")]
pub(crate) struct Args {
    /// The damaged log: a file or a block device
    #[arg(value_name = "LOG")]
    from: PathBuf,
    /// The new one: a file to make, or a block device
    #[arg(value_name = "NEW")]
    to: PathBuf,
    #[command(flatten)]
    wish: Wish,
    #[command(flatten)]
    consent: Consent,
}

impl Args {
    /// Copies.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let (source, storage) = place::open(&self.from, context)?;
        let same = std::fs::canonicalize(&self.from).ok() == std::fs::canonicalize(&self.to).ok();
        if same {
            return Err(Failure::usage(
                "the new log cannot be where the damaged one is",
                "name another place",
            ));
        }
        let found = qlog::inspect::inspect(&storage, &mut |_, _| {});
        if let Some(error) = &found.refused
            && !matches!(error, OpenError::Corrupt(_))
        {
            return Err(failure::of_open(&self.from, error));
        }
        let mut wish = self.wish.clone();
        if !self.to.exists() && wish.size.is_none() {
            wish.size = Some(source.bytes);
        }
        if let Some(log) = &found.log {
            // Records as large as the old log took must fit in a segment of the new one.
            wish.segments.get_or_insert(log.format.segments);
            if wish.size.is_none_or(|size| size >= source.bytes) {
                wish.segment_size.get_or_insert(log.format.segment_bytes);
            }
        }
        let prepared = Destination::prepare("salvage", &self.to, &wish, &self.consent, context)?;
        let Some(destination) = prepared else {
            return Ok(Exit::Done);
        };
        let target = destination.open()?;
        let format = destination.plan.format;
        let bar = Bar::new(context, "writing", format.region_bytes);
        let copied = qlog::salvage(&storage, target, format, &mut |done| {
            bar.at(done, format.region_bytes);
        });
        drop(bar);
        let salvaged = copied.map_err(|error| {
            destination.abandon();
            failure::of_salvage(&self.from, &self.to, &error)
        })?;
        let asked = destination.plan.format;
        let mut plan = destination.plan.clone();
        plan.format = salvaged.format;
        let after = json!({ "records": salvaged.records, "last_lsn": view::lsn(salvaged.last) });
        let report = Rescued {
            from: source.json(),
            audit: create::event(&plan, "log salvage", after),
            plan,
            asked,
            salvaged,
        };
        context.output.report(&report)?;
        Ok(Exit::Done)
    }
}

struct Rescued {
    from: Value,
    plan: Plan,
    asked: Format,
    salvaged: Salvaged,
    audit: audit::Event,
}

impl Report for Rescued {
    fn schema(&self) -> &'static str {
        "log-salvage"
    }

    fn json(&self) -> Value {
        let salvaged = &self.salvaged;
        json!({
            "from": self.from,
            "place": self.plan.place.json(),
            "format": view::format_json(&salvaged.format),
            "checkpoint_lsn": salvaged.checkpoint.map(view::lsn),
            "records": salvaged.records,
            "last_lsn": view::lsn(salvaged.last),
            "objects": salvaged.objects,
            "lost_objects": salvaged.lost_objects,
            "older_objects": salvaged.older_objects,
            "damage": view::refusal_json(salvaged.damage.as_ref()),
            "audit": self.audit.summary(),
        })
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        let salvaged = &self.salvaged;
        writeln!(
            page,
            "{GOOD}made{GOOD:#}        {}, {}",
            self.plan.place.path.display(),
            self.plan.place.words()
        )?;
        if salvaged.format != self.asked {
            writeln!(
                page,
                "ring        {} segments of {}: the records do not fit in {} of {}",
                salvaged.format.segments,
                place::bytes(salvaged.format.segment_bytes),
                self.asked.segments,
                place::bytes(self.asked.segment_bytes)
            )?;
        }
        if let Some(lsn) = salvaged.checkpoint {
            writeln!(page, "checkpoint  LSN {lsn}")?;
        }
        writeln!(
            page,
            "records     {}, the last is LSN {}",
            salvaged.records, salvaged.last
        )?;
        for name in &salvaged.objects {
            writeln!(page, "object      {name}")?;
        }
        for name in &salvaged.lost_objects {
            writeln!(page, "{WARN}lost{WARN:#}        object {name} is damaged")?;
        }
        if salvaged.older_objects {
            writeln!(
                page,
                "{WARN}older{WARN:#}       the newest list of objects is lost: what was copied is of one before"
            )?;
        }
        match &salvaged.damage {
            Some(damage) => writeln!(page, "{WARN}left out{WARN:#}    {damage}"),
            None => writeln!(page, "left out    nothing: the log was whole"),
        }
    }
}

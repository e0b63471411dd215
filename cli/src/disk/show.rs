//! `qctl disk show`: explains a disk. It is the advice after an unknown outcome, so it prints whatever it
//! can find out, and fails only afterwards.

use super::condition::Condition;
use super::own::Own;
use super::recorded::Recorded;
use super::session::{About, DiskArg, Session};
use super::{capabilities, pr, view};
use crate::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Report, STRONG, WARN};
use scsi::disk::Usage;
use scsi::reservation::{Capabilities, Key, Support};
use serde_json::{Value, json};
use std::io::{self, Write};

/// `qctl disk show`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  qctl disk show /dev/sdb
  qctl --json disk show /dev/disk/by-id/wwn-0x6001405... | jq .state.reservation")]
pub(crate) struct Args {
    #[command(flatten)]
    disk: DiskArg,
}

impl Args {
    /// Explains the disk.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let mut session = Session::open_to_look(&self.disk, context)?;
        let mut failure = None;
        let (capabilities, mut met) = match session.capabilities() {
            Ok((capabilities, met)) => (Some(capabilities), met),
            Err(why) => {
                keep_first(&mut failure, why);
                (None, Vec::new())
            }
        };
        let (admission, drained) = super::condition::admission(&mut session, 0);
        super::capacity::complete(&mut session);
        met.extend(drained);
        let persistent = session.read();
        let persistent = persistent.map_err(|why| {
            let text = why.message.clone();
            keep_first(&mut failure, why);
            text
        });
        if let Ok(reading) = &persistent {
            met.extend(reading.met.iter().cloned());
        }
        let condition = Condition {
            persistent,
            admission: Some(admission),
            met,
        };
        let recorded = match &failure {
            None => Recorded::look(&mut session),
            // Each read of a disk that does not answer would wait for its bound.
            Some(why) => Recorded::Unknown(why.message.clone()),
        };
        let report = Show::new(&session, capabilities, condition, recorded);
        match failure {
            None => {
                context.output.report(&report)?;
                Ok(Exit::Done)
            }
            Some(failure) => Err(failure.with(report)),
        }
    }
}

/// Keeps the first failure that says more than that the disk cannot do something: a disk without
/// persistent reservations, or under an SPC-2 reservation, is explained and no error.
fn keep_first(kept: &mut Option<Failure>, failure: Failure) {
    let explained = matches!(
        failure.exit,
        Exit::Unsupported | Exit::IllegalRequest | Exit::Conflict
    );
    if !explained && kept.is_none() {
        *kept = Some(failure);
    }
}

struct PathLine {
    name: String,
    way: &'static str,
    nexus: Option<String>,
}

struct Show {
    about: About,
    paths: Vec<PathLine>,
    usages: Vec<Usage>,
    remarks: Vec<String>,
    capabilities: Option<Capabilities>,
    condition: Condition,
    recorded: Recorded,
    /// What a PREEMPT of each key that is not this host's would do.
    preempts: Vec<(Key, Vec<String>)>,
    /// PREEMPT AND ABORT; else PREEMPT.
    abort: bool,
}

impl Show {
    fn new(
        session: &Session,
        capabilities: Option<Capabilities>,
        condition: Condition,
        recorded: Recorded,
    ) -> Self {
        let paths = session.disk.paths.iter().map(|path| PathLine {
            name: path.name.clone(),
            way: path.way.name(),
            nexus: path.nexus.as_ref().map(ToString::to_string),
        });
        let abort = capabilities.is_none_or(|can| can.preempt_and_abort != Support::No);
        Self {
            about: session.about(),
            paths: paths.collect(),
            usages: session.disk.usages.clone(),
            remarks: session.disk.remarks.clone(),
            capabilities,
            preempts: preempts(&condition, abort),
            abort,
            condition,
            recorded,
        }
    }
}

fn preempts(condition: &Condition, abort: bool) -> Vec<(Key, Vec<String>)> {
    let Some(reading) = condition.reading() else {
        return Vec::new();
    };
    let own: Vec<Key> = reading
        .entries()
        .filter(|(_, own)| matches!(own, Own::Path(_)))
        .map(|(entry, _)| entry.key)
        .collect();
    let mut keys: Vec<Key> = Vec::new();
    for (entry, _) in reading.entries() {
        if !own.contains(&entry.key) && !keys.contains(&entry.key) {
            keys.push(entry.key);
        }
    }
    keys.into_iter()
        .map(|key| (key, pr::effect_of_preempt(reading, key, abort).words))
        .collect()
}

impl Report for Show {
    fn schema(&self) -> &'static str {
        "disk-show"
    }

    fn json(&self) -> Value {
        let paths: Vec<Value> = self
            .paths
            .iter()
            .map(|path| {
                json!({
                    "name": path.name,
                    "way": path.way,
                    "nexus": path.nexus,
                })
            })
            .collect();
        let preempts: Vec<Value> = self
            .preempts
            .iter()
            .map(|(key, effects)| json!({ "victim": key.to_string(), "effects": effects }))
            .collect();
        json!({
            "disk": view::about_json(&self.about),
            "paths": paths,
            "uses": view::usages_json(&self.usages),
            "remarks": self.remarks,
            "capabilities": self.capabilities.as_ref().map(capabilities::json),
            "state": self.condition.json(),
            "log": self.recorded.json(),
            "log_unknown": self.recorded.unknown(),
            "preempts": preempts,
            "attentions": view::met_json(&self.condition.met),
        })
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        view::about_text(page, &self.about)?;
        writeln!(
            page,
            "size        {}",
            view::size_words(&self.about.identity)
        )?;
        for path in &self.paths {
            let nexus = path.nexus.as_deref().unwrap_or("nexus not known");
            writeln!(page, "path        {}  {}  {nexus}", path.name, path.way)?;
        }
        for usage in &self.usages {
            writeln!(page, "{WARN}in use{WARN:#}      {usage}")?;
        }
        if self.usages.is_empty() {
            writeln!(
                page,
                "in use      not on this host; other hosts cannot be seen"
            )?;
        }
        for remark in &self.remarks {
            writeln!(page, "note        {remark}")?;
        }
        view::met_text(page, &self.condition.met)?;
        self.condition.text(page)?;
        self.recorded.text(page)?;
        let verb = if self.abort {
            "PREEMPT AND ABORT"
        } else {
            "PREEMPT"
        };
        for (key, effects) in &self.preempts {
            writeln!(page, "{STRONG}{verb} of {key} would{STRONG:#}")?;
            for effect in effects {
                writeln!(page, "  {effect}")?;
            }
        }
        if let Some(can) = &self.capabilities {
            writeln!(page, "{STRONG}this disk, this way, can{STRONG:#}")?;
            capabilities::text(page, can)?;
        }
        Ok(())
    }
}

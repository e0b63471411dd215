//! `qctl log verify`: everything is read, and each part gets a verdict.

use super::failure;
use super::place::{self, Place};
use super::progress::Bar;
use super::view::{self, Verdict};
use crate::Context;
use crate::exit::{Exit, Failure};
use crate::output::{GOOD, Report, STRONG};
use qlog::OpenError;
use qlog::Storage;
use qlog::inspect::{Inspection, Part, inspect};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::PathBuf;

/// `qctl log verify`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Reads every block past the page cache first, then looks at all of it through a read-only mapping; where a block cannot
be read, through reads instead, so that a bad sector is a verdict and not the end of the program.

A verdict is good, degraded (something is damaged, and something else serves: nothing is lost), or corrupt (something
that was acknowledged is damaged), with the range of bytes and what to do. Ends with 0 for good and degraded, with 36
for corrupt.

Examples:
  qctl log verify /var/lib/quorum.log
  qctl --json log verify /dev/sdb1")]
pub(crate) struct Args {
    /// The file or block device
    #[arg(value_name = "LOG")]
    path: PathBuf,
}

impl Args {
    /// Verifies it.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let (place, storage) = place::open(&self.path, context)?;
        let bar = Bar::new(context, "reading", place.bytes);
        let walked = place::walk(&self.path, &*storage, &mut |done| bar.at(done, place.bytes));
        drop(bar);
        let bar = Bar::new(context, "verifying", place.bytes);
        let mut progress = |done, total| bar.at(done, total);
        let inspection = match &walked.mapped {
            // A file that has grown meanwhile is another one.
            Some(mapped) if mapped.region_bytes() == place.bytes => inspect(mapped, &mut progress),
            Some(_) | None => inspect(&storage, &mut progress),
        };
        drop(bar);
        if let Some(error @ (OpenError::NotALog | OpenError::NewerFormat { .. })) =
            &inspection.refused
        {
            return Err(failure::of_open(&self.path, error));
        }
        let verified = Verified {
            place,
            all_readable: walked.all_readable,
            verdict: Verdict::of(&inspection),
            parts: inspection.parts(),
            inspection,
        };
        context.output.report(&verified)?;
        Ok(match verified.verdict {
            Verdict::Good | Verdict::Degraded => Exit::Done,
            Verdict::Corrupt => Exit::No,
        })
    }
}

struct Verified {
    place: Place,
    /// No block of the region refused to be read.
    all_readable: bool,
    verdict: Verdict,
    parts: Vec<Part>,
    inspection: Inspection,
}

impl Report for Verified {
    fn schema(&self) -> &'static str {
        "log-verify"
    }

    fn json(&self) -> Value {
        let parts: Vec<Value> = self
            .parts
            .iter()
            .map(|part| {
                json!({
                    "name": part.name,
                    "offset": part.range.start,
                    "health": view::health_json(&part.health),
                })
            })
            .collect();
        json!({
            "place": self.place.json(),
            "verdict": self.verdict.name(),
            "all_readable": self.all_readable,
            "refused": view::refusal_json(self.inspection.refused.as_ref()),
            "notes": view::notes_json(&self.inspection),
            "next_lsn": self.inspection.log.as_ref().and_then(|log| log.next).map(view::lsn),
            "parts": parts,
        })
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        let name = self.place.path.display();
        writeln!(page, "{STRONG}{name}{STRONG:#}  {}", self.place.words())?;
        let is_copy = |part: &&Part| part.name.starts_with("superblock");
        let copies = self.parts.iter().filter(is_copy);
        let good = copies.filter(|part| part.health.is_good()).count();
        writeln!(page, "{GOOD}good{GOOD:#}        {good} superblock places")?;
        for part in &self.parts {
            if part.health.is_good() {
                if !is_copy(&part) {
                    writeln!(page, "{GOOD}good{GOOD:#}        {}", part.name)?;
                }
            } else {
                let words = view::health_words(&part.health);
                writeln!(page, "{}: {words}", part.name)?;
            }
        }
        if !self.all_readable {
            writeln!(page, "note        some blocks cannot be read")?;
        }
        for note in &self.inspection.notes {
            writeln!(page, "note        {note}")?;
        }
        if let Some(error) = &self.inspection.refused {
            writeln!(page, "opens       no: {error}")?;
        }
        writeln!(page, "verdict     {}", self.verdict.painted())
    }
}

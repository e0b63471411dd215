//! `qctl log show`: what a log is, whose, and how each copy of everything is.

use super::failure;
use super::place::{self, Place};
use super::view::{self, Verdict};
use crate::Context;
use crate::exit::{Exit, Failure};
use crate::output::{BAD, Report, STRONG};
use qlog::OpenError;
use qlog::inspect::{Inspection, inspect};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::PathBuf;

/// `qctl log show`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Ends with 0 for a log that opens, also when something in it is damaged that nothing is lost by (that is said), and with
3 for one that does not.

Examples:
  qctl log show /var/lib/quorum.log
  qctl --json log show /dev/sdb1")]
pub(crate) struct Args {
    /// The file or block device
    #[arg(value_name = "LOG")]
    path: PathBuf,
}

impl Args {
    /// Shows it.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let (place, storage) = place::open(&self.path, context)?;
        let inspection = inspect(&storage, &mut |_, _| {});
        let refusal = inspection
            .refused
            .as_ref()
            .map(|error| failure::of_open(&self.path, error));
        let nothing_to_show = matches!(
            inspection.refused,
            Some(OpenError::NotALog | OpenError::NewerFormat { .. })
        );
        let shown = Shown { place, inspection };
        match refusal {
            None => {
                context.output.report(&shown)?;
                Ok(Exit::Done)
            }
            Some(failure) if nothing_to_show => Err(failure),
            Some(failure) => Err(failure.with(shown)),
        }
    }
}

struct Shown {
    place: Place,
    inspection: Inspection,
}

impl Report for Shown {
    fn schema(&self) -> &'static str {
        "log-show"
    }

    fn json(&self) -> Value {
        let inspection = &self.inspection;
        json!({
            "place": self.place.json(),
            "verdict": Verdict::of(inspection).name(),
            "refused": view::refusal_json(inspection.refused.as_ref()),
            "notes": view::notes_json(inspection),
            "superblocks": inspection.superblocks.iter().map(view::copy_json).collect::<Vec<_>>(),
            "log": inspection.log.as_ref().map(view::log_json),
        })
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        let inspection = &self.inspection;
        let name = self.place.path.display();
        writeln!(page, "{STRONG}{name}{STRONG:#}  {}", self.place.words())?;
        if let Some(log) = &inspection.log {
            view::log_text(page, log)?;
        }
        view::copies_text(page, &inspection.superblocks)?;
        for note in &inspection.notes {
            writeln!(page, "note        {note}")?;
        }
        if inspection.refused.is_some() {
            writeln!(page, "opens       {BAD}no{BAD:#}")?;
        }
        writeln!(page, "verdict     {}", Verdict::of(inspection).painted())
    }
}

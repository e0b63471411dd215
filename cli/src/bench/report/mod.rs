//! One self-contained page from what a bench printed: figures as tables, their distributions and the phases of
//! takeovers as plots. It names nothing outside of itself.

mod page;
mod plot;

use super::told::Outcome;
use crate::Context;
use crate::exit::{Exit, Failure};
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The longest file that is read.
const FILE_MAX: u64 = 1 << 28;

/// `qctl bench report`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  qctl --json bench failover > f.json; qctl bench report f.json --html f.html
  qctl bench report disk.json failover.json --html all.html    one page of several benches")]
pub(super) struct Args {
    /// What `qctl --json bench ...` printed
    #[arg(required = true, value_name = "JSON")]
    files: Vec<PathBuf>,
    /// The page
    #[arg(long, value_name = "FILE")]
    html: PathBuf,
}

impl Args {
    /// Writes the page.
    pub(super) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let mut outcomes = Vec::new();
        for file in &self.files {
            let before = outcomes.len();
            outcomes.extend(read(file)?);
            if outcomes.len() == before {
                return Err(unreadable(file, "there is no outcome of a bench in it"));
            }
        }
        write(&self.html, &outcomes)?;
        context
            .output
            .message(&format!("written: {}", self.html.display()));
        Ok(Exit::Done)
    }
}

/// Every outcome in a file of JSON lines.
fn read(path: &Path) -> Result<Vec<Value>, Failure> {
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE_MAX).read_to_string(&mut text))
        .map_err(|error| unreadable(path, &error.to_string()))?;
    let mut outcomes = Vec::new();
    for value in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
        let value = value.map_err(|error| unreadable(path, &error.to_string()))?;
        if value["event"] == "outcome" {
            outcomes.push(value);
        }
    }
    Ok(outcomes)
}

/// Writes a page of these outcomes.
pub(super) fn write(path: &Path, outcomes: &[Value]) -> Result<(), Failure> {
    let outcomes = outcomes
        .iter()
        .map(|value| serde_json::from_value(value.clone()))
        .collect::<Result<Vec<Outcome>, _>>()
        .map_err(|error| unreadable(path, &format!("not an outcome of this version: {error}")))?;
    let page = page::page(&outcomes).map_err(|why| {
        Failure::new(
            Exit::CannotOpen,
            format!("a plot could not be drawn: {why}"),
            "report this, with the JSON",
        )
    })?;
    std::fs::write(path, page).map_err(|error| {
        Failure::new(
            Exit::CannotOpen,
            format!("{}: {error}", path.display()),
            "name a file that can be written",
        )
    })
}

fn unreadable(path: &Path, why: &str) -> Failure {
    Failure::new(
        Exit::CannotOpen,
        format!("{}: {why}", path.display()),
        "it wants what `qctl --json bench disk|arbitration|failover` printed",
    )
}

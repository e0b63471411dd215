//! `qctl schema`: the JSON schemas of everything that `--json` prints, as files of the repository.

use crate::Context;
use crate::exit::{Exit, Failure};

/// A schema by its name: the file of that name.
macro_rules! schema {
    ($name:literal) => {
        ($name, include_str!(concat!("../schemas/", $name, ".json")))
    };
}

/// Every schema, by the name that documents carry (`schema: "NAME/1"`).
const SCHEMAS: &[(&str, &str)] = &[
    schema!("arbitrate"),
    schema!("bench"),
    schema!("common"),
    schema!("demo"),
    schema!("error"),
    schema!("disk-list"),
    schema!("disk-show"),
    schema!("disk-check"),
    schema!("disk-check-cleanup"),
    schema!("disk-watch"),
    schema!("disk-change"),
    schema!("disk-plan"),
    schema!("disk-pr-keys"),
    schema!("disk-pr-holder"),
    schema!("disk-pr-status"),
    schema!("disk-pr-capabilities"),
    schema!("disk-pr-audit"),
    schema!("log-checkpoint"),
    schema!("log-create"),
    schema!("log-dump"),
    schema!("log-plan"),
    schema!("log-salvage"),
    schema!("log-show"),
    schema!("log-verify"),
    schema!("sim-arbitration"),
    schema!("sim-times"),
    schema!("target-serve"),
];

/// `qctl schema`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  qctl schema                 the names of all schemas
  qctl schema disk-show       the schema of what `qctl --json disk show` prints

Every document names its schema and its version in the field \"schema\" (\"disk-show/1\").")]
pub(crate) struct Args {
    /// Its name; without it, all names are listed
    name: Option<String>,
}

impl Args {
    /// Prints one schema, or the names of all.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let Some(name) = self.name else {
            let names: String = SCHEMAS
                .iter()
                .map(|(name, _)| format!("{name}\n"))
                .collect();
            context.output.raw(names.as_bytes())?;
            return Ok(Exit::Done);
        };
        let (_, text) = SCHEMAS
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| {
                Failure::new(
                    Exit::NoSuch,
                    format!("there is no schema {name}"),
                    "qctl schema   (lists the names)",
                )
            })?;
        context.output.raw(text.as_bytes())?;
        Ok(Exit::Done)
    }
}

//! The verbs that read: `keys`, `holder`, `status`, `capabilities`.

use crate::Context;
use crate::disk::session::{About, DiskArg, Met, Reading, Session};
use crate::disk::{capabilities, view};
use crate::exit::{Exit, Failure};
use crate::output::Report;
use scsi::reservation::Capabilities;
use serde_json::{Value, json};
use std::io::{self, Write};

/// `qctl disk pr keys`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  qctl disk pr keys /dev/sdb
  qctl --json disk pr keys /dev/sdb | jq -r '.keys[]'")]
pub(crate) struct KeysArgs {
    #[command(flatten)]
    disk: DiskArg,
}

/// `qctl disk pr holder`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Ends with 0 when somebody holds a reservation, with 36 when nobody does.

Examples:
  qctl disk pr holder /dev/sdb && echo held")]
pub(crate) struct HolderArgs {
    #[command(flatten)]
    disk: DiskArg,
}

/// `qctl disk pr status`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
READ FULL STATUS where the disk has it, READ KEYS and READ RESERVATION else.

Examples:
  qctl disk pr status /dev/sdb")]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    disk: DiskArg,
}

/// `qctl disk pr capabilities`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  qctl disk pr capabilities /dev/sdb")]
pub(crate) struct CapabilitiesArgs {
    #[command(flatten)]
    disk: DiskArg,
}

/// What a verb that reads the state prints of it.
#[derive(Clone, Copy)]
enum Part {
    Keys,
    Holder,
    Status,
}

impl KeysArgs {
    /// Prints the keys.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        print(&self.disk, Part::Keys, context)?;
        Ok(Exit::Done)
    }
}

impl HolderArgs {
    /// Prints the reservation.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let reading = print(&self.disk, Part::Holder, context)?;
        Ok(match reading.state.reservation {
            Some(_) => Exit::Done,
            None => Exit::No,
        })
    }
}

impl StatusArgs {
    /// Prints the state.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        print(&self.disk, Part::Status, context)?;
        Ok(Exit::Done)
    }
}

impl CapabilitiesArgs {
    /// Prints what the disk can do.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let mut session = Session::open_to_look(&self.disk, context)?;
        let (capabilities, met) = session.capabilities()?;
        context.output.report(&Can {
            about: session.about(),
            capabilities,
            met,
        })?;
        Ok(Exit::Done)
    }
}

fn print(disk: &DiskArg, part: Part, context: &mut Context) -> Result<Reading, Failure> {
    let mut session = Session::open_to_look(disk, context)?;
    let reading = session.read()?;
    context.output.report(&StateReport {
        about: session.about(),
        part,
        reading: reading.clone(),
    })?;
    Ok(reading)
}

struct StateReport {
    about: About,
    part: Part,
    reading: Reading,
}

impl Report for StateReport {
    fn schema(&self) -> &'static str {
        match self.part {
            Part::Keys => "disk-pr-keys",
            Part::Holder => "disk-pr-holder",
            Part::Status => "disk-pr-status",
        }
    }

    fn json(&self) -> Value {
        let state = &self.reading.state;
        let disk = view::about_json(&self.about);
        let attentions = view::met_json(&self.reading.met);
        match self.part {
            Part::Keys => {
                let keys: Vec<String> = state
                    .registrations
                    .iter()
                    .map(|entry| entry.key.to_string())
                    .collect();
                json!({
                    "disk": disk,
                    "generation": state.generation,
                    "keys": keys,
                    "attentions": attentions,
                })
            }
            Part::Holder => json!({
                "disk": disk,
                "generation": state.generation,
                "held": state.reservation.is_some(),
                "reservation": state.reservation.as_ref().map(view::reservation_json),
                "attentions": attentions,
            }),
            Part::Status => json!({
                "disk": disk,
                "state": view::state_json(&self.reading),
                "attentions": attentions,
            }),
        }
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        view::met_text(page, &self.reading.met)?;
        let state = &self.reading.state;
        match self.part {
            Part::Keys => {
                let number = state.registrations.len();
                let registrations = view::count(number, "registration", "registrations");
                writeln!(page, "generation {}, {registrations}", state.generation)?;
                state
                    .registrations
                    .iter()
                    .try_for_each(|entry| writeln!(page, "  {}", entry.key))
            }
            Part::Holder => writeln!(
                page,
                "{}",
                view::reservation_words(state.reservation.as_ref())
            ),
            Part::Status => view::state_text(page, &self.reading),
        }
    }
}

struct Can {
    about: About,
    capabilities: Capabilities,
    met: Vec<Met>,
}

impl Report for Can {
    fn schema(&self) -> &'static str {
        "disk-pr-capabilities"
    }

    fn json(&self) -> Value {
        json!({
            "disk": view::about_json(&self.about),
            "capabilities": capabilities::json(&self.capabilities),
            "attentions": view::met_json(&self.met),
        })
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        view::met_text(page, &self.met)?;
        capabilities::text(page, &self.capabilities)
    }
}

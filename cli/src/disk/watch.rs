//! `qctl disk watch`: what changes on a disk, as typed events.
//!
//! State is read at each interval; an attention only says earlier what the state shows anyway, for others
//! on the nexus may have eaten it. A path that fails is an event, not the end.

use super::diff::{self, Difference};
use super::session::{DiskArg, Met, Reading, Session};
use super::{condition, view};
use crate::Context;
use crate::clock::{self, Moment};
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;
use crate::output::{FAINT, Report};
use crate::words;
use scsi::reservation::AttentionKind;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::time::Duration;

/// `qctl disk watch`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Events: found, registration-added, registration-removed, holder-changed, generation, attention,
reset, path.
Watching consumes the unit attentions of this host's paths, as any command does.

Examples:
  qctl disk watch /dev/sdb
  qctl --json disk watch /dev/sdb --for 1m | jq -c 'select(.event==\"holder-changed\")'")]
pub(crate) struct Args {
    #[command(flatten)]
    disk: DiskArg,
    /// From one reading to the next
    #[arg(long, value_name = "DURATION", default_value = "1s",
          value_parser = crate::args::positive_duration)]
    interval: Duration,
    /// End after so many events
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after this time
    #[arg(long = "for", value_name = "DURATION", value_parser = crate::args::duration)]
    span: Option<Duration>,
}

/// What happened.
#[derive(Clone, Debug)]
enum Happening {
    /// The state at the start.
    Found(Reading),
    /// The state changed.
    Changed(Difference),
    /// An attention; of a reset, or another.
    Met(Met),
    /// A path, or all of them, became unusable or usable.
    Path {
        name: String,
        usable: bool,
        why: Option<String>,
    },
}

struct Event {
    at: Moment,
    disk: String,
    what: Happening,
}

impl Args {
    /// Streams events.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let interrupts = Interrupts::catch(context.output.is_json());
        let mut session = Session::open(&self.disk, context)?;
        let mut watch = Watch::start(&mut session)?;
        interrupts.arm();
        let end = self.span.map(|span| clock::since_boot() + span);
        let mut told = 0;
        loop {
            for what in std::mem::take(&mut watch.news) {
                let event = Event {
                    at: clock::now(),
                    disk: session.name().to_owned(),
                    what,
                };
                context.output.event(&event)?;
                told += 1;
                if self.count == Some(told) {
                    return Ok(Exit::Done);
                }
            }
            let left = end.map(|end| end.saturating_sub(clock::since_boot()));
            if context.output.is_closed() || interrupts.came() || left == Some(Duration::ZERO) {
                return Ok(Exit::Done);
            }
            interrupts.wait(left.map_or(self.interval, |left| left.min(self.interval)));
            watch.look(&mut session);
        }
    }
}

/// What is known, and what has not been told yet.
struct Watch {
    last: Reading,
    usable: Vec<bool>,
    news: Vec<Happening>,
}

impl Watch {
    /// The first reading; a disk that cannot be read at the start is an error.
    fn start(session: &mut Session) -> Result<Self, Failure> {
        let reading = session.read()?;
        let mut news = vec![Happening::Found(reading.clone())];
        news.extend(reading.met.iter().cloned().map(Happening::Met));
        Ok(Self {
            usable: vec![true; session.disk.paths.len()],
            last: reading,
            news,
        })
    }

    fn look(&mut self, session: &mut Session) {
        for path in 0..session.disk.paths.len() {
            let (admission, met) = condition::admission(session, path);
            self.news.extend(met.into_iter().map(Happening::Met));
            let why = match admission {
                condition::Admission::Admitted | condition::Admission::ShutOut => None,
                condition::Admission::Unclear(why) => Some(why),
            };
            if self.usable[path] != why.is_none() {
                self.usable[path] = why.is_none();
                self.news.push(Happening::Path {
                    name: session.disk.paths[path].name.clone(),
                    usable: why.is_none(),
                    why,
                });
            }
        }
        // A state that cannot be read now is told by its path, and compared when it can be read again.
        let Ok(reading) = session.read() else { return };
        self.news
            .extend(reading.met.iter().cloned().map(Happening::Met));
        let differences = diff::between(&self.last.state, &reading.state);
        self.news
            .extend(differences.into_iter().map(Happening::Changed));
        self.last = reading;
    }
}

impl Happening {
    fn name(&self) -> &'static str {
        match self {
            Self::Found(_) => "found",
            Self::Changed(difference) => difference.name(),
            Self::Met(met) => match met.attention.kind() {
                AttentionKind::PowerOn | AttentionKind::Reset => "reset",
                AttentionKind::NexusLoss
                | AttentionKind::ReservationsPreempted
                | AttentionKind::ReservationsReleased
                | AttentionKind::RegistrationsPreempted
                | AttentionKind::CommandsCleared
                | AttentionKind::Other => "attention",
            },
            Self::Path { .. } => "path",
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Found(reading) => json!({ "state": view::state_json(reading) }),
            Self::Changed(difference) => difference.json(),
            Self::Met(met) => json!({ "attention": view::met_json(std::slice::from_ref(met))[0] }),
            Self::Path { name, usable, why } => {
                json!({ "path": name, "usable": usable, "why": why })
            }
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Found(reading) => format!(
                "generation {}, {}, reservation {}",
                reading.state.generation,
                view::count(
                    reading.state.registrations.len(),
                    "registration",
                    "registrations"
                ),
                view::reservation_words(reading.state.reservation.as_ref())
            ),
            Self::Changed(difference) => difference.words(),
            Self::Met(Met { path, attention }) => format!(
                "{:02X}/{:02X} on {path}: {}",
                attention.asc,
                attention.ascq,
                words::attention(*attention)
            ),
            Self::Path {
                name, why: None, ..
            } => format!("{name} is usable again"),
            Self::Path {
                name,
                why: Some(why),
                ..
            } => format!("{name} is not usable: {why}"),
        }
    }
}

impl Report for Event {
    fn schema(&self) -> &'static str {
        "disk-watch"
    }

    fn json(&self) -> Value {
        let mut value = json!({
            "event": self.what.name(),
            "time": self.at.time,
            "monotonic_ns": self.at.monotonic_ns,
            "disk": self.disk,
        });
        if let (Some(fields), Value::Object(own)) = (value.as_object_mut(), self.what.json()) {
            fields.extend(own);
        }
        value
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        writeln!(
            page,
            "{FAINT}{}{FAINT:#}  {:20}  {}",
            self.at.time,
            self.what.name(),
            self.what.words()
        )
    }
}

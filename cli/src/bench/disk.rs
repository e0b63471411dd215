//! `qctl bench disk`: round trips of single commands, one after the other. Sends reads only.

use super::conditions::Conditions;
use super::end;
use super::series::Series;
use super::site::Site;
use super::told::{Began, Outcome};
use super::witness::Witness;
use crate::Context;
use crate::clock;
use crate::disk::session::Session;
use crate::exit::{Exit, Failure};
use scsi::device::Data;
use scsi::reservation::{Answer, Verb};
use scsi::wire::cdb::{Access, BlockRange, Command, PrInAction};
use scsi::wire::status::Status;
use std::path::PathBuf;
use std::time::Duration;

/// A sample is late when this host's timers were later than this meanwhile.
const LATENESS: Duration = Duration::from_millis(1);

/// Room for any answer.
const ANSWER_BYTES: u16 = 4096;

/// How often a command meets an attention before it is given up.
const ATTENTIONS_MAX: usize = 8;

/// `qctl bench disk`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  qctl bench disk                            the emulated target, over iSCSI on the loopback
  qctl bench disk /dev/sdb --runs 10000 --html disk.html")]
pub(super) struct Args {
    /// The disk
    #[arg(value_name = "DISK")]
    disk: Option<String>,
    /// How often each command is sent
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    runs: u32,
    /// Write a page with plots there
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl Args {
    /// Runs it.
    pub(super) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let disks: Vec<String> = self.disk.clone().into_iter().collect();
        let site = Site::open(&disks, 1, context)?;
        let mut session = site.session(context)?;
        let conditions = Conditions::now(site.name(), site.way.name(), &site.identity, None);
        context.output.event(&Began {
            bench: "disk",
            conditions: &conditions,
        })?;
        let mut outcome = Outcome {
            bench: "disk".to_owned(),
            conditions,
            series: Vec::new(),
            checks: Vec::new(),
            peers: Vec::new(),
            remarks: Vec::new(),
        };
        let witness = Witness::start();
        self.commands(&mut session, &witness, &mut outcome);
        self.verbs(&mut session, &witness, &mut outcome);
        outcome.series.push(witness.series());
        outcome.conditions.end();
        end(&outcome, self.html.as_deref(), context)
    }

    /// Every command once, then again: whatever disturbs this host disturbs all of them alike.
    fn commands(&self, session: &mut Session, witness: &Witness, outcome: &mut Outcome) {
        let bound = session.bound();
        let Some(device) = session.disk.paths[0].device.as_mut() else {
            let why = "no single commands: this way to the disk has verbs only";
            outcome.remarks.push(why.to_owned());
            return;
        };
        let block = session.disk.identity.block_bytes.unwrap_or(512);
        let mut buffer = vec![0; usize::from(ANSWER_BYTES).max(block as usize)];
        let mut list: Vec<(Command, usize, Series)> = commands(block)
            .into_iter()
            .map(|(name, command, bytes)| (command, bytes, Series::new(name, "us")))
            .collect();
        let mut refused: Vec<String> = Vec::new();
        list.retain(|(command, bytes, series)| {
            let mut last = String::new();
            for _ in 0..ATTENTIONS_MAX {
                match device.execute(&command.cdb(), data(&mut buffer, *bytes), bound) {
                    Ok(done) if done.status == Status::GOOD => return true,
                    Ok(done) => last = done.status.to_string(),
                    Err(error) => last = error.to_string(),
                }
            }
            refused.push(format!("not measured: {} ({last})", series.name));
            false
        });
        for _ in 0..self.runs {
            let _before = witness.worst();
            let mut took = Vec::with_capacity(list.len());
            for (command, bytes, _) in &list {
                let sent = clock::since_boot();
                let ended = device.execute(&command.cdb(), data(&mut buffer, *bytes), bound);
                let span = clock::since_boot().saturating_sub(sent);
                let good = ended.is_ok_and(|done| done.status == Status::GOOD);
                took.push(good.then_some(span));
            }
            let late = witness.worst() > LATENESS;
            for ((.., series), span) in list.iter_mut().zip(took) {
                if let Some(span) = span {
                    series.push(micros(span), late);
                }
            }
        }
        outcome
            .series
            .extend(list.into_iter().map(|(.., series)| series));
        outcome.remarks.extend(refused);
    }

    /// What a defence round asks.
    fn verbs(&self, session: &mut Session, witness: &Witness, outcome: &mut Outcome) {
        let verb = Verb::ReadState;
        let mut series = Series::new("the state, as a defence round reads it", "us");
        for _ in 0..self.runs {
            let _before = witness.worst();
            let sent = clock::since_boot();
            let exchange = session.perform(0, &verb);
            let span = clock::since_boot().saturating_sub(sent);
            if !matches!(exchange.answer, Answer::Done(_)) {
                let why = Failure::of_answer(&verb, &exchange.answer, session.name());
                let why = why.map_or_else(String::new, |failure| failure.message);
                outcome
                    .remarks
                    .push(format!("the state cannot be read: {why}"));
                break;
            }
            series.push(micros(span), witness.worst() > LATENESS);
        }
        if !series.samples.is_empty() {
            outcome.series.push(series);
        }
    }
}

/// Name, command, and how many bytes it brings.
fn commands(block: u32) -> Vec<(&'static str, Command, usize)> {
    let answer = usize::from(ANSWER_BYTES);
    let pr_in = |action| Command::PersistentReserveIn {
        action,
        allocation_length: ANSWER_BYTES,
    };
    let inquiry = Command::Inquiry {
        vpd: None,
        allocation_length: 96,
    };
    let read = |access| Command::Read {
        range: BlockRange::new(0, 1),
        access,
    };
    vec![
        ("TEST UNIT READY", Command::TestUnitReady, 0),
        ("INQUIRY", inquiry, 96),
        ("PR IN, READ KEYS", pr_in(PrInAction::ReadKeys), answer),
        (
            "PR IN, READ RESERVATION",
            pr_in(PrInAction::ReadReservation),
            answer,
        ),
        (
            "PR IN, READ FULL STATUS",
            pr_in(PrInAction::ReadFullStatus),
            answer,
        ),
        ("READ of one block", read(Access::default()), block as usize),
        // LIO refuses it unless it is told otherwise.
        ("READ of one block, FUA", read(Access::FUA), block as usize),
    ]
}

fn data(buffer: &mut [u8], bytes: usize) -> Data<'_> {
    if bytes == 0 {
        Data::None
    } else {
        Data::In(&mut buffer[..bytes])
    }
}

fn micros(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e9).round() / 1e3
}

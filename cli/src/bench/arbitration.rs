//! `qctl bench arbitration`: taking a free disk, handing it over, and what it costs to keep it.

use super::field::Field;
use super::series::{Sample, Series};
use super::told::{Check, Run};
use super::witness::Witness;
use super::{Begun, Contended, end, peer, spread};
use crate::Context;
use crate::arbitrate::record::{What, ms};
use crate::clock;
use crate::contest::Contest;
use crate::contest::phases::Phases;
use crate::exit::{Exit, Failure};
use nix::sys::signal::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The names of a hand-over by parking.
pub(super) const PARKED_TOLD: &str = "parked, and the next told";
const PARKED: &str = "parked";

/// A defender's cost is looked at this often.
const LOOK: Duration = Duration::from_secs(1);

/// `qctl bench arbitration`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Takes: one contender, a free disk, with the commands that it sends. Hand-overs: the owner is asked to stop, and
the next one takes; with a quorum log the owner parks, and the others are told of it (SIGUSR1) or find out by
themselves; without one it gives the disk back, and the next waits as for a dead one. Then the owner defends against all others for a while, and its processor time, its memory and
its clean rounds are counted.

Examples:
  qctl bench arbitration                                    on an emulated disk
  qctl bench arbitration --runs 100 --mode scsi2
  qctl bench arbitration --runs 1 --defend 10m --load       is a live owner ever deposed on a busy host?

Ends with 36 if the owner was deposed.")]
pub(super) struct Args {
    #[command(flatten)]
    contended: Contended,
    /// How many takes, and how many hand-overs
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    runs: u32,
    /// How long the owner is watched while it defends
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = crate::args::duration)]
    defend: Duration,
    /// Keep every CPU busy while it defends
    #[arg(long)]
    load: bool,
}

impl Args {
    /// Runs it.
    pub(super) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let mut contest = Contest::new();
        let Some(begun) = self.contended.begin("arbitration", context)? else {
            return Ok(Exit::Done);
        };
        let Begun {
            site,
            times,
            without_log,
            with_log,
            mut outcome,
        } = begun;
        let mut bench = Bench {
            args: &self,
            lateness: times.lateness,
            cycle: times.challenge_wait + times.defend_interval,
            witness: Witness::start(),
            series: Vec::new(),
            deposed: Check::new("a live owner was not deposed"),
        };
        bench.takes(&mut Field::new(&mut contest, &site, &without_log), context)?;
        match &with_log {
            // The mark is read by who holds a key; under SPC-2 nobody does.
            Some(terms) if without_log.mode == "pr" => {
                bench.parking(&mut Field::new(&mut contest, &site, terms), context)?;
            }
            Some(_) => {}
            None => outcome
                .remarks
                .push("no hand-over by parking: there is no quorum log (--log WHERE)".to_owned()),
        }
        bench.contest(&mut Field::new(&mut contest, &site, &without_log), context)?;
        let Bench {
            witness,
            mut series,
            deposed,
            ..
        } = bench;
        outcome.peers = peer::hand_overs(&self.contended.peer, &series);
        series.push(witness.series());
        outcome.series = series;
        outcome.checks = vec![deposed];
        outcome.conditions.end();
        end(&outcome, self.contended.html.as_deref(), context)
    }
}

struct Bench<'a> {
    args: &'a Args,
    lateness: Duration,
    /// Contenders repeat themselves this often.
    cycle: Duration,
    witness: Witness,
    series: Vec<Series>,
    deposed: Check,
}

impl Bench<'_> {
    /// One contender takes a free disk, again and again.
    fn takes(&mut self, field: &mut Field<'_>, context: &mut Context) -> Result<(), Failure> {
        let mut held = Series::new("take: held", "ms");
        let mut beyond = Series::new("take: beyond the wait", "ms");
        let mut commands = Series::new("take: commands to held", "commands");
        let mut polls = Series::new("take: of these, TEST UNIT READY", "commands");
        for run in 1..=self.args.runs {
            let _before = self.witness.worst();
            field.start(1, true)?;
            field.until_held(1)?;
            let sent = field.sent(1)?;
            field.until_owner_but(None)?;
            let (lateness, late) = self.lateness();
            let began_ns = began(field, 1).unwrap_or_default();
            let phases = Phases::of(&field.records, 1, began_ns).ok_or_else(untold)?;
            held.samples.push(Sample {
                value: phases.held_ms,
                late,
                phases: Some(phases),
            });
            beyond.push(phases.beyond_wait_ms, late);
            commands.push(f64::from(sent.all), late);
            polls.push(f64::from(sent.polls), late);
            self.tell("take", run, phases.held_ms, lateness, context)?;
            field.stop(1)?;
            field.records.clear();
        }
        self.series.extend([held, beyond, commands, polls]);
        Ok(())
    }

    /// The owner parks, the next one takes: with and without a word from whoever asked it to. Those who wait look for
    /// the mark by themselves, ten times in a defend interval.
    fn parking(&mut self, field: &mut Field<'_>, context: &mut Context) -> Result<(), Failure> {
        for node in 1..=self.args.contended.contenders {
            field.start(node, false)?;
        }
        let mut owner = field.until_ready(None, 0)?;
        let mut since_ns = clock::now().monotonic_ns;
        let mut found = [(true, PARKED_TOLD), (false, PARKED)].map(|(told, name)| {
            let named = |what: &str| Series::new(format!("{name}: {what}"), "ms");
            (told, name, named("next held"), named("next owner"))
        });
        for run in 1..=self.args.runs {
            for (told, name, held, next_owner) in &mut found {
                field.listen(self.cycle.mul_f64(spread(run)))?;
                let _before = self.witness.worst();
                let lost = field.loss(owner, since_ns).is_some();
                let asked_ns = field.signal(owner, Signal::SIGTERM);
                let parked = !lost && field.until_parked(owner)?;
                if *told {
                    field.tell_of_hand_over(owner);
                }
                let from_ns = if lost { since_ns } else { asked_ns };
                let next = field.until_ready(Some(owner), from_ns)?;
                let (lateness, late) = self.lateness();
                if parked {
                    let phases = Phases::of(&field.records, next, asked_ns).ok_or_else(untold)?;
                    held.samples.push(Sample {
                        value: phases.held_ms,
                        late,
                        phases: Some(phases),
                    });
                    next_owner.push(phases.owner_ms, late);
                    self.tell(name, run, phases.owner_ms, lateness, context)?;
                } else {
                    let words = format!("node {owner} lost the disk before hand-over {run}");
                    self.deposed.count(Err(words));
                }
                since_ns = clock::now().monotonic_ns;
                field.until_ended(owner)?;
                field.start(owner, false)?;
                field.until_contending(owner)?;
                field.forget();
                owner = next;
            }
        }
        for (.., held, next_owner) in found {
            self.series.extend([held, next_owner]);
        }
        field.stop_all(Some(owner))
    }

    /// The owner gives back, the next one takes; the last one defends.
    fn contest(&mut self, field: &mut Field<'_>, context: &mut Context) -> Result<(), Failure> {
        for node in 1..=self.args.contended.contenders {
            field.start(node, false)?;
        }
        let mut owner = field.until_owner_but(None)?;
        let mut held = Series::new("hand-over: next held", "ms");
        let mut next_owner = Series::new("hand-over: next owner", "ms");
        for run in 1..=self.args.runs {
            let _before = self.witness.worst();
            let asked_ns = field.signal(owner, Signal::SIGTERM);
            let next = field.until_owner_but(Some(owner))?;
            let (lateness, late) = self.lateness();
            let phases = Phases::of(&field.records, next, asked_ns).ok_or_else(untold)?;
            held.samples.push(Sample {
                value: phases.held_ms,
                late,
                phases: Some(phases),
            });
            next_owner.push(phases.owner_ms, late);
            self.tell("hand-over", run, phases.owner_ms, lateness, context)?;
            field.until_ended(owner)?;
            field.start(owner, false)?;
            field.until_contending(owner)?;
            field.forget();
            owner = next;
        }
        self.series.extend([held, next_owner]);
        self.defend(field, owner)?;
        field.stop_all(field.owner_since(0))
    }

    fn defend(&mut self, field: &mut Field<'_>, owner: u8) -> Result<(), Failure> {
        let mut held = true;
        let mut cpu = Series::new("defender: processor time", "% of a core");
        let mut resident = Series::new("defender: resident", "MiB");
        let mut age = Series::new("defender: age of a proof", "ms");
        let load = self.args.load.then(Load::start);
        let began_ns = clock::now().monotonic_ns;
        let end = clock::since_boot() + self.args.defend;
        let _before = self.witness.worst();
        while clock::since_boot() < end {
            let Some(pid) = field.pid(owner) else { break };
            let (from, used) = (clock::since_boot(), on_cpu(pid));
            field.listen(LOOK)?;
            let span = clock::since_boot().saturating_sub(from).as_secs_f64();
            let late = self.lateness().1;
            if let (Some(before), Some(after)) = (used, on_cpu(pid)) {
                let share = after.saturating_sub(before).as_secs_f64() / span;
                cpu.push((share * 1e5).round() / 1e3, late);
            }
            if let Some(kib) = resident_kib(pid) {
                resident.push(f64::from(kib) / 1024.0, late);
            }
            if let Some(record) = field.loss(owner, began_ns) {
                let after = Duration::from_nanos(record.monotonic_ns - began_ns);
                held = false;
                self.deposed.count(Err(format!(
                    "after {} s: {:?}",
                    after.as_secs(),
                    record.what
                )));
                break;
            }
        }
        drop(load);
        if held {
            self.deposed.count(Ok(()));
        }
        for record in field.told(owner, began_ns) {
            if let What::Defended { age_ms } = record.what {
                age.push(age_ms, false);
            }
        }
        self.series.extend([cpu, resident, age]);
        Ok(())
    }

    fn lateness(&self) -> (Duration, bool) {
        let lateness = self.witness.worst();
        (lateness, lateness > self.lateness)
    }

    fn tell(
        &self,
        name: &str,
        run: u32,
        value: f64,
        lateness: Duration,
        context: &mut Context,
    ) -> Result<(), Failure> {
        context.output.event(&Run {
            name,
            run: run as usize,
            of: self.args.runs as usize,
            value,
            unit: "ms",
            lateness_ms: ms(lateness),
            late: lateness > self.lateness,
        })
    }
}

/// When a node's present process began to arbitrate.
fn began(field: &Field<'_>, node: u8) -> Option<u64> {
    let began = field
        .told(node, 0)
        .filter(|record| matches!(record.what, What::Started { .. }));
    began.last().map(|record| record.monotonic_ns)
}

fn untold() -> Failure {
    Failure::new(
        Exit::Unknown,
        "a node is the owner and does not tell how it came to be",
        "report this",
    )
}

/// How long all threads of a process have been on a CPU.
fn on_cpu(pid: u32) -> Option<Duration> {
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let stat = thread.ok()?.path().join("schedstat");
        // A thread may end meanwhile.
        let text = std::fs::read_to_string(stat).unwrap_or_default();
        let first = text.split(' ').next().and_then(|word| word.parse().ok());
        nanoseconds += first.unwrap_or(0);
    }
    Some(Duration::from_nanos(nanoseconds))
}

fn resident_kib(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().split(' ').next()?.parse().ok()
}

/// Keeps every CPU busy until it is dropped.
struct Load(Arc<AtomicBool>);

impl Load {
    fn start() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Self(over)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

//! Our logical unit beside a real one: in memory beside the kernel's target, or on the wire beside a target.
//!
//! ```text
//!   lab-unit NODE=TRANSPORTID ×3              LIO behind three nodes        beside the unit in memory
//!   lab-unit --behaviour B --judge URL        tgt, or LIO's iSCSI target    beside `qctl target serve` of behaviour B,
//!            --ours URL                                                     and that beside the unit in memory
//! ```
//!
//! Random operations of three nexuses go to all, and every answer is compared: status, sense, registrations, holder,
//! generation, blocks. The walk is steered to the (action, situation) that was seen least, until each was seen often
//! enough. Ends with the matrix, the allowed differences, and 0 only when nothing else differed.

mod allowed;
mod both;
mod operation;
mod port;
mod random;
mod situation;
mod walk;

use allowed::{Allowed, Apart};
use anyhow::{Context as _, Result, bail, ensure};
use both::{Answer, Both, NEXUSES};
use operation::{Action, Operation, OutArguments};
use random::Random;
use scsi::iscsi::negotiation::DigestWish;
use scsi::logical_unit::Behaviour;
use situation::{Matrix, Situation};
use std::collections::{BTreeMap, VecDeque};
use std::process::ExitCode;

/// How many differences are told before the run ends early.
const TOLD_MAX: usize = 40;
/// How many operations before a difference are told with it.
const HISTORY: usize = 8;

const USAGE: &str = "lab-unit --operations N --minimum N --seed N  NODE=TRANSPORTID NODE=TRANSPORTID NODE=TRANSPORTID
lab-unit --operations N --minimum N --seed N  --behaviour lio|tgt --judge URL --ours URL [--digests]";

struct Options {
    operations: u64,
    minimum: u32,
    seed: u64,
    nexuses: Vec<(String, String)>,
    behaviour: Behaviour,
    judge: Option<String>,
    ours: Option<String>,
    digests: DigestWish,
}

impl Options {
    /// What cannot be done to this judge, and why.
    const fn left_out(&self) -> Option<(Action, &'static str)> {
        match (self.behaviour, &self.judge) {
            (Behaviour::Tgt, _) => Some((
                Action::RegisterAndMove,
                "tgtd 1.0.85 dies of it (segmentation fault) where a registrant sends it while nothing is reserved",
            )),
            (_, None) => Some((Action::PreemptAndAbort, "on tcm_loop it hangs for ever")),
            (_, Some(_)) => None,
        }
    }
}

/// The run so far.
struct Run {
    both: Both,
    allowances: &'static [Allowed],
    random: Random,
    matrix: Matrix,
    performed: u64,
    allowed: BTreeMap<&'static str, u64>,
    /// Told once for each action and each pair of outcomes.
    differences: BTreeMap<String, (u64, String)>,
    history: VecDeque<String>,
}

#[expect(clippy::print_stdout, reason = "a program's result")]
fn main() -> Result<ExitCode> {
    let options = options()?;
    let mut run = Run::new(&options)?;
    while run.performed < options.operations || run.matrix.least().0 < options.minimum {
        if run.differences.len() >= TOLD_MAX {
            break;
        }
        run.round()?;
    }
    println!("{}", run.matrix.to_table());
    println!(
        "{} operations (seed {}), each action in each situation at least {} times",
        run.performed,
        options.seed,
        run.matrix.least().0
    );
    if let Some((action, why)) = options.left_out() {
        println!("{action:?} is left out: {why}");
    }
    let mut is_well = run.differences.is_empty();
    for allowed in run.allowances {
        let fired = run.allowed.get(allowed.name).copied().unwrap_or(0);
        println!(
            "allowed difference {} fired {fired} times: {}\n    {}",
            allowed.name, allowed.reason, allowed.script
        );
        if fired == 0 {
            println!("    it never fired: it has to go");
            is_well = false;
        }
    }
    for (kind, (times, first)) in &run.differences {
        println!("DIFFERENCE {kind}, {times} times, first {first}");
    }
    Ok(if is_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Run {
    fn new(options: &Options) -> Result<Self> {
        let both = match (&options.judge, &options.ours) {
            (Some(judge), Some(ours)) => {
                Both::on_the_wire(options.behaviour, judge, ours, options.digests)?
            }
            (None, None) => Self::in_memory(options)?,
            (Some(_), None) | (None, Some(_)) => bail!(USAGE),
        };
        let left_out = options.left_out().map(|(action, _)| action);
        let actions = Action::ALL.into_iter();
        let actions = actions.filter(|action| Some(*action) != left_out).collect();
        Ok(Self {
            both,
            allowances: allowed::of(options.behaviour),
            random: Random::new(options.seed),
            matrix: Matrix::new(actions),
            performed: 0,
            allowed: BTreeMap::new(),
            differences: BTreeMap::new(),
            history: VecDeque::new(),
        })
    }

    fn in_memory(options: &Options) -> Result<Both> {
        ensure!(options.nexuses.len() == NEXUSES, USAGE);
        let nodes = options.nexuses.iter().map(|(node, _)| node.clone());
        let initiators = options
            .nexuses
            .iter()
            .map(|(_, id)| id.parse().with_context(|| format!("TransportID {id}")))
            .collect::<Result<Vec<_>>>()?;
        Both::in_memory(&nodes.collect::<Vec<_>>(), &initiators)
    }

    /// Goes to a situation, does what was done least there, and wanders on from it.
    fn round(&mut self) -> Result<()> {
        let (action, situation, nexus) = walk::goal(&self.matrix, &mut self.random);
        if !self.go_to(situation, nexus)? {
            return Ok(());
        }
        let aimed = walk::draw(&self.both, nexus, action, &mut self.random);
        if !self.step(&aimed)? {
            return Ok(());
        }
        for _ in 0..self.random.below(4) {
            let nexus = self.random.below(NEXUSES);
            let action = *self.random.of(self.matrix.actions());
            let next = walk::draw(&self.both, nexus, action, &mut self.random);
            if !self.step(&next)? {
                return Ok(());
            }
        }
        self.look().map(drop)
    }

    /// Both units into a situation; false when they came apart on the way.
    fn go_to(&mut self, situation: Situation, nexus: usize) -> Result<bool> {
        if situation::of(&self.both, nexus) == situation {
            return Ok(true);
        }
        if !self.make_blank()? {
            return Ok(false);
        }
        for operation in walk::way_to(situation, nexus, &mut self.random) {
            if !self.step(&operation)? {
                return Ok(false);
            }
        }
        ensure!(
            situation::of(&self.both, nexus) == situation,
            "the way to {situation:?} of nexus {nexus} led to {:?}",
            situation::of(&self.both, nexus)
        );
        // Now and then what this left behind stays for the next operation to meet.
        if self.random.percent(85) {
            return self.drain();
        }
        Ok(true)
    }

    /// Nothing registered, nothing reserved, no attention waiting: by ordinary commands, compared like all others.
    fn make_blank(&mut self) -> Result<bool> {
        if !self.drain()? {
            return Ok(false);
        }
        for nexus in 0..NEXUSES {
            if self.both.unit.spc2_holder() == Some(self.both.nexus(nexus))
                && !self.step(&Operation::plain(nexus, Action::Release6))?
            {
                return Ok(false);
            }
        }
        if let Some((nexus, key)) =
            (0..NEXUSES).find_map(|nexus| Some((nexus, walk::key_of(&self.both, nexus)?)))
        {
            let arguments = OutArguments {
                key,
                ..OutArguments::default()
            };
            if !self.step(&Operation::out(nexus, Action::Clear, arguments))? {
                return Ok(false);
            }
        }
        self.drain()
    }

    /// Takes every waiting attention away: by TEST UNIT READY, for REQUEST SENSE may meet a conflict and leave them.
    fn drain(&mut self) -> Result<bool> {
        for nexus in 0..NEXUSES {
            while !self.both.unit.attentions(self.both.nexus(nexus)).is_empty() {
                if !self.step(&Operation::plain(nexus, Action::TestUnitReady))? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Compares what both say of the reservations.
    fn look(&mut self) -> Result<bool> {
        let nexus = self.random.below(NEXUSES);
        Ok(self.step(&Operation::plain(nexus, Action::ReadFullStatus))?
            && self.step(&Operation::plain(nexus, Action::ReadReservation))?)
    }

    /// Performs one operation on both and compares; false when the answers differ, and then both begin anew.
    fn step(&mut self, operation: &Operation) -> Result<bool> {
        let situation = situation::of(&self.both, operation.nexus);
        self.matrix.count(operation.action, situation);
        self.performed += 1;
        let answers = self.both.perform(operation)?;
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(format!(
            "{} -> {}",
            operation.to_line(),
            answers.judge.to_line()
        ));
        let ours = answers.wire.as_ref().unwrap_or(&answers.unit);
        let is_wire_true = *ours == answers.unit;
        if answers.judge == *ours && is_wire_true {
            return Ok(true);
        }
        let apart = Apart {
            operation,
            judge: &answers.judge,
            ours,
        };
        let allowance = self.allowances.iter().find(|one| (one.applies)(&apart));
        if !is_wire_true {
            self.differ(
                "wire",
                "memory",
                &apart_of(operation, ours, &answers.unit),
                situation,
            );
        } else if let Some(allowed) = allowance {
            *self.allowed.entry(allowed.name).or_default() += 1;
        } else {
            self.differ("judge", "ours", &apart, situation);
        }
        self.both.start_over()?;
        self.history.clear();
        Ok(false)
    }

    /// Notes a difference that nothing allows.
    fn differ(&mut self, one: &str, other: &str, apart: &Apart<'_>, situation: Situation) {
        let history: Vec<&str> = self.history.iter().map(String::as_str).collect();
        let first = format!(
            "in {situation:?}\n    {one}: {}\n    {other}: {}\n  after\n    {}",
            apart.judge.to_line(),
            apart.ours.to_line(),
            history.join("\n    ")
        );
        let kind = format!(
            "{:?}: {one} {} / {other} {}",
            apart.operation.action,
            apart.judge.outcome(),
            apart.ours.outcome()
        );
        self.differences.entry(kind).or_insert((0, first)).0 += 1;
    }
}

const fn apart_of<'a>(operation: &'a Operation, judge: &'a Answer, ours: &'a Answer) -> Apart<'a> {
    Apart {
        operation,
        judge,
        ours,
    }
}

fn options() -> Result<Options> {
    let mut options = Options {
        operations: 10_000,
        minimum: 30,
        seed: 1,
        nexuses: Vec::new(),
        behaviour: Behaviour::Lio,
        judge: None,
        ours: None,
        digests: DigestWish::Unwanted,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().context(USAGE);
        match argument.as_str() {
            "--operations" => options.operations = value()?.parse()?,
            "--minimum" => options.minimum = value()?.parse()?,
            "--seed" => options.seed = value()?.parse()?,
            "--behaviour" => {
                options.behaviour = Behaviour::from_name(&value()?).context(USAGE)?;
            }
            "--judge" => options.judge = Some(value()?),
            // CRC32C over every header and every data segment, or no session.
            "--digests" => options.digests = DigestWish::Required,
            "--ours" => options.ours = Some(value()?),
            _ => match argument.split_once('=') {
                Some((node, id)) => options.nexuses.push((node.to_owned(), id.to_owned())),
                None => bail!(USAGE),
            },
        }
    }
    Ok(options)
}

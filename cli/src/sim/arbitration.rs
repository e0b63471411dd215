//! `qctl sim arbitration`: many random worlds from one seed, with every checker after every step.

use super::report::{Failed, Simulated};
use super::{mode, mode_name};
use crate::Context;
use crate::clock;
use crate::exit::{Exit, Failure};
use quorum_core::arbitration::{Guards, Mode};
use quorum_sim::plan::{Asked, NODES_MAX};
use quorum_sim::run::Campaign;
use quorum_sim::transitions;
use scsi::logical_unit::Behaviour;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// What the long run must reach.
const LONG_SECONDS: u64 = 10_000_000;
const LONG_CHANGES: u64 = 1_000_000;
const LONG_FAULTS: u64 = 10_000_000;
/// How often the long run must take each transition.
const LONG_TRANSITIONS: u64 = 100;
/// How often whoever watches hears of it.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// `qctl sim arbitration`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  qctl sim arbitration                        200 worlds from a fresh seed, which is printed
  qctl sim arbitration --seed 7 --runs 1      one world again; when a property does not hold, its timeline
  qctl sim arbitration --mode scsi2 --behaviour lio --nodes 5
  qctl sim arbitration --long                 ten million simulated seconds, a million changes of owner and ten
                                              million faults; fails too where a transition was taken less than 100 times

What may go wrong, and what may not: the top of quorum/sim/src/faults.rs. Ends with 0, or with 36 when a property did
not hold: then the seed of that very world is printed, with its timeline.")]
pub(crate) struct Args {
    /// The seed; a fresh one, which is printed, unless given
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// At most so many nodes contend, 2 to 5
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=i64::from(NODES_MAX)))]
    nodes: u8,
    /// How many worlds
    #[arg(long, value_name = "K", default_value_t = 200, conflicts_with = "long")]
    runs: u64,
    /// Whose disk: standard, lio, tgt or hostile; all of them unless given
    #[arg(long, value_name = "B", value_parser = behaviour)]
    behaviour: Option<Behaviour>,
    /// The protocol: pr or scsi2; both unless given
    #[arg(long, value_parser = mode)]
    mode: Option<Mode>,
    /// As many worlds as the long run takes
    #[arg(long)]
    long: bool,
}

fn behaviour(name: &str) -> Result<Behaviour, String> {
    Behaviour::from_name(name).ok_or_else(|| {
        let names = Behaviour::ALL.map(Behaviour::name);
        format!("a behaviour is one of {}", names.join(", "))
    })
}

impl Args {
    /// Simulates.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        // Short enough to be typed.
        let seed = self
            .seed
            .unwrap_or_else(|| RandomState::new().hash_one("a fresh seed") >> 32);
        let asked = Asked {
            nodes: self.nodes,
            behaviour: self.behaviour,
            mode: self.mode,
            guards: Guards::ALL_ON,
        };
        let began = clock::since_boot();
        let mut told = began;
        let mut campaign = Campaign::new(seed, asked, true);
        let mut failed = None;
        while failed.is_none() && !self.is_done(&campaign) {
            failed = campaign.next_run().err().map(Failed::of);
            let now = clock::since_boot();
            if now.saturating_sub(told) >= PROGRESS_EVERY {
                told = now;
                context.output.progress(&progress(&campaign));
            }
        }
        context.output.progress("");
        let rare = if self.long && failed.is_none() {
            self.rare(&campaign)
        } else {
            Vec::new()
        };
        let passed = failed.is_none() && rare.is_empty();
        let simulated = Simulated {
            seed,
            nodes: self.nodes,
            behaviour: self.behaviour,
            mode: self.mode,
            runs: campaign.runs(),
            counts: campaign.counts.clone(),
            took: clock::since_boot().saturating_sub(began),
            failed,
            rare,
        };
        context.output.report(&simulated)?;
        Ok(if passed { Exit::Done } else { Exit::No })
    }

    fn is_done(&self, campaign: &Campaign) -> bool {
        if !self.long {
            return campaign.runs() >= self.runs;
        }
        let counts = &campaign.counts;
        counts.simulated.as_secs() >= LONG_SECONDS
            && counts.changes >= LONG_CHANGES
            && counts.all_faults() >= LONG_FAULTS
    }

    /// The transitions that were taken too seldom for the long run.
    fn rare(&self, campaign: &Campaign) -> Vec<String> {
        let mut rare = Vec::new();
        for mode in [Mode::Persistent, Mode::Spc2] {
            if !campaign.asks_for(mode) {
                continue;
            }
            let taken = campaign.counts.transitions(mode);
            for (from, to) in transitions::of(mode) {
                let count = taken.get(&(*from, *to)).copied().unwrap_or(0);
                if count < LONG_TRANSITIONS {
                    let mode = mode_name(mode);
                    rare.push(format!("{mode}: {from} -> {to} was taken {count} times"));
                }
            }
            for ((from, to), count) in &taken {
                let one = (*from, *to);
                let known = transitions::of(mode).contains(&one);
                if !known && !transitions::at_once(mode).contains(&one) {
                    let mode = mode_name(mode);
                    rare.push(format!(
                        "{mode}: {from} -> {to}, taken {count} times, is not in the table"
                    ));
                }
            }
        }
        rare
    }
}

fn progress(campaign: &Campaign) -> String {
    let counts = &campaign.counts;
    format!(
        "{} worlds, {} simulated seconds, {} changes of owner, {} faults",
        campaign.runs(),
        counts.simulated.as_secs(),
        counts.changes,
        counts.all_faults()
    )
}

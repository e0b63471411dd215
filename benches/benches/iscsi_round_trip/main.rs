//! One command after the other over loopback: our initiator and libiscsi, our target and Debian's tgt.
//!
//! ```text
//!   our initiator ──► our target          libiscsi ──► our target
//!   our initiator ──► tgt                 libiscsi ──► tgt
//! ```
//!
//! TEST UNIT READY and a READ (10) of 4 KiB, in rounds that take turns: what one pair meets of the machine, the
//! others meet too, so the ratios can be believed also where the figures cannot. Every batch has a session of
//! its own, a warm-up, and neither digests nor anything else on the connection. Prints medians and ratios;
//! writes `target/iscsi-round-trip.json`. Where tgtd or libiscsi is missing it says so and measures the rest.
//!
//! `cargo bench -p benches --bench iscsi_round_trip -- [ROUNDS [COMMANDS]]`

#![expect(clippy::print_stdout, reason = "a program's result")]

mod figures;
mod initiators;
mod targets;

use anyhow::{Context as _, Result};
use figures::{Batch, Pair};
use initiators::{Command, Initiator};
use serde_json::json;
use std::path::{Path, PathBuf};
use targets::Target;

/// Rounds, and commands of each batch in a round, where nothing else is asked for.
const ROUNDS: usize = 5;
const COMMANDS: usize = 10_000;

/// What the project has set itself.
const RATIO_MAX: f64 = 1.05;
const RESIDENT_KIB_MAX: u64 = 15_000;

fn main() -> Result<()> {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse().ok());
    let rounds = numbers.next().unwrap_or(ROUNDS);
    let commands = numbers.next().unwrap_or(COMMANDS);

    let folder = build_folder()?;
    let work = folder.join("iscsi-round-trip");
    std::fs::create_dir_all(&work)?;
    let mut targets = vec![targets::ours(&folder, &work)?];
    let resident_kib = targets[0].resident_kib()?;
    targets.extend(or_say(targets::tgt(&work)));
    let mut initiators = vec![Initiator::Ours];
    initiators.extend(or_say(initiators::libiscsi(&work)));

    let batches = measure(&initiators, &targets, rounds, commands)?;
    let after_kib = targets[0].resident_kib()?;
    report(
        &folder,
        &batches,
        rounds,
        commands,
        [resident_kib, after_kib],
    )
}

fn or_say<T>(found: Result<T>) -> Option<T> {
    found
        .inspect_err(|missing| println!("not measured: {missing:#}"))
        .ok()
}

/// `target/release`, where this bench itself was built.
fn build_folder() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.ancestors().nth(2).context("a bench is in deps/")?;
    Ok(folder.to_owned())
}

/// Every pair in every round; who is first in one round is last in the next.
fn measure(
    initiators: &[Initiator],
    targets: &[Target],
    rounds: usize,
    commands: usize,
) -> Result<Vec<Batch>> {
    let mut pairs: Vec<(&Initiator, &Target)> = initiators
        .iter()
        .flat_map(|initiator| targets.iter().map(move |target| (initiator, target)))
        .collect();
    let mut batches = Vec::new();
    for _ in 0..rounds {
        for command in Command::ALL {
            for (initiator, target) in &pairs {
                let took = initiator
                    .run(&target.url, command, commands)
                    .with_context(|| format!("{} over {}", initiator.name(), target.name))?;
                batches.push(Batch::new(
                    Pair {
                        command,
                        initiator: initiator.name(),
                        target: target.name,
                    },
                    took,
                ));
            }
        }
        pairs.rotate_left(1);
    }
    Ok(batches)
}

fn report(
    folder: &Path,
    batches: &[Batch],
    rounds: usize,
    commands: usize,
    resident_kib: [u64; 2],
) -> Result<()> {
    println!("medians of {rounds} rounds of {commands}, in microseconds");
    println!(
        "  {:<18} {:<10} {:<6} {:>8} {:>8}",
        "command", "initiator", "target", "median", "p99"
    );
    let summaries = figures::summaries(batches);
    for summary in &summaries {
        let Pair {
            command,
            initiator,
            target,
        } = summary.pair;
        let (median, p99) = (summary.median_us, summary.p99_us);
        println!(
            "  {:<18} {initiator:<10} {target:<6} {median:8.1} {p99:8.1}",
            command.name()
        );
    }
    println!("ratios of medians, round by round, and their median (goal: at most {RATIO_MAX})");
    let ratios = figures::ratios(batches);
    for ratio in &ratios {
        let met = if ratio.median <= RATIO_MAX {
            ""
        } else {
            "  NOT MET"
        };
        println!("  {:<58} {:.3}{met}", ratio.what, ratio.median);
    }
    println!(
        "resident memory of our target: {} KiB before, {} KiB after (goal: below {RESIDENT_KIB_MAX})",
        resident_kib[0], resident_kib[1]
    );
    let document = json!({
        "rounds": rounds,
        "commands": commands,
        "figures": summaries.iter().map(figures::Summary::json).collect::<Vec<_>>(),
        "ratios": ratios.iter().map(figures::Ratio::json).collect::<Vec<_>>(),
        "ratio_max": RATIO_MAX,
        "resident_kib": { "before": resident_kib[0], "after": resident_kib[1], "max": RESIDENT_KIB_MAX },
    });
    let place = folder.with_file_name("iscsi-round-trip.json");
    std::fs::write(&place, serde_json::to_string_pretty(&document)? + "\n")?;
    println!("written: {}", place.display());
    Ok(())
}

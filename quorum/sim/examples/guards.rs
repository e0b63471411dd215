//! Looks for a world in which a checker misses a guard that is off: `tests/guards.rs` names the ones that were found.
//!
//! `cargo run --release --package quorum-sim --example guards -- [GUARD|all] [WORLDS]`: prints for each guard the first seed
//! of its protocol whose world breaks a property without it, and holds with it.

#![expect(clippy::print_stdout, reason = "its result is what it prints")]

use quorum_core::arbitration::{Guard, Guards, Mode};
use quorum_sim::plan::{Asked, NODES_MAX, Plan};
use quorum_sim::run::run;
use quorum_sim::world::Tells;

fn main() {
    let which = std::env::args().nth(1).unwrap_or_else(|| "all".into());
    let worlds = std::env::args().nth(2).and_then(|text| text.parse().ok());
    let worlds = worlds.unwrap_or(2000);
    for guard in Guard::ALL {
        if which == "all" || which == guard.name() {
            look_for(*guard, worlds);
        }
    }
}

fn look_for(guard: Guard, worlds: u64) {
    for seed in 1..=worlds {
        for nodes in [3, 2, NODES_MAX] {
            for mode in modes(guard) {
                let asked = Asked {
                    nodes,
                    mode: Some(*mode),
                    guards: Guards::all_but(guard),
                    ..Asked::default()
                };
                if let Some(what) = violated(seed, &asked)
                    && violated(
                        seed,
                        &Asked {
                            guards: Guards::ALL_ON,
                            ..asked
                        },
                    )
                    .is_none()
                {
                    println!(
                        "(Guard::{}, Mode::{mode:?}, {nodes}, {seed}), // {what}",
                        guard.name()
                    );
                    return;
                }
            }
        }
    }
    println!("// {}: not missed in {worlds} worlds", guard.name());
}

const fn modes(guard: Guard) -> &'static [Mode] {
    if guard as usize >= Guard::Spc2ProbesFullWait as usize {
        &[Mode::Spc2]
    } else {
        &[Mode::Persistent, Mode::Spc2]
    }
}

fn violated(seed: u64, asked: &Asked) -> Option<String> {
    let outcome = run(&Plan::of(seed, asked), Tells::Nothing, &mut None);
    outcome.violations.first().map(ToString::to_string)
}

//! Exhausts the small worlds of arbitration, one after the other, and prints how many states each has.
//!
//! `cargo run --release --package quorum-sim --example exhaustive [-- LARGEST [pr|scsi2 NODES FAULTS KEYS]]`: worlds of up to so
//! many states are exhausted; of a larger one that many are searched, breadth first, and the depth is printed. One
//! world alone, when it is named.

#![expect(clippy::print_stdout, reason = "its result is what it prints")]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "how long it took is told, and decides nothing"
)]

#[path = "../tests/exhaustive/model.rs"]
mod model;

use model::Small;
use quorum_core::arbitration::{Guards, Mode};
use quorum_sim::exhaustive::Scope;
use stateright::{Checker as _, Model as _};
use std::process::ExitCode;

fn main() -> ExitCode {
    let largest = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let largest = largest.unwrap_or(3_000_000);
    let mut sound = true;
    let rest: Vec<String> = std::env::args().skip(2).collect();
    if let [mode, nodes, faults, keys] = rest.as_slice() {
        let number = |text: &String| text.parse().unwrap_or(1);
        let scope = Scope {
            mode: if mode == "scsi2" {
                Mode::Spc2
            } else {
                Mode::Persistent
            },
            nodes: usize::from(number(nodes)),
            faults: number(faults),
            keys: u32::from(number(keys)),
            ticks_max: 40,
            guards: Guards::ALL_ON,
        };
        return if search(scope, largest) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    for mode in [Mode::Persistent, Mode::Spc2] {
        for (nodes, faults, keys) in [(2, 0, 1), (2, 1, 1), (2, 2, 2), (3, 1, 1)] {
            let scope = Scope {
                mode,
                nodes,
                faults,
                keys,
                ticks_max: 40,
                guards: Guards::ALL_ON,
            };
            sound &= search(scope, largest);
        }
    }
    if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn search(scope: Scope, largest: usize) -> bool {
    let began = std::time::Instant::now();
    let checker = Small(scope)
        .checker()
        .threads(1)
        .target_state_count(largest)
        .spawn_bfs()
        .join();
    let states = checker.unique_state_count();
    let discoveries = checker.discoveries();
    let holds = discoveries.keys().all(|name| !name.starts_with('S'));
    // It ends with the first that does not hold.
    let exhausted = checker.state_count() < largest && holds;
    println!(
        "{:?}: {} nodes, {} faults, {} keys: {} states{}, depth {}, {:.0} s",
        scope.mode,
        scope.nodes,
        scope.faults,
        scope.keys,
        states,
        if exhausted { ", exhausted" } else { "" },
        checker.max_depth(),
        began.elapsed().as_secs_f64()
    );
    let mut sound = true;
    for (name, path) in discoveries {
        if name.starts_with('S') {
            sound = false;
            println!("{name} does not hold: {:?}", path.last_state().violated());
            for (number, (world, action)) in path.into_vec().iter().enumerate() {
                let under_way = world.under_way().join("; ");
                let action = action.map_or_else(|| "end".into(), |action| format!("{action:?}"));
                println!("  {number:>3} {action:<16} {under_way}");
            }
        }
    }
    sound
}

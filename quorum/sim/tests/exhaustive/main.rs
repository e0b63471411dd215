//! Small worlds, every schedule of them, up to a bound; the full search is the example `exhaustive`.

mod model;

use model::Small;
use quorum_core::arbitration::{Guards, Mode};
use quorum_sim::exhaustive::Scope;
use stateright::{Checker as _, Model as _};

/// States that are generated in an ordinary test run.
const STATES: usize = 60_000;

fn violations(mode: Mode, nodes: usize, faults: u8, guards: Guards) -> Vec<String> {
    let scope = Scope {
        mode,
        nodes,
        faults,
        keys: 1,
        ticks_max: 40,
        guards,
    };
    let checker = Small(scope)
        .checker()
        .target_state_count(STATES)
        .spawn_bfs()
        .join();
    assert!(
        checker.unique_state_count() > STATES / 10,
        "the world ends at once"
    );
    let found = checker.discoveries();
    found
        .into_iter()
        .filter(|(name, _)| name.starts_with('S'))
        .map(|(_, path)| {
            format!(
                "{:?}: {:?}",
                path.last_state().violated(),
                path.into_actions()
            )
        })
        .collect()
}

#[test]
fn two_contenders_hold_in_both_modes() {
    for mode in [Mode::Persistent, Mode::Spc2] {
        for faults in [0, 1] {
            let found = violations(mode, 2, faults, Guards::ALL_ON);
            assert!(found.is_empty(), "{mode:?}, {faults} faults: {found:?}");
        }
    }
}

#[test]
fn three_contenders_hold_to_some_depth() {
    for mode in [Mode::Persistent, Mode::Spc2] {
        let found = violations(mode, 3, 1, Guards::ALL_ON);
        assert!(found.is_empty(), "{mode:?}: {found:?}");
    }
}

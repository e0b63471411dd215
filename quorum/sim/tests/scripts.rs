//! Worlds that are told step by step: each script is one behaviour, by its name.

mod worlds;

use quorum_core::arbitration::Guards;
use std::path::Path;

fn run(path: &Path) {
    let written = std::fs::read_to_string(path).expect("the script is there");
    let comes_out = worlds::outcome(Guards::ALL_ON, &written).expect("the script runs");
    if std::env::var_os("UPDATE_GOLDENFILES").is_some_and(|one| one == "1") {
        std::fs::write(path, comes_out).expect("the script is written");
        return;
    }
    assert_eq!(comes_out, written, "{}", path.display());
}

test_each_file::test_each_path! { in "./quorum/sim/testscripts" => run }

/// Every script that a table names is there.
#[test]
fn scripts_are_found_by_their_names() {
    assert!(!worlds::text("guards", "a_copy_of_a_node_that_is_alive_is_refused").is_empty());
}

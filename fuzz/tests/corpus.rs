//! Every body over the kept corpus and its mutations; and the one list of targets held to the files.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its corpus fails, and says where"
)]

use fuzz::{TARGETS, mutations};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

fn here(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The names in a folder, without extension.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(here(folder)).unwrap();
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    entries.map(|entry| stem(entry.unwrap().path())).collect()
}

/// The inputs of a target, by file name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = format!("corpus/{target}");
    let mut inputs: Vec<_> = fs::read_dir(here(&folder))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(&path).unwrap())
        })
        .collect();
    inputs.sort();
    inputs
}

#[test]
fn every_body_holds_over_the_corpus_and_its_mutations() {
    for (target, body) in TARGETS {
        for (name, input) in corpus(target) {
            let held = std::panic::catch_unwind(|| {
                body(&input);
                for mutation in mutations(&input) {
                    let held = std::panic::catch_unwind(|| body(&mutation));
                    assert!(held.is_ok(), "on the mutation {mutation:02x?}");
                }
            });
            assert!(held.is_ok(), "corpus/{target}/{name}");
        }
    }
}

#[test]
fn every_corpus_reaches_both_ends_of_its_parsers() {
    for (target, body) in TARGETS {
        let inputs = corpus(target);
        let mutated = || inputs.iter().flat_map(|(_, input)| mutations(input));
        assert!(
            inputs.iter().any(|(_, input)| body(input)),
            "{target}: nothing in the corpus is accepted"
        );
        assert!(
            mutated().any(|input| !body(&input)),
            "{target}: nothing is refused"
        );
    }
}

#[test]
fn the_corpus_is_small() {
    for (target, _) in TARGETS {
        for (name, input) in corpus(target) {
            assert!(input.len() <= 8192, "corpus/{target}/{name}");
        }
    }
}

#[test]
fn manifest_targets_and_corpus_are_those_of_the_list() {
    let listed: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("fuzz_targets"), listed);
    assert_eq!(names("corpus"), listed);
    let manifest = fs::read_to_string(here("Cargo.toml")).unwrap();
    let bins: BTreeSet<String> = manifest
        .split("[[bin]]")
        .skip(1)
        .map(|bin| bin.split('"').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(bins, listed);
    for name in &listed {
        let source = fs::read_to_string(here(&format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(source.contains(&format!("fuzz::{name}(data)")), "{name}");
    }
}

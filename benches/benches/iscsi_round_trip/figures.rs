//! Medians and ratios of what was measured.

use crate::initiators::Command;
use serde_json::{Value, json};

/// Who talked to whom, with which command.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Pair {
    pub(crate) command: Command,
    pub(crate) initiator: &'static str,
    pub(crate) target: &'static str,
}

/// One batch of one pair.
#[derive(Debug)]
pub(crate) struct Batch {
    pair: Pair,
    median_us: f64,
    p99_us: f64,
}

impl Batch {
    pub(crate) fn new(pair: Pair, mut took_ns: Vec<u64>) -> Self {
        assert!(!took_ns.is_empty(), "a batch has commands");
        took_ns.sort_unstable();
        Self {
            pair,
            median_us: micros(took_ns[took_ns.len() / 2]),
            p99_us: micros(took_ns[took_ns.len() * 99 / 100]),
        }
    }
}

/// All batches of a pair.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) pair: Pair,
    pub(crate) median_us: f64,
    pub(crate) p99_us: f64,
}

impl Summary {
    pub(crate) fn json(&self) -> Value {
        json!({
            "command": self.pair.command.name(),
            "initiator": self.pair.initiator,
            "target": self.pair.target,
            "median_us": rounded(self.median_us),
            "p99_us": rounded(self.p99_us),
        })
    }
}

/// Medians over the rounds of each pair.
pub(crate) fn summaries(batches: &[Batch]) -> Vec<Summary> {
    pairs(batches)
        .into_iter()
        .map(|pair| Summary {
            pair,
            median_us: median(medians_of(batches, pair)),
            p99_us: median(of(batches, pair).map(|batch| batch.p99_us).collect()),
        })
        .collect()
}

/// One side beside the other.
#[derive(Debug)]
pub(crate) struct Ratio {
    pub(crate) what: String,
    pub(crate) median: f64,
    rounds: Vec<f64>,
}

impl Ratio {
    pub(crate) fn json(&self) -> Value {
        let rounds: Vec<f64> = self.rounds.iter().map(|&ratio| rounded(ratio)).collect();
        json!({ "what": self.what, "median": rounded(self.median), "rounds": rounds })
    }
}

/// Our initiator beside each other one over the same target, our target beside each other one under the same initiator;
/// each round's ratio, for the rounds are what was interleaved.
pub(crate) fn ratios(batches: &[Batch]) -> Vec<Ratio> {
    let all = pairs(batches);
    let mut ratios = Vec::new();
    for &ours in &all {
        for &peer in &all {
            let what = if ours.command != peer.command {
                continue;
            } else if ours.initiator == "ours"
                && peer.initiator != "ours"
                && ours.target == peer.target
            {
                format!(
                    "initiator: ours / {}, over {}",
                    peer.initiator,
                    named("target", ours.target)
                )
            } else if ours.target == "ours"
                && peer.target != "ours"
                && ours.initiator == peer.initiator
            {
                format!(
                    "target: ours / {}, under {}",
                    peer.target,
                    named("initiator", ours.initiator)
                )
            } else {
                continue;
            };
            let rounds: Vec<f64> = medians_of(batches, ours)
                .iter()
                .zip(medians_of(batches, peer))
                .map(|(one, other)| one / other)
                .collect();
            ratios.push(Ratio {
                what: format!("{}, {what}", ours.command.name()),
                median: median(rounds.clone()),
                rounds,
            });
        }
    }
    ratios
}

fn named(what: &str, name: &str) -> String {
    if name == "ours" {
        format!("our {what}")
    } else {
        name.to_owned()
    }
}

fn pairs(batches: &[Batch]) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = batches.iter().map(|batch| batch.pair).collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

fn of(batches: &[Batch], pair: Pair) -> impl Iterator<Item = &Batch> {
    batches.iter().filter(move |batch| batch.pair == pair)
}

fn medians_of(batches: &[Batch], pair: Pair) -> Vec<f64> {
    of(batches, pair).map(|batch| batch.median_us).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a command takes far less than 2^53 ns"
)]
fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

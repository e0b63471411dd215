//! What was measured, as text and as JSON.
#![expect(clippy::print_stdout, reason = "the tables are the program's result")]

use serde::Serialize;

use crate::{
    engine::Engine,
    engines::{OURS, raw},
    goals::{Goal, Verdict},
    machine::Machine,
    rounds::{Samples, median},
    rows::RAW,
    system_calls::SystemCalls,
};

/// The whole run. Its JSON is this.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) rounds: u16,
    pub(crate) machine: Machine,
    /// How they were counted, or why not.
    pub(crate) system_calls: String,
    pub(crate) engines: Vec<EngineUsed>,
    pub(crate) rows: Vec<Row>,
}

#[derive(Serialize)]
pub(crate) struct EngineUsed {
    name: String,
    options: String,
}

impl EngineUsed {
    pub(crate) fn list(engines: &[Box<dyn Engine>]) -> Vec<Self> {
        let raw = Self {
            name: RAW.into(),
            options: raw::OPTIONS.into(),
        };
        let used = engines.iter().map(|engine| Self {
            name: engine.name().into(),
            options: engine.options(),
        });
        std::iter::once(raw).chain(used).collect()
    }
}

/// What a figure counts, and which way is better.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    Microseconds,
    Milliseconds,
    RecordsPerSecond,
    Kibibytes,
}

impl Unit {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Microseconds => "µs",
            Self::Milliseconds => "ms",
            Self::RecordsPerSecond => "records/s",
            Self::Kibibytes => "KiB",
        }
    }

    /// How many times as good this is as the other: its speed over the other's speed.
    pub(crate) fn times_as_good(self, this: &Measurement, other: &Measurement) -> f64 {
        match self {
            Self::RecordsPerSecond => this.median / other.median,
            Self::Microseconds | Self::Milliseconds | Self::Kibibytes => other.median / this.median,
        }
    }
}

#[derive(Serialize)]
pub(crate) struct Row {
    name: String,
    title: String,
    unit: Unit,
    measurements: Vec<Measurement>,
    goals: Vec<Verdict>,
}

/// One engine in one row. Ratios are of the medians, this over the other.
#[derive(Debug, Serialize)]
pub(crate) struct Measurement {
    pub(crate) engine: String,
    pub(crate) median: f64,
    lowest: f64,
    highest: f64,
    samples: Vec<f64>,
    to_raw: Option<f64>,
    to_ours: Option<f64>,
    system_calls: Option<SystemCalls>,
}

impl Row {
    pub(crate) fn new(
        name: &str,
        title: String,
        unit: Unit,
        samples: Vec<Samples>,
        goals: &[Goal],
    ) -> Self {
        let median_of = |name: &str| {
            samples
                .iter()
                .find(|samples| samples.engine == name)
                .map(|samples| median(&samples.samples))
        };
        let (raw, ours) = (median_of(RAW), median_of(OURS));
        let measurements: Vec<_> = samples
            .into_iter()
            .map(|Samples { engine, samples }| {
                let median = median(&samples);
                Measurement {
                    engine,
                    median,
                    lowest: samples.iter().copied().fold(f64::INFINITY, f64::min),
                    highest: samples.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                    samples,
                    to_raw: raw.map(|raw| median / raw),
                    to_ours: ours.map(|ours| median / ours),
                    system_calls: None,
                }
            })
            .collect();
        let goals = goals
            .iter()
            .map(|goal| goal.judge(unit, &measurements))
            .collect();
        Self {
            name: name.into(),
            title,
            unit,
            measurements,
            goals,
        }
    }

    /// Adds the system calls of those that `count` can count.
    pub(crate) fn count_system_calls(
        mut self,
        mut count: impl FnMut(&str) -> anyhow::Result<Option<SystemCalls>>,
    ) -> anyhow::Result<Self> {
        for measurement in &mut self.measurements {
            measurement.system_calls = count(&measurement.engine)?;
        }
        Ok(self)
    }
}

pub(crate) fn print_head(report: &Report) {
    let Machine {
        directory,
        file_system,
        kernel,
        processors,
        load_average,
        scheduling,
    } = &report.machine;
    println!(
        "log-peers: {} rounds, seed {}, order shuffled in each round",
        report.rounds, report.seed
    );
    println!(
        "  {directory} on {file_system}; Linux {kernel}; {processors} processors; load {load_average}; {scheduling}"
    );
    if report.machine.is_busy() {
        println!(
            "  BUSY: {}",
            if report.machine.has_precedence() {
                "whose file grows also waits for the file system's journal, whose thread has no precedence: engines \
                 with 4 ms in a row are better than it says"
            } else {
                "after each wait for the disk comes a wait for a processor; see `chrt -f 1` in main.rs"
            }
        );
    }
    println!("  payloads: bytes of a seeded generator, which do not compress");
    println!("  system calls per append: {}", report.system_calls);
    for EngineUsed { name, options } in &report.engines {
        println!("  {name:<12} {options}");
    }
}

pub(crate) fn print_row(row: &Row) {
    println!("\n{}   [{}]", row.title, row.name);
    let columns = (row.unit.name(), "lowest", "highest", "x raw", "x ours");
    println!(
        "  {:<14} {:>10} {:>10} {:>10} {:>7} {:>7}",
        "", columns.0, columns.1, columns.2, columns.3, columns.4
    );
    for m in &row.measurements {
        let (to_raw, to_ours) = (ratio(m.to_raw), ratio(m.to_ours));
        let (median, lowest, highest) = (figure(m.median), figure(m.lowest), figure(m.highest));
        let calls = m
            .system_calls
            .as_ref()
            .map_or(String::new(), |calls| format!("   {calls}"));
        let name = &m.engine;
        println!(
            "  {name:<14} {median:>10} {lowest:>10} {highest:>10} {to_raw:>7} {to_ours:>7}{calls}"
        );
    }
    for Verdict {
        goal,
        measured,
        against,
        met,
    } in &row.goals
    {
        let met = met.map_or("not measured", |met| if met { "met" } else { "NOT MET" });
        let measured = measured.map_or(String::new(), |measured| format!("{measured:.2}: "));
        let against = against
            .as_ref()
            .map_or(String::new(), |name| format!(" ({name})"));
        println!("  goal: {goal}: {measured}{met}{against}");
    }
}

pub(crate) fn print_end(report: &Report) {
    let verdicts = || {
        report
            .rows
            .iter()
            .flat_map(|row| &row.goals)
            .map(|verdict| verdict.met)
    };
    let count = |wanted: Option<bool>| verdicts().filter(|met| *met == wanted).count();
    println!(
        "\ngoals: {} met, {} not met, {} not measured",
        count(Some(true)),
        count(Some(false)),
        count(None)
    );
}

fn figure(value: f64) -> String {
    if value < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

fn ratio(value: Option<f64>) -> String {
    value.map_or("-".into(), |value| format!("{value:.2}"))
}

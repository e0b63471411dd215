//! What a bench says: that it begins, each run, and the outcome with everything in it.

use super::conditions::Conditions;
use super::peer::Figure;
use super::series::{Series, Summary};
use crate::clock::Moment;
use crate::output::{BAD, FAINT, GOOD, Report, STRONG, WARN};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io::{self, Write};

/// The schema of all of it.
const SCHEMA: &str = "bench";

/// The bench begins.
pub(super) struct Began<'a> {
    /// Which.
    pub(super) bench: &'static str,
    /// Under which conditions.
    pub(super) conditions: &'a Conditions,
}

impl Report for Began<'_> {
    fn schema(&self) -> &'static str {
        SCHEMA
    }

    fn json(&self) -> Value {
        event(
            "began",
            json!({ "bench": self.bench, "conditions": self.conditions }),
        )
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        writeln!(
            page,
            "{STRONG}{}{STRONG:#} on {}",
            self.bench,
            self.conditions.words()
        )
    }
}

/// A run is over.
pub(super) struct Run<'a> {
    /// What was done.
    pub(super) name: &'a str,
    /// Its number, from 1.
    pub(super) run: usize,
    /// Of how many.
    pub(super) of: usize,
    /// What it took.
    pub(super) value: f64,
    /// In this unit.
    pub(super) unit: &'static str,
    /// How late this host's timers were meanwhile.
    pub(super) lateness_ms: f64,
    /// That is too late to be counted as this host's normal.
    pub(super) late: bool,
}

impl Report for Run<'_> {
    fn schema(&self) -> &'static str {
        SCHEMA
    }

    fn json(&self) -> Value {
        event(
            "run",
            json!({
                "name": self.name,
                "run": self.run,
                "of": self.of,
                "value": self.value,
                "unit": self.unit,
                "lateness_ms": self.lateness_ms,
                "late": self.late,
            }),
        )
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        let late = if self.late {
            format!("  {WARN}late: timers {:.1} ms{WARN:#}", self.lateness_ms)
        } else {
            String::new()
        };
        writeln!(
            page,
            "{FAINT}{:>5}/{:<5}{FAINT:#} {:<24} {:>9.1} {}{late}",
            self.run, self.of, self.name, self.value, self.unit
        )
    }
}

/// Something that has to hold in every run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Check {
    /// What.
    pub(super) name: String,
    /// In how many runs it held.
    pub(super) passed: usize,
    /// In how many it did not.
    pub(super) failed: usize,
    /// What was seen first where it did not.
    pub(super) seen: Option<String>,
}

impl Check {
    /// One that was never tried.
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            passed: 0,
            failed: 0,
            seen: None,
        }
    }

    /// One more run.
    pub(super) fn count(&mut self, held: Result<(), String>) {
        match held {
            Ok(()) => self.passed += 1,
            Err(seen) => {
                self.failed += 1;
                self.seen.get_or_insert(seen);
            }
        }
    }
}

/// The outcome.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Outcome {
    /// Which bench.
    pub(super) bench: String,
    /// Under which conditions.
    pub(super) conditions: Conditions,
    /// The figures.
    pub(super) series: Vec<Series>,
    /// What had to hold.
    pub(super) checks: Vec<Check>,
    /// Other systems.
    pub(super) peers: Vec<Figure>,
    /// What was left out, and why.
    pub(super) remarks: Vec<String>,
}

impl Outcome {
    /// Did every check hold in every run?
    pub(super) fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.failed == 0)
    }

    /// As a line of JSON has it.
    pub(super) fn document(&self) -> Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        for (place, series) in self.series.iter().enumerate() {
            value["series"][place]["summary"] = json!(series.summary());
        }
        event("outcome", value)
    }
}

impl Report for Outcome {
    fn schema(&self) -> &'static str {
        SCHEMA
    }

    fn json(&self) -> Value {
        self.document()
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        writeln!(
            page,
            "\n{STRONG}{:<44} {:>7} {:>5} {:>10} {:>10} {:>10} {:>10} {:>10}{STRONG:#}",
            "", "n", "late", "min", "p50", "p99", "p99.9", "max"
        )?;
        for series in &self.series {
            let name = format!("{} ({})", series.name, series.unit);
            match series.summary() {
                Some(summary) => row(page, &name, &summary)?,
                None => writeln!(page, "{name:<44} {:>7}", 0)?,
            }
        }
        for check in &self.checks {
            let (mark, style) = if check.failed == 0 {
                ("ok", GOOD)
            } else {
                ("FAILED", BAD)
            };
            let (name, passed, failed) = (&check.name, check.passed, check.failed);
            write!(
                page,
                "{style}{mark:<6}{style:#} {name}: {passed} held, {failed} did not"
            )?;
            match &check.seen {
                Some(seen) => writeln!(page, " ({seen})")?,
                None => writeln!(page)?,
            }
        }
        for peer in &self.peers {
            writeln!(page, "peer   {}", peer.words())?;
        }
        for remark in &self.remarks {
            writeln!(page, "note   {remark}")?;
        }
        let [before, ..] = self.conditions.load_start;
        let [after, ..] = self.conditions.load_end;
        writeln!(
            page,
            "{FAINT}load {before:.2} at the start, {after:.2} at the end{FAINT:#}"
        )
    }
}

fn row(page: &mut dyn Write, name: &str, summary: &Summary) -> io::Result<()> {
    let maybe = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), short);
    writeln!(
        page,
        "{name:<44} {:>7} {:>5} {:>10} {STRONG}{:>10}{STRONG:#} {:>10} {:>10} {:>10}",
        summary.n,
        summary.late,
        short(summary.min),
        short(summary.p50),
        maybe(summary.p99),
        maybe(summary.p999),
        short(summary.max)
    )
}

/// A figure with as many digits as say something.
pub(super) fn short(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e6 || value.abs() >= 1000.0 {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    }
}

fn event(name: &str, fields: Value) -> Value {
    let Moment { time, monotonic_ns } = crate::clock::now();
    let mut value = json!({ "event": name, "time": time, "monotonic_ns": monotonic_ns });
    if let (Value::Object(all), Value::Object(fields)) = (&mut value, fields) {
        all.extend(fields);
    }
    value
}

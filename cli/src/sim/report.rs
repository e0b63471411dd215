//! What a simulation counted, as text and as a document.

use super::mode_name;
use crate::output::{BAD, FAINT, GOOD, Report, STRONG};
use quorum_core::arbitration::Mode;
use quorum_sim::counts::Counts;
use quorum_sim::run::Outcome;
use scsi::logical_unit::Behaviour;
use serde_json::{Map, Value, json};
use std::io::{self, Write};
use std::time::Duration;

/// A world in which a property did not hold.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    seed: u64,
    plan: String,
    violations: Vec<String>,
    timeline: Vec<String>,
}

impl Failed {
    pub(super) fn of(outcome: Box<Outcome>) -> Self {
        Self {
            seed: outcome.plan.seed,
            plan: outcome.plan.to_string(),
            violations: outcome.violations.iter().map(ToString::to_string).collect(),
            timeline: outcome.timeline,
        }
    }
}

/// What was simulated.
pub(super) struct Simulated {
    pub(super) seed: u64,
    pub(super) nodes: u8,
    pub(super) behaviour: Option<Behaviour>,
    pub(super) mode: Option<Mode>,
    pub(super) runs: u64,
    pub(super) counts: Counts,
    /// In real time.
    pub(super) took: Duration,
    pub(super) failed: Option<Failed>,
    /// Transitions that the long run took too seldom.
    pub(super) rare: Vec<String>,
}

impl Simulated {
    fn per_second(&self, count: u64) -> u64 {
        let millis = self.took.as_millis().max(1);
        u64::try_from(u128::from(count) * 1000 / millis).unwrap_or(u64::MAX)
    }

    fn times_real_time(&self) -> u64 {
        self.per_second(self.counts.simulated.as_secs())
    }
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl Report for Simulated {
    fn schema(&self) -> &'static str {
        "sim-arbitration"
    }

    fn json(&self) -> Value {
        let counts = &self.counts;
        let faults: Map<String, Value> = counts
            .faults()
            .iter()
            .map(|(kind, count)| (kind.name().to_owned(), json!(count)))
            .collect();
        let guards: Map<String, Value> = counts
            .guards()
            .iter()
            .map(|(guard, count)| (guard.name().to_owned(), json!(count)))
            .collect();
        let mut transitions = Vec::new();
        for mode in [Mode::Persistent, Mode::Spc2] {
            for ((from, to), count) in counts.transitions(mode) {
                transitions.push(json!({
                    "mode": mode_name(mode),
                    "from": from.name(),
                    "to": to.name(),
                    "count": count,
                }));
            }
        }
        json!({
            "seed": self.seed.to_string(),
            "nodes": self.nodes,
            "behaviour": self.behaviour.map(Behaviour::name),
            "mode": self.mode.map(mode_name),
            "passed": self.runs - u64::from(self.failed.is_some()),
            "failed": u64::from(self.failed.is_some()),
            "simulated_ms": ms(counts.simulated),
            "real_ms": ms(self.took),
            "times_real_time": self.times_real_time(),
            "events": counts.events,
            "events_per_second": self.per_second(counts.events),
            "terms": counts.terms,
            "owners": counts.owners,
            "changes_of_owner": counts.changes,
            "writes": counts.writes,
            "acknowledged": counts.acknowledged,
            "exposed": counts.exposed,
            "exposed_with_aptpl": counts.exposed_with_aptpl,
            "acknowledged_exposed": counts.acknowledged_exposed,
            "revived": counts.revived,
            "let_in": counts.let_in,
            "acknowledged_in_logs": counts.acknowledged_in_logs,
            "late_log_writes": counts.late_log_writes,
            "logs_exposed": counts.logs_exposed,
            "open_longest_ms": ms(counts.open_longest),
            "stalls_told": counts.stalls,
            "healed": counts.healed,
            "healed_longest_ms": ms(counts.healed_longest),
            "healed_room_per_mille": counts.healed_room_per_mille,
            "faults_total": counts.all_faults(),
            "faults": faults,
            "guard_trials": counts.guard_trials,
            "guards": guards,
            "transitions": transitions,
            "rare_transitions": self.rare,
            "failure": self.failed.as_ref().map(|failed| json!({
                "seed": failed.seed.to_string(),
                "world": failed.plan,
                "violations": failed.violations,
                "timeline": failed.timeline,
            })),
        })
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        self.summary(page)?;
        self.tables(page)?;
        for rare in &self.rare {
            writeln!(page, "{BAD}too seldom{BAD:#} {rare}")?;
        }
        let Some(failed) = &self.failed else {
            return writeln!(
                page,
                "{GOOD}{} worlds, every property held{GOOD:#}",
                self.runs
            );
        };
        writeln!(page, "\n{STRONG}{}{STRONG:#}", failed.plan)?;
        for line in &failed.timeline {
            let style = if line.contains("VIOLATED") {
                BAD
            } else if line.contains("!!") || line.contains("    ") {
                FAINT
            } else {
                anstyle::Style::new()
            };
            writeln!(page, "{style}{line}{style:#}")?;
        }
        for violation in &failed.violations {
            writeln!(page, "{BAD}did not hold{BAD:#} {violation}")?;
        }
        writeln!(
            page,
            "again: qctl sim arbitration --seed {} --runs 1{}{} --nodes {}",
            failed.seed,
            self.mode
                .map_or_else(String::new, |mode| format!(" --mode {}", mode_name(mode))),
            self.behaviour
                .map_or_else(String::new, |behaviour| format!(" --behaviour {behaviour}")),
            self.nodes
        )
    }
}

impl Simulated {
    fn summary(&self, page: &mut dyn Write) -> io::Result<()> {
        let counts = &self.counts;
        writeln!(
            page,
            "seed {}: {} worlds of up to {} nodes, {} simulated seconds in {:.1} s: {} times real time, {} events a second",
            self.seed,
            self.runs,
            self.nodes,
            counts.simulated.as_secs(),
            self.took.as_secs_f64(),
            self.times_real_time(),
            self.per_second(counts.events)
        )?;
        writeln!(
            page,
            "{} terms, {} changes of owner, one in {:.1} s; {} faults; {} writes, {} acknowledged",
            counts.terms,
            counts.changes,
            counts.simulated.as_secs_f64() / (counts.changes.max(1) as f64),
            counts.all_faults(),
            counts.writes,
            counts.acknowledged
        )?;
        writeln!(
            page,
            "exposed {} writes, {} in persistent mode with APTPL; {} let in by a late REGISTER; under a live owner the disk was open {} ms at most",
            counts.exposed,
            counts.exposed_with_aptpl,
            counts.let_in,
            ms(counts.open_longest)
        )?;
        writeln!(
            page,
            "{} of the acknowledged records in the shipped log, beside {} late writes of it; {} logs not judged to the end",
            counts.acknowledged_in_logs, counts.late_log_writes, counts.logs_exposed
        )?;
        writeln!(
            page,
            "owners were told {} times that their host had stood still; healed {} worlds, the slowest in {} ms; of the predicted bound {}.{} % were left at least\n",
            counts.stalls,
            counts.healed,
            ms(counts.healed_longest),
            counts.healed_room_per_mille / 10,
            counts.healed_room_per_mille % 10
        )
    }

    fn tables(&self, page: &mut dyn Write) -> io::Result<()> {
        let counts = &self.counts;
        writeln!(page, "{STRONG}faults{STRONG:#}")?;
        for (kind, count) in counts.faults() {
            writeln!(page, "  {:<24} {count:>12}", kind.name())?;
        }
        for mode in [Mode::Persistent, Mode::Spc2] {
            let taken = counts.transitions(mode);
            if taken.is_empty() {
                continue;
            }
            writeln!(page, "{STRONG}transitions, {}{STRONG:#}", mode_name(mode))?;
            for ((from, to), count) in taken {
                writeln!(
                    page,
                    "  {:<18} -> {:<18} {count:>12}",
                    from.name(),
                    to.name()
                )?;
            }
        }
        writeln!(
            page,
            "{STRONG}guards{STRONG:#}, in how many of {} inputs that were tried without them something else would have been done",
            counts.guard_trials
        )?;
        for (guard, count) in counts.guards() {
            writeln!(page, "  {:<28} {count:>12}", guard.name())?;
        }
        writeln!(page)
    }
}

//! `qctl sim times`: the waiting times that arbitration lives by, and why they are safe.
//!
//! Its home is here, beside the simulator, and not under `arbitrate`: it reads no disk and takes nothing. `qctl
//! arbitrate --takeover` comes to the very times that this prints for the same target.

use super::{mode, mode_name};
use crate::Context;
use crate::exit::{Exit, Failure};
use crate::output::{BAD, FAINT, GOOD, Report, STRONG};
use quorum_core::arbitration::Mode;
use quorum_core::times::{Demand, Measured, Profile, Times, admit};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::time::Duration;

/// `qctl sim times`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  qctl sim times                              the profile `default`
  qctl sim times --takeover 1s                the times for a takeover within a second
  qctl sim times --takeover 1s --round-trip 2ms --lateness 4ms --nodes 3
  qctl sim times --profile fast --measured-round-trip 7ms --measured-lateness 1ms
                                              may a node with this disk and this host live by `fast`?

With --takeover the figures are what the times allow for; what is left out follows from the target, and is the same
for every node that names it. Ends with 0, or with 36 where there are no such times, and says what stands in
the way. `qctl disk check` measures a disk.")]
pub(crate) struct Args {
    /// The protocol: pr or scsi2
    #[arg(long, default_value = "pr", value_parser = mode)]
    mode: Mode,
    /// The times of this profile: classic, default or fast
    #[arg(long, value_name = "NAME", conflicts_with = "takeover", value_parser = profile)]
    profile: Option<Profile>,
    /// Solve for this: from the owner's death until the next owner may start anything
    #[arg(long, value_name = "DURATION", value_parser = crate::args::positive_duration)]
    takeover: Option<Duration>,
    /// Allow for this round trip
    #[arg(long, value_name = "DURATION", requires = "takeover", value_parser = crate::args::positive_duration)]
    round_trip: Option<Duration>,
    /// Allow for timers that come so late
    #[arg(long, value_name = "DURATION", requires = "takeover", value_parser = crate::args::duration)]
    lateness: Option<Duration>,
    /// Allow for so long to stop what the disk cannot fence
    #[arg(long, value_name = "DURATION", requires = "takeover", value_parser = crate::args::duration)]
    stop_time: Option<Duration>,
    /// Allow for a target that a reset disturbs for so long
    #[arg(long, value_name = "DURATION", requires = "takeover", value_parser = crate::args::duration)]
    reset_recovery: Option<Duration>,
    /// Allow for clocks whose rate is so many parts per million wrong
    #[arg(long, value_name = "PPM", requires = "takeover")]
    drift: Option<u32>,
    /// Allow for so many nodes
    #[arg(long, value_name = "N", requires = "takeover")]
    nodes: Option<u32>,
    /// Hold a measured round trip against them
    #[arg(long, value_name = "DURATION", value_parser = crate::args::duration)]
    measured_round_trip: Option<Duration>,
    /// Hold a measured lateness of this host's timers against them
    #[arg(long, value_name = "DURATION", value_parser = crate::args::duration)]
    measured_lateness: Option<Duration>,
}

fn profile(name: &str) -> Result<Profile, String> {
    Profile::from_name(name).ok_or_else(|| {
        let names = Profile::ALL.map(Profile::name);
        format!("a profile is one of {}", names.join(", "))
    })
}

impl Args {
    /// Solves, and prints.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let solved = self.solve()?;
        let page = Solved {
            mode: self.mode,
            from: match (self.takeover, self.profile) {
                (Some(_), _) => None,
                (None, profile) => Some(profile.unwrap_or(Profile::Default)),
            },
            target: self.takeover,
            times: solved,
            nodes: self.nodes.unwrap_or(5),
        };
        context.output.report(&page)?;
        let measured = Measured {
            round_trip: self.measured_round_trip.unwrap_or_default(),
            lateness: self.measured_lateness.unwrap_or_default(),
        };
        admit(&solved, self.mode, &measured).map_err(|why| {
            Failure::new(
                Exit::No,
                format!("a node with these figures cannot live by these times: {why}"),
                "choose slower times, or a faster disk or host",
            )
        })?;
        Ok(Exit::Done)
    }

    fn solve(&self) -> Result<Times, Failure> {
        let Some(takeover) = self.takeover else {
            let profile = self.profile.unwrap_or(Profile::Default);
            return Ok(profile.times(self.mode));
        };
        let usual = Demand::for_takeover(self.mode, takeover);
        let demand = Demand {
            round_trip: self.round_trip.unwrap_or(usual.round_trip),
            lateness: self.lateness.unwrap_or(usual.lateness),
            reset_recovery: self.reset_recovery.unwrap_or(usual.reset_recovery),
            stop_time: self.stop_time.unwrap_or(usual.stop_time),
            drift_ppm: self.drift.unwrap_or(usual.drift_ppm),
            nodes: self.nodes.unwrap_or(usual.nodes),
            ..usual
        };
        solve(&demand)
    }
}

/// The times, or a failure that says what stands in the way.
pub(crate) fn solve(demand: &Demand) -> Result<Times, Failure> {
    demand.solve().map_err(|why| {
        Failure::new(
            Exit::No,
            format!(
                "there are no times for a takeover within {} ms: {why}",
                demand.takeover.as_millis()
            ),
            "give it more time, or a faster disk, a quieter host, a shorter stop",
        )
    })
}

struct Solved {
    mode: Mode,
    from: Option<Profile>,
    target: Option<Duration>,
    times: Times,
    nodes: u32,
}

impl Solved {
    fn named(&self) -> [(&'static str, &'static str, Duration); 11] {
        let times = &self.times;
        [
            ("d", "defend_interval", times.defend_interval),
            ("c", "command_bound", times.command_bound),
            ("w", "challenge_wait", times.challenge_wait),
            ("s", "self_stop", times.self_stop),
            ("g", "settle", times.settle),
            ("q", "stop_time", times.stop_time),
            ("l", "round_trip", times.round_trip),
            ("j", "lateness", times.lateness),
            ("R", "reset_recovery", times.reset_recovery),
            ("", "rechallenge_interval", times.rechallenge_interval),
            ("", "takeover_at_most", self.takeover()),
        ]
    }

    fn takeover(&self) -> Duration {
        self.times
            .takeover_at_most(self.nodes.saturating_sub(1).min(15))
    }
}

fn us(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

impl Report for Solved {
    fn schema(&self) -> &'static str {
        "sim-times"
    }

    fn json(&self) -> Value {
        let mut times = serde_json::Map::new();
        for (_, name, span) in self.named() {
            times.insert(format!("{name}_us"), json!(us(span)));
        }
        times.insert(
            "removable_keys".to_owned(),
            json!(self.times.removable_keys),
        );
        times.insert("drift_ppm".to_owned(), json!(self.times.drift_ppm));
        let inequalities: Vec<Value> = self
            .times
            .check(self.mode)
            .iter()
            .map(|one| {
                json!({
                    "name": one.name,
                    "formula": one.formula,
                    "protects": one.protects,
                    "left_us": us(one.left),
                    "right_us": us(one.right),
                    "holds": one.holds(),
                    "slack_us": one.slack_us(),
                })
            })
            .collect();
        json!({
            "mode": mode_name(self.mode),
            "profile": self.from.map(Profile::name),
            "target_ms": self.target.map(|target| us(target) / 1000),
            "times": times,
            "inequalities": inequalities,
        })
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        for (letter, name, span) in self.named() {
            let millis = us(span) as f64 / 1000.0;
            let name = name.replace('_', " ");
            writeln!(
                page,
                "{STRONG}{letter:<2}{STRONG:#}{name:<22} {millis:>12.3} ms"
            )?;
        }
        let Times {
            removable_keys,
            drift_ppm,
            ..
        } = self.times;
        writeln!(
            page,
            "{STRONG}m {STRONG:#}{:<22} {removable_keys:>12}",
            "removable keys"
        )?;
        writeln!(
            page,
            "{STRONG}rho {STRONG:#}{:<20} {drift_ppm:>12} ppm",
            "clock drift"
        )?;
        writeln!(page)?;
        for one in self.times.check(self.mode) {
            let (mark, style) = if one.holds() {
                ("ok", GOOD)
            } else {
                ("NO", BAD)
            };
            writeln!(
                page,
                "{style}{mark:<3}{style:#} {:<44} slack {:>10.3} ms  {FAINT}{}{FAINT:#}",
                one.formula,
                one.slack_us() as f64 / 1000.0,
                one.protects
            )?;
        }
        writeln!(
            page,
            "\nA node's clock must run while the node can act: a hypervisor that stops both is outside of this, and there only \
             the disk fences."
        )
    }
}

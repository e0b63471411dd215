//! `qctl bench`: how long a disk takes, and how long arbitration on it takes, with what is needed to believe it.
//!
//! | module | what it is |
//! |---|---|
//! | [`disk`] | round trips of single commands |
//! | [`arbitration`] | take, hand-over, what a defender costs |
//! | [`failover`] | takeover with the owner killed, stopped, or cut off |
//! | [`report`] | one page with plots, from the document that a bench printed |
//! | [`site`] | the disk under test, and consent where it is a real one |
//! | [`field`] | the contenders of a run |
//! | [`proxy`] | a network that can be cut |
//! | [`witness`] | how late this host's timers are: the doubt about every figure |
//! | [`conditions`], [`series`], [`told`] | figures and what stands beside them, as values and as lines |
//! | [`peer`] | other systems, beside or from stored figures |
//!
//! Rules: a late run is marked, kept and counted, never dropped; a percentile is printed only where there are
//! samples enough for it; a safety check that fails ends the bench with 36.

mod arbitration;
mod conditions;
mod disk;
mod failover;
mod field;
mod peer;
mod proxy;
mod report;
mod series;
mod site;
mod told;
pub(crate) mod witness;

use crate::Context;
use crate::arbitrate::setup::{ModeArg, ProfileArg};
use crate::exit::{Exit, Failure};
use conditions::{Conditions, Rules};
use field::Terms;
use quorum_core::arbitration::Mode;
use quorum_core::times::Times;
use site::Site;
use std::path::{Path, PathBuf};
use told::{Began, Outcome};

/// `qctl bench`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Without DISK it serves an emulated disk on the loopback and measures over iSCSI; that needs no root.

Examples:
  qctl bench disk /dev/sdb                                reads only
  qctl bench failover --runs 100 --html failover.html     on an emulated disk, with a page of plots
  qctl bench arbitration iscsi://192.0.2.1/iqn.2026-01.com.example:q/0 --yes
  qctl bench failover /dev/sdb /dev/sdc /dev/sdd --wwid 6001 --yes    one nexus for each contender
  qctl --json bench failover > f.json && qctl bench report f.json --html f.html")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    /// Round trips of single commands; sends reads only
    Disk(Box<disk::Args>),
    /// Take, hand-over, and what a defender costs
    Arbitration(Box<arbitration::Args>),
    /// Takeover: the owner is killed, stopped, cut off
    Failover(Box<failover::Args>),
    /// A page with plots from what a bench printed with --json
    Report(report::Args),
}

impl Args {
    /// Runs the verb.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        match self.verb {
            Verb::Disk(args) => args.run(context),
            Verb::Arbitration(args) => args.run(context),
            Verb::Failover(args) => args.run(context),
            Verb::Report(args) => args.run(context),
        }
    }
}

/// What the benches with contenders understand.
#[derive(clap::Args, Debug)]
struct Contended {
    /// The disk; once for each contender where a name stands for one nexus (/dev/...)
    #[arg(value_name = "DISK")]
    disks: Vec<String>,
    /// How many contend
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u8).range(2..=16))]
    contenders: u8,
    /// The times: classic, default or fast
    #[arg(long, default_value = "default")]
    profile: ProfileArg,
    /// The protocol
    #[arg(long, value_enum, default_value = "pr")]
    mode: ModeArg,
    /// PREEMPT instead of PREEMPT AND ABORT, for targets that hang in the latter
    #[arg(long)]
    no_abort: bool,
    /// Go on although the target forgets reservations at a power loss
    #[arg(long)]
    accept_no_aptpl: bool,
    /// The quorum log that every contender claims, as `qctl arbitrate --log` names it. A disk that is served here has one
    #[arg(long, value_name = "WHERE")]
    log: Option<String>,
    /// Another system beside it: run here where it is installed and can be, else from stored figures
    #[arg(long, value_enum)]
    peer: Vec<peer::Peer>,
    /// Write a page with plots there
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    consent: crate::disk::plan::Consent,
}

impl Contended {
    /// The mode by its name, and the times in it.
    fn mode(&self) -> Result<(&'static str, Mode), Failure> {
        match self.mode {
            ModeArg::Pr => Ok(("pr", Mode::Persistent)),
            ModeArg::Scsi2 => Ok(("scsi2", Mode::Spc2)),
            ModeArg::Auto => Err(Failure::usage(
                "a bench compares like with like: --mode is pr or scsi2",
                "`qctl disk check DISK` tells which of them the disk has",
            )),
        }
    }

    fn times(&self) -> Result<Times, Failure> {
        Ok(self.profile.0.times(self.mode()?.1))
    }

    /// The disk, and what the contenders go by; none when the plan was all that was wanted. It has begun then.
    fn begin(&self, bench: &'static str, context: &mut Context) -> Result<Option<Begun>, Failure> {
        let Some(site) = Site::contended(self, context)? else {
            return Ok(None);
        };
        let times = self.times()?;
        let mode = self.mode()?.0;
        let rules = Rules::of(mode, self.profile.0.name(), self.contenders, &times);
        let conditions = Conditions::now(site.name(), site.way.name(), &site.identity, Some(rules));
        context.output.event(&Began {
            bench,
            conditions: &conditions,
        })?;
        let without_log = self.terms(mode, None);
        let log = self.log.as_deref().or_else(|| site.log());
        let with_log = log.map(|log| self.terms(mode, Some(log)));
        let outcome = Outcome {
            bench: bench.to_owned(),
            conditions,
            series: Vec::new(),
            checks: Vec::new(),
            peers: Vec::new(),
            remarks: site.remarks.clone(),
        };
        Ok(Some(Begun {
            site,
            times,
            without_log,
            with_log,
            outcome,
        }))
    }

    fn terms(&self, mode: &'static str, log: Option<&str>) -> Terms {
        let mut options: Vec<String> = log.iter().map(|log| format!("--log={log}")).collect();
        if self.no_abort {
            options.push("--no-abort".to_owned());
        }
        if self.accept_no_aptpl {
            options.push("--accept-no-aptpl".to_owned());
        }
        Terms {
            mode,
            profile: self.profile.0.name(),
            options,
            has_log: log.is_some(),
        }
    }
}

/// A bench with contenders that has begun.
struct Begun {
    site: Site,
    times: Times,
    without_log: Terms,
    /// None where no log is named, and none is there.
    with_log: Option<Terms>,
    outcome: Outcome,
}

/// Evenly over a cycle, in an order that avoids every rhythm: multiples of the golden ratio.
fn spread(run: u32) -> f64 {
    (f64::from(run) * 0.618_033_988_749_895).fract()
}

/// Prints the result, writes the page if one is wanted, and ends as the checks say.
fn end(result: &Outcome, html: Option<&Path>, context: &mut Context) -> Result<Exit, Failure> {
    context.output.event(result)?;
    if let Some(path) = html {
        report::write(path, std::slice::from_ref(&result.document()))?;
    }
    Ok(if result.passed() {
        Exit::Done
    } else {
        Exit::No
    })
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn the_moments_are_spread_over_the_whole_cycle() {
        let moments: Vec<f64> = (1..=100).map(spread).collect();
        let tenths = (0..10).map(|tenth| {
            let from = f64::from(tenth) / 10.0;
            let within = |moment: &&f64| (from..from + 0.1).contains(*moment);
            moments.iter().filter(within).count()
        });
        let tenths: Vec<usize> = tenths.collect();
        assert!(
            tenths.iter().all(|count| (9..=11).contains(count)),
            "{tenths:?}"
        );
    }
}

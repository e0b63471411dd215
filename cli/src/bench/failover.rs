//! `qctl bench failover`: an owner is lost, and how long it takes until there is another.
//!
//! One contest for each cause. In each run the present owner is struck at a moment that is spread evenly over
//! the contenders' cycle, the next owner is awaited, and a new process takes the struck node's place.

use super::field::{Field, stood_down};
use super::proxy::Proxy;
use super::series::{Sample, Series};
use super::site::Site;
use super::told::{Check, Run};
use super::witness::Witness;
use super::{Begun, Contended, end, peer, spread};
use crate::Context;
use crate::arbitrate::record::{What, ms};
use crate::contest::Contest;
use crate::contest::phases::Phases;
use crate::exit::{Exit, Failure};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::time::Duration;

/// `qctl bench failover`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Every owner is lost in each way, so many times: killed (SIGKILL), stopped (SIGSTOP, and continued after the
takeover), cut off (its network passes nothing; iscsi:// only).

Examples:
  qctl bench failover                                 on an emulated disk, with the default profile
  qctl bench failover --cause killed --runs 100 --profile fast --html failover.html
  qctl bench failover --peer sanlock                  beside another system

Ends with 36 if a deposed owner acted as one or did not end with 106, or if an owner that nobody struck lost the
disk: then this host is too busy for the profile.")]
pub(super) struct Args {
    #[command(flatten)]
    contended: Contended,
    /// How often an owner is lost in each way
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    runs: u32,
    /// How it is lost; may be repeated. Without it, in every way
    #[arg(long, value_enum)]
    cause: Vec<Cause>,
}

/// How an owner is lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Cause {
    /// SIGKILL
    Killed,
    /// SIGSTOP, and SIGCONT after the takeover
    Stopped,
    /// Its network passes nothing any more
    CutOff,
}

impl Cause {
    const ALL: [Self; 3] = [Self::Killed, Self::Stopped, Self::CutOff];

    const fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Stopped => "stopped",
            Self::CutOff => "cut off",
        }
    }
}

/// What is measured in a run.
struct Measured {
    held: Series,
    owner: Series,
    beyond: Series,
}

impl Args {
    /// Runs it.
    pub(super) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let mut contest = Contest::new();
        let Some(begun) = self.contended.begin("failover", context)? else {
            return Ok(Exit::Done);
        };
        let Begun {
            site,
            times,
            without_log,
            with_log,
            mut outcome,
        } = begun;
        let terms = with_log.as_ref().unwrap_or(&without_log);
        let mut bench = Bench {
            contenders: self.contended.contenders,
            cycle: times.challenge_wait + times.defend_interval,
            lateness: times.lateness,
            witness: Witness::start(),
            undisturbed: Check::new("an owner that nobody struck stayed the owner"),
            stood_down: Check::new("who lost the disk stood down, and ended with 106"),
            apart: Check::new("who lost the disk knew before the next owner started anything"),
        };
        for cause in self.causes() {
            let proxies = if cause == Cause::CutOff {
                match proxies(&site, self.contended.contenders)? {
                    Some(proxies) => proxies,
                    None => {
                        outcome.remarks.push(format!(
                            "not cut off: {} has no network that could be cut here",
                            site.name()
                        ));
                        continue;
                    }
                }
            } else {
                BTreeMap::new()
            };
            let mut field = Field::new(&mut contest, &site, terms);
            let measured = bench.contest(&mut field, cause, &proxies, self.runs, context)?;
            outcome
                .series
                .extend([measured.held, measured.owner, measured.beyond]);
        }
        if terms.has_log {
            // The last owner has parked: the disk is held still.
            Field::new(&mut contest, &site, &without_log).leave_it_free()?;
        }
        outcome.peers = peer::figures(
            &self.contended.peer,
            &outcome.series,
            &contest,
            &site,
            self.contended.no_abort,
            context,
        )?;
        outcome.series.push(bench.witness.series());
        outcome.checks = [bench.undisturbed, bench.stood_down, bench.apart]
            .into_iter()
            .filter(|check| check.passed + check.failed > 0)
            .collect();
        outcome.conditions.end();
        end(&outcome, self.contended.html.as_deref(), context)
    }

    fn causes(&self) -> Vec<Cause> {
        if self.cause.is_empty() {
            Cause::ALL.to_vec()
        } else {
            self.cause.clone()
        }
    }
}

struct Bench {
    contenders: u8,
    /// Contenders repeat themselves this often.
    cycle: Duration,
    /// A run is late when the host's timers were later than this.
    lateness: Duration,
    witness: Witness,
    undisturbed: Check,
    stood_down: Check,
    apart: Check,
}

impl Bench {
    fn contest(
        &mut self,
        field: &mut Field<'_>,
        cause: Cause,
        proxies: &BTreeMap<u8, Proxy>,
        runs: u32,
        context: &mut Context,
    ) -> Result<Measured, Failure> {
        let named = |what: &str| Series::new(format!("owner {}: {what}", cause.name()), "ms");
        let mut measured = Measured {
            held: named("next held"),
            owner: named("next owner"),
            beyond: named("beyond the wait"),
        };
        for (node, proxy) in proxies {
            field.rename(*node, proxy.url().to_owned());
        }
        for node in 1..=self.contenders {
            field.start(node, false)?;
        }
        let mut owner = field.until_ready(None, 0)?;
        let mut since_ns = crate::clock::now().monotonic_ns;
        for run in 1..=runs {
            field.listen(self.cycle.mul_f64(spread(run)))?;
            if let Some(next) = field.owner_since(since_ns) {
                let words = format!("node {owner} lost the disk to node {next} in run {run}");
                self.undisturbed.count(Err(words));
                field.until_ended(owner)?;
                field.start(owner, false)?;
                field.until_contending(owner)?;
                owner = next;
            } else {
                self.undisturbed.count(Ok(()));
            }
            let _before = self.witness.worst();
            let lost_ns = match cause {
                Cause::Killed => field.signal(owner, Signal::SIGKILL),
                Cause::Stopped => field.signal(owner, Signal::SIGSTOP),
                Cause::CutOff => {
                    let at_ns = crate::clock::now().monotonic_ns;
                    proxies.get(&owner).into_iter().for_each(Proxy::cut);
                    at_ns
                }
            };
            let next = field.until_ready(Some(owner), lost_ns)?;
            since_ns = crate::clock::now().monotonic_ns;
            let lateness = self.witness.worst();
            let late = lateness > self.lateness;
            let phases = Phases::of(&field.records, next, lost_ns).ok_or_else(|| untold(next))?;
            let sample = |value| Sample {
                value,
                late,
                phases: Some(phases),
            };
            measured.held.samples.push(sample(phases.held_ms));
            measured.owner.samples.push(Sample {
                phases: None,
                ..sample(phases.owner_ms)
            });
            measured.beyond.samples.push(Sample {
                phases: None,
                ..sample(phases.beyond_wait_ms)
            });
            context.output.event(&Run {
                name: &format!("owner {}", cause.name()),
                run: run as usize,
                of: runs as usize,
                value: phases.owner_ms,
                unit: "ms",
                lateness_ms: ms(lateness),
                late,
            })?;
            self.aftermath(field, cause, owner, lost_ns, phases)?;
            proxies.get(&owner).into_iter().for_each(Proxy::heal);
            field.start(owner, false)?;
            field.until_contending(owner)?;
            field.forget();
            owner = next;
        }
        field.stop_all(Some(owner))?;
        Ok(measured)
    }

    /// What the struck owner does when it can do something again.
    fn aftermath(
        &mut self,
        field: &mut Field<'_>,
        cause: Cause,
        loser: u8,
        lost_ns: u64,
        phases: Phases,
    ) -> Result<(), Failure> {
        let since_ns = match cause {
            Cause::Killed => {
                field.until_ended(loser)?;
                return Ok(());
            }
            Cause::Stopped => field.signal(loser, Signal::SIGCONT),
            // A round that was under way may still have been answered.
            Cause::CutOff => lost_ns + 5_000_000,
        };
        let code = field.until_ended(loser)?;
        stood_down(&mut self.stood_down, field, loser, since_ns, code);
        if cause == Cause::CutOff {
            let knew = field
                .told(loser, lost_ns)
                .find(|record| matches!(record.what, What::Fenced { .. } | What::Stopped { .. }));
            let knew_ms =
                knew.map(|record| ms(Duration::from_nanos(record.monotonic_ns - lost_ns)));
            self.apart.count(match knew_ms {
                Some(knew_ms) if knew_ms <= phases.owner_ms => Ok(()),
                Some(knew_ms) => Err(format!(
                    "node {loser} knew {:.1} ms after it",
                    knew_ms - phases.owner_ms
                )),
                None => Err(format!("node {loser} never told that it knew")),
            });
        }
        Ok(())
    }
}

/// A network for each contender, that can be cut.
fn proxies(site: &Site, contenders: u8) -> Result<Option<BTreeMap<u8, Proxy>>, Failure> {
    let mut proxies = BTreeMap::new();
    for node in 1..=contenders {
        match Proxy::start(site.name_of(node)) {
            None => return Ok(None),
            Some(Ok(proxy)) => {
                proxies.insert(node, proxy);
            }
            Some(Err(error)) => {
                return Err(Failure::new(
                    Exit::CannotOpen,
                    format!("no port for a network that can be cut: {error}"),
                    "leave it out: --cause killed --cause stopped",
                ));
            }
        }
    }
    Ok(Some(proxies))
}

fn untold(node: u8) -> Failure {
    Failure::new(
        Exit::Unknown,
        format!("node {node} is the owner and does not tell how it came to be"),
        "report this",
    )
}

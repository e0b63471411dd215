//! How long a reading takes, its tail, how late this host's own timers are meanwhile, and which set of times that allows.

use crate::bench::witness::Witness;
use crate::clock;
use crate::disk::session::Session;
use crate::exit::Failure;
use quorum_core::arbitration::Mode;
use quorum_core::times::{Profile, Times};
use scsi::reservation::Verb;
use serde_json::{Value, json};
use std::time::Duration;

/// Enough that the 99th percentile is a measured value and not the maximum.
const SAMPLES: usize = 200;

/// A slow disk gets fewer samples: nobody waits minutes for them.
const TOTAL_MAX: Duration = Duration::from_secs(10);

/// A fast disk is read within milliseconds, and a host shows how late it is only in the course of time.
const WATCHED_MIN: Duration = Duration::from_millis(500);

/// Round trips of the reading that a defence round makes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Latency {
    /// Sorted.
    samples: Vec<Duration>,
    /// The latest that one of this host's timers came meanwhile.
    lateness: Duration,
}

/// Whether a set of times stands on a disk this slow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Carried {
    profile: Profile,
    mode: Mode,
    /// The inequality with the least room, and the room.
    tightest: &'static str,
    slack_us: i64,
}

impl Latency {
    /// Measures one verb over the first path.
    pub(super) fn measure(session: &mut Session, verb: &Verb) -> Result<Self, Failure> {
        let witness = Witness::as_a_defender();
        let begin = clock::since_boot();
        let mut samples = Vec::with_capacity(SAMPLES);
        while samples.len() < SAMPLES && clock::since_boot().saturating_sub(begin) < TOTAL_MAX {
            let sent = clock::since_boot();
            let exchange = session.perform(0, verb);
            let took = clock::since_boot().saturating_sub(sent);
            if let Some(failure) = Failure::of_answer(verb, &exchange.answer, session.name()) {
                return Err(failure);
            }
            samples.push(took);
        }
        samples.sort_unstable();
        let watched = clock::since_boot().saturating_sub(begin);
        std::thread::sleep(WATCHED_MIN.saturating_sub(watched));
        Ok(Self {
            samples,
            lateness: witness.worst(),
        })
    }

    /// The smallest sample that so many hundredths of all are not above.
    fn percentile(&self, hundredths: usize) -> Duration {
        let rank = (self.samples.len() * hundredths).div_ceil(100).max(1);
        self.samples.get(rank - 1).copied().unwrap_or_default()
    }

    fn worst(&self) -> Duration {
        self.percentile(100)
    }

    /// Which profiles a disk with this tail and a host with these timers carry: the worst round trip and the worst lateness
    /// stand in the inequalities in place of the profile's own.
    pub(super) fn carried(&self, modes: &[Mode]) -> Vec<Carried> {
        let mut list = Vec::new();
        for &mode in modes {
            for profile in Profile::ALL {
                let times = Times {
                    round_trip: self.worst(),
                    lateness: self.lateness,
                    ..profile.times(mode)
                };
                let tightest = times
                    .check(mode)
                    .into_iter()
                    .min_by_key(|inequality| (inequality.holds(), inequality.slack_us()));
                list.extend(tightest.map(|inequality| Carried {
                    profile,
                    mode,
                    tightest: inequality.name,
                    slack_us: if inequality.holds() {
                        inequality.slack_us()
                    } else {
                        inequality.slack_us().min(-1)
                    },
                }));
            }
        }
        list
    }

    /// As a document has it.
    pub(super) fn json(&self) -> Value {
        let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        json!({
            "samples": self.samples.len(),
            "median_us": micros(self.percentile(50)),
            "p99_us": micros(self.percentile(99)),
            "max_us": micros(self.worst()),
            "timer_lateness_us": micros(self.lateness),
        })
    }

    /// As a person reads it.
    pub(super) fn words(&self) -> String {
        format!(
            "median {}, 99% within {}, worst of {}: {}; this host's timers were up to {} late",
            short(self.percentile(50)),
            short(self.percentile(99)),
            self.samples.len(),
            short(self.worst()),
            short(self.lateness)
        )
    }
}

impl Carried {
    /// Do all inequalities hold?
    pub(super) const fn holds(&self) -> bool {
        self.slack_us >= 0
    }

    const fn mode_name(&self) -> &'static str {
        match self.mode {
            Mode::Persistent => "pr",
            Mode::Spc2 => "scsi2",
        }
    }

    /// As a document has it.
    pub(super) fn json(&self) -> Value {
        json!({
            "profile": self.profile.name(),
            "mode": self.mode_name(),
            "carries": self.holds(),
            "tightest": self.tightest,
            "slack_us": self.slack_us,
        })
    }

    /// As a person reads it.
    pub(super) fn words(&self) -> String {
        let (profile, mode) = (self.profile.name(), self.mode_name());
        if self.holds() {
            let room = short(Duration::from_micros(self.slack_us.unsigned_abs()));
            format!(
                "{profile} ({mode}): yes, with {room} to spare in {}",
                self.tightest
            )
        } else {
            let over = short(Duration::from_micros(self.slack_us.unsigned_abs()));
            format!(
                "{profile} ({mode}): no, {} is missed by {over}",
                self.tightest
            )
        }
    }
}

fn short(span: Duration) -> String {
    if span < Duration::from_millis(10) {
        format!("{} us", span.as_micros())
    } else {
        format!("{} ms", span.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(millis: &[u64]) -> Latency {
        Latency {
            samples: millis.iter().copied().map(Duration::from_millis).collect(),
            lateness: Duration::ZERO,
        }
    }

    #[test]
    fn percentiles_are_samples() {
        let many = latency(&(1..=200).collect::<Vec<_>>());
        assert_eq!(many.percentile(50), Duration::from_millis(100));
        assert_eq!(many.percentile(99), Duration::from_millis(198));
        assert_eq!(many.worst(), Duration::from_millis(200));
        assert_eq!(latency(&[]).worst(), Duration::ZERO);
    }

    #[test]
    fn a_slow_disk_carries_slow_times_only() {
        let carries = |millis| -> Vec<&str> {
            latency(&[millis])
                .carried(&[Mode::Persistent])
                .iter()
                .filter(|carried| carried.holds())
                .map(|carried| carried.profile.name())
                .collect()
        };
        assert_eq!(carries(1), ["classic", "default", "fast"]);
        assert_eq!(carries(20), ["classic", "default"]);
        assert_eq!(carries(60), ["classic"]);
        assert_eq!(carries(2000), [""; 0]);
    }

    #[test]
    fn a_host_whose_timers_are_late_carries_slow_times_only() {
        let carries = |lateness| {
            let host = Latency {
                lateness: Duration::from_millis(lateness),
                ..latency(&[1])
            };
            let carried = host.carried(&[Mode::Persistent]);
            let carried = carried.iter().filter(|carried| carried.holds());
            carried
                .map(|carried| carried.profile.name())
                .collect::<Vec<_>>()
        };
        assert_eq!(carries(1), ["classic", "default", "fast"]);
        assert_eq!(carries(50), ["classic", "default"]);
        assert_eq!(carries(400), ["classic"]);
        assert_eq!(carries(5000), [""; 0]);
    }
}

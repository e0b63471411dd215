//! What is promised, and whether it is met.

use serde::Serialize;

use crate::{
    engines::OURS,
    report::{Measurement, Unit},
    rows::RAW,
};

/// Whom ours is held against.
#[derive(Clone, Copy)]
pub(crate) enum Other {
    Raw,
    BestPeer,
    Peer(&'static str),
}

#[derive(Clone, Copy)]
pub(crate) enum Goal {
    /// Ours takes at most so many times as long.
    TimeAtMost(f64, Other),
    /// Ours is at least so many times as fast.
    SpeedAtLeast(f64, Other),
    /// Ours is at most this, in the row's unit.
    AtMost(f64),
}

/// A goal beside what was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Verdict {
    pub(crate) goal: String,
    /// In the goal's own terms; none when somebody it needs was not measured.
    pub(crate) measured: Option<f64>,
    /// Who it was held against.
    pub(crate) against: Option<String>,
    pub(crate) met: Option<bool>,
}

impl Goal {
    pub(crate) fn judge(self, unit: Unit, measurements: &[Measurement]) -> Verdict {
        let ours = find(measurements, OURS);
        let other = match self {
            Self::TimeAtMost(_, other) | Self::SpeedAtLeast(_, other) => {
                other.find(unit, measurements)
            }
            Self::AtMost(_) => None,
        };
        let pair = ours.zip(other);
        let measured = match self {
            Self::TimeAtMost(..) => pair.map(|(ours, other)| 1.0 / unit.times_as_good(ours, other)),
            Self::SpeedAtLeast(..) => pair.map(|(ours, other)| unit.times_as_good(ours, other)),
            Self::AtMost(_) => ours.map(|ours| ours.median),
        };
        let met = measured.map(|measured| match self {
            Self::TimeAtMost(bound, _) | Self::AtMost(bound) => measured <= bound,
            Self::SpeedAtLeast(bound, _) => measured >= bound,
        });
        Verdict {
            goal: self.text(unit),
            measured,
            against: other.map(|other| other.engine.clone()),
            met,
        }
    }

    fn text(self, unit: Unit) -> String {
        match self {
            Self::TimeAtMost(bound, other) => {
                format!("at most {bound:.2} x the time of {}", other.text())
            }
            Self::SpeedAtLeast(bound, other) => {
                format!("at least {bound:.2} x as fast as {}", other.text())
            }
            Self::AtMost(bound) => format!("at most {bound} {}", unit.name()),
        }
    }
}

impl Other {
    fn find(self, unit: Unit, measurements: &[Measurement]) -> Option<&Measurement> {
        match self {
            Self::Raw => find(measurements, RAW),
            Self::Peer(name) => find(measurements, name),
            Self::BestPeer => measurements
                .iter()
                .filter(|m| m.engine != OURS && m.engine != RAW)
                .reduce(|best, m| {
                    if unit.times_as_good(m, best) > 1.0 {
                        m
                    } else {
                        best
                    }
                }),
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Raw => "the raw write",
            Self::BestPeer => "the best peer",
            Self::Peer(name) => name,
        }
    }
}

fn find<'a>(measurements: &'a [Measurement], name: &str) -> Option<&'a Measurement> {
    measurements
        .iter()
        .find(|measurement| measurement.engine == name)
}

//! Figures of one kind: every sample, and what is said of all.
//!
//! A percentile is a sample: the smallest one that so many are not above. It is given only where at least one
//! sample lies beyond it, so that it is not the maximum under another name.

use crate::contest::phases::Phases;
use serde::{Deserialize, Serialize};

/// One figure.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Sample {
    /// In the series' unit.
    pub(super) value: f64,
    /// This host's timers were late meanwhile, by more than the times allow.
    pub(super) late: bool,
    /// Where it went, of a takeover.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) phases: Option<Phases>,
}

/// Figures of one kind.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Series {
    /// What was measured.
    pub(super) name: String,
    /// `ms`, `us`, or what is counted.
    pub(super) unit: String,
    /// In the order in which they were measured.
    pub(super) samples: Vec<Sample>,
}

/// What is said of a series.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct Summary {
    pub(super) n: usize,
    /// How many of them were late.
    pub(super) late: usize,
    pub(super) min: f64,
    pub(super) p50: f64,
    pub(super) p99: Option<f64>,
    pub(super) p999: Option<f64>,
    pub(super) max: f64,
}

impl Series {
    /// An empty one.
    pub(super) fn new(name: impl Into<String>, unit: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            unit: unit.into(),
            samples: Vec::new(),
        }
    }

    /// One more.
    pub(super) fn push(&mut self, value: f64, late: bool) {
        self.samples.push(Sample {
            value,
            late,
            phases: None,
        });
    }

    /// What is said of it; nothing of nothing.
    pub(super) fn summary(&self) -> Option<Summary> {
        let sorted = self.sorted();
        Some(Summary {
            n: sorted.len(),
            late: self.samples.iter().filter(|sample| sample.late).count(),
            min: *sorted.first()?,
            p50: percentile(&sorted, 500)?,
            p99: (sorted.len() >= 100)
                .then(|| percentile(&sorted, 990))
                .flatten(),
            p999: (sorted.len() >= 1000)
                .then(|| percentile(&sorted, 999))
                .flatten(),
            max: *sorted.last()?,
        })
    }

    /// The values, from small to large.
    pub(super) fn sorted(&self) -> Vec<f64> {
        let mut values: Vec<f64> = self.samples.iter().map(|sample| sample.value).collect();
        values.sort_by(f64::total_cmp);
        values
    }
}

/// The smallest value that so many thousandths of all are not above.
fn percentile(sorted: &[f64], thousandths: usize) -> Option<f64> {
    let rank = (sorted.len() * thousandths).div_ceil(1000).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: impl Iterator<Item = u32>) -> Series {
        let mut series = Series::new("x", "ms");
        values.for_each(|value| series.push(f64::from(value), value % 10 == 0));
        series
    }

    #[test]
    fn percentiles_are_samples() {
        let summary = series((1..=1000).rev()).summary().unwrap();
        assert_eq!((summary.n, summary.late), (1000, 100));
        assert_eq!(
            (summary.min, summary.p50, summary.max),
            (1.0, 500.0, 1000.0)
        );
        assert_eq!((summary.p99, summary.p999), (Some(990.0), Some(999.0)));
    }

    #[test]
    fn a_percentile_that_would_be_the_maximum_is_not_given() {
        let summary = series(1..=99).summary().unwrap();
        assert_eq!((summary.p99, summary.p999), (None, None));
        assert_eq!(series(0..0).summary(), None);
    }
}

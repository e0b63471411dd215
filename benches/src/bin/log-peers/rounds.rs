//! Rounds: in each one everybody has one turn, in an order of its own.

use anyhow::{Context, Result};
use serde::Serialize;

/// Who takes turns. A turn gives one sample.
pub(crate) struct Contender<'a> {
    pub(crate) name: String,
    pub(crate) turn: Box<dyn FnMut() -> Result<f64> + 'a>,
}

/// One contender's samples, one a round.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Samples {
    pub(crate) engine: String,
    pub(crate) samples: Vec<f64>,
}

pub(crate) struct Rounds {
    count: u16,
    order: fastrand::Rng,
}

impl Rounds {
    pub(crate) fn new(count: u16, seed: u64) -> Self {
        Self {
            count,
            order: fastrand::Rng::with_seed(seed),
        }
    }

    /// A round that does not count, then all rounds. The samples come back in the order of the contenders.
    pub(crate) fn run(&mut self, mut contenders: Vec<Contender<'_>>) -> Result<Vec<Samples>> {
        let mut samples: Vec<_> = contenders
            .iter()
            .map(|contender| Samples {
                engine: contender.name.clone(),
                samples: Vec::new(),
            })
            .collect();
        let mut order: Vec<usize> = (0..contenders.len()).collect();
        for round in 0..=self.count {
            self.order.shuffle(&mut order);
            for &index in &order {
                let contender = &mut contenders[index];
                let sample = (contender.turn)().with_context(|| contender.name.clone())?;
                if round > 0 {
                    samples[index].samples.push(sample);
                }
            }
        }
        Ok(samples)
    }
}

/// The middle one; of an even number the mean of the middle two.
pub(crate) fn median(samples: &[f64]) -> f64 {
    assert!(!samples.is_empty(), "the median of nothing");
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    }
}

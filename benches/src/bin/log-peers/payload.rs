//! Records that do not compress: bytes of a seeded generator.

use crate::engine::Tally;

/// `count` records of `len` bytes.
pub(crate) fn records(seed: u64, count: usize, len: usize) -> Vec<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut record = || {
        let mut bytes = vec![0; len];
        random.fill(&mut bytes);
        bytes
    };
    (0..count).map(|_| record()).collect()
}

/// What a replay of these records must have seen.
pub(crate) fn tally(records: &[Vec<u8>]) -> Tally {
    let mut tally = Tally::default();
    records.iter().for_each(|record| tally.add(record));
    tally
}

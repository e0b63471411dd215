//! Records that can be judged alone, and the state that stands for them.

use qlog::{Entry, Lsn, Replay};

/// The longest record.
const BYTES_MAX: u64 = 900;

/// The record of a seed.
pub(crate) fn record(seed: u64) -> Vec<u8> {
    let mut bytes = seed.to_le_bytes().to_vec();
    let mut state = seed;
    for _ in 0..seed % BYTES_MAX {
        state = next(state);
        bytes.push(state.to_le_bytes()[7]);
    }
    bytes
}

/// One step of a generator of 64 bits (splitmix).
pub(crate) const fn next(state: u64) -> u64 {
    let mixed = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The seeds of all records of a log, in their order: that of LSN 1 first.
#[derive(Default)]
pub(crate) struct Seeds {
    pub(crate) seeds: Vec<u64>,
    /// The first thing that is wrong.
    pub(crate) wrong: Option<String>,
}

impl Seeds {
    /// The checkpoint that covers everything up to and with this record.
    pub(crate) fn state(&self, upto: Lsn) -> Vec<u8> {
        let count = usize::try_from(upto.0).unwrap_or(usize::MAX);
        let covered = &self.seeds[..count.min(self.seeds.len())];
        covered.iter().flat_map(|seed| seed.to_le_bytes()).collect()
    }

    fn complain(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }
}

impl Replay for Seeds {
    fn checkpoint(&mut self, upto: Lsn, state: &[u8]) {
        let words = state.chunks_exact(8);
        self.seeds = words
            .map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()))
            .collect();
        if self.seeds.len() as u64 != upto.0 {
            let count = self.seeds.len();
            self.complain(format!(
                "the checkpoint up to LSN {upto} is of {count} records"
            ));
        }
    }

    fn record(&mut self, entry: Entry<'_>) {
        if entry.lsn.0 != self.seeds.len() as u64 + 1 {
            let count = self.seeds.len();
            self.complain(format!("LSN {} comes after {count} records", entry.lsn));
        }
        let seed = entry
            .bytes
            .first_chunk()
            .map_or(0, |bytes| u64::from_le_bytes(*bytes));
        if record(seed) != entry.bytes {
            self.complain(format!("LSN {} is no record of its seed", entry.lsn));
        }
        self.seeds.push(seed);
    }
}

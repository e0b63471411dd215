//! Where `hostile` takes its choices from: a seed given from outside, and nothing else.

/// A stream of choices (SplitMix64). Part of the state, so that equal units make equal choices.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Whims {
    pub(super) state: u64,
}

impl Whims {
    pub(super) const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A choice among `n`; the first is for "as it should be".
    pub(super) fn one_of(&mut self, n: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % n
    }
}

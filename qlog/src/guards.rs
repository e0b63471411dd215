//! The conditions that keep the log's promises, each a named place in the code.
//!
//! All are on. For each, `tests/sim/guards` names a history that goes well with it and wrong without it, so that none
//! is there for show.

macro_rules! guards {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// One condition that keeps a promise.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Guard {
            $($(#[$doc])* $name,)*
        }

        impl Guard {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

guards! {
    /// The offset is part of every checksum: a superblock that is found elsewhere, as a partition's is at the end of the
    /// whole disk, cannot verify.
    SeedOfPlace,
    /// The generation is part of every checksum and header: a frame of an earlier lap cannot verify.
    SeedOfLap,
    /// The log's id is part of every checksum: a frame of another log cannot verify.
    SeedOfLog,
    /// A frame names the sum of the one before it: an owner that was set back does not go on with what it wrote before.
    Chain,
    /// A valid later frame proves that what is missing before it had been flushed.
    LookAhead,
    /// So does the head of a later segment.
    LaterSegment,
    /// A segment of an earlier epoch ends exactly where the claim that followed found its end.
    SealedEnd,
    /// A superblock names the first record that was not durable when it was written: no log ends before it.
    Watermark,
    /// A segment of an epoch above every superblock's: superblocks were lost.
    EpochAhead,
    /// A block that cannot be read is damage, unless one write in flight covers it.
    UnreadableIsDamage,
    /// A tail that was acknowledged is extended in a shadow slot, never rewritten in its only place.
    TailShadow,
    /// One flipped bit is told from a torn write, and mended.
    FlippedBit,
    /// What a checkpoint wrote is read back before it is named, and both copies of the superblock that names it.
    ReadBack,
    /// The previous checkpoint and its segments stay until the next one begins.
    KeepPrevious,
    /// A superblock is written over the one before the last, never over the last.
    SuperblockBanks,
    /// Each epoch has superblock places of its own.
    SlotByEpoch,
    /// The claim is read back before it is believed.
    ClaimReadBack,
    /// Each epoch starts a segment that the owner before it could not have addressed.
    FreshSegment,
    /// Appends leave the segments that the next claim needs.
    Reserve,
    /// A failed write or flush ends the handle.
    Poison,
    /// The owner is looked up before a checkpoint.
    OwnerRecheck,
    /// Ownership is proved before a write, and again before it is acknowledged.
    ProofBeforeAck,
}

/// Which guards are on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Guards(u32);

impl Guards {
    /// As shipped.
    pub const ALL_ON: Self = Self(u32::MAX);

    /// All but one: for the test that it is noticed.
    #[must_use]
    pub const fn without(guard: Guard) -> Self {
        Self(!(1 << guard as u32))
    }

    /// Is it on?
    #[must_use]
    pub const fn on(self, guard: Guard) -> bool {
        self.0 & (1 << guard as u32) != 0
    }
}

impl Default for Guards {
    fn default() -> Self {
        Self::ALL_ON
    }
}

//! The guards of arbitration, each by name.
//!
//! A guard is one condition that keeps a rule of the design. Each is consulted at exactly one place, so
//! that a test can switch it off alone and demand that something fails: a guard whose removal nobody
//! notices is either not tested or not needed. Shipped machines have all of them on.

use std::fmt;

macro_rules! guards {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// One guard.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Guard { $($(#[doc = $doc])* $name,)* }

        impl Guard {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name, as it stands in the code.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

guards! {
    // Before anything is changed.
    /// A disk with foreign registrations is refused at the first look.
    ForeignRefusedAtFirstLook,
    /// Foreign registrations that came later are refused when the holder is noted and at the look.
    ForeignRefusedInChallenge,
    /// Under `no_preempt` a held disk is not even registered on.
    NoPreemptLeavesTheHolder,
    /// A disk that cannot keep reservations through power loss is refused before it is registered on.
    AptplCapable,
    /// PTPL_A is read back after REGISTER.
    AptplReadBack,
    /// PTPL_A is read back in the win: any nexus's REGISTER since may have switched it off.
    AptplReadBackInWin,
    /// An owner looks at PTPL_A again when the disk's generation has moved, and switches it on again.
    AptplKeptOn,

    // Keys.
    /// Every REGISTER carries a key never sent before.
    FreshKeyForEachRegister,
    /// A serial that gives a key seen on the disk is skipped.
    KeyUnlikeThoseSeen,
    /// One's own key on more nexuses than it was sent to: another node has this node's number and serials.
    KeySentNoFurther,
    /// REGISTER names the key that the nexus is thought to have; it never ignores the existing one.
    ExistingKeyIsNamed,

    // The challenge.
    /// No take before the challenge wait is over.
    FullWait,
    /// The wait begins with the GOOD of the last REGISTER, not with its sending.
    WaitFromGood,
    /// Own key gone at the look: lost.
    OwnKeySurvived,
    /// Another holder than the noted one at the look, or none, or one: lost.
    HolderUnchanged,
    /// Only a parked mark that names the present holder's key spares the wait.
    ParkedMarkNamesHolder,
    /// A holder with this node's number that defends is a duplicate, not a race to run again.
    DuplicateNodeRefused,
    /// A loser takes its own key away.
    LoserUnregisters,
    /// A loser whose unregister may still take effect has not won, though it turns out to hold.
    UnsettledLeaveIsNoWin,
    /// A nexus that is found holding, though no take was sent with its key and it did not hold when it registered, waits
    /// like any other: an older RESERVE took effect late, on a disk that does not compare its key. On a disk that forgets
    /// reservations without power it waits in any case: the life before may have taken it without a wait.
    HoldingIsEarned,
    /// A loser starts over only after one wait from its REGISTER and its turn in the nodes' order.
    LosersTakeTurns,

    // The win.
    /// The old owner's writes are out of the way before the log may be read.
    BarrierBeforeHeld,
    /// Removing registrations that are not the holder's calls for a barrier of its own.
    BarrierAfterSweep,
    /// `Held` comes with the first clean round, not with the take.
    FirstCleanRound,
    /// `Owner` comes the settle time after `Held`.
    SettleBeforeOwner,
    /// Without a barrier the log may be read only after the settle time.
    SettleIsTheLastBarrier,
    /// A win that only the settle time barred is looked at once more when that is over, like any other.
    SettledWinIsLookedAt,

    // Rounds.
    /// A round is as old as the send of its read, not as its reply.
    ProofIsSendTime,
    /// A reply that is older than the self-stop age proves nothing.
    StaleReplyIsVoid,
    /// After removing keys the state is read again: clean is a read that shows nobody else.
    SweepIsReadBack,
    /// Another holder in a round: deposed.
    OtherHolderDeposes,
    /// Own key gone in a round: deposed (or a power loss).
    KeyGoneDeposes,
    /// A path that comes back in a term is registered again only after a clean round that was sent since.
    JoinFollowsACleanRound,
    /// At the self-stop age the owner stops itself, whatever else has arrived.
    SelfStop,
    /// An owner that is not fed stops defending.
    FedToDefend,

    // Giving back.
    /// An owner that gives back and finds another holding, or its own key gone, has lost the disk.
    ReleaseIsProved,

    // Power loss.
    /// Only a power-on or reset attention lets an owner re-take.
    RetakeNeedsResetAttention,
    /// After a "preempted" or "released" attention an owner never re-takes.
    RetakeNeverAfterPreempt,
    /// An owner re-takes only while the log's epoch is its own.
    RetakeNeedsOwnEpoch,

    // SCSI-2.
    /// A disk that answers GOOD is not free: the full wait is probed before RESERVE.
    Spc2ProbesFullWait,
    /// The challenger polls while it waits.
    Spc2PollsWhileWaiting,
    /// The challenger drains the attention of its own reset at once.
    Spc2DrainsOwnAttention,
    /// A conflict during the wait: lost.
    Spc2ConflictLoses,
    /// A reset attention during the wait starts it over.
    Spc2AttentionRestartsWait,
    /// A gap in the polling starts the wait over.
    Spc2PollGapRestartsWait,
    /// A poll without a definite end may have taken a reset attention with it: the wait starts over.
    Spc2UnsurePollRestartsWait,
    /// RESERVE that meets an attention is not repeated: the wait starts over.
    Spc2ReserveOnce,
    /// A win without an end within the self-stop age is lost.
    Spc2WinIsFresh,
    /// A reset during the win makes the barrier due again, once the disk is reserved again.
    Spc2ResetRenewsBarrier,
    /// `Owner` comes with a clean round that was sent after the settle time, and not with its end.
    Spc2OwnerNeedsARound,
    /// An owner that meets a reset attention reserves again at once.
    Spc2ReservesAgainAtOnce,
    /// After a re-login the owner reserves first, without waiting for its next round.
    Spc2ReservesAfterLogin,
    /// An owner gives back only what a round has just shown to be its own.
    Spc2ReleaseIsProved,
}

/// Which guards are on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guards {
    off: Option<Guard>,
}

impl Guards {
    /// All on: what every shipped machine has.
    pub const ALL_ON: Self = Self { off: None };

    /// All on but this one: for the test that each is noticed.
    #[must_use]
    pub const fn all_but(guard: Guard) -> Self {
        Self { off: Some(guard) }
    }

    /// Does this guard stand?
    #[must_use]
    pub fn stands(self, guard: Guard) -> bool {
        self.off != Some(guard)
    }
}

impl Default for Guards {
    fn default() -> Self {
        Self::ALL_ON
    }
}

impl fmt::Debug for Guards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.off {
            None => f.write_str("all on"),
            Some(guard) => write!(f, "all but {}", guard.name()),
        }
    }
}

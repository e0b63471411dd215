//! Every guard of arbitration, switched off: which checker misses it, in which world.
//!
//! Of most, the world is one of a seed: with that guard alone off a checker fails in it, and with all of them on none
//! does. Whatever changes a machine changes what happens in the world of a seed; so the worlds behind it are tried too, a
//! few. `cargo run --release --package quorum-sim --example guards` finds new ones. Of the others it is a script under
//! `testscripts/guards`, for what no seed brings about: hosts that were cloned, and tools that act behind an owner's back.
//! That a script of the machine alone comes out differently, too, is shown in `quorum/core/tests/arbitration/guards.rs`.

mod worlds;

use quorum_core::arbitration::{Guard, Guards, Mode};
use quorum_sim::plan::{Asked, Plan};
use quorum_sim::run::run;
use quorum_sim::world::Tells;
use worlds::{outcome, text};

/// Worlds behind the one that is named.
const TRIES: u64 = 100;

enum Witness {
    /// Up to so many nodes, and the seed.
    Seed(Mode, u8, u64),
    Script(&'static str),
}

use Mode::{Persistent, Spc2};
use Witness::{Script, Seed};

const WITNESSES: &[(Guard, Witness)] = &[
    (Guard::ForeignRefusedAtFirstLook, Seed(Persistent, 5, 2)),
    (Guard::ForeignRefusedInChallenge, Seed(Persistent, 2, 3)),
    (Guard::NoPreemptLeavesTheHolder, Seed(Persistent, 3, 2)),
    (Guard::AptplCapable, Seed(Persistent, 3, 2)),
    (Guard::AptplReadBack, Seed(Persistent, 3, 1)),
    (Guard::AptplReadBackInWin, Seed(Persistent, 5, 32)),
    (Guard::AptplKeptOn, Seed(Persistent, 2, 160)),
    (Guard::FreshKeyForEachRegister, Seed(Persistent, 5, 2)),
    (
        Guard::KeyUnlikeThoseSeen,
        Script("a_serial_that_a_copy_holds_the_disk_with_is_skipped"),
    ),
    (
        Guard::KeySentNoFurther,
        Script("a_copy_of_a_node_with_its_serials_is_noticed"),
    ),
    (Guard::ExistingKeyIsNamed, Seed(Persistent, 3, 1)),
    (Guard::FullWait, Seed(Persistent, 3, 1)),
    (Guard::WaitFromGood, Seed(Persistent, 3, 4)),
    (Guard::OwnKeySurvived, Seed(Persistent, 3, 1)),
    (Guard::HolderUnchanged, Seed(Persistent, 3, 2)),
    (Guard::ParkedMarkNamesHolder, Seed(Persistent, 3, 5)),
    (
        Guard::DuplicateNodeRefused,
        Script("a_copy_of_a_node_that_is_alive_is_refused"),
    ),
    (Guard::LoserUnregisters, Seed(Persistent, 3, 2)),
    (
        Guard::UnsettledLeaveIsNoWin,
        Script("a_loser_whose_unregister_is_under_way_has_not_won"),
    ),
    (Guard::LosersTakeTurns, Seed(Persistent, 3, 1)),
    (Guard::BarrierBeforeHeld, Seed(Persistent, 5, 2)),
    (Guard::BarrierAfterSweep, Seed(Persistent, 3, 2)),
    (Guard::FirstCleanRound, Seed(Persistent, 3, 2)),
    (Guard::SettleBeforeOwner, Seed(Spc2, 3, 1)),
    (
        Guard::HoldingIsEarned,
        Script("an_older_reserve_that_takes_effect_late_is_no_win"),
    ),
    (Guard::SettleIsTheLastBarrier, Seed(Spc2, 3, 1)),
    (
        Guard::SettledWinIsLookedAt,
        Script("aptpl_is_on_when_a_settled_win_is_told"),
    ),
    (Guard::ProofIsSendTime, Seed(Persistent, 5, 156)),
    (Guard::StaleReplyIsVoid, Seed(Spc2, 5, 8)),
    (Guard::SweepIsReadBack, Seed(Persistent, 3, 24)),
    (
        Guard::OtherHolderDeposes,
        Script("another_holder_beside_ones_own_key_ends_the_term"),
    ),
    (Guard::KeyGoneDeposes, Seed(Persistent, 3, 1)),
    (Guard::JoinFollowsACleanRound, Seed(Persistent, 3, 6)),
    (Guard::SelfStop, Seed(Persistent, 3, 1)),
    (Guard::FedToDefend, Seed(Spc2, 3, 2)),
    (Guard::ReleaseIsProved, Seed(Persistent, 5, 89)),
    (Guard::RetakeNeedsResetAttention, Seed(Persistent, 3, 2)),
    (Guard::RetakeNeverAfterPreempt, Seed(Persistent, 3, 14)),
    (Guard::RetakeNeedsOwnEpoch, Seed(Persistent, 3, 22)),
    (Guard::Spc2ProbesFullWait, Seed(Spc2, 3, 1)),
    (Guard::Spc2PollsWhileWaiting, Seed(Spc2, 3, 1)),
    (Guard::Spc2DrainsOwnAttention, Seed(Spc2, 3, 1)),
    (Guard::Spc2ConflictLoses, Seed(Spc2, 3, 1)),
    (Guard::Spc2AttentionRestartsWait, Seed(Spc2, 5, 2)),
    (Guard::Spc2PollGapRestartsWait, Seed(Spc2, 3, 1)),
    (Guard::Spc2UnsurePollRestartsWait, Seed(Spc2, 3, 7)),
    (Guard::Spc2ReserveOnce, Seed(Spc2, 2, 8)),
    (Guard::Spc2WinIsFresh, Seed(Spc2, 3, 1)),
    (Guard::Spc2ResetRenewsBarrier, Seed(Spc2, 3, 1)),
    (Guard::Spc2OwnerNeedsARound, Seed(Spc2, 3, 1)),
    (Guard::Spc2ReservesAgainAtOnce, Seed(Spc2, 5, 2)),
    (Guard::Spc2ReservesAfterLogin, Seed(Spc2, 3, 1)),
    (Guard::Spc2ReleaseIsProved, Seed(Spc2, 5, 2)),
];

fn violated(mode: Mode, nodes: u8, seed: u64, guards: Guards) -> Option<String> {
    let asked = Asked {
        nodes,
        mode: Some(mode),
        guards,
        ..Asked::default()
    };
    let outcome = run(&Plan::of(seed, &asked), Tells::Nothing, &mut None);
    outcome.violations.first().map(ToString::to_string)
}

#[test]
fn every_guard_that_is_off_is_missed_by_a_checker() {
    let mut wrong = Vec::new();
    for guard in Guard::ALL {
        let name = guard.name();
        let Some((_, witness)) = WITNESSES.iter().find(|(named, _)| named == guard) else {
            wrong.push(format!("{name}: no world is named"));
            continue;
        };
        let (with, without) = match witness {
            Seed(mode, nodes, seed) => {
                let missed = |seed: &u64| violated(*mode, *nodes, *seed, Guards::all_but(*guard));
                let first = (*seed..*seed + TRIES).find(|seed| missed(seed).is_some());
                match first {
                    Some(seed) => (violated(*mode, *nodes, seed, Guards::ALL_ON), missed(&seed)),
                    None => (None, None),
                }
            }
            Script(script) => {
                let text = text("guards", script);
                let missed = |guards| {
                    outcome(guards, &text)
                        .err()
                        .filter(|why| why.contains("VIOLATED"))
                };
                (missed(Guards::ALL_ON), missed(Guards::all_but(*guard)))
            }
        };
        if let Some(what) = with {
            wrong.push(format!("{name}: with all guards on: {what}"));
        }
        if without.is_none() {
            wrong.push(format!("{name}: nobody misses it"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

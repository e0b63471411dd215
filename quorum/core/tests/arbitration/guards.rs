//! Every guard, switched off: which script notices.
//!
//! A guard whose removal changes no script is either not tested or not needed. The table names, for each
//! guard, the script that is about it; with that guard alone off, the script must come out differently, or
//! fail on a checker.

use crate::script::Script;
use quorum_core::arbitration::{Guard, Guards};
use std::path::Path;

const WITNESSES: &[(Guard, &str)] = &[
    (
        Guard::ForeignRefusedAtFirstLook,
        "persistent/foreign_keys_are_refused_before_anything_is_changed",
    ),
    (
        Guard::ForeignRefusedInChallenge,
        "persistent/foreign_keys_that_come_during_the_challenge_are_refused_and_ours_is_taken_away",
    ),
    (
        Guard::NoPreemptLeavesTheHolder,
        "persistent/no_preempt_leaves_a_holder_alone",
    ),
    (
        Guard::AptplCapable,
        "persistent/a_disk_that_cannot_persist_reservations_is_refused",
    ),
    (
        Guard::AptplReadBack,
        "persistent/a_disk_that_does_not_persist_after_register_is_refused_and_our_key_taken_away",
    ),
    (
        Guard::AptplReadBackInWin,
        "persistent/aptpl_that_another_switched_off_is_on_again_before_held",
    ),
    (
        Guard::AptplKeptOn,
        "persistent/under_an_owner_aptpl_that_another_switched_off_is_on_again",
    ),
    (
        Guard::KeySentNoFurther,
        "persistent/a_copy_of_this_node_that_took_the_disk_with_this_very_key_is_not_a_win",
    ),
    (
        Guard::FreshKeyForEachRegister,
        "persistent/a_zombie_register_does_not_make_a_survivor",
    ),
    (
        Guard::KeyUnlikeThoseSeen,
        "persistent/a_serial_that_is_seen_on_the_disk_is_skipped",
    ),
    (
        Guard::ExistingKeyIsNamed,
        "persistent/rebirth_as_a_registrant_replaces_the_old_key",
    ),
    (
        Guard::FullWait,
        "persistent/a_live_owner_defends_and_a_single_try_ends",
    ),
    (
        Guard::WaitFromGood,
        "persistent/a_wait_begins_with_the_answer_of_register",
    ),
    (
        Guard::OwnKeySurvived,
        "persistent/a_live_owner_defends_and_a_single_try_ends",
    ),
    (
        Guard::HolderUnchanged,
        "persistent/a_holder_that_came_back_is_not_the_one_that_was_noted",
    ),
    (
        Guard::ParkedMarkNamesHolder,
        "persistent/a_parked_mark_of_another_holder_spares_nothing",
    ),
    (
        Guard::DuplicateNodeRefused,
        "persistent/a_duplicate_node_number_is_refused",
    ),
    (
        Guard::LoserUnregisters,
        "persistent/a_loser_takes_its_own_key_away",
    ),
    (
        Guard::UnsettledLeaveIsNoWin,
        "persistent/a_loser_that_holds_after_all_has_not_won_while_its_unregister_is_under_way",
    ),
    (
        Guard::LosersTakeTurns,
        "persistent/a_loser_contends_again_one_wait_later_and_in_its_turn",
    ),
    (
        Guard::BarrierBeforeHeld,
        "persistent/no_abort_resets_the_lun_after_a_plain_preempt",
    ),
    (
        Guard::BarrierAfterSweep,
        "persistent/challengers_that_come_during_the_win_are_removed_and_reset_away",
    ),
    (
        Guard::FirstCleanRound,
        "persistent/good_from_preempt_is_not_i_hold_it",
    ),
    (
        Guard::SettleBeforeOwner,
        "persistent/a_disk_without_a_holder_is_taken_after_a_full_wait",
    ),
    (
        Guard::SettleIsTheLastBarrier,
        "persistent/without_a_barrier_the_log_waits_for_the_settle_time",
    ),
    (
        Guard::HoldingIsEarned,
        "persistent/a_nexus_that_holds_without_a_take_waits_like_any_other",
    ),
    (
        Guard::SettledWinIsLookedAt,
        "persistent/a_win_that_the_settle_time_ends_is_looked_at_once_more",
    ),
    (
        Guard::ProofIsSendTime,
        "persistent/ownership_is_as_old_as_the_send_of_the_read",
    ),
    (
        Guard::StaleReplyIsVoid,
        "persistent/a_reply_older_than_the_self_stop_age_proves_no_win",
    ),
    (
        Guard::SweepIsReadBack,
        "persistent/removed_keys_are_read_back_before_the_round_is_clean",
    ),
    (
        Guard::OtherHolderDeposes,
        "persistent/another_holder_beside_ones_own_key_deposes",
    ),
    (
        Guard::KeyGoneDeposes,
        "persistent/the_key_removed_under_the_owner_deposes_it",
    ),
    (
        Guard::JoinFollowsACleanRound,
        "persistent/a_path_joins_only_after_a_clean_round_that_was_sent_since",
    ),
    (
        Guard::SelfStop,
        "persistent/a_defender_that_was_paused_too_long_stops_before_anything_else",
    ),
    (
        Guard::FedToDefend,
        "persistent/an_owner_that_is_not_fed_stops_defending",
    ),
    (
        Guard::ReleaseIsProved,
        "persistent/an_owner_that_gives_back_what_another_has_taken_is_deposed",
    ),
    (
        Guard::RetakeNeedsResetAttention,
        "persistent/a_retake_needs_a_reset_attention",
    ),
    (
        Guard::RetakeNeverAfterPreempt,
        "persistent/a_retake_never_follows_a_preempted_attention",
    ),
    (
        Guard::RetakeNeedsOwnEpoch,
        "persistent/a_retake_stops_when_the_epoch_is_anothers",
    ),
    (
        Guard::Spc2ProbesFullWait,
        "spc2/a_third_node_in_the_window_of_a_reset_takes_nothing",
    ),
    (
        Guard::Spc2PollsWhileWaiting,
        "spc2/a_disk_that_answers_good_is_probed_for_a_full_wait",
    ),
    (
        Guard::Spc2DrainsOwnAttention,
        "spc2/ones_own_reset_attention_is_drained",
    ),
    (
        Guard::Spc2ConflictLoses,
        "spc2/a_live_owner_defends_and_a_single_try_ends",
    ),
    (
        Guard::Spc2AttentionRestartsWait,
        "spc2/a_second_reset_late_in_the_wait_starts_it_over",
    ),
    (
        Guard::Spc2PollGapRestartsWait,
        "spc2/a_gap_in_the_polling_starts_the_wait_over",
    ),
    (
        Guard::Spc2UnsurePollRestartsWait,
        "spc2/a_poll_without_a_definite_end_starts_the_wait_over",
    ),
    (
        Guard::Spc2WinIsFresh,
        "spc2/a_win_without_an_end_is_lost_at_the_self_stop_age",
    ),
    (
        Guard::Spc2ResetRenewsBarrier,
        "spc2/a_reset_during_the_win_makes_the_barrier_due_again",
    ),
    (
        Guard::Spc2OwnerNeedsARound,
        "spc2/owner_comes_with_a_round_after_the_settle_time",
    ),
    (
        Guard::Spc2ReserveOnce,
        "spc2/reserve_that_meets_an_attention_is_not_repeated",
    ),
    (
        Guard::Spc2ReservesAgainAtOnce,
        "spc2/a_reset_seen_by_the_defender_is_answered_at_once",
    ),
    (
        Guard::Spc2ReservesAfterLogin,
        "spc2/after_a_login_the_owner_reserves_first",
    ),
    (
        Guard::Spc2ReleaseIsProved,
        "spc2/an_owner_that_gives_back_what_another_has_taken_is_deposed",
    ),
];

fn text(script: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testscripts/arbitration")
        .join(script);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What comes out of the script with these guards: its text, or why it failed.
fn outcome(guards: Guards, text: &str) -> Result<String, String> {
    goldenscript::generate(&mut Script::with(guards), text).map_err(|error| error.to_string())
}

#[test]
fn every_guard_has_a_script_that_notices_when_it_is_off() {
    let mut unnoticed = Vec::new();
    for guard in Guard::ALL {
        let Some((_, script)) = WITNESSES.iter().find(|(named, _)| named == guard) else {
            unnoticed.push(format!("{}: no script is named", guard.name()));
            continue;
        };
        let text = text(script);
        assert_eq!(
            outcome(Guards::ALL_ON, &text).as_deref(),
            Ok(text.as_str()),
            "{script} runs as written while all guards are on"
        );
        if outcome(Guards::all_but(*guard), &text).as_deref() == Ok(text.as_str()) {
            unnoticed.push(format!("{}: {script} does not notice", guard.name()));
        }
    }
    assert!(unnoticed.is_empty(), "{}", unnoticed.join("\n"));
}

/// The rule of `guards.rs`: each guard is consulted at exactly one place of each machine.
#[test]
fn every_guard_is_consulted() {
    let mut source = String::new();
    collect(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src/arbitration"),
        &mut source,
    );
    for guard in Guard::ALL {
        let uses = source.matches(&format!("Guard::{})", guard.name())).count();
        // Both machines have a barrier; all else is one place.
        let places = if *guard == Guard::BarrierBeforeHeld {
            2
        } else {
            1
        };
        assert_eq!(
            uses,
            places,
            "{} is consulted at {uses} places",
            guard.name()
        );
    }
}

fn collect(folder: &Path, source: &mut String) {
    for entry in std::fs::read_dir(folder).expect("the sources are there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, source);
        } else {
            source.push_str(&std::fs::read_to_string(&path).expect("a source file"));
        }
    }
}

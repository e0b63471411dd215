//! The counterexamples of the model of the first design, each as a script of the machine and as a world of the simulator.
//!
//! The numbers are those of the review. A script stands in `quorum/core/testscripts/arbitration`, and is run there; the world
//! is a script with several machines and every checker, or that of the seed in which a checker misses the guard that mends
//! the trace (`guards.rs`).

mod worlds;

use quorum_core::arbitration::{Guard, Guards};
use std::path::Path;

enum World {
    /// A script of `quorum-core` that is itself a world.
    Told(&'static str),
    /// A script of this package.
    Here(&'static str),
    /// The world in which this guard is missed.
    Of(Guard),
}

use World::{Here, Of, Told};

/// Trace, script, world.
const TRACES: &[(&str, &str, World)] = &[
    (
        "PR 1",
        "persistent/rebirth_as_a_registrant_replaces_the_old_key",
        Here("a_write_of_an_earlier_process_does_not_come_back_with_its_nexus"),
    ),
    (
        "PR 1",
        "persistent/rebirth_as_a_registrant_replaces_the_old_key",
        Here("a_new_process_waits_for_the_old_ones_writes"),
    ),
    (
        "PR 2",
        "persistent/no_abort_resets_the_lun_after_a_plain_preempt",
        Told("persistent/no_abort_resets_the_lun_after_a_plain_preempt"),
    ),
    (
        "PR 2",
        "persistent/a_taker_that_dies_before_its_barrier_leaves_no_write_behind",
        Of(Guard::BarrierBeforeHeld),
    ),
    (
        "PR 3",
        "persistent/a_disk_without_a_holder_is_taken_after_a_full_wait",
        Told("persistent/power_loss_without_aptpl_is_retaken_by_the_owner"),
    ),
    (
        "PR 3",
        "persistent/a_disk_without_a_holder_is_taken_after_a_full_wait",
        Of(Guard::FullWait),
    ),
    (
        "PR 4",
        "persistent/a_parked_disk_is_handed_over_without_a_wait",
        Told("persistent/a_parked_disk_is_handed_over_without_a_wait"),
    ),
    (
        "PR 5",
        "persistent/a_parked_mark_of_another_holder_spares_nothing",
        Of(Guard::ParkedMarkNamesHolder),
    ),
    (
        "PR 6",
        "persistent/a_zombie_register_does_not_make_a_survivor",
        Told("persistent/a_zombie_register_does_not_make_a_survivor"),
    ),
    (
        "PR 6",
        "persistent/a_zombie_register_does_not_make_a_survivor",
        Of(Guard::FreshKeyForEachRegister),
    ),
    (
        "PR 7",
        "persistent/a_holder_that_came_back_is_not_the_one_that_was_noted",
        Of(Guard::HolderUnchanged),
    ),
    (
        "PR 8",
        "persistent/a_reply_older_than_the_self_stop_age_proves_no_win",
        Of(Guard::StaleReplyIsVoid),
    ),
    (
        "PR 8",
        "persistent/good_from_preempt_is_not_i_hold_it",
        Of(Guard::FirstCleanRound),
    ),
    (
        "PR 9",
        "persistent/a_conflict_while_a_key_is_removed_voids_the_round",
        Of(Guard::SweepIsReadBack),
    ),
    (
        "PR 10",
        "persistent/ownership_is_as_old_as_the_send_of_the_read",
        Of(Guard::ProofIsSendTime),
    ),
    (
        "PR 11",
        "persistent/rebirth_as_the_holder_is_no_challenge",
        Told("persistent/rebirth_as_the_holder_is_no_challenge"),
    ),
    (
        "PR 12",
        "persistent/a_disk_that_cannot_persist_reservations_is_refused",
        Of(Guard::AptplCapable),
    ),
    (
        "PR 13",
        "persistent/an_owner_that_is_not_fed_stops_defending",
        Told("persistent/an_owner_that_is_not_fed_stops_defending"),
    ),
    (
        "PR 13",
        "persistent/an_owner_that_is_not_fed_stops_defending",
        Of(Guard::FedToDefend),
    ),
    (
        "PR 14",
        "persistent/a_dead_challengers_registration_is_harmless",
        Told("persistent/a_dead_challengers_registration_is_harmless"),
    ),
    (
        "SCSI-2 1",
        "spc2/a_third_node_in_the_window_of_a_reset_takes_nothing",
        Told("spc2/a_third_node_in_the_window_of_a_reset_takes_nothing"),
    ),
    (
        "SCSI-2 1",
        "spc2/a_disk_that_answers_good_is_probed_for_a_full_wait",
        Of(Guard::Spc2ProbesFullWait),
    ),
    (
        "SCSI-2 2",
        "spc2/a_second_reset_late_in_the_wait_starts_it_over",
        Of(Guard::Spc2AttentionRestartsWait),
    ),
    (
        "SCSI-2 3",
        "spc2/a_reset_that_takes_effect_late_starts_the_wait_over",
        Told("spc2/a_reset_that_takes_effect_late_starts_the_wait_over"),
    ),
    (
        "SCSI-2 4",
        "spc2/a_write_accepted_in_the_window_of_a_reset_is_cleared_before_held",
        Told("spc2/a_write_accepted_in_the_window_of_a_reset_is_cleared_before_held"),
    ),
    (
        "SCSI-2 4",
        "spc2/a_reset_during_the_win_makes_the_barrier_due_again",
        Of(Guard::Spc2ResetRenewsBarrier),
    ),
    (
        "SCSI-2 5",
        "spc2/after_a_login_the_owner_reserves_first",
        Told("spc2/after_a_login_the_owner_reserves_first"),
    ),
    (
        "SCSI-2 5",
        "spc2/an_owner_settles_before_it_starts_anything",
        Of(Guard::Spc2ReservesAfterLogin),
    ),
    (
        "SCSI-2 6",
        "spc2/a_reset_seen_by_the_defender_is_answered_at_once",
        Of(Guard::Spc2ReservesAgainAtOnce),
    ),
];

/// The numbers of the review: PR 1 to 14, SCSI-2 1 to 6.
fn numbers() -> Vec<String> {
    let persistent = (1..=14).map(|number| format!("PR {number}"));
    persistent
        .chain((1..=6).map(|number| format!("SCSI-2 {number}")))
        .collect()
}

fn of_core(script: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../core/testscripts/arbitration")
        .join(script);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_trace_is_a_script_and_a_world() {
    for number in numbers() {
        assert!(
            TRACES.iter().any(|(trace, _, _)| *trace == number),
            "{number} is missing"
        );
    }
    for (trace, script, world) in TRACES {
        assert!(
            of_core(script).contains("---"),
            "{trace}: {script} prints nothing"
        );
        match world {
            Of(guard) => assert!(Guard::ALL.contains(guard), "its world is in guards.rs"),
            Told(script) => {
                let text = of_core(script);
                let comes_out = worlds::outcome(Guards::ALL_ON, &text);
                assert_eq!(comes_out.as_deref(), Ok(text.as_str()), "{trace}: {script}");
            }
            Here(script) => {
                let text = worlds::text("traces", script);
                let comes_out = worlds::outcome(Guards::ALL_ON, &text);
                assert_eq!(comes_out.as_deref(), Ok(text.as_str()), "{trace}: {script}");
            }
        }
    }
}

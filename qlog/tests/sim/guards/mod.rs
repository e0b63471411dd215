//! Each guard has a history that goes well with it, and not without.
//!
//! A history is a few steps on one disk, told in the name of its function. The table below names one for every guard:
//! a guard without one does not compile, and one whose history goes well without it fails the last test.

mod ends;
mod identity;
mod owners;
mod places;

use crate::history::Verdict;
use ends::*;
use identity::*;
use owners::*;
use places::*;
use qlog::{Guard, Guards};

macro_rules! histories {
    ($($guard:ident => $history:ident,)*) => {
        /// Its history, by name.
        fn history_of(guard: Guard) -> (&'static str, fn(Guards) -> Verdict) {
            match guard {
                $(Guard::$guard => (stringify!($history), $history),)*
            }
        }

        mod with_all_guards {
            $(
                #[test]
                fn $history() {
                    assert_eq!(super::$history(qlog::Guards::ALL_ON), Ok(()));
                }
            )*
        }
    };
}

histories! {
    SeedOfPlace => a_partition_is_not_taken_for_the_whole_disk,
    SeedOfLap => a_second_lap_of_the_ring_is_told_from_the_first,
    SeedOfLog => a_late_segment_of_the_log_that_was_here_before_is_void,
    Chain => an_owner_that_was_set_back_does_not_go_on_with_what_it_wrote_before,
    LookAhead => a_damaged_frame_before_a_whole_one_is_no_end,
    LaterSegment => a_damaged_last_frame_of_a_segment_that_another_goes_on_from_is_no_end,
    SealedEnd => a_sealed_segment_whose_last_frame_is_not_the_one_that_was_claimed_is_refused,
    Watermark => a_tail_that_was_durable_before_an_object_was_stored_is_no_torn_write,
    EpochAhead => a_log_whose_newest_superblock_is_lost_is_refused,
    UnreadableIsDamage => blocks_that_cannot_be_read_far_behind_the_end_are_damage,
    TailShadow => a_torn_write_behind_an_acknowledged_record_leaves_it_alone,
    FlippedBit => a_flipped_bit_of_the_last_frame_is_no_torn_write,
    ReadBack => a_catalogue_that_the_disk_did_not_write_is_not_named,
    KeepPrevious => a_damaged_checkpoint_is_replaced_by_the_one_before_it,
    SuperblockBanks => a_torn_superblock_leaves_the_one_before_it,
    SlotByEpoch => a_late_superblock_hits_none_of_the_next_owner,
    ClaimReadBack => a_claim_that_others_have_overtaken_ends,
    FreshSegment => a_late_first_write_of_a_segment_hits_none_of_the_next_owner,
    Reserve => a_full_log_has_a_segment_for_the_next_owner,
    Poison => a_failed_write_is_not_forgiven_by_the_next_flush,
    OwnerRecheck => an_owner_that_was_deposed_stores_nothing,
    ProofBeforeAck => what_was_written_while_ownership_ended_is_not_acknowledged,
}

#[test]
fn without_a_guard_its_history_goes_wrong() {
    let mut unnoticed = Vec::new();
    for guard in Guard::ALL {
        let (name, history) = history_of(*guard);
        match history(Guards::without(*guard)) {
            Err(why) => println!("{guard:?}: {name}: {why}"),
            Ok(()) => unnoticed.push((guard, name)),
        }
    }
    assert!(
        unnoticed.is_empty(),
        "goes well without its guard: {unnoticed:?}"
    );
}

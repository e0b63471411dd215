//! What is sent for each verb, and what is made of each answer.

use super::*;
use crate::device::DeviceError;
use crate::device::scripted::{Asked, Say, Scripted};
use crate::reservation::{
    Attention, Key, NexusId, PersistentState, RegisterOptions, Reservation, ReservationType,
    Uncertainty, Unsent,
};
use crate::wire::persistent_in::{
    FullStatus, FullStatusEntry, HeldReservation, RegisteredKeys, ReportedCapabilities,
};
use crate::wire::sense::Sense;
use crate::wire::status::Status;
use crate::wire::transport_id::TransportId;

const BOUND: Duration = Duration::from_secs(1);
const WE_RO: ReservationType = ReservationType::WriteExclusiveRegistrantsOnly;

fn key(value: u64) -> Key {
    Key::new(value).unwrap()
}

fn disk(script: impl IntoIterator<Item = Say>) -> (OverDevice<Scripted>, Asked) {
    let device = Scripted::new(script);
    let asked = device.asked();
    (OverDevice::new(device), asked)
}

fn asked(asked: &Asked) -> Vec<String> {
    asked.lock().unwrap().clone()
}

/// What one verb sends to a disk that says GOOD to everything.
fn sent(verb: &Verb) -> String {
    let (mut disk, log) = disk([Say::Good(Vec::new())]);
    assert_eq!(disk.perform(verb, BOUND).answer, Answer::Done(Reply::Good));
    asked(&log).join("; ")
}

/// What one verb makes of one answer.
fn answered(verb: &Verb, say: Say) -> Answer {
    disk([say]).0.perform(verb, BOUND).answer
}

fn reserve() -> Verb {
    Verb::Reserve {
        key: key(0xaa),
        kind: WE_RO,
    }
}

fn preempt_and_abort() -> Verb {
    Verb::Preempt {
        key: key(0xaa),
        victim: Some(key(0xbb)),
        kind: WE_RO,
        abort: true,
    }
}

// Changes.

#[test]
fn register_sends_the_existing_and_the_new_key_and_aptpl() {
    let verb = Verb::Register {
        existing: Some(key(1)),
        new: Some(key(2)),
        options: RegisterOptions {
            aptpl: true,
            ..RegisterOptions::default()
        },
    };
    assert_eq!(
        sent(&verb),
        "5f 00 00 00 00 00 00 00 18 00 out 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 02 \
         00 00 00 00 01 00 00 00"
    );
}

#[test]
fn unregister_is_a_register_with_a_new_key_of_zero() {
    let verb = Verb::Register {
        existing: Some(key(1)),
        new: None,
        options: RegisterOptions::default(),
    };
    assert!(
        sent(&verb).ends_with(
            "out 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
        )
    );
}

#[test]
fn reserve_and_preempt_carry_scope_and_type_in_the_cdb() {
    assert!(sent(&reserve()).starts_with("5f 01 05 00 00 00 00 00 18 00 out 00"));
    assert_eq!(
        sent(&preempt_and_abort()),
        "5f 05 05 00 00 00 00 00 18 00 out 00 00 00 00 00 00 00 aa 00 00 00 00 00 00 00 bb \
         00 00 00 00 00 00 00 00"
    );
}

#[test]
fn move_sends_its_own_list_with_the_destination() {
    let verb = Verb::Move {
        key: key(1),
        new: key(2),
        unregister: true,
        aptpl: true,
        to: TransportId::Sas([0x50, 1, 2, 3, 4, 5, 6, 7]),
        relative_target_port: 2,
    };
    assert!(sent(&verb).starts_with(
        "5f 07 00 00 00 00 00 00 30 00 out 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 02 \
             00 03 00 02 00 00 00 18 06"
    ));
}

#[test]
fn a_conflict_is_a_value_and_the_holder_is_not_looked_up() {
    let (mut disk, log) = disk([Say::Status(Status::RESERVATION_CONFLICT)]);
    assert_eq!(
        disk.perform(&reserve(), BOUND).answer,
        Answer::Conflict { holder: None }
    );
    assert_eq!(asked(&log).len(), 1);
}

#[test]
fn a_change_that_meets_an_attention_is_not_repeated() {
    let (mut disk, log) = disk([Say::Sense(6, 0x2a, 0x05), Say::Good(Vec::new())]);
    let exchange = disk.perform(&reserve(), BOUND);
    assert_eq!(exchange.answer, Answer::Attention(Attention::new(0x2a, 5)));
    assert_eq!(asked(&log).len(), 1);
}

#[test]
fn a_command_without_a_status_is_an_unknown_outcome_or_not_sent() {
    assert_eq!(
        answered(&reserve(), Say::Error(DeviceError::TimedOut)),
        Answer::OutcomeUnknown(Uncertainty::TimedOut)
    );
    assert_eq!(
        answered(&reserve(), Say::Error(DeviceError::NotSent(Unsent::Busy))),
        Answer::NotSent(Unsent::Busy)
    );
}

#[test]
fn a_service_action_that_the_disk_lacks_is_unsupported_but_a_bad_field_elsewhere_is_refused() {
    let invalid = Say::Sense(5, 0x24, 0);
    assert_eq!(
        answered(&preempt_and_abort(), invalid.clone()),
        Answer::Unsupported
    );
    assert!(matches!(answered(&reserve(), invalid), Answer::Refused(_)));
    assert_eq!(
        answered(&reserve(), Say::Sense(5, 0x20, 0)),
        Answer::Unsupported
    );
}

#[test]
fn busy_and_the_like_are_refusals_by_their_status() {
    assert_eq!(
        answered(&reserve(), Say::Status(Status::TASK_SET_FULL)),
        Answer::Refused(Refusal::Status(0x28))
    );
}

#[test]
fn lios_answer_to_an_unregistered_nexus_is_explained() {
    let Answer::Refused(refusal) = answered(&reserve(), Say::Sense(2, 8, 0)) else {
        panic!("it is a refusal, not a lost path");
    };
    assert!(
        hint(&reserve(), &refusal)
            .unwrap()
            .contains("register first")
    );
    assert_eq!(hint(&Verb::TestUnitReady, &refusal), None);
}

#[test]
fn what_a_preempt_and_abort_shows_is_remembered() {
    let (mut disk, _) = disk([Say::Sense(5, 0x24, 0)]);
    assert_eq!(disk.capabilities().preempt_and_abort, Support::Unknown);
    disk.perform(&preempt_and_abort(), BOUND);
    assert_eq!(disk.capabilities().preempt_and_abort, Support::No);
}

#[test]
fn resets_do_not_escalate_unless_asked_and_teach_what_there_is() {
    let (mut disk, log) = disk([Say::Good(Vec::new()), Say::Status(Status::GOOD)]);
    let lun = Verb::Reset {
        scope: ResetScope::Lun,
        escalate: false,
    };
    assert_eq!(disk.perform(&lun, BOUND).answer, Answer::Done(Reply::Good));
    let bus = Verb::Reset {
        scope: ResetScope::Bus,
        escalate: false,
    };
    assert_eq!(disk.perform(&bus, BOUND).answer, Answer::Unsupported);
    assert_eq!(
        asked(&log),
        ["reset Lun escalate=false", "reset Bus escalate=false"]
    );
    assert_eq!(disk.capabilities().resets.lun, Support::Yes);
    assert_eq!(disk.capabilities().resets.bus, Support::No);
    assert_eq!(disk.capabilities().resets.host, Support::Unknown);
}

// SPC-2.

#[test]
fn a_disk_without_the_ten_byte_reserve_gets_the_six_byte_one_and_is_not_asked_again() {
    let (mut disk, log) = disk([Say::Sense(5, 0x20, 0), Say::Good(Vec::new())]);
    for _ in 0..2 {
        assert_eq!(
            disk.perform(&Verb::Spc2Reserve, BOUND).answer,
            Answer::Done(Reply::Good)
        );
    }
    disk.perform(&Verb::Spc2Release, BOUND);
    assert_eq!(
        asked(&log),
        [
            "56 00 00 00 00 00 00 00 00 00",
            "16 00 00 00 00 00",
            "16 00 00 00 00 00",
            "17 00 00 00 00 00"
        ]
    );
    assert_eq!(disk.capabilities().spc2, Support::Yes);
}

#[test]
fn a_disk_without_either_reserve_is_unsupported() {
    let (mut disk, _) = disk([Say::Sense(5, 0x20, 0)]);
    assert_eq!(
        disk.perform(&Verb::Spc2Reserve, BOUND).answer,
        Answer::Unsupported
    );
    assert_eq!(disk.capabilities().spc2, Support::No);
}

#[test]
fn an_attention_is_no_reason_to_fall_back() {
    let (mut disk, log) = disk([Say::Sense(6, 0x29, 0)]);
    assert_eq!(
        disk.perform(&Verb::Spc2Reserve, BOUND).answer,
        Answer::Attention(Attention::new(0x29, 0))
    );
    assert_eq!(asked(&log).len(), 1);
}

// Reads.

fn registrant(value: u64, holds: Option<ReservationType>) -> FullStatusEntry {
    FullStatusEntry {
        key: key(value),
        holds,
        relative_target_port: Some(1),
        initiator: TransportId::Sas([u8::try_from(value & 0xff).unwrap(); 8]),
    }
}

fn full(generation: u32, entries: &[FullStatusEntry]) -> Say {
    let entries = entries.to_vec();
    Say::Good(
        FullStatus {
            generation,
            entries,
        }
        .emit(),
    )
}

fn held(generation: u32, reservation: Option<(Option<u64>, ReservationType)>) -> Say {
    let reservation = reservation.map(|(holder, kind)| Reservation {
        key: holder.and_then(Key::new),
        kind,
    });
    Say::Good(
        HeldReservation {
            generation,
            reservation,
        }
        .emit()
        .to_vec(),
    )
}

fn keys(generation: u32, values: &[u64]) -> Say {
    let keys = values.iter().copied().map(key).collect();
    Say::Good(RegisteredKeys { generation, keys }.emit())
}

fn read(script: impl IntoIterator<Item = Say>) -> (Exchange, Vec<String>) {
    let (mut disk, log) = disk(script);
    let exchange = disk.perform(&Verb::ReadState, BOUND);
    let actions = asked(&log).iter().map(|cdb| cdb[..5].to_owned()).collect();
    (exchange, actions)
}

fn state(exchange: Exchange) -> PersistentState {
    let Answer::Done(Reply::State(state)) = exchange.answer else {
        panic!("{:?}", exchange.answer);
    };
    state
}

#[test]
fn a_full_status_with_a_holder_is_the_whole_state() {
    let (exchange, asked) = read([full(4, &[registrant(1, None), registrant(2, Some(WE_RO))])]);
    assert_eq!(asked, ["5e 03"]);
    let state = state(exchange);
    assert_eq!(state.generation, 4);
    assert!(state.is_held_by(key(2)));
    assert_eq!(
        state.registrations[0].nexus,
        Some(NexusId::Scsi {
            initiator: TransportId::Sas([1; 8]),
            relative_target_port: Some(1)
        })
    );
}

#[test]
fn without_a_visible_holder_the_reservation_is_read_as_well() {
    let (exchange, asked) = read([full(4, &[registrant(1, None)]), held(4, None)]);
    assert_eq!(asked, ["5e 03", "5e 01"]);
    assert_eq!(state(exchange).reservation, None);
}

#[test]
fn where_nobody_is_registered_nobody_holds() {
    let (exchange, asked) = read([full(4, &[])]);
    assert_eq!(asked, ["5e 03"]);
    let state = state(exchange);
    assert_eq!((state.generation, state.reservation), (4, None));
}

#[test]
fn under_all_registrants_the_reservation_is_read_and_names_no_holder() {
    let everybody = ReservationType::WriteExclusiveAllRegistrants;
    let (exchange, asked) = read([
        full(
            4,
            &[
                registrant(1, Some(everybody)),
                registrant(2, Some(everybody)),
            ],
        ),
        held(4, Some((None, everybody))),
    ]);
    assert_eq!(asked, ["5e 03", "5e 01"]);
    let state = state(exchange);
    assert_eq!(state.reservation.unwrap().key, None);
    assert!(state.is_held_by(key(1)) && state.is_held_by(key(2)));
}

#[test]
fn a_reserve_between_the_two_reads_makes_it_read_again() {
    let (exchange, asked) = read([
        full(4, &[registrant(1, None)]),
        held(4, Some((Some(1), WE_RO))),
        full(4, &[registrant(1, Some(WE_RO))]),
    ]);
    assert_eq!(asked, ["5e 03", "5e 01", "5e 03"]);
    let state = state(exchange);
    assert!(state.is_held_by(key(1)));
    assert_eq!(state.registrations[0].holder, Some(true));
}

#[test]
fn a_disk_that_never_marks_the_holder_is_believed_about_the_reservation_alone() {
    let unmarked = || full(4, &[registrant(1, None)]);
    let taken = || held(4, Some((Some(1), WE_RO)));
    let (exchange, _) = read([
        unmarked(),
        taken(),
        unmarked(),
        taken(),
        unmarked(),
        taken(),
    ]);
    let state = state(exchange);
    assert!(state.is_held_by(key(1)));
    assert_eq!(state.registrations[0].holder, None);
}

#[test]
fn a_new_generation_between_the_two_reads_makes_it_read_again() {
    let (exchange, asked) = read([
        full(4, &[registrant(1, None)]),
        held(5, None),
        full(5, &[registrant(1, None), registrant(2, None)]),
        held(5, None),
    ]);
    assert_eq!(asked, ["5e 03", "5e 01", "5e 03", "5e 01"]);
    assert_eq!(state(exchange).registrations.len(), 2);
}

#[test]
fn a_state_that_never_stands_still_is_an_error_and_not_an_answer() {
    let one = || [registrant(1, None)];
    let script = (0..3).flat_map(|n| [full(n * 2 + 1, &one()), held(n * 2 + 2, None)]);
    let (exchange, asked) = read(script);
    assert_eq!(asked.len(), 6);
    assert!(matches!(
        exchange.answer,
        Answer::Refused(Refusal::Malformed(_))
    ));
}

#[test]
fn a_disk_without_full_status_is_read_by_keys_and_reservation_and_not_asked_again() {
    let (mut disk, log) = disk([
        Say::Sense(5, 0x24, 0),
        keys(7, &[1, 2, 2]),
        held(7, Some((Some(2), WE_RO))),
        keys(7, &[1]),
        held(7, None),
    ]);
    let first = state(disk.perform(&Verb::ReadState, BOUND));
    assert_eq!(first.registrations.len(), 3);
    assert_eq!(first.registrations[0].nexus, None);
    assert!(first.is_held_by(key(2)));
    assert_eq!(
        state(disk.perform(&Verb::ReadState, BOUND))
            .registrations
            .len(),
        1
    );
    let actions: Vec<_> = asked(&log).iter().map(|cdb| cdb[..5].to_owned()).collect();
    assert_eq!(actions, ["5e 03", "5e 00", "5e 01", "5e 00", "5e 01"]);
    assert_eq!(disk.capabilities().full_status, Support::No);
}

#[test]
fn more_registrants_than_there_was_room_for_are_asked_for_again_until_all_are_there() {
    let many: Vec<u64> = (1..=600).collect();
    let (exchange, asked) = read([
        Say::Sense(5, 0x24, 0),
        keys(7, &many),
        keys(7, &many),
        held(7, None),
    ]);
    assert_eq!(asked, ["5e 03", "5e 00", "5e 00", "5e 01"]);
    assert_eq!(state(exchange).registrations.len(), 600);
}

#[test]
fn a_disk_whose_list_grows_with_every_question_is_given_up() {
    let claims = |bytes: u32| {
        let mut list = vec![0; 65_528];
        list[4..8].copy_from_slice(&bytes.to_be_bytes());
        Say::Good(list)
    };
    let (exchange, asked) = read([claims(u32::MAX)]);
    assert!(asked.len() <= 6, "{asked:?}");
    assert!(matches!(
        exchange.answer,
        Answer::Refused(Refusal::Malformed(_))
    ));
}

#[test]
fn a_reply_that_is_cut_short_is_malformed() {
    for bytes in [vec![], vec![0; 7], vec![0, 0, 0, 1, 0, 0, 0, 24, 9]] {
        let (exchange, _) = read([Say::Good(bytes)]);
        assert!(
            matches!(exchange.answer, Answer::Refused(Refusal::Malformed(_))),
            "{:?}",
            exchange.answer
        );
    }
}

#[test]
fn a_read_drains_attentions_and_reports_every_one() {
    let (exchange, asked) = read([
        Say::Sense(6, 0x29, 0x00),
        Say::Sense(6, 0x2a, 0x05),
        full(4, &[registrant(1, Some(WE_RO))]),
    ]);
    assert_eq!(asked.len(), 3);
    assert_eq!(
        exchange.attentions,
        [Attention::new(0x29, 0), Attention::new(0x2a, 5)]
    );
    assert!(state(exchange).is_held_by(key(1)));
}

#[test]
fn a_disk_that_never_stops_attending_is_given_up_after_eight() {
    let (mut disk, log) = disk([Say::Sense(6, 0x29, 0)]);
    let exchange = disk.perform(&Verb::TestUnitReady, BOUND);
    assert_eq!(exchange.attentions.len(), ATTENTIONS_MAX);
    assert_eq!(
        exchange.answer,
        Answer::Refused(Refusal::Sense(Sense::new(6, 0x29, 0)))
    );
    assert_eq!(asked(&log).len(), ATTENTIONS_MAX + 1);
}

#[test]
fn under_an_spc2_reservation_of_another_even_reading_conflicts() {
    let (exchange, _) = read([Say::Status(Status::RESERVATION_CONFLICT)]);
    assert_eq!(exchange.answer, Answer::Conflict { holder: None });
}

#[test]
fn a_disk_without_persistent_reservations_is_unsupported() {
    let (mut disk, _) = disk([Say::Sense(5, 0x20, 0)]);
    assert_eq!(
        disk.perform(&Verb::ReadState, BOUND).answer,
        Answer::Unsupported
    );
    assert_eq!(disk.capabilities().persistent, Support::No);
}

// Capabilities.

fn reported() -> Say {
    Say::Good(
        ReportedCapabilities {
            aptpl_capable: true,
            ..ReportedCapabilities::default()
        }
        .emit()
        .to_vec(),
    )
}

fn supported(code: u8) -> Say {
    Say::Good(vec![0, code, 0, 0])
}

#[test]
fn the_probe_asks_without_changing_anything_and_remembers_the_answers() {
    let (mut disk, log) = disk([
        reported(),
        full(1, &[]),
        supported(1),
        supported(3),
        supported(1),
        Say::Good(Vec::new()),
    ]);
    let Answer::Done(Reply::Capabilities(found)) =
        disk.perform(&Verb::ReadCapabilities, BOUND).answer
    else {
        panic!("it answers");
    };
    assert_eq!(found.persistent, Support::Yes);
    assert_eq!(found.aptpl_capable, Support::Yes);
    assert_eq!(found.aptpl_active, Support::No);
    assert_eq!(found.full_status, Support::Yes);
    assert_eq!(found.spc2, Support::Yes);
    assert_eq!(found.preempt_and_abort, Support::No);
    assert_eq!(found.attentions, Support::Yes);
    assert!(!found.host_registration);
    let asked_so_far = asked(&log);
    assert_eq!(asked_so_far[0], "5e 02 00 00 00 00 00 00 08 00");
    assert_eq!(asked_so_far[4], "a3 0c 02 5f 00 05 00 00 02 00 00 00");
    // It learned that only the six-byte RESERVE is there.
    disk.perform(&Verb::Spc2Reserve, BOUND);
    assert_eq!(asked(&log).last().unwrap(), "16 00 00 00 00 00");
}

#[test]
fn what_a_disk_is_made_of_is_asked_once_and_what_can_change_again() {
    let probe = [reported(), full(1, &[]), supported(3), supported(3)];
    let (mut disk, log) = disk(probe.into_iter().chain([reported()]));
    disk.perform(&Verb::ReadCapabilities, BOUND);
    let before = asked(&log).len();
    let again = disk.perform(&Verb::ReadCapabilities, BOUND).answer;
    assert!(
        matches!(again, Answer::Done(Reply::Capabilities(found)) if found.spc2 == Support::Yes)
    );
    assert_eq!(asked(&log)[before..], ["5e 02 00 00 00 00 00 00 08 00"]);
}

#[test]
fn for_an_arbiter_operation_codes_are_asked_only_where_there_is_nothing_better() {
    for (says, expected) in [(reported(), 0), (Say::Sense(5, 0x20, 0), 1)] {
        let device = Scripted::new([says, full(1, &[])]);
        let log = device.asked();
        let mut disk = OverDevice::new(device).for_an_arbiter();
        disk.perform(&Verb::ReadCapabilities, BOUND);
        let sent = |start: &str| {
            let sent = asked(&log);
            sent.iter().filter(|cdb| cdb.starts_with(start)).count()
        };
        assert_eq!(sent("a3 0c"), expected);
        // The state is read next, and tells whether the disk has it.
        assert_eq!(sent("5e 03"), 0);
    }
}

#[test]
fn a_disk_that_does_not_tell_its_commands_leaves_them_unknown() {
    let (mut disk, _) = disk([reported(), full(1, &[]), Say::Sense(5, 0x20, 0)]);
    disk.perform(&Verb::ReadCapabilities, BOUND);
    assert_eq!(disk.capabilities().spc2, Support::Unknown);
    assert_eq!(disk.capabilities().preempt_and_abort, Support::Unknown);
    assert_eq!(disk.capabilities().persistent, Support::Yes);
}

#[test]
fn a_disk_without_persistent_reservations_is_still_asked_for_spc2() {
    let (mut disk, log) = disk([Say::Sense(5, 0x20, 0), supported(3)]);
    let answer = disk.perform(&Verb::ReadCapabilities, BOUND).answer;
    assert!(matches!(answer, Answer::Done(Reply::Capabilities(_))));
    assert_eq!(disk.capabilities().persistent, Support::No);
    assert_eq!(disk.capabilities().spc2, Support::Yes);
    assert!(
        asked(&log)
            .iter()
            .skip(1)
            .all(|cdb| cdb.starts_with("a3 0c"))
    );
}

#[test]
fn a_probe_that_gets_no_status_says_so() {
    assert_eq!(
        answered(&Verb::ReadCapabilities, Say::Error(DeviceError::TimedOut)),
        Answer::OutcomeUnknown(Uncertainty::TimedOut)
    );
}

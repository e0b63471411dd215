//! Data, their ways and their order; what reaches the medium.

use super::*;
use crate::iscsi::pdu::Residual;

/// Data of so many blocks, each byte of a block its number.
fn blocks(count: u8) -> Vec<u8> {
    (1..=count).flat_map(|number| [number; 512]).collect()
}

fn r2t_tag(responses: &[Response]) -> u32 {
    match responses {
        [Response::R2t(ask)] => ask.transfer_tag,
        other => panic!("an R2T, not {other:?}"),
    }
}

#[test]
fn data_come_with_the_command_unasked_or_asked_for() {
    let mut world = World::new();
    let mut client = world.session("a", 1);
    assert_eq!(world.write(&mut client, &write10(0, 1), &blocks(1)), "GOOD");

    // One block with the command, one unasked behind it.
    let data = blocks(2);
    let mut request = partial(&mut client, &write10(1, 2), &data[..512], 1024, 0);
    if let Request::ScsiCommand(command) = &mut request {
        command.is_final = false;
    }
    assert_eq!(word(&world.send(&mut client, &request)), "");
    let rest = data_out(&client, NO_TAG, 512, 0, &data[512..]);
    assert_eq!(word(&world.send(&mut client, &rest)), "GOOD");

    // One block with the command, two asked for.
    let data = blocks(3);
    let request = partial(&mut client, &write10(3, 3), &data[..512], 1536, 0);
    let asked = world.send(&mut client, &request);
    assert_eq!(word(&asked), "wants 512+1024");
    let rest = data_out(&client, r2t_tag(&asked), 512, 0, &data[512..]);
    assert_eq!(word(&world.send(&mut client, &rest)), "GOOD");

    for (lba, byte) in [1, 1, 2, 1, 2, 3].into_iter().enumerate() {
        assert_eq!(world.block(lba as u64), [byte; 512], "block {lba}");
    }
}

#[test]
fn a_long_write_is_asked_for_burst_by_burst() {
    let mut world = World::new();
    let mut client = world.connect();
    let text = format!("InitiatorName=iqn.a TargetName={NAME} MaxBurstLength=1024");
    assert!(world.login_with(&mut client, 1, &text).status.is_success());
    assert_eq!(world.run(&mut client, &[0; 6]), "29/01");
    let data = blocks(5);
    let request = partial(&mut client, &write10(0, 5), &[], 2560, 0);
    let mut asked = world.send(&mut client, &request);
    for (offset, length) in [(0, 1024), (1024, 1024), (2048, 512)] {
        assert_eq!(word(&asked), format!("wants {offset}+{length}"));
        let part = &data[offset as usize..(offset + length) as usize];
        let burst = data_out(&client, r2t_tag(&asked), offset, 0, part);
        asked = world.send(&mut client, &burst);
    }
    assert_eq!(word(&asked), "GOOD");
    assert_eq!(world.block(4), [5; 512]);
}

#[test]
fn a_refused_write_is_refused_before_its_data_and_what_still_comes_is_dropped() {
    let mut world = World::new();
    let mut holder = world.session("a", 1);
    let mut other = world.session("b", 1);
    assert_eq!(world.run(&mut holder, &RESERVE6), "GOOD");
    let request = partial(&mut other, &write10(0, 1), &[], 512, 0);
    assert_eq!(
        word(&world.send(&mut other, &request)),
        "RESERVATION CONFLICT"
    );
    let late = data_out(&other, NO_TAG, 0, 0, &blocks(1));
    assert_eq!(word(&world.send(&mut other, &late)), "");
    assert_eq!(world.block(0), [0; 512]);
}

#[test]
fn data_out_of_order_end_their_command_and_reach_nothing() {
    // offset, DataSN, transfer tag that is right plus, bytes
    for (offset, data_sn, tag, bytes) in [
        (512, 0, 0, 512),
        (0, 1, 0, 512),
        (0, 0, 1, 512),
        (0, 0, 0, 2048),
        (0, 0, 0, 100),
    ] {
        let mut world = World::new();
        let mut client = world.session("a", 1);
        let request = partial(&mut client, &write10(0, 2), &[], 1024, 0);
        let asked = world.send(&mut client, &request);
        let tag = r2t_tag(&asked) + tag;
        let wrong = data_out(&client, tag, offset, data_sn, &vec![9; bytes]);
        assert_eq!(word(&world.send(&mut client, &wrong)), "4b/00");
        assert_eq!(world.block(0), [0; 512]);
        assert_eq!(world.run(&mut client, &[0; 6]), "GOOD");
    }
}

#[test]
fn preempt_and_abort_takes_a_write_whose_data_are_on_their_way() {
    let mut world = World::new();
    let mut victim = world.session("a", 1);
    let mut winner = world.session("b", 1);
    assert_eq!(world.register(&mut victim, 5, false), "GOOD");
    assert_eq!(world.register(&mut winner, 6, false), "GOOD");
    let request = partial(&mut victim, &write10(0, 1), &[], 512, 0);
    let asked = world.send(&mut victim, &request);
    let (cdb, list) = preempt_and_abort(6, 5);
    assert_eq!(world.write(&mut winner, &cdb, &list), "GOOD");
    let data = data_out(&victim, r2t_tag(&asked), 0, 0, &blocks(1));
    assert_eq!(word(&world.send(&mut victim, &data)), "");
    assert_eq!(world.block(0), [0; 512]);
    assert_eq!(world.run(&mut victim, &[0; 6]), "2a/05");
    assert_eq!(world.run(&mut victim, &[0; 6]), "2f/00");
}

#[test]
fn each_function_takes_the_tasks_that_are_its_own() {
    // function, is one's own write gone, is the other's, what the other then meets
    for (function, own_gone, other_gone, attention) in [
        (TaskFunction::AbortTask, true, false, "GOOD"),
        (TaskFunction::AbortTaskSet, true, false, "GOOD"),
        (TaskFunction::ClearTaskSet, true, true, "2f/00"),
        (TaskFunction::LogicalUnitReset, true, true, "29/03"),
        (TaskFunction::TargetWarmReset, true, true, "29/03"),
    ] {
        let mut world = World::new();
        let mut own = world.session("a", 1);
        let mut other = world.session("b", 1);
        let request = partial(&mut own, &write10(0, 1), &[], 512, 0);
        let own_tag = r2t_tag(&world.send(&mut own, &request));
        let own_task = own.tag;
        let request = partial(&mut other, &write10(1, 1), &[], 512, 0);
        let other_tag = r2t_tag(&world.send(&mut other, &request));
        assert_eq!(
            world.function(&mut own, function, 0, own_task),
            "function complete"
        );
        own.tag = own_task;
        for (client, tag, gone) in [
            (&mut own, own_tag, own_gone),
            (&mut other, other_tag, other_gone),
        ] {
            let data = data_out(client, tag, 0, 0, &blocks(1));
            let answer = word(&world.send(client, &data));
            assert_eq!(answer.is_empty(), gone, "{function:?}: {answer}");
        }
        assert_eq!(world.block(0) == [0; 512], own_gone);
        assert_eq!(world.block(1) == [0; 512], other_gone);
        assert_eq!(world.run(&mut other, &[0; 6]), attention, "{function:?}");
    }
}

#[test]
fn a_task_that_is_not_there_cannot_be_aborted() {
    let mut world = World::new();
    let mut client = world.session("a", 1);
    let abort = TaskFunction::AbortTask;
    assert_eq!(
        world.function(&mut client, abort, 0, 999),
        "task does not exist"
    );
    let unknown = TaskFunction::Other(8);
    assert_eq!(
        world.function(&mut client, unknown, 0, NO_TAG),
        "function not supported"
    );
}

#[test]
fn a_read_says_how_much_it_did_not_move() {
    let mut world = World::new();
    let mut client = world.session("a", 1);
    let read = [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0];
    for (room, moved, residual) in [
        (512, 512, Residual::None),
        (4096, 512, Residual::Underflow(3584)),
        (100, 100, Residual::Overflow(412)),
    ] {
        let request = command(&mut client, &read, &[], room);
        let responses = world.send(&mut client, &request);
        let [Response::DataIn(data)] = responses.as_slice() else {
            panic!("{responses:?}");
        };
        assert_eq!(data.data.len(), moved);
        assert_eq!(data.status.unwrap().residual, residual);
    }
}

#[test]
fn a_long_read_comes_in_the_segments_that_were_agreed() {
    let mut world = World::new();
    let mut client = world.connect();
    let text = format!(
        "InitiatorName=iqn.a TargetName={NAME} MaxRecvDataSegmentLength=1000 MaxBurstLength=1536"
    );
    assert!(world.login_with(&mut client, 1, &text).status.is_success());
    assert_eq!(world.run(&mut client, &[0; 6]), "29/01");
    let request = command(&mut client, &[0x28, 0, 0, 0, 0, 0, 0, 0, 4, 0], &[], 2048);
    let responses = world.send(&mut client, &request);
    assert_eq!(word(&responses), "1000 bytes, 536 bytes, 512 bytes");
    let finals: Vec<bool> = responses
        .iter()
        .map(|response| matches!(response, Response::DataIn(data) if data.is_final))
        .collect();
    assert_eq!(finals, [false, true, true]);
}

#[test]
fn fua_and_synchronize_cache_reach_the_store() {
    let mut world = World::new();
    let mut client = world.session("a", 1);
    let synced = |world: &World| world.target.backend().store().synced;
    assert_eq!(world.write(&mut client, &write10(0, 1), &blocks(1)), "GOOD");
    assert_eq!(synced(&world), 0);
    let mut fua = write10(0, 1);
    fua[1] = 0x08;
    assert_eq!(world.write(&mut client, &fua, &blocks(1)), "GOOD");
    assert_eq!(synced(&world), 1);
    assert_eq!(
        world.run(&mut client, &[0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        "GOOD"
    );
    assert_eq!(synced(&world), 2);
}

#[test]
fn a_registration_with_aptpl_is_kept_before_it_is_answered() {
    let mut world = World::new();
    let mut client = world.session("a", 1);
    assert_eq!(world.register(&mut client, 5, false), "GOOD");
    assert!(world.target.backend().store().kept.is_empty());
    assert_eq!(world.register(&mut client, 5, true), "GOOD");
    let kept = world.target.backend().store().kept.clone();
    assert_eq!(kept.len(), 1);

    let unit = LogicalUnit::from_image(&kept[0]).unwrap();
    let backend = Backend::new(unit, MemoryStore::default(), "".parse().unwrap());
    let mut again = World {
        target: Target::new(settings(), backend),
        now: Duration::ZERO,
    };
    let mut client = again.session("a", 1);
    assert_eq!(again.run(&mut client, &READ_KEYS), "16 bytes");
    // Switched off again, that is kept too.
    assert_eq!(again.register(&mut client, 7, false), "GOOD");
    let off = again.target.backend().store().kept.last().unwrap().clone();
    assert!(!LogicalUnit::from_image(&off).unwrap().aptpl());
}

#[test]
fn what_cannot_be_kept_is_refused_and_undone() {
    let store = MemoryStore {
        cannot_keep: true,
        ..MemoryStore::default()
    };
    let mut world = World::with(settings(), "", store);
    let mut client = world.session("a", 1);
    assert_eq!(world.register(&mut client, 5, true), "44/00");
    assert_eq!(world.run(&mut client, &READ_KEYS), "8 bytes");
}

#[test]
fn a_compare_and_write_whose_data_are_not_what_its_cdb_says_is_refused() {
    let mut world = World::new();
    let mut client = world.session("a", 1);
    let caw = |blocks| [0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, blocks, 0, 0];
    let data = [[0; 512], [9; 512]].concat();
    assert_eq!(world.write(&mut client, &caw(1), &data), "GOOD");
    assert_eq!(world.block(0), [9; 512]);
    for (blocks, length) in [(0, 1024), (1, 512), (1, 2048)] {
        let answer = world.write(&mut client, &caw(blocks), &vec![1; length]);
        assert_eq!(answer, "24/00", "{blocks} blocks, {length} bytes");
    }
    assert_eq!(world.block(0), [9; 512]);
}

#[test]
fn protection_information_that_the_unit_does_not_have_is_refused() {
    let mut world = World::new();
    let mut client = world.session("a", 1);
    let mut write = write10(0, 1);
    write[1] = 1 << 5;
    assert_eq!(world.write(&mut client, &write, &blocks(1)), "24/00");
    assert_eq!(world.block(0), [0; 512]);
    let read = [0x28, 1 << 5, 0, 0, 0, 0, 0, 0, 1, 0];
    assert_eq!(world.run(&mut client, &read), "24/00");
}

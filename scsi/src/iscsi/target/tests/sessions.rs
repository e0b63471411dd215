//! A nexus is a name and an ISID; sessions come and go.

use super::*;
use crate::iscsi::pdu::{LogoutReason, LogoutRequest, NopOut};

#[test]
fn a_new_login_of_the_same_port_ends_the_old_session_and_finds_its_registration() {
    let mut world = World::new();
    let mut old = world.session("a", 1);
    assert_eq!(world.register(&mut old, 5, false), "GOOD");
    let mut new = world.fresh_session("a", 1);
    assert!(world.closes(&old));
    assert_eq!(world.run(&mut old, &[0; 6]), "");
    assert_eq!(world.run(&mut new, &[0; 6]), "29/07");
    assert_eq!(world.run(&mut new, &READ_KEYS), "16 bytes");
}

#[test]
fn another_session_identifier_is_another_nexus_and_disturbs_nobody() {
    let mut world = World::new();
    let mut owner = world.session("a", 1);
    assert_eq!(world.run(&mut owner, &RESERVE6), "GOOD");
    let mut visitor = world.session("a", 2);
    assert_eq!(world.run(&mut visitor, &[0; 6]), "RESERVATION CONFLICT");
    world.target.closed(visitor.id);
    assert!(!world.closes(&owner));
    assert_eq!(world.run(&mut owner, &[0; 6]), "GOOD");
}

#[test]
fn an_spc2_reservation_ends_with_its_session() {
    for polite in [true, false] {
        let mut world = World::new();
        let mut holder = world.session("a", 1);
        let mut other = world.session("b", 1);
        assert_eq!(world.run(&mut holder, &RESERVE6), "GOOD");
        assert_eq!(world.run(&mut other, &[0; 6]), "RESERVATION CONFLICT");
        if polite {
            let logout = Request::Logout(LogoutRequest {
                immediate: false,
                reason: LogoutReason::CloseSession,
                task_tag: 9,
                connection: 0,
                cmd_sn: holder.cmd_sn,
                exp_stat_sn: Serial(0),
            });
            assert_eq!(word(&world.send(&mut holder, &logout)), "logout 0");
            assert!(world.closes(&holder));
        }
        world.target.closed(holder.id);
        assert_eq!(world.run(&mut other, &[0; 6]), "GOOD");
    }
}

#[test]
fn a_command_out_of_its_turn_is_not_there() {
    let mut world = World::new();
    let mut client = world.session("a", 1);
    for wrong in [Serial(0), client.cmd_sn.plus(1), client.cmd_sn.plus(1000)] {
        let right = std::mem::replace(&mut client.cmd_sn, wrong);
        assert_eq!(world.run(&mut client, &[0; 6]), "", "{wrong}");
        client.cmd_sn = right;
    }
    assert_eq!(world.run(&mut client, &[0; 6]), "GOOD");
}

#[test]
fn a_ping_is_answered_with_its_data() {
    let mut world = World::new();
    let mut client = world.session("a", 1);
    let ping = Request::NopOut(NopOut {
        immediate: true,
        lun: Lun::default(),
        task_tag: 77,
        transfer_tag: NO_TAG,
        cmd_sn: client.cmd_sn,
        exp_stat_sn: Serial(0),
        data: b"who is there".to_vec(),
    });
    let responses = world.send(&mut client, &ping);
    let [Response::NopIn(pong)] = responses.as_slice() else {
        panic!("{responses:?}");
    };
    assert_eq!(
        (pong.task_tag, pong.data.as_slice()),
        (77, &b"who is there"[..])
    );
}

#[test]
fn status_numbers_count_up_by_one() {
    let mut world = World::new();
    let mut client = world.session("a", 1);
    let mut last: Option<Serial> = None;
    for cdb in [&[0; 6][..], &READ_KEYS, &[0xff; 6], &[0; 6]] {
        let request = command(&mut client, cdb, &[], 4096);
        for response in world.send(&mut client, &request) {
            let (counters, counts) = response.counters();
            assert!(counts);
            assert!(last.is_none_or(|last| counters.stat_sn == last.next()));
            assert_eq!(counters.exp_cmd_sn, client.cmd_sn);
            last = Some(counters.stat_sn);
        }
    }
    assert!(last.is_some());
}

#[test]
fn a_cold_reset_ends_all_sessions_and_a_warm_one_none() {
    let mut world = World::new();
    let mut a = world.session("a", 1);
    let mut b = world.session("b", 1);
    assert_eq!(world.run(&mut a, &RESERVE6), "GOOD");
    let warm = TaskFunction::TargetWarmReset;
    assert_eq!(world.function(&mut b, warm, 0, NO_TAG), "function complete");
    assert_eq!(world.run(&mut b, &[0; 6]), "29/03");
    assert_eq!(world.run(&mut b, &[0; 6]), "GOOD");
    let cold = TaskFunction::TargetColdReset;
    assert_eq!(world.function(&mut b, cold, 0, NO_TAG), "function complete");
    assert!(world.closes(&a) && world.closes(&b));
}

#[test]
fn a_lun_that_is_not_there_answers_only_inquiry() {
    let mut world = World::new();
    let mut client = world.session("a", 1);
    let mut run = |cdb: &[u8], lun| {
        let mut request = command(&mut client, cdb, &[], 255);
        if let Request::ScsiCommand(command) = &mut request {
            command.lun = Lun::from_number(lun).unwrap();
        }
        world.send(&mut client, &request)
    };
    let responses = run(&[0x12, 0, 0, 0, 255, 0], 1);
    let [Response::DataIn(inquiry)] = responses.as_slice() else {
        panic!("{responses:?}");
    };
    assert_eq!(inquiry.data[0], 0x7f);
    assert_eq!(word(&run(&[0; 6], 1)), "25/00");
    assert_eq!(word(&run(&[0; 6], 0)), "GOOD");
    let reset = TaskFunction::LogicalUnitReset;
    assert_eq!(
        world.function(&mut client, reset, 1, NO_TAG),
        "LUN does not exist"
    );
}

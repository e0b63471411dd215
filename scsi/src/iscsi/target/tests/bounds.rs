//! Whatever comes, and whoever is slow: bounded, and nobody else's trouble.

use super::super::portal::{CONNECTIONS_MAX, SESSIONS_MAX};
use super::*;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn there_is_room_for_so_many_sessions_and_connections_and_no_more() {
    let mut world = World::new();
    let mut sessions: Vec<Client> = (0..SESSIONS_MAX)
        .map(|isid| world.fresh_session("a", u8::try_from(isid).unwrap()))
        .collect();
    let mut one_more = world.connect();
    let text = format!("InitiatorName=iqn.test:b TargetName={NAME}");
    let refused = world.login_with(&mut one_more, 1, &text);
    assert_eq!(refused.status.to_string(), "the target is out of resources");
    world.target.closed(one_more.id);
    let idle: Vec<Client> = (SESSIONS_MAX..CONNECTIONS_MAX)
        .map(|_| world.connect())
        .collect();
    assert_eq!(world.target.accept(world.now, Vec::new(), [0; 32]), None);
    assert_eq!(world.run(&mut sessions[0], &[0; 6]), "29/01");
    // Who connects and says nothing makes room again.
    for _ in 0..10 {
        world.pass(SECOND);
    }
    assert!(idle.iter().all(|client| world.closes(client)));
    assert!(!sessions.iter().any(|client| world.closes(client)));
}

#[test]
fn a_silent_client_is_asked_once_and_then_given_up() {
    let mut world = World::new();
    let mut client = world.session("a", 1);
    let mut other = world.session("b", 1);
    assert_eq!(world.run(&mut client, &RESERVE6), "GOOD");
    world.pass(15 * SECOND);
    assert_eq!(word(&world.take(&mut client)), "ping");
    assert_eq!(word(&world.take(&mut other)), "ping");
    // One answers, the other does not.
    assert_eq!(world.run(&mut other, &[0; 6]), "RESERVATION CONFLICT");
    world.pass(15 * SECOND);
    assert!(world.closes(&client) && !world.closes(&other));
    assert_eq!(word(&world.take(&mut other)), "ping");
    assert_eq!(world.run(&mut other, &[0; 6]), "GOOD");
}

#[test]
fn a_client_that_takes_nothing_is_not_listened_to_and_then_given_up() {
    let mut world = World::new();
    let mut client = world.session("a", 1);
    // 8 MiB of answers are asked for; some are made, the rest wait to be read.
    for _ in 0..32 {
        let request = command(
            &mut client,
            &[0x28, 0, 0, 0, 0, 0, 0, 2, 0, 0],
            &[],
            1 << 18,
        );
        let mut bytes = Vec::new();
        request.emit(Digests::default(), &mut bytes);
        world.target.receive(world.now, client.id, &bytes);
    }
    assert!(world.target.out(client.id).len() < 1 << 20);
    let (_, interest) = world.target.connections().next().unwrap();
    assert!(!interest.read && interest.write);
    let mut patient = world.session("b", 1);
    for _ in 0..10 {
        world.pass(2 * SECOND);
        drop(world.take(&mut patient));
        assert_eq!(world.run(&mut patient, &[0; 6]), "GOOD");
    }
    assert!(world.closes(&client) && !world.closes(&patient));
}

#[test]
fn a_slow_reader_gets_all_of_its_answers() {
    let mut world = World::new();
    let mut client = world.session("a", 1);
    for _ in 0..20 {
        let request = command(
            &mut client,
            &[0x28, 0, 0, 0, 0, 0, 0, 1, 0, 0],
            &[],
            1 << 17,
        );
        let mut bytes = Vec::new();
        request.emit(Digests::default(), &mut bytes);
        world.target.receive(world.now, client.id, &bytes);
    }
    let answers = word(&world.take(&mut client));
    assert_eq!(answers.matches("8192 bytes").count(), 20 * 16);
}

#[test]
fn garbage_costs_the_connection_and_nothing_else() {
    let mut world = World::new();
    let mut good = world.session("a", 1);
    for garbage in [&[0xff; 2000][..], &[0; 48], &[0x01; 60]] {
        let mut bad = world.connect();
        assert_eq!(word(&world.bytes(&mut bad, garbage)), "");
        assert!(world.closes(&bad));
        world.target.closed(bad.id);
    }
    assert_eq!(world.run(&mut good, &[0; 6]), "GOOD");
}

#[test]
fn an_unknown_pdu_is_rejected_and_the_session_goes_on() {
    let mut world = World::new();
    let mut client = world.session("a", 1);
    let mut snack = [0; 48];
    (snack[0], snack[1]) = (0x10, 0x80);
    assert_eq!(
        word(&world.bytes(&mut client, &snack)),
        "rejected: command not supported"
    );
    assert_eq!(world.run(&mut client, &[0; 6]), "GOOD");
}

#[test]
fn more_commands_than_the_window_holds_are_not_taken() {
    let mut world = World::new();
    let mut client = world.session("a", 1);
    let mut asked = 0;
    for _ in 0..40 {
        let request = partial(&mut client, &write10(0, 1), &[], 512, 0);
        asked += world.send(&mut client, &request).len();
    }
    assert_eq!(asked, 32);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_before_or_after_the_login_make_it_panic(
        parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 1..20),
        logged_in: bool,
    ) {
        let mut world = World::new();
        let mut client = if logged_in { world.session("a", 1) } else { world.connect() };
        for (at, part) in parts.iter().enumerate() {
            // Half of them begin like a PDU that is expected.
            let mut bytes = part.clone();
            if at % 2 == 0 && bytes.len() >= 8 {
                bytes[0] &= 0x47;
                bytes[4] = 0;
                bytes[5..8].copy_from_slice(&[0, 0, 0]);
                bytes.resize(48, 0);
            }
            world.bytes(&mut client, &bytes);
        }
        world.pass(Duration::from_secs(100));
    }
}

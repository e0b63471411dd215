//! Who is let in.

use super::*;
use crate::iscsi::chap::{self, Algorithm, Secret};

const SECRETS: &str = "initiator me my-long-secret\ntarget disk its-own-secret";

/// The status of a login straight into the operational stage.
fn status(settings: Settings, text: &str) -> String {
    let mut world = World::with(settings, "", MemoryStore::default());
    let mut client = world.connect();
    let response = world.login_with(&mut client, 1, text);
    assert_eq!(world.closes(&client), !response.status.is_success());
    response.status.to_string()
}

fn with_chap() -> Settings {
    Settings {
        keyring: Keyring::parse(SECRETS).unwrap(),
        ..settings()
    }
}

#[test]
fn a_login_names_itself_and_a_target_that_is_there() {
    let good = format!("InitiatorName=iqn.a TargetName={NAME}");
    assert_eq!(status(settings(), &good), "success");
    for (text, refusal) in [
        ("", "missing parameter"),
        ("TargetName=iqn.2026-01.test:disk", "missing parameter"),
        ("InitiatorName=iqn.a", "missing parameter"),
        ("InitiatorName=iqn.a TargetName=iqn.other", "no such target"),
        (
            "InitiatorName=me TargetName=iqn.2026-01.test:disk",
            "initiator error",
        ),
        (
            "InitiatorName=iqn.a SessionType=Odd",
            "session type not supported",
        ),
        ("InitiatorName=iqn.a InitiatorName=iqn.b", "initiator error"),
        ("nonsense", "initiator error"),
    ] {
        assert_eq!(status(settings(), text), refusal, "{text}");
    }
}

#[test]
fn only_those_that_are_allowed_come_in() {
    let allowed = Settings {
        allowed: vec!["iqn.a".to_owned()],
        ..settings()
    };
    let text = |name: &str| format!("InitiatorName={name} TargetName={NAME}");
    assert_eq!(status(allowed.clone(), &text("iqn.a")), "success");
    assert_eq!(
        status(allowed, &text("iqn.b")),
        "not authorised for this target"
    );
}

#[test]
fn with_secrets_nobody_skips_the_proof() {
    let text = format!("InitiatorName=iqn.a TargetName={NAME}");
    assert_eq!(status(with_chap(), &text), "authentication failed");
    let mut world = World::with(with_chap(), "", MemoryStore::default());
    let mut client = world.connect();
    let offer = format!("{text} AuthMethod=None");
    let request = login_request(1, Stage::Security, &offer);
    let responses = world.send(&mut client, &Request::Login(request));
    assert_eq!(word(&responses), "login authentication failed");
}

/// A login with CHAP up to the proof, which is `prove(id, challenge)`; the answer to it.
fn prove(prove: impl Fn(u8, &[u8]) -> String) -> LoginResponse {
    let mut world = World::with(with_chap(), "", MemoryStore::default());
    let mut client = world.connect();
    let mut exchange = |text: &str| {
        let request = login_request(1, Stage::Security, text);
        let responses = world.send(&mut client, &Request::Login(request));
        let [Response::Login(response)] = responses.as_slice() else {
            panic!("{responses:?}");
        };
        response.clone()
    };
    exchange(&format!(
        "InitiatorName=iqn.a TargetName={NAME} AuthMethod=CHAP,None"
    ));
    let challenged = exchange("CHAP_A=8,7,5");
    assert_eq!(challenged.next, None, "no further without a proof");
    let pairs = Pairs::parse(&challenged.text).unwrap();
    assert_eq!(pairs.get("CHAP_A"), Some("7"));
    let id = pairs.get("CHAP_I").unwrap().parse().unwrap();
    let challenge = chap::decode(pairs.get("CHAP_C").unwrap()).unwrap();
    exchange(&prove(id, &challenge))
}

fn proof(name: &str, secret: &str, id: u8, challenge: &[u8]) -> String {
    let response = Algorithm::Sha256.response(id, &Secret::new(secret.as_bytes()), challenge);
    format!("CHAP_N={name} CHAP_R={}", chap::encode(&response))
}

#[test]
fn the_right_name_and_secret_come_in() {
    let response = prove(|id, challenge| proof("me", "my-long-secret", id, challenge));
    assert!(response.status.is_success());
    assert_eq!(response.next, Some(Stage::Operational));
    assert_eq!(response.text, b"");
}

#[test]
fn a_wrong_name_a_wrong_secret_and_the_targets_own_do_not() {
    for (name, secret) in [
        ("you", "my-long-secret"),
        ("me", "another-secret"),
        ("disk", "its-own-secret"),
    ] {
        let response = prove(|id, challenge| proof(name, secret, id, challenge));
        assert_eq!(
            response.status.to_string(),
            "authentication failed",
            "{name}"
        );
    }
}

#[test]
fn the_target_proves_itself_when_it_is_asked() {
    let response = prove(|id, challenge| {
        let proof = proof("me", "my-long-secret", id, challenge);
        format!("{proof} CHAP_I=9 CHAP_C=0x0102030405")
    });
    let pairs = Pairs::parse(&response.text).unwrap();
    assert_eq!(pairs.get("CHAP_N"), Some("disk"));
    let secret = Secret::new(*b"its-own-secret");
    let expected = Algorithm::Sha256.response(9, &secret, &[1, 2, 3, 4, 5]);
    assert_eq!(pairs.get("CHAP_R"), Some(chap::encode(&expected).as_str()));
}

#[test]
fn its_own_challenge_is_not_answered() {
    let response = prove(|id, challenge| {
        let proof = proof("me", "my-long-secret", id, challenge);
        format!("{proof} CHAP_I={id} CHAP_C={}", chap::encode(challenge))
    });
    assert_eq!(response.status.to_string(), "authentication failed");
}

#[test]
fn a_login_that_never_ends_is_ended() {
    let mut world = World::new();
    let mut client = world.connect();
    let text = format!("InitiatorName=iqn.a TargetName={NAME}");
    let mut refused = None;
    for _ in 0..40 {
        let mut request = login_request(1, Stage::Operational, &text);
        request.next = None;
        let responses = world.send(&mut client, &Request::Login(request));
        if responses.is_empty() {
            break;
        }
        refused = Some(word(&responses));
    }
    assert_eq!(
        refused.as_deref(),
        Some("login invalid request during login")
    );
    assert!(world.closes(&client));
}

#[test]
fn a_stage_that_was_left_is_not_entered_again() {
    let mut world = World::new();
    let mut client = world.connect();
    let text = format!("InitiatorName=iqn.a TargetName={NAME} AuthMethod=None");
    let request = login_request(1, Stage::Security, &text);
    assert_eq!(
        word(&world.send(&mut client, &Request::Login(request))),
        "login success"
    );
    let back = login_request(1, Stage::Security, "");
    let responses = world.send(&mut client, &Request::Login(back));
    assert_eq!(word(&responses), "login invalid request during login");
}

#[test]
fn a_login_joins_no_other_session() {
    let mut world = World::new();
    let mut client = world.connect();
    let text = format!("InitiatorName=iqn.a TargetName={NAME}");
    let mut request = login_request(1, Stage::Operational, &text);
    request.tsih = 1;
    let responses = world.send(&mut client, &Request::Login(request));
    assert_eq!(word(&responses), "login too many connections");
}

#[test]
fn a_discovery_is_told_the_target_and_its_addresses_and_nothing_else() {
    use crate::iscsi::pdu::TextRequest;
    let mut world = World::new();
    let mut client = world.connect();
    let text = "InitiatorName=iqn.a SessionType=Discovery";
    assert!(world.login_with(&mut client, 1, text).status.is_success());
    let ask = |cmd_sn, text: &[u8]| {
        Request::Text(TextRequest {
            immediate: false,
            is_final: true,
            more: false,
            lun: Lun::default(),
            task_tag: 1,
            transfer_tag: NO_TAG,
            cmd_sn: Serial(cmd_sn),
            exp_stat_sn: Serial(0),
            text: text.to_vec(),
        })
    };
    assert_eq!(
        word(&world.send(&mut client, &ask(1, b"SendTargets=All\0"))),
        "{\"TargetName\": \"iqn.2026-01.test:disk\", \"TargetAddress\": \"127.0.0.1:3260,1\", \
         \"TargetAddress\": \"127.0.0.2:3260,1\"}"
    );
    assert_eq!(
        word(&world.send(&mut client, &ask(2, b"SendTargets=iqn.other\0"))),
        "{}"
    );
    client.cmd_sn = Serial(3);
    assert_eq!(world.run(&mut client, &[0; 6]), "rejected: protocol error");
}

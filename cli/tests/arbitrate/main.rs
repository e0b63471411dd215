//! `qctl arbitrate` and `qctl demo` as people run them: real processes over an emulated disk.
//!
//! No test asserts a time: each waits for events, or for processes to be gone, and gives up only when
//! nothing at all happens for a minute. A machine that is too late for an owner is told from a failure (see
//! [`lateness`]).

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod bad_input;
mod command;
#[path = "../common/folder.rs"]
mod folder;
#[path = "../common/lateness.rs"]
mod lateness;
mod losing;
mod mount;
mod quorum_log;
#[path = "../common/running.rs"]
mod running;
mod world;

use lateness::{in_time, witness};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::io::Read as _;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output, Stdio};
use world::{PATIENCE, Running, World, until};

#[test]
fn a_clean_stop_ends_with_0_and_leaves_nothing_on_the_disk() {
    in_time(|| {
        let world = World::new();
        let mut qctl = world.start(1, &[], &[]);
        qctl.until("owner");
        assert_eq!(world.registrations(), 1);
        qctl.signal(Signal::SIGTERM);
        assert_eq!(qctl.until("stopped")["reason"], "released");
        assert_eq!(qctl.end().0, Some(0));
        assert_eq!(world.registrations(), 0);
    });
}

#[test]
fn a_disk_that_another_holds_ends_with_24_and_with_wait_only_when_that_is_over() {
    in_time(|| {
        let world = World::new();
        let mut owner = world.start(1, &[], &[]);
        owner.until("owner");
        let mut second = world.start(2, &[], &["sh", "-c", "exit 7"]);
        assert_eq!(second.until("stopped")["reason"], "not-taken");
        let (code, said) = second.end();
        assert_eq!(code, Some(24));
        assert!(said.contains("another holds the disk"), "{said}");

        let mut third = world.start(3, &["--wait=100ms"], &[]);
        assert_eq!(third.end().0, Some(24));
        let mut fourth = world.start(4, &["--wait"], &[]);
        fourth.until("waiting");
        owner.signal(Signal::SIGTERM);
        fourth.until("owner");
        assert_eq!(owner.end().0, Some(0));
    });
}

#[test]
fn of_three_contenders_one_wins_and_the_others_end_with_24() {
    in_time(|| {
        let world = World::new();
        let mut contenders: Vec<Running> =
            (1..=3).map(|node| world.start(node, &[], &[])).collect();
        let mut owners = 0;
        for contender in &mut contenders {
            let end = until("a verdict", || {
                let line = contender.lines.recv_timeout(PATIENCE).unwrap();
                let value = contender.saw(&line)?;
                let event = value["event"].as_str()?.to_owned();
                matches!(event.as_str(), "owner" | "ended").then_some((event, value))
            });
            if end.0 == "owner" {
                owners += 1;
            } else {
                assert_eq!(end.1["code"], 24);
            }
        }
        assert_eq!(owners, 1);
    });
}

#[test]
fn another_clusters_disk_is_refused_with_113() {
    in_time(|| {
        let world = World::new();
        let mut owner = world.start(1, &["--cluster=theirs"], &[]);
        owner.until("owner");
        let mut ours = world.start(2, &["--cluster=ours"], &[]);
        assert_eq!(ours.until("stopped")["reason"], "refused");
        assert_eq!(ours.end().0, Some(113));
        // Other times are another cluster too.
        let mut slow = world.start(3, &["--cluster=theirs", "--profile=fast"], &[]);
        assert_eq!(slow.end().0, Some(113));
        assert_eq!(world.registrations(), 1);
    });
}

#[test]
fn a_second_arbiter_on_the_nexus_is_refused_with_the_pid_of_the_first() {
    in_time(|| {
        let world = World::new();
        let mut first = world.start(1, &["--wait"], &[]);
        first.until("started");
        let (code, said) = world.start(1, &[], &[]).end();
        assert_eq!(code, Some(24));
        let pid = format!("process {} ", first.process.id());
        assert!(said.contains(&pid), "{said}");
    });
}

#[test]
fn no_environment_gives_a_second_arbiter_a_lock_of_its_own() {
    in_time(|| {
        let world = World::new();
        let mut first = world.start(1, &[], &[]);
        first.until("owner");
        let mut second = world.qctl(1, &[]);
        second.env("RUNTIME_DIRECTORY", world.file("elsewhere"));
        second.env("STATE_DIRECTORY", world.file("elsewhere"));
        second.env("XDG_RUNTIME_DIR", world.file("elsewhere"));
        let (code, said) = Running::of(second).end();
        assert_eq!(code, Some(24), "{said}");
        assert!(!world.file("elsewhere").exists());
    });
}

#[test]
fn the_service_manager_hears_of_readiness_at_ownership_only() {
    in_time(|| {
        let world = World::new();
        let socket = world.file("notify");
        let manager = UnixDatagram::bind(&socket).unwrap();
        manager.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut command = world.qctl(1, &[]);
        command.env("NOTIFY_SOCKET", &socket);
        let said = world.file("said");
        let line = format!("echo socket=$NOTIFY_SOCKET > {}", said.display());
        command.args(["--", "sh", "-c", &line]);
        let mut qctl = Running::of(command);
        let mut heard = Vec::new();
        loop {
            let mut bytes = [0; 4096];
            let count = manager.recv(&mut bytes).unwrap();
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            heard.push(text.clone());
            if text.contains("READY=1") {
                break;
            }
        }
        assert!(heard[0].contains("STATUS=contending"), "{heard:?}");
        assert_eq!(qctl.end().0, Some(0));
        // The command must not speak for us.
        assert_eq!(std::fs::read_to_string(said).unwrap().trim(), "socket=");
    });
}

#[test]
fn wrong_arguments_end_with_1_and_change_nothing() {
    let world = World::new();
    for wrong in [
        &["--node=0"][..],
        &["--grace=5"],
        &["--profile=slow"],
        &["--then=x", "--watchdog-nowayout-ok"],
        // Whole seconds do not fit into these times.
        &["--watchdog=/nonexistent", "--profile=fast"],
    ] {
        let output: Output = world.qctl(1, wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{wrong:?}");
    }
    assert_eq!(world.registrations(), 0);
}

#[test]
fn every_line_is_as_its_schema_says() {
    in_time(|| {
        let world = World::new();
        let mut qctl = world.start(1, &["--watchdog=/nonexistent", "--profile=fast"], &[]);
        let (_, refused) = qctl.end();
        check(&refused, &["error"]);
        let mut owner = world.start(1, &[], &["sh", "-c", "sleep 1"]);
        let (code, lines) = owner.end();
        assert_eq!(code, Some(0));
        check(&lines, &["arbitrate"]);
    });
}

#[test]
fn the_demo_passes_its_own_checks_and_leaves_nothing_behind() {
    in_time(|| {
        let world = World::new();
        let mut demo = Command::new(env!("CARGO_BIN_EXE_qctl"))
            .args(["--json", "demo"])
            .env("TMPDIR", world.directory())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = String::new();
        demo.stdout
            .take()
            .unwrap()
            .read_to_string(&mut lines)
            .unwrap();
        let mut struck = Vec::new();
        for line in lines.lines() {
            let told: Value = serde_json::from_str(line).unwrap();
            // The demo itself stops and kills owners: what those say afterwards is no news.
            if told["signal"].is_string() {
                struck.push(told["node"].clone());
            } else if !struck.contains(&told["node"]) {
                witness(&told);
            }
        }
        assert_eq!(demo.wait().unwrap().code(), Some(0), "{lines}");
        check(&lines, &["arbitrate", "demo"]);
        let verdict: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        assert_eq!(verdict["event"], "verdict");
        assert_eq!(verdict["failed"], 0);
        assert!(verdict["passed"].as_u64().unwrap() >= 5);
        assert_eq!(std::fs::read_dir(world.directory()).unwrap().count(), 0);
    });
}

/// Validates every document, and demands that these schemas, and no others, are there.
fn check(lines: &str, names: &[&str]) {
    let mut seen = Vec::new();
    for value in serde_json::Deserializer::from_str(lines).into_iter::<Value>() {
        let value = value.unwrap();
        let name = value["schema"]
            .as_str()
            .unwrap()
            .strip_suffix("/1")
            .unwrap();
        let file = format!("{}/schemas/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let schema = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        if let Err(error) = jsonschema::validate(&schema, &value) {
            panic!("{value}: {error}");
        }
        seen.push(name.to_owned());
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen, names);
}

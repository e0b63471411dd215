//! `qctl arbitrate --log`: the owner claims an epoch, its command hears of it, and a clean stop parks.

use super::lateness::in_time;
use super::world::{Running, World};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::process::Command;

impl World {
    /// A log on the disk itself.
    pub(super) fn create_log(&self, cluster: &str) {
        let name = format!("emu:{}?nexus=operator", self.file("disk").display());
        create(&[&name, "--cluster", cluster]);
    }

    /// A log in a file.
    pub(super) fn create_log_file(&self) -> String {
        let path = self.file("log").display().to_string();
        create(&[&path, "--size", "1MiB", "--cluster", "qctl"]);
        path
    }
}

fn create(arguments: &[&str]) {
    let created = Command::new(env!("CARGO_BIN_EXE_qctl"))
        .args(["log", "create"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(created.status.success(), "{created:?}");
}

/// The epoch that was claimed on the way to ownership.
fn epoch(qctl: &mut Running) -> Value {
    let epoch = qctl.until("log-claimed")["epoch"].clone();
    if !qctl.seen.iter().any(|event| event["event"] == "owner") {
        qctl.until("owner");
    }
    epoch
}

#[test]
fn the_command_starts_in_an_epoch_of_its_own_and_hears_of_it() {
    in_time(|| {
        let world = World::new();
        world.create_log("qctl");
        let said = world.file("said");
        let line = format!("echo $QCTL_EPOCH > {}", said.display());
        for turn in 1..=3 {
            let mut qctl = world.start(1, &["--log=disk"], &["sh", "-c", &line]);
            assert_eq!(epoch(&mut qctl), turn);
            assert_eq!(qctl.until("log-parked")["error"], Value::Null);
            assert_eq!(qctl.until("stopped")["reason"], "parked");
            assert_eq!(qctl.end().0, Some(0));
            let said = std::fs::read_to_string(&said).unwrap();
            assert_eq!(said.trim(), turn.to_string());
            assert_eq!(world.registrations(), 1, "parked: it is still held");
        }
    });
}

#[test]
fn a_parked_disk_is_taken_by_the_next_node_before_its_wait_is_over() {
    in_time(|| {
        let world = World::new();
        let log = format!("--log={}", world.create_log_file());
        let mut first = world.start(1, &[&log], &[]);
        let key = first.until("held")["key"].clone();
        assert_eq!(epoch(&mut first), 1);
        first.signal(Signal::SIGTERM);
        assert_eq!(first.until("stopped")["reason"], "parked");
        assert_eq!(first.end().0, Some(0));

        let mut second = world.start(2, &[&log], &[]);
        let waiting = second.until("waiting");
        let taking = second.until("taking");
        assert_eq!(taking["victim"], key);
        let ns = |event: &Value| event["monotonic_ns"].as_u64().unwrap();
        let wait_ms = waiting["for_ms"].as_f64().unwrap();
        let waited = (ns(&taking) - ns(&waiting)) as f64 / 1e6;
        assert!(waited < wait_ms, "{waited} of {wait_ms} ms");
        assert_eq!(epoch(&mut second), 2);
    });
}

#[test]
fn a_log_that_is_missing_or_of_another_cluster_gives_the_disk_back_with_its_own_code() {
    in_time(|| {
        let world = World::new();
        let mut qctl = world.start(1, &["--log=disk"], &["sh", "-c", "exit 7"]);
        qctl.until("held");
        let (code, said) = qctl.end();
        assert_eq!(code, Some(105), "{said}");
        assert!(
            said.contains(&format!("qctl log create {}", world.disk(1))),
            "{said}"
        );
        assert!(!said.contains("command-started"));
        world.create_log("beta");
        let mut qctl = world.start(1, &["--log=disk"], &[]);
        let (code, said) = qctl.end();
        assert_eq!(code, Some(113), "{said}");
        assert_eq!(world.registrations(), 0, "given back");
    });
}

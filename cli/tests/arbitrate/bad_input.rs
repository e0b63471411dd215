//! What an arbiter is given that it must not believe: targets, disks, numbers and files. Refused or told, with what to do;
//! never a win that is not proven.

use super::lateness::in_time;
use super::world::{Running, World};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Stdio};

impl World {
    /// The files in which this host keeps its serials.
    fn serial_files(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.file("state")).unwrap();
        let files = files.map(|file| file.unwrap().path());
        let is_mark = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with("serials") && path.extension().is_none_or(|end| end != "lock")
        };
        files.filter(is_mark).collect()
    }

    /// Another host that was given node 1's number, over a nexus of its own.
    fn twin(&self) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qctl"));
        command
            .args(["--json", "arbitrate", "--node=1"])
            .arg("--host-files")
            .arg(self.file("twin"))
            .arg(self.disk(2))
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Running::of(command)
    }
}

fn count(qctl: &Running, event: &str) -> usize {
    let seen = qctl.seen.iter();
    seen.filter(|seen| seen["event"] == event).count()
}

#[test]
fn a_takeover_for_which_there_are_no_times_is_refused_before_the_disk_is_touched() {
    let world = World::new();
    for takeover in ["1ms", "10ms"] {
        let mut qctl = world.start(1, &["--mode=pr", &format!("--takeover={takeover}")], &[]);
        let (code, said) = qctl.end();
        assert_eq!(code, Some(36), "{said}");
        assert!(said.contains("no times for a takeover within"), "{said}");
        assert!(said.contains("give it more time"), "{said}");
    }
    assert_eq!(world.registrations(), 0);
}

#[test]
fn a_second_node_with_the_owners_number_is_refused_and_the_owner_goes_on() {
    in_time(|| {
        let world = World::new();
        let mut owner = world.start(1, &[], &[]);
        owner.until("owner");
        let mut twin = world.twin();
        let stopped = twin.until("stopped");
        assert_eq!(stopped["reason"], "refused", "{stopped}");
        let (code, said) = twin.end();
        assert_eq!(code, Some(113), "{said}");
        assert_eq!(count(&twin, "held"), 0);
        assert_eq!(world.registrations(), 1);
        owner.signal(Signal::SIGTERM);
        assert_eq!(owner.end().0, Some(0));
    });
}

#[test]
fn a_serial_file_that_is_restored_from_a_backup_or_lost_never_makes_an_old_key_anew() {
    in_time(|| {
        let world = World::new();
        let mut before = world.start(1, &[], &["true"]);
        let first = before.until("held")["key"].clone();
        assert_eq!(before.end().0, Some(0));
        let files = world.serial_files();
        let [file] = files.as_slice() else {
            panic!("one disk, one node: {files:?}");
        };
        let backup = std::fs::read(file).unwrap();
        // This one dies, and its key stays behind.
        let mut killed = world.start(1, &[], &[]);
        let second = killed.until("held")["key"].clone();
        killed.signal(Signal::SIGKILL);
        assert_eq!(killed.end().0, None);

        std::fs::write(file, backup).unwrap();
        let mut restored = world.start(1, &[], &[]);
        let told = restored.until("serials")["text"].to_string();
        assert!(told.contains("restored from a backup"), "{told}");
        let third = restored.until("held")["key"].clone();
        restored.signal(Signal::SIGKILL);
        assert_eq!(restored.end().0, None);

        std::fs::remove_file(file).unwrap();
        let mut lost = world.start(1, &[], &["true"]);
        let told = lost.until("serials")["text"].to_string();
        assert!(told.contains("begun at random"), "{told}");
        let fourth = lost.until("held")["key"].clone();
        let keys: std::collections::BTreeSet<String> = [first, second, third, fourth]
            .iter()
            .map(Value::to_string)
            .collect();
        assert_eq!(keys.len(), 4, "{keys:?}");
    });
}

#[test]
fn a_target_that_says_good_and_does_nothing_gives_no_win() {
    in_time(|| {
        let world = World::new();
        let mut believed = world.start(1, &["--fault=PR-RESERVE: lie"], &[]);
        let (code, said) = believed.end();
        assert_eq!(code, Some(24), "{said}");
        assert!(said.contains("\"taken\""), "{said}");
        assert!(!said.contains("\"held\""), "{said}");
        assert_eq!(world.registrations(), 0);
        // Once, and then it tells the truth: who waits takes it in a further challenge.
        for schedule in ["at 1 on PR-RESERVE: lie", "at 1 on REGISTER: lie"] {
            let mut again = world.start(1, &["--wait", &format!("--fault={schedule}")], &["true"]);
            again.until("held");
            assert_eq!(count(&again, "lost"), 1, "{schedule}: {:#?}", again.seen);
            assert_eq!(again.end().0, Some(0), "{schedule}");
        }
    });
}

#[test]
fn a_target_that_says_good_to_aptpl_and_does_not_keep_it_gives_no_win() {
    in_time(|| {
        let world = World::new();
        // PTPL_A of REPORT CAPABILITIES reads 0, whatever REGISTER was answered.
        let lies = "--fault=opcode 5e/02: clear 3/01";
        let mut refused = world.start(1, &["--mode=pr", lies], &["true"]);
        let (code, said) = refused.end();
        assert_eq!(code, Some(9), "{said}");
        assert!(!said.contains("\"held\""), "{said}");
        assert!(said.contains("power loss"), "{said}");
        assert!(said.contains("--accept-no-aptpl"), "{said}");
        assert_eq!(world.registrations(), 0);
        // On the operator's word, who knows what it weakens.
        let mut accepted = world.start(1, &["--mode=pr", "--accept-no-aptpl", lies], &["true"]);
        accepted.until("held");
        assert_eq!(accepted.end().0, Some(0));
    });
}

#[test]
fn a_disk_slower_than_the_times_allow_for_is_told() {
    let world = World::new();
    let mut qctl = world.start(1, &["--mode=pr", "--fault=any: delay 65ms"], &[]);
    let slow = qctl.until("slow");
    let ms = |name: &str| slow[name].as_f64().unwrap();
    assert!(ms("took_ms") > ms("allowed_ms"), "{slow}");
}

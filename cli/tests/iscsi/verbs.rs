//! The verbs of persistent reservations over `iscsi://`: each is a process of its own, and the next finds what it has done.

use crate::world::Disk;
use serde_json::Value;

impl Disk {
    /// `qctl disk pr LINE` on this host, the URL behind its first word.
    fn pr(&self, host: u8, line: &str) -> (Option<i32>, Value) {
        let mut words = line.split_whitespace();
        let verb = words.next().unwrap();
        let mut args = vec!["disk", "pr", verb, &self.url];
        args.extend(words);
        let (code, document, said) = self.folder.run(host, &args);
        assert!(!document.is_null(), "{line}: {said}");
        (code, document)
    }

    fn does(&self, host: u8, line: &str) {
        let (code, document) = self.pr(host, line);
        assert_eq!(code, Some(0), "{line}: {document:#}");
    }

    fn holder(&self, host: u8) -> Value {
        self.pr(host, "holder").1["reservation"]["key"].clone()
    }
}

#[test]
fn a_registration_is_there_for_the_next_verb() {
    let disk = Disk::ours(&[]);
    disk.does(1, "register --key 0xa1");
    disk.does(1, "audit");
    disk.does(1, "reserve --type we");
    disk.does(2, "register --key 0xb2");
    assert_eq!(disk.pr(2, "reserve --type we").0, Some(24));
    assert_eq!(disk.holder(3), "0xa1");

    disk.does(2, "preempt --victim 0xa1 --yes");
    assert_eq!(disk.holder(1), "0xb2");
    assert_eq!(
        disk.pr(1, "release").0,
        Some(24),
        "it is not registered any more"
    );

    disk.does(2, "release");
    disk.does(2, "unregister");
    let (_, status) = disk.pr(1, "status");
    assert_eq!(status["state"]["registrations"], Value::Array(Vec::new()));
}

#[test]
fn verbs_of_one_host_take_turns() {
    let disk = Disk::ours(&[]);
    let mut running: Vec<_> = (0..4)
        .map(|_| {
            let args = [
                "disk",
                "pr",
                "register",
                &disk.url,
                "--key=0xa1",
                "--ignore-existing",
            ];
            disk.folder.qctl(1, &args).spawn().unwrap()
        })
        .collect();
    for process in &mut running {
        assert!(
            process.wait().unwrap().success(),
            "nobody ended its session"
        );
    }
    let (_, status) = disk.pr(1, "status");
    assert_eq!(
        status["state"]["registrations"].as_array().unwrap().len(),
        1
    );
}

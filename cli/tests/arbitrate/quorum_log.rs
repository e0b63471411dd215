//! `qctl arbitrate --log`: the owner claims an epoch, its command hears of it, and a clean stop parks.

use super::{PATIENCE, Running, World, in_time};
use nix::sys::signal::Signal;
use qlog::storage::FileStorage;
use qlog::{Cluster, Format, Storage};
use quorum::lun::Lun;
use serde_json::Value;

const REGION: u64 = 1 << 20;

impl World {
    /// A log on the disk itself.
    fn create_log(&self, cluster: &str) {
        let name = format!("emu:{}?nexus=operator", self.file("disk").display());
        let device = scsi::emulated::open(&name, PATIENCE).unwrap();
        let storage = Lun::open(Box::new(device), PATIENCE).unwrap().unfenced();
        create(&storage, cluster);
    }

    /// A log in a file.
    fn create_log_file(&self) -> String {
        let path = self.file("log");
        create(&FileStorage::create(&path, REGION).unwrap(), "qctl");
        path.display().to_string()
    }
}

fn create(storage: &impl Storage, cluster: &str) {
    let format = Format::for_region(storage.region_bytes(), storage.block_bytes()).unwrap();
    let cluster = Cluster {
        name: cluster.to_owned(),
        times: Vec::new(),
    };
    qlog::create(storage, format, cluster, &mut |_| {}).unwrap();
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

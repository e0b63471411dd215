//! Arbitration as its user waits for it, over each way to a disk: the read of a defence round, and a whole take
//! from the start of an arbiter to `Held`, with the `fast` profile (whose challenge wait is 250 ms of it), and
//! the disk given back.
//!
//! ```sh
//! cargo bench --bench takes
//! QCTL_BENCH_DISK=/dev/disk/by-id/... cargo bench --bench takes     # a real disk too, that nobody uses
//! ```

#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up ends")]

use criterion::{
    BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime,
};
use quorum::arbiter::{Arbiter, Happening, Settings};
use quorum_core::arbitration::{Config, Event, Mode, NodeNumber};
use quorum_core::times::Profile;
use scsi::device::schedule::Schedule;
use scsi::disk::{Disk, Options, Purpose};
use scsi::iscsi::keyring::Keyring;
use scsi::iscsi::target::{Backend, FileStore, Server, Settings as TargetSettings};
use scsi::logical_unit::{Behaviour, Config as UnitConfig};
use scsi::reservation::{Answer, PersistentState, Reply, Verb};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The disk of a third group.
const REAL_DISK: &str = "QCTL_BENCH_DISK";

const INITIATOR: &str = "iqn.2026-01.local.qctl:criterion";
const TARGET: &str = "iqn.2026-01.local.qctl:criterion-disk";
const BOUND: Duration = Duration::from_secs(5);

/// Files that are gone in the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}

/// Our target, in a thread.
struct Target {
    url: String,
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Target {
    fn start(folder: &Path) -> Self {
        let store = FileStore::open(&folder.join("disk"), Some(8 << 20)).unwrap();
        let config = UnitConfig {
            behaviour: Behaviour::Standard,
            seed: 0,
            blocks: store.blocks().unwrap(),
            target_ports: 1,
            serial: "CRITERION".to_owned(),
        };
        let unit = store.unit(config).unwrap();
        let backend = Backend::new(unit, store, Schedule::default());
        let settings = TargetSettings {
            name: TARGET.to_owned(),
            allowed: Vec::new(),
            keyring: Keyring::default(),
            wishes: TargetSettings::wishes(),
        };
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Server::listen(&[listen], settings, backend).unwrap();
        let url = format!("iscsi://{}/{TARGET}/0", server.addresses()[0]);
        let (stop, stopped) = UnixStream::pair().unwrap();
        let thread = std::thread::spawn(move || server.serve(stopped).unwrap());
        Self {
            url,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // Its end of the pair becomes readable.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

fn open(name: &str) -> Disk {
    let options = Options {
        bound: BOUND,
        purpose: Purpose::Arbitrate,
        initiator: Some(INITIATOR),
        ..Options::default()
    };
    scsi::disk::open(name, &options).unwrap()
}

fn state(disk: &mut Disk) -> PersistentState {
    let exchange = disk.paths[0].reservations.perform(&Verb::ReadState, BOUND);
    match exchange.answer {
        Answer::Done(Reply::State(state)) => state,
        Answer::Done(_)
        | Answer::Conflict { .. }
        | Answer::Attention(_)
        | Answer::Refused(_)
        | Answer::Unsupported
        | Answer::OutcomeUnknown(_)
        | Answer::NotSent(_) => panic!("the state cannot be read"),
    }
}

/// From the start of an arbiter until it holds the disk; then the disk is free again.
fn take(name: &str, folder: &Path) -> Duration {
    let disk = open(name);
    let times = Profile::Fast.times(Mode::Persistent);
    let mut config = Config::new(Mode::Persistent, "criterion", NodeNumber(1), times);
    config.paths = u16::try_from(disk.paths.len()).unwrap();
    let settings = Settings {
        config,
        wwid: disk.identity.wwid.clone().unwrap_or_default(),
        nexuses: disk
            .paths
            .iter()
            .flat_map(|path| path.lock_names.clone())
            .collect(),
        state_dir: folder.join("state"),
        runtime_dir: folder.join("run"),
        watchdog: None,
    };
    let paths = disk.paths.into_iter().map(|path| path.reservations);
    let began = Instant::now();
    let arbiter = Arbiter::start(paths.collect(), settings).unwrap();
    let notices = arbiter.notices();
    let mut took = None;
    while let Some(notice) = notices.next() {
        arbiter.feed();
        if let Happening::Arbitration(Event::Held { .. }) = notice.what {
            took = Some(began.elapsed());
            arbiter.release();
        }
    }
    took.unwrap()
}

fn bench(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, folder: &Path) {
    let mut disk = open(name);
    assert!(disk.usages.is_empty(), "{name} is used: {:?}", disk.usages);
    let found = state(&mut disk);
    assert!(
        found.registrations.is_empty(),
        "somebody is registered on {name}"
    );
    group.bench_function("state", |bencher| bencher.iter(|| state(&mut disk)));
    drop(disk);
    group.sample_size(10);
    group.bench_function("take", |bencher| {
        bencher.iter_custom(|count| (0..count).map(|_| take(name, folder)).sum());
    });
}

fn takes(criterion: &mut Criterion) {
    let path = std::env::temp_dir().join(format!("qctl-takes-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    let folder = Folder(path);
    let emulated = format!("emu:{}?nexus=a", folder.0.join("emulated").display());
    let target = Target::start(&folder.0);
    let real = std::env::var(REAL_DISK).ok();
    let ways = [
        ("emulated", Some(emulated)),
        ("iscsi", Some(target.url.clone())),
        ("real", real),
    ];
    for (way, name) in ways {
        let Some(name) = name else { continue };
        let mut group = criterion.benchmark_group(format!("arbitration/{way}"));
        bench(&mut group, &name, &folder.0);
        group.finish();
    }
}

criterion_group!(benches, takes);
criterion_main!(benches);

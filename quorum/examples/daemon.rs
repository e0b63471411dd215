//! A daemon of one's own in a hundred lines: it takes the disk that is named on its command line, keeps a log on
//! that very disk, and counts in it how often it was started.
//!
//! ```sh
//! cargo run --example daemon -- emu:/tmp/quorum?nexus=a --create      # makes the log, on a disk that nobody uses yet
//! cargo run --example daemon -- emu:/tmp/quorum?nexus=a 1             # node 1; and nexus=b 2 in another terminal: kill one
//! ```
//!
//! A last word names the times: `classic`, `default` or `fast`; every node of a cluster goes by the same.

#![expect(clippy::print_stdout, reason = "an example that tells what happens")]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "it acts on a few of the notices, and prints the others"
)]

use qlog::{Cluster, Entry, Format, Log, Lsn, Replay, Storage};
use quorum::arbiter::{Arbiter, Happening, Ownership, Settings, now, runtime_dir, state_dir};
use quorum::log::{Claimed, claim};
use quorum::lun::{Lun, LunStorage};
use quorum_core::arbitration::{Config, Event, Mode, NodeNumber};
use quorum_core::times::Profile;
use scsi::disk::{Disk, Options, Purpose};
use std::error::Error;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

const USAGE: &str = "usage: daemon DISK --create | daemon DISK NODE [classic | default | fast]";
const CLUSTER: &str = "daemon-example";
const BOUND: Duration = Duration::from_secs(5);

/// What the daemon keeps: the number of terms that its cluster has seen.
#[derive(Default)]
struct Terms(u64);

impl Replay for Terms {
    fn checkpoint(&mut self, _upto: Lsn, state: &[u8]) {
        self.0 = state.try_into().map_or(0, u64::from_le_bytes);
    }

    fn record(&mut self, _term: Entry<'_>) {
        self.0 += 1;
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().ok_or(USAGE)?;
    let what = arguments.next().ok_or(USAGE)?;
    let options = Options {
        bound: BOUND,
        purpose: Purpose::Arbitrate,
        ..Options::default()
    };
    let mut disk = scsi::disk::open(&name, &options)?;
    let device = disk.paths[0]
        .device
        .take()
        .ok_or("this disk has no way to read and write blocks")?;
    let lun = Lun::open(device, BOUND)?;
    if what == "--create" {
        return create(&lun.unfenced());
    }
    let node = NodeNumber(what.parse::<NonZero<u8>>().map_err(|_| USAGE)?.get());
    let profile = arguments.next().unwrap_or_else(|| "default".to_owned());
    let profile = Profile::from_name(&profile).ok_or(USAGE)?;

    let settings = settings(&disk, node, profile);
    let paths = disk
        .paths
        .into_iter()
        .map(|path| path.reservations)
        .collect();
    let arbiter = Arc::new(Arbiter::start_with_log(
        paths,
        Box::new(lun.reader()),
        settings,
    )?);
    feed(&arbiter);
    let notices = arbiter.notices();
    let mut log = None;
    while let Some(notice) = notices.next() {
        match notice.what {
            // The disk refuses everybody else: the log is ours to read and to write.
            Happening::Arbitration(Event::Held { .. } | Event::Retaken { .. }) => {
                if let Some(ownership) = arbiter.ownership() {
                    let won = on_win(&lun, &ownership)?;
                    arbiter.claimed(won.incarnation());
                    log = Some(won);
                }
            }
            // What the disk cannot fence (an address, a mount elsewhere) may start.
            Happening::Arbitration(Event::Owner { .. }) => println!("owner: services may start"),
            Happening::Arbitration(Event::Stopped(why)) => on_loss(&format!("{why:?}"), log.take()),
            Happening::SelfStopTimer { .. } => on_loss("the proof ran out", log.take()),
            other => println!("{:>9} {other:?}", now()),
        }
    }
    Ok(())
}

/// The arbiter defends the disk only while it is fed: a real daemon does this from what proves that its service is well.
fn feed(arbiter: &Arc<Arbiter>) {
    let arbiter = Arc::downgrade(arbiter);
    std::thread::spawn(move || {
        while let Some(arbiter) = arbiter.upgrade() {
            arbiter.feed();
            std::thread::sleep(Duration::from_millis(100));
        }
    });
}

fn create(storage: &LunStorage) -> Result<(), Box<dyn Error>> {
    let format = Format::for_region(storage.region_bytes(), storage.block_bytes())?;
    let cluster = Cluster {
        name: CLUSTER.to_owned(),
        times: Vec::new(),
    };
    let id = qlog::create(storage, format, cluster, &mut |_done| {})?;
    println!("made log {id}");
    Ok(())
}

fn settings(disk: &Disk, node: NodeNumber, profile: Profile) -> Settings {
    let times = profile.times(Mode::Persistent);
    let mut config = Config::new(Mode::Persistent, CLUSTER, node, times);
    config.policy.wait = true;
    Settings {
        config,
        wwid: disk
            .identity
            .wwid
            .clone()
            .unwrap_or_else(|| disk.name.clone()),
        nexuses: disk
            .paths
            .iter()
            .flat_map(|path| path.lock_names.clone())
            .collect(),
        state_dir: state_dir(),
        runtime_dir: runtime_dir(),
        watchdog: None,
    }
}

fn on_win(lun: &Lun, ownership: &Ownership) -> Result<Log<LunStorage>, Box<dyn Error>> {
    let storage = || Ok(lun.owned_by(ownership.clone()));
    let Claimed {
        log,
        replay: Terms(terms),
        ..
    } = claim(storage, ownership, CLUSTER, 0, Terms::default)?;
    // Before anything is appended: whoever was killed behind its last record may have left no room for another.
    let position = log.position();
    if position.wants_checkpoint {
        log.checkpoint(Lsn(position.durable.0 - 1), &terms.to_le_bytes())?;
    }
    log.append_durable(b"a term")?;
    println!(
        "won: epoch {}, term {} of this cluster",
        log.epoch(),
        terms + 1
    );
    Ok(log)
}

fn on_loss(why: &str, log: Option<Log<LunStorage>>) {
    println!(
        "lost: {why}; {}",
        log.map_or("nothing was begun", |_log| "the log is another's now")
    );
}

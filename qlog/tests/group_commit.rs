//! Many threads commit to a disk that takes its time: everybody is acknowledged or told, and nobody is left asleep.
#![expect(clippy::unwrap_used, reason = "tests")]

use qlog::storage::MemoryStorage;
use qlog::{
    Claim, Cluster, Entry, Fencing, Format, Log, Lsn, Owner, Replay, Storage, create, open,
};
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

const REGION: usize = 4 << 20;
const THREADS: u8 = 8;

/// Takes a while for each durable write; the one of this number, counted from 0, fails.
struct Disk {
    medium: MemoryStorage,
    writes: AtomicU32,
    fails: Option<u32>,
}

impl Storage for &Disk {
    fn region_bytes(&self) -> u64 {
        self.medium.region_bytes()
    }
    fn block_bytes(&self) -> u32 {
        self.medium.block_bytes()
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.medium.read_at(offset, buffer)
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.medium.write_at(offset, bytes)
    }
    fn flush(&self) -> io::Result<()> {
        self.medium.flush()
    }
    fn write_durable(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        thread::sleep(Duration::from_micros(200));
        if self.fails == Some(self.writes.fetch_add(1, Ordering::Relaxed)) {
            return Err(io::Error::other("the disk is gone"));
        }
        self.write_at(offset, bytes)?;
        self.flush()
    }
}

fn disk(fails: Option<u32>) -> Disk {
    let medium = MemoryStorage::new(REGION, 4096);
    let format = Format::for_region(REGION as u64, 4096).unwrap();
    create(&medium, format, Cluster::default(), &mut |_| {}).unwrap();
    Disk {
        medium,
        writes: AtomicU32::new(0),
        fails,
    }
}

fn claim(disk: &Disk) -> Log<&Disk> {
    let claim = Claim::new(Owner { node: 1, key: 7 }, Fencing::Unfenced);
    open(disk, &mut ()).unwrap().claim(claim).unwrap()
}

#[derive(Default)]
struct Seen(Vec<Vec<u8>>);

impl Replay for Seen {
    fn checkpoint(&mut self, _: Lsn, _: &[u8]) {}
    fn record(&mut self, entry: Entry<'_>) {
        self.0.push(entry.bytes.to_vec());
    }
}

fn on_medium(disk: &Disk) -> Vec<Vec<u8>> {
    let mut seen = Seen::default();
    let _found = open(disk, &mut seen).unwrap();
    seen.0
}

#[test]
fn a_crowd_that_shrinks_and_pauses_leaves_nobody_asleep() {
    let disk = disk(None);
    let log = claim(&disk);
    let records = |thread: u8| 20 * (u32::from(thread) + 1);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let log = &log;
            scope.spawn(move || {
                for number in 0..records(thread) {
                    log.append_durable(&[thread]).unwrap();
                    if number % 16 == u32::from(thread) {
                        thread::sleep(Duration::from_millis(1));
                    }
                }
            });
        }
    });
    let seen = on_medium(&disk);
    for thread in 0..THREADS {
        let count = seen.iter().filter(|record| **record == [thread]).count();
        assert_eq!(count, records(thread) as usize);
    }
    let together: u32 = (0..THREADS).map(records).sum();
    assert!(
        disk.writes.load(Ordering::Relaxed) < together,
        "each record had a write of its own"
    );
}

#[test]
fn everybody_is_told_when_the_disk_fails() {
    for fails in [1, 2, 3, 10] {
        let disk = disk(Some(fails));
        let log = claim(&disk);
        let acknowledged = AtomicU32::new(0);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (log, acknowledged) = (&log, &acknowledged);
                scope.spawn(move || {
                    while log.append_durable(&[thread]).is_ok() {
                        acknowledged.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        let poisoned = log.poisoned().unwrap();
        let durable = poisoned.indeterminate.start.0 - 1;
        assert_eq!(durable, u64::from(acknowledged.into_inner()));
        assert_eq!(on_medium(&disk).len() as u64, durable);
    }
}

#[test]
fn a_log_that_ends_waits_for_the_seal_that_is_on_its_way() {
    for _ in 0..20 {
        let disk = disk(None);
        let log = claim(&disk);
        log.append_durable(b"the last").unwrap();
        thread::scope(|scope| {
            scope.spawn(|| while log.seal().is_ok() {});
            thread::sleep(Duration::from_micros(300));
            log.close().unwrap();
        });
        assert!(open(&disk, &mut ()).unwrap().is_clean());
    }
}

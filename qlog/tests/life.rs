//! The life of a log: created, claimed, written, checkpointed, handed over, and found again.
#![expect(clippy::unwrap_used, reason = "tests")]

use qlog::storage::MemoryStorage;
use qlog::{
    Claim, Cluster, Entry, Fencing, Format, Log, Lsn, Owner, Replay, Storage, WriteError, create,
    open,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const REGION: usize = 1 << 20;

#[derive(Default, Debug, PartialEq)]
struct Seen {
    checkpoint: Option<(u64, Vec<u8>)>,
    records: Vec<(u64, Vec<u8>)>,
}

impl Replay for Seen {
    fn checkpoint(&mut self, upto: Lsn, state: &[u8]) {
        self.checkpoint = Some((upto.0, state.to_vec()));
    }

    fn record(&mut self, entry: Entry<'_>) {
        self.records.push((entry.lsn.0, entry.bytes.to_vec()));
    }
}

fn new_region() -> Arc<MemoryStorage> {
    let storage = Arc::new(MemoryStorage::new(REGION, 4096));
    let format = Format::for_region(REGION as u64, 4096).unwrap();
    let cluster = Cluster {
        name: "alpha".into(),
        times: vec![1, 2],
    };
    create(&storage, format, cluster, &mut |_| {}).unwrap();
    storage
}

fn claim(storage: &Arc<MemoryStorage>) -> (Seen, Log<Arc<MemoryStorage>>) {
    let mut seen = Seen::default();
    let found = open(Arc::clone(storage), &mut seen).unwrap();
    let log = found
        .claim(Claim::new(Owner { node: 1, key: 7 }, Fencing::Unfenced))
        .unwrap();
    (seen, log)
}

fn look(storage: &impl Storage) -> Seen {
    let mut seen = Seen::default();
    let _found = open(Borrowed(storage), &mut seen).unwrap();
    seen
}

struct Borrowed<'a, S>(&'a S);

impl<S: Storage> Storage for Borrowed<'_, S> {
    fn region_bytes(&self) -> u64 {
        self.0.region_bytes()
    }
    fn block_bytes(&self) -> u32 {
        self.0.block_bytes()
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.0.read_at(offset, buffer)
    }
    fn write_at(&self, _: u64, _: &[u8]) -> std::io::Result<()> {
        unreachable!("opening writes nothing")
    }
    fn flush(&self) -> std::io::Result<()> {
        unreachable!("opening writes nothing")
    }
}

#[test]
fn what_was_acknowledged_is_found_after_a_power_cut() {
    let storage = new_region();
    let (seen, log) = claim(&storage);
    assert_eq!(seen, Seen::default());
    let mut written = Vec::new();
    for number in 1..=300_u16 {
        let record = vec![number.to_le_bytes()[0]; usize::from(number) * 37 % 700];
        let lsn = log.append_durable(&record).unwrap();
        assert_eq!(lsn, Lsn(u64::from(number)));
        written.push((lsn.0, record));
        assert_eq!(look(&storage.power_cut()).records, written);
    }
}

#[test]
fn large_records_and_batches_come_back() {
    let storage = new_region();
    let (_, log) = claim(&storage);
    let max = log.layout().max_record_bytes() as usize;
    log.append_durable(&vec![5; max]).unwrap();
    let mut last = None;
    for number in 0..40_u8 {
        last = Some(log.append(&[number; 100]).unwrap());
    }
    log.commit(last.unwrap()).unwrap();
    let seen = look(&storage.power_cut());
    assert_eq!(seen.records.len(), 41);
    assert_eq!(seen.records[0].1.len(), max);
    assert!(matches!(
        log.append(&vec![0; max + 1]),
        Err(WriteError::TooLarge { .. })
    ));
}

/// Frames of all sizes lie across the pieces that a long log is read in, ahead of their check.
#[test]
fn a_long_log_is_read_once_and_comes_back() {
    const MIB: u64 = 1 << 20;
    let small = Format::for_region(MIB, 4096).unwrap();
    let format = Format {
        segments: 6,
        segment_bytes: 4 * MIB,
        region_bytes: 26 * MIB,
        ..small
    };
    let storage = Arc::new(MemoryStorage::new(26 << 20, 4096));
    create(&storage, format, Cluster::default(), &mut |_| {}).unwrap();
    let mut written = Vec::new();
    let mut size: usize = 1;
    for _epoch in 0..2 {
        let (seen, log) = claim(&storage);
        assert_eq!(seen.records, written);
        for _ in 0..30 {
            size = (size * 7919 + 12) % (1 << 20);
            let record: Vec<u8> = (0..=250).cycle().take(size >> (size % 4)).collect();
            match log.append_durable(&record) {
                Ok(lsn) => written.push((lsn.0, record)),
                Err(WriteError::Full { .. }) => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    let used: u64 = written.iter().map(|(_, record)| record.len() as u64).sum();
    assert!(
        used > 8 * MIB,
        "{used} bytes are more than what is read without a plan"
    );
    let counted = Counted {
        storage: &storage.power_cut(),
        read: AtomicU64::new(0),
    };
    assert_eq!(look(&counted).records, written);
    let read = counted.read.into_inner();
    // Padding, the rest of the last segment, and the beginnings of those that are not in use.
    assert!(read < used + 8 * MIB, "{read} bytes were read of {used}");
}

struct Counted<'a> {
    storage: &'a MemoryStorage,
    read: AtomicU64,
}

impl Storage for Counted<'_> {
    fn region_bytes(&self) -> u64 {
        self.storage.region_bytes()
    }
    fn block_bytes(&self) -> u32 {
        self.storage.block_bytes()
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.read.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        self.storage.read_at(offset, buffer)
    }
    fn write_at(&self, _: u64, _: &[u8]) -> std::io::Result<()> {
        unreachable!("opening writes nothing")
    }
    fn flush(&self) -> std::io::Result<()> {
        unreachable!("opening writes nothing")
    }
}

#[test]
fn a_full_log_says_so_and_goes_on_after_a_checkpoint() {
    let storage = new_region();
    let (_, log) = claim(&storage);
    let mut count = 0_u64;
    for round in 0..20_u8 {
        loop {
            match log.append_durable(&[round; 1000]) {
                Ok(_) => count += 1,
                Err(WriteError::Full { .. }) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(log.position().wants_checkpoint);
        let before = look(&storage.power_cut());
        assert_eq!(before.records.last().unwrap().0, count);
        log.checkpoint(Lsn(count), &[round; 5000]).unwrap();
        let seen = look(&storage.power_cut());
        assert_eq!(
            seen,
            Seen {
                checkpoint: Some((count, vec![round; 5000])),
                records: vec![]
            }
        );
    }
    assert!(count > 20 * 50, "{count}");
}

/// A batch stays in the segment that it was begun for: both segments that appends may use are full but for a few blocks.
#[test]
fn a_batch_that_grows_leaves_no_segment_half_empty() {
    let storage = new_region();
    let (_, log) = claim(&storage);
    log.append_durable(&[7; 30_000]).unwrap(); // The first segment may be left from now on.
    let full = loop {
        match log.append(&[7; 1000]) {
            Ok(_never_committed) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(full, WriteError::Full { .. }), "{full}");
    let segment = log.layout().format().segment_bytes;
    let taken = 30_000 + 1000 * (log.position().next.0 - 2);
    assert!(taken > 2 * (segment - 3 * 4096), "{taken}");
    assert!(log.position().free_bytes < 2 * 4096);
}

#[test]
fn owner_after_owner_without_a_checkpoint_always_finds_a_segment() {
    let storage = new_region();
    let mut all = Vec::new();
    for turn in 0..40_u64 {
        let (seen, log) = claim(&storage);
        assert_eq!(log.epoch().0, turn + 1);
        assert_eq!(seen.records, all);
        match log.append_durable(&turn.to_le_bytes()) {
            Ok(lsn) => all.push((lsn.0, turn.to_le_bytes().to_vec())),
            Err(WriteError::Full { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(all.len(), 2, "the ring of four keeps two for claims");
    let (_, log) = claim(&storage);
    log.checkpoint(Lsn(2), b"both").unwrap();
    log.append_durable(b"and on").unwrap();
}

#[test]
fn a_clean_close_and_a_parked_log_are_known_as_such() {
    let storage = new_region();
    let (_, log) = claim(&storage);
    log.append_durable(b"one").unwrap();
    log.close().unwrap();
    assert_eq!(log.append(b"two"), Err(WriteError::Closed));
    let found = open(Arc::clone(&storage), &mut ()).unwrap();
    assert!(found.is_clean() && found.parked().is_none());
    let (_, log) = claim(&storage);
    let parked = log.park().unwrap();
    assert_eq!((parked.epoch, parked.owner.key), (log.epoch(), 7));
    let found = open(Arc::clone(&storage), &mut ()).unwrap();
    assert_eq!(found.parked(), Some(parked));
    let (_, _log) = claim(&storage);
    assert_eq!(open(storage, &mut ()).unwrap().parked(), None);
}

#[test]
fn objects_are_replaced_and_removed() {
    let storage = new_region();
    let (_, log) = claim(&storage);
    log.put_object("disk", b"one").unwrap();
    log.put_object("disk", &[2; 20_000]).unwrap();
    log.put_object("name", b"three").unwrap();
    assert!(log.remove_object("name").unwrap());
    assert!(!log.remove_object("name").unwrap());
    let found = open(storage.power_cut(), &mut ()).unwrap();
    assert_eq!(found.object_names().collect::<Vec<_>>(), ["disk"]);
    assert_eq!(found.object("disk").unwrap().unwrap(), [2; 20_000]);
}

#[test]
fn the_older_owner_is_fenced_at_its_next_checkpoint() {
    let storage = new_region();
    let (_, first) = claim(&storage);
    first.append_durable(b"first").unwrap();
    let (_, second) = claim(&storage);
    let refused = first.checkpoint(Lsn(1), b"state").unwrap_err();
    assert!(matches!(refused, WriteError::Poisoned(poisoned) if poisoned.fenced));
    assert!(first.append(b"more").is_err());
    second.append_durable(b"second").unwrap();
    let records: Vec<_> = look(&storage)
        .records
        .into_iter()
        .map(|(_, bytes)| bytes)
        .collect();
    assert_eq!(records, [b"first".to_vec(), b"second".to_vec()]);
}

#[test]
fn many_threads_commit_together() {
    let storage = new_region();
    let (_, log) = claim(&storage);
    std::thread::scope(|scope| {
        for thread in 0..8_u8 {
            let log = &log;
            scope.spawn(move || {
                for number in 0..50_u8 {
                    log.append_durable(&[thread, number]).unwrap();
                }
            });
        }
    });
    let seen = look(&storage.power_cut());
    assert_eq!(seen.records.len(), 400);
    for thread in 0..8_u8 {
        let own = seen.records.iter().filter(|(_, bytes)| bytes[0] == thread);
        assert!(
            own.map(|(_, bytes)| bytes[1]).eq(0..50),
            "each thread's in its order"
        );
    }
}

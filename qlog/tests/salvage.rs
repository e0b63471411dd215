//! What a rescue keeps of a log that does not open.
#![expect(clippy::unwrap_used, reason = "tests")]

use qlog::inspect::inspect;
use qlog::storage::MemoryStorage;
use qlog::{
    Claim, Cluster, Entry, Fencing, Format, Log, Lsn, OpenError, Owner, Replay, SalvageError,
    Salvaged, WriteError, create, open, salvage,
};
use std::ops::Range;
use std::sync::Arc;

const REGION: usize = 1 << 20;

fn format() -> Format {
    Format::for_region(REGION as u64, 4096).unwrap()
}

#[derive(Default, Debug, PartialEq)]
struct Seen {
    checkpoint: Option<(u64, Vec<u8>)>,
    records: Vec<u64>,
}

impl Replay for Seen {
    fn checkpoint(&mut self, upto: Lsn, state: &[u8]) {
        self.checkpoint = Some((upto.0, state.to_vec()));
    }

    fn record(&mut self, entry: Entry<'_>) {
        self.records.push(entry.lsn.0);
    }
}

fn new_region() -> Arc<MemoryStorage> {
    let storage = Arc::new(MemoryStorage::new(REGION, 4096));
    create(&storage, format(), Cluster::default(), &mut |_| {}).unwrap();
    storage
}

fn claim(storage: &Arc<MemoryStorage>) -> Log<Arc<MemoryStorage>> {
    let found = open(Arc::clone(storage), &mut ()).unwrap();
    let claim = Claim::new(Owner::default(), Fencing::Unfenced);
    found.claim(claim).unwrap()
}

/// Records 1 to 30, checkpoints up to 10 and up to 20, then what `last` does.
fn region(last: impl FnOnce(&Log<Arc<MemoryStorage>>)) -> Arc<MemoryStorage> {
    let storage = new_region();
    let log = claim(&storage);
    for upto in [10, 20, 30] {
        for number in upto - 9..=upto {
            log.append_durable(&[number; 50]).unwrap();
        }
        if upto < 30 {
            log.checkpoint(Lsn(u64::from(upto)), &[upto; 300]).unwrap();
        }
    }
    last(&log);
    storage
}

/// Where parts of these names are.
fn places(storage: &MemoryStorage, wanted: impl Fn(&str) -> bool) -> Vec<Range<u64>> {
    let parts = inspect(storage, &mut |_, _| {}).parts();
    let found: Vec<_> = parts
        .into_iter()
        .filter(|part| wanted(&part.name))
        .map(|part| part.range)
        .collect();
    assert!(!found.is_empty());
    found
}

fn newest_catalogue(storage: &MemoryStorage) -> Range<u64> {
    let log = inspect(storage, &mut |_, _| {}).log.unwrap();
    let newest = log.catalogues.iter().find(|catalogue| catalogue.newest);
    let at = newest.unwrap().offset;
    at..at + 16
}

fn damage(storage: &MemoryStorage, ranges: &[Range<u64>]) {
    storage.alter(|bytes| {
        for range in ranges {
            let at = usize::try_from(range.start).unwrap();
            bytes[at..at + 2].iter_mut().for_each(|byte| *byte = !*byte);
        }
    });
}

fn refused(storage: &Arc<MemoryStorage>) -> bool {
    matches!(
        open(Arc::clone(storage), &mut ()),
        Err(OpenError::Corrupt(_))
    )
}

/// The rescue, and what the new log holds.
fn rescue(storage: &MemoryStorage) -> (Salvaged, Seen) {
    let new = Arc::new(MemoryStorage::new(REGION, 4096));
    let salvaged = salvage(storage, Arc::clone(&new), format(), &mut |_| {}).unwrap();
    let mut seen = Seen::default();
    open(new, &mut seen).unwrap();
    (salvaged, seen)
}

#[test]
fn the_older_catalogue_serves_where_opening_refuses_it_for_an_object() {
    let storage = region(|log| {
        log.put_object("disk", b"older").unwrap();
        log.put_object("disk", b"newer").unwrap();
    });
    damage(&storage, &[newest_catalogue(&storage)]);
    assert!(refused(&storage));
    let (salvaged, seen) = rescue(&storage);
    assert_eq!(salvaged.checkpoint, Some(Lsn(20)));
    assert!(salvaged.damage.is_some() && salvaged.older_objects);
    assert_eq!(salvaged.objects, ["disk"]);
    let expected = Seen {
        checkpoint: Some((20, vec![20; 300])),
        records: (21..=30).collect(),
    };
    assert_eq!(seen, expected);
}

#[test]
fn the_older_checkpoint_serves_when_the_catalogue_and_the_newest_are_damaged() {
    let storage = region(|log| log.put_object("disk", b"an object").unwrap());
    let newest = places(&storage, |name| name == "checkpoint");
    damage(&storage, &[newest_catalogue(&storage)]);
    damage(&storage, &newest);
    assert!(refused(&storage));
    let (salvaged, seen) = rescue(&storage);
    assert_eq!(salvaged.checkpoint, Some(Lsn(10)));
    assert_eq!(seen.checkpoint, Some((10, vec![10; 300])));
    assert_eq!(seen.records, (11..=30).collect::<Vec<_>>());
}

#[test]
fn nothing_is_copied_when_no_checkpoint_is_whole_and_records_are_gone_with_them() {
    let storage = region(|_| {});
    damage(
        &storage,
        &places(&storage, |name| name.contains("checkpoint")),
    );
    assert!(refused(&storage));
    let new = MemoryStorage::new(REGION, 4096);
    let error = salvage(&*storage, new, format(), &mut |_| {}).unwrap_err();
    assert!(
        matches!(error, SalvageError::Source(OpenError::Corrupt(_))),
        "{error}"
    );
}

/// Both copies of both superblocks of an epoch are damaged: the newest that is left is of the one before.
fn lose_superblocks_of(storage: &MemoryStorage, epoch: u64) {
    let slot = format!("superblock slot {epoch}");
    let copies = places(storage, |name| name.starts_with(&slot));
    let contents = copies.iter().map(|copy| copy.start + 100..copy.start + 102);
    damage(storage, &contents.collect::<Vec<_>>());
}

#[test]
fn records_are_copied_up_to_an_epoch_whose_superblocks_are_lost() {
    let storage = region(|log| log.put_object("disk", b"of epoch 1").unwrap());
    claim(&storage).put_object("disk", b"of epoch 2").unwrap();
    lose_superblocks_of(&storage, 2);
    assert!(refused(&storage));
    let (salvaged, seen) = rescue(&storage);
    let damage = salvaged.damage.unwrap().to_string();
    assert!(damage.contains("superblocks were lost"), "{damage}");
    assert!(salvaged.older_objects, "epoch 2 may have changed them");
    let expected = Seen {
        checkpoint: Some((20, vec![20; 300])),
        records: (21..=30).collect(),
    };
    assert_eq!(seen, expected);
}

/// Of an owner that was deposed: the claim has cut it off, though its superblocks are lost.
#[test]
fn a_late_record_of_the_epoch_before_is_not_copied() {
    let storage = new_region();
    let deposed = claim(&storage);
    for number in 1..=10 {
        deposed.append_durable(&[number; 50]).unwrap();
    }
    let before = storage.image();
    deposed.append_durable(b"late").unwrap();
    let after = storage.image();
    storage.alter(|bytes| bytes.copy_from_slice(&before));
    claim(&storage).append_durable(b"of epoch 2").unwrap();
    storage.alter(|bytes| {
        for (index, byte) in bytes.iter_mut().enumerate() {
            if before[index] != after[index] {
                *byte = after[index];
            }
        }
    });
    lose_superblocks_of(&storage, 2);
    assert!(refused(&storage));
    let (_, seen) = rescue(&storage);
    assert_eq!(seen.checkpoint, None);
    assert_eq!(seen.records, (1..=10).collect::<Vec<_>>());
}

/// Everything of the ring is gone, and the superblock says that there was something.
fn without_a_ring(storage: &MemoryStorage) {
    let layout = format().layout().unwrap();
    let ring = layout.shadow(0, 0)..layout.catalogue(0);
    let at = |offset: u64| usize::try_from(offset).unwrap();
    storage.alter(|bytes| bytes[at(ring.start)..at(ring.end)].fill(0));
}

#[test]
fn objects_are_copied_when_there_was_no_checkpoint_and_all_records_are_gone() {
    let storage = new_region();
    let log = claim(&storage);
    log.append_durable(b"a record").unwrap();
    log.put_object("disk", b"an object").unwrap();
    without_a_ring(&storage);
    assert!(refused(&storage));
    let (salvaged, seen) = rescue(&storage);
    assert_eq!(salvaged.objects, ["disk"]);
    assert_eq!((salvaged.checkpoint, salvaged.records), (None, 0));
    assert_eq!(seen, Seen::default());
}

/// Appends until the log is full, and commits after so many; the last record.
fn fill(log: &Log<Arc<MemoryStorage>>, batch: u64) -> Lsn {
    let mut last = None;
    loop {
        match log.append(&[7; 1000]) {
            Ok(ticket) if ticket.lsn.0.is_multiple_of(batch) => log.commit(ticket).unwrap(),
            Ok(ticket) => last = Some(ticket),
            Err(WriteError::Full { .. }) => break,
            Err(error) => panic!("{error}"),
        }
    }
    log.commit(last.unwrap()).unwrap();
    Lsn(log.position().durable.0 - 1)
}

#[test]
fn a_full_log_fits_into_one_of_the_same_sizes() {
    // Segments that are smaller than the largest frame, and larger.
    for (region, segment, batch) in [(1, 64, 2), (1, 64, 7), (1, 64, 1000), (12, 2048, 50)] {
        let region = region << 20;
        let format = Format::for_region(region, 4096).unwrap();
        let format = format.with_ring(4, segment << 10).unwrap();
        let new_storage = || Arc::new(MemoryStorage::new(usize::try_from(region).unwrap(), 4096));
        let (storage, new) = (new_storage(), new_storage());
        create(&storage, format, Cluster::default(), &mut |_| {}).unwrap();
        let log = claim(&storage);
        let last = fill(&log, batch);
        log.close().unwrap();
        let salvaged = salvage(&*storage, Arc::clone(&new), format, &mut |_| {}).unwrap();
        assert_eq!((salvaged.format, salvaged.last), (format, last));
        let mut seen = Seen::default();
        open(new, &mut seen).unwrap();
        assert_eq!(seen.records, (1..=last.0).collect::<Vec<_>>());
    }
}

/// The first segment of an epoch takes a few records less than the others, and here the first one is not kept.
#[test]
fn a_log_that_needs_a_larger_ring_gets_one() {
    let storage = new_region();
    let log = claim(&storage);
    let middle = Lsn(fill(&log, 1000).0 / 2);
    log.checkpoint(middle, b"the first segment and a bit")
        .unwrap();
    let last = fill(&log, 1000);
    log.close().unwrap();
    let (salvaged, seen) = rescue(&storage);
    assert_eq!(salvaged.format.segments, format().segments + 1);
    assert_eq!(salvaged.checkpoint, Some(middle));
    assert_eq!(seen.records, (middle.0 + 1..=last.0).collect::<Vec<_>>());
}

#[test]
fn what_no_ring_in_the_region_takes_is_told_as_full() {
    let large = Format::for_region(4 * REGION as u64, 4096).unwrap();
    let storage = Arc::new(MemoryStorage::new(4 * REGION, 4096));
    create(&storage, large, Cluster::default(), &mut |_| {}).unwrap();
    fill(&claim(&storage), 50);
    let small = Format::for_region(REGION as u64 / 2, 4096).unwrap();
    let new = MemoryStorage::new(REGION / 2, 4096);
    let error = salvage(&*storage, new, small, &mut |_| {}).unwrap_err();
    assert!(
        matches!(error, SalvageError::Write(WriteError::Full { .. })),
        "{error}"
    );
}

//! What `inspect` says of a region: every part by itself, and never a panic.
#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use qlog::inspect::{
    CopyState, Health, Inspection, Item, Role, Shadow, Which, dump, extract, inspect,
};
use qlog::storage::MemoryStorage;
use qlog::{
    Claim, Cluster, Entry, Fencing, Format, Log, Lsn, OpenError, Owner, Replay, Storage, create,
    open,
};
use std::sync::Arc;

const REGION: usize = 1 << 20;

fn new_region() -> Arc<MemoryStorage> {
    let storage = Arc::new(MemoryStorage::new(REGION, 4096));
    let format = Format::for_region(REGION as u64, 4096).unwrap();
    let cluster = Cluster {
        name: "alpha".into(),
        times: vec![],
    };
    create(&storage, format, cluster, &mut |_| {}).unwrap();
    storage
}

fn claim(storage: &Arc<MemoryStorage>, node: u32) -> Log<Arc<MemoryStorage>> {
    let found = open(Arc::clone(storage), &mut ()).unwrap();
    let owner = Owner { node, key: 7 };
    found.claim(Claim::new(owner, Fencing::Unfenced)).unwrap()
}

/// Two epochs: records 1 to 20, a checkpoint up to 15, records 21 to 30, and an object.
fn used_region() -> Arc<MemoryStorage> {
    let storage = new_region();
    let log = claim(&storage, 1);
    for number in 1..=20_u8 {
        log.append_durable(&[number; 200]).unwrap();
    }
    log.checkpoint(Lsn(15), &[9; 20_000]).unwrap();
    drop(log);
    let log = claim(&storage, 2);
    for number in 21..=30_u8 {
        log.append_durable(&[number; 200]).unwrap();
    }
    log.put_object("disk", b"an object").unwrap();
    storage
}

fn look(storage: &impl Storage) -> Inspection {
    inspect(storage, &mut |_, _| {})
}

fn worst(inspection: &Inspection) -> Vec<(String, Health)> {
    let parts = inspection.parts().into_iter();
    parts
        .filter(|part| !part.health.is_good())
        .map(|part| (part.name, part.health))
        .collect()
}

/// The same region with these bytes inverted.
fn damaged(storage: &MemoryStorage, ranges: &[(u64, u64)]) -> MemoryStorage {
    let mut image = storage.image();
    let index = |offset: u64| usize::try_from(offset).unwrap();
    for &(start, end) in ranges {
        for byte in &mut image[index(start)..index(end)] {
            *byte = !*byte;
        }
    }
    MemoryStorage::from_image(image, 4096)
}

#[test]
fn an_empty_region_is_no_log() {
    let inspection = look(&MemoryStorage::new(REGION, 4096));
    assert!(inspection.log.is_none());
    assert!(matches!(inspection.refused, Some(OpenError::NotALog)));
    assert!(
        inspection
            .superblocks
            .iter()
            .all(|copy| copy.state == CopyState::Absent)
    );
    assert_eq!(inspection.superblocks.len(), 16);
}

#[test]
fn a_new_log_is_good_and_fresh() {
    let inspection = look(&new_region());
    assert!(inspection.is_good(), "{:?}", worst(&inspection));
    let log = inspection.log.unwrap();
    assert_eq!((log.epoch.0, log.next), (0, Some(Lsn(1))));
    assert!(
        log.segments
            .iter()
            .all(|segment| segment.role == Role::Fresh)
    );
    assert_eq!(log.chunks.free(), log.chunks.all);
}

#[test]
fn every_part_of_a_used_log_is_told() {
    let inspection = look(&used_region());
    assert!(inspection.is_good(), "{:?}", worst(&inspection));
    let log = inspection.log.as_ref().unwrap();
    assert_eq!(log.cluster.name, "alpha");
    assert_eq!((log.epoch.0, log.owner.node, log.cut), (2, 2, Lsn(21)));
    assert_eq!((log.next, log.checkpoint), (Some(Lsn(31)), Some(Lsn(15))));
    let with = |role| {
        log.segments
            .iter()
            .filter(move |segment| segment.role == role)
    };
    let sealed = with(Role::Sealed).next().unwrap();
    assert_eq!((sealed.records, sealed.end_lsn), (20, Some(Lsn(21))));
    let last = with(Role::Last).next().unwrap();
    assert_eq!(
        (last.records, last.first_lsn, last.end_lsn),
        (10, Some(Lsn(21)), Some(Lsn(31)))
    );
    let started = last.epoch_start.unwrap();
    assert_eq!(
        (started.epoch.0, started.owner.node, started.cut),
        (2, 2, Lsn(21))
    );
    assert!(
        last.shadows
            .iter()
            .any(|shadow| matches!(shadow, Shadow::Image { .. }))
    );
    let names: Vec<_> = log
        .contents
        .iter()
        .map(|content| content.name.as_str())
        .collect();
    assert_eq!(names, ["checkpoint", "disk"]);
    assert!(log.chunks.used >= 3);
}

#[test]
fn a_damaged_superblock_copy_degrades_and_all_of_them_are_fatal() {
    let storage = used_region();
    let places: Vec<_> = look(&storage).superblocks;
    let newest = places
        .iter()
        .find(|copy| matches!(copy.state, CopyState::Whole { counts: true, .. }))
        .unwrap();
    let one = damaged(&storage, &[(newest.offset + 100, newest.offset + 101)]);
    let inspection = look(&one);
    assert!(inspection.refused.is_none() && !inspection.is_good());
    let bad = worst(&inspection);
    assert_eq!(bad.len(), 2, "the damaged one and the lonely one: {bad:?}");
    assert!(
        bad.iter()
            .all(|(_, health)| matches!(health, Health::Degraded { .. }))
    );
    let all: Vec<_> = places
        .iter()
        .map(|copy| (copy.offset + 100, copy.offset + 101))
        .collect();
    let inspection = look(&damaged(&storage, &all));
    assert!(inspection.log.is_none());
    assert!(
        worst(&inspection)
            .iter()
            .all(|(_, health)| health.is_corrupt())
    );
}

#[test]
fn damage_in_acknowledged_records_is_corrupt_with_its_range() {
    let storage = used_region();
    let log = look(&storage).log.unwrap();
    let sealed = log
        .segments
        .iter()
        .find(|segment| segment.role == Role::Sealed)
        .unwrap();
    let place = sealed.offset + sealed.used_bytes - 100;
    // The last block may stand in a shadow slot too.
    let shadows = (sealed.offset - 8192, sealed.offset);
    let inspection = look(&damaged(&storage, &[(place, place + 8), shadows]));
    let bad = worst(&inspection);
    let [(name, Health::Corrupt { range, .. })] = &bad[..] else {
        panic!("{bad:?}")
    };
    assert_eq!(*name, format!("segment {}", sealed.index));
    assert!(range.contains(&place), "{range:?}");
    assert!(inspection.refused.is_some());
}

/// The superblock says what was durable: an end before that is damage, though nothing is there that shows it.
#[test]
fn a_log_that_ends_too_early_is_corrupt_from_there_to_the_end_of_its_segment() {
    let storage = new_region();
    let log = claim(&storage, 1);
    for number in 1..=3_u8 {
        log.append_durable(&[number; 5000]).unwrap();
    }
    log.put_object("disk", b"a value").unwrap();
    let records = |storage: &MemoryStorage| {
        let items = dump(storage, Lsn(1)..Lsn(9)).unwrap();
        items.collect::<Vec<_>>()
    };
    let frame = records(&storage).into_iter().find_map(|item| {
        if let Item::Record {
            lsn: Lsn(3),
            offset,
            ..
        } = item
        {
            return Some(offset);
        }
        None
    });
    let frame = frame.unwrap();
    let cut = damaged(&storage, &[(frame, frame + 5000)]);
    let inspection = look(&cut);
    assert!(matches!(inspection.refused, Some(OpenError::Corrupt(_))));
    let worst = worst(&inspection);
    let [(_, Health::Corrupt { range, .. })] = &worst[..] else {
        panic!("{worst:?}");
    };
    assert!(
        range.start <= frame && range.end > frame + 5000,
        "{range:?}"
    );
    assert!(matches!(
        records(&cut).last(),
        Some(Item::Damage { lsn: Lsn(3), resumed_at: None, range: gap, .. }) if gap == range
    ));
}

#[test]
fn damage_that_the_checkpoint_covers_degrades() {
    let storage = used_region();
    let log = look(&storage).log.unwrap();
    let sealed = log
        .segments
        .iter()
        .find(|segment| segment.role == Role::Sealed)
        .unwrap();
    let place = sealed.offset + 1000;
    let inspection = look(&damaged(&storage, &[(place, place + 8)]));
    assert!(inspection.refused.is_none());
    let bad = worst(&inspection);
    assert!(
        matches!(&bad[..], [(_, Health::Degraded { .. })]),
        "{bad:?}"
    );
}

#[test]
fn a_damaged_object_is_named() {
    let storage = used_region();
    let log = look(&storage).log.unwrap();
    let object = log
        .contents
        .iter()
        .find(|content| content.is_object)
        .unwrap();
    let inspection = look(&damaged(&storage, &[(object.offset, object.offset + 1)]));
    let bad = worst(&inspection);
    assert!(
        matches!(&bad[..], [(name, Health::Corrupt { .. })] if name == "object disk"),
        "{bad:?}"
    );
}

/// The same region, and the catalogue that was written last is damaged.
fn without_the_newest_catalogue(storage: &MemoryStorage) -> MemoryStorage {
    let log = look(storage).log.unwrap();
    let newest = log.catalogues.iter().find(|it| it.newest).unwrap();
    damaged(storage, &[(newest.offset, newest.offset + 16)])
}

fn contents_that_are_good(inspection: &Inspection) -> Vec<String> {
    let contents = inspection.log.iter().flat_map(|log| &log.contents);
    let good = contents.filter(|content| content.health.is_good());
    good.map(|content| content.name.clone()).collect()
}

#[test]
fn an_object_that_may_be_older_is_neither_good_nor_handed_out() {
    let storage = used_region();
    claim(&storage, 3).put_object("disk", b"another").unwrap();
    let taken = extract(&*storage, Which::Object("disk")).unwrap().unwrap();
    assert_eq!(taken.1, b"another");
    let lost = without_the_newest_catalogue(&storage);
    let inspection = look(&lost);
    assert!(matches!(inspection.refused, Some(OpenError::Corrupt(_))));
    assert_eq!(contents_that_are_good(&inspection), ["checkpoint"]);
    let bad = worst(&inspection);
    let says = |part: &str, corrupt| {
        let mut parts = bad.iter();
        parts.any(|(name, health)| name.starts_with(part) && health.is_corrupt() == corrupt)
    };
    assert!(
        says("object disk", false) && says("catalogue", true),
        "{bad:?}"
    );
    let error = extract(&lost, Which::Object("disk"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("may be older"), "{error}");
    // The checkpoint was not changed by what is lost.
    let (upto, _) = extract(&lost, Which::Checkpoint).unwrap().unwrap();
    assert_eq!(upto, Lsn(15));
}

#[test]
fn a_checkpoint_that_may_be_older_is_not_handed_out() {
    let storage = new_region();
    let log = claim(&storage, 1);
    log.put_object("disk", b"an object").unwrap();
    log.append_durable(b"a record").unwrap();
    log.checkpoint(Lsn(1), b"a state").unwrap();
    let lost = without_the_newest_catalogue(&storage);
    let inspection = look(&lost);
    assert!(inspection.refused.is_none(), "the log makes good for it");
    let error = extract(&lost, Which::Checkpoint).unwrap_err().to_string();
    assert!(error.contains("may be older"), "{error}");
    let taken = extract(&lost, Which::Object("disk")).unwrap().unwrap();
    assert_eq!(taken.1, b"an object");
}

/// A later epoch may have changed everything.
#[test]
fn nothing_is_handed_out_when_superblocks_were_lost() {
    let storage = used_region();
    drop(claim(&storage, 3));
    let superblocks = look(&storage).superblocks;
    let of_epoch_3 = superblocks.iter().filter(|copy| copy.slot == 3);
    let places: Vec<_> = of_epoch_3
        .map(|copy| (copy.offset + 100, copy.offset + 101))
        .collect();
    let lost = damaged(&storage, &places);
    assert_eq!(contents_that_are_good(&look(&lost)), ["checkpoint"]);
    for which in [Which::Checkpoint, Which::Object("disk")] {
        let error = extract(&lost, which).unwrap_err().to_string();
        assert!(error.contains("superblocks were lost"), "{error}");
    }
}

#[derive(Default)]
struct Records(Vec<(Lsn, Vec<u8>)>);

impl Replay for Records {
    fn checkpoint(&mut self, _upto: Lsn, _state: &[u8]) {}
    fn record(&mut self, entry: Entry<'_>) {
        self.0.push((entry.lsn, entry.bytes.to_vec()));
    }
}

#[test]
fn a_dump_has_what_a_replay_has_and_what_the_checkpoint_covers() {
    let storage = used_region();
    let mut replayed = Records::default();
    let _log = open(Arc::clone(&storage), &mut replayed).unwrap();
    let items: Vec<Item> = dump(&storage, Lsn(0)..Lsn(u64::MAX)).unwrap().collect();
    let dumped: Vec<_> = items
        .iter()
        .filter_map(|item| match item {
            Item::Record { lsn, bytes, .. } => Some((*lsn, bytes.clone())),
            Item::EpochStart { .. } | Item::Seal { .. } | Item::Damage { .. } => None,
        })
        .collect();
    assert_eq!(dumped.len(), 30);
    assert_eq!(dumped[15..], replayed.0);
    let epochs: Vec<_> = items
        .iter()
        .filter_map(|item| match item {
            Item::EpochStart { started, .. } => Some((started.epoch.0, started.cut.0)),
            Item::Record { .. } | Item::Seal { .. } | Item::Damage { .. } => None,
        })
        .collect();
    assert_eq!(epochs, [(1, 1), (2, 21)]);
    let some: Vec<Item> = dump(&storage, Lsn(19)..Lsn(23)).unwrap().collect();
    assert_eq!(some.len(), 5, "four records and an epoch: {some:?}");
}

#[test]
fn a_dump_goes_on_behind_damage() {
    let storage = used_region();
    let log = look(&storage).log.unwrap();
    let sealed = log
        .segments
        .iter()
        .find(|segment| segment.role == Role::Sealed)
        .unwrap();
    let place = sealed.offset + 1000;
    let bad = damaged(&storage, &[(place, place + 8)]);
    let items: Vec<Item> = dump(&bad, Lsn(0)..Lsn(u64::MAX)).unwrap().collect();
    let damage: Vec<_> = items
        .iter()
        .filter(|item| matches!(item, Item::Damage { .. }))
        .collect();
    assert_eq!(damage.len(), 1);
    assert!(matches!(
        items.last(),
        Some(Item::Record { lsn: Lsn(30), .. })
    ));
}

#[test]
fn progress_ends_at_its_total() {
    let mut told = Vec::new();
    let _described = inspect(&used_region(), &mut |done, total| told.push((done, total)));
    assert!(told.windows(2).all(|pair| pair[0].0 <= pair[1].0));
    let (done, total) = told.last().unwrap();
    assert_eq!(done, total);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_image_has_a_description(
        flips in proptest::collection::vec((0..REGION, any::<u8>()), 1..40),
        cut in 0..=REGION / 4096,
    ) {
        let mut image = used_region().image();
        for (at, with) in flips {
            image[at] ^= with;
        }
        image.truncate(cut * 4096);
        let storage = MemoryStorage::from_image(image, 4096);
        let inspection = look(&storage);
        let opened = open(storage_ref(&storage), &mut ()).is_ok();
        prop_assert_eq!(inspection.refused.is_none(), opened);
        // What opens has no part that is lost, objects and their kind aside.
        if opened {
            for part in inspection.parts() {
                prop_assert!(!part.health.is_corrupt() || part.name.starts_with("object"), "{:?}", part);
            }
        } else {
            prop_assert!(!inspection.is_good());
        }
        if let Ok(items) = dump(&storage, Lsn(0)..Lsn(u64::MAX)) {
            let _all = items.count();
        }
    }
}

fn storage_ref(storage: &MemoryStorage) -> MemoryStorage {
    MemoryStorage::from_image(storage.image(), 4096)
}

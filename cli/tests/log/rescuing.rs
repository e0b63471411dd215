//! Damaged logs: what is said of them, and what can be saved.

use crate::shown::Shown as _;
use crate::world::World;
use insta::assert_snapshot;
use qlog::inspect::Role;

/// A used log whose records 21 on are damaged, with later ones whole.
fn with_damaged_records() -> World {
    let world = World::with_used_log();
    let log = world.claim(3);
    for number in 31..=60 {
        let record = format!("record {number} {}", "x".repeat(500));
        log.append_durable(record.as_bytes()).unwrap();
    }
    drop(log);
    let description = world.description();
    let last = description
        .segments
        .iter()
        .find(|segment| segment.role == Role::Last)
        .unwrap();
    world.damage(last.offset + 5000, 16);
    world
}

#[test]
fn damage_is_told_with_its_range_and_what_to_do() {
    let world = with_damaged_records();
    assert_snapshot!(world.run("log show q"), @r#"
    q  a file of 1 MiB
    log         ID of cluster "alpha"
    layout      8 segments of 64 KiB; 19 chunks of 16 KiB (304 KiB) for checkpoints and objects; blocks of 4 KiB
    owner       epoch 3 of node 3 (key 0xa7); not closed: open, or its owner died
    records     where they end cannot be told
    segments    #  use         gen  epoch  records          frames       used
                0  fresh       -    -      -                0               0
                1  fresh       -    -      -                0               0
                2  sealed      2    1      1..20            21           1824
                3  fresh       -    -      -                0               0
                4  sealed      4    2      21..30           11           1024
                5  fresh       -    -      -                0               0
                6  last-epoch  6    3      31..60           30          17536
                corrupt: a frame is damaged, and a later one is whole (bytes 492256..492832); `qctl log salvage` copies what is good before it to a new log
                7  fresh       -    -      -                0               0
    catalogue 0 number 2, the newest
    catalogue 1 unused
    catalogue 2 number 1, the one before
    catalogue 3 unused
    checkpoint  LSN 15, 18 bytes in 1 chunks
    object "disk-1"  LSN 30, 9 bytes in 1 chunks
    room        17 of 19 chunks are free
    superblock  number 6 in slot 3 bank 0 copy 0, and number 6 in slot 3 bank 0 copy 1; of 16 places 12 are whole, 0 damaged, 4 never written
    opens       no
    verdict     corrupt
    error: q: corrupt: a frame is damaged, and a later one is whole (bytes 492256..492832 of the region); records from LSN 39 on cannot be trusted, although LSN 40 is still there; `qctl log salvage` copies what is good before it elsewhere
      next: qctl log verify q; qctl log salvage q NEW
    [3]
    "#);
    assert_snapshot!(world.run("log verify q"), @r#"
    q  a file of 1 MiB
    good        16 superblock places
    good        segment 0
    good        segment 1
    good        segment 2
    good        segment 3
    good        segment 4
    good        segment 5
    segment 6: corrupt: a frame is damaged, and a later one is whole (bytes 492256..492832); `qctl log salvage` copies what is good before it to a new log
    good        segment 7
    good        catalogue 0
    good        catalogue 1
    good        catalogue 2
    good        catalogue 3
    good        checkpoint
    good        object disk-1
    opens       no: corrupt: a frame is damaged, and a later one is whole (bytes 492256..492832 of the region); records from LSN 39 on cannot be trusted, although LSN 40 is still there; `qctl log salvage` copies what is good before it elsewhere
    verdict     corrupt
    [36]
    "#);
    let (verified, code) = world.document("log verify q");
    assert_eq!((code, &verified["verdict"]), (36, &"corrupt".into()));
    assert_eq!(verified["refused"]["kind"], "corrupt");
    let (shown, code) = world.document("log show q");
    assert_eq!((code, &shown["error"]["code"]), (3, &3.into()));
}

#[test]
fn a_dump_goes_on_behind_damage() {
    let world = with_damaged_records();
    let dumped = world.run("log dump q --from 37");
    assert!(dumped.contains("damage in bytes"), "{dumped}");
    assert!(dumped.contains("        60  epoch 3"), "{dumped}");
    assert!(dumped.ends_with("[3]\n"), "{dumped}");
}

#[test]
fn salvage_copies_the_good_prefix_and_changes_nothing() {
    let world = with_damaged_records();
    let before = std::fs::read(world.path("q")).unwrap();
    let said = world.run("log salvage q rescued");
    assert_snapshot!(said, @r#"
    made        rescued, a file of 1 MiB
    checkpoint  LSN 15
    records     23, the last is LSN 38
    object      disk-1
    left out    corrupt: a frame is damaged, and a later one is whole (bytes 492256..492832 of the region); records from LSN 39 on cannot be trusted, although LSN 40 is still there; `qctl log salvage` copies what is good before it elsewhere
    [0]
    "#);
    assert_eq!(std::fs::read(world.path("q")).unwrap(), before);
    assert_eq!(world.code("log verify rescued"), 0);
    assert_snapshot!(world.run("log checkpoint rescued"), @r#"
    rescued  a file of 1 MiB
    checkpoint  LSN 15, 18 bytes in 1 chunks
    object "disk-1"  LSN 15, 9 bytes in 1 chunks
    room        17 of 19 chunks are free
    [0]
    "#);
    let output = world.output("log dump rescued");
    let dumped = String::from_utf8(output.stdout).unwrap();
    assert!(
        dumped.contains("record 21") && !dumped.contains("record 60"),
        "{dumped}"
    );
    let (again, code) = world.document("log salvage q another");
    assert_eq!((code, &again["damage"]["kind"]), (0, &"corrupt".into()));
    assert_eq!(
        world.document("log salvage q rescued").1,
        107,
        "a log is there"
    );
    assert_snapshot!(world.run("log salvage q q"), @r#"
    error: the new log cannot be where the damaged one is
      next: name another place
    [1]
    "#);
}

#[test]
fn a_whole_log_is_copied_whole() {
    let world = World::with_used_log();
    assert_snapshot!(world.run("log salvage q copy --size 2MiB"), @r#"
    made        copy, a file of 2 MiB
    checkpoint  LSN 15
    records     15, the last is LSN 30
    object      disk-1
    left out    nothing: the log was whole
    [0]
    "#);
    assert_eq!(world.document("log show copy").0["log"]["next_lsn"], "31");
}

#[test]
fn a_damaged_copy_of_the_superblock_harms_nothing() {
    let world = World::with_used_log();
    let (shown, _) = world.document("log show q");
    let counting = shown["superblocks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|copy| copy["counts"] == true)
        .unwrap();
    world.damage(counting["offset"].as_u64().unwrap() + 50, 1);
    let (verified, code) = world.document("log verify q");
    assert_eq!((code, &verified["verdict"]), (0, &"degraded".into()));
    assert_eq!(verified["next_lsn"], "31");
    assert!(world.run("log show q").contains("degraded"));
}

#[test]
fn a_damaged_object_is_named_and_the_others_are_taken_out() {
    let world = World::with_used_log();
    let description = world.description();
    let object = description
        .contents
        .iter()
        .find(|content| content.is_object)
        .unwrap();
    world.damage(object.offset, 1);
    assert_snapshot!(world.run("log checkpoint q"), @r#"
    q  a file of 1 MiB
    checkpoint  LSN 15, 18 bytes in 1 chunks
    object "disk-1"  LSN 30, 9 bytes in 1 chunks
                corrupt: it is damaged (bytes 692224..692233); its owner has to store it again
    room        17 of 19 chunks are free
    error: q: something that was stored is damaged
      next: qctl log verify q   (everything)
    [3]
    "#);
    assert_eq!(world.code("log verify q"), 36);
    assert_eq!(
        world.code("log checkpoint q --object disk-1 --out object"),
        3
    );
    assert_eq!(world.code("log checkpoint q --out state"), 0);
    let (salvaged, code) = world.document("log salvage q new");
    assert_eq!((code, &salvaged["lost_objects"][0]), (0, &"disk-1".into()));
}

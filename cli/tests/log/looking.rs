//! `qctl log show`, `verify`, `dump`, `checkpoint` on logs that are whole.

use crate::shown::Shown as _;
use crate::world::World;
use insta::assert_snapshot;
use serde_json::Value;

#[test]
fn a_new_log() {
    assert_snapshot!(World::with_log().run("log show q"), @r#"
    q  a file of 1 MiB
    log         ID of cluster "alpha"
    layout      8 segments of 64 KiB; 19 chunks of 16 KiB (304 KiB) for checkpoints and objects; blocks of 4 KiB
    owner       nobody has claimed it yet
    records     the next is LSN 1
    segments    #  use         gen  epoch  records          frames       used
                0  fresh       -    -      -                0               0
                1  fresh       -    -      -                0               0
                2  fresh       -    -      -                0               0
                3  fresh       -    -      -                0               0
                4  fresh       -    -      -                0               0
                5  fresh       -    -      -                0               0
                6  fresh       -    -      -                0               0
                7  fresh       -    -      -                0               0
    catalogue 0 unused
    catalogue 1 unused
    catalogue 2 unused
    catalogue 3 unused
    room        19 of 19 chunks are free
    superblock  number 1 in slot 0 bank 1 copy 0, and number 1 in slot 0 bank 1 copy 1; of 16 places 2 are whole, 0 damaged, 14 never written
    verdict     good
    [0]
    "#);
}

#[test]
fn a_used_log() {
    let world = World::with_used_log();
    assert_snapshot!(world.run("log show q"), @r#"
    q  a file of 1 MiB
    log         ID of cluster "alpha"
    layout      8 segments of 64 KiB; 19 chunks of 16 KiB (304 KiB) for checkpoints and objects; blocks of 4 KiB
    owner       epoch 2 of node 2 (key 0xa7); not closed: open, or its owner died
    records     the next is LSN 31, behind the checkpoint at LSN 15
    segments    #  use         gen  epoch  records          frames       used
                0  fresh       -    -      -                0               0
                1  fresh       -    -      -                0               0
                2  sealed      2    1      1..20            21           1824
                3  fresh       -    -      -                0               0
                4  last-epoch  4    2      21..30           11           1024
                5  fresh       -    -      -                0               0
                6  fresh       -    -      -                0               0
                7  fresh       -    -      -                0               0
    catalogue 0 number 2, the newest
    catalogue 1 unused
    catalogue 2 number 1, the one before
    catalogue 3 unused
    checkpoint  LSN 15, 18 bytes in 1 chunks
    object "disk-1"  LSN 30, 9 bytes in 1 chunks
    room        17 of 19 chunks are free
    superblock  number 5 in slot 2 bank 1 copy 0, and number 5 in slot 2 bank 1 copy 1; of 16 places 10 are whole, 0 damaged, 6 never written
    verdict     good
    [0]
    "#);
    let (shown, code) = world.document("log show q");
    assert_eq!((code, &shown["verdict"]), (0, &"good".into()));
    assert_eq!(shown["log"]["next_lsn"], "31");
    assert_eq!(shown["log"]["checkpoint_lsn"], "15");
    assert_eq!(shown["log"]["owner"]["key"], "0xa7");
    let roles: Vec<_> = shown["log"]["segments"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    let last = roles
        .iter()
        .find(|segment| segment["role"] == "last-epoch")
        .unwrap();
    assert_eq!(last["epoch_start"]["cut_lsn"], "21");
}

#[test]
fn how_its_owner_left_it() {
    let world = World::with_log();
    world.claim(1).close().unwrap();
    assert!(
        world
            .run("log show q")
            .contains("epoch 1 of node 1 (key 0xa7); closed")
    );
    world.claim(2).park().unwrap();
    assert!(
        world
            .run("log show q")
            .contains("epoch 2 of node 2 (key 0xa7); parked: handed over")
    );
    let (shown, _) = world.document("log show q");
    assert_eq!(shown["log"]["parked"]["owner"]["node"], 2);
}

#[test]
fn every_part_has_a_verdict() {
    let world = World::with_used_log();
    assert_snapshot!(world.run("log verify q"), @r#"
    q  a file of 1 MiB
    good        16 superblock places
    good        segment 0
    good        segment 1
    good        segment 2
    good        segment 3
    good        segment 4
    good        segment 5
    good        segment 6
    good        segment 7
    good        catalogue 0
    good        catalogue 1
    good        catalogue 2
    good        catalogue 3
    good        checkpoint
    good        object disk-1
    verdict     good
    [0]
    "#);
    let (verified, code) = world.document("log verify q");
    assert_eq!((code, &verified["verdict"]), (0, &"good".into()));
    assert_eq!(verified["parts"].as_array().unwrap().len(), 16 + 8 + 4 + 2);
}

#[test]
fn records_and_epochs() {
    let world = World::with_used_log();
    assert_snapshot!(world.run("log dump q --from 19 --to 23"), @r#"
            19  epoch 1           9 bytes  record 19
            20  epoch 1           9 bytes  record 20
            21  epoch 2 begins: node 2 (key 0xa7); older epochs end before LSN 21
            21  epoch 2           9 bytes  record 21
            22  epoch 2           9 bytes  record 22
            23  epoch 2           9 bytes  record 23
    [0]
    "#);
    assert_snapshot!(world.run("log dump q --from 30 --data"), @r#"
            30  epoch 2           9 bytes  
                000000  7265636f7264203330                record 30
    [0]
    "#);
    let output = world.output("--json log dump q --data");
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    lines.iter().for_each(crate::schema::hold_to_schema);
    let records = lines.iter().filter(|line| line["kind"] == "record");
    assert_eq!(records.count(), 30);
    assert_eq!(
        lines
            .iter()
            .filter(|line| line["kind"] == "epoch-start")
            .count(),
        2
    );
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["lsn"], &last["data"]),
        (&"30".into(), &"7265636f7264203330".into())
    );
}

#[test]
fn what_is_stored_beside_the_records() {
    let world = World::with_used_log();
    assert_snapshot!(world.run("log checkpoint q"), @r#"
    q  a file of 1 MiB
    checkpoint  LSN 15, 18 bytes in 1 chunks
    object "disk-1"  LSN 30, 9 bytes in 1 chunks
    room        17 of 19 chunks are free
    [0]
    "#);
    assert_snapshot!(world.run("log checkpoint q --out state"), @r#"
    written     state: the 18 bytes of the checkpoint, LSN 15
    [0]
    "#);
    assert_eq!(
        std::fs::read(world.path("state")).unwrap(),
        b"the state up to 15"
    );
    assert_snapshot!(world.run("log checkpoint q --out state"), @r#"
    error: state is there already
      next: name a file that is not there yet
    [107]
    "#);
    assert_eq!(
        world
            .output("log checkpoint q --object disk-1 --out -")
            .stdout,
        b"an object"
    );
    let (taken, code) = world.document("log checkpoint q --object disk-1 --out object");
    assert_eq!((code, &taken["taken"]["lsn"]), (0, &"30".into()));
    assert_snapshot!(world.run("log checkpoint q --object absent --out x"), @r#"
    error: q has no object "absent"
      next: qctl log checkpoint q   (lists them)
    [105]
    "#);
    assert_snapshot!(world.run("log checkpoint q --previous --out x"), @r#"
    error: q has no previous checkpoint
      next: qctl log checkpoint q   (lists them)
    [105]
    "#);
    assert_eq!(world.document("log checkpoint q").1, 0);
}

#[test]
fn looking_disturbs_no_owner() {
    let world = World::with_log();
    let owner = world.claim(1);
    owner.append_durable(b"one").unwrap();
    let before = std::fs::read(world.path("q")).unwrap();
    for verb in ["show q", "verify q", "dump q", "checkpoint q"] {
        assert_eq!(world.code(&format!("log {verb}")), 0, "{verb}");
    }
    assert_eq!(std::fs::read(world.path("q")).unwrap(), before);
    owner.append_durable(b"two").unwrap();
}

#[test]
fn a_closed_pipe_ends_a_dump() {
    let world = World::with_used_log();
    let mut child = world
        .qctl("log dump q")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

//! `qctl log create`: a log is made once, and never over something without consent.

use crate::shown::Shown as _;
use crate::world::World;
use insta::assert_snapshot;

#[test]
fn a_new_file() {
    let world = World::new();
    assert_snapshot!(world.run("log create q --size 1MiB --cluster alpha"), @r#"
    made        q, a file of 1 MiB: a log of cluster "alpha"
    id          ID
    layout      4 segments of 64 KiB; 37 chunks of 16 KiB (592 KiB) for checkpoints and objects; blocks of 4 KiB
    [0]
    "#);
    assert_eq!(std::fs::metadata(world.path("q")).unwrap().len(), 1 << 20);
    let (made, code) = world.document("log create r --size 1MiB --segments 6 --segment-size 16KiB");
    assert_eq!((code, &made["format"]["segments"]), (0, &6.into()));
    assert_eq!(made["format"]["segment_bytes"], 16 << 10);
    assert_eq!(world.code("log verify r"), 0);
}

#[test]
fn it_wants_a_size_that_a_log_fits_in() {
    let world = World::new();
    assert_snapshot!(world.run("log create q"), @r#"
    error: q: how large is the log to be?
      next: say --size 64MiB, for example
    [1]
    "#);
    assert_snapshot!(world.run("log create q --size 64KiB"), @r#"
    error: q: a region of 65536 bytes is too small for a log: 524288 are the least
      next: correct --size, --segments or --segment-size
    [1]
    "#);
    assert_snapshot!(world.run("log create q --size 1MiB --segment-size 1GiB"), @r#"
    error: q: 0 chunks: not 1 to 65536
      next: correct --size, --segments or --segment-size
    [1]
    "#);
    assert_snapshot!(world.run("log create q --size 64"), @r#"
    error: invalid value '64' for '--size <SIZE>': a size is a number and its unit: 64MiB, 1GiB; it is a multiple of 512 bytes

    For more information, try '--help'.
    [1]
    "#);
    assert_eq!(world.code("log create q --size 1MiB --segments 2"), 1);
    assert_eq!(
        world.code(&format!(
            "log create q --size 1MiB --cluster {}",
            "n".repeat(65)
        )),
        1
    );
    assert!(!world.path("q").exists());
}

#[test]
fn another_log_is_not_written_over_without_consent() {
    let world = World::with_used_log();
    let before = std::fs::read(world.path("q")).unwrap();
    assert_snapshot!(world.run("log create q"), @r#"
    q  a file of 1 MiB
    would be lost  a quorum log of cluster "alpha" of epoch 2, up to LSN 30
    layout      4 segments of 64 KiB; 37 chunks of 16 KiB (592 KiB) for checkpoints and objects; blocks of 4 KiB
    error: q holds a quorum log of cluster "alpha" of epoch 2, up to LSN 30; nothing was written
      next: to write over it, repeat the command with: --yes --if TOKEN
    [107]
    "#);
    let (plan, code) = world.document("log create q");
    assert_eq!((code, &plan["schema"]), (107, &"log-plan/1".into()));
    assert_eq!(world.document("log create q --dry-run").1, 0);
    assert_eq!(
        std::fs::read(world.path("q")).unwrap(),
        before,
        "nothing was written"
    );
    let token = plan["token"].as_str().unwrap();
    world.claim(3).append_durable(b"something changes").unwrap();
    assert_snapshot!(world.run(&format!("log create q --yes --if {token}")), @r#"
    q  a file of 1 MiB
    would be lost  a quorum log of cluster "alpha" of epoch 3, up to LSN 31
    layout      4 segments of 64 KiB; 37 chunks of 16 KiB (592 KiB) for checkpoints and objects; blocks of 4 KiB
    error: q has changed since the plan TOKEN: it is at TOKEN now
      next: read the new plan above, then repeat with its token
    [107]
    "#);
    assert_eq!(world.code("log create q --yes"), 0);
    assert_eq!(world.document("log show q").0["log"]["epoch"], "0");
}

#[test]
fn file_systems_and_members_of_arrays_are_recognised() {
    let world = World::new();
    let contents: [(&str, usize, &[u8]); 6] = [
        ("an ext2, ext3 or ext4 file system", 1080, b"\x53\xef"),
        ("an NTFS file system", 3, b"NTFS    "),
        ("a GUID partition table", 512, b"EFI PART"),
        ("an LVM physical volume", 512, b"LABELONE"),
        ("an md member (1.2)", 4096, b"\xfc\x4e\x2b\xa9"),
        ("a ZFS member", 131_072, b"\x0c\xb1\xba\0\0\0\0\0"),
    ];
    for (what, offset, bytes) in contents {
        let mut image = vec![0; 1 << 20];
        image[offset..offset + bytes.len()].copy_from_slice(bytes);
        std::fs::write(world.path("disk"), &image).unwrap();
        let (plan, code) = world.document("log create disk");
        assert_eq!((code, &plan["found"][0]), (107, &what.into()));
        assert_eq!(std::fs::read(world.path("disk")).unwrap(), image);
    }
    std::fs::write(world.path("disk"), b"letters").unwrap();
    assert_snapshot!(world.run("log create disk --size 1MiB"), @r#"
    disk  a file of 1 MiB
    would be lost  bytes that are not recognised
    layout      4 segments of 64 KiB; 37 chunks of 16 KiB (592 KiB) for checkpoints and objects; blocks of 4 KiB
    error: disk holds bytes that are not recognised; nothing was written
      next: to write over it, repeat the command with: --yes --if TOKEN
    [107]
    "#);
    std::fs::write(world.path("disk"), b"").unwrap();
    assert_eq!(
        world.code("log create disk --size 1MiB"),
        0,
        "an empty file is free"
    );
}

#[test]
fn what_is_no_place_for_a_log() {
    let world = World::new();
    assert_snapshot!(world.run("log create . --size 1MiB"), @r#"
    error: . is neither a file nor a block device
      next: name a file that is to be made, or a block device
    [1]
    "#);
    assert_snapshot!(world.run("log create /dev/null --size 1MiB"), @r#"
    error: /dev/null is neither a file nor a block device
      next: name a file that is to be made, or a block device
    [1]
    "#);
    assert_snapshot!(world.run("log create absent/q --size 1MiB"), @r#"
    error: absent/q: cannot open it for writing: No such file or directory (os error 2)
      next: check the name; `qctl log create` makes a log in a folder that is there
    [105]
    "#);
}

#[test]
fn a_log_that_somebody_writes_is_not_written_over() {
    let world = World::with_log();
    let _owner = world.claim(1);
    assert_snapshot!(world.run("log create q --yes"), @r#"
    error: q: cannot open it for writing: Resource temporarily unavailable (os error 11)
      next: another process writes this log; stop it first
    [2]
    "#);
}

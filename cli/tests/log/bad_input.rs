//! What is no log, or no longer one: each a clear message with the next step and the right exit code.

use crate::shown::Shown as _;
use crate::world::World;
use insta::assert_snapshot;
use std::os::unix::fs::PermissionsExt;

const VERBS: [&str; 5] = [
    "show q",
    "verify q",
    "dump q",
    "checkpoint q",
    "salvage q new",
];

#[test]
fn what_is_not_there() {
    assert_snapshot!(World::new().run("log show q"), @r#"
    error: q: cannot look at it: No such file or directory (os error 2)
      next: check the name; `qctl log create` makes a log in a folder that is there
    [105]
    "#);
    for verb in VERBS {
        assert_eq!(World::new().code(&format!("log {verb}")), 105, "{verb}");
    }
}

#[test]
fn what_is_no_log() {
    let world = World::new();
    for content in [
        vec![],
        b"letters".to_vec(),
        vec![0; 1 << 20],
        vec![0xa5; 1 << 20],
    ] {
        std::fs::write(world.path("q"), &content).unwrap();
        for verb in VERBS {
            let (error, code) = world.document(&format!("log {verb}"));
            assert_eq!(
                (code, &error["error"]["outcome"]),
                (105, &"none".into()),
                "{verb}"
            );
        }
        assert!(!world.path("new").exists());
    }
    assert_snapshot!(world.run("log show q"), @r#"
    error: q: no log here: none of the superblock places holds one (`qctl log create` makes a log)
      next: check the name; `qctl log create` makes a log
    [105]
    "#);
    assert_snapshot!(world.run("log show ."), @r#"
    error: .: cannot open it: neither a file nor a block device
      next: name a file or a block device
    [1]
    "#);
}

#[test]
fn a_log_that_was_cut_off() {
    let world = World::with_used_log();
    let bytes = std::fs::read(world.path("q")).unwrap();
    std::fs::write(world.path("q"), &bytes[..700_000 / 4096 * 4096]).unwrap();
    let said = world.run("log show q");
    assert!(
        said.contains("the region has 696320 bytes, the log was made for 1048576"),
        "{said}"
    );
    assert!(said.ends_with("[3]\n"), "{said}");
    assert_eq!(world.document("log verify q").1, 36);
    assert_eq!(world.document("log salvage q new").1, 3);
    // A length that is no number of blocks.
    std::fs::write(world.path("q"), &bytes[..700_001]).unwrap();
    for verb in ["show q", "verify q"] {
        assert!(
            [3, 36].contains(&world.document(&format!("log {verb}")).1),
            "{verb}"
        );
    }
}

/// Every superblock copy says this in its bytes from 16 on; the sums are made right.
fn alter_superblocks(world: &World, copies: &[u64], change: impl Fn(&mut [u8])) {
    let mut bytes = std::fs::read(world.path("q")).unwrap();
    let id = [0_u8; 16];
    for &offset in copies {
        let at = usize::try_from(offset).unwrap();
        let place = &mut bytes[at..at + 4096];
        change(place);
        // A superblock's seed is no log, generation 0, and its offset.
        let mut seeded = id.to_vec();
        seeded.extend_from_slice(&0_u64.to_le_bytes());
        seeded.extend_from_slice(&offset.to_le_bytes());
        seeded.extend_from_slice(&place[16..]);
        let (ieee, castagnoli) = (crc(0xEDB8_8320, &seeded), crc(0x82F6_3B78, &seeded));
        place[8..12].copy_from_slice(&ieee.to_le_bytes());
        place[12..16].copy_from_slice(&castagnoli.to_le_bytes());
    }
    std::fs::write(world.path("q"), bytes).unwrap();
}

/// A reflected CRC of 32 bits, bit by bit.
fn crc(polynomial: u32, bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { polynomial } else { 0 }
        })
    })
}

fn counting(world: &World) -> Vec<u64> {
    let (shown, _) = world.document("log show q");
    let copies = shown["superblocks"].as_array().unwrap().iter();
    copies
        .filter(|copy| copy["counts"] == true)
        .map(|copy| copy["offset"].as_u64().unwrap())
        .collect()
}

#[test]
fn a_log_of_a_newer_format() {
    let world = World::with_log();
    alter_superblocks(&world, &counting(&world), |place| place[16] = 2);
    assert_snapshot!(world.run("log show q"), @r#"
    error: q: format 2 with features 0x0: this program reads format 1 without features; use a newer one
      next: use the version of qctl that this cluster runs
    [9]
    "#);
    for verb in VERBS {
        assert_eq!(world.document(&format!("log {verb}")).1, 9, "{verb}");
    }
}

#[test]
fn two_owners_at_once() {
    let world = World::with_used_log();
    let copies = counting(&world);
    // Another node in the second copy, everything else the same.
    alter_superblocks(&world, &copies[1..], |place| {
        let node = place
            .windows(4)
            .position(|word| word == 2_u32.to_le_bytes());
        let key = place
            .windows(8)
            .position(|word| word == 0xa7_u64.to_le_bytes())
            .unwrap();
        assert!(node.is_some());
        place[key] = 0xb8;
    });
    let said = world.run("log show q");
    assert!(
        said.contains("two superblocks of epoch 2 differ: two owners wrote at once"),
        "{said}"
    );
    assert!(said.ends_with("[3]\n"), "{said}");
    let (verified, code) = world.document("log verify q");
    assert_eq!(
        (code, &verified["refused"]["kind"]),
        (36, &"two-owners".into())
    );
    assert_eq!(world.document("log dump q").1, 3);
    assert_eq!(world.document("log salvage q new").1, 3);
}

#[test]
fn every_superblock_damaged() {
    let world = World::with_log();
    for offset in counting(&world) {
        world.damage(offset + 100, 1);
    }
    assert_snapshot!(world.run("log verify q"), @r#"
    q  a file of 1 MiB
    good        14 superblock places
    superblock slot 0 bank 1 copy 0: corrupt: it is damaged, and no other copy serves (bytes 4096..8192); restore the region from a copy
    superblock slot 0 bank 1 copy 1: corrupt: it is damaged, and no other copy serves (bytes 1019904..1024000); restore the region from a copy
    opens       no: every superblock is damaged (2 places hold remains of one); restore the region from a copy
    verdict     corrupt
    [36]
    "#);
    assert_eq!(world.document("log show q").1, 3);
}

#[test]
fn a_file_that_may_only_be_read_is_looked_at_all_the_same() {
    let world = World::with_used_log();
    let only_read = std::fs::Permissions::from_mode(0o400);
    std::fs::set_permissions(world.path("q"), only_read).unwrap();
    for verb in [
        "show q",
        "verify q",
        "dump q",
        "checkpoint q",
        "salvage q new",
    ] {
        assert_eq!(world.code(&format!("log {verb}")), 0, "{verb}");
    }
}

#[test]
fn without_the_privilege_to_read_it() {
    if !nix::unistd::geteuid().is_root() {
        return; // The test of a process that is not privileged needs somebody who can become one.
    }
    let world = World::with_used_log();
    let nobody = 65534;
    let run = |arguments: &str| {
        let program = format!("{}/qctl", world.directory().display());
        // By another process: a file that this one has open for writing, or a child of it at its start, cannot be run.
        let mut copy = std::process::Command::new("cp");
        let copied = copy.args([env!("CARGO_BIN_EXE_qctl"), &program]).status();
        assert!(copied.unwrap().success());
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(world.directory(), open).unwrap();
        let mut command = std::process::Command::new(program);
        std::os::unix::process::CommandExt::uid(&mut command, nobody);
        command
            .args(arguments.split(' '))
            .current_dir(world.directory());
        world.show(&command.output().unwrap())
    };
    assert_snapshot!(run("log show q"), @r#"
    error: q: cannot open it: Permission denied (os error 13)
      next: run it as root, or as a member of the group that the file or device belongs to
    [15]
    "#);
    assert_snapshot!(run("log create new --size 1MiB"), @r#"
    error: new: cannot open it for writing: Permission denied (os error 13)
      next: run it as root, or as a member of the group that the file or device belongs to
    [15]
    "#);
}

#[test]
fn arguments_that_cannot_be_meant() {
    let world = World::with_log();
    assert_snapshot!(world.run("log dump q --from 3 --to 2"), @r#"
    error: --from 3 is behind --to 2
      next: give the smaller number to --from
    [1]
    "#);
    assert_eq!(world.code("log dump q --from x"), 1);
    assert_eq!(
        world.code("log checkpoint q --object x"),
        1,
        "--object wants --out"
    );
    assert_eq!(world.code("log show"), 1);
    assert_eq!(world.code("log"), 1);
}

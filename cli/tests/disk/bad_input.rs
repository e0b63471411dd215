//! Bad input: each a clear error with the next step and the right exit code, and no change made.

use crate::shown::Shown as _;
use crate::world::{World, argument};
use insta::assert_snapshot;

#[test]
fn a_device_that_is_not_there() {
    assert_snapshot!(World::new().run("disk show /dev/absent"), @r#"
    error: /dev/absent: there is no such device
      next: `qctl disk list` shows the disks of this host
    [105]
    "#);
    assert_snapshot!(World::new().json("disk show /dev/absent"), @r#"
    {
      "schema": "error/1",
      "error": {
        "code": 105,
        "outcome": "none",
        "message": "/dev/absent: there is no such device",
        "next": "`qctl disk list` shows the disks of this host"
      }
    }
    [105]
    "#);
}

#[test]
fn a_plain_file_is_no_disk() {
    let world = World::new();
    let file = argument(&world.write("file", b"bytes"));
    assert_snapshot!(world.run(&format!("disk show {file}")), @r#"
    error: DIRECTORY/file is a file (for an emulated disk say emu:FILE), not a disk
      next: `qctl disk list` shows the disks of this host
    [1]
    "#);
}

#[test]
fn a_character_device_is_no_disk() {
    assert_snapshot!(World::new().run("disk show /dev/null"), @r#"
    error: /dev/null is a character device, not a disk
      next: `qctl disk list` shows the disks of this host
    [1]
    "#);
}

#[test]
fn names_of_emulated_disks_have_rules() {
    let world = World::new();
    assert_snapshot!(world.run("disk show emu:q"), @r#"
    error: emu:q: which host is asking? add ?nexus=NAME (any name; each host has its own)
      next: name a disk as /dev/sdX, /dev/disk/by-id/…, /dev/mapper/…, /dev/nvmeXnY, iscsi://… or emu:FILE
    [1]
    "#);
    assert_snapshot!(world.run("disk show emu:q?nexus=A/B"), @r#"
    error: emu:q?nexus=A/B: the nexus name "A/B" may have 1 to 64 of a-z, 0-9, '-', '.' and ':'
      next: name a disk as /dev/sdX, /dev/disk/by-id/…, /dev/mapper/…, /dev/nvmeXnY, iscsi://… or emu:FILE
    [1]
    "#);
    assert_snapshot!(world.run("disk show emu:q?nexus=a&behaviour=odd"), @r#"
    error: emu:q?nexus=a&behaviour=odd: there is no behaviour "odd"; there are standard, lio, tgt and hostile
      next: name a disk as /dev/sdX, /dev/disk/by-id/…, /dev/mapper/…, /dev/nvmeXnY, iscsi://… or emu:FILE
    [1]
    "#);
}

#[test]
fn a_file_that_is_not_an_emulated_unit_is_not_overwritten() {
    let world = World::new();
    world.write("q", b"somebody's letters");
    assert_snapshot!(world.run("disk pr register emu:q?nexus=a --key 0xa"), @r#"
    error: q is a file that is not an emulated disk, not a disk
      next: `qctl disk list` shows the disks of this host
    [1]
    "#);
    let bytes = std::fs::read(world.directory().join("q")).unwrap();
    assert_eq!(bytes, b"somebody's letters");
}

#[test]
fn key_zero_and_bare_digits() {
    let world = World::new();
    assert_snapshot!(world.run("disk pr register emu:q?nexus=a --key 0x0"), @r#"
    error: invalid value '0x0' for '--key <KEY>': key 0 means "no key" and cannot be registered; to remove a registration use `qctl disk pr unregister`

    For more information, try '--help'.
    [1]
    "#);
    assert_snapshot!(world.run("disk pr register emu:q?nexus=a --key 123"), @r#"
    error: invalid value '123' for '--key <KEY>': bare digits are ambiguous (sg_persist reads them as hexadecimal, others as decimal); if you mean hexadecimal, write 0x123

    For more information, try '--help'.
    [1]
    "#);
    assert_snapshot!(world.run("disk pr register emu:q?nexus=a --key 0x12345678901234567"), @r#"
    error: invalid value '0x12345678901234567' for '--key <KEY>': a key has 64 bits: at most sixteen hexadecimal digits

    For more information, try '--help'.
    [1]
    "#);
    assert_snapshot!(world.run("disk pr preempt emu:q?nexus=a --victim 0x0 --yes"), @r#"
    error: invalid value '0x0' for '--victim <KEY>': key 0 means "no key" and cannot be registered; to remove a registration use `qctl disk pr unregister`

    For more information, try '--help'.
    [1]
    "#);
}

#[test]
fn types_are_names() {
    assert_snapshot!(World::new().run("disk pr reserve emu:q?nexus=a --type 5"), @r#"
    error: invalid value '5' for '--type <TYPE>': types are named, because SCSI and NVMe number them differently: we (Write Exclusive), ea (Exclusive Access), we-ro (Write Exclusive, Registrants Only), ea-ro (Exclusive Access, Registrants Only), we-ar (Write Exclusive, All Registrants), ea-ar (Exclusive Access, All Registrants)

    For more information, try '--help'.
    [1]
    "#);
}

#[test]
fn durations_have_units() {
    assert_snapshot!(World::new().run("disk show emu:q?nexus=a --timeout 5"), @r#"
    error: invalid value '5' for '--timeout <DURATION>': a duration is a number and its unit: 500ms, 2s, 1m, 1h

    For more information, try '--help'.
    [1]
    "#);
}

#[test]
fn a_foreign_reservation_conflicts_and_nothing_is_changed() {
    let world = World::after(&[
        "disk pr register emu:q?nexus=theirs --key 0xf0",
        "disk pr reserve emu:q?nexus=theirs --type ea",
        "disk pr register emu:q?nexus=ours --key 0x1",
    ]);
    let before = world.run("disk pr status emu:q?nexus=stranger");
    assert_eq!(world.code("disk pr reserve emu:q?nexus=ours --type ea"), 24);
    assert_eq!(world.code("disk scsi2 reserve emu:q?nexus=ours"), 24);
    assert_eq!(world.run("disk pr status emu:q?nexus=stranger"), before);
}

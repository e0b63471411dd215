//! `check`: fit, unfit, not proven.

use crate::shown::Shown as _;
use crate::world::World;
use insta::assert_snapshot;
use scsi::device::Data;
use scsi::disk::Options;
use scsi::reservation::Verb;
use scsi::wire::cdb::{Access, BlockRange, Command};
use scsi::wire::status::Status;
use serde_json::Value;
use std::time::Duration;

/// Nothing here takes a tenth of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// How fast the disk is depends on what else this machine does: that point is left out.
const SPEED: &str = "fast-enough";

fn answer<'a>(document: &'a Value, name: &str) -> Option<&'a str> {
    let points = document["points"].as_array().unwrap();
    let point = points.iter().find(|point| point["name"] == name)?;
    point["answer"].as_str()
}

/// The answer and the name of each point, and why it failed where it did.
fn points(document: &Value) -> String {
    let points = document["points"].as_array().unwrap();
    let lines = points.iter().filter(|point| point["name"] != SPEED);
    lines
        .map(|point| {
            let failed = point["answer"] == "failed";
            let why = point["why"].as_str().filter(|_| failed);
            let why = why.map_or_else(String::new, |why| format!("  {why}"));
            let (name, answer) = (&point["name"], &point["answer"]);
            let (name, answer) = (name.as_str().unwrap(), answer.as_str().unwrap());
            format!("{answer:10}  {name}{why}\n")
        })
        .collect()
}

/// The verdict and its exit code, on a machine that is fast enough.
fn assert_verdict(document: &Value, code: i32, verdict: &str) {
    let slow = answer(document, SPEED) == Some("failed");
    let verdict = if slow { "unfit" } else { verdict };
    assert_eq!(document["verdict"], verdict, "{document:#}");
    assert_eq!(code, if verdict == "unfit" { 36 } else { 0 });
}

#[test]
fn reading_alone_proves_no_enforcement() {
    let world = World::new();
    let (document, code) = world.document("disk check emu:q?nexus=a");
    assert_verdict(&document, code, "not-proven");
    assert_snapshot!(points(&document), @r#"
    passed      wwid
    passed      reservations
    passed      types
    passed      aptpl-declared
    not-proven  enforcement
    "#);
    assert_eq!(document["aptpl"], "declared");
    let latency = &document["latency"];
    assert!(latency["max_us"].as_u64() >= latency["median_us"].as_u64());
    assert_eq!(document["profiles"].as_array().unwrap().len(), 6);
}

#[test]
fn two_nexuses_prove_a_disk_fit_and_leave_it_as_it_was() {
    let world = World::new();
    let line = "disk check emu:q?nexus=a --destructive --second emu:q?nexus=b";
    let (document, code) = world.document(line);
    assert_snapshot!(points(&document), @r#"
    passed      wwid
    passed      reservations
    passed      types
    passed      aptpl-declared
    passed      register
    passed      aptpl-active
    passed      reserve
    passed      holder-writes
    passed      stranger-refused
    passed      stranger-reads
    passed      second-registers
    passed      registrant-refused
    passed      registrants-only
    passed      reset-keeps
    passed      preempt-takes
    passed      preempted-refused
    passed      old-key-refused
    passed      abort-takes
    passed      unregister
    passed      spc2-reserve
    passed      spc2-excludes
    passed      spc2-reset-opens
    passed      spc2-release
    passed      as-before
    "#);
    assert_verdict(&document, code, "fit");
    assert_eq!(
        world.document("disk pr keys emu:q?nexus=a").0["keys"],
        serde_json::json!([])
    );
}

#[test]
fn one_nexus_leaves_enforcement_unproven() {
    let world = World::new();
    let (document, code) = world.document("disk check emu:q?nexus=a --destructive");
    assert_verdict(&document, code, "not-proven");
    assert_eq!(answer(&document, "stranger-refused"), Some("not-proven"));
    assert_eq!(answer(&document, "as-before"), Some("passed"));
}

#[test]
fn a_unit_without_aptpl_is_unfit() {
    let world = World::new();
    let line = "disk check emu:q?nexus=a&behaviour=tgt --destructive --second emu:q?nexus=b";
    let (document, code) = world.document(line);
    assert_snapshot!(points(&document), @r#"
    passed      wwid
    passed      reservations
    passed      types
    failed      aptpl-declared  PTPL_C is 0: after a power loss the disk is open to everybody; `arbitrate` refuses it without --accept-no-aptpl
    passed      register
    passed      reserve
    passed      holder-writes
    passed      stranger-refused
    passed      stranger-reads
    passed      second-registers
    passed      registrant-refused
    passed      registrants-only
    passed      reset-keeps
    passed      preempt-takes
    passed      preempted-refused
    passed      old-key-refused
    passed      unregister
    not-proven  aptpl-active
    not-proven  abort-takes
    passed      spc2-reserve
    passed      spc2-excludes
    passed      spc2-reset-opens
    passed      spc2-release
    passed      as-before
    "#);
    assert_verdict(&document, code, "unfit");
}

#[test]
fn a_disk_that_says_good_to_aptpl_and_does_not_keep_it_is_unfit() {
    let world = World::new();
    let mut command = world.qctl("--json --fault");
    command.arg("opcode 5e/02: clear 3/01");
    command.args(["disk", "check", "emu:q?nexus=a", "--destructive"]);
    command.args(["--second", "emu:q?nexus=b"]);
    let output = command.output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let points = points(&document);
    assert!(
        points.contains("failed      aptpl-active  PTPL_A reads 0"),
        "{points}"
    );
    assert_verdict(&document, output.status.code().unwrap(), "unfit");
}

#[test]
fn a_disk_that_lets_strangers_write_is_unfit() {
    let world = World::new();
    let mut command = world.qctl("--json --fault");
    // A WRITE that is answered GOOD where it must conflict: nothing is written, and the disk says it was.
    command.arg("at 2 on WRITE: lie");
    command.args(["disk", "check", "emu:q?nexus=a", "--destructive"]);
    command.args(["--second", "emu:q?nexus=b"]);
    let output = command.output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_snapshot!(points(&document), @r#"
    passed      wwid
    passed      reservations
    passed      types
    passed      aptpl-declared
    passed      register
    passed      aptpl-active
    passed      reserve
    passed      holder-writes
    passed      stranger-refused
    passed      stranger-reads
    passed      second-registers
    failed      registrant-refused  it was done
    not-proven  registrants-only
    not-proven  reset-keeps
    not-proven  preempt-takes
    not-proven  preempted-refused
    not-proven  old-key-refused
    not-proven  abort-takes
    not-proven  unregister
    passed      spc2-reserve
    passed      spc2-excludes
    passed      spc2-reset-opens
    passed      spc2-release
    passed      as-before
    "#);
}

#[test]
fn a_disk_in_use_is_not_tried_out() {
    let world = World::after(&["disk pr register emu:q?nexus=theirs --key 0xf0"]);
    assert_snapshot!(world.run("disk check emu:q?nexus=a --destructive"), @r#"
    error: emu:q?nexus=a is not tried out: somebody uses it; registered: 0xf0; reservation: none
      next: qctl disk show emu:q?nexus=a   (who); keys of a killed check go with `qctl disk check emu:q?nexus=a --cleanup`
    [113]
    "#);
    let world = World::after(&["disk scsi2 reserve emu:q?nexus=theirs"]);
    assert_snapshot!(world.run("disk check emu:q?nexus=a --destructive"), @r#"
    error: REPORT CAPABILITIES: reservation conflict
      next: qctl disk show emu:q?nexus=a   (who holds it, who is registered)
    [24]
    "#);
}

#[test]
fn content_is_worth_something_unless_scratch_says_otherwise() {
    let world = World::new();
    let mut block = vec![0; 512];
    block[..4].copy_from_slice(b"XFSB");
    write_block(&world, 0, &block);
    assert_snapshot!(world.run("disk check emu:q?nexus=a --destructive"), @r#"
    error: emu:q?nexus=a is not tried out: it carries an XFS file system
      next: if its content is worthless, say so with --scratch
    [107]
    "#);
    let (document, _) = world.document("disk check emu:q?nexus=a --destructive --scratch");
    assert_eq!(answer(&document, "as-before"), Some("passed"));
}

#[test]
fn the_second_nexus_must_be_the_same_disk_through_another_nexus() {
    let world = World::new();
    let line = "disk check emu:q?nexus=a --destructive --second";
    assert_snapshot!(world.run(&format!("{line} emu:other?nexus=b")), @r#"
    error: emu:other?nexus=b is not the same disk: its WWID is naa.WWID, that of emu:q?nexus=a is naa.WWID
      next: `qctl disk list` shows which names have one WWID
    [1]
    "#);
    assert_snapshot!(world.run(&format!("{line} emu:q?nexus=a")), @r#"
    error: emu:q?nexus=a is the same nexus as emu:q?nexus=a
      next: name the disk as it is seen through another path
    [1]
    "#);
    assert_snapshot!(world.run("disk check emu:q?nexus=a --destructive --lba 99999999"), @r#"
    error: --lba 99999999: the last block of emu:q?nexus=a is 131071
      next: name a block that is there
    [1]
    "#);
}

#[test]
fn a_mark_that_survives_a_power_cycle_proves_aptpl() {
    let world = World::new();
    world.document("disk check emu:q?nexus=a --destructive --leave-mark");
    power_cycle(&world);
    let (document, code) = world.document("disk check emu:q?nexus=a --after-power-cycle");
    assert_verdict(&document, code, "not-proven");
    assert_eq!(document["aptpl"], "proven");
    assert_eq!(
        world.document("disk pr keys emu:q?nexus=a").0["keys"],
        serde_json::json!([])
    );
}

#[test]
fn a_mark_that_is_gone_makes_the_disk_unfit() {
    let world = World::new();
    let (document, code) = world.document("disk check emu:q?nexus=a --after-power-cycle");
    assert_eq!(code, 36);
    assert!(points(&document).contains("failed      aptpl-proven"));
}

#[test]
fn a_killed_check_is_cleaned_up() {
    let world = World::after(&[
        "disk pr register emu:q?nexus=a --key 0x5143484500000001",
        "disk pr register emu:q?nexus=b --key 0x5143484500000002",
        "disk pr register emu:q?nexus=other --key 0x7",
        "disk pr reserve emu:q?nexus=b --type we",
    ]);
    assert_snapshot!(world.run("disk check emu:q?nexus=a --cleanup"), @r#"
    removed  0x5143484500000001
    removed  0x5143484500000002
    [0]
    "#);
    assert_snapshot!(world.run("disk pr status emu:q?nexus=a"), @r#"
    generation  7
    reservation none
    registered  1 nexus
      0x7                 iqn.2026-01.invalid.emulated:other,i,0x800000000001>1
    [0]
    "#);
    assert_eq!(world.code("disk check emu:q?nexus=a --cleanup"), 0);
}

/// Writes one block as a host of its own does.
fn write_block(world: &World, lba: u64, block: &[u8]) {
    let name = format!("emu:{}?nexus=writer", world.directory().join("q").display());
    let mut disk = scsi::disk::open(&name, &Options::default()).unwrap();
    let path = &mut disk.paths[0];
    // Meets the attention of a new nexus.
    path.reservations.perform(&Verb::TestUnitReady, PATIENCE);
    let write = Command::Write {
        range: BlockRange::new(lba, 1),
        access: Access::FUA,
    };
    let device = path.device.as_mut().unwrap();
    let done = device
        .execute(&write.cdb(), Data::Out(block), PATIENCE)
        .unwrap();
    assert_eq!(done.status, Status::GOOD);
}

fn power_cycle(world: &World) {
    let name = format!("emu:{}?nexus=power", world.directory().join("q").display());
    let mut device = scsi::emulated::open(&name, PATIENCE).unwrap();
    device.power_cycle(PATIENCE).unwrap();
}

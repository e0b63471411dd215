//! `reserve` and `release`, persistent and SPC-2, and holding for a command.

use crate::shown::Shown as _;
use crate::world::World;
use insta::assert_snapshot;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

fn registered() -> World {
    World::after(&[
        "disk pr register emu:q?nexus=a --key 0xa",
        "disk pr register emu:q?nexus=b --key 0xb",
    ])
}

#[test]
fn one_reserves_and_the_other_conflicts() {
    let world = registered();
    assert_snapshot!(world.run("disk pr reserve emu:q?nexus=a --type we"), @r#"
    emu:q?nexus=a  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    emu:q?nexus=a  PR RESERVE key 0xa type we: done
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    changed
      reservation none -> Write Exclusive (we), held by 0xa
    generation  2
    reservation Write Exclusive (we), held by 0xa
    registered  2 nexuses
      0xa                 iqn.2026-01.invalid.emulated:a,i,0x800000000001>1  holder  this host, emu:q?nexus=a
      0xb                 iqn.2026-01.invalid.emulated:b,i,0x800000000001>1
    [0]
    "#);
    assert_snapshot!(world.run("disk pr reserve emu:q?nexus=b --type we"), @r#"
    emu:q?nexus=b  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    emu:q?nexus=b  PR RESERVE key 0xb type we: not done
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    changed     nothing that the disk shows
    generation  2
    reservation Write Exclusive (we), held by 0xa
    registered  2 nexuses
      0xa                 iqn.2026-01.invalid.emulated:a,i,0x800000000001>1  holder
      0xb                 iqn.2026-01.invalid.emulated:b,i,0x800000000001>1  this host, emu:q?nexus=b
    error: PR RESERVE: reservation conflict; in force: Write Exclusive (we), held by 0xa
      next: qctl disk show emu:q?nexus=b   (who holds it, who is registered)
    [24]
    "#);
    assert_snapshot!(world.json("disk pr reserve emu:q?nexus=b --type we"), @r#"
    {
      "schema": "disk-change/1",
      "disk": {
        "name": "emu:q?nexus=b",
        "vendor": "QCTL",
        "model": "EMULATED DISK",
        "revision": "0001",
        "serial": "EMU-SERIAL",
        "wwid": "naa.WWID",
        "transport": "emulated",
        "address": null,
        "block_count": 131072,
        "block_bytes": 512,
        "size_bytes": 67108864
      },
      "verb": "PR RESERVE",
      "outcome": "none",
      "commands": [
        {
          "path": "emu:q?nexus=b",
          "command": "PR RESERVE key 0xb type we",
          "performed": false
        }
      ],
      "remarks": [
        "emulated, behaviour standard: what holds here holds between the processes of this host"
      ],
      "attentions": [],
      "before": {
        "generation": 2,
        "reservation": {
          "key": "0xa",
          "type": "we"
        },
        "registrations": [
          {
            "key": "0xa",
            "nexus": "iqn.2026-01.invalid.emulated:a,i,0x800000000001>1",
            "owner": null,
            "holder": true,
            "all_target_ports": false,
            "own": false,
            "path": null
          },
          {
            "key": "0xb",
            "nexus": "iqn.2026-01.invalid.emulated:b,i,0x800000000001>1",
            "owner": null,
            "holder": false,
            "all_target_ports": false,
            "own": true,
            "path": "emu:q?nexus=b"
          }
        ]
      },
      "after": {
        "generation": 2,
        "reservation": {
          "key": "0xa",
          "type": "we"
        },
        "registrations": [
          {
            "key": "0xa",
            "nexus": "iqn.2026-01.invalid.emulated:a,i,0x800000000001>1",
            "owner": null,
            "holder": true,
            "all_target_ports": false,
            "own": false,
            "path": null
          },
          {
            "key": "0xb",
            "nexus": "iqn.2026-01.invalid.emulated:b,i,0x800000000001>1",
            "owner": null,
            "holder": false,
            "all_target_ports": false,
            "own": true,
            "path": "emu:q?nexus=b"
          }
        ]
      },
      "audit": {
        "time": "TIME",
        "monotonic_ns": 0,
        "uid": 0,
        "logged": false
      },
      "error": {
        "code": 24,
        "outcome": "none",
        "message": "PR RESERVE: reservation conflict; in force: Write Exclusive (we), held by 0xa",
        "next": "qctl disk show emu:q?nexus=b   (who holds it, who is registered)"
      }
    }
    [24]
    "#);
}

#[test]
fn who_is_not_registered_is_told_to_register() {
    assert_snapshot!(World::new().run("disk pr reserve emu:q?nexus=a --type we"), @r#"
    error: this host is not registered on emu:q?nexus=a
      next: qctl disk pr register emu:q?nexus=a --key 0x...
    [24]
    "#);
}

#[test]
fn only_the_holder_releases() {
    let world = registered();
    assert_eq!(world.code("disk pr reserve emu:q?nexus=a --type we-ro"), 0);
    assert_snapshot!(world.run("disk pr release emu:q?nexus=b"), @r#"
    error: this host (0xb) holds no reservation on emu:q?nexus=b; in force: Write Exclusive, Registrants Only (we-ro), held by 0xa
      next: only the holder can release it; `qctl disk pr preempt` takes it over
    [24]
    "#);
    assert_snapshot!(world.run("disk pr release emu:q?nexus=a"), @r#"
    emu:q?nexus=a  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    emu:q?nexus=a  PR RELEASE key 0xa type we-ro: done
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    changed
      reservation Write Exclusive, Registrants Only (we-ro), held by 0xa -> none
    generation  2
    reservation none
    registered  2 nexuses
      0xa                 iqn.2026-01.invalid.emulated:a,i,0x800000000001>1  this host, emu:q?nexus=a
      0xb                 iqn.2026-01.invalid.emulated:b,i,0x800000000001>1
    [0]
    "#);
    assert_snapshot!(world.run("disk pr release emu:q?nexus=a"), @r#"
    error: this host (0xa) holds no reservation on emu:q?nexus=a; in force: none
      next: only the holder can release it; `qctl disk pr preempt` takes it over
    [24]
    "#);
}

#[test]
fn a_release_with_another_type_is_refused_by_the_disk() {
    let world = registered();
    assert_eq!(world.code("disk pr reserve emu:q?nexus=a --type we-ro"), 0);
    assert_snapshot!(world.run("disk pr release emu:q?nexus=a --type ea"), @r#"
    emu:q?nexus=a  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    emu:q?nexus=a  PR RELEASE key 0xa type ea: not done
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    changed     nothing that the disk shows
    generation  2
    reservation Write Exclusive, Registrants Only (we-ro), held by 0xa
    registered  2 nexuses
      0xa                 iqn.2026-01.invalid.emulated:a,i,0x800000000001>1  holder  this host, emu:q?nexus=a
      0xb                 iqn.2026-01.invalid.emulated:b,i,0x800000000001>1
    error: PR RELEASE was refused: ILLEGAL REQUEST: invalid release of persistent reservation: other scope or type than held (05/26/04)
      next: qctl --trace disk show emu:q?nexus=a   (every command and its answer)
    [5]
    "#);
}

#[test]
fn an_spc2_reservation_shuts_the_others_out_until_it_is_released() {
    let world = World::new();
    assert_snapshot!(world.run("disk scsi2 reserve emu:q?nexus=a"), @r#"
    emu:q?nexus=a  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    emu:q?nexus=a  RESERVE: done
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    SPC-2       this path is served: no SPC-2 reservation, or its own (the disk does not tell which)
    persistent  cannot be read: READ STATE: reservation conflict
    [0]
    "#);
    assert_snapshot!(world.run("disk reserve emu:q?nexus=b"), @r#"
    emu:q?nexus=b  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    emu:q?nexus=b  RESERVE: not done
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    SPC-2       another nexus has the SPC-2 reservation; whose cannot be known from outside
    persistent  cannot be read: READ STATE: reservation conflict
    error: RESERVE: reservation conflict
      next: qctl disk show emu:q?nexus=b   (who holds it, who is registered)
    [24]
    "#);
    assert_snapshot!(world.run("disk show emu:q?nexus=b"), @r#"
    emu:q?nexus=b  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    size        64.0 MiB (131072 blocks of 512 bytes)
    path        emu:q?nexus=b  emulated  iqn.2026-01.invalid.emulated:b,i,0x800000000001>1
    in use      not on this host; other hosts cannot be seen
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    SPC-2       another nexus has the SPC-2 reservation; whose cannot be known from outside
    persistent  cannot be read: READ STATE: reservation conflict
    log         not known: READ: RESERVATION CONFLICT
    [0]
    "#);
    assert_snapshot!(world.run("disk release emu:q?nexus=a"), @r#"
    emu:q?nexus=a  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    emu:q?nexus=a  RELEASE: done
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    SPC-2       this path is served: no SPC-2 reservation, or its own (the disk does not tell which)
    generation  0
    reservation none
    registered  nobody
    [0]
    "#);
    assert_eq!(world.code("disk reserve emu:q?nexus=b"), 0);
}

#[test]
fn a_reset_ends_an_spc2_reservation_with_a_plan_first() {
    let world = World::after(&["disk scsi2 reserve emu:q?nexus=a"]);
    assert_snapshot!(world.run("disk reset emu:q?nexus=b --lun"), @r#"
    emu:q?nexus=b  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    SPC-2       another nexus has the SPC-2 reservation; whose cannot be known from outside
    persistent  cannot be read: READ STATE: reservation conflict
    would send
      emu:q?nexus=b  LUN RESET (no escalation)
    who loses what
      whoever has an SPC-2 reservation on this disk loses it
      every host's queued commands on this disk are aborted
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    token       TOKEN
    error: LUN RESET was not sent: it is dangerous, and wants --yes
      next: to do it, repeat the command with: --yes --if TOKEN
    [107]
    "#);
    assert_snapshot!(world.run("disk reset emu:q?nexus=b --lun --yes"), @r#"
    emu:q?nexus=b  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    emu:q?nexus=b  LUN RESET (no escalation): done
    attention   29/03 on emu:q?nexus=b: reset: an SPC-2 reservation is gone
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    SPC-2       this path is served: no SPC-2 reservation, or its own (the disk does not tell which)
    generation  0
    reservation none
    registered  nobody
    [0]
    "#);
}

#[test]
fn a_command_runs_while_the_disk_is_reserved_and_its_status_is_ours() {
    let world = World::new();
    world.write(
        "job",
        b"#!/bin/sh\necho $QCTL_DISK\n\"$1\" disk reserve 'emu:q?nexus=b' >/dev/null 2>&1\necho $?\nexit 7\n",
    );
    let mut command = world.qctl("disk reserve emu:q?nexus=a -- sh job");
    command.arg(env!("CARGO_BIN_EXE_qctl"));
    assert_snapshot!(world.show(&command.output().unwrap()), @r#"
    emu:q?nexus=a
    24
    [7]
    "#);
    assert_eq!(world.code("disk reserve emu:q?nexus=b"), 0);
}

#[test]
fn a_command_that_cannot_be_run_leaves_no_reservation() {
    let world = World::new();
    assert_snapshot!(world.run("disk reserve emu:q?nexus=a -- ./absent"), @r#"
    error: ./absent cannot be run: No such file or directory (os error 2); the reservation was released
      next: check the command behind --
    [15]
    "#);
    assert_eq!(world.code("disk reserve emu:q?nexus=b"), 0);
}

#[test]
fn a_signal_ends_a_hold_and_releases() {
    let world = World::new();
    let mut child = world
        .qctl("--json disk reserve emu:q?nexus=a --hold")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next =
        || -> serde_json::Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["verb"], "RESERVE");
    assert_eq!(world.code("disk reserve emu:q?nexus=b"), 24);
    kill(
        Pid::from_raw(child.id().try_into().unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    assert_eq!(next()["verb"], "RELEASE");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(world.code("disk reserve emu:q?nexus=b"), 0);
}

#[test]
fn a_command_ends_when_the_reservation_is_lost() {
    let world = World::new();
    world.write(
        "job",
        b"exec 2>/dev/null\ntrap 'touch told; exit' TERM\necho running\nwhile :; do sleep 0.05; done\n",
    );
    let mut child = world
        .qctl("disk reserve emu:q?nexus=a -- sh job")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "running\n");
    assert_eq!(world.code("disk reset emu:q?nexus=b --lun --yes"), 0);
    assert_eq!(world.code("disk reserve emu:q?nexus=b"), 0);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(106));
    assert!(world.directory().join("told").exists());
    assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @r#"
    error: the reservation was lost: reset: an SPC-2 reservation is gone
      next: qctl disk show emu:q?nexus=a   (what is true now)
    "#);
}

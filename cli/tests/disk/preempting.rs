//! What takes something from others: the plan, the consent, and what came of it.

use crate::shown::Shown as _;
use crate::world::World;
use insta::assert_snapshot;

fn held_by_a() -> World {
    World::after(&[
        "disk pr register emu:q?nexus=a --key 0xa",
        "disk pr register emu:q?nexus=b --key 0xb",
        "disk pr register emu:q?nexus=c --key 0xc",
        "disk pr reserve emu:q?nexus=a --type we-ro",
    ])
}

#[test]
fn without_yes_the_plan_is_printed_and_nothing_is_sent() {
    let world = held_by_a();
    assert_snapshot!(world.run("disk pr preempt emu:q?nexus=b --victim 0xa"), @r#"
    emu:q?nexus=b  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    generation  3
    reservation Write Exclusive, Registrants Only (we-ro), held by 0xa
    registered  3 nexuses
      0xa                 iqn.2026-01.invalid.emulated:a,i,0x800000000001>1  holder
      0xb                 iqn.2026-01.invalid.emulated:b,i,0x800000000001>1  this host, emu:q?nexus=b
      0xc                 iqn.2026-01.invalid.emulated:c,i,0x800000000001>1
    would send
      emu:q?nexus=b  PR PREEMPT AND ABORT key 0xb victim 0xa type we-ro
    who loses what
      0xa at iqn.2026-01.invalid.emulated:a,i,0x800000000001>1 loses its registration, and its queued commands are aborted
      0xa loses its Write Exclusive, Registrants Only reservation
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    token       TOKEN
    error: PR PREEMPT AND ABORT was not sent: it is dangerous, and wants --yes
      next: to do it, repeat the command with: --yes --if TOKEN
    [107]
    "#);
    assert_snapshot!(world.json("disk pr preempt emu:q?nexus=b --victim 0xa --dry-run"), @r#"
    {
      "schema": "disk-plan/1",
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
      "verb": "PR PREEMPT AND ABORT",
      "dry_run": true,
      "token": "TOKEN",
      "commands": [
        {
          "path": "emu:q?nexus=b",
          "command": "PR PREEMPT AND ABORT key 0xb victim 0xa type we-ro"
        }
      ],
      "losses": [
        "0xa at iqn.2026-01.invalid.emulated:a,i,0x800000000001>1 loses its registration, and its queued commands are aborted",
        "0xa loses its Write Exclusive, Registrants Only reservation"
      ],
      "refusals": [],
      "remarks": [
        "emulated, behaviour standard: what holds here holds between the processes of this host"
      ],
      "attentions": [],
      "state": {
        "generation": 3,
        "reservation": {
          "key": "0xa",
          "type": "we-ro"
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
          },
          {
            "key": "0xc",
            "nexus": "iqn.2026-01.invalid.emulated:c,i,0x800000000001>1",
            "owner": null,
            "holder": false,
            "all_target_ports": false,
            "own": false,
            "path": null
          }
        ]
      }
    }
    [0]
    "#);
    assert_snapshot!(world.run("disk pr holder emu:q?nexus=b"), @r#"
    Write Exclusive, Registrants Only (we-ro), held by 0xa
    [0]
    "#);
}

#[test]
fn preempting_the_holder_takes_over() {
    let world = held_by_a();
    let line = "disk pr preempt emu:q?nexus=b --victim 0xa";
    let token = world.token(line);
    assert_snapshot!(world.run(&format!("{line} --yes --if {token}")), @r#"
    emu:q?nexus=b  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    emu:q?nexus=b  PR PREEMPT AND ABORT key 0xb victim 0xa type we-ro: done
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    changed
      - 0xa  iqn.2026-01.invalid.emulated:a,i,0x800000000001>1
      reservation Write Exclusive, Registrants Only (we-ro), held by 0xa -> Write Exclusive, Registrants Only (we-ro), held by 0xb
      generation 3 -> 4
    generation  4
    reservation Write Exclusive, Registrants Only (we-ro), held by 0xb
    registered  2 nexuses
      0xb                 iqn.2026-01.invalid.emulated:b,i,0x800000000001>1  holder  this host, emu:q?nexus=b
      0xc                 iqn.2026-01.invalid.emulated:c,i,0x800000000001>1
    [0]
    "#);
    assert_snapshot!(world.run("disk pr status emu:q?nexus=a"), @r#"
    attention   2A/05 on emu:q?nexus=a: this path's registration was removed by another
    generation  4
    reservation Write Exclusive, Registrants Only (we-ro), held by 0xb
    registered  2 nexuses
      0xb                 iqn.2026-01.invalid.emulated:b,i,0x800000000001>1  holder
      0xc                 iqn.2026-01.invalid.emulated:c,i,0x800000000001>1
    [0]
    "#);
}

#[test]
fn preempting_somebody_else_takes_nothing() {
    let world = held_by_a();
    assert_snapshot!(world.run("disk pr preempt emu:q?nexus=b --victim nexus:emulated:c --no-abort --yes"), @r#"
    emu:q?nexus=b  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    emu:q?nexus=b  PR PREEMPT key 0xb victim 0xc type we-ro: done
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    changed
      - 0xc  iqn.2026-01.invalid.emulated:c,i,0x800000000001>1
      generation 3 -> 4
    generation  4
    reservation Write Exclusive, Registrants Only (we-ro), held by 0xa
    registered  2 nexuses
      0xa                 iqn.2026-01.invalid.emulated:a,i,0x800000000001>1  holder
      0xb                 iqn.2026-01.invalid.emulated:b,i,0x800000000001>1  this host, emu:q?nexus=b
    [0]
    "#);
}

#[test]
fn a_token_of_an_earlier_state_is_refused() {
    let world = held_by_a();
    let line = "disk pr preempt emu:q?nexus=b --victim 0xa";
    let token = world.token(line);
    // RELEASE does not count the generation up; the token stands for the holder too.
    assert_eq!(world.code("disk pr release emu:q?nexus=a"), 0);
    assert_snapshot!(world.run(&format!("{line} --yes --if {token}")), @r#"
    emu:q?nexus=b  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    attention   2A/04 on emu:q?nexus=b: the holder released its reservation
    generation  3
    reservation none
    registered  3 nexuses
      0xa                 iqn.2026-01.invalid.emulated:a,i,0x800000000001>1
      0xb                 iqn.2026-01.invalid.emulated:b,i,0x800000000001>1  this host, emu:q?nexus=b
      0xc                 iqn.2026-01.invalid.emulated:c,i,0x800000000001>1
    would send
      emu:q?nexus=b  PR PREEMPT AND ABORT key 0xb victim 0xa type we
    who loses what
      0xa at iqn.2026-01.invalid.emulated:a,i,0x800000000001>1 loses its registration, and its queued commands are aborted
      nobody holds a reservation: none is taken
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    token       TOKEN
    error: the disk has changed since the plan TOKEN: it is at TOKEN now
      next: read the new plan above, then repeat with its token
    [107]
    "#);
}

#[test]
fn one_s_own_key_is_never_preempted() {
    let world = held_by_a();
    assert_snapshot!(world.run("disk pr preempt emu:q?nexus=a --victim 0xa --yes"), @r#"
    emu:q?nexus=a  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    generation  3
    reservation Write Exclusive, Registrants Only (we-ro), held by 0xa
    registered  3 nexuses
      0xa                 iqn.2026-01.invalid.emulated:a,i,0x800000000001>1  holder  this host, emu:q?nexus=a
      0xb                 iqn.2026-01.invalid.emulated:b,i,0x800000000001>1
      0xc                 iqn.2026-01.invalid.emulated:c,i,0x800000000001>1
    would send
      emu:q?nexus=a  PR PREEMPT AND ABORT key 0xa victim 0xa type we-ro
    who loses what
      0xa at iqn.2026-01.invalid.emulated:a,i,0x800000000001>1 (this host!) loses its registration, and its queued commands are aborted
      0xa loses its Write Exclusive, Registrants Only reservation
    refused     0xa is this host's own key: preempting it would remove every path of this host that shares it
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    token       TOKEN
    error: PR PREEMPT AND ABORT is refused: 0xa is this host's own key: preempting it would remove every path of this host that shares it
      next: no option overrides this; stop that use first, or name another disk
    [107]
    "#);
}

#[test]
fn a_victim_that_is_not_there_is_not_there() {
    let world = held_by_a();
    assert_snapshot!(world.run("disk pr preempt emu:q?nexus=a --victim 0xd --yes"), @r#"
    error: 0xd is not registered on emu:q?nexus=a
      next: qctl disk show emu:q?nexus=a   (who is registered)
    [105]
    "#);
    assert_snapshot!(world.run("disk pr preempt emu:q?nexus=a --victim node:4 --yes"), @r#"
    error: node:4 has no registration on emu:q?nexus=a
      next: qctl disk show emu:q?nexus=a   (who is registered)
    [105]
    "#);
    assert_snapshot!(world.run("disk pr preempt emu:q?nexus=a --victim nexus:nobody --yes"), @r#"
    error: nexus:nobody has no registration on emu:q?nexus=a
      next: qctl disk show emu:q?nexus=a   (who is registered)
    [105]
    "#);
}

#[test]
fn another_wwid_is_refused() {
    let world = held_by_a();
    assert_snapshot!(world.run("disk pr clear emu:q?nexus=a --yes --wwid naa.5000"), @r#"
    error: emu:q?nexus=a has the WWID naa.WWID, not naa.5000...
      next: `qctl disk list` shows which disk has which WWID
    [107]
    "#);
    let wwid = world.document("disk pr keys emu:q?nexus=a").0["disk"]["wwid"].clone();
    let prefix = &wwid.as_str().unwrap()[..8];
    assert_eq!(
        world.code(&format!(
            "disk pr clear emu:q?nexus=a --yes --wwid {prefix}"
        )),
        0
    );
}

#[test]
fn clear_says_who_loses_what_and_removes_everything() {
    let world = held_by_a();
    let line = "disk pr clear emu:q?nexus=c";
    assert_snapshot!(world.run(&format!("{line} --dry-run")), @r#"
    emu:q?nexus=c  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    generation  3
    reservation Write Exclusive, Registrants Only (we-ro), held by 0xa
    registered  3 nexuses
      0xa                 iqn.2026-01.invalid.emulated:a,i,0x800000000001>1  holder
      0xb                 iqn.2026-01.invalid.emulated:b,i,0x800000000001>1
      0xc                 iqn.2026-01.invalid.emulated:c,i,0x800000000001>1  this host, emu:q?nexus=c
    would send
      emu:q?nexus=c  PR CLEAR key 0xc
    who loses what
      0xa at iqn.2026-01.invalid.emulated:a,i,0x800000000001>1 loses its registration
      0xb at iqn.2026-01.invalid.emulated:b,i,0x800000000001>1 loses its registration
      0xc at iqn.2026-01.invalid.emulated:c,i,0x800000000001>1 (this host) loses its registration
      the reservation is gone: Write Exclusive, Registrants Only (we-ro), held by 0xa; anybody may write
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    token       TOKEN
    [0]
    "#);
    let token = world.token(line);
    assert_snapshot!(world.run(&format!("{line} --yes --if {token}")), @r#"
    emu:q?nexus=c  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    emu:q?nexus=c  PR CLEAR key 0xc: done
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    changed
      - 0xa  iqn.2026-01.invalid.emulated:a,i,0x800000000001>1
      - 0xb  iqn.2026-01.invalid.emulated:b,i,0x800000000001>1
      - 0xc  iqn.2026-01.invalid.emulated:c,i,0x800000000001>1
      reservation Write Exclusive, Registrants Only (we-ro), held by 0xa -> none
      generation 3 -> 4
    generation  4
    reservation none
    registered  nobody
    [0]
    "#);
}

#[test]
fn a_disk_without_replace_lost_says_so() {
    let world = held_by_a();
    let line = "disk pr replace-lost emu:q?nexus=a --new-key 0xd --type we";
    assert_snapshot!(world.run(&format!("{line} --yes")), @r#"
    emu:q?nexus=a  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    emu:q?nexus=a  PR REPLACE LOST RESERVATION new 0xd type we: not done
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    changed     nothing that the disk shows
    generation  3
    reservation Write Exclusive, Registrants Only (we-ro), held by 0xa
    registered  3 nexuses
      0xa                 iqn.2026-01.invalid.emulated:a,i,0x800000000001>1  holder  this host, emu:q?nexus=a
      0xb                 iqn.2026-01.invalid.emulated:b,i,0x800000000001>1
      0xc                 iqn.2026-01.invalid.emulated:c,i,0x800000000001>1
    error: PR REPLACE LOST RESERVATION is not supported by this disk, or by this way to it
      next: qctl disk pr capabilities emu:q?nexus=a   (what it can do)
    [9]
    "#);
}

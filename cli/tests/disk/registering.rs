//! `register`, `unregister`, `move`.

use crate::shown::Shown as _;
use crate::world::World;
use insta::assert_snapshot;
use serde_json::Value;

#[test]
fn register_reads_back_and_says_what_changed() {
    let world = World::new();
    assert_snapshot!(world.run("disk pr register emu:q?nexus=a --key 0xa --aptpl"), @r#"
    emu:q?nexus=a  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    emu:q?nexus=a  PR REGISTER key 0 new 0xa APTPL: done
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    changed
      + 0xa  iqn.2026-01.invalid.emulated:a,i,0x800000000001>1
      generation 0 -> 1
    generation  1
    reservation none
    registered  1 nexus
      0xa                 iqn.2026-01.invalid.emulated:a,i,0x800000000001>1  this host, emu:q?nexus=a
    [0]
    "#);
    assert_snapshot!(world.json("disk pr register emu:q?nexus=b --key 0xb"), @r#"
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
      "verb": "PR REGISTER",
      "outcome": "done",
      "commands": [
        {
          "path": "emu:q?nexus=b",
          "command": "PR REGISTER key 0 new 0xb",
          "performed": true
        }
      ],
      "remarks": [
        "emulated, behaviour standard: what holds here holds between the processes of this host",
        "without --aptpl a power loss of the target removes the registrations"
      ],
      "attentions": [],
      "before": {
        "generation": 1,
        "reservation": null,
        "registrations": [
          {
            "key": "0xa",
            "nexus": "iqn.2026-01.invalid.emulated:a,i,0x800000000001>1",
            "owner": null,
            "holder": false,
            "all_target_ports": false,
            "own": false,
            "path": null
          }
        ]
      },
      "after": {
        "generation": 2,
        "reservation": null,
        "registrations": [
          {
            "key": "0xa",
            "nexus": "iqn.2026-01.invalid.emulated:a,i,0x800000000001>1",
            "owner": null,
            "holder": false,
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
      }
    }
    [0]
    "#);
}

#[test]
fn registering_the_same_key_again_sends_nothing() {
    let world = World::after(&["disk pr register emu:q?nexus=a --key 0xa"]);
    let (document, code) = world.document("disk pr register emu:q?nexus=a --key 0xa");
    assert_eq!(code, 0);
    assert_eq!(document["commands"], serde_json::json!([]));
    assert_eq!(document["audit"], Value::Null);
}

#[test]
fn another_key_wants_replace() {
    let world = World::after(&["disk pr register emu:q?nexus=a --key 0xa"]);
    assert_snapshot!(world.run("disk pr register emu:q?nexus=a --key 0xb"), @r#"
    error: emu:q?nexus=a has 0xa registered already
      next: to give it another key, add --replace
    [24]
    "#);
    assert_snapshot!(world.run("disk pr register emu:q?nexus=a --key 0xb --replace"), @r#"
    emu:q?nexus=a  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    emu:q?nexus=a  PR REGISTER key 0xa new 0xb: done
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    note        without --aptpl a power loss of the target removes the registrations
    changed
      - 0xa  iqn.2026-01.invalid.emulated:a,i,0x800000000001>1
      + 0xb  iqn.2026-01.invalid.emulated:a,i,0x800000000001>1
      generation 1 -> 2
    generation  2
    reservation none
    registered  1 nexus
      0xb                 iqn.2026-01.invalid.emulated:a,i,0x800000000001>1  this host, emu:q?nexus=a
    [0]
    "#);
    assert_snapshot!(world.run("disk pr register emu:q?nexus=a --key 0xc --ignore-existing"), @r#"
    emu:q?nexus=a  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    emu:q?nexus=a  PR REGISTER AND IGNORE EXISTING KEY new 0xc: done
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    note        without --aptpl a power loss of the target removes the registrations
    changed
      - 0xb  iqn.2026-01.invalid.emulated:a,i,0x800000000001>1
      + 0xc  iqn.2026-01.invalid.emulated:a,i,0x800000000001>1
      generation 2 -> 3
    generation  3
    reservation none
    registered  1 nexus
      0xc                 iqn.2026-01.invalid.emulated:a,i,0x800000000001>1  this host, emu:q?nexus=a
    [0]
    "#);
}

#[test]
fn unregister_takes_the_reservation_with_it() {
    let world = World::after(&[
        "disk pr register emu:q?nexus=a --key 0xa",
        "disk pr reserve emu:q?nexus=a --type ea",
    ]);
    assert_snapshot!(world.run("disk pr unregister emu:q?nexus=a"), @r#"
    emu:q?nexus=a  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    emu:q?nexus=a  PR REGISTER key 0xa new 0: done
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    changed
      - 0xa  iqn.2026-01.invalid.emulated:a,i,0x800000000001>1
      reservation Exclusive Access (ea), held by 0xa -> none
      generation 1 -> 2
    generation  2
    reservation none
    registered  nobody
    [0]
    "#);
    assert_snapshot!(world.run("disk pr unregister emu:q?nexus=a"), @r#"
    error: this host is not registered on emu:q?nexus=a
      next: qctl disk pr register emu:q?nexus=a --key 0x...
    [24]
    "#);
}

#[test]
fn a_disk_that_does_not_tell_whose_key_is_whose_wants_the_key() {
    let world = World::after(&["disk pr register emu:q?nexus=a&behaviour=tgt --key 0xa"]);
    assert_snapshot!(world.run("disk pr unregister emu:q?nexus=a"), @r#"
    error: emu:q?nexus=a does not tell which nexus registered which key, so this host's own key is not known
      next: name the key that this host registered with --key
    [1]
    "#);
    assert_snapshot!(world.run("disk pr reserve emu:q?nexus=a --type we --key 0xa"), @r#"
    emu:q?nexus=a  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    emu:q?nexus=a  PR RESERVE key 0xa type we: done
    note        emulated, behaviour tgt: what holds here holds between the processes of this host
    changed
      reservation none -> Write Exclusive (we), held by 0xa
    generation  1
    reservation Write Exclusive (we), held by 0xa
    registered  1 nexus
      0xa                 nexus not told  whose is not told
    [0]
    "#);
    assert_snapshot!(world.run("disk pr unregister emu:q?nexus=a --key 0xa"), @r#"
    emu:q?nexus=a  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    emu:q?nexus=a  PR REGISTER key 0xa new 0: done
    note        emulated, behaviour tgt: what holds here holds between the processes of this host
    changed
      - 0xa  nexus not told
      reservation Write Exclusive (we), held by 0xa -> none
      generation 1 -> 3
    generation  3
    reservation none
    registered  nobody
    [0]
    "#);
}

#[test]
fn an_option_that_the_disk_does_not_have_is_refused_before_anything_is_sent() {
    let world = World::new();
    assert_snapshot!(world.run("disk pr register emu:q?nexus=a&behaviour=tgt --key 0xa --aptpl"), @r#"
    error: emu:q?nexus=a&behaviour=tgt does not support --aptpl (PTPL_C is 0)
      next: qctl disk pr capabilities emu:q?nexus=a&behaviour=tgt   (what it can do)
    [9]
    "#);
    assert_eq!(world.code("disk pr holder emu:q?nexus=a"), 36);
}

#[test]
fn a_target_that_says_good_to_aptpl_and_does_not_keep_it_is_told() {
    let world = World::new();
    let mut command = world.qctl("--json --fault");
    // PTPL_A of REPORT CAPABILITIES reads 0, whatever REGISTER was answered.
    command.args(["opcode 5e/02: clear 3/01", "disk", "pr", "register"]);
    command.args(["emu:q?nexus=a", "--key", "0xa", "--aptpl"]);
    let output = command.output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(112), "{document:#}");
    assert_eq!(document["error"]["outcome"], "unknown");
    assert_eq!(
        document["error"]["message"],
        "the disk answered GOOD, but APTPL is not active (PTPL_A is 0): a power loss of the target opens the disk"
    );
    let next = document["error"]["next"].as_str().unwrap();
    assert!(next.contains("this target does not keep it"), "{next}");
    // Registered it is, and that is in the document.
    assert_eq!(document["commands"][0]["performed"], true, "{document:#}");
    let same = world.code("disk pr register emu:q?nexus=a --key 0xb --replace --aptpl");
    assert_eq!(same, 0, "the same of a target that keeps its word");
}

#[test]
fn the_holder_moves_its_reservation_to_another_nexus() {
    let world = World::after(&[
        "disk pr register emu:q?nexus=a --key 0xa",
        "disk pr reserve emu:q?nexus=a --type we",
    ]);
    let to = "--to iqn.2026-01.invalid.emulated:b,i,0x800000000001 --target-port 1 --new-key 0xb";
    assert_snapshot!(world.run(&format!("disk pr move emu:q?nexus=a {to}")), @r#"
    emu:q?nexus=a  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    generation  1
    reservation Write Exclusive (we), held by 0xa
    registered  1 nexus
      0xa                 iqn.2026-01.invalid.emulated:a,i,0x800000000001>1  holder  this host, emu:q?nexus=a
    would send
      emu:q?nexus=a  PR REGISTER AND MOVE key 0xa new 0xb to iqn.2026-01.invalid.emulated:b,i,0x800000000001>1
    who loses what
      this host (0xa) loses the reservation: Write Exclusive (we), held by 0xa
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    token       TOKEN
    error: PR REGISTER AND MOVE was not sent: it is dangerous, and wants --yes
      next: to do it, repeat the command with: --yes --if TOKEN
    [107]
    "#);
    assert_snapshot!(world.run(&format!("disk pr move emu:q?nexus=a {to} --unregister --yes")), @r#"
    emu:q?nexus=a  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    emu:q?nexus=a  PR REGISTER AND MOVE key 0xa new 0xb to iqn.2026-01.invalid.emulated:b,i,0x800000000001>1 UNREG: done
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    changed
      - 0xa  iqn.2026-01.invalid.emulated:a,i,0x800000000001>1
      + 0xb  iqn.2026-01.invalid.emulated:b,i,0x800000000001>1
      reservation Write Exclusive (we), held by 0xa -> Write Exclusive (we), held by 0xb
      generation 1 -> 2
    generation  2
    reservation Write Exclusive (we), held by 0xb
    registered  1 nexus
      0xb                 iqn.2026-01.invalid.emulated:b,i,0x800000000001>1  holder
    [0]
    "#);
    assert_snapshot!(world.run(&format!("disk pr move emu:q?nexus=a {to} --yes")), @r#"
    error: this host is not registered on emu:q?nexus=a
      next: qctl disk pr register emu:q?nexus=a --key 0x...
    [24]
    "#);
}

#[test]
fn spec_initiator_registers_another_port_too() {
    let world = World::new();
    let other = "iqn.2026-01.invalid.emulated:b,i,0x800000000001";
    let line = format!("disk pr register emu:q?nexus=a --key 0xa --spec-initiator {other}");
    assert_snapshot!(world.run(&line), @r#"
    emu:q?nexus=a  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    emu:q?nexus=a  PR REGISTER key 0 new 0xa SPEC_I_PT iqn.2026-01.invalid.emulated:b,i,0x800000000001: done
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    note        without --aptpl a power loss of the target removes the registrations
    changed
      + 0xa  iqn.2026-01.invalid.emulated:a,i,0x800000000001>1
      + 0xa  iqn.2026-01.invalid.emulated:b,i,0x800000000001>1
      generation 0 -> 1
    generation  1
    reservation none
    registered  2 nexuses
      0xa                 iqn.2026-01.invalid.emulated:a,i,0x800000000001>1  this host, emu:q?nexus=a
      0xa                 iqn.2026-01.invalid.emulated:b,i,0x800000000001>1
    [0]
    "#);
}

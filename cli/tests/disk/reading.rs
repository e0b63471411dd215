//! Verbs that read.

use crate::shown::Shown as _;
use crate::world::World;
use insta::assert_snapshot;

fn two_registrants() -> World {
    World::after(&[
        "disk pr register emu:q?nexus=a --key 0xa --aptpl",
        "disk pr register emu:q?nexus=b --key 0xa700010203000007",
        "disk pr reserve emu:q?nexus=b --type we-ro",
    ])
}

#[test]
fn show_explains_a_fresh_disk() {
    assert_snapshot!(World::new().run("disk show emu:q?nexus=a"), @r#"
    emu:q?nexus=a  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    size        64.0 MiB (131072 blocks of 512 bytes)
    path        emu:q?nexus=a  emulated  iqn.2026-01.invalid.emulated:a,i,0x800000000001>1
    in use      not on this host; other hosts cannot be seen
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    SPC-2       this path is served: no SPC-2 reservation, or its own (the disk does not tell which)
    generation  0
    reservation none
    registered  nobody
    this disk, this way, can
      persistent reservations                 yes
      types                                   we ea we-ro ea-ro we-ar ea-ar
      kept through power loss (APTPL)         yes, but not active: the last REGISTER did not ask for it
      READ FULL STATUS (who, not only keys)   yes
      PREEMPT AND ABORT                       yes
      ALL_TG_PT                               yes
      SPEC_I_PT                               yes
      REPLACE LOST RESERVATION                no
      SPC-2 RESERVE and RELEASE               yes
      compatible handling (CRH)               yes
      unit attentions                         yes
      CLEAR TASK SET                          not told
      reset of the LUN                        not told
      reset of the target                     not told
      reset of bus, host                      not told, not told
    [0]
    "#);
}

#[test]
fn show_explains_who_is_registered_who_holds_and_what_a_preempt_would_do() {
    assert_snapshot!(two_registrants().run("disk show emu:q?nexus=a"), @r#"
    emu:q?nexus=a  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    size        64.0 MiB (131072 blocks of 512 bytes)
    path        emu:q?nexus=a  emulated  iqn.2026-01.invalid.emulated:a,i,0x800000000001>1
    in use      not on this host; other hosts cannot be seen
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    SPC-2       this path is served: no SPC-2 reservation, or its own (the disk does not tell which)
    generation  2
    reservation Write Exclusive, Registrants Only (we-ro), held by 0xa700010203000007
    registered  2 nexuses
      0xa                 iqn.2026-01.invalid.emulated:a,i,0x800000000001>1  this host, emu:q?nexus=a
      0xa700010203000007  iqn.2026-01.invalid.emulated:b,i,0x800000000001>1  holder  node 3 of cluster 000102, serial 7
    PREEMPT AND ABORT of 0xa700010203000007 would
      0xa700010203000007 at iqn.2026-01.invalid.emulated:b,i,0x800000000001>1 loses its registration, and its queued commands are aborted
      0xa700010203000007 loses its Write Exclusive, Registrants Only reservation
    this disk, this way, can
      persistent reservations                 yes
      types                                   we ea we-ro ea-ro we-ar ea-ar
      kept through power loss (APTPL)         yes, but not active: the last REGISTER did not ask for it
      READ FULL STATUS (who, not only keys)   yes
      PREEMPT AND ABORT                       yes
      ALL_TG_PT                               yes
      SPEC_I_PT                               yes
      REPLACE LOST RESERVATION                no
      SPC-2 RESERVE and RELEASE               yes
      compatible handling (CRH)               yes
      unit attentions                         yes
      CLEAR TASK SET                          not told
      reset of the LUN                        not told
      reset of the target                     not told
      reset of bus, host                      not told, not told
    [0]
    "#);
}

#[test]
fn show_tells_whose_log_is_on_the_disk_and_the_times_in_force() {
    let world = World::after(&["log create emu:q?nexus=a --cluster alpha --profile fast"]);
    let page = world.run("disk show emu:q?nexus=b");
    let of_log: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("log ") || line.starts_with("times "))
        .map(|line| {
            line.rsplit_once(" of cluster")
                .map_or(line, |(_id, rest)| rest)
        })
        .collect();
    assert_eq!(
        of_log,
        [
            " \"alpha\"; nobody has claimed it yet",
            "times       profile fast of mode pr: defence every 100 ms, challenge wait 250 ms, self-stop after 245 ms, \
             settle 50 ms",
        ]
    );
    let (document, code) = world.document("disk show emu:q?nexus=b");
    assert_eq!((code, &document["log"]["cluster"]), (0, &"alpha".into()));
    assert_eq!(document["log"]["times"]["profile"], "fast");
    assert_eq!(document["log"]["times"]["defend_interval_ms"], 100.0);
    // The same that `log show` says, which reads all of it.
    let (whole, _) = world.document("log show emu:q?nexus=b");
    assert_eq!(document["log"]["times"], whole["log"]["times"]);
    assert_eq!(document["log"]["id"], whole["log"]["id"]);
}

#[test]
fn show_tells_it_to_programs() {
    assert_snapshot!(two_registrants().json("disk show emu:q?nexus=b"), @r#"
    {
      "schema": "disk-show/1",
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
      "paths": [
        {
          "name": "emu:q?nexus=b",
          "way": "emulated",
          "nexus": "iqn.2026-01.invalid.emulated:b,i,0x800000000001>1"
        }
      ],
      "uses": [],
      "remarks": [
        "emulated, behaviour standard: what holds here holds between the processes of this host"
      ],
      "capabilities": {
        "spc2": true,
        "persistent": true,
        "types": [
          "we",
          "ea",
          "we-ro",
          "ea-ro",
          "we-ar",
          "ea-ar"
        ],
        "aptpl_capable": true,
        "aptpl_active": false,
        "all_target_ports": true,
        "specify_initiator_ports": true,
        "compatible_handling": true,
        "replace_lost": false,
        "full_status": true,
        "preempt_and_abort": true,
        "clear_task_set": null,
        "attentions": true,
        "resets": {
          "lun": null,
          "target": null,
          "bus": null,
          "host": null
        }
      },
      "state": {
        "generation": 2,
        "reservation": {
          "key": "0xa700010203000007",
          "type": "we-ro"
        },
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
            "key": "0xa700010203000007",
            "nexus": "iqn.2026-01.invalid.emulated:b,i,0x800000000001>1",
            "owner": "node 3 of cluster 000102, serial 7",
            "holder": true,
            "all_target_ports": false,
            "own": true,
            "path": "emu:q?nexus=b"
          }
        ],
        "spc2": "admitted"
      },
      "log": null,
      "log_unknown": null,
      "preempts": [
        {
          "victim": "0xa",
          "effects": [
            "0xa at iqn.2026-01.invalid.emulated:a,i,0x800000000001>1 loses its registration, and its queued commands are aborted",
            "the reservation stays: Write Exclusive, Registrants Only (we-ro), held by 0xa700010203000007; nothing is taken over"
          ]
        }
      ],
      "attentions": []
    }
    [0]
    "#);
}

#[test]
fn an_old_unit_has_fewer_verbs_and_show_says_so() {
    let world = World::after(&["disk pr register emu:q?nexus=a&behaviour=tgt --key 0xa"]);
    assert_snapshot!(world.run("disk show emu:q?nexus=a"), @r#"
    emu:q?nexus=a  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    size        64.0 MiB (131072 blocks of 512 bytes)
    path        emu:q?nexus=a  emulated  iqn.2026-01.invalid.emulated:a,i,0x800000000001>1
    in use      not on this host; other hosts cannot be seen
    note        emulated, behaviour tgt: what holds here holds between the processes of this host
    SPC-2       this path is served: no SPC-2 reservation, or its own (the disk does not tell which)
    generation  1
    reservation none
    registered  1 nexus
      0xa                 nexus not told  whose is not told
    PREEMPT of 0xa would
      0xa at nexus not told loses its registration
      nobody holds a reservation: none is taken
    this disk, this way, can
      persistent reservations                 yes
      types                                   we ea we-ro ea-ro we-ar ea-ar
      kept through power loss (APTPL)         no: a power loss of the target opens the disk
      READ FULL STATUS (who, not only keys)   no
      PREEMPT AND ABORT                       no
      ALL_TG_PT                               no
      SPEC_I_PT                               no
      REPLACE LOST RESERVATION                no
      SPC-2 RESERVE and RELEASE               yes
      compatible handling (CRH)               no
      unit attentions                         yes
      CLEAR TASK SET                          not told
      reset of the LUN                        not told
      reset of the target                     not told
      reset of bus, host                      not told, not told
    [0]
    "#);
}

#[test]
fn keys_holder_and_status() {
    let world = two_registrants();
    assert_snapshot!(world.run("disk pr keys emu:q?nexus=a"), @r#"
    generation 2, 2 registrations
      0xa
      0xa700010203000007
    [0]
    "#);
    assert_snapshot!(world.run("disk pr holder emu:q?nexus=a"), @r#"
    Write Exclusive, Registrants Only (we-ro), held by 0xa700010203000007
    [0]
    "#);
    assert_snapshot!(world.run("disk pr status emu:q?nexus=a"), @r#"
    generation  2
    reservation Write Exclusive, Registrants Only (we-ro), held by 0xa700010203000007
    registered  2 nexuses
      0xa                 iqn.2026-01.invalid.emulated:a,i,0x800000000001>1  this host, emu:q?nexus=a
      0xa700010203000007  iqn.2026-01.invalid.emulated:b,i,0x800000000001>1  holder  node 3 of cluster 000102, serial 7
    [0]
    "#);
    assert_snapshot!(world.json("disk pr keys emu:q?nexus=a"), @r#"
    {
      "schema": "disk-pr-keys/1",
      "disk": {
        "name": "emu:q?nexus=a",
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
      "generation": 2,
      "keys": [
        "0xa",
        "0xa700010203000007"
      ],
      "attentions": []
    }
    [0]
    "#);
    assert_snapshot!(world.json("disk pr holder emu:q?nexus=a"), @r#"
    {
      "schema": "disk-pr-holder/1",
      "disk": {
        "name": "emu:q?nexus=a",
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
      "generation": 2,
      "held": true,
      "reservation": {
        "key": "0xa700010203000007",
        "type": "we-ro"
      },
      "attentions": []
    }
    [0]
    "#);
}

#[test]
fn nobody_holds_is_answered_no() {
    let world = World::after(&["disk pr register emu:q?nexus=a --key 0xa"]);
    assert_snapshot!(world.run("disk pr holder emu:q?nexus=a"), @r#"
    none
    [36]
    "#);
}

#[test]
fn attentions_are_told_once() {
    let world = two_registrants();
    assert_eq!(world.code("disk reset --lun emu:q?nexus=a --yes"), 0);
    assert_snapshot!(world.run("disk pr keys emu:q?nexus=b"), @r#"
    attention   29/03 on emu:q?nexus=b: reset: an SPC-2 reservation is gone
    generation 2, 2 registrations
      0xa
      0xa700010203000007
    [0]
    "#);
    assert_snapshot!(world.run("disk pr keys emu:q?nexus=b"), @r#"
    generation 2, 2 registrations
      0xa
      0xa700010203000007
    [0]
    "#);
}

#[test]
fn audit_finds_nothing_wrong_where_nothing_is() {
    assert_snapshot!(two_registrants().run("disk pr audit emu:q?nexus=b"), @r#"
    emu:q?nexus=b  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    generation  2
    reservation Write Exclusive, Registrants Only (we-ro), held by 0xa700010203000007
    registered  2 nexuses
      0xa                 iqn.2026-01.invalid.emulated:a,i,0x800000000001>1
      0xa700010203000007  iqn.2026-01.invalid.emulated:b,i,0x800000000001>1  holder  this host, emu:q?nexus=b  node 3 of cluster 000102, serial 7
    in order    each path of this host has 0xa700010203000007 registered
    [0]
    "#);
}

#[test]
fn audit_finds_a_key_that_two_nodes_share() {
    let world = World::after(&[
        "disk pr register emu:q?nexus=a --key 0xa",
        "disk pr register emu:q?nexus=b --key 0xa",
    ]);
    assert_snapshot!(world.run("disk pr audit emu:q?nexus=a"), @r#"
    emu:q?nexus=a  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    generation  2
    reservation none
    registered  2 nexuses
      0xa                 iqn.2026-01.invalid.emulated:a,i,0x800000000001>1  this host, emu:q?nexus=a
      0xa                 iqn.2026-01.invalid.emulated:b,i,0x800000000001>1
    finding     0xa is registered at iqn.2026-01.invalid.emulated:b,i,0x800000000001>1 too: two nodes share a key
    [36]
    "#);
}

#[test]
fn repair_has_nothing_to_do_where_every_path_is_registered() {
    let world = two_registrants();
    assert_snapshot!(world.run("disk pr repair emu:q?nexus=a --dry-run"), @r#"
    emu:q?nexus=a  QCTL EMULATED DISK  serial EMU-SERIAL  wwid naa.WWID
    generation  2
    reservation Write Exclusive, Registrants Only (we-ro), held by 0xa700010203000007
    registered  2 nexuses
      0xa                 iqn.2026-01.invalid.emulated:a,i,0x800000000001>1  this host, emu:q?nexus=a
      0xa700010203000007  iqn.2026-01.invalid.emulated:b,i,0x800000000001>1  holder  node 3 of cluster 000102, serial 7
    would send
    who loses what
      nobody loses anything
    note        emulated, behaviour standard: what holds here holds between the processes of this host
    note        every path of this host is in order: nothing to send
    token       TOKEN
    [0]
    "#);
    assert_eq!(world.code("disk pr repair emu:q?nexus=a --yes"), 0);
    assert_eq!(world.code("disk pr repair emu:q?nexus=c --yes"), 24);
}

#[test]
fn a_trace_shows_every_command_and_its_answer() {
    let world = two_registrants();
    let output = world.output("--trace disk pr keys emu:q?nexus=a");
    let trace = String::from_utf8(output.stderr).unwrap();
    let cdbs: Vec<&str> = trace
        .lines()
        .filter_map(|line| line.strip_prefix("emu:q?nexus=a: cdb "))
        .filter_map(|line| line.split(" (").next())
        .collect();
    assert_snapshot!(cdbs.join("\n"), @"5e 03 00 00 00 00 00 10 00 00 GOOD");
}

#[test]
fn list_needs_no_disk_and_no_privilege() {
    let (document, code) = World::new().document("disk list");
    assert_eq!(code, 0);
    assert_eq!(document["privileges"].as_array().unwrap().len(), 7);
    assert_eq!(document["privileges"][0]["missing"], serde_json::json!([]));
}

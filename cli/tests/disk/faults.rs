//! Disks that hang, lie, or answer half: what is said, and that unknown is called unknown.

use crate::shown::Shown as _;
use crate::world::World;
use insta::assert_snapshot;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

fn registered() -> World {
    World::after(&["disk pr register emu:q?nexus=a --key 0xa"])
}

/// The line, with JSON, on a disk that meets the faults of this schedule.
fn with_fault(world: &World, schedule: &str, arguments: &str) -> std::process::Output {
    let mut command = world.qctl("--json");
    command.args(["--fault", schedule]);
    command.args(arguments.split_whitespace()).output().unwrap()
}

fn error(output: &std::process::Output) -> Value {
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    crate::schema::hold_to_schema(&document);
    assert_eq!(
        document["error"]["code"],
        output.status.code().unwrap(),
        "{document:#}"
    );
    document["error"].clone()
}

fn text(world: &World, schedule: &str, arguments: &str) -> String {
    format!("{:#}", error(&with_fault(world, schedule, arguments)))
}

#[test]
fn a_disk_that_hangs_is_given_up_at_the_time_limit() {
    let world = registered();
    assert_snapshot!(text(&world, "PR-IN: hang", "disk pr keys emu:q?nexus=a --timeout 1s"), @r#"
    {
      "code": 33,
      "outcome": "none",
      "message": "READ STATE: no answer within the time limit",
      "next": "look at the path (dmesg, `qctl disk list`); --timeout gives it longer"
    }
    "#);
}

#[test]
fn a_change_that_is_not_answered_is_unknown() {
    let world = registered();
    let line = "disk pr reserve emu:q?nexus=a --type we --timeout 1s";
    assert_snapshot!(text(&world, "PR-RESERVE: timeout-with-effect", line), @r#"
    {
      "code": 33,
      "outcome": "unknown",
      "message": "PR RESERVE: no answer within the time limit",
      "next": "qctl disk show emu:q?nexus=a   (what is true now)"
    }
    "#);
    assert_eq!(world.code("disk pr holder emu:q?nexus=a"), 0);
}

#[test]
fn a_connection_that_goes_before_the_answer_leaves_the_change_unknown() {
    let world = registered();
    let line = "disk pr reserve emu:q?nexus=a --type we";
    let output = with_fault(&world, "PR-RESERVE: transport", line);
    assert_eq!(output.status.code(), Some(112));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["outcome"], "unknown");
    // The read-back shows that it did happen; the verb still does not claim it.
    assert_eq!(document["after"]["reservation"]["key"], "0xa");
    assert_snapshot!(format!("{:#}", error(&output)), @r#"
    {
      "code": 112,
      "outcome": "unknown",
      "message": "PR RESERVE: the transport failed: the connection was dropped (injected)",
      "next": "qctl disk show emu:q?nexus=a   (what is true now)"
    }
    "#);
}

#[test]
fn a_good_that_lies_is_found_out_by_reading_back() {
    let world = registered();
    assert_snapshot!(text(&world, "PR-RESERVE: lie", "disk pr reserve emu:q?nexus=a --type we"), @r#"
    {
      "code": 112,
      "outcome": "unknown",
      "message": "the disk answered GOOD, but nobody holds a reservation",
      "next": "qctl disk show emu:q?nexus=a   (what is true now)"
    }
    "#);
    assert_snapshot!(text(&world, "REGISTER: lie", "disk pr unregister emu:q?nexus=a"), @r#"
    {
      "code": 112,
      "outcome": "unknown",
      "message": "the disk answered GOOD, but this host is still registered",
      "next": "qctl disk show emu:q?nexus=a   (what is true now)"
    }
    "#);
}

#[test]
fn a_reply_that_is_cut_short_is_not_believed() {
    let world = registered();
    for length in [0, 1, 7, 8, 15, 24, 40] {
        let schedule = format!("PR-IN: truncate {length}");
        let error = error(&with_fault(
            &world,
            &schedule,
            "disk pr status emu:q?nexus=a",
        ));
        assert_eq!((length, &error["code"]), (length, &Value::from(35)));
    }
    assert_snapshot!(text(&world, "PR-IN: truncate 4", "disk pr status emu:q?nexus=a"), @r#"
    {
      "code": 35,
      "outcome": "none",
      "message": "READ STATE: the disk's reply cannot be believed: READ FULL STATUS: 4 bytes arrived where the format has 8",
      "next": "qctl --trace disk show emu:q?nexus=a   (every command and its answer)"
    }
    "#);
}

#[test]
fn sense_becomes_the_exit_code_of_its_kind() {
    let world = registered();
    let line = "disk pr reserve emu:q?nexus=a --type we";
    for (sense, code) in [
        ("02/04/01", 2),
        ("03/11/00", 3),
        ("04/44/00", 3),
        ("05/20/00", 9),
        ("05/24/00", 5),
        ("06/2a/05", 6),
        ("0b/00/00", 11),
        ("0e/1d/00", 14),
    ] {
        let output = with_fault(&world, &format!("PR-RESERVE: sense {sense}"), line);
        assert_eq!((sense, output.status.code()), (sense, Some(code)));
        assert_eq!(error(&output)["outcome"], "none");
    }
    assert_eq!(world.code("disk pr holder emu:q?nexus=a"), 36);
}

#[test]
fn an_attention_on_a_change_is_said_and_not_retried() {
    let world = registered();
    let line = "disk pr reserve emu:q?nexus=a --type we";
    assert_snapshot!(text(&world, "PR-RESERVE: sense 06/2a/03", line), @r#"
    {
      "code": 6,
      "outcome": "none",
      "message": "PR RESERVE was not performed: a unit attention was pending (2A/03, somebody cleared all reservations and registrations)",
      "next": "the attention is consumed now; look at what changed with `qctl disk show emu:q?nexus=a`, then ask again"
    }
    "#);
}

#[test]
fn show_prints_what_it_can_find_out_of_a_sick_disk() {
    let world = registered();
    let output = with_fault(&world, "on PR-IN: drop", "disk show emu:q?nexus=a");
    assert_eq!(output.status.code(), Some(35));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["schema"], "disk-show/1");
    assert!(document["state"]["unreadable"].is_string(), "{document:#}");
}

#[test]
fn a_schedule_that_is_wrong_is_refused() {
    let world = World::new();
    assert_snapshot!(text(&world, "sometimes: fail", "disk show emu:q?nexus=a"), @r#"
    {
      "code": 1,
      "outcome": "none",
      "message": "--fault: line 1, column 1: `sometimes` is not a command's name; those are any, opcode, READ, WRITE, SYNC, CAW, TUR, INQUIRY, SPC2, RESERVE, RELEASE, PR-IN, PR-OUT, REGISTER, PR-RESERVE, PR-RELEASE, CLEAR, PREEMPT, ABORT, MOVE, RESET",
      "next": "correct the schedule"
    }
    "#);
    assert_snapshot!(text(&world, "any: power-cycle", "disk show emu:q?nexus=a"), @r#"
    {
      "code": 1,
      "outcome": "none",
      "message": "--fault: `on any: power-cycle`: only the emulated unit and the target can do that",
      "next": "correct the schedule"
    }
    "#);
}

/// Starts the line with this schedule, and waits until its change has been sent.
fn sent(world: &World, schedule: &str, arguments: &str, verb: &str) -> std::process::Child {
    let mut command = world.qctl("--json --trace");
    command.args(["--fault", schedule]);
    command.args(arguments.split_whitespace());
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut trace = BufReader::new(child.stderr.take().unwrap()).lines();
    while !trace.next().unwrap().unwrap().contains(verb) {}
    // The rest goes nowhere, and must not block the program.
    std::thread::spawn(move || trace.for_each(drop));
    child
}

fn interrupt(child: &std::process::Child) {
    kill(
        Pid::from_raw(child.id().try_into().unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
}

#[test]
fn an_interrupted_change_finishes_its_read_back() {
    let world = registered();
    let line = "disk pr reserve emu:q?nexus=a --type we";
    let child = sent(&world, "PR-RESERVE: delay 1s", line, "-> PR RESERVE");
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["after"]["reservation"]["key"], "0xa");
}

#[test]
fn a_change_that_is_interrupted_twice_is_unknown() {
    let world = registered();
    let line = "disk pr reserve emu:q?nexus=a --type we --timeout 1h";
    let mut child = sent(&world, "PR-RESERVE: hang", line, "-> PR RESERVE");
    // Signals of one kind that come at once are one signal: repeated until it has ended.
    while child.try_wait().unwrap().is_none() {
        interrupt(&child);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_snapshot!(format!("{:#}", error(&child.wait_with_output().unwrap())), @r#"
    {
      "code": 112,
      "outcome": "unknown",
      "message": "interrupted twice, before the change could be read back",
      "next": "`qctl disk show` tells what is true now"
    }
    "#);
}

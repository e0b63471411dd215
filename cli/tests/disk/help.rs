//! Help, completions, the manual, and what is said to a wrong command line.

use crate::shown::Shown as _;
use crate::world::World;
use insta::assert_snapshot;

#[test]
fn help_says_what_there_is_and_shows_examples() {
    let world = World::new();
    assert_snapshot!(world.run("disk -h"), @r#"
    Inspect a shared disk, reserve it, reset it

    Usage: qctl disk [OPTIONS] <COMMAND>

    Commands:
      list     The disks of this host, and what this process may do with them
      show     Explain a disk: what it is, who is registered, who holds what
      check    Can it be trusted as a quorum disk? Reads only, unless told otherwise
      watch    Stream what changes
      pr       Persistent reservations (SCSI-3, NVMe)
      scsi2    SCSI-2 reservations
      reserve  Short for `scsi2 reserve`
      release  Short for `scsi2 release`
      reset    Reset the logical unit, target, bus or host adapter (dangerous)
      help     Print this message or the help of the given subcommand(s)

    Options:
          --json              Print JSON: one document, or one line for each event
          --trace             Print every command that is sent, its data, status and time, to stderr
          --color <WHEN>      Colours in text [default: auto] [possible values: auto, always, never]
          --initiator <IQN>   The name of this iSCSI initiator, for iscsi://… disks [env:
                              QCTL_INITIATOR=]
          --chap-file <FILE>  The file with CHAP names and secrets, for iscsi://… disks (its format:
                              `qctl target serve --help`) [env: QCTL_CHAP_FILE=]
      -h, --help              Print help (see more with '--help')
      -V, --version           Print version

    A disk is named as its users name it: /dev/sdX, /dev/sgN, /dev/disk/by-id/..., /dev/mapper/NAME,
    /dev/nvmeXnY. emu:FILE?nexus=NAME is an emulated disk, for trying verbs without one.

    Examples:
      qctl disk list                                   what this host has
      qctl disk show emu:/tmp/quorum?nexus=a           who is registered, who holds what
      qctl disk pr register emu:/tmp/quorum?nexus=a --key 0xa
      qctl disk watch /dev/sdb                         what changes
    [0]
    "#);
    assert_snapshot!(world.run("disk pr preempt -h"), @r#"
    Remove another's registrations, and take over its reservation (dangerous)

    Usage: qctl disk pr preempt [OPTIONS] --victim <KEY> <DISK>

    Arguments:
      <DISK>  The disk: /dev/sdX, /dev/sgN, /dev/disk/by-id/..., /dev/mapper/..., /dev/nvmeXnY, or
              emu:FILE?nexus=NAME

    Options:
          --json                Print JSON: one document, or one line for each event
          --timeout <DURATION>  How long one command may take [default: 10s]
          --trace               Print every command that is sent, its data, status and time, to stderr
          --via <WAY>           How commands travel, where the disk leaves a choice [possible values:
                                sg-io, ioc-pr, nvme]
          --color <WHEN>        Colours in text [default: auto] [possible values: auto, always, never]
          --victim <KEY>        Whose registrations go
          --initiator <IQN>     The name of this iSCSI initiator, for iscsi://… disks [env:
                                QCTL_INITIATOR=]
          --no-abort            PREEMPT, not PREEMPT AND ABORT
          --chap-file <FILE>    The file with CHAP names and secrets, for iscsi://… disks (its format:
                                `qctl target serve --help`) [env: QCTL_CHAP_FILE=]
          --type <TYPE>         The type to hold when the victim is the holder; without it, the type in
                                force
          --key <KEY>           This host's key; without it, what the disk tells
      -h, --help                Print help (see more with '--help')
      -V, --version             Print version

    Consent:
          --yes            Do it; without this the plan is printed and nothing is changed
          --if <TOKEN>     Only if the disk is still as the plan with this token saw it
          --wwid <PREFIX>  Only if the disk's WWID begins so; needed with --yes on /dev/sdX and /dev/sgN
                           names
          --dry-run        Print the plan and end with 0; sends reads only

    This host must be registered. Preempting the holder takes its reservation over; preempting
    anybody else removes its registrations and takes nothing. Without --no-abort its queued commands
    are aborted too.

    Examples:
      qctl disk pr preempt DISK --victim 0x1a2b     prints what would happen, and a token
      qctl disk pr preempt DISK --victim 0x1a2b --yes --if TOKEN
      qctl disk pr preempt DISK --victim nexus:iqn.2026-01.example:node2 --no-abort --dry-run
    [0]
    "#);
}

#[test]
fn every_verb_of_disk_has_examples() {
    let world = World::new();
    for verb in [
        "list",
        "show",
        "check",
        "watch",
        "pr",
        "scsi2",
        "reserve",
        "release",
        "reset",
        "pr keys",
        "pr holder",
        "pr status",
        "pr capabilities",
        "pr audit",
        "pr register",
        "pr unregister",
        "pr reserve",
        "pr release",
        "pr clear",
        "pr preempt",
        "pr move",
        "pr replace-lost",
        "pr repair",
        "scsi2 reserve",
        "scsi2 release",
    ] {
        let text = world.run(&format!("disk {verb} --help"));
        assert!(text.contains("Examples:\n  qctl disk "), "{verb}: {text}");
        assert!(text.ends_with("[0]\n"), "{verb}");
    }
}

#[test]
fn usage_errors_end_with_1_and_not_with_clap_s_2() {
    let world = World::new();
    assert_snapshot!(world.run("disk pr register emu:q?nexus=a"), @r#"
    error: the following required arguments were not provided:
      --key <KEY>

    Usage: qctl disk pr register --key <KEY> <DISK>

    For more information, try '--help'.
    [1]
    "#);
    assert_snapshot!(world.json("disk pr register emu:q?nexus=a"), @r#"
    {
      "schema": "error/1",
      "error": {
        "code": 1,
        "outcome": "none",
        "message": "the following required arguments were not provided:\n  --key <KEY>",
        "next": "Usage: qctl disk pr register --key <KEY> <DISK>\n\nFor more information, try '--help'."
      }
    }
    [1]
    "#);
    assert_snapshot!(world.run("disk reset emu:q?nexus=a --lun --bus"), @r#"
    error: the argument '--lun' cannot be used with '--bus'

    Usage: qctl disk reset <--lun|--target|--bus|--host> <DISK>

    For more information, try '--help'.
    [1]
    "#);
}

#[test]
fn completions_and_pages_are_printed() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            world
                .run(&format!("completions {shell}"))
                .contains("preempt"),
            "{shell}"
        );
    }
    let page = world.run("man");
    assert!(page.contains(".SH \"EXIT STATUS\"") || page.contains(".SH EXIT STATUS"));
    assert_eq!(world.code("man pages"), 0);
    let pages = std::fs::read_dir(world.directory().join("pages"))
        .unwrap()
        .count();
    assert!(pages > 20, "{pages}");
    let main = std::fs::read_to_string(world.directory().join("pages/qctl.1")).unwrap();
    assert!(main.contains("sg_persist"));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let world = World::new();
    let mut child = world
        .qctl("schema disk-show")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stderr, b"");
}

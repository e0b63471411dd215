//! `qctl arbitrate`: take the disk, keep it, run a command while it is ours.
//!
//! | module | what it is |
//! |---|---|
//! | [`setup`] | arguments to settings: the disk, the protocol, the node |
//! | [`drain`] | what this host has written to the disk before is written, or given up, before the start |
//! | [`session`] | the main loop: the arbiter's notices, signals, the command |
//! | [`command`] | the command and its keeper, which ends it when it must |
//! | [`mount`] | the file system that the owner mounts (`--mount`) |
//! | [`quorum_log`] | the log that the owner claims and parks in (`--log`) |
//! | [`record`], [`telling`] | events as values |
//! | [`timeline`], [`printer`] | events as lines, on a thread of their own |
//! | [`systemd`] | what a service manager is told |

pub(crate) mod command;
mod drain;
mod ending;
mod mount;
mod printer;
mod quorum_log;
pub(crate) mod record;
mod session;
pub(crate) mod setup;
mod systemd;
mod telling;
pub(crate) mod timeline;

use crate::Context;
use crate::exit::{Exit, Failure};
use setup::{ModeArg, ProfileArg};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// `qctl arbitrate`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  qctl arbitrate /dev/disk/by-id/wwn-0x5000c500a1b2c3d4              take it and keep it; Ctrl-C gives it back
  qctl arbitrate --wait /dev/sdb -- /usr/local/bin/db-server         run a server on whichever node owns the disk
  qctl arbitrate --wait --log disk /dev/sdb -- db-server             the same, with a log on the disk: the next node
                                                                     takes it without a wait
  qctl arbitrate --wait=30s --profile fast emu:/tmp/q?nexus=a -- sleep 60  try it on an emulated disk

CMD finds QCTL_DISK, QCTL_KEY and, with --log, QCTL_EPOCH in its environment and runs in its own process group.
Started from a terminal it has that terminal: ^C reaches CMD and not qctl, and ^Z does not suspend it, for an owner
that stands still is of no use. It and everything it started end with qctl, even when qctl is killed; when the disk
is lost they get TERM, and KILL after the grace, before another node can be the owner. When CMD ends, the disk is
released; with --log it is parked, and a SIGUSR1 makes a node that waits look for that at once (it looks ten
times in a defend interval by itself).

Ends with 0 after a clean stop, 24 if another holds the disk, 106 if it was the owner and lost it, 113 if the
disk belongs to another cluster; with CMD, with CMD's status (128 + n on a signal), unless the disk was lost
(106) or never owned (24). 107 if this host uses the disk (mounted here or in a container, swapped to, held): then
nothing is started. 112 if the file system of --mount could not be unmounted, or lives on in a container: then the
disk is not given back.")]
pub(crate) struct Args {
    /// The disk: /dev/sdX, /dev/sgN, /dev/disk/by-id/..., /dev/mapper/..., /dev/nvmeXnY, or
    /// emu:FILE?nexus=NAME
    disk: String,
    /// The protocol
    #[arg(long, value_enum, default_value = "auto")]
    mode: ModeArg,
    /// The times: classic, default or fast. The same on every node of the cluster
    #[arg(long, default_value = "default")]
    profile: ProfileArg,
    /// In place of a profile: times for which a dead owner's disk has its next owner within this. The same on every node of
    /// the cluster; `qctl sim times --takeover DURATION` prints them
    #[arg(long, value_name = "DURATION", conflicts_with = "profile", value_parser = crate::args::positive_duration)]
    takeover: Option<Duration>,
    /// The cluster's name. Nodes with another name, or other times, are foreign to each other
    #[arg(long, value_name = "NAME", default_value = "qctl")]
    cluster: String,
    /// This node's number in the cluster, 1 to 255 [default: made of this machine's id]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    node: Option<u8>,
    /// Keep contending while another holds the disk, for that long at most
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true,
          value_parser = crate::args::positive_duration)]
    wait: Option<Option<Duration>>,
    /// Take only what nobody holds
    #[arg(long)]
    no_preempt: bool,
    /// PREEMPT instead of PREEMPT AND ABORT, for targets that hang in the latter
    #[arg(long)]
    no_abort: bool,
    /// Go on although the target forgets reservations at a power loss: until the owner has reserved
    /// again, anybody can write
    #[arg(long)]
    accept_no_aptpl: bool,
    /// Remove the registrations of another cluster, and take its disk
    #[arg(long)]
    evict_foreign: bool,
    /// The quorum log: `disk` for one on the disk itself, or a file or block device (`qctl log create` makes one).
    /// The owner claims its next epoch before CMD starts. At a clean stop the disk is not released but parked in the
    /// log: still held, and taken by the next node at once
    #[arg(long, value_name = "WHERE")]
    log: Option<quorum_log::Where>,
    /// Mount this file system while the disk is ours: after the win and before CMD, unmounted after CMD. The log may
    /// be a file in it (then a clean stop releases the disk: nobody could read a mark in it)
    #[arg(long, value_name = "DEVICE:DIR")]
    mount: Option<mount::Mount>,
    /// Between TERM and KILL when CMD is stopped. When the disk is lost, never longer than the times allow
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = crate::args::duration)]
    grace: Duration,
    /// Arm this watchdog while the disk is held: it resets the machine if qctl neither proves ownership
    /// nor stops
    #[arg(long, value_name = "PATH")]
    watchdog: Option<PathBuf>,
    /// Use the watchdog even if it cannot be disarmed again
    #[arg(long, requires = "watchdog")]
    watchdog_nowayout_ok: bool,
    /// Keep the locks and serials in this directory, as a host of its own would: disks emulated here only
    #[arg(long, value_name = "DIR", hide = true)]
    host_files: Option<PathBuf>,
    /// Run this shell command once at ownership, without tying it to it
    #[arg(long, value_name = "CMD", conflicts_with = "command")]
    then: Option<String>,
    /// Run this while the disk is ours
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

impl Args {
    /// Arbitrates until there is nothing more to do.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        // Before there is another thread, and opening a disk may start one: all inherit the mask.
        let signals = session::block_signals()?;
        let setup = setup::setup(&self, context)?;
        session::run(&self, setup, signals, context)
    }
}

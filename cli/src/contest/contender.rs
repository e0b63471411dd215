//! One contender: a `qctl arbitrate` process, and what it tells.

use super::{Heard, Sent};
use crate::arbitrate::command::leash::die_with_parent;
use crate::arbitrate::record::Record;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::SyncSender;

/// The longest line that a contender prints.
const LINE_MAX: u64 = 1 << 20;

/// What a contender is started with.
pub(crate) struct Role<'a> {
    /// The node's number.
    pub(crate) node: u8,
    /// The disk, as this node names it.
    pub(crate) disk: &'a str,
    /// Its iSCSI initiator name.
    pub(crate) initiator: &'a str,
    /// The profile's name.
    pub(crate) profile: &'a str,
    /// `pr`, `scsi2` or `auto`.
    pub(crate) mode: &'a str,
    /// The cluster's name.
    pub(crate) cluster: &'a str,
    /// The files of a host of its own; none: those of this host.
    pub(crate) host_files: Option<&'a Path>,
    /// Options beside these.
    pub(crate) options: &'a [String],
    /// Tell of every command that it sends, too.
    pub(crate) trace: bool,
}

/// A running contender.
pub(crate) struct Contender {
    process: Child,
    life: u32,
}

impl Contender {
    pub(super) fn start(role: &Role<'_>, life: u32, heard: &SyncSender<Heard>) -> io::Result<Self> {
        let node = role.node;
        let mut command = Command::new("/proc/self/exe");
        command.arg("--json");
        if role.trace {
            command.arg("--trace");
        }
        command
            .args(["arbitrate", "--wait"])
            .arg(format!("--cluster={}", role.cluster))
            .arg(format!("--node={node}"))
            .arg(format!("--profile={}", role.profile))
            .arg(format!("--mode={}", role.mode))
            .args(role.options)
            .arg(role.disk)
            .env("QCTL_INITIATOR", role.initiator)
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if let Some(directory) = role.host_files {
            command.arg("--host-files").arg(directory);
        }
        command.stderr(if role.trace {
            Stdio::piped()
        } else {
            Stdio::null()
        });
        die_with_parent(&mut command);
        let mut process = command.spawn()?;
        if let Some(stderr) = process.stderr.take() {
            let heard = heard.clone();
            std::thread::spawn(move || hear_commands(node, stderr, &heard));
        }
        let stdout = process.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let heard = heard.clone();
        std::thread::spawn(move || {
            hear_events(stdout, &heard);
            let _contest_is_over = heard.send(Heard::Silent(life));
        });
        Ok(Self { process, life })
    }

    /// Which of the contest's processes it is.
    pub(crate) const fn life(&self) -> u32 {
        self.life
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        // It may have ended by itself.
        let _gone = kill(Pid::from_raw(self.process.id().cast_signed()), signal);
    }

    /// Waits for its end: the exit code; none when a signal ended it.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.process.wait().ok()?.code()
    }
}

/// Whatever happens, no process of the contest is left.
impl Drop for Contender {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _ended = self.process.wait();
    }
}

fn hear_events(stdout: impl Read, heard: &SyncSender<Heard>) {
    each_line(stdout, |line| {
        // An error document is not an event; the exit code says the same.
        match serde_json::from_str::<Record>(line) {
            Ok(record) => heard.send(Heard::Event(Box::new(record))).is_ok(),
            Err(_) => true,
        }
    });
}

/// The lines of `--trace`.
fn hear_commands(node: u8, stderr: impl Read, heard: &SyncSender<Heard>) {
    each_line(stderr, |line| {
        // "NAME: cdb 00 ..."; what it carries is indented, and below.
        let sent = match line.contains(": cdb 00 ") {
            true => Sent::TestUnitReady,
            false => Sent::Other,
        };
        line.starts_with(' ') || heard.send(Heard::Sent(node, sent)).is_ok()
    });
}

fn each_line(stream: impl Read, mut with: impl FnMut(&str) -> bool) {
    let mut lines = BufReader::new(stream);
    loop {
        let mut line = String::new();
        match lines.by_ref().take(LINE_MAX).read_line(&mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if !with(&line) => return,
            Ok(_) => {}
        }
    }
}

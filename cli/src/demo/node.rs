//! One contender of the demo: a `qctl arbitrate` process, what it tells, and its nexus.

use crate::arbitrate::command::leash::die_with_parent;
use crate::arbitrate::record::Record;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use scsi::device::{Data, Device};
use scsi::emulated::{self, EmulatedDevice};
use scsi::logical_unit::BLOCK_BYTES;
use scsi::wire::cdb::{Access, BlockRange, Command as Scsi};
use scsi::wire::status::Status;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

/// The bound on one command of the demo's own.
const BOUND: Duration = Duration::from_secs(5);

/// A unit attention may precede each of the demo's own commands; no nexus has more waiting.
const ATTENTIONS_MAX: usize = 8;

/// The longest line that a node prints.
const LINE_MAX: u64 = 1 << 20;

/// What is heard of a node.
pub(super) enum Heard {
    /// An event.
    Event(Box<Record>),
    /// It prints nothing more: it has ended.
    Silent(u8),
    /// The operator wants to stop.
    Interrupted,
}

/// A node.
pub(super) struct Node {
    process: Child,
    device: EmulatedDevice,
}

impl Node {
    /// Starts the node's arbiter over the disk in `directory`. Its events go to `heard`.
    pub(super) fn start(
        number: u8,
        directory: &Path,
        profile: &str,
        heard: SyncSender<Heard>,
    ) -> io::Result<Self> {
        let disk = disk(directory, number);
        let mut command = Command::new("/proc/self/exe");
        command
            .args(["--json", "arbitrate", "--wait", "--cluster=demo"])
            .arg(format!("--node={number}"))
            .arg(format!("--profile={profile}"))
            // Each node is a host of its own, with files of its own.
            .arg("--host-files")
            .arg(directory.join(format!("host{number}")))
            .arg(&disk)
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        die_with_parent(&mut command);
        let mut process = command.spawn()?;
        let stdout = process.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        std::thread::spawn(move || listen(number, stdout, &heard));
        let device = emulated::open(&disk, BOUND).map_err(io::Error::other)?;
        Ok(Self { process, device })
    }

    /// Sends a signal.
    pub(super) fn signal(&self, signal: Signal) {
        if let Ok(pid) = i32::try_from(self.process.id()) {
            // It may have ended by itself.
            let _gone = kill(Pid::from_raw(pid), signal);
        }
    }

    /// Waits for its end: the exit code; none when a signal ended it.
    pub(super) fn wait(&mut self) -> Option<i32> {
        self.process.wait().ok()?.code()
    }

    /// Writes the first block through this node's nexus, as its host would.
    pub(super) fn write(&mut self, text: &str) -> io::Result<Status> {
        let mut block = [0; BLOCK_BYTES as usize];
        let length = text.len().min(block.len());
        block[..length].copy_from_slice(&text.as_bytes()[..length]);
        let command = Scsi::Write {
            range: BlockRange::new(0, 1),
            access: Access::FUA,
        };
        self.execute(command, |device, cdb| {
            device.execute(cdb, Data::Out(&block), BOUND)
        })
    }

    /// Reads the text in the first block through this node's nexus.
    pub(super) fn read(&mut self) -> io::Result<String> {
        let mut block = [0; BLOCK_BYTES as usize];
        let command = Scsi::Read {
            range: BlockRange::new(0, 1),
            access: Access::FUA,
        };
        let status = self.execute(command, |device, cdb| {
            device.execute(cdb, Data::In(&mut block), BOUND)
        })?;
        if status != Status::GOOD {
            return Err(io::Error::other(format!("READ ended with {status}")));
        }
        let text = block.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn execute(
        &mut self,
        command: Scsi,
        mut send: impl FnMut(
            &mut EmulatedDevice,
            &scsi::wire::cdb::Cdb,
        ) -> Result<scsi::device::Completion, scsi::device::DeviceError>,
    ) -> io::Result<Status> {
        let cdb = command.cdb();
        for _ in 0..ATTENTIONS_MAX {
            let completion = send(&mut self.device, &cdb).map_err(io::Error::other)?;
            let attention = completion.sense.is_some_and(|sense| sense.key == 0x6);
            if !attention {
                return Ok(completion.status);
            }
        }
        Err(io::Error::other("unit attentions without end"))
    }
}

/// Whatever happens, no process of the demo is left.
impl Drop for Node {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _ended = self.process.wait();
    }
}

/// The emulated disk as this node sees it.
pub(super) fn disk(directory: &Path, number: u8) -> String {
    format!(
        "emu:{}?nexus=node{number}",
        directory.join("disk").display()
    )
}

fn listen(number: u8, stdout: ChildStdout, heard: &SyncSender<Heard>) {
    let mut lines = BufReader::new(stdout);
    loop {
        let mut line = String::new();
        match lines.by_ref().take(LINE_MAX).read_line(&mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        // An error document is not an event; the exit code says the same.
        let Ok(record) = serde_json::from_str::<Record>(&line) else {
            continue;
        };
        if heard.send(Heard::Event(Box::new(record))).is_err() {
            return;
        }
    }
    let _play_is_over = heard.send(Heard::Silent(number));
}

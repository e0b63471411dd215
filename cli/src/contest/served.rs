//! The emulated target of a contest: a `qctl target serve` process on a free port of the loopback.

use crate::arbitrate::command::leash::die_with_parent;
use crate::exit::{Exit, Failure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use qlog::storage::FileStorage;
use qlog::{Cluster, Format, Storage};
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What is said wherever figures of such a disk stand.
pub(crate) const REMARK: &str = "the emulated disk is served with its files in memory and, where this host lets it, at real-time priority: \
     no load on this host slows a real disk down";

/// The one line that it prints.
const LINE_MAX: u64 = 1 << 16;

/// The disk.
const FILE: &str = "disk";
const DISK_BYTES: u64 = 8 << 20;

/// A target that is served.
pub(crate) struct Served {
    process: Child,
    url: String,
}

impl Served {
    /// Serves a new disk in `folder`.
    pub(crate) fn start(folder: &Path) -> Result<Self, Failure> {
        let cannot = |why: String| {
            Failure::new(
                Exit::CannotOpen,
                format!("the emulated target could not be started: {why}"),
                "qctl target serve --file FILE --size 8MiB --listen 127.0.0.1:0   (says more)",
            )
        };
        Self::spawn(folder).map_err(|error| cannot(error.to_string()))
    }

    /// Serves a new disk in `folder` with a quorum log of this cluster on it.
    pub(crate) fn with_log(folder: &Path, cluster: &str) -> Result<Self, Failure> {
        create_log(&folder.join(FILE), cluster).map_err(|why| {
            Failure::new(
                Exit::CannotOpen,
                format!("a log could not be made in {}: {why}", folder.display()),
                "see that TMPDIR is writable and has 8 MiB to spare",
            )
        })?;
        Self::start(folder)
    }

    fn spawn(folder: &Path) -> io::Result<Self> {
        let mut command = Command::new("/proc/self/exe");
        command
            .args(["--json", "target", "serve", "--urgent"])
            .arg(format!("--size={}MiB", DISK_BYTES >> 20))
            .arg("--listen=127.0.0.1:0")
            .arg(format!("--file={}", folder.join(FILE).display()))
            .env_remove("QCTL_CHAP_FILE")
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        die_with_parent(&mut command);
        let mut process = command.spawn()?;
        let stdout = process.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut line = String::new();
        BufReader::new(stdout).take(LINE_MAX).read_line(&mut line)?;
        let document: Value = serde_json::from_str(&line).unwrap_or_default();
        let mut served = Self {
            process,
            url: String::new(),
        };
        match document["url"].as_str() {
            Some(url) => url.clone_into(&mut served.url),
            None => return Err(io::Error::other("it does not listen")),
        }
        Ok(served)
    }

    /// What initiators name it.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

fn create_log(file: &Path, cluster: &str) -> Result<(), Box<dyn std::error::Error>> {
    let storage = FileStorage::create(file, DISK_BYTES)?;
    let format = Format::for_region(DISK_BYTES, storage.block_bytes())?;
    let cluster = Cluster {
        name: cluster.to_owned(),
        times: Vec::new(),
    };
    qlog::create(&storage, format, cluster, &mut |_done| {})?;
    Ok(())
}

/// It ends with the contest.
impl Drop for Served {
    fn drop(&mut self) {
        let _gone = kill(
            Pid::from_raw(self.process.id().cast_signed()),
            Signal::SIGTERM,
        );
        let _ended = self.process.wait();
    }
}

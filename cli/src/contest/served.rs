//! The emulated target of a contest: a `qctl target serve` process on a free port of the loopback.

use crate::arbitrate::command::leash::die_with_parent;
use crate::exit::{Exit, Failure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The one line that it prints.
const LINE_MAX: u64 = 1 << 16;

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

    fn spawn(folder: &Path) -> io::Result<Self> {
        let mut command = Command::new("/proc/self/exe");
        command
            .args(["--json", "target", "serve", "--size=8MiB"])
            .arg("--listen=127.0.0.1:0")
            .arg(format!("--file={}", folder.join("disk").display()))
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

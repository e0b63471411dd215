//! An owner of a log as a process, and what it said.

use qlog::storage::FileStorage;
use qlog::{Cluster, Format};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const REGION: u64 = 4 << 20;
/// A loaded machine needs seconds for what is milliseconds elsewhere.
const PATIENCE: Duration = Duration::from_secs(60);

/// A log and everything that its owners have said.
pub(crate) struct Story {
    pub(crate) log: PathBuf,
    said: PathBuf,
}

/// A running owner.
pub(crate) struct Running {
    child: Child,
}

impl Story {
    /// A new log; what is said of it is kept elsewhere.
    pub(crate) fn new(log: PathBuf, elsewhere: &Path) -> Self {
        let storage = FileStorage::create(&log, REGION).unwrap();
        let format = Format::for_region(REGION, 4096).unwrap();
        qlog::create(&storage, format, Cluster::default(), &mut |_| {}).unwrap();
        Self {
            log,
            said: elsewhere.join("said"),
        }
    }

    /// An owner that says what it has acknowledged.
    pub(crate) fn owner(&self) -> Running {
        let said: File = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.said)
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_lab-log"))
            .arg("write")
            .arg(&self.log)
            .stdin(Stdio::null())
            .stdout(said)
            .spawn()
            .unwrap();
        Running { child }
    }

    /// Says something in an owner's name.
    pub(crate) fn claim_that(&self, line: &str) {
        let text = self.text() + line;
        std::fs::write(&self.said, text).unwrap();
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap_or_default()
    }

    /// How many records were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.text()
            .lines()
            .filter(|line| line.starts_with("A "))
            .count()
    }

    /// Waits for so many more.
    pub(crate) fn more(&self, count: usize) {
        let wanted = self.acknowledged() + count;
        let deadline = Instant::now() + PATIENCE;
        while self.acknowledged() < wanted {
            assert!(
                Instant::now() < deadline,
                "the owner does not get on: {}",
                self.tail()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The last lines.
    pub(crate) fn tail(&self) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(4)..].join("\n")
    }

    /// Panics unless everything that was acknowledged is there; what the check says.
    pub(crate) fn check(&self) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_lab-log"))
            .arg("check")
            .args([&self.log, &self.said])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}");
        said
    }
}

impl Running {
    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its own end.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the owner hangs");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

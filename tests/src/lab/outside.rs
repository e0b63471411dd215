//! Programs of ours outside of the guest, on the host: another node of the cluster when the guest as a whole stands still.
//!
//! Invariants: nothing outlives the case; every wait has a bound.

use crate::leash::leash;
use ::tests::protocol::{Ended, at_path};
use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(20);

/// A program that runs on the host.
pub(crate) struct Outside {
    process: Child,
    began: Instant,
    lines: Receiver<String>,
    /// All that was read of it.
    printed: String,
}

impl Outside {
    /// Starts it; `qctl` stands for our program.
    pub(crate) fn start(qctl: &Path, argv: &[String]) -> Result<Self> {
        let (program, words) = argv.split_first().context("a program")?;
        let program = if program == "qctl" {
            qctl
        } else {
            Path::new(program)
        };
        let mut command = Command::new(program);
        command
            .args(words)
            .env("QCTL_INITIATOR", "iqn.2026-01.lab:outside")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        leash(&mut command);
        let mut process = command
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let stdout = process.stdout.take().context("it was asked for")?;
        let (lines_in, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if lines_in.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            process,
            began: Instant::now(),
            lines,
            printed: String::new(),
        })
    }

    /// Reads on until a line of JSON with these fields.
    pub(crate) fn event(&mut self, fields: &[(String, String)], bound: Duration) -> Result<String> {
        let deadline = Instant::now() + bound;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.keep(&line);
                    if is_event(&line, fields) {
                        return Ok(line);
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    bail!("no such event; it printed:\n{}", self.printed)
                }
            }
        }
    }

    /// All that it has printed so far.
    pub(crate) fn printed(&mut self) -> &str {
        while let Ok(line) = self.lines.try_recv() {
            self.keep(&line);
        }
        &self.printed
    }

    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        let signal: Signal = format!("SIG{name}").parse()?;
        Ok(kill(
            Pid::from_raw(self.process.id().cast_signed()),
            signal,
        )?)
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self, bound: Duration) -> Result<Ended> {
        let deadline = Instant::now() + bound;
        loop {
            if let Some(status) = self.process.try_wait()? {
                let signalled = status.signal().map(|signal| 128 + signal);
                return Ok(Ended {
                    status: status.code().or(signalled),
                    stuck: false,
                    stdout: self.printed().to_owned(),
                    stderr: String::new(),
                    micros: u64::try_from(self.began.elapsed().as_micros())?,
                });
            }
            if Instant::now() >= deadline {
                bail!("it is still running; it printed:\n{}", self.printed());
            }
            sleep(POLL);
        }
    }

    fn keep(&mut self, line: &str) {
        self.printed.push_str(line);
        self.printed.push('\n');
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _ended = self.process.wait();
    }
}

fn is_event(line: &str, fields: &[(String, String)]) -> bool {
    let Ok(document) = serde_json::from_str::<Value>(line) else {
        return false;
    };
    fields
        .iter()
        .all(|(path, value)| at_path(&document, path).is_some_and(|found| found == *value))
}

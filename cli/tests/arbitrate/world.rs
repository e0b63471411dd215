//! A disk, the files of the hosts around it, and `qctl arbitrate` as a process whose events a test reads.

use crate::lateness::witness;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::cell::Cell;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Nothing that these tests wait for takes a tenth of it on an idle host.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A disk and the files of the hosts around it.
pub(crate) struct World(pub(crate) PathBuf);

impl World {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("qctl-arbitrate-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn disk(&self, node: u8) -> String {
        format!("emu:{}?nexus=n{node}", self.file("disk").display())
    }

    /// `qctl --json arbitrate OPTIONS DISK` on this node.
    pub(crate) fn qctl(&self, node: u8, options: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qctl"));
        command
            .args(["--json", "arbitrate", &format!("--node={node}")])
            .args(options)
            .arg("--host-files")
            .arg(&self.0)
            .arg(self.disk(node))
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn start(&self, node: u8, options: &[&str], command: &[&str]) -> Running {
        let mut qctl = self.qctl(node, options);
        if !command.is_empty() {
            qctl.arg("--").args(command);
        }
        Running::of(qctl)
    }

    /// Who is registered, as `qctl disk pr keys` of a stranger sees it.
    pub(crate) fn registrations(&self) -> usize {
        let name = format!("emu:{}?nexus=stranger", self.file("disk").display());
        let unit = scsi::emulated::look(&name, PATIENCE).unwrap();
        unit.persistent_state().registrations.len()
    }

    /// A number that a process has written there.
    pub(crate) fn number_in(&self, name: &str) -> i32 {
        let file = self.file(name);
        until("a process to say who it is", || {
            std::fs::read_to_string(&file).ok()?.trim().parse().ok()
        })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}

/// A `qctl` that runs, and what it has printed.
pub(crate) struct Running {
    pub(crate) process: Child,
    pub(crate) lines: Receiver<String>,
    pub(crate) seen: Vec<Value>,
    /// The test itself stopped or killed it: it is no witness of how punctual the machine is.
    struck: Cell<bool>,
}

impl Running {
    pub(crate) fn of(mut command: Command) -> Self {
        let mut process = command.spawn().unwrap();
        let stdout = process.stdout.take().unwrap();
        let (lines_in, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if lines_in.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            process,
            lines,
            seen: Vec::new(),
            struck: Cell::new(false),
        }
    }

    /// What a line says; none for what the command prints between the events.
    pub(crate) fn event(&self, line: &str) -> Option<Value> {
        let value: Value = serde_json::from_str(line).ok()?;
        if !self.struck.get() {
            witness(&value);
        }
        Some(value)
    }

    /// Reads on until this event.
    pub(crate) fn until(&mut self, event: &str) -> Value {
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("no {event} in {:#?}", self.seen);
            };
            let Some(value) = self.event(&line) else {
                continue;
            };
            self.seen.push(value.clone());
            if value["event"] == event {
                return value;
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if matches!(signal, Signal::SIGSTOP | Signal::SIGKILL) {
            self.struck.set(true);
        }
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).unwrap();
    }

    /// Its exit code, and everything that it has printed.
    pub(crate) fn end(&mut self) -> (Option<i32>, String) {
        let status = until("qctl to end", || self.process.try_wait().unwrap());
        let rest: Vec<String> = self.lines.iter().collect();
        for line in &rest {
            self.event(line);
        }
        (status.code(), rest.join("\n"))
    }
}

/// What is written before a dead process's pipe counts as empty: something of its command may still have it.
const REST: Duration = Duration::from_millis(200);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _ended = self.process.wait();
        if std::thread::panicking() {
            while let Ok(line) = self.lines.recv_timeout(REST) {
                self.event(&line);
            }
        }
    }
}

/// Looks until there is something to see.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "waited for {what} in vain");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Gone, or a zombie that nobody has waited for yet.
pub(crate) fn until_dead(pid: i32) {
    until("a process to die", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").map(|(_, rest)| rest.as_bytes()[0]);
        matches!(state, None | Some(b'Z' | b'X')).then_some(())
    });
}

pub(crate) fn is_alive(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

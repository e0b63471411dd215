//! A `qctl` that runs, whose events a test reads one by one.

use crate::lateness::witness;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::cell::Cell;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Nothing that these tests wait for takes a tenth of it on an idle host.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What is written before a dead process's pipe counts as empty: something of its command may still have it.
const REST: Duration = Duration::from_millis(200);

/// A process, and what it has printed.
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

    /// What a line says; none for what its command prints between the events.
    pub(crate) fn saw(&mut self, line: &str) -> Option<Value> {
        let value: Value = serde_json::from_str(line).ok()?;
        if !self.struck.get() {
            witness(&value);
        }
        self.seen.push(value.clone());
        Some(value)
    }

    /// Reads on until this event.
    pub(crate) fn until(&mut self, event: &str) -> Value {
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("no {event} in {:#?}", self.seen);
            };
            if let Some(value) = self.saw(&line)
                && value["event"] == event
            {
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

    /// Its exit code, and what it has printed since the last event that was read.
    pub(crate) fn end(&mut self) -> (Option<i32>, String) {
        let status = until("qctl to end", || self.process.try_wait().unwrap());
        let rest: Vec<String> = self.lines.iter().collect();
        for line in &rest {
            self.saw(line);
        }
        (status.code(), rest.join("\n"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _ended = self.process.wait();
        if std::thread::panicking() {
            while let Ok(line) = self.lines.recv_timeout(REST) {
                self.saw(&line);
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

//! A contest for one disk on one host: each contender is a real `qctl arbitrate` process with a nexus and
//! files of its own. `qctl demo` plays one, `qctl bench` measures them.
//!
//! ```text
//!   demo, bench ──start, signals──► contenders ──JSON lines──► one inbox
//!        │                              │
//!        └──────── a nexus ─────────► target (served here, or any disk)
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | [`contender`] | one process, and what it tells |
//! | [`served`] | the emulated target, as a process |
//! | [`nexus`] | plain reads and writes through a contender's nexus, or through a stranger's |
//! | [`phases`] | where the time of a takeover went |
//! | [`folder`] | files that are gone in the end |
//!
//! Invariants: no process and no file of a contest outlives it, also when its starter is killed (parent-death
//! signal); every queue is bounded.

pub(crate) mod contender;
pub(crate) mod folder;
pub(crate) mod nexus;
pub(crate) mod phases;
pub(crate) mod served;

use crate::arbitrate::record::Record;
use contender::{Contender, Role};
use nix::sys::signal::{SigSet, Signal};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// What waits to be heard.
const HEARD_MAX: usize = 4096;

/// What is heard in a contest.
pub(crate) enum Heard {
    /// A contender's event.
    Event(Box<Record>),
    /// A contender has sent something to the disk (it runs with `--trace`).
    Sent(u8, Sent),
    /// It prints nothing more: this life of a node has ended.
    Silent(u32),
    /// The operator wants to stop.
    Interrupted,
}

/// What was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sent {
    /// TEST UNIT READY: SCSI-2 polls with it.
    TestUnitReady,
    /// Any other command, or a reset.
    Other,
}

/// The inbox of all contenders.
pub(crate) struct Contest {
    heard: Receiver<Heard>,
    heard_in: SyncSender<Heard>,
    lives: u32,
}

impl Contest {
    /// From now on Ctrl-C is heard, and ends nothing by itself. Comes before any other thread.
    pub(crate) fn new() -> Self {
        let (heard_in, heard) = sync_channel(HEARD_MAX);
        catch_interrupts(heard_in.clone());
        Self {
            heard,
            heard_in,
            lives: 0,
        }
    }

    /// Starts a contender.
    pub(crate) fn start(&mut self, role: &Role<'_>) -> io::Result<Contender> {
        self.lives += 1;
        Contender::start(role, self.lives, &self.heard_in)
    }

    /// The next thing that is heard; none when that time has passed.
    pub(crate) fn hear(&self, patience: Duration) -> Option<Heard> {
        match self.heard.recv_timeout(patience) {
            Ok(heard) => Some(heard),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => unreachable!("a sender is kept here"),
        }
    }
}

fn catch_interrupts(heard: SyncSender<Heard>) {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    if signals.thread_block().is_ok() {
        std::thread::spawn(move || {
            while signals.wait().is_ok() {
                let _contest_is_over = heard.send(Heard::Interrupted);
            }
        });
    }
}

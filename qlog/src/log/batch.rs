//! Those who sleep until one frame is durable.
//!
//! They are woken without the log's lock: else each of them would wait for it next, one after the other. Who is woken
//! helps to wake the others, since waking costs more than anything else that a commit does beside its write.
//!
//! Invariant: [`Sleepers::settle`] alone wakes everybody; help only makes it faster.

use crate::error::Poisoned;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::Duration;

/// The sleepers of the open batch.
#[derive(Default)]
pub(super) struct Sleepers {
    threads: Vec<Thread>,
    /// What they sleep on; there is one when there is a sleeper.
    batch: Option<Arc<Batch>>,
}

impl Sleepers {
    /// This thread will sleep.
    pub(super) fn join(&mut self) -> Arc<Batch> {
        self.threads.push(thread::current());
        Arc::clone(self.batch.get_or_insert_default())
    }

    /// The first who came.
    pub(super) fn first(&self) -> Option<Thread> {
        self.threads.first().cloned()
    }

    /// Tells them how their frame ended, and wakes them.
    pub(super) fn settle(self, result: &Result<(), Poisoned>) {
        if let Some(batch) = self.batch {
            batch.settle(result.clone(), self.threads);
        }
    }
}

/// What the sleepers of one frame share.
#[derive(Default)]
pub(super) struct Batch {
    outcome: OnceLock<Outcome>,
    /// The sleeper who is woken next.
    next: AtomicUsize,
}

struct Outcome {
    result: Result<(), Poisoned>,
    sleepers: Vec<Thread>,
}

impl Batch {
    /// Sleeps until the frame is durable or the handle has ended: how. Nothing when there is another reason to look
    /// at the log again: the time is over, somebody asks for it, or none.
    pub(super) fn sleep(&self, patience: Option<Duration>) -> Option<Result<(), Poisoned>> {
        match patience {
            None => thread::park(),
            Some(patience) => thread::park_timeout(patience),
        }
        let outcome = self.outcome.get()?;
        self.wake(outcome);
        Some(outcome.result.clone())
    }

    /// Tells these sleepers how it ended. The first time counts.
    fn settle(&self, result: Result<(), Poisoned>, sleepers: Vec<Thread>) {
        let outcome = self.outcome.get_or_init(|| Outcome { result, sleepers });
        self.wake(outcome);
    }

    fn wake(&self, outcome: &Outcome) {
        // Which thread wakes whom does not matter, and what they shall see is in `outcome`.
        let next = || {
            outcome
                .sleepers
                .get(self.next.fetch_add(1, Ordering::Relaxed))
        };
        while let Some(sleeper) = next() {
            sleeper.unpark();
        }
    }
}

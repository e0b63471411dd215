//! A thread that does nothing but wake up at a fixed rate, and notes how late it was: how punctual this host
//! was while something was measured.

use super::series::Series;
use crate::clock;
use quorum::arbiter::make_thread_urgent;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two wake-ups.
const PERIOD: Duration = Duration::from_millis(5);

/// An hour of wake-ups; later ones are only in the maximum of their run.
const SAMPLES_MAX: usize = 720_000;

/// The witness.
pub(crate) struct Witness {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// The worst lateness since it was last asked, in microseconds.
    worst_us: AtomicU64,
    lateness_us: Mutex<Vec<u32>>,
    over: AtomicBool,
}

impl Witness {
    /// It begins.
    pub(crate) fn start() -> Self {
        Self::begin(false)
    }

    /// As a defender's threads are: at real-time priority where this host lets it.
    pub(crate) fn as_a_defender() -> Self {
        Self::begin(true)
    }

    fn begin(urgent: bool) -> Self {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            if urgent {
                let _or_as_late_as_a_defender_is_then = make_thread_urgent();
            }
            watch(&theirs);
        });
        Self {
            shared,
            thread: Some(thread),
        }
    }

    /// The worst lateness since this was last asked.
    pub(crate) fn worst(&self) -> Duration {
        Duration::from_micros(self.shared.worst_us.swap(0, Ordering::Relaxed))
    }

    /// All that it noted, as a series.
    pub(super) fn series(&self) -> Series {
        let noted = self.shared.lateness_us.lock();
        let noted = noted.unwrap_or_else(PoisonError::into_inner);
        let mut series = Series::new("lateness of this host's timers", "us");
        for lateness in noted.iter() {
            series.push(f64::from(*lateness), false);
        }
        series
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

fn watch(shared: &Shared) {
    let mut due = clock::since_boot() + PERIOD;
    while !shared.over.load(Ordering::Relaxed) {
        std::thread::sleep(due.saturating_sub(clock::since_boot()));
        let at = clock::since_boot();
        let late = at.saturating_sub(due).as_micros();
        let late = u32::try_from(late).unwrap_or(u32::MAX);
        shared.worst_us.fetch_max(late.into(), Ordering::Relaxed);
        let mut noted = shared
            .lateness_us
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if noted.len() < SAMPLES_MAX {
            noted.push(late);
        }
        drop(noted);
        due = (due + PERIOD).max(at);
    }
}

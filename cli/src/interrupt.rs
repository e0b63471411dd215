//! What SIGINT and SIGTERM do to a verb that changes a disk.
//!
//! * Before a change is sent they end the program as they always do.
//! * While a change is under way the first one is noted and the verb finishes its read-back; the second
//!   ends the program at once with 112, outcome unknown.
//! * A stream or a hold ends at the first one, in order.
//!
//! The signals are blocked in every thread and taken by one thread of their own, so nothing here runs in
//! a signal handler. [`Interrupts::catch`] must therefore come before any other thread.

use crate::exit::{Exit, Failure, Outcome};
use crate::output;
use nix::sys::signal::{SigSet, Signal};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// Signals end the program.
const IDLE: u8 = 0;
/// The first signal is noted.
const ARMED: u8 = 1;
/// It has come.
const NOTED: u8 = 2;

/// How often a wait looks for a signal.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// The signals of this program from now on.
pub(crate) struct Interrupts {
    state: Arc<AtomicU8>,
}

impl Interrupts {
    /// Takes SIGINT and SIGTERM from now on. Comes before any other thread of the program.
    pub(crate) fn catch(json: bool) -> Self {
        let state = Arc::new(AtomicU8::new(IDLE));
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGINT);
        signals.add(Signal::SIGTERM);
        if signals.thread_block().is_ok() {
            let seen = Arc::clone(&state);
            std::thread::spawn(move || take(&signals, &seen, json));
        }
        Self { state }
    }

    /// From now on the first signal is only noted.
    pub(crate) fn arm(&self) {
        self.state.store(ARMED, Ordering::SeqCst);
    }

    /// Has a signal come since [`Self::arm`]?
    pub(crate) fn came(&self) -> bool {
        self.state.load(Ordering::SeqCst) == NOTED
    }

    /// Waits that long, or until a signal comes.
    pub(crate) fn wait(&self, span: Duration) {
        let end = crate::clock::since_boot() + span;
        while !self.came() {
            let left = end.saturating_sub(crate::clock::since_boot());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(LOOK_INTERVAL));
        }
    }
}

fn take(signals: &SigSet, state: &AtomicU8, json: bool) {
    loop {
        let Ok(signal) = signals.wait() else { return };
        let noted = state.compare_exchange(ARMED, NOTED, Ordering::SeqCst, Ordering::SeqCst);
        match noted {
            Ok(_) => {}
            Err(IDLE) => std::process::exit(128 + signal as i32),
            Err(_) => {
                let failure = Failure::new(
                    Exit::Unknown,
                    "interrupted twice, before the change could be read back",
                    "`qctl disk show` tells what is true now",
                )
                .outcome(Outcome::Unknown);
                output::last_words(json, &failure);
                std::process::exit(i32::from(Exit::Unknown.code()));
            }
        }
    }
}

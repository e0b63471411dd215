//! What an arbiter tells: the machine's events and the driver's own, in one bounded queue.
//!
//! Invariants:
//! * telling never blocks the arbiter: when nobody listens, the oldest notices go and are counted;
//! * the last notice of all is [`Event::Stopped`] of the machine, and it is never lost.

use super::clock::now;
use super::serials::SerialNotice;
use super::stall::Stall;
use quorum_core::Instant;
use quorum_core::arbitration::{Event, PathId};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// About half an hour of defence rounds of the default profile: far more than any listener is late.
const KEPT_MAX: usize = 4096;

/// Something that happened, and when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// On CLOCK_BOOTTIME.
    pub at: Instant,
    /// What.
    pub what: Happening,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Happening {
    /// The machine says so.
    Arbitration(Event),
    /// Where the key serials come from, when that is out of the ordinary.
    Serials(SerialNotice),
    /// The host refused something that makes the defender punctual; it goes on without.
    Unprivileged {
        /// What was refused: "locked memory", "real-time priority".
        what: &'static str,
        /// Why, and the privilege or limit that would allow it.
        why: String,
    },
    /// The disk took longer for an answer than the times allow for: they are too fast for it.
    Slow {
        /// Over which path.
        path: PathId,
        /// How long it took.
        took: Duration,
        /// The times' round trip, and the lateness of this host that they allow for.
        allowed: Duration,
    },
    /// A path has not come back within its bound: its thread is given up until it does.
    PathHung {
        /// Which.
        path: PathId,
        /// The verb it hangs in.
        verb: &'static str,
    },
    /// The path came back.
    PathBack {
        /// Which.
        path: PathId,
        /// How long after its bound.
        late_by: Duration,
    },
    /// This host stood still, or its clock was set: an owner proves again before the next write.
    Stalled(Stall),
    /// The self-stop timer fenced the owner, without waiting for the machine.
    SelfStopTimer {
        /// How late the timer itself was.
        late_by: Duration,
    },
    /// The watchdog is armed.
    WatchdogArmed {
        /// Its device.
        path: PathBuf,
        /// The timeout that was read back.
        timeout: Duration,
        /// It cannot be disarmed again (nowayout).
        no_way_out: bool,
    },
    /// The watchdog could not be used; the disk is given back.
    WatchdogFailed {
        /// Its device.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The watchdog is disarmed.
    WatchdogDisarmed,
    /// Nobody listened: so many notices are lost.
    Missed(u64),
}

/// The listener's end. Clones share one queue: each notice goes to one of them.
#[derive(Clone, Debug)]
pub struct Notices(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    kept: VecDeque<Notice>,
    missed: u64,
    closed: bool,
}

impl Notices {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    /// The next notice; blocks until there is one. `None` when the arbiter has ended and all is told.
    #[must_use]
    pub fn next(&self) -> Option<Notice> {
        let mut queue = self.lock();
        loop {
            if queue.missed > 0 {
                let missed = std::mem::take(&mut queue.missed);
                return Some(Notice {
                    at: now(),
                    what: Happening::Missed(missed),
                });
            }
            if let Some(notice) = queue.kept.pop_front() {
                return Some(notice);
            }
            if queue.closed {
                return None;
            }
            let waited = self.0.grown.wait(queue);
            queue = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn tell(&self, what: Happening) {
        let mut queue = self.lock();
        if queue.kept.len() == KEPT_MAX {
            queue.kept.pop_front();
            queue.missed += 1;
        }
        queue.kept.push_back(Notice { at: now(), what });
        self.0.grown.notify_all();
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.0.grown.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Happening, KEPT_MAX, Notices};

    #[test]
    fn the_oldest_notices_go_first_and_are_counted() {
        let notices = Notices::new();
        for _ in 0..KEPT_MAX + 3 {
            notices.tell(Happening::WatchdogDisarmed);
        }
        notices.close();
        let told: Vec<Happening> = std::iter::from_fn(|| notices.next())
            .map(|n| n.what)
            .collect();
        assert_eq!(told.len(), KEPT_MAX + 1);
        assert_eq!(told[0], Happening::Missed(3));
    }
}

//! Who commits together: how long a batch stays open for those who were in the last one. Pure.
//!
//! ```text
//! flushed ─► all of the batch are woken ─► they append again, one by one ─► the last one to come leads
//!                                              the first one waits for them, but not for long
//! ```
//!
//! Threads that commit in a loop would else fall apart into those who came before a write and those who came while it
//! was under way, and each half would pay for a flush of its own. Waiting pays as long as gathering takes less than a
//! write. Nobody spins: who waits sleeps, and whoever completes the crowd leads at once.
//!
//! Invariant: while somebody waits for the crowd and nothing is in flight, one of them wakes by the clock and leads.

use crate::ids::Lsn;
use std::time::Duration;

/// The longest wait, and its part of a write.
const PATIENCE_MAX: Duration = Duration::from_micros(500);
const PATIENCE_PART: u32 = 2;

/// After a wait in vain, so many batches are written as they are.
const BATCHES_WITHOUT: u32 = 8;

/// Committers, and what is known of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Crowd {
    /// Those with a record in the open batch who are in `commit`.
    present: u32,
    /// Those of the batch in flight.
    in_flight: u32,
    /// As many may come again.
    expected: u32,
    /// Whose clock runs: the record of the first one who waits.
    waker: Option<Lsn>,
    /// Batches that are still written as they are.
    without: u32,
    last_write: Duration,
}

/// What a committer does when nothing is in flight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Everybody is here, or nobody is waited for.
    Lead,
    /// Sleeps until something is durable; another one's clock runs.
    Sleep,
    /// Sleeps, but leads after this time.
    SleepAtMost(Duration),
}

impl Crowd {
    /// One more is in `commit`.
    pub(super) fn arrive(&mut self) {
        self.present += 1;
    }

    /// What the committer of this record does now.
    pub(super) fn step(&mut self, lsn: Lsn) -> Step {
        let patience = (self.last_write / PATIENCE_PART).min(PATIENCE_MAX);
        if self.present >= self.expected || self.without > 0 || patience.is_zero() {
            return Step::Lead;
        }
        if self.waker.is_some_and(|waker| waker != lsn) {
            return Step::Sleep;
        }
        self.waker = Some(lsn);
        Step::SleepAtMost(patience)
    }

    /// The time of this record's committer is over. Does it lead?
    pub(super) fn give_up(&mut self, lsn: Lsn) -> bool {
        let is_due = self.waker == Some(lsn);
        if is_due {
            self.without = BATCHES_WITHOUT;
        }
        is_due
    }

    /// The open batch is sealed.
    pub(super) fn seal(&mut self) {
        self.in_flight = std::mem::take(&mut self.present);
        self.waker = None;
        self.without = self.without.saturating_sub(1);
    }

    /// The batch in flight is durable, after this time. Those who came meanwhile will be joined by those who leave.
    pub(super) fn flushed(&mut self, took: Duration) {
        self.expected = self.in_flight + self.present;
        self.last_write = took;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITE: Duration = Duration::from_micros(100);

    /// A crowd that has just been written.
    fn after(committers: u32, meanwhile: u32) -> Crowd {
        let mut crowd = Crowd::default();
        (0..committers).for_each(|_| crowd.arrive());
        crowd.seal();
        (0..meanwhile).for_each(|_| crowd.arrive());
        crowd.flushed(WRITE);
        crowd
    }

    #[test]
    fn one_committer_never_waits() {
        let mut crowd = Crowd::default();
        for lsn in 1..10 {
            crowd.arrive();
            assert_eq!(crowd.step(Lsn(lsn)), Step::Lead);
            crowd.seal();
            crowd.flushed(WRITE);
        }
    }

    #[test]
    fn the_first_waits_by_the_clock_the_others_sleep_and_the_last_leads() {
        let mut crowd = after(3, 0);
        crowd.arrive();
        assert_eq!(crowd.step(Lsn(10)), Step::SleepAtMost(WRITE / 2));
        crowd.arrive();
        assert_eq!(crowd.step(Lsn(11)), Step::Sleep);
        crowd.arrive();
        assert_eq!(crowd.step(Lsn(12)), Step::Lead);
    }

    #[test]
    fn those_who_came_during_a_write_wait_for_those_who_were_in_it() {
        let mut crowd = after(2, 2);
        assert_eq!(crowd.step(Lsn(10)), Step::SleepAtMost(WRITE / 2));
        crowd.arrive();
        assert_eq!(crowd.step(Lsn(12)), Step::Sleep);
        crowd.arrive();
        assert_eq!(crowd.step(Lsn(13)), Step::Lead);
    }

    #[test]
    fn the_clock_of_a_batch_that_was_sealed_leads_nothing() {
        let mut crowd = after(2, 0);
        crowd.arrive();
        assert_eq!(crowd.step(Lsn(10)), Step::SleepAtMost(WRITE / 2));
        crowd.arrive();
        assert_eq!(crowd.step(Lsn(11)), Step::Lead);
        crowd.seal();
        assert!(!crowd.give_up(Lsn(10)));
        crowd.flushed(WRITE);
        crowd.arrive();
        // Nobody's clock runs now: the next one's must.
        assert_eq!(crowd.step(Lsn(12)), Step::SleepAtMost(WRITE / 2));
    }

    #[test]
    fn a_wait_in_vain_is_not_repeated_at_once() {
        let mut crowd = after(2, 0);
        crowd.arrive();
        assert_eq!(crowd.step(Lsn(10)), Step::SleepAtMost(WRITE / 2));
        assert!(crowd.give_up(Lsn(10)));
        assert_eq!(crowd.step(Lsn(10)), Step::Lead);
        crowd.seal();
        crowd.arrive();
        crowd.flushed(WRITE);
        assert_eq!(crowd.step(Lsn(11)), Step::Lead);
    }

    #[test]
    fn a_slow_disk_does_not_make_anybody_wait_for_long() {
        let mut crowd = after(2, 0);
        crowd.flushed(Duration::from_secs(5));
        crowd.arrive();
        assert_eq!(crowd.step(Lsn(10)), Step::SleepAtMost(PATIENCE_MAX));
    }
}

//! What an owner shows before it writes: an [`Ownership`], good until the point to which it is proved.
//!
//! ```text
//!   Held ──► Owner          proved_until moves on with every clean round
//!     └───────┴──► Fenced   by the self-stop timer, by the machine, or simply by the clock: for good
//! ```
//!
//! Invariants:
//! * `check` compares with the clock itself, so it fails in time even if every thread of the arbiter hangs;
//! * `proved_until` never moves back, and never moves again once it is fenced;
//! * while the disk is taken again after a power loss `check` fails, although the proof may still last;
//! * after the host stood still `check_before_write` waits until ownership was proved again;
//! * a term's ownership that was fenced is never valid again: the next term is another value.

use super::clock::now;
use quorum_core::Instant;
use scsi::reservation::Key;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How far the owner may go.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Stage {
    /// The disk refuses everybody else: what only the disk has to fence (its log) may be read.
    Held,
    /// Whatever the disk cannot fence may start.
    Owner,
}

/// The disk is not ours any more, or that is not proved any more. Write nothing, acknowledge nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("fenced: {} (it was until {proved_until})", if *.retaking { "ownership is not proved while the disk is taken again after a power loss" } else { "ownership is not proved any more" })]
pub struct Fenced {
    /// The point up to which it had been proved.
    pub proved_until: Instant,
    /// Not for good: the disk lost its reservation in a power loss, and is being taken again.
    pub retaking: bool,
}

/// One term of ownership: cheap to clone, cheap to check.
#[derive(Clone, Debug)]
pub struct Ownership {
    term: u64,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug)]
struct State {
    key: Option<Key>,
    stage: Stage,
    proved_until: Instant,
    fenced: Option<FencedBy>,
    retaking: bool,
    /// The host stood still, and nothing has been proved since.
    stalled: bool,
    /// When the arbiter last looked at its clocks.
    looked_at: Instant,
    /// It does so at least this often, if the host does not stand still.
    look_within: Duration,
}

impl State {
    fn is_fenced(&self, at: Instant) -> bool {
        self.fenced.is_some() || at >= self.proved_until
    }

    fn why(&self, at: Instant) -> Fenced {
        Fenced {
            proved_until: self.proved_until,
            retaking: !self.is_fenced(at),
        }
    }
}

/// Who fenced it for good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum FencedBy {
    /// The arbiter at a loss, or the service, which gives the disk back.
    Word,
    /// Nobody proved it in time.
    Age,
}

/// What became of a further proof.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Extension {
    /// Ownership is proved up to the new point.
    Extended,
    /// Ownership had been given up: nobody needs the proof.
    GivenUp,
    /// The proof came too late, and is void.
    TooLate,
}

impl Ownership {
    pub(super) fn new(term: u64, key: Option<Key>, proved_until: Instant) -> Self {
        let state = State {
            key,
            stage: Stage::Held,
            proved_until,
            fenced: None,
            retaking: false,
            stalled: false,
            looked_at: now(),
            look_within: Duration::MAX,
        };
        let shared = Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
        };
        Self {
            term,
            shared: Arc::new(shared),
        }
    }

    /// May the bearer still act as the owner? Ask after the preparation and before every act.
    ///
    /// # Errors
    /// [`Fenced`], and from then on always, unless it says `retaking`: then until the disk is taken again.
    pub fn check(&self) -> Result<(), Fenced> {
        let (state, at) = (self.lock(), now());
        if state.retaking || state.is_fenced(at) {
            return Err(state.why(at));
        }
        Ok(())
    }

    /// As [`Self::check`], for who is about to write: after the host stood still it blocks until ownership was proved
    /// again, at most until the proof runs out. Without a stall it does not block.
    ///
    /// # Errors
    /// [`Fenced`].
    pub fn check_before_write(&self) -> Result<(), Fenced> {
        let mut state = self.lock();
        loop {
            let at = now();
            if state.retaking || state.is_fenced(at) {
                return Err(state.why(at));
            }
            // The arbiter may not have run yet since the host goes on: it has not looked when it should have.
            let unseen = at.saturating_since(state.looked_at) > state.look_within;
            if !state.stalled && !unseen {
                return Ok(());
            }
            let left = state.proved_until.saturating_since(at);
            let waited = self
                .shared
                .changed
                .wait_timeout(state, left.max(Duration::from_millis(1)));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The key that holds the disk; none in SCSI-2 mode. It changes when the disk lost power and was
    /// taken again.
    #[must_use]
    pub fn key(&self) -> Option<Key> {
        self.lock().key
    }

    /// Counts the terms of this arbiter, from one. It is no epoch: only a log can give that.
    #[must_use]
    pub const fn term(&self) -> u64 {
        self.term
    }

    /// How far the owner may go.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.lock().stage
    }

    /// The point on CLOCK_BOOTTIME (see [`super::now`]) up to which ownership is proved.
    #[must_use]
    pub fn proved_until(&self) -> Instant {
        self.lock().proved_until
    }

    /// Blocks until ownership is proved beyond `seen`; the new point, or [`Fenced`].
    ///
    /// For whoever has to hand the proof on, such as to the keeper of a command.
    ///
    /// # Errors
    /// [`Fenced`] when no further proof will come.
    pub fn wait_for_proof_beyond(&self, seen: Instant) -> Result<Instant, Fenced> {
        let mut state = self.lock();
        loop {
            let at = now();
            if state.is_fenced(at) {
                return Err(state.why(at));
            }
            if state.proved_until > seen {
                return Ok(state.proved_until);
            }
            // At least a millisecond, so that a wake-up a little early does not spin.
            let left = state.proved_until.saturating_since(at);
            let waited = self
                .shared
                .changed
                .wait_timeout(state, left.max(Duration::from_millis(1)));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ownership is proved up to here, unless it is fenced already: that stays so.
    pub(super) fn extend(&self, until: Instant) -> Extension {
        let mut state = self.lock();
        if state.fenced == Some(FencedBy::Word) {
            return Extension::GivenUp;
        }
        if state.is_fenced(now()) {
            state.fenced = Some(FencedBy::Age);
            return Extension::TooLate;
        }
        state.proved_until = state.proved_until.max(until);
        self.shared.changed.notify_all();
        Extension::Extended
    }

    /// The arbiter looks at its clocks at least this often.
    pub(super) fn looked_at_every(self, span: Duration) -> Self {
        self.lock().look_within = span;
        self
    }

    /// The arbiter has looked at its clocks, and found that the host stood still, or did not.
    pub(super) fn looked(&self, at: Instant, stalled: bool) {
        let mut state = self.lock();
        let unseen = at.saturating_since(state.looked_at) > state.look_within;
        state.looked_at = at;
        state.stalled |= stalled;
        if unseen {
            self.shared.changed.notify_all();
        }
    }

    /// Ownership was proved by what was sent after the last stall.
    pub(super) fn proved_again(&self) {
        let mut state = self.lock();
        if std::mem::take(&mut state.stalled) {
            self.shared.changed.notify_all();
        }
    }

    pub(super) fn set_key(&self, key: Key) {
        self.lock().key = Some(key);
    }

    /// The disk is being taken again, or is so no more.
    pub(super) fn set_retaking(&self, retaking: bool) {
        let before = std::mem::replace(&mut self.lock().retaking, retaking);
        if before != retaking {
            // Who waits for a proof before it writes may stand in the way of what takes the disk again.
            self.shared.changed.notify_all();
        }
    }

    pub(super) fn set_owner(&self) {
        self.lock().stage = Stage::Owner;
    }

    /// Fences for good, whatever the clock says.
    pub(super) fn revoke(&self) {
        let mut state = self.lock();
        if state.fenced.is_none() {
            state.fenced = Some(FencedBy::Word);
            self.shared.changed.notify_all();
        }
    }

    /// Fences for good if the proof has run out: the self-stop timer's act. True when this call did it.
    pub(super) fn expire(&self, at: Instant) -> bool {
        let mut state = self.lock();
        if state.fenced.is_some() || !state.is_fenced(at) {
            return false;
        }
        state.fenced = Some(FencedBy::Age);
        self.shared.changed.notify_all();
        true
    }

    /// When the proof runs out; none when it is fenced for good.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let state = self.lock();
        state.fenced.is_none().then_some(state.proved_until)
    }

    /// No code panics while it holds this lock; should one do so all the same, the state is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Extension, Fenced, Ownership, Stage};
    use crate::arbiter::now;
    use quorum_core::Instant;
    use scsi::reservation::Key;
    use std::sync::mpsc::{Receiver, TryRecvError, channel};
    use std::time::Duration;

    const FAR: Duration = Duration::from_secs(3600);

    #[test]
    fn is_good_while_the_proof_lasts_and_moves_on_with_it() {
        let far = now() + FAR;
        let ownership = Ownership::new(1, Key::new(7), far);
        assert_eq!(ownership.check(), Ok(()));
        assert_eq!(ownership.stage(), Stage::Held);
        assert_eq!(ownership.extend(far + FAR), Extension::Extended);
        assert_eq!(ownership.extend(far), Extension::Extended, "and not back");
        assert_eq!(ownership.proved_until(), far + FAR);
        assert_eq!(ownership.wait_for_proof_beyond(far), Ok(far + FAR));
    }

    /// Asks on a thread of its own; what comes of it.
    fn about_to_write(ownership: &Ownership) -> Receiver<Result<(), Fenced>> {
        let (answer_in, answer) = channel();
        let ownership = ownership.clone();
        std::thread::spawn(move || answer_in.send(ownership.check_before_write()));
        answer
    }

    #[test]
    fn after_a_stall_a_write_waits_for_a_further_proof() {
        let ownership = Ownership::new(1, None, now() + FAR);
        assert_eq!(ownership.check_before_write(), Ok(()));
        ownership.looked(now(), true);
        let answer = about_to_write(&ownership);
        // A look that finds nothing more is no proof.
        ownership.looked(now(), false);
        assert_eq!(answer.try_recv(), Err(TryRecvError::Empty));
        ownership.proved_again();
        assert_eq!(answer.recv(), Ok(Ok(())));
    }

    #[test]
    fn before_the_arbiter_has_looked_at_its_clocks_a_write_waits_for_that() {
        let ownership = Ownership::new(1, None, now() + FAR).looked_at_every(Duration::ZERO);
        ownership.looked(Instant::ZERO, false);
        let answer = about_to_write(&ownership);
        assert_eq!(answer.try_recv(), Err(TryRecvError::Empty));
        ownership.looked(now() + FAR, false);
        assert_eq!(answer.recv(), Ok(Ok(())));
    }

    #[test]
    fn a_write_waits_no_longer_than_the_proof_lasts() {
        let ownership = Ownership::new(1, None, now() + Duration::from_millis(20));
        ownership.looked(now(), true);
        let answer = about_to_write(&ownership).recv().unwrap();
        assert!(answer.is_err(), "{answer:?}");
    }

    #[test]
    fn the_clock_alone_fences_it() {
        let ownership = Ownership::new(1, None, now());
        assert!(ownership.check().is_err());
        assert_eq!(ownership.extend(now() + FAR), Extension::TooLate);
        assert!(ownership.check().is_err());
    }

    #[test]
    fn revoked_is_revoked_for_every_clone_and_wakes_who_waits() {
        let far = now() + FAR;
        let ownership = Ownership::new(1, None, far);
        let bearer = ownership.clone();
        let waiting = std::thread::spawn(move || bearer.wait_for_proof_beyond(far));
        ownership.revoke();
        assert!(waiting.join().unwrap().is_err());
        assert_eq!(ownership.extend(far + FAR), Extension::GivenUp);
    }

    #[test]
    fn the_timer_expires_only_what_has_run_out() {
        let ownership = Ownership::new(1, None, now() + FAR);
        assert!(!ownership.expire(now()));
        assert!(ownership.check().is_ok());
        assert!(ownership.expire(now() + FAR + FAR));
        assert!(!ownership.expire(now() + FAR + FAR), "it happens once");
        assert!(ownership.check().is_err());
    }

    #[test]
    fn while_the_disk_is_taken_again_nobody_acts_and_afterwards_it_goes_on() {
        let far = now() + FAR;
        let ownership = Ownership::new(1, None, far);
        ownership.set_retaking(true);
        assert!(ownership.check().unwrap_err().retaking);
        assert_eq!(ownership.extend(far + FAR), Extension::Extended);
        assert!(ownership.check().is_err(), "a proof does not end it");
        ownership.set_retaking(false);
        assert_eq!(ownership.check(), Ok(()));
        ownership.set_retaking(true);
        ownership.revoke();
        assert!(!ownership.check().unwrap_err().retaking, "for good");
    }

    #[test]
    fn a_clock_zero_proof_is_no_proof() {
        assert!(Ownership::new(1, None, Instant::ZERO).check().is_err());
    }
}

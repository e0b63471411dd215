//! The self-stop timer: fences the owner when its proof has run out, whatever else hangs.
//!
//! Its thread touches no disk, no file and no machine; it waits for one point on CLOCK_BOOTTIME, which the
//! defender moves on with every clean round.

use super::alarm::Alarm;
use super::clock::now;
use super::notice::{Happening, Notices};
use super::ownership::Ownership;
use super::realtime::{STACK_BYTES, make_thread_urgent};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// The present term, as the defender, the timer and the service share it.
#[derive(Debug)]
pub(super) struct Tenure {
    slot: Mutex<Slot>,
    alarm: Alarm,
}

#[derive(Debug, Default)]
struct Slot {
    present: Option<Ownership>,
    ended: bool,
}

impl Tenure {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            slot: Mutex::default(),
            alarm: Alarm::new()?,
        })
    }

    /// The present term, or the last one, which is fenced.
    pub(super) fn present(&self) -> Option<Ownership> {
        self.lock().present.clone()
    }

    /// A new term begins.
    pub(super) fn begin(&self, ownership: Ownership) {
        self.lock().present = Some(ownership);
        self.alarm.ring();
    }

    /// The proof has moved on, or is void.
    pub(super) fn changed(&self) {
        self.alarm.ring();
    }

    /// The arbiter ends: fences what is left, and ends the timer.
    pub(super) fn end(&self) {
        let mut slot = self.lock();
        slot.ended = true;
        if let Some(ownership) = &slot.present {
            ownership.revoke();
        }
        drop(slot);
        self.alarm.ring();
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the timer; it ends with the tenure. `defender` is woken when it has fenced.
///
/// # Errors
/// When the OS has no thread to give.
pub(super) fn start(
    tenure: Arc<Tenure>,
    notices: Notices,
    defender: Arc<Alarm>,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(String::from("self-stop"))
        .stack_size(STACK_BYTES)
        .spawn(move || {
            // The driver's own refusal says it for all threads.
            let _said_by_the_driver = make_thread_urgent();
            guard(&tenure, &notices, &defender);
        })
}

fn guard(tenure: &Tenure, notices: &Notices, defender: &Alarm) {
    loop {
        let (present, ended) = {
            let slot = tenure.lock();
            (slot.present.clone(), slot.ended)
        };
        if ended {
            return;
        }
        let deadline = present.as_ref().and_then(Ownership::deadline);
        tenure.alarm.wait(deadline);
        let at = now();
        if let (Some(present), Some(deadline)) = (present, deadline)
            && present.expire(at)
        {
            let late_by = at.saturating_since(deadline);
            notices.tell(Happening::SelfStopTimer { late_by });
            defender.ring();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Tenure, start};
    use crate::arbiter::alarm::Alarm;
    use crate::arbiter::notice::{Happening, Notices};
    use crate::arbiter::now;
    use crate::arbiter::ownership::Ownership;
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn fences_a_term_whose_defender_says_nothing_more() {
        let tenure = Arc::new(Tenure::new().unwrap());
        let notices = Notices::new();
        let defender = Arc::new(Alarm::new().unwrap());
        let timer = start(Arc::clone(&tenure), notices.clone(), Arc::clone(&defender)).unwrap();
        let ownership = Ownership::new(1, None, now() + Duration::from_millis(20));
        tenure.begin(ownership.clone());
        let told = notices.next().unwrap().what;
        assert!(matches!(told, Happening::SelfStopTimer { .. }), "{told:?}");
        assert!(ownership.check().is_err());
        defender.wait(None);
        tenure.end();
        timer.join().unwrap();
    }

    #[test]
    fn the_end_of_the_arbiter_fences_what_is_left() {
        let tenure = Arc::new(Tenure::new().unwrap());
        let notices = Notices::new();
        let defender = Arc::new(Alarm::new().unwrap());
        let timer = start(Arc::clone(&tenure), notices, defender).unwrap();
        let ownership = Ownership::new(1, None, now() + Duration::from_secs(3600));
        tenure.begin(ownership.clone());
        tenure.end();
        assert!(ownership.check().is_err());
        timer.join().unwrap();
    }
}

//! What a service manager is told (sd_notify): ready at ownership, a status line, a watchdog that the
//! defender's rounds feed, and more time while stopping.
//!
//! Without a service manager every call does nothing; one that does not listen is no reason to stop.

use sd_notify::NotifyState;
use std::time::Duration;

/// The service manager, if there is one.
pub(super) struct ServiceManager {
    watchdog: bool,
}

impl ServiceManager {
    /// The one that started us.
    pub(super) fn of_environment() -> Self {
        Self {
            watchdog: sd_notify::watchdog_enabled().is_some(),
        }
    }

    /// The disk is ours, and whatever it cannot fence may start.
    pub(super) fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// What `systemctl status` shows.
    pub(super) fn status(&self, words: &str) {
        tell(&[NotifyState::Status(words)]);
    }

    /// A round was clean.
    pub(super) fn defended(&self) {
        if self.watchdog {
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// It stops, which may take that long.
    pub(super) fn stopping(&self, at_most: Duration) {
        let micros = u32::try_from(at_most.as_micros()).unwrap_or(u32::MAX);
        tell(&[
            NotifyState::Stopping,
            NotifyState::ExtendTimeoutUsec(micros),
        ]);
    }
}

fn tell(state: &[NotifyState<'_>]) {
    let _not_heard = sd_notify::notify(state);
}

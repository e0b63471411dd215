//! The thread that touches the watchdog. Opening, petting and closing a device are calls into its driver, and
//! some drivers wait for hardware; the defender must not.
//!
//! ```text
//!   driver ─Arm─►                    ─► opened, set, petted: Armed, or why not   waited for within a bound
//!          ─Pet { proved until }─►   ─► petted, if it then still fires in time   never waited for
//!          ─Disarm─►                 ─► 'V'                                      waited for within a bound
//! ```
//!
//! Invariants:
//! * whether a pet is in time is judged when it is done, not when it was asked for;
//! * one that is armed too late, when nobody waits any more, is disarmed at once;
//! * when the last handle goes without a word it stays armed: that is what a crash does, on purpose.

use super::clock::now;
use super::notice::{Happening, Notices};
use super::realtime::{STACK_BYTES, make_thread_urgent};
use super::watchdog::{Watchdog, WatchdogError, WatchdogOptions};
use quorum_core::Instant;
use quorum_core::times::Times;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// More than are ever asked of a device that answers.
const ORDERS_MAX: usize = 8;

/// How long whoever has ended everything waits for the 'V'.
const DISARM_MAX: Duration = Duration::from_secs(2);

enum Order {
    Arm(SyncSender<Result<(), WatchdogError>>),
    Pet { proved_until: Instant },
    Disarm(SyncSender<()>),
}

/// A handle on the thread.
#[derive(Clone, Debug)]
pub(super) struct Minder {
    orders: SyncSender<Order>,
    options: WatchdogOptions,
    notices: Notices,
}

impl Minder {
    /// Starts the thread; it opens nothing yet.
    ///
    /// # Errors
    /// When the OS has no thread to give.
    pub(super) fn start(
        options: WatchdogOptions,
        times: Times,
        notices: Notices,
    ) -> io::Result<Self> {
        let (orders, orders_in) = sync_channel(ORDERS_MAX);
        let minder = Self {
            orders,
            options: options.clone(),
            notices: notices.clone(),
        };
        let work = Work {
            options,
            times,
            notices,
            armed: None,
            petting_failed: false,
        };
        std::thread::Builder::new()
            .name(String::from("watchdog"))
            .stack_size(STACK_BYTES)
            .spawn(move || {
                // The driver's own refusal says it for all threads.
                let _said_by_the_driver = make_thread_urgent();
                work.run(&orders_in);
            })?;
        Ok(minder)
    }

    /// Arms it, and waits for that no longer than the bound; what went wrong is told.
    ///
    /// # Errors
    /// When it is not armed, or not in time.
    pub(super) fn arm(&self, bound: Duration) -> Result<(), NotArmed> {
        let (armed, is_armed) = sync_channel(1);
        self.order(Order::Arm(armed));
        let why = match is_armed.recv_timeout(bound) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => {
                // Behind the arming, if that should come to an end.
                self.order(Order::Disarm(sync_channel(1).0));
                format!("it was not armed within {bound:?}")
            }
        };
        self.failed(why);
        Err(NotArmed)
    }

    /// A round was clean. Never waits.
    pub(super) fn pet(&self, proved_until: Instant) {
        self.order(Order::Pet { proved_until });
    }

    /// Everything that it guards has ended. Told; waits a little for the device.
    pub(super) fn disarm(&self) {
        let (done, is_done) = sync_channel(1);
        self.order(Order::Disarm(done));
        if is_done.recv_timeout(DISARM_MAX).is_err() {
            self.failed(
                "its driver does not answer: it may stay armed and reset this machine".to_owned(),
            );
        }
    }

    fn order(&self, order: Order) {
        match self.orders.try_send(order) {
            // A device that does not answer is not petted: that is what it is for. The thread of a handle lives.
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }

    fn failed(&self, why: String) {
        self.notices.tell(failure(&self.options, why));
    }
}

/// It has been told why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NotArmed;

fn failure(options: &WatchdogOptions, why: String) -> Happening {
    Happening::WatchdogFailed {
        path: options.path.clone(),
        why,
    }
}

/// The thread's own.
struct Work {
    options: WatchdogOptions,
    times: Times,
    notices: Notices,
    armed: Option<Watchdog>,
    petting_failed: bool,
}

impl Work {
    fn run(mut self, orders: &Receiver<Order>) {
        while let Ok(order) = orders.recv() {
            match order {
                Order::Arm(answer) => self.arm(&answer),
                Order::Pet { proved_until } => self.pet(proved_until),
                Order::Disarm(done) => {
                    self.disarm();
                    let _nobody_waits = done.try_send(());
                }
            }
        }
    }

    fn arm(&mut self, answer: &SyncSender<Result<(), WatchdogError>>) {
        let outcome = match Watchdog::arm(&self.options, &self.times) {
            Ok(watchdog) => {
                self.notices.tell(Happening::WatchdogArmed {
                    path: self.options.path.clone(),
                    timeout: watchdog.timeout,
                    no_way_out: watchdog.no_way_out,
                });
                self.armed = Some(watchdog);
                Ok(())
            }
            Err(error) => Err(error),
        };
        let _nobody_waits = answer.try_send(outcome);
    }

    fn pet(&mut self, proved_until: Instant) {
        let petted = match &mut self.armed {
            Some(armed) if armed.may_be_petted(now(), proved_until, &self.times) => armed.pet(),
            Some(_) | None => Ok(()),
        };
        if let Err(error) = petted
            && !std::mem::replace(&mut self.petting_failed, true)
        {
            self.notices.tell(failure(&self.options, error.to_string()));
        }
    }

    /// If it is armed.
    fn disarm(&mut self) {
        let Some(armed) = self.armed.take() else {
            return;
        };
        let no_way_out = armed.no_way_out;
        let why = match armed.disarm() {
            Ok(()) if no_way_out => {
                "nowayout is set: it stays armed and will reset this machine".to_owned()
            }
            Ok(()) => return self.notices.tell(Happening::WatchdogDisarmed),
            Err(error) => format!("{error}: it stays armed and will reset this machine"),
        };
        self.notices.tell(failure(&self.options, why));
    }
}

#[cfg(test)]
mod tests {
    use super::{Minder, NotArmed, Order};
    use crate::arbiter::notice::{Happening, Notices};
    use crate::arbiter::now;
    use crate::arbiter::watchdog::WatchdogOptions;
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    #[test]
    fn a_device_that_does_not_answer_holds_up_nobody() {
        // A thread that never takes an order, as one that waits in open(2).
        let (orders, _never_taken) = sync_channel::<Order>(super::ORDERS_MAX);
        let notices = Notices::new();
        let minder = Minder {
            orders,
            options: WatchdogOptions {
                path: "/dev/watchdog".into(),
                accept_no_way_out: false,
            },
            notices: notices.clone(),
        };
        assert_eq!(minder.arm(Duration::from_millis(1)), Err(NotArmed));
        assert!(matches!(
            notices.next().unwrap().what,
            Happening::WatchdogFailed { .. }
        ));
        for _ in 0..100 {
            minder.pet(now());
        }
    }
}

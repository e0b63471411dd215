#![expect(unsafe_code, reason = "the watchdog device is set by ioctls")]
//! The hardware watchdog: resets this machine when the owner neither proves itself nor stops.
//!
//! ```text
//!   take ─► open ─► set timeout, read back ─► pet at every clean round ─► 'V' and close when all has ended
//! ```
//!
//! Invariants:
//! * it fires before the moment at which another may own the disk: timeout ≤ self-stop age + stop time,
//!   less the length of a round, or it is refused;
//! * it is petted by the thread that defends, only when a round was clean, and only when it then still fires
//!   in time: a round may take longer than in good times;
//! * closed without 'V' it stays armed: that is what a crash does, on purpose.

use nix::errno::Errno;
use quorum_core::Instant;
use quorum_core::times::Times;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The ioctls of `linux/watchdog.h`.
mod ioctl {
    nix::ioctl_readwrite!(set_timeout, b'W', 6, libc::c_int);
    nix::ioctl_read!(get_timeout, b'W', 7, libc::c_int);
}

/// Which watchdog, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WatchdogOptions {
    /// Its device.
    pub path: PathBuf,
    /// Use it even when it cannot be disarmed again.
    pub accept_no_way_out: bool,
}

/// Why it cannot be used. Nothing was armed, unless the text says so.
#[derive(Debug, thiserror::Error)]
pub enum WatchdogError {
    /// It fires in whole seconds, and none fits between a healthy defender's pets and the budget.
    #[error(
        "no whole number of seconds fits: longer than {longest_gap:?} between two pets in good times, at most \
         {budget:?} until another may own the disk; a slower profile has room for one"
    )]
    NoRoom {
        /// The longest time between two pets in good times.
        longest_gap: Duration,
        /// The time from a pet until another may own the disk.
        budget: Duration,
    },
    /// It is open elsewhere.
    #[error("it is open already: {who} may have it")]
    Busy {
        /// The programs that usually do.
        who: &'static str,
    },
    /// It could not be disarmed again.
    #[error(
        "nowayout is set: once armed it resets this machine even after a clean stop; --watchdog-nowayout-ok accepts that"
    )]
    NoWayOut,
    /// It could not be opened, set or petted.
    #[error("{doing}: {source}")]
    Device {
        /// What was done.
        doing: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// It took another timeout than it was asked for.
    #[error(
        "it was asked for {asked} s and took {took} s, which is too long; it has been disarmed"
    )]
    OtherTimeout {
        /// In seconds.
        asked: libc::c_int,
        /// In seconds.
        took: libc::c_int,
    },
}

/// An armed watchdog.
#[derive(Debug)]
pub(super) struct Watchdog {
    device: File,
    /// The timeout that was read back.
    pub(super) timeout: Duration,
    /// It cannot be disarmed.
    pub(super) no_way_out: bool,
}

impl Watchdog {
    /// Arms it: it fires unless petted, or disarmed.
    ///
    /// # Errors
    /// [`WatchdogError`].
    pub(super) fn arm(options: &WatchdogOptions, times: &Times) -> Result<Self, WatchdogError> {
        let seconds = timeout_seconds(times)?;
        let no_way_out = has_no_way_out(&options.path);
        if no_way_out && !options.accept_no_way_out {
            return Err(WatchdogError::NoWayOut);
        }
        let device = open(&options.path)?;
        let mut watchdog = Self {
            device,
            timeout: Duration::ZERO,
            no_way_out,
        };
        let took = watchdog.set_timeout(seconds);
        match took {
            // A shorter one is no danger to the disk; but it must not fire on a healthy defender.
            Ok(took) if took <= seconds && fits(took, times) => {
                watchdog.timeout = whole_seconds(took);
                match watchdog.pet() {
                    Ok(()) => Ok(watchdog),
                    // Closed as it is, it would reset a machine that owns nothing.
                    Err(error) => {
                        watchdog.disarm()?;
                        Err(error)
                    }
                }
            }
            Ok(took) => {
                watchdog.disarm()?;
                Err(WatchdogError::OtherTimeout {
                    asked: seconds,
                    took,
                })
            }
            Err(error) => {
                watchdog.disarm()?;
                Err(error)
            }
        }
    }

    /// Starts its time over.
    pub(super) fn pet(&mut self) -> Result<(), WatchdogError> {
        self.device.write_all(b"1").map_err(device("petting it"))
    }

    /// Does a pet now, with a proof up to this point, leave it to fire before another may own the disk?
    ///
    /// The budget at arming counts with a round in good times; this is for one that took longer.
    pub(super) fn may_be_petted(&self, at: Instant, proved_until: Instant, times: &Times) -> bool {
        at + self.timeout <= proved_until + times.stop_time
    }

    /// The magic close: it does not fire any more, unless it has no way out.
    pub(super) fn disarm(mut self) -> Result<(), WatchdogError> {
        self.device.write_all(b"V").map_err(device("disarming it"))
    }

    fn set_timeout(&self, seconds: libc::c_int) -> Result<libc::c_int, WatchdogError> {
        let fd = self.device.as_raw_fd();
        let mut set = seconds;
        // SAFETY: the descriptor is open, and the kernel reads and writes one int at this live address.
        unsafe { ioctl::set_timeout(fd, &raw mut set) }
            .map_err(|errno| device("setting its timeout")(errno.into()))?;
        let mut took = 0;
        // SAFETY: as above; the kernel only writes.
        unsafe { ioctl::get_timeout(fd, &raw mut took) }
            .map_err(|errno| device("reading its timeout back")(errno.into()))?;
        Ok(took)
    }
}

fn device(doing: &'static str) -> impl Fn(std::io::Error) -> WatchdogError {
    move |source| WatchdogError::Device { doing, source }
}

fn open(path: &Path) -> Result<File, WatchdogError> {
    OpenOptions::new().write(true).open(path).map_err(|source| {
        if source.raw_os_error() == Some(Errno::EBUSY as i32) {
            let who = "systemd (RuntimeWatchdogSec=), watchdogd, wdmd, sbd or another arbiter";
            WatchdogError::Busy { who }
        } else {
            device("opening it")(source)
        }
    })
}

/// Is there a timeout that goes with these times?
///
/// # Errors
/// [`WatchdogError::NoRoom`].
pub(super) fn has_room(times: &Times) -> Result<(), WatchdogError> {
    timeout_seconds(times).map(drop)
}

/// The longest whole number of seconds that the times allow.
fn timeout_seconds(times: &Times) -> Result<libc::c_int, WatchdogError> {
    let seconds = libc::c_int::try_from(budget(times).as_secs()).unwrap_or(libc::c_int::MAX);
    if seconds > 0 && fits(seconds, times) {
        return Ok(seconds);
    }
    Err(WatchdogError::NoRoom {
        longest_gap: longest_gap(times),
        budget: budget(times),
    })
}

fn fits(seconds: libc::c_int, times: &Times) -> bool {
    let timeout = whole_seconds(seconds);
    timeout > longest_gap(times) && timeout <= budget(times)
}

/// From a pet, which comes at the end of a round, to the end of stopping, which counts from its start.
fn budget(times: &Times) -> Duration {
    (times.self_stop + times.stop_time).saturating_sub(round(times))
}

/// Between two pets when one round is lost.
fn longest_gap(times: &Times) -> Duration {
    times.defend_interval * 2 + times.lateness + round(times)
}

/// The length of a round: one read, and as many removals as it may need.
fn round(times: &Times) -> Duration {
    times.round_trip * (1 + times.removable_keys)
}

fn whole_seconds(seconds: libc::c_int) -> Duration {
    Duration::from_secs(u64::from(seconds.unsigned_abs()))
}

/// What sysfs says about the device; a device that is not there, or says nothing, has a way out.
fn has_no_way_out(path: &Path) -> bool {
    let Ok(metadata) = std::fs::metadata(path) else {
        return false;
    };
    let number = metadata.rdev();
    let settings = match (libc::major(number), libc::minor(number)) {
        // `/dev/watchdog`, the old name of the first one: a misc device without settings of its own.
        (10, 130) => String::from("/sys/class/watchdog/watchdog0/nowayout"),
        (major, minor) => format!("/sys/dev/char/{major}:{minor}/nowayout"),
    };
    std::fs::read_to_string(settings).is_ok_and(|text| text.trim() == "1")
}

#[cfg(test)]
mod tests {
    use super::{Watchdog, WatchdogError, budget, fits, longest_gap, timeout_seconds};
    use crate::arbiter::now;
    use quorum_core::times::Times;
    use std::fs::File;
    use std::time::Duration;

    fn times(self_stop_ms: u64, stop_ms: u64) -> Times {
        let ms = Duration::from_millis;
        Times {
            defend_interval: ms(500),
            lateness: ms(100),
            round_trip: ms(10),
            command_bound: ms(400),
            removable_keys: 3,
            drift_ppm: 200,
            challenge_wait: ms(2 * self_stop_ms),
            self_stop: ms(self_stop_ms),
            stop_time: ms(stop_ms),
            settle: ms(0),
            reset_recovery: ms(0),
            rechallenge_interval: ms(100),
        }
    }

    #[test]
    fn fires_before_another_may_own_the_disk_and_not_on_a_healthy_defender() {
        let times = times(2000, 1500);
        let seconds = timeout_seconds(&times).unwrap();
        assert_eq!(seconds, 3);
        assert!(Duration::from_secs(3) <= budget(&times));
        assert!(Duration::from_secs(3) > longest_gap(&times));
        assert!(!fits(4, &times));
        assert!(!fits(1, &times));
    }

    #[test]
    fn a_pet_that_would_outlive_the_proof_and_the_stop_time_is_left_out() {
        let watchdog = Watchdog {
            device: File::open("/dev/null").unwrap(),
            timeout: Duration::from_secs(3),
            no_way_out: false,
        };
        let times = times(2000, 1500);
        let ms = Duration::from_millis;
        let at = now();
        assert!(watchdog.may_be_petted(at, at + ms(1500), &times));
        assert!(!watchdog.may_be_petted(at, at + ms(1499), &times));
    }

    #[test]
    fn times_too_short_for_whole_seconds_are_refused() {
        let refused = timeout_seconds(&times(1300, 500)).unwrap_err();
        assert!(matches!(refused, WatchdogError::NoRoom { .. }), "{refused}");
    }
}

//! The arbiter: takes a shared disk, keeps it while it is fed, and says for how long that is proved.
//!
//! ```text
//!                    ┌────────────── one process ───────────────────────────────────────┐
//!   service ─feed()─►│ driver: owns the machine ──verbs──► one thread a path ──► disk   │
//!       ▲            │    │ proved until            ◄─answers──┘                        │
//!       │            │    ▼                                                             │
//!   Ownership ◄──────│ self-stop timer: fences at that point, whatever else hangs       │
//!                    └──────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The decisions are those of [`quorum_core::arbitration`]; this module gives them a clock (CLOCK_BOOTTIME),
//! threads, serials that survive a crash, and a lock that keeps a second arbiter off the nexus.
//!
//! Invariants:
//! * [`Ownership::check`] fails at the proved point by the clock alone, and for good;
//! * the driver defends only while [`Arbiter::feed`] is called within the self-stop age;
//! * one arbiter a nexus on a host; the second is refused with the pid of the first;
//! * every queue is bounded, and nothing that a stop depends on waits for a disk or a file;
//! * crash-only: dropping an [`Arbiter`] is a crash to the disk. A clean end is [`Arbiter::release`].
//!
//! ```no_run
//! use quorum::arbiter::{Arbiter, Settings};
//! use scsi::reservations::Reservations;
//!
//! fn run(path: Box<dyn Reservations>, settings: Settings) -> Result<(), quorum::arbiter::StartError> {
//!     let arbiter = Arbiter::start(vec![path], settings)?;
//!     let notices = arbiter.notices();
//!     while let Some(notice) = notices.next() {
//!         arbiter.feed(); // in life: from what proves that the service is well
//!         if let Some(ownership) = arbiter.ownership()
//!             && ownership.check().is_ok()
//!         {
//!             // the disk is ours, until ownership.proved_until()
//!         }
//!         println!("{notice:?}");
//!     }
//!     Ok(())
//! }
//! ```

mod alarm;
mod clerk;
mod clock;
mod driver;
mod librarian;
mod lock;
mod minder;
mod names;
mod notice;
mod ownership;
mod path;
mod places;
mod random;
mod realtime;
mod self_stop;
mod serials;
mod stall;
#[cfg(test)]
mod test_dir;
mod watchdog;

pub use clock::now;
pub use librarian::QuorumLog;
pub use lock::LockError;
pub use notice::{Happening, Notice, Notices};
pub use ownership::{Fenced, Ownership, Stage};
pub use places::{runtime_dir, state_dir};
pub use realtime::make_thread_urgent;
pub use serials::SerialNotice;
pub use stall::Stall;
pub use watchdog::{WatchdogError, WatchdogOptions};

use alarm::Alarm;
use clerk::Clerk;
use driver::{Driver, Inbox, State, Wishes};
use librarian::{Claimed, Librarian};
use lock::NexusLock;
use minder::Minder;
use path::Path;
use quorum_core::arbitration::{Arbitration, Config, PathId, Stopped};
use realtime::STACK_BYTES;
use scsi::reservations::{Companion, Reservations};
use self_stop::Tenure;
use serials::Serials;
use stall::StallWatch;
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

/// What an arbiter is told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For the machine: protocol, cluster, node, times, policy.
    pub config: Config,
    /// The disk's world-wide name; the lock and the serials are named after it.
    pub wwid: String,
    /// What to lock: a name for every nexus that a path stands for, the same by every way to it
    /// (`scsi::disk::Path::lock_names`). At least one.
    pub nexuses: Vec<String>,
    /// Where the serials are kept: on a disk, not on the arbitrated one. See [`state_dir`].
    pub state_dir: PathBuf,
    /// Where the locks are. See [`runtime_dir`].
    pub runtime_dir: PathBuf,
    /// Arm this watchdog while the disk is held.
    pub watchdog: Option<WatchdogOptions>,
}

/// Why an arbiter did not start. Nothing was sent to the disk.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The nexus is taken on this host.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The watchdog does not go together with the times.
    #[error("the watchdog: {0}")]
    Watchdog(#[from] WatchdogError),
    /// The OS has no thread or no descriptor to give.
    #[error("cannot start: {0}")]
    Host(#[from] std::io::Error),
}

/// A running arbiter.
#[derive(Debug)]
pub struct Arbiter {
    wishes: Arc<Wishes>,
    alarm: Arc<Alarm>,
    tenure: Arc<Tenure>,
    notices: Notices,
    watchdog: Option<Minder>,
    claimed: Claimed,
    locks: Arc<Vec<NexusLock>>,
    driver: Option<JoinHandle<Option<Stopped>>>,
    timer: Option<JoinHandle<()>>,
}

impl Arbiter {
    /// Starts to contend for the disk behind these paths, which all lead to one logical unit.
    ///
    /// # Errors
    /// [`StartError`].
    ///
    /// # Panics
    /// When `settings` names another number of paths than there are, or no nexus.
    pub fn start(
        paths: Vec<Box<dyn Reservations>>,
        settings: Settings,
    ) -> Result<Self, StartError> {
        Self::start_over(paths, None, settings)
    }

    /// As [`Self::start`], with a quorum log: a disk that was handed over in it ([`Self::park`]) is taken without a
    /// wait, and after a power loss it tells whether the term is still this owner's ([`Self::claimed`]).
    ///
    /// # Errors
    /// [`StartError`].
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn start_with_log(
        paths: Vec<Box<dyn Reservations>>,
        log: Box<dyn QuorumLog>,
        settings: Settings,
    ) -> Result<Self, StartError> {
        Self::start_over(paths, Some(log), settings)
    }

    fn start_over(
        paths: Vec<Box<dyn Reservations>>,
        log: Option<Box<dyn QuorumLog>>,
        settings: Settings,
    ) -> Result<Self, StartError> {
        let mut config = settings.config;
        config.policy.has_log = log.is_some();
        assert_eq!(paths.len(), usize::from(config.paths), "one of each a path");
        assert!(
            !settings.nexuses.is_empty(),
            "a lock keeps a second one off"
        );
        let (node, cluster) = (config.node, config.cluster);
        let times = config.times;
        if settings.watchdog.is_some() {
            watchdog::has_room(&times)?;
        }
        // Every path's thread keeps all locks: a nexus is free again when its last command has come back.
        // Two paths may stand for one nexus (all of a host's to an NVMe namespace): it is locked once.
        let nexuses: BTreeSet<&String> = settings.nexuses.iter().collect();
        let locks = nexuses
            .into_iter()
            .map(|nexus| NexusLock::take(&settings.runtime_dir, &settings.wwid, nexus))
            .collect::<Result<Vec<_>, _>>()?;
        let locks = Arc::new(locks);

        let notices = Notices::new();
        let alarm = Arc::new(Alarm::new()?);
        let tenure = Arc::new(Tenure::new()?);
        let wishes = Arc::new(Wishes::default());
        let watchdog = settings
            .watchdog
            .map(|options| Minder::start(options, times, notices.clone()))
            .transpose()?;
        let memory = realtime::lock_memory();
        memory.unwrap_or_else(|refused| notices.tell(refused));

        let (done_in, done) = channel();
        let (serials_in, serials) = channel();
        let paths = (0..config.paths)
            .zip(paths)
            .map(|(id, verbs)| {
                let (done, alarm, locks) =
                    (done_in.clone(), Arc::clone(&alarm), Arc::clone(&locks));
                Path::start(PathId(id), verbs, locks, done, alarm)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let store = Serials::new(&settings.state_dir, cluster, node, &settings.wwid);
        let clerk = Clerk::start(
            store,
            (cluster, node),
            serials_in,
            notices.clone(),
            Arc::clone(&alarm),
        )?;
        let claimed = Claimed::default();
        let (looked_in, looked) = channel();
        let librarian = log
            .map(|log| Librarian::start(log, Arc::clone(&claimed), looked_in, Arc::clone(&alarm)))
            .transpose()?;
        let timer = self_stop::start(Arc::clone(&tenure), notices.clone(), Arc::clone(&alarm))?;
        let driver = Driver {
            machine: Arbitration::new(config),
            times,
            paths,
            clerk,
            librarian,
            inbox: Inbox {
                done,
                serials,
                looked,
            },
            alarm: Arc::clone(&alarm),
            wishes: Arc::clone(&wishes),
            tenure: Arc::clone(&tenure),
            notices: notices.clone(),
            watchdog: watchdog.clone(),
            stalls: StallWatch::new(times.lateness),
            state: State::default(),
        };
        let mut arbiter = Self {
            wishes,
            alarm,
            tenure,
            notices,
            watchdog,
            claimed,
            locks,
            driver: None,
            timer: Some(timer),
        };
        arbiter.driver = Some(spawn(driver)?);
        Ok(arbiter)
    }

    /// What happens, as it happens. The stream ends with the arbiter.
    #[must_use]
    pub fn notices(&self) -> Notices {
        self.notices.clone()
    }

    /// The present term of ownership, or the last one, which is fenced; none before the first.
    #[must_use]
    pub fn ownership(&self) -> Option<Ownership> {
        self.tenure.present()
    }

    /// Whoever is served is well and wants the arbiter to go on. Never blocks.
    pub fn feed(&self) {
        self.wishes.fed.store(true, Ordering::Release);
        self.alarm.ring();
    }

    /// Give the disk back and unregister, or stop contending. Never blocks; the end is told by a notice.
    ///
    /// Everything that writes has ended before: from here on ownership is void.
    pub fn release(&self) {
        if let Some(ownership) = self.tenure.present() {
            ownership.revoke();
        }
        self.wishes.release.store(true, Ordering::Release);
        self.alarm.ring();
    }

    /// The service has claimed the quorum log: this is the claim's incarnation. After a power loss the disk is taken
    /// again only while the log still says so.
    pub fn claimed(&self, incarnation: u64) {
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        *claimed = Some(incarnation);
    }

    /// Another node says that it has parked: a contender looks for the mark now, and not at its next turn. What counts
    /// is the mark; to be told of one that is not there does no harm. Never blocks.
    pub fn handed_over(&self) {
        self.wishes.handed_over.store(true, Ordering::Release);
        self.alarm.ring();
    }

    /// Hand over: the mark has been sent to the log ([`crate::log::park`]), whatever came of it. The arbiter stops and
    /// leaves the disk held, for whoever reads the mark. Never blocks; the end is told by a notice.
    pub fn park(&self) {
        if let Some(ownership) = self.tenure.present() {
            ownership.revoke();
        }
        self.wishes.park.store(true, Ordering::Release);
        self.alarm.ring();
    }

    /// Everything that the watchdog guards has ended, although the disk was lost: it need not fire.
    pub fn disarm_watchdog(&self) {
        self.watchdog.iter().for_each(Minder::disarm);
    }

    /// Descriptors of the locks on the nexuses, for what is started because the disk is ours.
    ///
    /// The lock is free when the last descriptor of it is closed. A child that has one therefore keeps the
    /// next arbiter of this host off the nexus for as long as it lives, although this process was killed.
    /// They are closed on exec: a child inherits one when FD_CLOEXEC is cleared.
    ///
    /// # Errors
    /// When there is no descriptor to be had.
    pub fn lock_descriptors(&self) -> std::io::Result<Vec<OwnedFd>> {
        self.locks.iter().map(NexusLock::descriptor).collect()
    }

    /// For the threads of every other device by which commands are sent on these nexuses, such as the log's
    /// ([`crate::lun::Lun::accompany`]): they are urgent, and the locks are kept until their last command is back,
    /// though this arbiter has ended before.
    #[must_use]
    pub fn companion(&self) -> Companion {
        path::companion(&self.locks)
    }

    /// Waits for the end; why it came. `None` when the driver itself broke.
    #[must_use]
    pub fn join(mut self) -> Option<Stopped> {
        let driver = self.driver.take()?;
        driver.join().ok().flatten()
    }
}

/// As a crash: it stops defending at once and leaves the disk as it is.
impl Drop for Arbiter {
    fn drop(&mut self) {
        self.wishes.abandon.store(true, Ordering::Release);
        self.alarm.ring();
        if let Some(driver) = self.driver.take() {
            // Broken or not, it has ended.
            let _ended = driver.join();
        }
        self.tenure.end();
        if let Some(timer) = self.timer.take() {
            let _ended = timer.join();
        }
    }
}

fn spawn(driver: Driver) -> std::io::Result<JoinHandle<Option<Stopped>>> {
    std::thread::Builder::new()
        .name(String::from("arbiter"))
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let urgent = make_thread_urgent();
            urgent.unwrap_or_else(|refused| driver.notices.tell(refused));
            driver.run()
        })
}

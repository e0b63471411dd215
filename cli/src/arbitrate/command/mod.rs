//! A command that runs while the disk is ours, and never longer.
//!
//! `qctl` starts a keeper ([`keeper`]), and the keeper starts the command. This is `qctl`'s end: it hands
//! every proof of ownership on, asks for the end, and hears what became of the command.

mod descendants;
pub(crate) mod keeper;
pub(crate) mod leash;
mod message;
mod terminal;

pub(super) use message::{Report, UNPROVED};

use descendants::Reaped;
use message::{Order, nanoseconds};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use quorum::arbiter::Ownership;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;

/// The hidden name under which `qctl` runs as a keeper.
pub(crate) const KEEPER: &str = "keep-command";

/// A keeper that is stopped or swamped must not hold up the one who speaks to it.
const SEND_MAX: Duration = Duration::from_millis(10);

/// Between two looks at what a dead keeper has left.
const KILL_AGAIN: Duration = Duration::from_millis(10);

/// What to run.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// The command and its arguments.
    pub(super) command: Vec<OsString>,
    /// What it finds in its environment, beside ours.
    pub(super) environment: Vec<(&'static str, String)>,
    /// Between TERM and KILL when ownership is lost.
    pub(super) loss_grace: Duration,
}

/// What became of the command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// The keeper says so.
    Told(Report),
    /// The keeper was killed. The command is dead, and everything that it had started.
    KeeperDied,
}

/// A command that runs under its keeper.
#[derive(Debug)]
pub(super) struct Kept {
    channel: Arc<UnixStream>,
    keeper: Arc<Mutex<Child>>,
}

impl Kept {
    /// Starts the command. `tell` hears what becomes of it, on a thread of its own; the last word is
    /// `Ended`, `NotStarted` or `KeeperDied`.
    ///
    /// # Errors
    /// When the keeper cannot be started.
    pub(super) fn start(
        job: &Job,
        ownership: Ownership,
        locks: Vec<OwnedFd>,
        tell: impl FnMut(Fate) + Send + 'static,
    ) -> io::Result<Self> {
        descendants::adopt_orphans()?;
        let (ours, theirs) = UnixStream::pair()?;
        let proved_until = ownership.proved_until().elapsed_since_zero();
        // The one child of this process, so nobody else can inherit what is open for a moment here.
        fcntl(theirs.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()))?;
        // The keeper and all that it starts hold the locks too: while anything of the command lives, no
        // other arbiter of this host takes the disk for its own, though qctl and the keeper were killed.
        for lock in &locks {
            fcntl(lock.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        let keeper = Command::new("/proc/self/exe")
            .arg0("cmd-keeper")
            .arg(KEEPER)
            .arg(format!("--channel={}", theirs.as_raw_fd()))
            .arg(format!("--until-ns={}", nanoseconds(proved_until)))
            .arg(format!("--loss-grace-ns={}", nanoseconds(job.loss_grace)))
            .arg("--")
            .args(&job.command)
            .envs(job.environment.iter().map(|(name, value)| (name, value)))
            // What systemd tells us is not for the command: it has no watchdog to feed.
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .env_remove("WATCHDOG_PID")
            .process_group(0)
            .spawn()?;
        drop((theirs, locks));
        ours.set_write_timeout(Some(SEND_MAX))?;
        let channel = Arc::new(ours);
        let keeper = Arc::new(Mutex::new(keeper));
        let kept = Self {
            channel: Arc::clone(&channel),
            keeper: Arc::clone(&keeper),
        };
        let listening = channel.try_clone()?;
        std::thread::spawn(move || listen(&listening, &keeper, tell));
        std::thread::spawn(move || relay(&channel, &ownership));
        Ok(kept)
    }

    /// TERM, and KILL after the grace.
    pub(super) fn stop(&self, grace: Duration) {
        send(&self.channel, Order::Stop(grace));
    }

    /// Ownership is lost: TERM, and KILL after the grace of a loss.
    pub(super) fn fence(&self) {
        send(&self.channel, Order::Fence);
    }

    /// KILL.
    pub(super) fn kill(&self) {
        send(&self.channel, Order::Kill);
    }

    /// KILL to the keeper itself, which may be stopped: the kernel kills the command with it, and what is
    /// left comes to us and is killed. Never blocks.
    pub(super) fn kill_keeper(&self) {
        match self.keeper.try_lock() {
            // It may have ended by itself.
            Ok(mut keeper) => drop(keeper.kill()),
            Err(TryLockError::Poisoned(keeper)) => drop(keeper.into_inner().kill()),
            // Whoever listens to it is at this already.
            Err(TryLockError::WouldBlock) => {}
        }
    }
}

/// Hands every proof on as it comes, and the loss.
fn relay(channel: &UnixStream, ownership: &Ownership) {
    let mut proved_until = ownership.proved_until();
    loop {
        match ownership.wait_for_proof_beyond(proved_until) {
            Ok(further) => {
                proved_until = further;
                send(channel, Order::Until(further.elapsed_since_zero()));
            }
            Err(_fenced) => return send(channel, Order::Fence),
        }
    }
}

fn send(mut channel: &UnixStream, order: Order) {
    // A keeper that does not hear acts at the point up to which it has heard a proof.
    let _unheard = channel.write(order.line().as_bytes());
}

fn listen(channel: &UnixStream, keeper: &Mutex<Child>, mut tell: impl FnMut(Fate)) {
    let mut last_word = false;
    for line in BufReader::new(channel).lines() {
        let Some(report) = line.ok().as_deref().and_then(Report::parse) else {
            break;
        };
        last_word = matches!(report, Report::Ended { .. } | Report::NotStarted { .. });
        tell(Fate::Told(report));
    }
    // It has ended, or it broke its word: then it goes, and what it kept is ours to end.
    let mut keeper = keeper.lock().unwrap_or_else(PoisonError::into_inner);
    let _gone = keeper.kill();
    let _status = keeper.wait();
    drop(keeper);
    if last_word {
        return;
    }
    end_orphans();
    tell(Fate::KeeperDied);
}

/// Kills and waits for everything that a dead keeper has left to us.
fn end_orphans() {
    loop {
        descendants::kill_all();
        loop {
            match descendants::reap() {
                Reaped::One(..) | Reaped::Stood(_) => {}
                Reaped::NoneLeft => return,
                Reaped::NoneYet => break,
            }
        }
        std::thread::sleep(KILL_AGAIN);
    }
}

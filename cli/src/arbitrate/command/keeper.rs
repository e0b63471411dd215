#![expect(unsafe_code, reason = "takes over an inherited descriptor")]
//! The keeper: a small process between `qctl` and its command, which ends the command when it must.
//!
//! ```text
//!   qctl ──────socket──────► keeper ──────► CMD ──► grandchildren …
//!     dies (SIGKILL too)  ─►  KILL to everything below
//!     hangs, is stopped   ─►  at the proved point: TERM, grace, KILL
//!     says stop or fence  ─►  TERM, grace, KILL
//!             keeper dies ─►  the kernel kills CMD (parent-death signal); qctl adopts and kills the rest
//! ```
//!
//! Invariants:
//! * nothing below the keeper outlives it, and it says `ended` only when nothing is left below;
//! * its own clock is CLOCK_BOOTTIME, and it needs no word from `qctl` to act at the proved point;
//! * it hears what has come before it looks at that clock, and starts nothing without a proof that holds;
//! * the command is TERMed once; a later order can only bring the KILL nearer;
//! * a command that is started from a terminal has it, until it ends (see [`terminal`]).
//!
//! [`terminal`]: super::terminal

use super::descendants::{self, Reaped};
use super::leash::default_sigchld;
use super::leash::{die_with_parent, unblock_signals};
use super::message::{Order, Report, UNPROVED};
use super::terminal::Terminal;
use crate::exit::{Exit, Failure};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

/// What of a line is kept when no line end comes: orders are far shorter.
const LINE_MAX: usize = 256;

/// So many reads at most before the next look at the clock: more than a socket holds.
const READS_MAX: usize = 4096;

/// From one look at what a KILL has left to the next: soon at first, for what was forked meanwhile, and
/// then ever later, for what hangs in the kernel.
const KILL_AGAIN: Duration = Duration::from_millis(2);
const KILL_AGAIN_MAX: Duration = Duration::from_secs(1);

/// `qctl` in its hidden role.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The descriptor of the socket to qctl
    #[arg(long)]
    channel: RawFd,
    /// Ownership is proved until then
    #[arg(long)]
    until_ns: u64,
    /// Between TERM and KILL when ownership is lost
    #[arg(long)]
    loss_grace_ns: u64,
    /// The command
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

impl Args {
    /// Keeps the command until nothing of it is left.
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let failed = |error: io::Error| {
            Failure::new(
                Exit::CannotOpen,
                format!("the command cannot be kept: {error}"),
                "this is a hidden part of `qctl arbitrate`",
            )
        };
        let keeper = Keeper::new(&self).map_err(failed)?;
        keeper.run(&self.command).map_err(failed)?;
        Ok(Exit::Done)
    }
}

struct Keeper {
    channel: UnixStream,
    received: Vec<u8>,
    timer: TimerFd,
    children: SignalFd,
    proved_until: Duration,
    loss_grace: Duration,
    terminal: Option<Terminal>,
    /// The command, once it was started; it leads its own group.
    command: Option<Pid>,
    ending: Ending,
}

/// How far the end of the command has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ending {
    /// It may run.
    Not,
    /// TERM was sent, KILL follows then.
    Terminating { kill_at: Duration },
    /// KILL was sent, and is sent again until nothing is left.
    Killing {
        again_at: Duration,
        interval: Duration,
    },
}

impl Keeper {
    fn new(args: &Args) -> io::Result<Self> {
        // Not "qctl": whoever kills that by name must leave somebody to kill the command.
        nix::sys::prctl::set_name(c"cmd-keeper")?;
        descendants::adopt_orphans()?;
        let mut signals = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            signals.add(signal);
        }
        // They mean qctl, which will say what to do; systemd sends TERM to every process of a unit.
        // Whoever hands a terminal over from the background is stopped, unless it blocks this.
        signals.add(Signal::SIGTTOU);
        signals.thread_block()?;
        let mut child = SigSet::empty();
        child.add(Signal::SIGCHLD);
        child.thread_block()?;
        default_sigchld()?;
        // SAFETY: qctl opened this descriptor for us, left it open across exec, and nobody else has it.
        let channel = unsafe { OwnedFd::from_raw_fd(args.channel) };
        nix::fcntl::fcntl(
            channel.as_fd(),
            nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC),
        )?;
        let channel = UnixStream::from(channel);
        channel.set_nonblocking(true)?;
        Ok(Self {
            channel,
            received: Vec::new(),
            timer: TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_CLOEXEC)?,
            children: SignalFd::with_flags(&child, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?,
            proved_until: Duration::from_nanos(args.until_ns),
            loss_grace: Duration::from_nanos(args.loss_grace_ns),
            terminal: Terminal::of_parent(),
            command: None,
            ending: Ending::Not,
        })
    }

    fn run(mut self, command: &[OsString]) -> io::Result<()> {
        if !self.may_start() {
            self.report(Report::NotStarted { errno: UNPROVED });
            return Ok(());
        }
        let pid = match start(command) {
            Ok(pid) => pid,
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(0);
                self.report(Report::NotStarted { errno });
                return Ok(());
            }
        };
        self.command = Some(pid);
        if let Some(terminal) = &self.terminal {
            terminal.hand_to(pid);
        }
        self.report(Report::Started { pid: pid.as_raw() });
        let status = self.keep(pid)?;
        if let Some(terminal) = &self.terminal {
            terminal.take_back();
        }
        self.report(Report::Ended { status });
        Ok(())
    }

    /// Is ownership proved at this moment, and has nobody asked for the end?
    fn may_start(&mut self) -> bool {
        self.hear();
        self.ending == Ending::Not && crate::clock::since_boot() < self.proved_until
    }

    /// Until nothing is left below: the command's status.
    fn keep(&mut self, pid: Pid) -> io::Result<u8> {
        let mut status = None;
        loop {
            match descendants::reap() {
                Reaped::One(ended, with) => {
                    if ended == pid {
                        status = Some(with);
                        // The disk is given back when the command ends: what it leaves behind ends too.
                        self.kill();
                    }
                    continue;
                }
                Reaped::Stood(stopped) => {
                    if stopped == pid && self.ending == Ending::Not && self.terminal.is_some() {
                        // By ^Z, or by a read before the terminal was its own: nobody else would let it go on.
                        let _gone = killpg(pid, Signal::SIGCONT);
                    }
                    continue;
                }
                Reaped::NoneLeft => return Ok(status.unwrap_or(u8::MAX)),
                Reaped::NoneYet => {}
            }
            // A proof that has come in time counts, however late this process runs.
            self.hear();
            let at = crate::clock::since_boot();
            self.act_on_time(at);
            self.wait(at)?;
        }
    }

    fn act_on_time(&mut self, at: Duration) {
        match self.ending {
            Ending::Not if at >= self.proved_until => self.terminate(self.loss_grace, true),
            Ending::Terminating { kill_at } if at >= kill_at => self.kill(),
            Ending::Terminating { kill_at } if at >= self.proved_until => {
                let sooner = kill_at.min(self.proved_until + self.loss_grace);
                self.ending = Ending::Terminating { kill_at: sooner };
            }
            Ending::Killing { again_at, interval } if at >= again_at => {
                descendants::kill_all();
                let interval = (interval * 2).min(KILL_AGAIN_MAX);
                self.ending = Ending::Killing {
                    again_at: at + interval,
                    interval,
                };
            }
            Ending::Not | Ending::Terminating { .. } | Ending::Killing { .. } => {}
        }
    }

    /// Until a child ends, an order comes, or something is due.
    fn wait(&self, at: Duration) -> io::Result<()> {
        let due = match self.ending {
            Ending::Not => self.proved_until,
            Ending::Terminating { kill_at } if self.proved_until > at => {
                kill_at.min(self.proved_until)
            }
            Ending::Terminating { kill_at } => kill_at,
            Ending::Killing { again_at, .. } => again_at,
        };
        let due = TimeSpec::from_duration(due.max(Duration::from_nanos(1)));
        let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME;
        self.timer.set(Expiration::OneShot(due), flags)?;
        let mut waited_for = vec![
            PollFd::new(self.timer.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.children.as_fd(), PollFlags::POLLIN),
        ];
        // A dead qctl's socket is readable for ever; there is nothing more to hear then.
        if !matches!(self.ending, Ending::Killing { .. }) {
            waited_for.push(PollFd::new(self.channel.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut waited_for, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        while let Ok(Some(_)) = self.children.read_signal() {}
        Ok(())
    }

    /// Takes all the orders that have come.
    fn hear(&mut self) {
        let mut bytes = [0; LINE_MAX];
        for _ in 0..READS_MAX {
            match self.channel.read(&mut bytes) {
                Ok(0) => return self.kill(),
                Ok(count) => self.received.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.kill(),
            }
            self.obey_received();
        }
    }

    fn obey_received(&mut self) {
        while let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.received.drain(..=end).collect();
            match std::str::from_utf8(&line).ok().and_then(Order::parse) {
                Some(order) => self.obey(order),
                // Not our qctl, or a broken one: nobody proves ownership.
                None => self.kill(),
            }
        }
        if self.received.len() > LINE_MAX {
            self.kill();
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Until(at) => self.proved_until = self.proved_until.max(at),
            Order::Fence => self.terminate(self.loss_grace, false),
            Order::Stop(grace) => self.terminate(grace, false),
            Order::Kill => self.kill(),
        }
    }

    fn terminate(&mut self, grace: Duration, unproved: bool) {
        let kill_at = crate::clock::since_boot() + grace;
        match self.ending {
            Ending::Not => {
                self.ending = Ending::Terminating { kill_at };
                if let Some(pid) = self.command {
                    // A stopped command could not hear the TERM.
                    let _gone = killpg(pid, Signal::SIGTERM);
                    let _gone = killpg(pid, Signal::SIGCONT);
                    self.report(Report::Terminating { unproved });
                }
            }
            Ending::Terminating { kill_at: before } => {
                let kill_at = kill_at.min(before);
                self.ending = Ending::Terminating { kill_at };
            }
            Ending::Killing { .. } => {}
        }
    }

    fn kill(&mut self) {
        if matches!(self.ending, Ending::Killing { .. }) {
            return;
        }
        self.ending = Ending::Killing {
            again_at: crate::clock::since_boot() + KILL_AGAIN,
            interval: KILL_AGAIN,
        };
        let processes = descendants::kill_all();
        if processes > 0 {
            self.report(Report::Killing { processes });
        }
    }

    /// qctl may be dead or stopped; the command ends all the same.
    fn report(&mut self, report: Report) {
        let _unheard = self.channel.write(report.line().as_bytes());
    }
}

/// Starts the command, in a process group of its own, to be killed by the kernel when the keeper dies.
fn start(command: &[OsString]) -> io::Result<Pid> {
    let mut child = Command::new(&command[0]);
    child.args(&command[1..]).process_group(0);
    die_with_parent(&mut child);
    unblock_signals(&mut child);
    let child = child.spawn()?;
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    Ok(Pid::from_raw(pid))
}

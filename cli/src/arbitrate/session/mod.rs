//! The main loop of an arbitration: hears the arbiter, the signals and the command, and feeds the arbiter.
//!
//! ```text
//!   Contending ──Owner──► Owning ──CMD ends, or a signal and CMD has ended──► Releasing ──► over
//!        │                  └──────loss──► Losing: CMD gets TERM, KILL ──────────────────► over
//!        └──signal, --wait runs out──► Releasing
//! ```
//!
//! Invariants:
//! * the disk is released only after nothing of the command is left;
//! * the loop does nothing that can block: it prints through a thread, and the keeper acts by itself;
//! * the command is started only with a proof of ownership that holds at that moment;
//! * a keeper that does not end the command in time is killed, and the command with it, before another
//!   node can be the owner;
//! * the arbiter is fed by this loop, so an owner whose `qctl` hangs stops itself.

mod holdings;
mod leaving;
mod serving;

use super::Args;
use super::command::leash::default_sigchld;
use super::command::{Fate, Kept};
use super::ending::Ending;
use super::printer::Printer;
use super::quorum_log::{Claim, OwnedLog, Place};
use super::record::{Record, What, ms};
use super::setup::Setup;
use super::systemd::ServiceManager;
use super::telling;
use crate::Context;
use crate::clock::{self, Moment};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use quorum::arbiter::{
    Arbiter, Happening, LockError, Notice, Settings, StartError, make_thread_urgent,
};
use quorum::log::{LogError, ParkError};
use quorum_core::Instant;
use quorum_core::arbitration::{ClusterTag, Event, Stopped};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// What waits for the loop: far more than it is ever behind.
const INBOX_MAX: usize = 256;

/// Signals within this time are one: `timeout` and shells send the same to the process and to its group.
const ONE_SIGNAL: Duration = Duration::from_millis(500);

/// Another node says that it has parked.
const HANDED_OVER: Signal = Signal::SIGUSR1;

/// How long after its KILL was due a keeper may have nothing to say: it is stopped, or broken.
const KEEPER_LATE: Duration = Duration::from_secs(2);

/// What the loop hears.
enum Heard {
    /// The arbiter says something.
    Notice(Notice),
    /// The arbiter has ended.
    ArbiterOver,
    /// Somebody asks for the end.
    Signal(Signal),
    /// The command.
    Command(Fate),
    /// The quorum log was claimed, or could not be.
    Log(Result<Claim, LogError>),
    /// The file system is mounted, as this kind, or could not be.
    Mounted(io::Result<String>),
    /// It is unmounted, or could not be.
    Unmounted(io::Result<()>),
    /// It is detached after a loss, or could not be.
    Detached(io::Result<()>),
    /// The mark of a hand-over was sent to it.
    Parked(Result<(), ParkError>),
    /// The command of `--then` has ended.
    Then(String),
}

/// How far it has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Not the owner yet.
    Contending,
    /// The disk is ours.
    Owning,
    /// The command is being stopped, in good order; the disk is still ours.
    Stopping,
    /// The disk is being given back.
    Releasing,
    /// The disk is lost; the command is being stopped.
    Losing,
}

struct Session<'a> {
    args: &'a Args,
    arbiter: Arbiter,
    printer: Printer,
    manager: ServiceManager,
    heard_in: SyncSender<Heard>,
    cluster: ClusterTag,
    node: u8,
    grace: Duration,
    loss_grace: Duration,
    /// What the times allow for stopping.
    stop_time: Duration,
    phase: Phase,
    /// Where the quorum log is, if there is to be one.
    log: Option<Place>,
    /// It, once it is claimed.
    claimed: Option<Arc<OwnedLog>>,
    /// The mark is to be sent after a clean round that was sent since then.
    park_when_proved: Option<Instant>,
    /// The mark is being sent: whether it is on the disk is not known yet.
    mark_under_way: bool,
    /// The disk was lost meanwhile; what that means, the mark decides.
    lost_under_the_mark: Option<Notice>,
    /// Claims of the log that are under way.
    claiming: u32,
    /// The file system is being mounted.
    mounting: bool,
    /// It is mounted.
    mounted: bool,
    /// It is being unmounted, or detached.
    unmounting: bool,
    /// The disk is ours as far as the arbiter is concerned; the log may still be missing.
    is_owner: bool,
    command: Option<Kept>,
    /// How often its start was tried.
    starts: u32,
    arbiter_over: bool,
    /// When the keeper has to be gone, and the command with it.
    kill_keeper_at: Option<Duration>,
    /// When nobody waits for the command's end any more.
    give_up_at: Option<Duration>,
    wait_until: Option<Duration>,
    signalled_at: Option<Duration>,
    /// It was asked to stop.
    asked: bool,
    past: Past,
}

/// What the ending is made of.
#[derive(Default)]
struct Past {
    stopped: Option<Stopped>,
    held: bool,
    owned_since: Option<Duration>,
    owned: Duration,
    clean_rounds: u64,
    status: Option<u8>,
    not_started: Option<i32>,
    waited_out: bool,
    /// Asked to stop again while the disk was being given back.
    left: bool,
    /// The mark of a hand-over is on the disk: whoever reads it takes it at once.
    mark_sent: bool,
    watchdog: Option<String>,
    log: Option<Failure>,
}

/// Runs until the arbiter has ended and nothing of the command is left.
pub(super) fn run(
    args: &Args,
    setup: Setup,
    signals: SigSet,
    context: &mut Context,
) -> Result<Exit, Failure> {
    let began = clock::now();
    let (heard_in, heard) = sync_channel(INBOX_MAX);
    let Settings { config, .. } = &setup.settings;
    let (cluster, node, times) = (config.cluster, config.node.0, config.times);
    let arbiter = match &setup.log {
        Some(log) => Arbiter::start_with_log(setup.paths, log.reader(), setup.settings),
        None => Arbiter::start(setup.paths, setup.settings),
    }
    .map_err(|error| not_started(&error))?;
    if let Some(log) = &setup.log {
        log.accompany(arbiter.companion());
    }
    let quiet = Output::new(context.global.json, context.global.color);
    let output = std::mem::replace(&mut context.output, quiet);
    let mut session = Session {
        args,
        printer: Printer::start(output, began.monotonic_ns),
        manager: ServiceManager::of_environment(),
        cluster,
        node,
        grace: setup.grace,
        loss_grace: setup.loss_grace,
        stop_time: times.stop_time,
        phase: Phase::Contending,
        log: setup.log,
        claimed: None,
        park_when_proved: None,
        mark_under_way: false,
        lost_under_the_mark: None,
        claiming: 0,
        mounting: false,
        mounted: false,
        unmounting: false,
        is_owner: false,
        command: None,
        starts: 0,
        arbiter_over: false,
        kill_keeper_at: None,
        give_up_at: None,
        wait_until: args.wait.flatten().map(|span| clock::since_boot() + span),
        signalled_at: None,
        asked: false,
        past: Past::default(),
        heard_in,
        arbiter,
    };
    session.print_at(began, setup.started);
    for text in setup.remarks {
        session.print(What::Remark { text });
    }
    session.manager.status("contending for the disk");
    session.listen(signals);
    // It feeds the arbiter, whose threads are urgent already. A refusal is told by those.
    let _as_urgent_as_them = make_thread_urgent();
    session.main_loop(&heard, times.self_stop / 4);
    session.end(context)
}

impl Session<'_> {
    /// Two threads that bring what they hear into the loop's one inbox.
    fn listen(&self, signals: SigSet) {
        let notices = self.arbiter.notices();
        let heard = self.heard_in.clone();
        std::thread::spawn(move || {
            while let Some(notice) = notices.next() {
                if heard.send(Heard::Notice(notice)).is_err() {
                    return;
                }
            }
            let _loop_is_over = heard.send(Heard::ArbiterOver);
        });
        let heard = self.heard_in.clone();
        std::thread::spawn(move || {
            while let Ok(signal) = signals.wait() {
                if heard.send(Heard::Signal(signal)).is_err() {
                    return;
                }
            }
        });
    }

    /// Something of it has not ended, or has not been heard.
    const fn has_work(&self) -> bool {
        let on_the_disk = self.mounting || self.unmounting || self.mark_under_way;
        self.command.is_some() || self.claiming > 0 || on_the_disk
    }

    fn main_loop(&mut self, heard: &Receiver<Heard>, feed_interval: Duration) {
        while !(self.past.left || self.arbiter_over && !self.has_work()) {
            self.arbiter.feed();
            match heard.recv_timeout(self.patience(feed_interval)) {
                Ok(heard) => self.hear(heard),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    unreachable!("the loop holds a sender itself")
                }
            }
            let at = clock::since_boot();
            // Whoever holds the disk waits for nobody any more.
            let contends = self.phase == Phase::Contending && !self.past.held;
            if contends && self.wait_until.is_some_and(|end| at >= end) {
                self.past.waited_out = true;
                self.release();
            }
            if self.kill_keeper_at.is_some_and(|end| at >= end) {
                self.kill_keeper_at = None;
                if let Some(command) = &self.command {
                    command.kill_keeper();
                }
            }
            if self.give_up_at.is_some_and(|end| at >= end) && self.give_up() {
                return;
            }
        }
    }

    /// How long to wait for something to hear.
    fn patience(&self, feed_interval: Duration) -> Duration {
        let left = self
            .kill_keeper_at
            .map(|due| due.saturating_sub(clock::since_boot()));
        left.map_or(feed_interval, |left| left.min(feed_interval))
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Notice(notice) => self.noticed(&notice),
            Heard::ArbiterOver => {
                self.arbiter_over = true;
                if self.past.stopped.is_none() && self.lost_under_the_mark.is_none() {
                    self.lost();
                }
            }
            Heard::Signal(signal) => self.signalled(signal),
            Heard::Command(fate) => self.command_did(fate),
            Heard::Log(Ok(claim)) => self.log_claimed(claim),
            Heard::Log(Err(error)) => self.log_failed(&error),
            Heard::Mounted(mounted) => self.mounted(mounted),
            Heard::Unmounted(done) => self.unmounted(done),
            Heard::Detached(done) => self.detached(done),
            Heard::Parked(sent) => self.log_parked(sent),
            Heard::Then(text) => self.print(What::Remark { text }),
        }
    }

    pub(super) fn noticed(&mut self, notice: &Notice) {
        let at = moment(notice);
        if let Happening::Arbitration(Event::Stopped(lost)) = &notice.what
            && matches!(lost, Stopped::Deposed { .. } | Stopped::SelfStop { .. })
        {
            // The mark decides what it means, once it is known whether it is on the disk.
            if self.mark_under_way {
                self.lost_under_the_mark = Some(notice.clone());
                return self.lost();
            }
            // Handed over: whoever read the mark was quick, or the disk is silent since.
            if self.past.mark_sent {
                self.print_at(at, telling::handed_over(lost, self.cluster));
                self.past.stopped = Some(Stopped::Parked);
                return self.arbiter.disarm_watchdog();
            }
        }
        self.print_at(at, telling::what(notice, self.cluster));
        match &notice.what {
            Happening::Arbitration(Event::Held { .. }) => {
                self.past.held = true;
                self.past.clean_rounds += 1;
                match self.phase {
                    // The log may be in it.
                    Phase::Contending if self.args.mount.is_some() => self.mount(),
                    Phase::Contending => self.claim_log(),
                    // It was asked to stop before.
                    Phase::Owning | Phase::Stopping | Phase::Releasing | Phase::Losing => {}
                }
            }
            // A new term of the same owner: its log begins an epoch too.
            Happening::Arbitration(Event::Retaken { .. }) => match self.phase {
                Phase::Contending if self.log.is_none() && self.is_owner => self.owner(),
                Phase::Contending | Phase::Owning | Phase::Stopping => self.claim_log(),
                Phase::Releasing | Phase::Losing => {}
            },
            Happening::Arbitration(Event::Owner { .. }) => {
                self.is_owner = true;
                self.owner();
            }
            Happening::Arbitration(Event::Defended { proved_at }) => {
                self.past.clean_rounds += 1;
                self.manager.defended();
                if self
                    .park_when_proved
                    .is_some_and(|since| *proved_at >= since)
                {
                    self.park_log();
                }
            }
            Happening::Arbitration(Event::Lost { .. }) => {
                self.manager.status("another node holds the disk");
            }
            Happening::Arbitration(Event::Stopped(why)) => {
                self.past.stopped = Some(why.clone());
                match why {
                    Stopped::Deposed { .. } | Stopped::SelfStop { .. } => self.lost(),
                    // Whoever has held the disk and stops without giving it back has lost it.
                    Stopped::NotTaken { .. } | Stopped::Refused(_) | Stopped::Withdrawn
                        if self.past.held =>
                    {
                        self.lost();
                    }
                    // Nobody here asked for it: the arbiter itself gave the disk back, for its watchdog.
                    Stopped::Parked | Stopped::Released { .. }
                        if self.phase != Phase::Releasing =>
                    {
                        self.lost();
                    }
                    Stopped::NotTaken { .. }
                    | Stopped::Refused(_)
                    | Stopped::Parked
                    | Stopped::Released { .. }
                    | Stopped::Withdrawn => {}
                }
            }
            Happening::SelfStopTimer { .. } => self.lost(),
            Happening::WatchdogFailed { why, .. } => self.past.watchdog = Some(why.clone()),
            Happening::Arbitration(_)
            | Happening::Serials(_)
            | Happening::Unprivileged { .. }
            | Happening::Stalled(_)
            | Happening::Slow { .. }
            | Happening::PathHung { .. }
            | Happening::PathBack { .. }
            | Happening::WatchdogArmed { .. }
            | Happening::WatchdogDisarmed
            | Happening::Missed(_) => {}
        }
    }

    /// Whatever the disk cannot fence may start.
    fn owner(&mut self) {
        let log_is_missing = self.log.is_some() && self.claimed.is_none();
        let mount_is_missing = self.args.mount.is_some() && !self.mounted;
        if self.phase != Phase::Contending || log_is_missing || mount_is_missing {
            return;
        }
        // The news may have waited; the proof may have run out since.
        if self.is_lost() {
            return self.lost();
        }
        if !self.is_proved() {
            return; // It is being taken again; that is told.
        }
        self.phase = Phase::Owning;
        self.past.owned_since = Some(clock::since_boot());
        if !self.args.command.is_empty() {
            self.start_command();
        } else if let Some(line) = &self.args.then {
            self.start_then(line.clone());
        }
        self.manager.status("owner of the disk");
        self.manager.ready();
    }

    fn is_proved(&self) -> bool {
        let ownership = self.arbiter.ownership();
        ownership.is_some_and(|ownership| ownership.check().is_ok())
    }

    /// There is no ownership any more: neither a proof, nor a disk that is being taken again.
    fn is_lost(&self) -> bool {
        let checked = self.arbiter.ownership().map(|ownership| ownership.check());
        checked.is_none_or(|checked| checked.is_err_and(|fenced| !fenced.retaking))
    }

    fn signalled(&mut self, signal: Signal) {
        if signal == HANDED_OVER {
            return self.arbiter.handed_over();
        }
        let at = clock::since_boot();
        let same = self
            .signalled_at
            .is_some_and(|before| at < before + ONE_SIGNAL);
        self.signalled_at = Some(at);
        if same {
            return;
        }
        self.print(What::Signal {
            name: signal.as_str().to_owned(),
        });
        let again = std::mem::replace(&mut self.asked, true);
        match (&self.command, self.phase) {
            (Some(command), Phase::Owning) => {
                command.stop(self.grace);
                self.phase = Phase::Stopping;
                // The keeper kills after the grace; one that is stopped itself does nothing.
                self.kill_keeper_at = Some(at + self.grace + KEEPER_LATE);
                self.manager.status("stopping the command");
                self.manager.stopping(self.grace + Duration::from_secs(5));
            }
            // Asked twice: at once.
            (Some(command), Phase::Stopping | Phase::Losing) => {
                command.kill();
                let soon = at + KEEPER_LATE;
                self.kill_keeper_at = Some(self.kill_keeper_at.map_or(soon, |due| due.min(soon)));
            }
            // Asked twice, and the disk does not answer: it is left as it is.
            (None, Phase::Releasing) if again => self.past.left = true,
            (Some(_), Phase::Contending | Phase::Releasing) | (None, _) => self.release(),
        }
    }

    fn print(&mut self, what: What) {
        self.print_at(clock::now(), what);
    }

    fn print_at(&mut self, at: Moment, what: What) {
        self.printer.print(Record::new(at, self.node, what));
    }

    fn end(mut self, context: &mut Context) -> Result<Exit, Failure> {
        let ending = Ending {
            disk: &self.args.disk,
            stopped: self.past.stopped.as_ref(),
            held: self.past.held,
            had_command: !self.args.command.is_empty(),
            status: self.past.status,
            waited_out: self.past.waited_out,
            left: self.past.left,
            watchdog: self.past.watchdog.as_deref(),
            not_started: self.past.not_started,
            log: self.past.log.take(),
        };
        let verdict = ending.verdict();
        let code = match &verdict {
            Ok(exit) => exit.code(),
            Err(failure) => failure.exit.code(),
        };
        let ended = What::Ended {
            code,
            owned_ms: ms(self.past.owned),
            clean_rounds: self.past.clean_rounds,
        };
        self.print(ended);
        match self.printer.end() {
            Some(output) => context.output = output,
            // Whoever reads stdout stands still, and must not hold up the news of a loss.
            None => std::process::exit(i32::from(code)),
        }
        verdict
    }
}

/// A notice's own time; it may have waited in a queue since.
fn moment(notice: &Notice) -> Moment {
    clock::at(notice.at.elapsed_since_zero())
}

/// Blocks the signals that ask for the end; one thread takes them.
pub(super) fn block_signals() -> Result<SigSet, Failure> {
    let mut signals = SigSet::empty();
    for signal in [HANDED_OVER, Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        signals.add(signal);
    }
    match default_sigchld().and_then(|()| signals.thread_block()) {
        Ok(()) => Ok(signals),
        Err(errno) => Err(cannot_start(&errno.to_string())),
    }
}

fn not_started(error: &StartError) -> Failure {
    match error {
        StartError::Lock(LockError::Taken { pid, path }) => Failure::new(
            Exit::Conflict,
            error.to_string(),
            match pid {
                // What it started still has the lock.
                Some(pid) if is_gone(*pid) => format!(
                    "process {pid} has ended, and what its command left behind still runs: `fuser -v {}` \
                     shows it; end that first",
                    path.display()
                ),
                Some(_) | None => {
                    "one arbiter a nexus on a host: stop that one first, or use another path"
                        .to_owned()
                }
            },
        ),
        StartError::Lock(LockError::File { .. }) => Failure::new(
            Exit::CannotOpen,
            error.to_string(),
            "make it writable: run as root, or with RuntimeDirectory=qctl in the unit",
        ),
        StartError::Watchdog(_) => Failure::new(
            Exit::Usage,
            error.to_string(),
            "choose a slower --profile, or leave --watchdog out",
        ),
        StartError::Host(error) => cannot_start(&error.to_string()),
    }
}

fn is_gone(pid: u32) -> bool {
    let pid = Pid::from_raw(pid.cast_signed());
    kill(pid, None) == Err(Errno::ESRCH)
}

fn cannot_start(why: &str) -> Failure {
    Failure::new(
        Exit::CannotOpen,
        format!("cannot start: {why}"),
        "see the limits of this process (ulimit -a)",
    )
}

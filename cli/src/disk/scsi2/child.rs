//! The command that runs while a reservation is held: in its own process group, and not longer than
//! `qctl` itself.
#![expect(
    unsafe_code,
    reason = "what a child does between fork and exec can only be said in unsafe code"
)]

use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::unistd::Pid;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::time::Duration;

/// How often a stopping command is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// A running command.
pub(super) struct Child {
    process: std::process::Child,
    group: Pid,
    status: Option<u8>,
}

impl Child {
    /// Starts it; it finds the disk's name in `QCTL_DISK`.
    pub(super) fn start(program: &OsStr, arguments: &[OsString], disk: &str) -> io::Result<Self> {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("QCTL_DISK", disk)
            .process_group(0);
        // SAFETY: between fork and exec only async-signal-safe calls are made: sigprocmask and prctl.
        unsafe {
            command.pre_exec(|| {
                SigSet::all().thread_unblock()?;
                prctl::set_pdeathsig(Signal::SIGKILL)?;
                Ok(())
            });
        }
        let process = command.spawn()?;
        let group = i32::try_from(process.id()).map(Pid::from_raw);
        Ok(Self {
            group: group.map_err(io::Error::other)?,
            process,
            status: None,
        })
    }

    /// Its status for the shell, if it has ended.
    pub(super) fn ended(&mut self) -> Option<u8> {
        if self.status.is_none() {
            self.status = match self.process.try_wait() {
                Ok(status) => status.map(for_the_shell),
                // Nobody else waits for it, so this does not happen; without a status there is no success.
                Err(_) => Some(u8::MAX),
            };
        }
        self.status
    }

    /// Signals its whole process group.
    pub(super) fn tell(&self, signal: Signal) {
        // A group that is gone needs no signal.
        let _ = killpg(self.group, signal);
    }

    /// Ends it: TERM, and KILL after the grace. Its status for the shell.
    pub(super) fn stop(&mut self, grace: Duration) -> u8 {
        let end = crate::clock::since_boot() + grace;
        self.tell(Signal::SIGTERM);
        loop {
            if let Some(status) = self.ended() {
                // What it left behind in its group ends with it.
                self.tell(Signal::SIGKILL);
                return status;
            }
            if crate::clock::since_boot() >= end {
                self.tell(Signal::SIGKILL);
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }
}

/// The exit status, or 128 and the signal.
fn for_the_shell(status: ExitStatus) -> u8 {
    let number = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(number).unwrap_or(u8::MAX)
}

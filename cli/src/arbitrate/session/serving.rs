//! What runs because the disk is ours: the command behind `--`, or the line of `--then`; and what is made of its news.
//!
//! Invariants: the command is started only with a proof of ownership that holds at that moment; when nothing is left of it
//! the disk is given back, or, once it is lost, left.

use super::{Heard, Phase, Session};
use crate::arbitrate::command::leash::unblock_signals;
use crate::arbitrate::command::{Fate, Job, Kept, Report, UNPROVED};
use crate::arbitrate::record::What;
use std::process::{Command, Stdio};

/// How often a command is started whose keeper came too late.
const STARTS_MAX: u32 = 3;

impl Session<'_> {
    pub(super) fn start_command(&mut self) {
        self.starts += 1;
        let Some(ownership) = self.arbiter.ownership() else {
            return;
        };
        let job = Job {
            command: self.args.command.clone(),
            environment: self.environment(),
            loss_grace: self.loss_grace,
        };
        let heard = self.heard_in.clone();
        let kept = self.arbiter.lock_descriptors().and_then(|locks| {
            Kept::start(&job, ownership, locks, move |fate| {
                let _loop_is_over = heard.send(Heard::Command(fate));
            })
        });
        match kept {
            Ok(kept) => self.command = Some(kept),
            Err(error) => {
                self.past.not_started = error.raw_os_error().or(Some(libc::EAGAIN));
                self.release();
            }
        }
    }

    /// It stands on its own: it neither ends with the ownership nor ends it.
    pub(super) fn start_then(&mut self, line: String) {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(&line).envs(self.environment());
        for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
            command.env_remove(name);
        }
        unblock_signals(&mut command);
        match command.stdin(Stdio::null()).spawn() {
            Ok(mut child) => {
                self.print(What::Remark {
                    text: format!("--then runs as process {}: {line}", child.id()),
                });
                let heard = self.heard_in.clone();
                std::thread::spawn(move || {
                    let how = child
                        .wait()
                        .map_or_else(|e| e.to_string(), |s| s.to_string());
                    let _loop_is_over = heard.send(Heard::Then(format!("--then has ended: {how}")));
                });
            }
            Err(error) => self.print(What::Remark {
                text: format!("--then could not be started: {error}"),
            }),
        }
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let mut environment = vec![("QCTL_DISK", self.args.disk.clone())];
        let key = self
            .arbiter
            .ownership()
            .and_then(|ownership| ownership.key());
        environment.extend(key.map(|key| ("QCTL_KEY", key.to_string())));
        let epoch = self.claimed.as_ref().map(|log| log.epoch());
        environment.extend(epoch.map(|epoch| ("QCTL_EPOCH", epoch.to_string())));
        environment
    }

    pub(super) fn command_did(&mut self, fate: Fate) {
        match fate {
            Fate::Told(Report::Started { pid }) => {
                let words = self.args.command.iter().map(|word| word.to_string_lossy());
                let command = words.collect::<Vec<_>>().join(" ");
                self.print(What::CommandStarted { pid, command });
            }
            Fate::Told(Report::NotStarted { errno }) => {
                let proof_ran_out = errno == UNPROVED;
                if proof_ran_out && self.is_lost() {
                    self.lost();
                }
                let is_wanted = proof_ran_out && self.phase == Phase::Owning;
                if is_wanted && self.starts < STARTS_MAX {
                    // The host was busy until the proof that its keeper had was too old. There is a newer one.
                    self.command = None;
                    return self.start_command();
                }
                // Asked to stop before it was started, it is one that never ran.
                if !proof_ran_out || self.phase != Phase::Stopping {
                    self.past.not_started = Some(errno);
                }
                self.command_ended();
            }
            Fate::Told(Report::Terminating { unproved }) => {
                let why = match (unproved, self.phase) {
                    (true, _) => "no proof of ownership came in time",
                    (false, Phase::Losing) => "the disk is lost",
                    (false, Phase::Owning | Phase::Stopping) => "asked to stop",
                    (false, Phase::Contending | Phase::Releasing) => "it should not run",
                };
                let why = why.to_owned();
                self.print(What::CommandTerminating { why });
            }
            Fate::Told(Report::Killing { processes }) => {
                // It is at work; what does not die hangs in the kernel, and would not die without it either.
                if self.phase == Phase::Stopping {
                    self.kill_keeper_at = None;
                }
                self.print(What::CommandKilled { processes });
            }
            Fate::Told(Report::Ended { status }) => {
                self.past.status = Some(status);
                self.print(What::CommandEnded { status });
                self.command_ended();
            }
            Fate::KeeperDied => {
                // As the kernel did to the command itself.
                let status = 128 + 9;
                self.past.status = Some(status);
                self.print(What::Remark {
                    text: "the command's keeper was killed, and all that it kept with it"
                        .to_owned(),
                });
                self.print(What::CommandEnded { status });
                self.command_ended();
            }
        }
    }

    pub(super) fn command_ended(&mut self) {
        self.command = None;
        self.kill_keeper_at = None;
        match self.phase {
            Phase::Losing => {
                self.detach();
                self.arbiter.disarm_watchdog();
            }
            Phase::Contending | Phase::Owning | Phase::Stopping => self.release(),
            Phase::Releasing => {}
        }
    }
}

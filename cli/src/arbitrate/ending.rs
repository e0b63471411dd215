//! How an arbitration ends: which code, which message, and what to do next.

use super::command::UNPROVED;
use super::telling::refusal;
use crate::exit::{Exit, Failure, Outcome};
use quorum_core::arbitration::{Refused, Stopped};
use scsi::reservation::Reservation;

/// Everything that decides the ending.
pub(super) struct Ending<'a> {
    /// The disk, as the user named it.
    pub(super) disk: &'a str,
    /// Why the machine stands still; none when the arbiter itself broke.
    pub(super) stopped: Option<&'a Stopped>,
    /// It was the owner, or held the disk, at some time.
    pub(super) held: bool,
    /// There was a command to run.
    pub(super) had_command: bool,
    /// The command's status, if it ran to an end.
    pub(super) status: Option<u8>,
    /// `--wait=DURATION` ran out.
    pub(super) waited_out: bool,
    /// It was asked to stop twice, and left before the disk had answered.
    pub(super) left: bool,
    /// The watchdog that was asked for could not be had.
    pub(super) watchdog: Option<&'a str>,
    /// The quorum log or the file system could not be used.
    pub(super) log: Option<Failure>,
    /// Why the command could not be started.
    pub(super) not_started: Option<i32>,
}

impl Ending<'_> {
    /// The code, or the failure with its message.
    pub(super) fn verdict(mut self) -> Result<Exit, Failure> {
        let log = self.log.take();
        let Some(stopped) = self.stopped else {
            return Err(if let Some(log) = log {
                log
            } else if self.left {
                self.gone()
            } else {
                self.broken()
            });
        };
        match stopped {
            Stopped::NotTaken { holder } if self.held => Err(self.lost(&format!(
                "another took it while it was being taken again{}",
                by(holder.as_ref())
            ))),
            Stopped::Refused(refused) if self.held => Err(self.lost(&refusal(refused))),
            Stopped::NotTaken { holder } => Err(self.not_taken(holder.as_ref())),
            Stopped::Refused(refused) => Err(self.refused(refused)),
            Stopped::Deposed { holder } => Err(self.lost(&format!(
                "the disk was lost to another{}",
                by(holder.as_ref())
            ))),
            Stopped::SelfStop { .. } => Err(self.lost("ownership could not be proved in time")),
            Stopped::Withdrawn if self.waited_out => Err(self.not_taken(None)),
            Stopped::Withdrawn if self.had_command => Err(never_ran()),
            Stopped::Released { .. } | Stopped::Parked | Stopped::Withdrawn if log.is_some() => {
                Err(log.expect("it is there"))
            }
            Stopped::Withdrawn => Ok(Exit::Done),
            Stopped::Parked => self.released(true),
            Stopped::Released { confirmed } => self.released(*confirmed),
        }
    }

    fn released(&self, confirmed: bool) -> Result<Exit, Failure> {
        if let Some(why) = self.watchdog {
            return Err(Failure::new(
                Exit::CannotOpen,
                format!("the watchdog could not be used, so the disk was given back: {why}"),
                "free the watchdog, choose a slower --profile, or leave --watchdog out",
            ));
        }
        if let Some(errno) = self.not_started {
            if errno == UNPROVED {
                return Err(Failure::new(
                    Exit::Command(126),
                    "the command was not started: ownership was not proved any more when its keeper was ready",
                    "see what kept this host from running for so long, or choose a slower --profile",
                ));
            }
            let error = std::io::Error::from_raw_os_error(errno);
            let code = if errno == libc::ENOENT { 127 } else { 126 };
            return Err(Failure::new(
                Exit::Command(code),
                format!("the command could not be started: {error}"),
                "name it by its full path, and see that it can be executed",
            ));
        }
        match self.status {
            Some(status) => Ok(Exit::Command(status)),
            // It held the disk, and was asked to stop before it owned it.
            None if confirmed && self.had_command => Err(never_ran()),
            None if confirmed => Ok(Exit::Done),
            None => Err(Failure::new(
                Exit::Unknown,
                "the disk was to be given back; whether anything of this node is left on it, nobody could read back",
                self.look(),
            )
            .outcome(Outcome::Unknown)),
        }
    }

    fn not_taken(&self, holder: Option<&Reservation>) -> Failure {
        Failure::new(
            Exit::Conflict,
            format!("another holds the disk{}", by(holder)),
            format!("{}, or contend until it is free: --wait", self.look()),
        )
    }

    fn lost(&self, why: &str) -> Failure {
        Failure::new(
            Exit::Lost,
            format!("was the owner and lost the disk: {why}"),
            format!("{}; the lines above tell what came before", self.look()),
        )
    }

    fn refused(&self, refused: &Refused) -> Failure {
        let message = format!("refused: {}", refusal(refused));
        let look = self.look();
        match refused {
            Refused::Foreign { .. } => Failure::new(
                Exit::Foreign,
                message,
                format!(
                    "{look}; the same --cluster and --profile on every node; --evict-foreign takes the disk \
                     from whoever that is"
                ),
            ),
            Refused::DuplicateNode { .. } => Failure::new(
                Exit::Foreign,
                message,
                "give every node a number of its own: --node",
            ),
            Refused::NoAptpl => Failure::new(
                Exit::Unsupported,
                message,
                "turn APTPL on at the target; --accept-no-aptpl goes on without, and then a power loss opens \
                 the disk to everybody until its owner has reserved it again",
            ),
            Refused::Unsupported(_) => Failure::new(
                Exit::Unsupported,
                message,
                format!("qctl disk check {}   (what it can do); --mode", self.disk),
            ),
            Refused::OtherProtocol => Failure::new(Exit::Conflict, message, look),
            Refused::NoPath(_) => Failure::new(
                Exit::Transport,
                message,
                "`qctl disk list` shows the paths that are there",
            ),
            Refused::CannotRegister(_) => Failure::new(Exit::IllegalRequest, message, look),
        }
    }

    fn gone(&self) -> Failure {
        Failure::new(
            Exit::Unknown,
            "left before the disk, the log or the state directory had answered; a file system of --mount may still be \
             mounted",
            self.look(),
        )
        .outcome(Outcome::Unknown)
    }

    fn broken(&self) -> Failure {
        let exit = if self.held { Exit::Lost } else { Exit::Unknown };
        Failure::new(
            exit,
            "the arbiter broke one of its own rules and stopped (the message is above); the disk was left as it was",
            format!("report this; {}", self.look()),
        )
        .outcome(Outcome::Unknown)
    }

    fn look(&self) -> String {
        format!("qctl disk show {}   (who holds it)", self.disk)
    }
}

fn never_ran() -> Failure {
    Failure::new(
        Exit::Conflict,
        "stopped before the command was started: it never ran",
        "nothing: it was asked to stop",
    )
}

fn by(holder: Option<&Reservation>) -> String {
    match holder {
        Some(Reservation {
            key: Some(key),
            kind,
        }) => format!(": {key} ({kind})"),
        Some(Reservation { key: None, kind }) => format!(": a {kind} reservation"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::Ending;
    use crate::exit::Exit;
    use quorum_core::arbitration::{Refused, Stopped};
    use std::time::Duration;

    fn ending(stopped: Option<&Stopped>) -> Ending<'_> {
        Ending {
            disk: "d",
            stopped,
            held: true,
            had_command: false,
            status: None,
            waited_out: false,
            left: false,
            watchdog: None,
            not_started: None,
            log: None,
        }
    }

    fn code(ending: Ending<'_>) -> u8 {
        match ending.verdict() {
            Ok(exit) => exit.code(),
            Err(failure) => failure.exit.code(),
        }
    }

    #[test]
    fn every_ending_has_the_code_of_the_contract() {
        let age = Duration::from_secs(1);
        let foreign = Refused::Foreign {
            registrations: Vec::new(),
        };
        for (stopped, expected) in [
            (Stopped::Released { confirmed: true }, 0),
            (Stopped::Released { confirmed: false }, 112),
            (Stopped::Withdrawn, 0),
            (Stopped::Parked, 0),
            (Stopped::NotTaken { holder: None }, 24),
            (Stopped::Deposed { holder: None }, 106),
            (Stopped::SelfStop { age }, 106),
            (Stopped::Refused(foreign), 113),
            (Stopped::Refused(Refused::NoAptpl), 9),
            (Stopped::Refused(Refused::NoPath(String::new())), 35),
        ] {
            let ending = Ending {
                held: false,
                ..ending(Some(&stopped))
            };
            assert_eq!(code(ending), expected, "{stopped:?}");
        }
        assert_eq!(code(ending(None)), Exit::Lost.code());
    }

    #[test]
    fn whoever_held_the_disk_and_is_refused_in_taking_it_again_has_lost_it() {
        for stopped in [
            Stopped::NotTaken { holder: None },
            Stopped::Refused(Refused::NoAptpl),
            Stopped::Refused(Refused::NoPath(String::new())),
        ] {
            assert_eq!(code(ending(Some(&stopped))), 106, "{stopped:?}");
        }
    }

    #[test]
    fn with_a_command_its_status_counts_unless_the_disk_was_lost_or_never_owned() {
        let with = |stopped: &Stopped, status| {
            code(Ending {
                had_command: true,
                status,
                ..ending(Some(stopped))
            })
        };
        assert_eq!(with(&Stopped::Released { confirmed: true }, Some(143)), 143);
        assert_eq!(with(&Stopped::Deposed { holder: None }, Some(143)), 106);
        assert_eq!(with(&Stopped::Withdrawn, None), 24);
        // It held the disk, and never came to own it.
        assert_eq!(with(&Stopped::Released { confirmed: true }, None), 24);
    }
}

//! How the program ends: the exit codes, and how an answer of a disk becomes a code, a message and the
//! next step.
//!
//! The meanings are those of sg3_utils where it has one. Every failure says whether anything was changed.

use crate::output::Report;
use scsi::disk::OpenError;
use scsi::reservation::{Answer, Refusal, Reservation, Uncertainty, Unsent, Verb};
use scsi::wire::sense::Sense;
use scsi::wire::status::Status;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Why the program ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// Done; a question was answered yes.
    Done,
    /// The arguments are wrong (clap's own 2 means "not ready" here).
    Usage,
    /// The disk is not ready, or busy.
    NotReady,
    /// A medium or hardware error.
    Medium,
    /// The disk refused the request.
    IllegalRequest,
    /// A unit attention; a change is not retried behind the operator's back.
    Attention,
    /// The disk, or this way to it, does not have the command.
    Unsupported,
    /// The command was aborted.
    Aborted,
    /// COMPARE AND WRITE did not compare, or what was written reads differently.
    Miscompare,
    /// The disk or file could not be opened, read or written.
    CannotOpen,
    /// Reservation conflict; the race was lost.
    Conflict,
    /// Timed out; after a change: outcome unknown.
    TimedOut,
    /// The transport failed, or what it brought cannot be believed.
    Transport,
    /// A question was answered no; a check found the disk unfit.
    No,
    /// The object that was named does not exist.
    NoSuch,
    /// It was the owner and lost the disk.
    Lost,
    /// A dangerous change without `--yes`.
    Unsafe,
    /// Outcome unknown, not by time.
    Unknown,
    /// Keys of another cluster or of other times are on the disk.
    Foreign,
    /// The status of the command that was run (128 + n on a signal).
    Command(u8),
}

impl Exit {
    /// Every code of its own, in order: the table of the manual page.
    pub(crate) const ALL: [Self; 19] = [
        Self::Done,
        Self::Usage,
        Self::NotReady,
        Self::Medium,
        Self::IllegalRequest,
        Self::Attention,
        Self::Unsupported,
        Self::Aborted,
        Self::Miscompare,
        Self::CannotOpen,
        Self::Conflict,
        Self::TimedOut,
        Self::Transport,
        Self::No,
        Self::NoSuch,
        Self::Lost,
        Self::Unsafe,
        Self::Unknown,
        Self::Foreign,
    ];

    /// The number that the shell sees.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Usage => 1,
            Self::NotReady => 2,
            Self::Medium => 3,
            Self::IllegalRequest => 5,
            Self::Attention => 6,
            Self::Unsupported => 9,
            Self::Aborted => 11,
            Self::Miscompare => 14,
            Self::CannotOpen => 15,
            Self::Conflict => 24,
            Self::TimedOut => 33,
            Self::Transport => 35,
            Self::No => 36,
            Self::NoSuch => 105,
            Self::Lost => 106,
            Self::Unsafe => 107,
            Self::Unknown => 112,
            Self::Foreign => 113,
            Self::Command(status) => status,
        }
    }

    /// One line for the manual page.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Done => "done; yes",
            Self::Usage => "the arguments are wrong",
            Self::NotReady => "the disk is not ready, or busy",
            Self::Medium => "medium or hardware error",
            Self::IllegalRequest => "the disk refused the request",
            Self::Attention => "unit attention; the change was not retried",
            Self::Unsupported => "not supported by the disk, or by this way to it",
            Self::Aborted => "the command was aborted",
            Self::Miscompare => "what was read is not what was expected",
            Self::CannotOpen => "cannot open, read or write",
            Self::Conflict => "reservation conflict, or the race was lost",
            Self::TimedOut => "timed out; after a change the OUTCOME IS UNKNOWN",
            Self::Transport => "transport error, or a reply that cannot be believed",
            Self::No => "answered no; check: the disk is unfit",
            Self::NoSuch => "no such object",
            Self::Lost => "was the owner and lost the disk",
            Self::Unsafe => "refused: unsafe without --yes",
            Self::Unknown => "OUTCOME UNKNOWN, not by time",
            Self::Foreign => "refused: another cluster's disk, or other times",
            Self::Command(_) => "the status of the command that was run",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Whether anything was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// Nothing was changed.
    None,
    /// It may or may not have happened.
    Unknown,
    /// What was sent was performed, all of it or a part, and something went wrong afterwards.
    Done,
}

impl Outcome {
    /// As JSON spells it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Unknown => "unknown",
            Self::Done => "done",
        }
    }

    /// What a person must be told.
    pub(crate) const fn words(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Unknown => Some(
                "OUTCOME UNKNOWN: the change may or may not have happened, or may happen later",
            ),
            Self::Done => Some("what was sent before was performed"),
        }
    }
}

/// A command that did not do what was asked: the code, what happened, and what to do next.
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// Whether anything was changed.
    pub(crate) outcome: Outcome,
    /// What happened, in one sentence or two.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) next: String,
    /// What was found or done on the way (a plan, a change that was made).
    pub(crate) report: Option<Box<dyn Report>>,
}

impl Failure {
    /// A failure that changed nothing.
    pub(crate) fn new(exit: Exit, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            exit,
            outcome: Outcome::None,
            message: message.into(),
            next: next.into(),
            report: None,
        }
    }

    /// Wrong arguments that clap cannot see.
    pub(crate) fn usage(message: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message, next)
    }

    /// With this outcome.
    #[must_use]
    pub(crate) fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// With what was found or done on the way.
    #[must_use]
    pub(crate) fn with(mut self, report: impl Report + 'static) -> Self {
        self.report = Some(Box::new(report));
        self
    }

    /// As a program reads it.
    pub(crate) fn json(&self) -> Value {
        json!({
            "code": self.exit.code(),
            "outcome": self.outcome.name(),
            "message": self.message,
            "next": self.next,
        })
    }

    /// The failure that not being able to open a disk is.
    pub(crate) fn of_open(error: &OpenError) -> Self {
        let exit = match error {
            OpenError::BadName { .. }
            | OpenError::Partition { .. }
            | OpenError::NotADisk { .. } => Exit::Usage,
            OpenError::NoSuchObject { .. }
            | OpenError::NoSuchTarget { .. }
            | OpenError::NoSuchLun { .. } => Exit::NoSuch,
            OpenError::NoReservations { .. } | OpenError::NotBuilt { .. } => Exit::Unsupported,
            OpenError::NotPermitted { .. }
            | OpenError::CannotOpen { .. }
            | OpenError::LoginRefused { .. } => Exit::CannotOpen,
            OpenError::TimedOut { .. } => Exit::TimedOut,
            OpenError::Transport { .. } => Exit::Transport,
        };
        Self::new(exit, error.to_string(), error.next_step())
    }

    /// The failure that this answer to `verb` is; `None` when the verb was performed.
    ///
    /// `disk` is the name that the user gave, for the next step.
    pub(crate) fn of_answer(verb: &Verb, answer: &Answer, disk: &str) -> Option<Self> {
        let name = verb.name();
        Some(match answer {
            Answer::Done(_) => return None,
            Answer::Conflict { holder } => Self::new(
                Exit::Conflict,
                format!("{name}: reservation conflict{}", held_by(holder.as_ref())),
                format!("qctl disk show {disk}   (who holds it, who is registered)"),
            ),
            Answer::Attention(attention) => Self::new(
                Exit::Attention,
                format!(
                    "{name} was not performed: a unit attention was pending \
                     ({:02X}/{:02X}, {})",
                    attention.asc,
                    attention.ascq,
                    crate::words::attention(*attention)
                ),
                format!(
                    "the attention is consumed now; look at what changed with `qctl disk show \
                     {disk}`, then ask again"
                ),
            ),
            Answer::Refused(refusal) => Self::of_refusal(name, refusal, disk),
            Answer::Unsupported => Self::new(
                Exit::Unsupported,
                format!("{name} is not supported by this disk, or by this way to it"),
                format!("qctl disk pr capabilities {disk}   (what it can do)"),
            ),
            Answer::OutcomeUnknown(why) => Self::of_uncertainty(verb, why, disk),
            Answer::NotSent(why) => Self::of_unsent(name, why, disk),
        })
    }

    fn of_refusal(name: &str, refusal: &Refusal, disk: &str) -> Self {
        let show = format!("qctl --trace disk show {disk}   (every command and its answer)");
        match refusal {
            Refusal::Sense(sense) => Self::new(
                of_sense(sense),
                format!("{name} was refused: {sense}"),
                show,
            ),
            Refusal::Status(code) => {
                let status = Status(*code);
                let exit = match status {
                    Status::TASK_ABORTED => Exit::Aborted,
                    _ => Exit::NotReady,
                };
                Self::new(
                    exit,
                    format!("{name} ended with {status}"),
                    "ask again later",
                )
            }
            Refusal::Nvme(status) => Self::new(
                of_nvme(*status),
                format!("{name} was refused with NVMe status {status:#05x}"),
                show,
            ),
            Refusal::Function(why) => Self::new(
                Exit::IllegalRequest,
                format!("{name} was refused by the target: {why}"),
                "see what the target allows this initiator; a reset of the logical unit may be allowed where one of the target is not",
            ),
            Refusal::Malformed(why) => Self::new(
                Exit::Transport,
                format!("{name}: the disk's reply cannot be believed: {why}"),
                show,
            ),
        }
    }

    fn of_uncertainty(verb: &Verb, why: &Uncertainty, disk: &str) -> Self {
        let name = verb.name();
        let changes = !verb.is_read();
        let (exit, message) = match why {
            Uncertainty::TimedOut => (
                Exit::TimedOut,
                format!("{name}: no answer within the time limit"),
            ),
            Uncertainty::Transport(why) if changes => (
                Exit::Unknown,
                format!("{name}: the transport failed: {why}"),
            ),
            Uncertainty::Transport(why) => (
                Exit::Transport,
                format!("{name}: the transport failed: {why}"),
            ),
        };
        if changes {
            Self::new(
                exit,
                message,
                format!("qctl disk show {disk}   (what is true now)"),
            )
            .outcome(Outcome::Unknown)
        } else {
            Self::new(
                exit,
                message,
                "look at the path (dmesg, `qctl disk list`); --timeout gives it longer",
            )
        }
    }

    fn of_unsent(name: &str, why: &Unsent, disk: &str) -> Self {
        match why {
            Unsent::NotPermitted(_) => Self::new(
                Exit::CannotOpen,
                format!("{name} was not sent: {why}"),
                "run it as root, or with that capability; `qctl disk list` shows what is missing",
            ),
            Unsent::NoPath(_) => Self::new(
                Exit::Transport,
                format!("{name} was not sent: {why}"),
                "`qctl disk list` shows the paths that are there",
            ),
            Unsent::Busy => Self::new(
                Exit::NotReady,
                format!("{name} was not sent: {why}"),
                format!("wait for it, then `qctl disk show {disk}`"),
            ),
        }
    }
}

fn held_by(holder: Option<&Reservation>) -> String {
    match holder {
        None => String::new(),
        Some(Reservation { key: None, kind }) => format!(" with a {} reservation", kind.words()),
        Some(Reservation {
            key: Some(key),
            kind,
        }) => format!(" with the {} reservation of {key}", kind.words()),
    }
}

/// The code of a sense key (SPC-4 4.5.6), as sg3_utils maps them.
fn of_sense(sense: &Sense) -> Exit {
    match (sense.key, sense.asc) {
        (0x2, _) => Exit::NotReady,
        (0x3 | 0x4, _) => Exit::Medium,
        (0x5, 0x20) => Exit::Unsupported,
        (0x6, _) => Exit::Attention,
        (0xb, _) => Exit::Aborted,
        (0xe, _) => Exit::Miscompare,
        _ => Exit::IllegalRequest,
    }
}

/// The code of an NVMe status (NVMe 2.0 figure "Generic Command Status Values").
fn of_nvme(status: u16) -> Exit {
    match status & 0x7ff {
        0x001 => Exit::Unsupported,
        0x007 => Exit::Aborted,
        0x082 => Exit::NotReady,
        0x083 => Exit::Conflict,
        0x285 => Exit::Miscompare,
        0x280..=0x2ff => Exit::Medium,
        _ => Exit::IllegalRequest,
    }
}

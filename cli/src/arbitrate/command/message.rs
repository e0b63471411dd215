//! What `qctl` and the keeper of its command say to each other: one line each way, in plain text.

use std::time::Duration;

/// [`Report::NotStarted`] because ownership was not proved any more when the keeper was ready.
pub(crate) const UNPROVED: i32 = libc::ECANCELED;

/// From `qctl` to the keeper. The end of the stream means that `qctl` is dead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    /// Ownership is proved until this point on CLOCK_BOOTTIME.
    Until(Duration),
    /// Ownership is lost: TERM, and KILL after the grace of a loss.
    Fence,
    /// End the command in good order: TERM, and KILL after this grace.
    Stop(Duration),
    /// KILL.
    Kill,
}

/// From the keeper to `qctl`. The end of the stream without [`Report::Ended`] means that it is dead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Report {
    /// The command runs.
    Started {
        /// Its process.
        pid: i32,
    },
    /// The command could not be started.
    NotStarted {
        /// The system's error number.
        errno: i32,
    },
    /// TERM was sent.
    Terminating {
        /// Because no further proof of ownership came in time, and `qctl` said nothing.
        unproved: bool,
    },
    /// KILL was sent: to the command, or to what it left behind.
    Killing {
        /// How many processes were there.
        processes: u32,
    },
    /// The command and everything it had started have ended.
    Ended {
        /// The command's status; 128 + n after signal n.
        status: u8,
    },
}

impl Order {
    pub(super) fn line(self) -> String {
        match self {
            Self::Until(at) => format!("until {}\n", nanoseconds(at)),
            Self::Fence => String::from("fence\n"),
            Self::Stop(grace) => format!("stop {}\n", nanoseconds(grace)),
            Self::Kill => String::from("kill\n"),
        }
    }

    pub(super) fn parse(line: &str) -> Option<Self> {
        match line.trim_end().split_once(' ') {
            Some(("until", at)) => Some(Self::Until(Duration::from_nanos(at.parse().ok()?))),
            Some(("stop", grace)) => Some(Self::Stop(Duration::from_nanos(grace.parse().ok()?))),
            Some(_) => None,
            None => match line.trim_end() {
                "fence" => Some(Self::Fence),
                "kill" => Some(Self::Kill),
                _ => None,
            },
        }
    }
}

impl Report {
    pub(super) fn line(self) -> String {
        match self {
            Self::Started { pid } => format!("started {pid}\n"),
            Self::NotStarted { errno } => format!("not-started {errno}\n"),
            Self::Terminating { unproved } => format!("terminating {unproved}\n"),
            Self::Killing { processes } => format!("killing {processes}\n"),
            Self::Ended { status } => format!("ended {status}\n"),
        }
    }

    pub(super) fn parse(line: &str) -> Option<Self> {
        let (word, value) = line.trim_end().split_once(' ')?;
        Some(match word {
            "started" => Self::Started {
                pid: value.parse().ok()?,
            },
            "not-started" => Self::NotStarted {
                errno: value.parse().ok()?,
            },
            "terminating" => Self::Terminating {
                unproved: value.parse().ok()?,
            },
            "killing" => Self::Killing {
                processes: value.parse().ok()?,
            },
            "ended" => Self::Ended {
                status: value.parse().ok()?,
            },
            _ => return None,
        })
    }
}

/// CLOCK_BOOTTIME and every grace fit for some five hundred years.
pub(super) fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Order, Report};
    use std::time::Duration;

    #[test]
    fn every_message_reads_as_it_was_written() {
        let span = Duration::from_nanos(1_234_567_890);
        for order in [
            Order::Until(span),
            Order::Fence,
            Order::Stop(span),
            Order::Kill,
        ] {
            assert_eq!(Order::parse(&order.line()), Some(order));
        }
        for report in [
            Report::Started { pid: 7 },
            Report::NotStarted { errno: 2 },
            Report::Terminating { unproved: true },
            Report::Killing { processes: 3 },
            Report::Ended { status: 143 },
        ] {
            assert_eq!(Report::parse(&report.line()), Some(report));
        }
        for wrong in ["", "until", "until x", "stop -1", "ended 256", "halt"] {
            assert_eq!(Order::parse(wrong), None);
            assert_eq!(Report::parse(wrong), None);
        }
    }
}

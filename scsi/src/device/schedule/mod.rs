//! The one language of fault schedules: which commands meet which fault. Pure.
//!
//! The fault wrapper of a [`super::Device`], the iSCSI target and the simulator read the same text.
//!
//! ```text
//! schedule = rule { ( ";" | newline ) rule }         "#" starts a comment, to the end of the line
//! rule     = [ when ] [ [ "on" ] what ] ":" action
//!
//! when     = "after" N        every match but the first N
//!          | "first" N        the first N matches
//!          | "at" N           the Nth match alone
//!          | "every" N        each Nth match
//!                             (nothing: every match)
//!
//! what     = "any" | a command's name | "opcode" XX [ "/" SA ]
//!          READ WRITE SYNC CAW TUR INQUIRY SPC2 RESERVE RELEASE PR-IN PR-OUT REGISTER PR-RESERVE PR-RELEASE
//!          CLEAR PREEMPT ABORT MOVE RESET         (nothing: any command that carries a CDB)
//!
//! action   = "drop"                      the connection goes before the command has an effect
//!          | "transport"                 performed, then the connection goes before the answer
//!          | "timeout-without-effect"    never performed, never answered
//!          | "timeout-with-effect"       performed, never answered
//!          | "late-effect" TIME          not answered, and performed TIME later
//!          | "delay" TIME                performed and answered, TIME later
//!          | "hang"                      this one and everything after it never answers
//!          | "sense" K/ASC/ASCQ          not performed; CHECK CONDITION with this sense (hex)
//!          | "status" XX                 not performed; this status (hex)
//!          | "conflict"                  not performed; RESERVATION CONFLICT
//!          | "lie"                       not performed; GOOD, and zeros where data were asked for
//!          | "truncate" N                performed; only the first N bytes of its data arrive
//!          | "clear" N/XX                performed; of byte N of its data these bits arrive as 0 (hex)
//!          | "reset" lun|target|bus|host the reset happens, then the command is performed
//!          | "nexus-loss"                the nexus is lost and comes back, then the command is performed
//!          | "power-cycle"               the device loses power and comes back, then the command is performed
//!
//! TIME     = a number with "us", "ms" or "s"
//! ```
//!
//! Examples: `after 3 PR-OUT: drop`; `every 5: delay 200ms`; `at 1 on WRITE: sense 06/29/00`.
//!
//! Invariants:
//! * what is printed parses to the same schedule;
//! * every rule counts its own matches, whether or not an earlier rule has decided the command;
//! * the first rule that fires decides; a command meets at most one fault;
//! * a word that is not in the language is an error that points at it, never ignored.

mod parse;
mod subject;

pub use parse::{ScheduleError, parse};
pub use subject::{Selector, Subject};

use crate::reservation::ResetScope;
use std::fmt;
use std::time::Duration;

/// When, among its matches, a rule fires.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum When {
    /// Every match.
    Always,
    /// Every match but the first so many.
    After(u64),
    /// The first so many.
    First(u64),
    /// This one alone, from 1.
    At(u64),
    /// Each so-manieth.
    Every(u64),
}

impl When {
    /// Does it fire on this match, from 1?
    const fn fires(self, nth: u64) -> bool {
        match self {
            Self::Always => true,
            Self::After(n) => nth > n,
            Self::First(n) => nth <= n,
            Self::At(n) => nth == n,
            Self::Every(n) => nth.is_multiple_of(n),
        }
    }
}

/// What happens to a command. The module says what each means.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// The connection goes before the command has an effect.
    Drop,
    /// Performed, then the connection goes before the answer.
    Transport,
    /// Never performed, never answered.
    TimeoutWithoutEffect,
    /// Performed, never answered.
    TimeoutWithEffect,
    /// Not answered, and performed so much later.
    LateEffect(Duration),
    /// Performed and answered, so much later.
    Delay(Duration),
    /// This one and everything after it never answers.
    Hang,
    /// Not performed; CHECK CONDITION with this sense.
    Sense {
        /// Sense key.
        key: u8,
        /// ADDITIONAL SENSE CODE.
        asc: u8,
        /// ADDITIONAL SENSE CODE QUALIFIER.
        ascq: u8,
    },
    /// Not performed; this SAM status.
    Status(u8),
    /// Not performed; RESERVATION CONFLICT.
    Conflict,
    /// Not performed; GOOD.
    Lie,
    /// Performed; only so many bytes of its data arrive.
    Truncate(usize),
    /// Performed; of one byte of its data these bits arrive as zeros.
    Clear {
        /// Which byte, from 0.
        byte: usize,
        /// Which of its bits.
        mask: u8,
    },
    /// This reset happens, then the command is performed.
    Reset(ResetScope),
    /// The nexus is lost and comes back, then the command is performed.
    NexusLoss,
    /// The device loses power and comes back, then the command is performed.
    PowerCycle,
}

/// One rule.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Rule {
    /// When, among its matches.
    pub when: When,
    /// Which commands it matches.
    pub selector: Selector,
    /// What happens.
    pub action: Action,
}

/// A schedule and how far it has come.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Schedule {
    rules: Vec<Rule>,
    matches: Vec<u64>,
}

impl Schedule {
    /// A schedule of these rules, from its beginning.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        let matches = vec![0; rules.len()];
        Self { rules, matches }
    }

    /// Its rules.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What happens to the next command; counts it.
    pub fn next(&mut self, subject: &Subject) -> Option<Action> {
        let mut decided = None;
        for (rule, matches) in self.rules.iter().zip(&mut self.matches) {
            if rule.selector.matches(subject) {
                *matches = matches.saturating_add(1);
                if rule.when.fires(*matches) {
                    decided = decided.or(Some(rule.action));
                }
            }
        }
        decided
    }
}

impl std::str::FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        parse(text).map(Self::new)
    }
}

/// The rules in the language, joined by `"; "`.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        self.rules.iter().try_for_each(|rule| {
            let done = write!(f, "{separator}{rule}");
            separator = "; ";
            done
        })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.when {
            When::Always => {}
            When::After(n) => write!(f, "after {n} ")?,
            When::First(n) => write!(f, "first {n} ")?,
            When::At(n) => write!(f, "at {n} ")?,
            When::Every(n) => write!(f, "every {n} ")?,
        }
        write!(f, "on {}: {}", self.selector, self.action)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drop => f.write_str("drop"),
            Self::Transport => f.write_str("transport"),
            Self::TimeoutWithoutEffect => f.write_str("timeout-without-effect"),
            Self::TimeoutWithEffect => f.write_str("timeout-with-effect"),
            Self::LateEffect(time) => write!(f, "late-effect {}", Time(*time)),
            Self::Delay(time) => write!(f, "delay {}", Time(*time)),
            Self::Hang => f.write_str("hang"),
            Self::Sense { key, asc, ascq } => write!(f, "sense {key:02x}/{asc:02x}/{ascq:02x}"),
            Self::Status(status) => write!(f, "status {status:02x}"),
            Self::Conflict => f.write_str("conflict"),
            Self::Lie => f.write_str("lie"),
            Self::Truncate(bytes) => write!(f, "truncate {bytes}"),
            Self::Clear { byte, mask } => write!(f, "clear {byte}/{mask:02x}"),
            Self::Reset(scope) => write!(f, "reset {}", scope_word(*scope)),
            Self::NexusLoss => f.write_str("nexus-loss"),
            Self::PowerCycle => f.write_str("power-cycle"),
        }
    }
}

/// The word for a scope in the language.
const fn scope_word(scope: ResetScope) -> &'static str {
    match scope {
        ResetScope::Lun => "lun",
        ResetScope::Target => "target",
        ResetScope::Bus => "bus",
        ResetScope::Host => "host",
    }
}

/// A time in the largest unit that keeps it whole.
struct Time(Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        if !micros.is_multiple_of(1_000) {
            write!(f, "{micros}us")
        } else if !micros.is_multiple_of(1_000_000) {
            write!(f, "{}ms", micros / 1_000)
        } else {
            write!(f, "{}s", micros / 1_000_000)
        }
    }
}

#[cfg(test)]
mod tests;

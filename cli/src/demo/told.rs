//! What the demo itself says, between the events of its nodes.

use super::verdict::Verdict;
use crate::clock::Moment;
use crate::contest::phases::{NAMES, Phases};
use crate::output::{BAD, FAINT, GOOD, Report, STRONG};
use serde::Serialize;
use serde_json::Value;
use std::io::{self, Write};

/// Something that the demo did or found.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Told {
    #[serde(flatten)]
    at: Moment,
    #[serde(flatten)]
    what: What,
}

/// What.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum What {
    /// It begins.
    Began {
        /// What initiators name the disk.
        url: String,
        /// How many nodes.
        nodes: usize,
        /// The profile's name.
        profile: String,
    },
    /// An act begins.
    Act {
        /// What is done, and to which node.
        text: String,
    },
    /// A signal was sent to a node's process.
    Signal {
        /// Whose.
        node: u8,
        /// Its name.
        signal: String,
    },
    /// A node whose process had ended has a new one.
    Restarted {
        /// Which.
        node: u8,
    },
    /// A write.
    Write {
        /// Over whose nexus.
        over: String,
        /// The SAM status.
        status: String,
        /// It was performed.
        performed: bool,
    },
    /// Where the time of a takeover went.
    Takeover {
        /// The owner that was lost.
        from: u8,
        /// The next one.
        by: u8,
        /// The phases.
        #[serde(flatten)]
        phases: Phases,
    },
    /// The end.
    Verdict(Verdict),
}

impl Told {
    /// Of this moment.
    pub(super) fn now(what: What) -> Self {
        let at = crate::clock::now();
        Self { at, what }
    }

    /// When.
    pub(super) const fn at_ns(&self) -> u64 {
        self.at.monotonic_ns
    }

    /// Is it the heading of an act?
    pub(super) const fn begins_an_act(&self) -> bool {
        matches!(self.what, What::Act { .. })
    }

    /// As a line of a timeline that began then.
    pub(super) const fn line(&self, began_ns: u64) -> Line<'_> {
        Line {
            told: self,
            began_ns,
        }
    }
}

/// A line of the timeline.
pub(super) struct Line<'a> {
    told: &'a Told,
    began_ns: u64,
}

impl Report for Line<'_> {
    fn schema(&self) -> &'static str {
        "demo"
    }

    fn json(&self) -> Value {
        serde_json::to_value(self.told).unwrap_or_default()
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        match &self.told.what {
            What::Began {
                url,
                nodes,
                profile,
            } => {
                writeln!(
                    page,
                    "{STRONG}{nodes} nodes and one quorum disk{STRONG:#} {FAINT}({url}, profile {profile}; what \
                     repeats is told once, --json has all){FAINT:#}"
                )
            }
            What::Act { text } => writeln!(page, "\n{STRONG}{text}{STRONG:#}"),
            What::Signal { node, signal } => {
                self.offset(page)?;
                let (label, words) = match signal.as_str() {
                    "SIGKILL" => ("killed", "SIGKILL, without a word"),
                    "SIGSTOP" => ("paused", "SIGSTOP: not one of its threads runs"),
                    _ => ("continued", "SIGCONT: for its program no time has passed"),
                };
                writeln!(page, "{BAD}node {node}  {label:<11} {words}{BAD:#}")
            }
            What::Restarted { node } => {
                self.offset(page)?;
                writeln!(page, "node {node}  started     as a new process")
            }
            What::Write {
                over,
                status,
                performed,
            } => {
                self.offset(page)?;
                let style = if *performed { GOOD } else { BAD };
                writeln!(
                    page,
                    "{FAINT}disk{FAINT:#}    write       over {over}: {style}{status}{style:#}"
                )
            }
            What::Takeover { phases, .. } => {
                self.offset(page)?;
                takeover(page, phases)
            }
            What::Verdict(verdict) => verdict.text(page),
        }
    }
}

impl Line<'_> {
    fn offset(&self, page: &mut dyn Write) -> io::Result<()> {
        let offset = crate::arbitrate::timeline::offset(self.told.at_ns(), self.began_ns);
        write!(page, "{FAINT}{offset:>9}{FAINT:#}  ")
    }
}

/// One line: every phase, and the sum.
fn takeover(page: &mut dyn Write, phases: &Phases) -> io::Result<()> {
    let parts: Vec<String> = NAMES
        .iter()
        .zip(phases.lengths())
        .map(|(name, ms)| format!("{name} {}", short(ms)))
        .collect();
    let (held, owner) = (short(phases.held_ms), short(phases.owner_ms));
    writeln!(
        page,
        "{STRONG}takeover{STRONG:#} in {STRONG}{held}{STRONG:#} held, {STRONG}{owner}{STRONG:#} owner: {}",
        parts.join(", ")
    )
}

fn short(ms: f64) -> String {
    if ms < 10.0 {
        format!("{ms:.1} ms")
    } else {
        format!("{ms:.0} ms")
    }
}

//! What the demo itself says, between the events of its nodes.

use super::verdict::Verdict;
use crate::clock::Moment;
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
        /// The emulated disk's file.
        file: String,
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
    /// A node was killed.
    Killed {
        /// Which.
        node: u8,
    },
    /// A write through a node's nexus.
    Write {
        /// Whose nexus.
        node: u8,
        /// The SAM status.
        status: String,
        /// It was performed.
        performed: bool,
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
                file,
                nodes,
                profile,
            } => {
                writeln!(
                    page,
                    "{STRONG}{nodes} nodes and one quorum disk{STRONG:#} {FAINT}(emulated in {file}, profile \
                     {profile}; what repeats is told once, --json has all){FAINT:#}"
                )
            }
            What::Act { text } => writeln!(page, "\n{STRONG}{text}{STRONG:#}"),
            What::Killed { node } => {
                self.offset(page)?;
                writeln!(
                    page,
                    "{BAD}node {node}  killed      SIGKILL, without a word{BAD:#}"
                )
            }
            What::Write {
                node,
                status,
                performed,
            } => {
                self.offset(page)?;
                let style = if *performed { GOOD } else { BAD };
                writeln!(
                    page,
                    "{FAINT}disk{FAINT:#}    write       over node {node}'s nexus: {style}{status}{style:#}"
                )
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

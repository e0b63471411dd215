//! What is checked of what happened: safety, from the nodes' own words and from the medium.

use super::play::{Played, SECOND};
use crate::arbitrate::record::{What, ms};
use crate::output::{BAD, FAINT, GOOD, STRONG};
use scsi::wire::status::Status;
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::Duration;

/// One check.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Check {
    /// What must hold.
    name: &'static str,
    /// It does.
    passed: bool,
    /// What was seen.
    seen: String,
}

/// All checks, and the figures that people ask for.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Verdict {
    checks: Vec<Check>,
    passed: usize,
    failed: usize,
    /// From the owner's death until the disk refused everybody but the next one.
    takeover_held_ms: Option<f64>,
    /// From the owner's death until the next one could start what the disk cannot fence.
    takeover_owner_ms: Option<f64>,
    /// From the request to stop until the next one was the owner.
    handover_owner_ms: Option<f64>,
}

/// One node's hold on the disk: from its first clean round to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Term {
    node: u8,
    key: Option<String>,
    held_ns: u64,
    owner_ns: Option<u64>,
    ended_ns: Option<u64>,
}

/// Judges.
pub(super) fn judge(played: &Played) -> Verdict {
    let terms = terms(played);
    let mut checks = vec![
        one_at_a_time(&terms),
        no_key_twice(&terms),
        living_owners_write(played),
        dead_owner_refused(played),
        nothing_left(played),
    ];
    if let Some(why) = &played.cut_short {
        checks.push(Check {
            name: "the play came to its end",
            passed: false,
            seen: why.clone(),
        });
    }
    let failed = checks.iter().filter(|check| !check.passed).count();
    let since = |from: Option<u64>, to: Option<u64>| {
        let nanoseconds = to?.checked_sub(from?)?;
        Some(ms(Duration::from_nanos(nanoseconds)))
    };
    let killed = played.killed.map(|(_, at)| at);
    let asked = played
        .records
        .iter()
        .find(|record| matches!(record.what, What::Signal { .. }))
        .map(|record| record.monotonic_ns);
    Verdict {
        passed: checks.len() - failed,
        failed,
        takeover_held_ms: since(killed, terms.get(1).map(|term| term.held_ns)),
        takeover_owner_ms: since(killed, terms.get(1).and_then(|term| term.owner_ns)),
        handover_owner_ms: since(asked, terms.get(2).and_then(|term| term.owner_ns)),
        checks,
    }
}

/// The terms, by the time at which the disk was held. A killed node's ends with its death.
fn terms(played: &Played) -> Vec<Term> {
    let mut records: Vec<_> = played.records.iter().collect();
    records.sort_by_key(|record| record.monotonic_ns);
    let mut terms: Vec<Term> = Vec::new();
    for record in records {
        if let What::Held { key } = &record.what {
            terms.push(Term {
                node: record.node,
                key: key.clone(),
                held_ns: record.monotonic_ns,
                owner_ns: None,
                ended_ns: None,
            });
        }
        let Some(own) = terms
            .iter_mut()
            .find(|term| term.node == record.node && term.ended_ns.is_none())
        else {
            continue;
        };
        if matches!(record.what, What::Owner { .. }) {
            own.owner_ns = Some(record.monotonic_ns);
        }
        // Asked to stop it is still the owner; it is over when the disk is free, or the proof is void.
        if matches!(record.what, What::Stopped { .. } | What::Fenced { .. }) {
            own.ended_ns = Some(record.monotonic_ns);
        }
    }
    if let Some((node, at)) = played.killed {
        for term in &mut terms {
            if term.node == node && term.ended_ns.is_none() {
                term.ended_ns = Some(at);
            }
        }
    }
    terms
}

fn one_at_a_time(terms: &[Term]) -> Check {
    let overlap = terms
        .windows(2)
        .find(|pair| pair[0].ended_ns.is_none_or(|ended| ended > pair[1].held_ns));
    let owners: Vec<String> = terms
        .iter()
        .map(|term| format!("node {}", term.node))
        .collect();
    Check {
        name: "one owner at a time",
        passed: overlap.is_none() && owners.len() >= 3,
        seen: match overlap {
            None => owners.join(", then "),
            Some(pair) => format!(
                "node {} held the disk before node {} had ended",
                pair[1].node, pair[0].node
            ),
        },
    }
}

fn no_key_twice(terms: &[Term]) -> Check {
    let keys: BTreeSet<&String> = terms.iter().filter_map(|term| term.key.as_ref()).collect();
    Check {
        name: "every term has a key of its own",
        passed: keys.len() == terms.len() && !terms.is_empty(),
        seen: format!("{} terms, {} keys", terms.len(), keys.len()),
    }
}

fn living_owners_write(played: &Played) -> Check {
    let writes = [played.writes.first_owner, played.writes.second_owner];
    Check {
        name: "a living owner's write is performed",
        passed: writes == [Some(Status::GOOD); 2],
        seen: writes.map(words).join(", then "),
    }
}

fn dead_owner_refused(played: &Played) -> Check {
    let status = played.writes.dead_owner;
    let reads = played.writes.reads.as_deref();
    Check {
        name: "the dead owner's late write is refused",
        passed: status == Some(Status::RESERVATION_CONFLICT) && reads == Some(SECOND),
        seen: format!(
            "{}; the block reads \"{}\"",
            words(status),
            reads.unwrap_or_default()
        ),
    }
}

fn nothing_left(played: &Played) -> Check {
    let free = played
        .left
        .as_ref()
        .is_some_and(|state| state.reservation.is_none() && state.registrations.is_empty());
    let clean = !played.codes.is_empty() && played.codes.iter().all(|(_, code)| *code == Some(0));
    let codes: Vec<String> = played
        .codes
        .iter()
        .map(|(node, code)| match code {
            Some(code) => format!("node {node} ended with {code}"),
            None => format!("node {node} ended by a signal"),
        })
        .collect();
    let left = if free {
        "nobody is registered"
    } else {
        "something is left on the disk"
    };
    Check {
        name: "a clean stop leaves a free disk",
        passed: free && clean,
        seen: format!("{}; {left}", codes.join(", ")),
    }
}

fn words(status: Option<Status>) -> String {
    status.map_or_else(|| "never tried".to_owned(), |status| status.to_string())
}

impl Verdict {
    /// How many checks failed.
    pub(super) const fn failed(&self) -> usize {
        self.failed
    }

    /// For people.
    pub(super) fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        writeln!(page)?;
        for check in &self.checks {
            let (mark, style) = if check.passed {
                ("ok", GOOD)
            } else {
                ("FAILED", BAD)
            };
            let (name, seen) = (check.name, &check.seen);
            writeln!(
                page,
                "  {style}{mark:<6}{style:#} {name:<40} {FAINT}{seen}{FAINT:#}"
            )?;
        }
        writeln!(page)?;
        if let (Some(held), Some(owner)) = (self.takeover_held_ms, self.takeover_owner_ms) {
            writeln!(
                page,
                "  a dead owner's disk was held again after {STRONG}{:.2} s{STRONG:#}, with a new owner after \
                 {STRONG}{:.2} s{STRONG:#}",
                held / 1000.0,
                owner / 1000.0
            )?;
        }
        if let Some(owner) = self.handover_owner_ms {
            writeln!(
                page,
                "  a disk that was given back had a new owner after {STRONG}{:.2} s{STRONG:#}",
                owner / 1000.0
            )?;
        }
        let style = if self.failed == 0 { GOOD } else { BAD };
        let (passed, failed) = (self.passed, self.failed);
        writeln!(page, "  {style}{passed} passed, {failed} failed{style:#}")
    }
}

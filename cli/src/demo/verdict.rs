//! What is checked of what happened: safety, from the nodes' own words and from the medium.

use super::play::{LAST_WORDS, Played, Struck, Written};
use crate::arbitrate::record::{Record, What, ms};
use crate::output::{BAD, FAINT, GOOD, STRONG};
use scsi::wire::status::Status;
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::Duration;

/// Was the owner and lost it.
const LOST: Option<i32> = Some(106);

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
    /// From SIGCONT until the owner that had been paused knew that it is none any more.
    noticed_ms: Option<f64>,
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
        stranger_refused(played),
        dead_owner_refused(played, &terms),
        paused_owner_notices(played),
        an_epoch_a_term(played, &terms),
        parked(played, &terms),
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
    let killed = played.takeovers.first();
    let asked = first(played, 0, |what| matches!(what, What::Signal { .. }));
    let continued = played.continued.map(|(at, _)| at);
    Verdict {
        passed: checks.len() - failed,
        failed,
        takeover_held_ms: killed.map(|phases| phases.held_ms),
        takeover_owner_ms: killed.map(|phases| phases.owner_ms),
        handover_owner_ms: since(asked, terms.get(2).and_then(|term| term.owner_ns)),
        noticed_ms: since(continued, noticed(played).map(|record| record.monotonic_ns)),
        checks,
    }
}

/// When something of this kind happened first, after that time.
fn first(played: &Played, after_ns: u64, wanted: fn(&What) -> bool) -> Option<u64> {
    let times = played
        .records
        .iter()
        .filter(|record| record.monotonic_ns >= after_ns && wanted(&record.what))
        .map(|record| record.monotonic_ns);
    times.min()
}

/// The terms, by the time at which the disk was held. A killed or paused node's ends when it was struck.
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
        let struck_ns = struck(played, own);
        if struck_ns.is_some_and(|at_ns| at_ns <= record.monotonic_ns) {
            own.ended_ns = struck_ns;
        } else if matches!(record.what, What::Owner { .. }) {
            own.owner_ns = Some(record.monotonic_ns);
        } else if matches!(
            record.what,
            What::LogParking { .. } | What::Stopped { .. } | What::Fenced { .. }
        ) {
            // Asked to stop it is still the owner; it is over when the mark is sent, the disk is free, or the proof is void.
            own.ended_ns = Some(record.monotonic_ns);
        }
    }
    for term in &mut terms {
        term.ended_ns = term.ended_ns.or_else(|| struck(played, term));
    }
    terms
}

/// When its process was killed or paused.
fn struck(played: &Played, term: &Term) -> Option<u64> {
    [played.killed, played.paused]
        .into_iter()
        .flatten()
        .filter(|struck| struck.node == term.node && struck.at_ns >= term.held_ns)
        .map(|struck| struck.at_ns)
        .min()
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
        passed: overlap.is_none() && owners.len() == 4,
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

fn stranger_refused(played: &Played) -> Check {
    let stranger = played.writes.stranger;
    Check {
        name: "a stranger's write is refused",
        passed: is_refused(stranger),
        seen: words(stranger),
    }
}

/// Until it was deposed the disk was the dead one's; what it had in flight may be performed till then.
fn dead_owner_refused(played: &Played, terms: &[Term]) -> Check {
    let writes = &played.writes;
    let deposed_ns = terms.get(1).map(|term| term.held_ns);
    let before = writes.last_words.is_some_and(|written| {
        written.status == Status::GOOD || deposed_ns.is_some_and(|at| at <= written.at_ns)
    });
    let reads = writes.reads.as_deref().unwrap_or_default();
    let only_then = reads == LAST_WORDS || !before;
    Check {
        name: "the dead owner's late write is refused",
        passed: before && is_refused(writes.dead) && only_then,
        seen: format!(
            "before the takeover {}, after it {}; the block reads \"{reads}\"",
            words(writes.last_words),
            words(writes.dead)
        ),
    }
}

fn paused_owner_notices(played: &Played) -> Check {
    let (at_ns, code) = played.continued.unwrap_or((u64::MAX, None));
    let node = played.paused.map(|struck| struck.node);
    let acted = played.records.iter().any(|record| {
        let acts = matches!(
            record.what,
            What::Held { .. } | What::Owner { .. } | What::Defended { .. } | What::Retaken { .. }
        );
        acts && Some(record.node) == node && record.monotonic_ns >= at_ns
    });
    let unchanged = played.writes.reads.as_deref() == Some(LAST_WORDS);
    let medium = if unchanged { "unchanged" } else { "CHANGED" };
    Check {
        name: "a paused owner notices, and has written nothing",
        passed: code == LOST
            && !acted
            && noticed(played).is_some()
            && unchanged
            && is_refused(played.writes.paused),
        seen: format!(
            "ended with {}; its nexus: {}; the block is {medium}",
            code.map_or_else(|| "nothing".to_owned(), |code| code.to_string()),
            words(played.writes.paused)
        ),
    }
}

/// The first word of the paused owner, after it was continued, that it is none any more.
fn noticed(played: &Played) -> Option<&Record> {
    let Struck { node, .. } = played.paused?;
    let (continued_ns, _) = played.continued?;
    let told = played.records.iter().filter(|record| {
        record.node == node
            && record.monotonic_ns >= continued_ns
            && matches!(record.what, What::Fenced { .. } | What::Stopped { .. })
    });
    told.min_by_key(|record| record.monotonic_ns)
}

/// The log on the disk is claimed once a term, by its owner, and ends with the last.
fn an_epoch_a_term(played: &Played, terms: &[Term]) -> Check {
    let mut claims: Vec<(u64, u8, u64)> = played
        .records
        .iter()
        .filter_map(|record| {
            let What::LogClaimed { epoch, .. } = record.what else {
                return None;
            };
            Some((record.monotonic_ns, record.node, epoch))
        })
        .collect();
    claims.sort_unstable();
    let in_order = claims
        .iter()
        .zip(terms)
        .zip(1..)
        .all(|(((_, node, epoch), term), number)| *epoch == number && *node == term.node);
    let last = played.log.as_ref().map(|root| root.epoch.0);
    let words: Vec<String> = claims
        .iter()
        .map(|(_, node, epoch)| format!("epoch {epoch} by node {node}"))
        .collect();
    Check {
        name: "the log on the disk has an epoch for each term",
        passed: in_order
            && claims.len() == terms.len()
            && last == claims.last().map(|(_, _, epoch)| *epoch),
        seen: words.join(", "),
    }
}

/// The last owner holds the disk still, and has said in the log that it writes nothing more.
fn parked(played: &Played, terms: &[Term]) -> Check {
    let key = terms.last().and_then(|term| term.key.clone());
    let mark = played.log.as_ref().and_then(|root| root.parked);
    let named = mark.and_then(|mark| scsi::reservation::Key::new(mark.owner.key));
    let alone = played.left.as_ref().is_some_and(|state| {
        let holder = state.reservation.and_then(|held| held.key);
        state.registrations.len() == 1 && holder.is_some() && holder == named
    });
    let same = named.map(|key| key.to_string()) == key;
    let clean = !played.codes.is_empty() && played.codes.iter().all(|(_, code)| *code == Some(0));
    let codes: Vec<String> = played
        .codes
        .iter()
        .map(|(node, code)| match code {
            Some(code) => format!("node {node} ended with {code}"),
            None => format!("node {node} ended by a signal"),
        })
        .collect();
    let left = if alone && same {
        "the last owner's key is parked, and nobody else registered"
    } else {
        "something else is left on the disk"
    };
    Check {
        name: "a clean stop leaves a parked disk",
        passed: alone && same && clean,
        seen: format!("{}; {left}", codes.join(", ")),
    }
}

fn is_refused(written: Option<Written>) -> bool {
    written.is_some_and(|written| written.status == Status::RESERVATION_CONFLICT)
}

fn words(written: Option<Written>) -> String {
    written.map_or_else(
        || "never tried".to_owned(),
        |written| written.status.to_string(),
    )
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
                "  {style}{mark:<6}{style:#} {name:<47} {FAINT}{seen}{FAINT:#}"
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
                "  a disk that was parked had a new owner after {STRONG}{:.2} s{STRONG:#}",
                owner / 1000.0
            )?;
        }
        if let Some(noticed) = self.noticed_ms {
            writeln!(
                page,
                "  an owner that had been paused knew {STRONG}{noticed:.1} ms{STRONG:#} after it came back"
            )?;
        }
        let style = if self.failed == 0 { GOOD } else { BAD };
        let (passed, failed) = (self.passed, self.failed);
        writeln!(page, "  {style}{passed} passed, {failed} failed{style:#}")
    }
}

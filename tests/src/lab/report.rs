//! What the lab says: a line for each case as it ends, then what failed and why, and the counts in the last line.
#![expect(
    clippy::print_stdout,
    reason = "a program's results go to stdout; this file prints them all"
)]

use anyhow::{Context as _, Result};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// How a case ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Passed,
    /// What was not as it must be.
    Failed(String),
    /// Why it was not played.
    Skipped(String),
}

/// A case that is over.
#[derive(Clone, Debug)]
pub(crate) struct CaseResult {
    pub(crate) group: String,
    /// Group and name; and which of several times.
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    /// Why its guest had to be restored more than once.
    pub(crate) retried: Option<String>,
    pub(crate) took: Duration,
    /// What the case asked to show.
    pub(crate) shown: Vec<String>,
}

/// Says something.
pub(crate) fn say(text: &str) {
    println!("{text}");
}

/// Says how a case ended.
pub(crate) fn say_case(result: &CaseResult) {
    let word = match result.verdict {
        Verdict::Passed => "ok     ",
        Verdict::Failed(_) => "FAILED ",
        Verdict::Skipped(_) => "skipped",
    };
    say(&format!(
        "{word} {:6.1} s  {}",
        result.took.as_secs_f64(),
        result.name
    ));
    for text in &result.shown {
        for line in text.lines() {
            say(&format!("    | {line}"));
        }
    }
    // The whole of it comes at the end.
    if let Verdict::Failed(why) = &result.verdict {
        say(&format!("    ! {}", why.lines().next().unwrap_or_default()));
    }
}

/// Says all that remains to be said; true when nothing failed.
pub(crate) fn say_end(results: &[CaseResult], remarks: &[String]) -> bool {
    let count =
        |is: fn(&Verdict) -> bool| results.iter().filter(|result| is(&result.verdict)).count();
    let failed = count(|verdict| matches!(verdict, Verdict::Failed(_)));
    let skipped = count(|verdict| matches!(verdict, Verdict::Skipped(_)));
    let passed = count(|verdict| matches!(verdict, Verdict::Passed));
    for result in results {
        if let Verdict::Failed(why) = &result.verdict {
            say(&format!("\nFAILED {}\n{}", result.name, indent(why)));
        }
    }
    say("\ngroup            cases    time of its cases");
    let mut groups: Vec<&str> = results.iter().map(|result| result.group.as_str()).collect();
    groups.dedup();
    for group in groups {
        let of_group = results.iter().filter(|result| result.group == group);
        let took: Duration = of_group.clone().map(|result| result.took).sum();
        say(&format!(
            "{group:<16} {:>5} {:>10.1} s",
            of_group.count(),
            took.as_secs_f64()
        ));
    }
    for remark in remarks {
        say(&format!("note: {remark}"));
    }
    for result in results {
        if let Verdict::Skipped(why) = &result.verdict {
            say(&format!("skipped {}: {why}", result.name));
        }
        if let Some(why) = &result.retried {
            say(&format!("retried {}: {why}", result.name));
        }
    }
    let retried = results
        .iter()
        .filter(|result| result.retried.is_some())
        .count();
    if retried > 0 {
        say(&format!("{retried} retried (named above)"));
    }
    say(&format!(
        "{passed} passed, {failed} failed, {skipped} skipped"
    ));
    failed == 0
}

/// Writes the results for programs.
pub(crate) fn write_json(results: &[CaseResult], remarks: &[String], to: &Path) -> Result<()> {
    let count = |word: &str| {
        results
            .iter()
            .filter(|result| word_of(result) == word)
            .count()
    };
    let cases: Vec<_> = results
        .iter()
        .map(|result| {
            let why = match &result.verdict {
                Verdict::Passed => None,
                Verdict::Failed(why) | Verdict::Skipped(why) => Some(why),
            };
            json!({
                "name": result.name,
                "group": result.group,
                "verdict": word_of(result),
                "why": why,
                "retried": result.retried,
                "took_ms": u64::try_from(result.took.as_millis()).unwrap_or(u64::MAX),
                "shown": result.shown,
            })
        })
        .collect();
    let document = json!({
        "passed": count("passed"),
        "failed": count("failed"),
        "skipped": count("skipped"),
        "retried": results.iter().filter(|result| result.retried.is_some()).count(),
        "remarks": remarks,
        "cases": cases,
    });
    std::fs::write(to, serde_json::to_string_pretty(&document)? + "\n")
        .with_context(|| format!("write {}", to.display()))
}

const fn word_of(result: &CaseResult) -> &'static str {
    match result.verdict {
        Verdict::Passed => "passed",
        Verdict::Failed(_) => "failed",
        Verdict::Skipped(_) => "skipped",
    }
}

fn indent(text: &str) -> String {
    text.lines()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

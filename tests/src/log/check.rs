//! Is every record that was said to be acknowledged still there?

use crate::record::Seeds;
use crate::say;
use anyhow::{Context as _, Result, ensure};
use qlog::storage::FileStorage;
use std::path::Path;

/// Opens the log and compares it with what its owners said.
pub(crate) fn check(log: &Path, said: &Path) -> Result<()> {
    let said = std::fs::read_to_string(said).context("read what was said")?;
    let storage = FileStorage::open(log).context("open")?;
    let mut seeds = Seeds::default();
    let found = qlog::open(storage, &mut seeds).context("open the log")?;
    ensure!(seeds.wrong.is_none(), "{:?}", seeds.wrong);
    let mut acknowledged = 0_u64;
    let stops = stops(&said)?;
    for (lsn, seed) in said.lines().filter_map(parse) {
        let index = usize::try_from(lsn).unwrap_or(usize::MAX).wrapping_sub(1);
        let there = seeds.seeds.get(index);
        ensure!(
            there == Some(&seed),
            "LOST: LSN {lsn} was acknowledged with the seed {seed}, and there is {there:?}; the log has {} records",
            seeds.seeds.len()
        );
        acknowledged += 1;
    }
    say(&format!(
        "kept {acknowledged} acknowledged of {} records, epoch {}, checkpoint {}\n",
        seeds.seeds.len(),
        found.epoch(),
        found.checkpoint_lsn()
    ));
    for (from, to) in stops {
        say(&format!(
            "an owner's log stopped, LSN {from}..{to} unknown to it, and it acknowledged nothing later\n"
        ));
    }
    for note in found.notes() {
        say(&format!("note: {note}\n"));
    }
    Ok(())
}

/// The ranges that owners whose logs stopped did not know; or which of them acknowledged one of these, or anything later.
fn stops(said: &str) -> Result<Vec<(u64, u64)>> {
    let mut stops = Vec::new();
    let mut highest = 0;
    let mut stopped = false;
    for line in said.lines() {
        if line.starts_with("epoch ") {
            (highest, stopped) = (0, false);
        } else if let Some((lsn, _)) = parse(line) {
            ensure!(
                !stopped,
                "LSN {lsn} was acknowledged after the log had stopped"
            );
            highest = highest.max(lsn);
        } else if let Some((from, to)) = numbers(line, "S ") {
            ensure!(
                highest < from,
                "LSN {highest} was acknowledged, and is said to be unknown from LSN {from} on"
            );
            stopped = true;
            stops.push((from, to));
        }
    }
    Ok(stops)
}

/// `A LSN SEED`; a last line that was cut short is none.
fn parse(line: &str) -> Option<(u64, u64)> {
    numbers(line, "A ")
}

fn numbers(line: &str, start: &str) -> Option<(u64, u64)> {
    let mut words = line.strip_prefix(start)?.split(' ');
    let first = words.next()?.parse().ok()?;
    Some((first, words.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::stops;

    #[test]
    fn an_owner_whose_log_has_stopped_acknowledges_nothing_from_there_on() {
        let good = "epoch 1\nA 7 1\nA 6 2\nS 8 9\nlab-log: append\nepoch 2\nA 8 3\n";
        assert_eq!(stops(good).unwrap(), [(8, 9)]);
        assert!(stops("epoch 1\nA 7 1\nS 7 9\n").is_err());
        assert!(stops("epoch 1\nS 7 9\nA 6 1\n").is_err());
    }
}

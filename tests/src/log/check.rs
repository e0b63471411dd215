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
    for note in found.notes() {
        say(&format!("note: {note}\n"));
    }
    Ok(())
}

/// `A LSN SEED`; a last line that was cut short is none.
fn parse(line: &str) -> Option<(u64, u64)> {
    let mut words = line.strip_prefix("A ")?.split(' ');
    let lsn = words.next()?.parse().ok()?;
    Some((lsn, words.next()?.parse().ok()?))
}

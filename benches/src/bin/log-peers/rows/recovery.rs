//! Open and replay of 100,000 records, cold.
//!
//! Everybody's log is written anew for each round, by the same number of commits, by a process that ends without
//! closing it; its files are dropped from the page cache; another process opens it and reads every record. What was
//! read is compared with what was written.

use std::{fs, path::Path, time::Instant};

use anyhow::{Result, ensure};

use crate::{
    child::{self, Opened, Shape},
    cold,
    engine::{BATCH_RECORDS, Tally},
    engines::raw::read_direct,
    goals::{Goal, Other},
    payload,
    report::{Row, Unit},
    rounds::Contender,
    rows::{Bench, RAW},
};

const RECORDS: usize = 100_000;
const RECORD_BYTES: usize = 256;
const GOALS: &[Goal] = &[Goal::SpeedAtLeast(2.0, Other::BestPeer)];

/// The records of the log.
pub(crate) fn records(seed: u64) -> Vec<Vec<u8>> {
    payload::records(seed, RECORDS, RECORD_BYTES)
}

pub(super) fn measure(bench: &mut Bench<'_>) -> Result<Vec<Row>> {
    let dir = bench.row_dir("recovery")?;
    let dir = &dir;
    let records = records(bench.seed);
    let expected = payload::tally(&records);
    let bytes = records.concat();
    let seed = bench.seed;

    let mut contenders = vec![Contender {
        name: RAW.into(),
        turn: Box::new(|| raw_turn(&dir.join(RAW), &bytes)),
    }];
    for engine in bench.engines {
        let turn = move || turn(engine.name(), dir, Shape::Recovery, seed, expected);
        contenders.push(Contender {
            name: engine.name().into(),
            turn: Box::new(move || Ok(turn()?.milliseconds())),
        });
    }
    let samples = bench.rounds.run(contenders)?;
    let title = format!(
        "open and replay of {RECORDS} x {RECORD_BYTES} B, cold: written by {} commits of {BATCH_RECORDS}, not closed, \
         evicted with posix_fadvise DONTNEED, opened in a process of its own",
        RECORDS.div_ceil(BATCH_RECORDS)
    );
    Ok(vec![Row::new(
        "recovery",
        title,
        Unit::Milliseconds,
        samples,
        GOALS,
    )])
}

/// Writes a log, evicts it, opens it, and removes it. Nobody gains by reading less than was written.
pub(super) fn turn(
    engine: &str,
    dir: &Path,
    shape: Shape,
    seed: u64,
    expected: Tally,
) -> Result<Opened> {
    let dir = dir.join(engine);
    child::start_write(engine, &dir, shape, seed)?;
    cold::evict(&dir)?;
    let opened = child::start_open(engine, &dir)?;
    let read = opened.tally();
    ensure!(
        read == expected,
        "read {read:?}, but {expected:?} was written"
    );
    fs::remove_dir_all(&dir)?;
    Ok(opened)
}

/// The floor: the records' bytes from the disk, in milliseconds.
fn raw_turn(file: &Path, bytes: &[u8]) -> Result<f64> {
    fs::write(file, bytes)?;
    cold::evict_file(file)?;
    let start = Instant::now();
    let read = read_direct(file)?;
    let elapsed = start.elapsed();
    ensure!(
        read == bytes.len() as u64,
        "read {read} bytes of {}",
        bytes.len()
    );
    fs::remove_file(file)?;
    Ok(elapsed.as_secs_f64() * 1e3)
}

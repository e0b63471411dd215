//! Eight threads append, and each waits for its own record.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};

use crate::{
    engine::Log,
    engines::raw::{BLOCK_BYTES, RawFile},
    goals::{Goal, Other},
    payload,
    report::{Row, Unit},
    rounds::Contender,
    rows::{Bench, RAW, Subject},
};

const THREADS: usize = 8;
const RECORD_BYTES: usize = 256;
const TURN: Duration = Duration::from_millis(400);
const GOALS: &[Goal] = &[Goal::SpeedAtLeast(2.0, Other::BestPeer)];

pub(super) fn measure(bench: &mut Bench<'_>) -> Result<Vec<Row>> {
    let dir = bench.row_dir("group-commit")?;
    let records = payload::records(bench.seed, THREADS, RECORD_BYTES);
    let block = payload::records(bench.seed, 1, BLOCK_BYTES).concat();
    let mut raw = RawFile::create(&dir.join(RAW), 64 << 20)?;
    let logs = bench.create_logs(&dir)?;

    let mut contenders = vec![Contender {
        name: RAW.into(),
        turn: Box::new(|| raw_turn(&mut raw, &block)),
    }];
    for Subject { name, log } in &logs {
        contenders.push(Contender {
            name: (*name).into(),
            turn: Box::new(|| turn(log.as_ref(), &records)),
        });
    }
    let samples = bench.rounds.run(contenders)?;
    let title = format!(
        "group commit, {THREADS} threads, {RECORD_BYTES} B, each waits for its own: turns of {} ms \
         (raw: one thread, {THREADS} records a write)",
        TURN.as_millis()
    );
    Ok(vec![Row::new(
        "group-commit",
        title,
        Unit::RecordsPerSecond,
        samples,
        GOALS,
    )])
}

/// Records per second over the turn.
fn turn(log: &dyn Log, records: &[Vec<u8>]) -> Result<f64> {
    let stop = AtomicBool::new(false);
    let start = Barrier::new(records.len() + 1);
    thread::scope(|scope| {
        let append = |record: &[u8]| -> Result<u32> {
            let mut appended = 0;
            start.wait();
            while !stop.load(Ordering::Relaxed) {
                log.append(record)?;
                appended += 1;
            }
            Ok(appended)
        };
        let spawn = |record| scope.spawn(move || append(record));
        let threads: Vec<_> = records.iter().map(|record| spawn(record)).collect();
        start.wait();
        let began = Instant::now();
        thread::sleep(TURN);
        stop.store(true, Ordering::Relaxed);
        let mut appended = 0.0;
        for thread in threads {
            appended += f64::from(
                thread
                    .join()
                    .map_err(|_| anyhow!("an appender panicked"))??,
            );
        }
        Ok(appended / began.elapsed().as_secs_f64())
    })
}

/// The ceiling: as many records in every raw write as there are threads.
fn raw_turn(raw: &mut RawFile, block: &[u8]) -> Result<f64> {
    let began = Instant::now();
    let mut appended = 0.0;
    while began.elapsed() < TURN {
        raw.write_and_flush(&block[..THREADS * RECORD_BYTES])?;
        appended += THREADS as f64;
    }
    Ok(appended / began.elapsed().as_secs_f64())
}

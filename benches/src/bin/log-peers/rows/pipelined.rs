//! One thread has 64 records on their way and waits for the last, beside a raw write of the same bytes.

use std::time::Instant;

use anyhow::Result;

use crate::{
    engine::BATCH_RECORDS,
    engines::raw::RawFile,
    goals::{Goal, Other},
    payload,
    report::{Row, Unit},
    rounds::{Contender, median},
    rows::{Bench, RAW, Subject},
};

const RECORD_BYTES: usize = 256;
const BATCHES_PER_TURN: usize = 100;
const GOALS: &[Goal] = &[Goal::SpeedAtLeast(0.70, Other::Raw)];

pub(super) fn measure(bench: &mut Bench<'_>) -> Result<Vec<Row>> {
    let dir = bench.row_dir("pipelined")?;
    let records = payload::records(bench.seed, BATCH_RECORDS, RECORD_BYTES);
    let bytes = records.concat();
    let mut raw = RawFile::create(&dir.join(RAW), 64 << 20)?;
    let logs = bench.create_logs(&dir)?;

    let mut contenders = vec![Contender {
        name: RAW.into(),
        turn: Box::new(|| rate(|| raw.write_and_flush(&bytes))),
    }];
    for Subject { name, log } in &logs {
        contenders.push(Contender {
            name: (*name).into(),
            turn: Box::new(|| rate(|| log.append_batch(&records))),
        });
    }
    let samples = bench.rounds.run(contenders)?;
    let title = format!(
        "{BATCH_RECORDS} pipelined tickets of {RECORD_BYTES} B, one thread: by the median of {BATCHES_PER_TURN} batches \
         (peers: their batch; raw: one write of the same bytes)"
    );
    Ok(vec![Row::new(
        "pipelined",
        title,
        Unit::RecordsPerSecond,
        samples,
        GOALS,
    )])
}

fn rate(mut append_batch: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut times = Vec::with_capacity(BATCHES_PER_TURN);
    for _ in 0..BATCHES_PER_TURN {
        let start = Instant::now();
        append_batch()?;
        times.push(start.elapsed().as_secs_f64());
    }
    Ok(BATCH_RECORDS as f64 / median(&times))
}

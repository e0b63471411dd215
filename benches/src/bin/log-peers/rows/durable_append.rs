//! One thread appends one record and waits until it is durable, beside a raw 4 KiB write and flush.

use std::time::Instant;

use anyhow::Result;

use crate::{
    engines::raw::RawFile,
    goals::{Goal, Other},
    payload,
    report::{Row, Unit},
    rounds::{Contender, median},
    rows::{Bench, RAW, Subject},
    system_calls,
};

/// Appends in one turn; the sample is their median.
const APPENDS_PER_TURN: usize = 200;

/// Held to at both sizes.
const GOALS: &[Goal] = &[
    Goal::TimeAtMost(1.10, Other::Raw),
    Goal::TimeAtMost(1.05, Other::BestPeer),
];

/// And to these at 4 KiB.
const GOALS_4096: &[Goal] = &[
    Goal::SpeedAtLeast(1.5, Other::Peer("raft-engine")),
    Goal::SpeedAtLeast(1.7, Other::Peer("sqlite")),
    Goal::SpeedAtLeast(1.7, Other::Peer("redb")),
];

pub(super) fn measure(bench: &mut Bench<'_>, len: usize) -> Result<Vec<Row>> {
    let name = format!("append-{len}");
    let dir = bench.row_dir(&name)?;
    let records = payload::records(bench.seed, APPENDS_PER_TURN, len);
    let mut raw = RawFile::create(&dir.join(RAW), 64 << 20)?;
    let logs = bench.create_logs(&dir)?;

    let mut contenders = vec![Contender {
        name: RAW.into(),
        turn: Box::new(|| time_each(&records, |record| raw.write_and_flush(record))),
    }];
    for Subject { name, log } in &logs {
        contenders.push(Contender {
            name: (*name).into(),
            turn: Box::new(|| time_each(&records, |record| log.append(record))),
        });
    }
    let samples = bench.rounds.run(contenders)?;
    drop(logs);

    let title = format!(
        "durable append, {len} B, one thread: median of {APPENDS_PER_TURN} appends a round"
    );
    let is_256 = len == 256;
    let goals = if is_256 {
        GOALS.to_vec()
    } else {
        [GOALS, GOALS_4096].concat()
    };
    let row = Row::new(&name, title, Unit::Microseconds, samples, &goals);
    let row = if is_256 {
        row.count_system_calls(|engine| system_calls::count(engine, &dir))?
    } else {
        row
    };
    Ok(vec![row])
}

/// The median, in microseconds.
fn time_each(records: &[Vec<u8>], mut append: impl FnMut(&[u8]) -> Result<()>) -> Result<f64> {
    let mut times = Vec::with_capacity(records.len());
    for record in records {
        let start = Instant::now();
        append(record)?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok(median(&times))
}

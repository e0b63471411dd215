//! A normal quorum log: how long its open takes, and how much memory it keeps.
//!
//! The log is 4 MiB with a checkpoint of 1 MiB. Of four segments one holds what came after the checkpoint before that
//! one, one what came after the newest, and two are free for the next epochs: so the records that are replayed fill
//! three quarters of a segment.
//! Written, evicted and opened as in [`recovery`](super::recovery).

use std::cell::RefCell;

use anyhow::Result;

use crate::{
    child::Shape,
    goals::Goal,
    payload,
    report::{Row, Unit},
    rounds::{Contender, Samples},
    rows::{Bench, recovery},
};

/// The ring of segments of ours. The peers have no such bound.
const LOG_BYTES: usize = 4 << 20;
const IMAGE_BYTES: usize = 1 << 20;
const RECORD_BYTES: usize = 256;
const RECORDS: usize = 3 * LOG_BYTES / 16 / RECORD_BYTES;

const OPEN_GOALS: &[Goal] = &[Goal::AtMost(30.0)];
const MEMORY_GOALS: &[Goal] = &[Goal::AtMost(4096.0)];

/// The checkpoint.
pub(crate) fn image(seed: u64) -> Vec<u8> {
    payload::records(seed ^ 1, 1, IMAGE_BYTES).concat()
}

/// The records after it.
pub(crate) fn records(seed: u64) -> Vec<Vec<u8>> {
    payload::records(seed, RECORDS, RECORD_BYTES)
}

pub(super) fn measure(bench: &mut Bench<'_>) -> Result<Vec<Row>> {
    let dir = bench.row_dir("quorum-log")?;
    let seed = bench.seed;
    let all: Vec<_> = std::iter::once(image(seed)).chain(records(seed)).collect();
    let expected = payload::tally(&all);
    // The rounds keep the times; the memory of the same opens is kept here.
    let memory: Vec<_> = bench
        .engines
        .iter()
        .map(|_| RefCell::new(Vec::new()))
        .collect();
    let mut contenders = Vec::new();
    for (engine, memory) in bench.engines.iter().zip(&memory) {
        let (dir, name) = (&dir, engine.name());
        let turn = move || {
            let opened = recovery::turn(name, dir, Shape::QuorumLog, seed, expected)?;
            memory.borrow_mut().push(opened.resident_kib as f64);
            Ok(opened.milliseconds())
        };
        contenders.push(Contender {
            name: name.into(),
            turn: Box::new(turn),
        });
    }
    let times = bench.rounds.run(contenders)?;
    let memory = bench
        .engines
        .iter()
        .zip(&memory)
        .map(|(engine, memory)| Samples {
            engine: engine.name().into(),
            // The first turn does not count, as in the rounds.
            samples: memory.borrow()[1..].to_vec(),
        });
    let shape = format!(
        "a normal quorum log: {} MiB, a checkpoint of {} MiB and {RECORDS} records of {RECORD_BYTES} B after it (peers: \
         the checkpoint is one more record)",
        LOG_BYTES >> 20,
        IMAGE_BYTES >> 20
    );
    let open = Row::new(
        "quorum-log-open",
        format!("open of {shape}, cold"),
        Unit::Milliseconds,
        times,
        OPEN_GOALS,
    );
    let title = format!("memory of the open log: VmRSS with {shape} open, less before");
    let memory = Row::new(
        "quorum-log-memory",
        title,
        Unit::Kibibytes,
        memory.collect(),
        MEMORY_GOALS,
    );
    Ok(vec![open, memory])
}

//! raft-engine: the log of TiKV.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::Result;
use raft_engine::{Config, LogBatch, ReadableSize};

use crate::{
    engine::{Engine, Log, Tally},
    machine::locked_version,
};

pub(super) struct RaftEngine;

/// All records are key-values of one raft group, the key counting up: its entries would have to come in order, which
/// threads that append at the same time cannot promise, and a replay would read them twice.
const GROUP: u64 = 1;

struct Open {
    engine: raft_engine::Engine,
    next: AtomicU64,
}

fn config(dir: &Path) -> Config {
    Config {
        dir: dir.to_string_lossy().into_owned(),
        // What does not compress is not worth the try.
        batch_compression_threshold: ReadableSize(0),
        ..Config::default()
    }
}

impl Engine for RaftEngine {
    fn name(&self) -> &'static str {
        "raft-engine"
    }

    fn options(&self) -> String {
        let version = locked_version("raft-engine");
        format!(
            "{version}: write(batch, sync = true); key-values of one raft group; no compression; else its defaults (128 MB files, \
         recycling on, no prefill, 4 recovery threads)"
        )
    }

    fn create(&self, dir: &Path) -> Result<Box<dyn Log>> {
        Ok(Box::new(Open {
            engine: raft_engine::Engine::open(config(dir))?,
            next: AtomicU64::new(0),
        }))
    }

    fn open(&self, dir: &Path) -> Result<(Box<dyn Log>, Tally)> {
        let engine = raft_engine::Engine::open(config(dir))?;
        let mut tally = Tally::default();
        engine.scan_raw_messages(GROUP, None, None, false, |_, record| {
            tally.add(record);
            true
        })?;
        Ok((
            Box::new(Open {
                engine,
                next: AtomicU64::new(tally.records),
            }),
            tally,
        ))
    }
}

impl Open {
    fn put(&self, batch: &mut LogBatch, record: &[u8]) -> Result<()> {
        let key = self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        Ok(batch.put(GROUP, key.to_vec(), record.to_vec())?)
    }
}

impl Log for Open {
    fn append(&self, record: &[u8]) -> Result<()> {
        let mut batch = LogBatch::default();
        self.put(&mut batch, record)?;
        self.engine.write(&mut batch, true)?;
        Ok(())
    }

    fn append_batch(&self, records: &[Vec<u8>]) -> Result<()> {
        let mut batch = LogBatch::with_capacity(records.len());
        records
            .iter()
            .try_for_each(|record| self.put(&mut batch, record))?;
        self.engine.write(&mut batch, true)?;
        Ok(())
    }
}

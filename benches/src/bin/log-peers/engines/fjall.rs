//! fjall: a log-structured store; its journal is what is measured.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::Result;
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::{
    engine::{Engine, Log, Tally},
    machine::locked_version,
};

pub(super) struct Fjall;

struct Open {
    database: Database,
    records: Keyspace,
    next: AtomicU64,
}

fn open(dir: &Path) -> Result<Open> {
    let database = Database::builder(dir)
        .journal_compression(CompressionType::None)
        .open()?;
    let records = database.keyspace("log", KeyspaceCreateOptions::default)?;
    Ok(Open {
        database,
        records,
        next: AtomicU64::new(0),
    })
}

impl Engine for Fjall {
    fn name(&self) -> &'static str {
        "fjall"
    }

    fn options(&self) -> String {
        let version = locked_version("fjall");
        format!(
            "{version}: insert, then persist(SyncData); a batch with durability SyncData; no compression; else its defaults (64 MiB \
         sparse journals)"
        )
    }

    fn create(&self, dir: &Path) -> Result<Box<dyn Log>> {
        Ok(Box::new(open(dir)?))
    }

    fn open(&self, dir: &Path) -> Result<(Box<dyn Log>, Tally)> {
        let log = open(dir)?;
        let mut tally = Tally::default();
        for pair in log.records.iter() {
            tally.add(&pair.value()?);
        }
        log.next.store(tally.records, Ordering::Relaxed);
        Ok((Box::new(log), tally))
    }
}

impl Open {
    fn key(&self) -> [u8; 8] {
        self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes()
    }
}

impl Log for Open {
    fn append(&self, record: &[u8]) -> Result<()> {
        self.records.insert(self.key(), record)?;
        self.database.persist(PersistMode::SyncData)?;
        Ok(())
    }

    fn append_batch(&self, records: &[Vec<u8>]) -> Result<()> {
        let mut batch = self
            .database
            .batch()
            .durability(Some(PersistMode::SyncData));
        for record in records {
            batch.insert(&self.records, self.key(), record.as_slice());
        }
        batch.commit()?;
        Ok(())
    }
}

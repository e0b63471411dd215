//! redb: a copy-on-write tree in one file.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::Result;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::{
    engine::{Engine, Log, Tally},
    machine::locked_version,
};

pub(super) struct Redb;

const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");

struct Open {
    database: Database,
    next: AtomicU64,
}

impl Engine for Redb {
    fn name(&self) -> &'static str {
        "redb"
    }

    fn options(&self) -> String {
        let version = locked_version("redb");
        format!(
            "{version}: Durability::Immediate, one-phase commit, no quick repair; a record or a batch is one transaction"
        )
    }

    fn create(&self, dir: &Path) -> Result<Box<dyn Log>> {
        Ok(Box::new(Open {
            database: Database::create(dir.join("log.redb"))?,
            next: AtomicU64::new(0),
        }))
    }

    fn open(&self, dir: &Path) -> Result<(Box<dyn Log>, Tally)> {
        let database = Database::open(dir.join("log.redb"))?;
        let mut tally = Tally::default();
        for pair in database.begin_read()?.open_table(RECORDS)?.iter()? {
            tally.add(pair?.1.value());
        }
        Ok((
            Box::new(Open {
                database,
                next: AtomicU64::new(tally.records),
            }),
            tally,
        ))
    }
}

impl Open {
    fn insert<'a>(&self, records: impl IntoIterator<Item = &'a [u8]>) -> Result<()> {
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(RECORDS)?;
            for record in records {
                table.insert(self.next.fetch_add(1, Ordering::Relaxed), record)?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

impl Log for Open {
    fn append(&self, record: &[u8]) -> Result<()> {
        self.insert([record])
    }

    fn append_batch(&self, records: &[Vec<u8>]) -> Result<()> {
        self.insert(records.iter().map(Vec::as_slice))
    }
}

//! SQLite with a write-ahead log and full synchronisation.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};

use anyhow::{Result, ensure};
use rusqlite::Connection;

use crate::engine::{Engine, Log, Tally};

pub(super) struct Sqlite;

/// One connection that the threads share: SQLite has one writer at a time, and waiting for a mutex is cheaper than its
/// busy handler.
struct Open(Mutex<Connection>);

const INSERT: &str = "INSERT INTO log (record) VALUES (?1)";

fn connect(dir: &Path) -> Result<Connection> {
    let connection = Connection::open(dir.join("log.sqlite"))?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    ensure!(mode == "wal", "SQLite kept the journal mode {mode}");
    connection.execute_batch("PRAGMA synchronous = FULL")?;
    Ok(connection)
}

impl Engine for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn options(&self) -> String {
        format!(
            "{}: journal_mode WAL, synchronous FULL, automatic checkpoints (1000 pages), prepared INSERT, one connection \
             behind a mutex; a batch is one transaction",
            rusqlite::version()
        )
    }

    fn create(&self, dir: &Path) -> Result<Box<dyn Log>> {
        let connection = connect(dir)?;
        connection
            .execute_batch("CREATE TABLE log (id INTEGER PRIMARY KEY, record BLOB NOT NULL)")?;
        Ok(Box::new(Open(Mutex::new(connection))))
    }

    fn open(&self, dir: &Path) -> Result<(Box<dyn Log>, Tally)> {
        let connection = connect(dir)?;
        let mut tally = Tally::default();
        {
            let mut select = connection.prepare("SELECT record FROM log ORDER BY id")?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                tally.add(row.get_ref(0)?.as_blob()?);
            }
        }
        Ok((Box::new(Open(Mutex::new(connection))), tally))
    }
}

impl Log for Open {
    fn append(&self, record: &[u8]) -> Result<()> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        connection.prepare_cached(INSERT)?.execute([record])?;
        Ok(())
    }

    fn append_batch(&self, records: &[Vec<u8>]) -> Result<()> {
        let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction()?;
        for record in records {
            transaction.prepare_cached(INSERT)?.execute([record])?;
        }
        transaction.commit()?;
        Ok(())
    }
}

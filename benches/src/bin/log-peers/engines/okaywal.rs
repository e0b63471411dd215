//! okaywal: a write-ahead log with group commit and zero-written segments.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use okaywal::{
    Configuration, Entry, EntryId, LogManager, ReadChunkResult, SegmentReader, WriteAheadLog,
};

use crate::{
    engine::{Engine, Log, Tally},
    machine::locked_version,
};

pub(super) struct OkayWal;

struct Open(WriteAheadLog);

/// Reads everything at open, and lets a checkpoint drop what it covers.
#[derive(Debug, Default)]
struct Replay(Arc<Mutex<Tally>>);

impl LogManager for Replay {
    fn recover(&mut self, entry: &mut Entry<'_>) -> io::Result<()> {
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A record is the chunk of an entry; the checksum is checked, as the others check theirs.
        while let ReadChunkResult::Chunk(mut chunk) = entry.read_chunk()? {
            let record = chunk.read_all()?;
            if !chunk.check_crc()? {
                return Err(io::ErrorKind::InvalidData.into());
            }
            tally.add(&record);
        }
        Ok(())
    }

    fn checkpoint_to(
        &mut self,
        _: EntryId,
        _: &mut SegmentReader,
        _: &WriteAheadLog,
    ) -> io::Result<()> {
        Ok(())
    }
}

fn open(dir: &Path) -> Result<(WriteAheadLog, Arc<Mutex<Tally>>)> {
    let tally = Arc::default();
    // One segment that is large enough for every row, so that no checkpoint runs while others are measured.
    let log = Configuration::default_for(dir)
        .preallocate_bytes(64 << 20)
        .checkpoint_after_bytes(1 << 30)
        .open(Replay(Arc::clone(&tally)))?;
    Ok((log, tally))
}

impl Engine for OkayWal {
    fn name(&self) -> &'static str {
        "okaywal"
    }

    fn options(&self) -> String {
        let version = locked_version("okaywal");
        format!(
            "{version}: entry.commit(); preallocate 64 MiB (zero-written by it), checkpoint after 1 GiB; a record is a chunk, a \
         batch is one entry"
        )
    }

    fn create(&self, dir: &Path) -> Result<Box<dyn Log>> {
        Ok(Box::new(Open(open(dir)?.0)))
    }

    fn open(&self, dir: &Path) -> Result<(Box<dyn Log>, Tally)> {
        let (log, tally) = open(dir)?;
        let tally = *tally.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((Box::new(Open(log)), tally))
    }
}

impl Log for Open {
    fn append(&self, record: &[u8]) -> Result<()> {
        let mut entry = self.0.begin_entry()?;
        entry.write_chunk(record)?;
        entry.commit()?;
        Ok(())
    }

    fn append_batch(&self, records: &[Vec<u8>]) -> Result<()> {
        let mut entry = self.0.begin_entry()?;
        for record in records {
            entry.write_chunk(record)?;
        }
        entry.commit()?;
        Ok(())
    }
}

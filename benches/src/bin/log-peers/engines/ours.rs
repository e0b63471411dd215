//! Ours: `qlog` on a file.

use std::path::Path;

use anyhow::Result;
use qlog::{
    Claim, Cluster, Entry, Fencing, Format, Log as Qlog, Lsn, Owner, Replay, WriteError,
    storage::FileStorage,
};

use crate::{
    engine::{Engine, Log, Tally, append_all},
    engines::OURS,
};

pub(super) struct Ours;

struct Open(Qlog<FileStorage>);

/// The ring of the rows that append much: all but two segments are for data.
const SEGMENTS: u32 = 16;
const SEGMENT_BYTES: u64 = 4 << 20;

/// The region of a normal quorum log: its ring of segments is a quarter of it, 4 MiB.
const QUORUM_REGION_BYTES: u64 = 16 << 20;

const FILE: &str = "log.qlog";

impl Replay for Tally {
    fn checkpoint(&mut self, _: Lsn, state: &[u8]) {
        self.add(state);
    }

    fn record(&mut self, entry: Entry<'_>) {
        self.add(entry.bytes);
    }
}

fn create(dir: &Path, format: Format) -> Result<Open> {
    let path = dir.join(FILE);
    let storage = FileStorage::create(&path, format.region_bytes)?;
    qlog::create(&storage, format, Cluster::default(), &mut |_| {})?;
    drop(storage);
    Ok(open(dir)?.0)
}

/// What was in it, and the right to write: everybody's open gives both.
fn open(dir: &Path) -> Result<(Open, Tally)> {
    let storage = FileStorage::open_for_writing(&dir.join(FILE))?;
    let mut tally = Tally::default();
    let found = qlog::open(storage, &mut tally)?;
    let log = found.claim(Claim::new(Owner::default(), Fencing::Unfenced))?;
    Ok((Open(log), tally))
}

/// A large ring and little else.
fn large_format() -> Result<Format> {
    let small = Format::for_region(QUORUM_REGION_BYTES, 4096)?;
    let mut format = Format {
        segments: SEGMENTS,
        segment_bytes: SEGMENT_BYTES,
        chunks: 16,
        ..small
    };
    format.region_bytes = format.used_bytes().next_multiple_of(1 << 20);
    format.layout()?;
    Ok(format)
}

impl Engine for Ours {
    fn name(&self) -> &'static str {
        OURS
    }

    fn options(&self) -> String {
        "qlog: a zero-written file, 16 segments of 4 MiB (a normal quorum log: 16 MiB with 4 of 1 MiB), blocks of 4 KiB, \
         the write method probed at claim, a checkpoint when full; open includes the claim of an epoch"
            .into()
    }

    fn create(&self, dir: &Path) -> Result<Box<dyn Log>> {
        Ok(Box::new(create(dir, large_format()?)?))
    }

    fn open(&self, dir: &Path) -> Result<(Box<dyn Log>, Tally)> {
        let (log, tally) = open(dir)?;
        Ok((Box::new(log), tally))
    }

    fn create_quorum_log(&self, dir: &Path, image: &[u8], records: &[Vec<u8>]) -> Result<()> {
        let log = create(dir, Format::for_region(QUORUM_REGION_BYTES, 4096)?)?;
        // As after some use: a checkpoint, and the one before it. The records that they cover are not seen again.
        for _ in 0..2 {
            let covered = log.0.append_durable(b"covered")?;
            log.0.checkpoint(covered, image)?;
        }
        append_all(&log, records)?;
        std::mem::forget(log);
        Ok(())
    }
}

impl Open {
    /// Does it; when the log is full, a checkpoint first, as any user of it would.
    fn with_room<T>(&self, act: impl Fn(&Qlog<FileStorage>) -> Result<T, WriteError>) -> Result<T> {
        match act(&self.0) {
            Err(WriteError::Full { .. }) => {
                let durable = self.0.position().durable;
                self.0.checkpoint(Lsn(durable.0 - 1), &[])?;
                Ok(act(&self.0)?)
            }
            done => Ok(done?),
        }
    }
}

impl Log for Open {
    fn append(&self, record: &[u8]) -> Result<()> {
        self.with_room(|log| log.append_durable(record))?;
        Ok(())
    }

    fn append_batch(&self, records: &[Vec<u8>]) -> Result<()> {
        let mut last = None;
        for record in records {
            last = Some(self.with_room(|log| log.append(record))?);
        }
        last.map_or(Ok(()), |ticket| Ok(self.0.commit(ticket)?))
    }
}

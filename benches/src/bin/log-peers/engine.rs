//! The seam between what is measured and who is measured.

use std::path::Path;

use anyhow::Result;

/// A kind of log: how one is made, and opened again.
pub(crate) trait Engine: Sync {
    /// As it is named in the tables.
    fn name(&self) -> &'static str;

    /// The version and the options that it was given, one line.
    fn options(&self) -> String;

    /// A new log in `dir`, an empty directory.
    fn create(&self, dir: &Path) -> Result<Box<dyn Log>>;

    /// Opens the log in `dir` and reads every record of it, in order.
    fn open(&self, dir: &Path) -> Result<(Box<dyn Log>, Tally)>;

    /// The same in the shape of a quorum log: a checkpoint and the records after it, in `rows::quorum_log`'s sizes.
    /// An engine without checkpoints keeps the image as one more record.
    fn create_quorum_log(&self, dir: &Path, image: &[u8], records: &[Vec<u8>]) -> Result<()> {
        let log = self.create(dir)?;
        log.append(image)?;
        append_all(log.as_ref(), records)?;
        // As a crash leaves it.
        std::mem::forget(log);
        Ok(())
    }
}

/// An open log, used from many threads.
pub(crate) trait Log: Send + Sync {
    /// Appends one record, durable when this returns.
    fn append(&self, record: &[u8]) -> Result<()>;

    /// Appends the records in one commit, durable when this returns.
    fn append_batch(&self, records: &[Vec<u8>]) -> Result<()>;
}

/// Records in one commit when many are appended.
pub(crate) const BATCH_RECORDS: usize = 64;

/// Appends in commits of [`BATCH_RECORDS`], the same for every engine.
pub(crate) fn append_all(log: &dyn Log, records: &[Vec<u8>]) -> Result<()> {
    records
        .chunks(BATCH_RECORDS)
        .try_for_each(|batch| log.append_batch(batch))
}

/// What a replay has seen: enough to tell that it saw everything, cheap enough not to be what is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// The records' first eight bytes, summed, each weighted by its position.
    pub(crate) sum: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, record: &[u8]) {
        self.records += 1;
        self.bytes += record.len() as u64;
        let first = record
            .first_chunk()
            .map_or(0, |bytes| u64::from_le_bytes(*bytes));
        self.sum = self.sum.wrapping_add(first.wrapping_mul(self.records));
    }
}

//! Copying what is good of a damaged log into a new one. The damaged one is only read.

use crate::claim::{Claim, Fencing, Owner};
use crate::error::{ClaimError, CreateError, OpenError, WriteError};
use crate::frame;
use crate::ids::Lsn;
use crate::inspect::{self, Stored};
use crate::layout::{Format, MAX_SEGMENTS};
use crate::log::{RESERVE, create_from};
use crate::recover::{Entry, Frame, Replay, open, replay_from_any_checkpoint, roots, state};
use crate::storage::Storage;
use crate::superblock::Superblock;
use crate::words::round_up;
use std::sync::Arc;

/// What was copied.
#[derive(Debug)]
pub struct Salvaged {
    /// The sizes of the new log: its ring is larger than was asked for when the records needed that.
    pub format: Format,
    /// The checkpoint's last record; none when there was none that could be read.
    pub checkpoint: Option<Lsn>,
    /// Records copied behind it.
    pub records: u64,
    /// The last record that was copied.
    pub last: Lsn,
    /// Named objects that were copied.
    pub objects: Vec<String>,
    /// Named objects that are damaged, and were not.
    pub lost_objects: Vec<String>,
    /// The newest list of objects is lost and one before served: what was copied may be older than the last that was
    /// stored, and newer names are lost.
    pub older_objects: bool,
    /// Why the log did not open; none when it was whole.
    pub damage: Option<OpenError>,
}

/// Why nothing was copied, or not all that is good.
#[derive(Debug, thiserror::Error)]
pub enum SalvageError {
    /// Nothing of the log can be read.
    #[error(transparent)]
    Source(OpenError),
    /// The new log cannot be made.
    #[error("the new log: {0}")]
    Create(#[from] CreateError),
    /// The new log cannot be opened.
    #[error("the new log: {0}")]
    Open(OpenError),
    /// Nor claimed.
    #[error("the new log: {0}")]
    Claim(#[from] ClaimError),
    /// Nor written.
    #[error("the new log: {0}")]
    Write(#[from] WriteError),
}

/// What could be read before the damage.
#[derive(Default)]
struct Prefix {
    checkpoint: Option<(Lsn, Vec<u8>)>,
    records: Vec<Vec<u8>>,
    first: Option<Lsn>,
}

impl Replay for Prefix {
    fn checkpoint(&mut self, upto: Lsn, state: &[u8]) {
        self.checkpoint = Some((upto, state.to_vec()));
    }

    fn record(&mut self, entry: Entry<'_>) {
        self.first.get_or_insert(entry.lsn);
        self.records.push(entry.bytes.to_vec());
    }
}

/// What is good before the first damage, and the damage.
///
/// When opening refuses the checkpoint, because both are damaged or because the older catalogue could not serve for an
/// object, the newest checkpoint that is whole serves here. Without any, nothing is copied: the records are changes of a
/// state that nobody has.
fn read<S: Storage>(
    from: &S,
    superblock: &Superblock,
) -> Result<(Prefix, Option<OpenError>), OpenError> {
    let mut prefix = Prefix::default();
    let damage = match open(Ref(from), &mut prefix) {
        Ok(_whole) => return Ok((prefix, None)),
        Err(damage @ OpenError::Corrupt(_)) => damage,
        Err(error) => return Err(error),
    };
    if prefix.checkpoint.is_some() || prefix.first.is_some() {
        return Ok((prefix, Some(damage)));
    }
    match replay_from_any_checkpoint(from, superblock, &mut prefix) {
        Ok(true) => Ok((prefix, Some(damage))),
        // All records are gone, from the first on; what is stored beside them may not be.
        Ok(false) if has_only_objects(from, superblock) => Ok((prefix, Some(damage))),
        // With neither a checkpoint nor a record there is nothing to go on from, and not even a number.
        Ok(false) => Err(damage),
        // The records behind it are damaged as well: that says where they end.
        Err(records @ OpenError::Corrupt(_)) => Ok((prefix, Some(records))),
        Err(error) => Err(error),
    }
}

/// No checkpoint was ever stored, but objects were.
fn has_only_objects<S: Storage>(from: &S, superblock: &Superblock) -> bool {
    let shared = Frame::of(superblock, crate::Guards::ALL_ON);
    state::load(from, &shared, superblock, &mut Vec::new())
        .is_ok_and(|found| found.state.is_none() && !found.catalogue.objects.is_empty())
}

/// Reads the checkpoint of `from`, its records up to the first damage and its named objects, and writes them to a new
/// log in `to`, under the same numbers; `progress` is told how many bytes of it are prepared.
///
/// The records may lie less densely there: when they do not fit, it begins again with a larger ring than `format` has,
/// at the cost of room for checkpoints.
///
/// # Errors
/// [`SalvageError`].
pub fn salvage<S: Storage, T: Storage>(
    from: &S,
    to: T,
    format: Format,
    progress: &mut dyn FnMut(u64),
) -> Result<Salvaged, SalvageError> {
    let superblock = roots::newest(from, crate::Guards::ALL_ON, &mut Vec::new())
        .map_err(SalvageError::Source)?;
    let (prefix, damage) = read(from, &superblock).map_err(SalvageError::Source)?;
    let to = Arc::new(to);
    let mut full = None;
    let sizes = prefix.records.iter().map(Vec::len);
    let bytes = sizes.map(frame::record_bytes).sum::<usize>() as u64;
    for format in std::iter::successors(Some(format), larger_ring) {
        if full.is_some() && u64::from(format.segments - RESERVE) * format.segment_bytes < bytes {
            continue;
        }
        match write(from, &superblock, &prefix, &to, format, progress) {
            Ok(written) => return Ok(Salvaged { damage, ..written }),
            Err(error @ SalvageError::Write(WriteError::Full { .. })) => {
                full.get_or_insert(error);
            }
            Err(error) => return Err(full.unwrap_or(error)),
        }
    }
    Err(full.expect("the first one was tried"))
}

/// The next one to try in the same region, if it leaves room for anything else.
fn larger_ring(format: &Format) -> Option<Format> {
    let block = u64::from(format.block_bytes);
    let larger = if format.segments < MAX_SEGMENTS {
        format.with_ring(format.segments + 1, format.segment_bytes)
    } else {
        format.with_ring(
            MAX_SEGMENTS,
            round_up(format.segment_bytes * 9 / 8 + 1, block),
        )
    };
    larger.ok()
}

/// Writes a new log.
fn write<S: Storage, T: Storage>(
    from: &S,
    superblock: &Superblock,
    prefix: &Prefix,
    to: &Arc<T>,
    format: Format,
    progress: &mut dyn FnMut(u64),
) -> Result<Salvaged, SalvageError> {
    let checkpoint = prefix.checkpoint.as_ref().map(|(upto, _)| *upto);
    let first = prefix.first.unwrap_or(checkpoint.map_or(Lsn(1), Lsn::next));
    let guards = crate::Guards::ALL_ON;
    create_from(
        to,
        format,
        superblock.cluster.clone(),
        first,
        guards,
        progress,
    )?;
    let new = open(Arc::clone(to), &mut ()).map_err(SalvageError::Open)?;
    let log = new.claim(Claim::new(Owner::default(), Fencing::Unfenced))?;
    if let Some((_, state)) = &prefix.checkpoint {
        log.checkpoint(Lsn(first.0 - 1), state)?;
    }
    let (mut objects, mut lost_objects) = (Vec::new(), Vec::new());
    let stored = inspect::stored(from).ok();
    let shared = Frame::of(superblock, guards);
    for (name, object) in stored.iter().flat_map(Stored::objects) {
        match state::read_object(from, &shared, object, "an object") {
            Ok(bytes) => {
                log.put_object(name, &bytes)?;
                objects.push(name.clone());
            }
            Err(_) => lost_objects.push(name.clone()),
        }
    }
    let mut last = None;
    for record in &prefix.records {
        last = Some(log.append(record)?);
    }
    if let Some(last) = last {
        log.commit(last).map_err(WriteError::Poisoned)?;
    }
    log.close()?;
    let records = prefix.records.len() as u64;
    Ok(Salvaged {
        format,
        checkpoint,
        records,
        last: Lsn(first.0 - 1 + records),
        objects,
        lost_objects,
        older_objects: stored.is_some_and(|stored| stored.are_older()),
        damage: None,
    })
}

/// A storage that is borrowed.
struct Ref<'a, S>(&'a S);

impl<S: Storage> Storage for Ref<'_, S> {
    fn region_bytes(&self) -> u64 {
        self.0.region_bytes()
    }

    fn block_bytes(&self) -> u32 {
        self.0.block_bytes()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.0.read_at(offset, buffer)
    }

    fn write_at(&self, _offset: u64, _bytes: &[u8]) -> std::io::Result<()> {
        Err(std::io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&self) -> std::io::Result<()> {
        Err(std::io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

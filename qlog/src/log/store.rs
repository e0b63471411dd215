//! Checkpoints and named objects: written where nothing is, read back, then named. `FORMAT.md`, "Checkpoint".
//!
//! ```text
//! chunks ─flush─ read back ─► catalogue ─flush─ read back ─► superblock ─flush─► done
//! ```
//!
//! Appends go on meanwhile. Until the superblock is durable the old catalogue, its chunks and its segments are
//! untouched; after it the ones before those are free.

use super::{Log, Roots, State};
use crate::buffer::Aligned;
use crate::catalogue::{Catalogue, Chunk, NAME_BYTES_MAX, Object};
use crate::error::{OpenError, Poisoned, WriteError};
use crate::guards::Guard;
use crate::ids::{Generation, Lsn};
use crate::layout::{MAX_OBJECTS, RingSet};
use crate::recover::state;
use crate::storage::Storage;
use crate::sum::Sums;
use crate::superblock::{CatalogueRef, Extent, Superblock};
use crate::words::{round_up, small};
use std::collections::BTreeSet;

/// What a superblock keeps of the log.
struct Kept {
    sealed: Vec<Extent>,
    start: Generation,
    start_lsn: Lsn,
    /// What it keeps no more.
    freed: RingSet,
}

impl<S: Storage> Log<S> {
    /// Stores a checkpoint: `bytes` stand for all records up to and with `upto`, so that those need not be replayed.
    ///
    /// # Errors
    /// [`WriteError`]. After [`WriteError::Poisoned`] the next open finds this checkpoint or the one before it.
    pub fn checkpoint(&self, upto: Lsn, bytes: &[u8]) -> Result<(), WriteError> {
        let mut roots = self.begin_change()?;
        let least = roots
            .catalogue
            .state
            .as_ref()
            .map_or(Lsn(0), |state| state.lsn);
        let most = Lsn(self.lock().durable.0 - 1);
        if upto < least || upto > most {
            return Err(WriteError::Upto { upto, least, most });
        }
        let mut catalogue = roots.catalogue.clone();
        let object = self.write_object(&catalogue, upto, bytes, "a checkpoint")?;
        let before = catalogue.state.replace(object);
        catalogue.kept_from = before.as_ref().map_or(Lsn(1), |before| before.lsn.next());
        catalogue.previous = before;
        if !self.shared.guards.on(Guard::KeepPrevious) || !self.has_room_with(catalogue.kept_from) {
            // The records since the one before would leave no room to append: they have to go.
            catalogue.previous = None;
            catalogue.kept_from = upto.next();
        }
        self.commit_catalogue(&mut roots, catalogue)?;
        self.lock().roll = true;
        Ok(())
    }

    /// Stores a named object, in place of the one of this name.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn put_object(&self, name: &str, bytes: &[u8]) -> Result<(), WriteError> {
        let mut roots = self.begin_change()?;
        let mut catalogue = roots.catalogue.clone();
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(WriteError::Object(format!(
                "an object's name has 1 to {NAME_BYTES_MAX} bytes, this one has {}",
                name.len()
            )));
        }
        if !catalogue.objects.contains_key(name) && catalogue.objects.len() == MAX_OBJECTS {
            return Err(WriteError::Object(format!(
                "there are {MAX_OBJECTS} objects already"
            )));
        }
        let lsn = Lsn(self.lock().durable.0 - 1);
        let object = self.write_object(&catalogue, lsn, bytes, "an object")?;
        catalogue.objects.insert(name.to_owned(), object);
        self.commit_catalogue(&mut roots, catalogue)
    }

    /// Removes a named object; false when there is none of this name.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn remove_object(&self, name: &str) -> Result<bool, WriteError> {
        let mut roots = self.begin_change()?;
        let mut catalogue = roots.catalogue.clone();
        if catalogue.objects.remove(name).is_none() {
            return Ok(false);
        }
        self.commit_catalogue(&mut roots, catalogue)?;
        Ok(true)
    }

    /// A named object; `None` when there is none of this name.
    ///
    /// # Errors
    /// When it is damaged or cannot be read.
    pub fn object(&self, name: &str) -> Result<Option<Vec<u8>>, OpenError> {
        let roots = self.lock_roots();
        let object = roots.catalogue.objects.get(name);
        object
            .map(|object| state::read_object(&self.storage, &self.shared, object, "an object"))
            .transpose()
    }

    /// The names of all objects.
    pub fn object_names(&self) -> Vec<String> {
        self.lock_roots()
            .catalogue
            .objects
            .keys()
            .cloned()
            .collect()
    }

    /// The handle is usable and the log is still this owner's.
    fn begin_change(&self) -> Result<std::sync::MutexGuard<'_, Roots>, WriteError> {
        let roots = self.lock_roots();
        self.usable(&self.lock())?;
        self.prove()?;
        self.recheck_owner(&roots)?;
        Ok(roots)
    }

    /// Is there a segment to go on in when records from here on are kept?
    fn has_room_with(&self, kept_from: Lsn) -> bool {
        let state = self.lock();
        let kept = state
            .extents
            .iter()
            .filter(|extent| extent.end_lsn > kept_from)
            .map(|extent| extent.generation);
        let used = self.layout().ring_set(kept.chain([state.tail.generation]));
        self.segments_to_spare_beside(used) > 0
    }

    /// Writes bytes to chunks that nothing refers to, and reads them back.
    fn write_object(
        &self,
        catalogue: &Catalogue,
        lsn: Lsn,
        bytes: &[u8],
        what: &'static str,
    ) -> Result<Object, WriteError> {
        let layout = self.layout();
        let (max, format) = (layout.max_object_bytes(), layout.format());
        if bytes.len() > max as usize {
            return Err(WriteError::TooLarge {
                what,
                bytes: bytes.len() as u64,
                max: u64::from(max),
            });
        }
        let taken: BTreeSet<u32> = catalogue.chunks().collect();
        let mut free: Vec<u32> = (0..format.chunks)
            .filter(|index| !taken.contains(index))
            .collect();
        // Odd epochs begin at the other end, away from what the owner before may still have under way.
        if !self.epoch.0.is_multiple_of(2) {
            free.reverse();
        }
        let needed = small(bytes.len()).div_ceil(format.chunk_bytes);
        let indexes: Vec<u32> = free.into_iter().take(needed as usize).collect();
        if small(indexes.len()) < needed {
            return Err(WriteError::NoChunks {
                needed,
                free: small(indexes.len()),
            });
        }
        let parts = bytes.chunks(format.chunk_bytes as usize);
        let mut chunks = Vec::with_capacity(indexes.len());
        for (index, part) in indexes.into_iter().zip(parts) {
            self.write_blocks(layout.chunk(index), part, what)?;
            let sums = Sums::of(self.shared.seed_beside_the_log(layout.chunk(index)), part);
            chunks.push(Chunk { index, sums });
        }
        self.flush(what)?;
        let object = Object {
            lsn,
            bytes: small(bytes.len()),
            chunks,
        };
        if self.shared.guards.on(Guard::ReadBack) {
            let back = state::read_object(&self.storage, &self.shared, &object, what);
            if !back.is_ok_and(|back| back == bytes) {
                return Err(self.fail(
                    format!("{what} does not read back as it was written"),
                    false,
                ));
            }
        }
        Ok(object)
    }

    /// Writes a catalogue where the older one is, and names it.
    fn commit_catalogue(
        &self,
        roots: &mut Roots,
        mut catalogue: Catalogue,
    ) -> Result<(), WriteError> {
        catalogue.number = roots.catalogue.number + 1;
        let newest = roots.superblock.catalogues[0];
        let slot = self.next_catalogue(roots);
        let content = catalogue.emit();
        let layout = self.layout();
        let offset = layout.catalogue(u64::from(slot));
        let reference = CatalogueRef {
            slot,
            bytes: small(content.len()),
            number: catalogue.number,
            sums: Sums::of(self.shared.seed_beside_the_log(offset), &content),
        };
        self.write_blocks(offset, &content, "a catalogue")?;
        self.flush("a catalogue")?;
        if self.shared.guards.on(Guard::ReadBack) {
            let back = state::read_catalogue(&self.storage, &self.shared, reference);
            if !back.is_ok_and(|back| back == catalogue) {
                return Err(self.fail(
                    "a catalogue does not read back as it was written".into(),
                    false,
                ));
            }
        }
        let kept = self.kept(roots, catalogue.kept_from)?;
        let superblock = Superblock {
            catalogues: [Some(reference), newest],
            objects: if catalogue.objects == roots.catalogue.objects {
                roots.superblock.objects
            } else {
                catalogue.number
            },
            sealed: kept.sealed,
            start: kept.start,
            start_lsn: kept.start_lsn,
            freed: kept.freed,
            ..roots.superblock.clone()
        };
        self.replace_superblock(roots, superblock)?;
        self.forget(&roots.superblock);
        roots.catalogue = catalogue;
        Ok(())
    }

    /// The one of this epoch's two catalogues that is not in use. An owner before or after has the other two, so a late
    /// write of it hits none that counts.
    fn next_catalogue(&self, roots: &Roots) -> u8 {
        let first = if self.epoch.0.is_multiple_of(2) { 0 } else { 2 };
        let [newest, previous] = roots
            .superblock
            .catalogues
            .map(|used| used.map(|used| used.slot));
        if newest == Some(first) || (newest != Some(first + 1) && previous == Some(first)) {
            first + 1
        } else {
            first
        }
    }

    /// What the next superblock names: the segments whose records are kept, and the present one. One look, at a moment
    /// when no segment is being begun.
    fn kept(&self, roots: &Roots, kept_from: Lsn) -> Result<Kept, Poisoned> {
        let is_begun = |state: &State| state.writer.is_some() || state.tail.number > 1;
        let state = self.lock_when(is_begun)?;
        let present = state.tail.generation;
        let is_kept = |extent: &&Extent| extent.end_lsn > kept_from || extent.generation == present;
        let kept: Vec<Extent> = state.extents.iter().filter(is_kept).copied().collect();
        let places = kept.iter().map(|extent| extent.generation);
        let places = self.layout().ring_set(places.chain([present]));
        let is_own = |extent: &Extent| extent.generation >= roots.superblock.start;
        let (own, sealed): (Vec<_>, Vec<_>) = kept.into_iter().partition(is_own);
        let first = own.first();
        Ok(Kept {
            // Without a record the present one is the epoch's first.
            start: first.map_or(roots.superblock.start, |first| first.generation),
            start_lsn: first.map_or(roots.superblock.start_lsn, |first| first.first_lsn),
            freed: self.in_use(&state).without(places),
            sealed,
        })
    }

    /// Segments that the superblock which was just written does not name are free. Those begun while it was written
    /// come behind its start.
    fn forget(&self, superblock: &Superblock) {
        let named = |extent: &Extent| {
            extent.generation >= superblock.start || superblock.sealed.contains(extent)
        };
        self.lock().extents.retain(named);
    }

    fn write_blocks(&self, offset: u64, content: &[u8], what: &str) -> Result<(), WriteError> {
        let length = round_up(content.len() as u64, self.layout().block());
        let mut buffer = Aligned::zeroed(usize::try_from(length).expect("bounded"));
        buffer[..content.len()].copy_from_slice(content);
        let written = self.storage.write_at(offset, &buffer);
        written
            .map_err(|error| self.fail(format!("writing {what} at byte {offset}: {error}"), false))
    }

    fn flush(&self, what: &str) -> Result<(), WriteError> {
        let flushed = self.storage.flush();
        flushed.map_err(|error| self.fail(format!("flushing {what}: {error}"), false))
    }
}

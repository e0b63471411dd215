//! A log that is written: appended to by many threads, committed by one write at a time, checkpointed beside it.
//!
//! ```text
//! append ─┐                        leader: seals the batch, writes, flushes, acknowledges
//! append ─┼─► open batch ─► commit ┤
//! append ─┘                        followers: wait for the leader's batch, or lead the next
//! ```
//!
//! Invariants:
//! * exactly one frame is in flight, and the next is sealed only after it was flushed;
//! * an append that was admitted finds its place: a full log is told before a byte is written;
//! * the first error of a write or a flush is the last act of the handle: it never retries, and everybody who waits
//!   is told;
//! * ownership is proved before each write, and again before the write is acknowledged.

mod batch;
mod begin;
mod commit;
mod create;
mod crowd;
mod place;
mod store;
mod superblocks;

pub use create::{create, create_with};
pub(crate) use create::{create_from, random};
pub(crate) use place::RESERVE;

use crate::buffer::Aligned;
use crate::catalogue::Catalogue;
use crate::claim::{Fencing, Owner};
use crate::error::{Poisoned, WriteError};
use crate::frame;
use crate::ids::{Epoch, Generation, Lsn};
use crate::layout::{Layout, RingSet};
use crate::recover::Frame;
use crate::storage::Storage;
use crate::superblock::{Extent, Parked, Superblock};
use batch::Sleepers;
use crowd::Crowd;
use place::Tail;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often who replaces a superblock looks whether a frame is through.
const FRAME_POLL: Duration = Duration::from_millis(1);

/// A log whose last epoch is this handle's. See the module.
pub struct Log<S> {
    storage: S,
    shared: Frame,
    fencing: Fencing,
    epoch: Epoch,
    owner: Owner,
    incarnation: u64,
    /// The segment that the epoch began with.
    first: Generation,
    /// Segments that the owner before may still be writing to.
    avoid: RingSet,
    state: Mutex<State>,
    /// Superblock and catalogue as they are on the medium; held while they are replaced.
    roots: Mutex<Roots>,
}

/// What appenders and committers share.
struct State {
    /// The records of the open batch, in their form on the medium.
    body: Vec<u8>,
    records: u16,
    /// The record that the next append becomes.
    next: Lsn,
    /// Everything before it is acknowledged.
    durable: Lsn,
    /// Behind the frame in flight, if there is one.
    tail: Tail,
    /// Segments with records that are kept, the present one last.
    extents: Vec<Extent>,
    /// The next frame begins a segment, if there is one to spare: so that the present one can be freed.
    roll: bool,
    /// A frame without records is wanted.
    seal: bool,
    /// The last frame has records.
    unsealed: bool,
    /// Nobody leads when it is here.
    writer: Option<Box<Writer>>,
    crowd: Crowd,
    /// Those of the open batch.
    sleepers: Sleepers,
    closed: bool,
    poisoned: Option<Poisoned>,
}

/// What the leader needs.
struct Writer {
    /// The last frame's chain sum.
    sum: u32,
    /// The partial block, up to the tail's end.
    image: Vec<u8>,
    out: Aligned,
    spare_body: Vec<u8>,
}

struct Roots {
    superblock: Superblock,
    catalogue: Catalogue,
}

/// An append that may not be durable yet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[must_use = "a record is durable after `commit`"]
pub struct Ticket {
    /// The record's number.
    pub lsn: Lsn,
}

/// Where a log stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// The record that the next append becomes.
    pub next: Lsn,
    /// Everything before it is durable.
    pub durable: Lsn,
    /// Bytes of the ring that frames may still take before the next checkpoint. What is left of a segment is not used
    /// by a record that does not fit there.
    pub free_bytes: u64,
    /// Less than half of the ring that appends may use is left: a checkpoint is due.
    pub wants_checkpoint: bool,
}

impl<S: Storage> Log<S> {
    /// Appends a record to the open batch. It is durable when [`Self::commit`] has returned.
    ///
    /// # Errors
    /// [`WriteError`]; nothing of the record was or will be written.
    pub fn append(&self, record: &[u8]) -> Result<Ticket, WriteError> {
        let (_state, lsn) = self.append_locked(record)?;
        Ok(Ticket { lsn })
    }

    fn append_locked(&self, record: &[u8]) -> Result<(MutexGuard<'_, State>, Lsn), WriteError> {
        let max = self.layout().max_record_bytes();
        if record.len() > max as usize {
            return Err(WriteError::TooLarge {
                what: "a record",
                bytes: record.len() as u64,
                max: u64::from(max),
            });
        }
        let mut state = self.lock();
        loop {
            self.usable(&state)?;
            if self.batch_takes(&state, record.len()) {
                break;
            }
            if state.records == 0 {
                let needed = frame::frame_bytes(frame::record_bytes(record.len()));
                return Err(WriteError::Full { needed });
            }
            // The open batch is in the way: it goes first.
            let last = Lsn(state.next.0 - 1);
            self.commit_locked(state, last)?;
            state = self.lock();
        }
        frame::push_record(&mut state.body, record);
        state.records += 1;
        let lsn = state.next;
        state.next = lsn.next();
        Ok((state, lsn))
    }

    /// Waits until this record, and so every one before it, is durable.
    ///
    /// # Errors
    /// The handle has ended. The record may be found after an open, or not, as [`Poisoned`] says.
    pub fn commit(&self, ticket: Ticket) -> Result<(), Poisoned> {
        self.commit_locked(self.lock(), ticket.lsn)
    }

    /// Appends and commits.
    ///
    /// # Errors
    /// As both.
    pub fn append_durable(&self, record: &[u8]) -> Result<Lsn, WriteError> {
        let (state, lsn) = self.append_locked(record)?;
        self.commit_locked(state, lsn)?;
        Ok(lsn)
    }

    /// Writes a frame without records when nothing follows the last one yet and the segment has room: from then on
    /// damage to the last record cannot be taken for a torn write. To be called when nobody has appended for a while
    /// (50 ms).
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn seal(&self) -> Result<(), WriteError> {
        let mut state = self.lock();
        self.usable(&state)?;
        if state.records > 0 || state.writer.is_none() {
            return Ok(()); // What is under way follows the last one.
        }
        if state.unsealed && self.seal_fits(&state) {
            state.seal = true;
            self.lead(state)?;
        }
        Ok(())
    }

    /// Where it stands.
    pub fn position(&self) -> Position {
        let state = self.lock();
        let segment = self.layout().format().segment_bytes;
        let spare = u64::from(self.segments_to_spare(&state));
        let here = if self.data_may_go_here(&state) {
            segment - state.tail.end.min(segment)
        } else {
            0
        };
        let free_bytes = here.saturating_sub(self.layout().block()) + spare * segment;
        Position {
            next: state.next,
            durable: state.durable,
            free_bytes,
            wants_checkpoint: free_bytes < segment / 2 || (state.extents.len() > 1 && spare == 0),
        }
    }

    /// Its epoch.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Who claimed it.
    #[must_use]
    pub const fn owner(&self) -> Owner {
        self.owner
    }

    /// Which claim of that owner.
    #[must_use]
    pub const fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Where everything is.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.shared.layout
    }

    /// Why the handle has ended, if it has.
    #[must_use]
    pub fn poisoned(&self) -> Option<Poisoned> {
        self.lock().poisoned.clone()
    }

    /// Commits everything and writes down that the log ends here. The handle is done.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn close(&self) -> Result<(), WriteError> {
        self.end(false).map(|_superblock| ())
    }

    /// Hands over: as [`Self::close`], with the mark that the present owner may be preempted without a wait.
    ///
    /// # Errors
    /// [`WriteError`]. Whatever it says, nothing is written any more: the mark may be on the medium.
    pub fn park(&self) -> Result<Parked, WriteError> {
        let superblock = self.end(true)?;
        Ok(superblock.parked().expect("it says so"))
    }

    fn end(&self, parked: bool) -> Result<Superblock, WriteError> {
        let mut state = self.lock();
        self.usable(&state)?;
        state.closed = true;
        let last = Lsn(state.next.0 - 1);
        self.commit_locked(state, last)?;
        // A seal may be on its way, which nobody sleeps on. There will be no other.
        let state = self.lock_when(|state| state.writer.is_some())?;
        let extent = self.present_extent(&state);
        drop(state);
        let mut roots = self.lock_roots();
        // Whoever had the roots before may have ended the handle. The superblock is not looked up here: who hands over
        // goes by it that nothing is read before the mark was written, and a deposed owner's counts for nothing.
        if let Some(poisoned) = &self.lock().poisoned {
            return Err(poisoned.clone().into());
        }
        let mut superblock = roots.superblock.clone();
        superblock.clean = Some(extent);
        superblock.parked = parked;
        superblock.freed = RingSet::default();
        self.replace_superblock(&mut roots, superblock)?;
        Ok(roots.superblock.clone())
    }

    fn usable(&self, state: &State) -> Result<(), WriteError> {
        if let Some(poisoned) = &state.poisoned {
            return Err(poisoned.clone().into());
        }
        if state.closed {
            Err(WriteError::Closed)
        } else {
            Ok(())
        }
    }

    /// Ends the handle, the first time for good.
    fn poison(&self, state: &mut State, cause: String, fenced: bool) -> Poisoned {
        let indeterminate = state.durable..if state.writer.is_none() {
            self.in_flight_end(state)
        } else {
            state.durable
        };
        let poisoned = state
            .poisoned
            .get_or_insert(Poisoned {
                indeterminate,
                cause,
                fenced,
            })
            .clone();
        std::mem::take(&mut state.sleepers).settle(&Err(poisoned.clone()));
        poisoned
    }

    /// What was sealed and not acknowledged ends here: behind it only the open batch.
    fn in_flight_end(&self, state: &State) -> Lsn {
        Lsn(state.next.0 - u64::from(state.records))
    }

    /// No code panics while it holds this lock but for a broken invariant, after which nothing is trusted.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something that a frame in flight brings about.
    fn lock_when(&self, ready: impl Fn(&State) -> bool) -> Result<MutexGuard<'_, State>, Poisoned> {
        loop {
            let state = self.lock();
            if let Some(poisoned) = &state.poisoned {
                return Err(poisoned.clone());
            }
            if ready(&state) {
                return Ok(state);
            }
            drop(state);
            std::thread::sleep(FRAME_POLL);
        }
    }

    fn lock_roots(&self) -> MutexGuard<'_, Roots> {
        self.roots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> std::fmt::Debug for Log<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Log {} epoch {}", self.shared.id, self.epoch)
    }
}

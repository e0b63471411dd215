//! Reading a region: which root counts, which checkpoint, and every record since, or why not.
//!
//! ```text
//! superblocks ──roots──► the newest ──state──► checkpoint ──chain──► segments in order ──tail──► the end
//! ```
//!
//! Nothing here writes. What is handed to a [`Replay`] counts only when [`open`] has returned without an error.
//!
//! Invariants:
//! * the records are those from the checkpoint on, without a gap, up to the last that may have been acknowledged;
//! * what was surely acknowledged and is not there is an error, never a shorter log;
//! * what is damaged but covered by the checkpoint, or a single bit, is a [`Note`].

mod ahead;
pub(crate) mod chain;
pub(crate) mod reader;
pub(crate) mod roots;
pub(crate) mod state;
mod tail;
mod window;

pub(crate) use window::Memory;

use crate::catalogue::Catalogue;
use crate::claim::Owner;
use crate::error::OpenError;
use crate::guards::Guard;
use crate::guards::Guards;
use crate::ids::{Epoch, Generation, LogId, Lsn};
use crate::layout::Layout;
use crate::storage::Storage;
use crate::sum::Seed;
use crate::superblock::{Cluster, Extent, Parked, Superblock};
use std::fmt;

/// One record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Entry<'a> {
    /// Its number.
    pub lsn: Lsn,
    /// The epoch that wrote it.
    pub epoch: Epoch,
    /// What was appended.
    pub bytes: &'a [u8],
}

/// Who is told what a log holds, in order.
pub trait Replay {
    /// The newest good checkpoint: everything up to and with `upto`. Comes first, if there is one.
    fn checkpoint(&mut self, upto: Lsn, state: &[u8]);

    /// A record behind it.
    fn record(&mut self, entry: Entry<'_>);
}

/// Nobody is told.
impl Replay for () {
    fn checkpoint(&mut self, _upto: Lsn, _state: &[u8]) {}
    fn record(&mut self, _entry: Entry<'_>) {}
}

/// Something that was found and did no harm this time; an operator wants to know.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Note {
    /// A superblock copy is damaged or cannot be read; another one served.
    SuperblockCopy {
        /// From the start of the region.
        offset: u64,
    },
    /// The newest checkpoint or its catalogue is damaged; the one before it served.
    OlderCheckpoint {
        /// What is damaged.
        what: &'static str,
    },
    /// The head of a segment is damaged; its frames verify without it.
    SegmentHead {
        /// From the start of the region.
        offset: u64,
    },
    /// One bit was flipped and is mended in what was handed out, not on the medium.
    FlippedBit {
        /// From the start of the region: of the frame.
        offset: u64,
    },
    /// Records are damaged that the checkpoint covers.
    CoveredDamage {
        /// From the start of the region.
        offset: u64,
        /// The first record behind it.
        resumed_at: Lsn,
    },
    /// A last write was cut short; it had not been acknowledged.
    TornTail {
        /// From the start of the region.
        offset: u64,
        /// The record that was not finished.
        lsn: Lsn,
    },
    /// Blocks cannot be read where only a write in flight can have been.
    UnreadableTail {
        /// From the start of the region.
        offset: u64,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SuperblockCopy { offset } => {
                write!(
                    f,
                    "the superblock copy at byte {offset} is damaged; another one served"
                )
            }
            Self::OlderCheckpoint { what } => {
                write!(
                    f,
                    "{what} is damaged; the checkpoint before it and the log since served"
                )
            }
            Self::SegmentHead { offset } => {
                write!(
                    f,
                    "the head of the segment at byte {offset} is damaged; its frames are not"
                )
            }
            Self::FlippedBit { offset } => {
                write!(
                    f,
                    "one bit of the frame at byte {offset} was flipped, and mended"
                )
            }
            Self::CoveredDamage { offset, resumed_at } => write!(
                f,
                "damage at byte {offset}, before LSN {resumed_at}: the checkpoint covers it"
            ),
            Self::TornTail { offset, lsn } => write!(
                f,
                "a last write of LSN {lsn} at byte {offset} was cut short; it had not been acknowledged"
            ),
            Self::UnreadableTail { offset } => {
                write!(
                    f,
                    "the last write, at byte {offset}, cannot be read; it had not been acknowledged"
                )
            }
        }
    }
}

/// What everything of one log shares: where, whose, and which guards are on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) layout: Layout,
    pub(crate) id: LogId,
    pub(crate) guards: Guards,
}

impl Frame {
    pub(crate) fn of(superblock: &Superblock, guards: Guards) -> Self {
        let layout = superblock.format.layout();
        Self {
            layout: layout.expect("checked when it was parsed"),
            id: superblock.id,
            guards,
        }
    }

    /// What the sums begin with at this offset of the region.
    pub(crate) fn seed(&self, generation: Generation, offset: u64) -> Seed {
        let on = |guard| self.guards.on(guard);
        Seed {
            log: if on(Guard::SeedOfLog) {
                self.id
            } else {
                LogId::default()
            },
            generation: if on(Guard::SeedOfLap) {
                generation
            } else {
                Generation(0)
            },
            offset: if on(Guard::SeedOfPlace) { offset } else { 0 },
        }
    }

    /// Of catalogues and chunks, which no lap of the ring writes.
    pub(crate) fn seed_beside_the_log(&self, offset: u64) -> Seed {
        self.seed(Generation(0), offset)
    }
}

/// An open log that nobody writes: what was found, and the right to claim it.
#[derive(Debug)]
pub struct Recovered<S> {
    pub(crate) storage: S,
    pub(crate) shared: Frame,
    pub(crate) superblock: Superblock,
    pub(crate) catalogue: Catalogue,
    /// The catalogue that was used is the first of the superblock's two.
    pub(crate) newest_served: bool,
    /// The segments that hold records, in order: with the last one those that the last owner had in use.
    pub(crate) extents: Vec<Extent>,
    /// The segment that the last epoch wrote last.
    pub(crate) last: Generation,
    /// The highest generation anywhere.
    pub(crate) highest: Generation,
    pub(crate) next: Lsn,
    pub(crate) checkpoint: Lsn,
    pub(crate) notes: Vec<Note>,
}

/// What the newest superblock says, without a look at the log: who claimed it last, and whether it was handed over.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Root {
    /// The log's own id.
    pub id: LogId,
    /// What the cluster wrote at creation.
    pub cluster: Cluster,
    /// The last epoch that was claimed.
    pub epoch: Epoch,
    /// Who claimed it.
    pub owner: Owner,
    /// Which claim of that owner.
    pub incarnation: u64,
    /// The mark of a hand-over.
    pub parked: Option<Parked>,
}

/// Reads the superblocks, and where two of one epoch contend, which of them was used.
///
/// # Errors
/// [`OpenError`], but never for damage of the log itself.
pub fn peek<S: Storage>(storage: &S) -> Result<Root, OpenError> {
    let superblock = roots::newest(storage, Guards::ALL_ON, &mut Vec::new())?;
    Ok(Root {
        id: superblock.id,
        epoch: superblock.epoch,
        owner: superblock.owner,
        incarnation: superblock.incarnation,
        parked: superblock.parked(),
        cluster: superblock.cluster,
    })
}

/// Reads a log and hands everything it holds to `replay`. Writes nothing.
///
/// # Errors
/// [`OpenError`]; what `replay` was told is void then.
pub fn open<S: Storage>(storage: S, replay: &mut dyn Replay) -> Result<Recovered<S>, OpenError> {
    open_with(storage, replay, Guards::ALL_ON)
}

/// As [`open`], with guards switched off: for the test that each is noticed.
///
/// # Errors
/// [`OpenError`].
pub fn open_with<S: Storage>(
    storage: S,
    replay: &mut dyn Replay,
    guards: Guards,
) -> Result<Recovered<S>, OpenError> {
    let mut notes = Vec::new();
    let superblock = roots::newest(&storage, guards, &mut notes)?;
    let shared = Frame::of(&superblock, guards);
    let found = state::load(&storage, &shared, &superblock, &mut notes)?;
    if let Some((upto, bytes)) = &found.state {
        replay.checkpoint(*upto, bytes);
    }
    let checkpoint = found.state.as_ref().map_or(Lsn(0), |(upto, _)| *upto);
    let chain = chain::walk(
        &storage,
        &shared,
        &superblock,
        checkpoint,
        replay,
        &mut notes,
    )?;
    Ok(Recovered {
        storage,
        shared,
        superblock,
        catalogue: found.catalogue,
        newest_served: found.newest,
        extents: chain.extents,
        last: chain.last,
        highest: chain.highest,
        next: Lsn(chain.next.0.max(checkpoint.0 + 1)),
        checkpoint,
        notes,
    })
}

/// For a rescue, when [`open`] refuses the checkpoint: replays from the newest one that is whole. False when none is.
///
/// # Errors
/// [`OpenError`]; here `replay` was told what is good before the damage.
pub(crate) fn replay_from_any_checkpoint<S: Storage>(
    storage: &S,
    superblock: &Superblock,
    replay: &mut dyn Replay,
) -> Result<bool, OpenError> {
    let shared = Frame::of(superblock, Guards::ALL_ON);
    let Some((upto, bytes)) = state::newest_whole(storage, &shared, superblock) else {
        return Ok(false);
    };
    replay.checkpoint(upto, &bytes);
    chain::walk(storage, &shared, superblock, upto, replay, &mut Vec::new())?;
    Ok(true)
}

impl<S> Recovered<S> {
    /// The record that comes next.
    #[must_use]
    pub const fn next_lsn(&self) -> Lsn {
        self.next
    }

    /// The last record that the checkpoint covers; 0 without one.
    #[must_use]
    pub const fn checkpoint_lsn(&self) -> Lsn {
        self.checkpoint
    }

    /// The last epoch that was claimed.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.superblock.epoch
    }

    /// Who claimed it.
    #[must_use]
    pub const fn owner(&self) -> Owner {
        self.superblock.owner
    }

    /// The log's own id.
    #[must_use]
    pub const fn id(&self) -> LogId {
        self.superblock.id
    }

    /// What the cluster wrote at creation.
    #[must_use]
    pub const fn cluster(&self) -> &Cluster {
        &self.superblock.cluster
    }

    /// The mark of a hand-over, if the last owner parked.
    #[must_use]
    pub fn parked(&self) -> Option<Parked> {
        self.superblock.parked()
    }

    /// The last owner closed or parked it.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.superblock.clean.is_some()
    }

    /// What was found and did no harm.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Where everything is.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.shared.layout
    }

    /// The names of the stored objects.
    pub fn object_names(&self) -> impl Iterator<Item = &str> {
        self.catalogue.objects.keys().map(String::as_str)
    }
}

impl<S: Storage> Recovered<S> {
    /// A stored object; `None` when there is none of this name.
    ///
    /// # Errors
    /// When it is damaged or cannot be read.
    pub fn object(&self, name: &str) -> Result<Option<Vec<u8>>, OpenError> {
        let object = self.catalogue.objects.get(name);
        object
            .map(|object| state::read_object(&self.storage, &self.shared, object, "an object"))
            .transpose()
    }
}

//! What owners do in a small world.

use crate::history::{SCALED, sized};
use crate::oracle::{Found, Oracle};
use crate::overlay::{Over, Overlay};
use crate::world::{Shared, claim_of, image, lock};
use qlog::{Format, Guards, Log, Lsn, WriteError};
use std::sync::Arc;

/// One operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// A record that fits behind others into a block is committed.
    Small,
    /// A record that does not fit into one block is committed.
    Large,
    /// A record is appended, and goes with the next commit.
    Leave,
    /// Everything durable is checkpointed.
    Checkpoint,
    /// An object is stored.
    Object,
    /// A proof behind the last record.
    Seal,
    /// The log is closed, and somebody else claims it.
    Close,
    /// The owner is killed, and somebody else claims the log.
    Owner,
}

pub(super) const STEPS: [Step; 8] = [
    Step::Small,
    Step::Large,
    Step::Leave,
    Step::Checkpoint,
    Step::Object,
    Step::Seal,
    Step::Close,
    Step::Owner,
];

/// Four segments of four blocks of four sectors: one frame fits behind another into a block.
fn four_a_block() -> Format {
    sized(Format {
        segment_bytes: 4 * 256,
        catalogue_bytes: 512,
        ..SCALED
    })
}

/// Eight sectors a block: several frames do, so a block's images are in both shadow slots in turn.
fn eight_a_block() -> Format {
    sized(Format {
        block_bytes: 512,
        segment_bytes: 4 * 512,
        catalogue_bytes: 512,
        chunk_bytes: 512,
        ..SCALED
    })
}

/// Where a world begins.
pub(super) struct Start {
    pub(super) name: &'static str,
    pub(super) format: Format,
    pub(super) base: Arc<Vec<u8>>,
    oracle: Oracle,
    owners: u32,
}

impl Start {
    /// A log that was just made.
    pub(super) fn new() -> Self {
        Self::of("new", four_a_block())
    }

    /// One of larger blocks.
    pub(super) fn larger_blocks() -> Self {
        Self::of("larger blocks", eight_a_block())
    }

    fn of(name: &'static str, format: Format) -> Self {
        Self {
            name,
            format,
            base: Arc::new(image(format)),
            oracle: Oracle::default(),
            owners: 0,
        }
    }

    /// A log that has been through its ring more than once, with two checkpoints, two objects, and a last owner that
    /// was killed with its tail in a shadow slot: old laps are everywhere.
    pub(super) fn used() -> Self {
        let mut life = Life::begin(&Self::new(), Guards::ALL_ON);
        let turn = [
            Step::Small,
            Step::Large,
            Step::Checkpoint,
            Step::Object,
            Step::Small,
            Step::Owner,
        ];
        for step in turn.iter().cycle().take(8 * turn.len()) {
            let _full = life.step(*step);
        }
        for step in [Step::Checkpoint, Step::Large, Step::Small] {
            life.step(step).expect("there is room");
        }
        let mut base = life.base.to_vec();
        for patch in life.disk.over().patches {
            base[patch.offset..][..patch.bytes.len()].copy_from_slice(&patch.bytes);
        }
        let oracle = lock(&life.oracle).clone();
        Self {
            name: "used",
            format: four_a_block(),
            base: Arc::new(base),
            oracle,
            owners: life.owners,
        }
    }
}

/// Owners on one disk, from a start.
pub(super) struct Life {
    guards: Guards,
    base: Arc<Vec<u8>>,
    pub(super) disk: Arc<Overlay>,
    pub(super) oracle: Shared,
    owners: u32,
    appended: u8,
    log: Option<Log<Arc<Overlay>>>,
}

impl Life {
    /// The first owner claims.
    pub(super) fn begin(start: &Start, guards: Guards) -> Self {
        let oracle = Shared::default();
        *lock(&oracle) = start.oracle.clone();
        let block = start.format.block_bytes;
        let mut life = Self {
            guards,
            base: Arc::clone(&start.base),
            disk: Overlay::new(&start.base, block, Over::default(), &oracle),
            oracle,
            owners: start.owners,
            appended: 0,
            log: None,
        };
        life.claim();
        life
    }

    fn claim(&mut self) {
        self.log = None;
        self.owners += 1;
        let (found, opened) =
            Found::open(Arc::clone(&self.disk), self.guards).expect("all is well");
        let claim = claim_of(self.owners, u64::from(self.owners) * 1000);
        let log = opened.claim(claim).expect("all is well");
        lock(&self.oracle).settle(&found);
        self.log = Some(log);
    }

    /// Does it; an operation that finds no room has done nothing.
    pub(super) fn step(&mut self, step: Step) -> Result<(), WriteError> {
        match step {
            Step::Small => self.append(12, true),
            Step::Large => self.append(200, true),
            Step::Leave => self.append(12, false),
            Step::Checkpoint => self.checkpoint(),
            Step::Object => self.object(),
            Step::Seal => {
                let log = self.log.as_ref().expect("there is an owner");
                let before = self.disk.over().patches.len();
                log.seal()?;
                if self.disk.over().patches.len() > before {
                    lock(&self.oracle).sealed();
                }
                Ok(())
            }
            Step::Close => {
                let log = self.log.as_ref().expect("there is an owner");
                log.close()?;
                let last = log.position().durable;
                lock(&self.oracle).acknowledge(Lsn(last.0 - 1));
                self.claim();
                Ok(())
            }
            Step::Owner => {
                self.claim();
                Ok(())
            }
        }
    }

    fn append(&mut self, length: usize, commit: bool) -> Result<(), WriteError> {
        let log = self.log.as_ref().expect("there is an owner");
        self.appended += 1;
        let record = vec![self.appended; length];
        let ticket = log.append(&record)?;
        lock(&self.oracle).submit(ticket.lsn, &record);
        if commit {
            log.commit(ticket)?;
            lock(&self.oracle).acknowledge(ticket.lsn);
        }
        Ok(())
    }

    fn checkpoint(&self) -> Result<(), WriteError> {
        let log = self.log.as_ref().expect("there is an owner");
        let upto = log.position().durable.0 - 1;
        let state = lock(&self.oracle).state(upto, 100);
        log.checkpoint(Lsn(upto), &state)?;
        lock(&self.oracle).checkpointed(upto);
        Ok(())
    }

    fn object(&mut self) -> Result<(), WriteError> {
        let log = self.log.as_ref().expect("there is an owner");
        self.appended += 1;
        let name = if self.appended.is_multiple_of(2) {
            "disk"
        } else {
            "name"
        };
        let value = vec![self.appended; 90];
        lock(&self.oracle).submit_object(name, Some(value.clone()));
        log.put_object(name, &value)?;
        lock(&self.oracle).acknowledge_object(name);
        Ok(())
    }
}

//! A logical unit in memory: the reservation rules of SPC-2 and SPC-4 for many nexuses, with a medium behind.
//! Pure: equal units that are given equal commands stay equal.
//!
//! ```text
//!   accept(nexus, cdb, data) ──► refused: attention, conflict, bad CDB   ──► Outcome
//!                            └─► task set ──► run(tag, media)            ──► Outcome
//!                                    │ PREEMPT AND ABORT, resets, nexus loss
//!                                    └─► aborted
//!   execute = accept and run
//! ```
//!
//! | file | what it decides |
//! |---|---|
//! | `access` | who may do what under another's reservation |
//! | `spc2` | RESERVE, RELEASE, and their exclusion with persistent reservations |
//! | `persistent/` | PERSISTENT RESERVE OUT, one file for each action |
//! | `attention` | what waits for a nexus, in which order |
//! | `reset`, `power` | what resets, nexus loss and power loss take and leave |
//! | `tasks` | commands that wait, and their abortion |
//! | `device_server`, `persistent_out`, `medium`, `answers/` | from CDB to rule to answer |
//! | `behaviour` | how real units differ, by name |
//! | `image` | the state as bytes |
//! | `media`, `shared` | blocks in memory; many [`crate::device::Device`]s on one unit |
//!
//! Invariants:
//! * an SPC-2 reservation and a registration never exist together (but under `tgt`, which allows it);
//! * everything that grows is bounded: registrations, nexuses, attentions, tasks, transfers;
//! * admission is decided when a command is accepted. What touches the medium and was admitted runs even if
//!   its nexus lost its rights meanwhile, unless it was aborted: so it is on real units, and it is why a barrier
//!   is needed. What changes reservations is decided again when it runs;
//! * nothing of another's choosing makes it panic or allocate beyond a bound.
//!
//! It never reads a clock, a file or anything random: `hostile` draws from [`Config::seed`].

mod access;
mod answers;
mod attention;
mod behaviour;
mod config;
mod device_server;
mod image;
mod media;
mod medium;
mod nexus;
mod persistent;
mod persistent_out;
mod power;
mod refused;
mod reset;
mod shared;
mod spc2;
mod tasks;
mod whims;

pub use answers::inquiry::{PRODUCT, REVISION, VENDOR};
pub use attention::ATTENTIONS_MAX;
pub use behaviour::{Behaviour, DIFFERENCES, Difference, Row};
pub use config::{BLOCK_BYTES, COMPARE_BLOCKS_MAX, Config, SERIAL_MAX, TRANSFER_BLOCKS_MAX};
pub use image::{IMAGE_BYTES_MAX, ImageError};
pub use media::{Media, MediaError, MemoryMedia};
pub use nexus::Nexus;
pub use persistent::REGISTRATIONS_MAX;
pub use shared::{Shared, SharedDevice};
pub use tasks::{TASKS_MAX, Tag};

use crate::reservation::{Attention, Key, PersistentState};
use crate::wire::cdb::Cdb;
use crate::wire::sense::Sense;
use crate::wire::status::Status;
use attention::{Attentions, COMMANDS_CLEARED, Order, POWER_ON, UNRELATED};
use persistent::{Effects, Persistent, Registrant, Surroundings};
use refused::Refused;
use std::collections::BTreeMap;
use tasks::{Task, TaskSet};
use whims::Whims;

/// How many nexuses the unit remembers. When one more comes, one that is not registered and holds nothing is
/// forgotten, if possible one for which nothing waits; if there is none the newcomer meets BUSY.
pub const NEXUSES_MAX: usize = 256;

/// How a command ended.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Outcome {
    /// The SAM status.
    pub status: Status,
    /// With CHECK CONDITION.
    pub sense: Option<Sense>,
    /// What the unit sends, no longer than the allocation or transfer length allows.
    pub data_in: Vec<u8>,
}

impl Outcome {
    fn good(data_in: Vec<u8>) -> Self {
        Self {
            status: Status::GOOD,
            sense: None,
            data_in,
        }
    }

    const fn without_data(status: Status) -> Self {
        Self {
            status,
            sense: None,
            data_in: Vec::new(),
        }
    }
}

impl From<Refused> for Outcome {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Conflict => Self::without_data(Status::RESERVATION_CONFLICT),
            Refused::Status(status) => Self::without_data(status),
            Refused::Check(sense) => Self {
                status: Status::CHECK_CONDITION,
                sense: Some(sense),
                data_in: Vec::new(),
            },
        }
    }
}

/// What became of a command that was handed in.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Accepted {
    /// It waits to be run.
    Waits(Tag),
    /// It ended at once: refused.
    Ended(Outcome),
}

/// A logical unit, without its medium.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LogicalUnit {
    config: Config,
    /// Every nexus that was seen, and what waits for it.
    nexuses: BTreeMap<Nexus, Attentions>,
    /// The holder of an SPC-2 reservation.
    spc2: Option<Nexus>,
    persistent: Persistent,
    tasks: TaskSet,
    whims: Whims,
    /// A nexus that comes for the first time has a power-on attention waiting.
    power_cycled: bool,
}

impl LogicalUnit {
    /// A unit on which nothing is reserved. No attention waits: whoever made it has seen it come up.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            whims: Whims::new(config.seed),
            config,
            nexuses: BTreeMap::new(),
            spc2: None,
            persistent: Persistent::default(),
            tasks: TaskSet::default(),
            power_cycled: false,
        }
    }

    /// What it was made as.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Accepts and runs one command.
    pub fn execute(
        &mut self,
        nexus: &Nexus,
        cdb: &Cdb,
        data_out: &[u8],
        media: &mut dyn Media,
    ) -> Outcome {
        match self.admit(nexus, cdb) {
            Err(refused) => refused.into(),
            Ok(()) => self.perform(nexus, cdb, data_out, media),
        }
    }

    /// Accepts a command: decides whether it is admitted, and if so lets it wait.
    pub fn accept(&mut self, nexus: &Nexus, cdb: &Cdb, data_out: &[u8]) -> Accepted {
        if let Err(refused) = self.admit(nexus, cdb) {
            return Accepted::Ended(refused.into());
        }
        match self.tasks.add(nexus, cdb, data_out) {
            Some(tag) => Accepted::Waits(tag),
            None => Accepted::Ended(Outcome::without_data(Status::TASK_SET_FULL)),
        }
    }

    /// Gives a command that waits its data: on a network they come after the command, and by then it may
    /// have been aborted. Says whether it still waits.
    pub fn supply(&mut self, tag: Tag, data_out: Vec<u8>) -> bool {
        self.tasks.supply(tag, data_out)
    }

    /// Runs a command that waits. `None`: it was aborted without a status, or ended before.
    pub fn run(&mut self, tag: Tag, media: &mut dyn Media) -> Option<Outcome> {
        if self.tasks.collect_aborted(tag) {
            return Some(Outcome::without_data(Status::TASK_ABORTED));
        }
        let Task {
            nexus,
            cdb,
            data_out,
            ..
        } = self.tasks.take(tag)?;
        Some(self.perform(&nexus, &cdb, &data_out, media))
    }

    /// The commands that wait, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = (Tag, &Nexus)> {
        self.tasks
            .waiting
            .iter()
            .map(|task| (task.tag, &task.nexus))
    }

    /// Who is registered and who holds: what PERSISTENT RESERVE IN would say, whoever asks.
    #[must_use]
    pub fn persistent_state(&self) -> PersistentState {
        self.persistent.state()
    }

    /// PTPL_A: do registrations survive a power loss now?
    #[must_use]
    pub const fn aptpl(&self) -> bool {
        self.persistent.aptpl
    }

    /// The holder of an SPC-2 reservation. No command tells; tests and simulation may look.
    #[must_use]
    pub const fn spc2_holder(&self) -> Option<&Nexus> {
        self.spc2.as_ref()
    }

    /// Does this nexus hold the persistent reservation?
    #[must_use]
    pub fn is_persistent_holder(&self, nexus: &Nexus) -> bool {
        self.persistent.is_holder(nexus)
    }

    /// Is this nexus registered?
    #[must_use]
    pub fn is_registered(&self, nexus: &Nexus) -> bool {
        self.persistent.is_registered(nexus)
    }

    /// The key that this nexus has registered. Tests and simulation may look.
    #[must_use]
    pub fn registered_key(&self, nexus: &Nexus) -> Option<Key> {
        self.persistent.registration(nexus).map(|one| one.key)
    }

    /// The same unit without the counter of its past, PRGENERATION: so that a model checker can close its world. For
    /// whoever compares generations it is another unit.
    #[must_use]
    pub fn without_generation(mut self) -> Self {
        self.persistent.generation = 0;
        self
    }

    /// Is it reserved, under either protocol? Else everybody may write.
    #[must_use]
    pub const fn is_reserved(&self) -> bool {
        self.persistent.held.is_some() || self.spc2.is_some()
    }

    /// The attentions that wait for this nexus, first first.
    #[must_use]
    pub fn attentions(&self, nexus: &Nexus) -> &[Attention] {
        self.nexuses
            .get(nexus)
            .map_or(&[], |attentions| attentions.waiting())
    }

    /// In which order attentions leave.
    fn order(&self) -> Order {
        Order::of(self.config.behaviour)
    }

    /// Does the unit differ in this?
    fn has(&self, difference: Difference) -> bool {
        self.config.behaviour.has(difference)
    }

    /// Calls a rule that may change reservations, with what it needs to know of the unit, and asserts the
    /// invariants afterwards.
    fn with_surroundings<T>(
        &mut self,
        rule: impl FnOnce(&mut Persistent, &mut Option<Nexus>, &Surroundings<'_>) -> T,
    ) -> T {
        let nexuses = &self.nexuses;
        let around = Surroundings {
            behaviour: self.config.behaviour,
            target_ports: self.config.target_ports,
            known: &|nexus| nexuses.contains_key(nexus),
        };
        let answer = rule(&mut self.persistent, &mut self.spc2, &around);
        self.persistent.assert_sound();
        answer
    }

    /// Makes the nexus known.
    fn attach(&mut self, nexus: &Nexus) -> Result<&mut Attentions, Refused> {
        if !self.nexuses.contains_key(nexus) {
            self.make_room_for_a_nexus()?;
            let mut attentions = Attentions::default();
            if self.power_cycled {
                attentions.establish(POWER_ON, Order::Precedence);
            }
            self.nexuses.insert(nexus.clone(), attentions);
        }
        self.nexuses
            .get_mut(nexus)
            .ok_or(Refused::Status(Status::BUSY))
    }

    fn make_room_for_a_nexus(&mut self) -> Result<(), Refused> {
        if self.nexuses.len() < NEXUSES_MAX {
            return Ok(());
        }
        let free = |nexus: &Nexus| {
            !self.persistent.is_registered(nexus)
                && self.spc2.as_ref() != Some(nexus)
                && !self.tasks.waiting.iter().any(|task| task.nexus == *nexus)
        };
        // First one that loses nothing by being forgotten; else one that meets a power-on in place of what waits
        // for it. Every visitor leaves a nexus behind that was lost, and most never come back.
        let nothing_waits = |(_, attentions): &(&Nexus, &Attentions)| attentions.is_empty();
        let mut candidates = self.nexuses.iter().filter(|(nexus, _)| free(nexus));
        let idle = candidates
            .clone()
            .find(nothing_waits)
            .or_else(|| candidates.next())
            .map(|(nexus, _)| nexus.clone())
            .ok_or(Refused::Status(Status::BUSY))?;
        self.nexuses.remove(&idle);
        Ok(())
    }

    /// Carries out what a change does to others.
    fn apply(&mut self, effects: Effects, by: &Nexus) {
        for (registrant, attention) in effects.attentions {
            // A port that was registered by another and never came has its attention waiting when it comes;
            // where there is no room to remember it, it reads the state.
            let _known = self.attach(&registrant.nexus);
            for nexus in self.covered(&registrant) {
                self.establish(&nexus, attention);
            }
        }
        for (registrant, attention) in effects.attentions_but {
            let spared = self.covered(&registrant);
            let others: Vec<Nexus> = self.nexuses.keys().cloned().collect();
            for nexus in others.iter().filter(|one| !spared.contains(one)) {
                self.establish(nexus, attention);
            }
        }
        if !effects.aborted.is_empty() {
            let aborted = effects.aborted;
            self.abort_for(by, |task| {
                aborted.iter().any(|registrant| {
                    // Registrants that were just orphaned or removed still cover their nexus here.
                    registrant.nexus == task.nexus || registrant.covers(&task.nexus)
                })
            });
        }
    }

    /// The nexuses that a registrant stands for.
    fn covered(&self, registrant: &Registrant) -> Vec<Nexus> {
        self.nexuses
            .keys()
            .filter(|nexus| registrant.covers(nexus))
            .cloned()
            .collect()
    }

    /// Establishes an attention for a nexus that is known; `hostile` may do otherwise.
    fn establish(&mut self, nexus: &Nexus, attention: Attention) {
        let order = self.order();
        let whim = if self.has(Difference::HostileAttentions) {
            self.whims.one_of(8)
        } else {
            0
        };
        let Some(attentions) = self.nexuses.get_mut(nexus) else {
            return;
        };
        match whim {
            1 => attentions.establish_late(attention),
            2 => attentions.establish(UNRELATED, order),
            3 => {}
            _ => attentions.establish(attention, order),
        }
    }

    /// Aborts the chosen tasks on behalf of `by`; the others whose tasks they were learn of it
    /// (SAM-5, Aborting commands; TAS of SPC-4 7.5.8).
    fn abort_for(&mut self, by: &Nexus, chosen: impl Fn(&Task) -> bool) {
        if self.has(Difference::AbortDoesNotAbort) && self.whims.one_of(2) == 1 {
            return;
        }
        let with_status = self.has(Difference::AbortedEndWithStatus);
        for (nexus, tag) in self.tasks.abort(chosen) {
            if nexus == *by {
                continue;
            }
            if with_status {
                self.tasks.ends_aborted(tag);
            } else {
                self.establish(&nexus, COMMANDS_CLEARED);
            }
        }
    }
}

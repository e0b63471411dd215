//! The disk of a world: `scsi::logical_unit`, the rule book, reached as a real one is, by CDBs through
//! `scsi::reservations::over_device`. Whose behaviour it has (`standard`, `lio`, `tgt`, `hostile`) and what
//! it is to lack is said at the beginning.
//!
//! Data writes come in two steps, as they do in a real disk: *accepted* into the task set, where access is
//! checked, and later on the *medium*, which no check stands before.

use scsi::logical_unit::{
    Accepted, Behaviour, Config, Nexus as UnitNexus, Shared, SharedDevice, Tag,
};
use scsi::reservation::{
    Answer, Attention, Capabilities, Exchange, Key, PersistentState, Refusal, Reply, ResetScope,
    Support, Verb,
};
use scsi::reservations::Reservations;
use scsi::reservations::over_device::OverDevice;
use scsi::wire::cdb::{Access, BlockRange, Cdb, Command};
use scsi::wire::sense::Sense;
use scsi::wire::status::Status;
use scsi::wire::transport_id::TransportId;
use std::collections::BTreeMap;
use std::time::Duration;

/// An I_T nexus, by number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Nexus(pub u32);

impl Nexus {
    fn of_unit(self) -> UnitNexus {
        UnitNexus::new(TransportId::Sas(u64::from(self.0).to_be_bytes()), 1)
    }
}

/// The disk of a world.
pub struct Disk {
    unit: Shared,
    behaviour: Behaviour,
    ways: BTreeMap<Nexus, OverDevice<SharedDevice>>,
    lacks: Lacks,
    /// Writes that are accepted, by their token.
    queued: BTreeMap<u64, Tag>,
}

/// What this disk, or the way to it, is to be without.
#[derive(Clone, Copy, Default, Debug)]
pub struct Lacks {
    /// It forgets registrations when it loses power.
    pub aptpl: bool,
    /// LUN RESET cannot be sent.
    pub reset: bool,
    /// CLEAR TASK SET cannot be sent.
    pub clear_task_set: bool,
    /// No attention is ever seen.
    pub attentions: bool,
    /// PREEMPT AND ABORT is not there.
    pub abort: bool,
}

/// What became of a write that arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// It waits in the task set.
    Accepted {
        /// It was repeated for attentions.
        met_attentions: bool,
    },
    /// It was not accepted.
    Refused,
}

/// A real host repeats a write that met an attention; as often as the unit can have some waiting.
const WRITE_TRIES: usize = 8;
/// The unit answers at once.
const BOUND: Duration = Duration::from_secs(1);

impl Disk {
    /// A disk of this behaviour; `hostile` draws its whims from the seed.
    pub fn new(behaviour: Behaviour, seed: u64, lacks: Lacks) -> Self {
        let config = Config {
            behaviour,
            seed,
            ..Config::default()
        };
        Self {
            unit: Shared::new(config),
            behaviour,
            ways: BTreeMap::new(),
            lacks,
            queued: BTreeMap::new(),
        }
    }

    /// A disk as the standards have it.
    pub fn standard() -> Self {
        Self::new(Behaviour::Standard, 0, Lacks::default())
    }

    /// From now on it meets attentions.
    pub fn log_in(&mut self, nexus: Nexus) {
        let way = OverDevice::new(self.unit.device(nexus.of_unit()));
        if let std::collections::btree_map::Entry::Vacant(vacant) = self.ways.entry(nexus) {
            vacant.insert(way);
            self.eat_attentions(nexus);
        }
    }

    /// The session ends and comes back: what it had queued is thrown away, an SPC-2 reservation ends.
    pub fn log_in_again(&mut self, nexus: Nexus) {
        self.unit.with(|unit, _| unit.nexus_loss(&nexus.of_unit()));
    }

    /// Others on the host eat the attentions of a nexus.
    pub fn eat_attentions(&mut self, nexus: Nexus) {
        self.perform(nexus, &Verb::TestUnitReady);
    }

    /// The power goes and comes back.
    pub fn lose_power(&mut self) {
        self.unit.power_cycle();
    }

    /// Who is registered, who holds: whoever asks.
    pub fn state(&self) -> PersistentState {
        self.unit.with(|unit, _| unit.persistent_state())
    }

    /// Does nobody keep anybody out?
    pub fn is_open(&self) -> bool {
        self.unit.with(|unit, _| !unit.is_reserved())
    }

    /// The key that a nexus has registered.
    pub fn key_of(&self, nexus: Nexus) -> Option<Key> {
        self.unit
            .with(|unit, _| unit.registered_key(&nexus.of_unit()))
    }

    /// Is this key listed while the nexus has it not any more?
    pub fn is_listed_without(&self, nexus: Nexus, key: Option<Key>) -> bool {
        self.behaviour == Behaviour::Tgt
            && key.is_some_and(|key| self.state().has_key(key))
            && self.key_of(nexus) != key
    }

    /// SCSI-2: has this nexus reserved it?
    pub fn is_reserved_by(&self, nexus: Nexus) -> bool {
        self.unit
            .with(|unit, _| unit.spc2_holder() == Some(&nexus.of_unit()))
    }

    /// Does this nexus hold the persistent reservation?
    pub fn holds(&self, nexus: Nexus) -> bool {
        self.unit
            .with(|unit, _| unit.is_persistent_holder(&nexus.of_unit()))
    }

    /// Does an attention wait for this nexus?
    pub fn has_attentions(&self, nexus: Nexus) -> bool {
        self.unit
            .with(|unit, _| !unit.attentions(&nexus.of_unit()).is_empty())
    }

    /// Do registrations survive a power loss now?
    pub fn keeps_through_power_loss(&self) -> bool {
        self.unit.with(|unit, _| unit.aptpl())
    }

    /// Whose behaviour it has.
    pub const fn behaviour(&self) -> Behaviour {
        self.behaviour
    }

    /// Performs a verb for this nexus, now.
    pub fn perform(&mut self, nexus: Nexus, verb: &Verb) -> Exchange {
        if let Some(answer) = self.lacking(verb) {
            return answer.into();
        }
        self.log_in(nexus);
        if self.lacks.attentions {
            self.drain(nexus);
        }
        let mut exchange = self.send(nexus, verb);
        if let Answer::Done(Reply::Capabilities(can)) = &mut exchange.answer {
            *can = self.capabilities(*can);
        }
        exchange
    }

    fn send(&mut self, nexus: Nexus, verb: &Verb) -> Exchange {
        let way = self.ways.get_mut(&nexus).expect("it has logged in");
        way.perform(verb, BOUND)
    }

    fn drain(&mut self, nexus: Nexus) {
        self.send(nexus, &Verb::TestUnitReady);
    }

    /// The answer of a disk that does not have this.
    fn lacking(&self, verb: &Verb) -> Option<Answer> {
        let lacking = match verb {
            Verb::Reset { .. } => self.lacks.reset,
            Verb::ClearTaskSet => self.lacks.clear_task_set,
            Verb::Preempt { abort: true, .. } => self.lacks.abort,
            Verb::Register { options, .. } if options.aptpl && self.lacks.aptpl => {
                return Some(Answer::Refused(Refusal::Sense(Sense {
                    key: 5,
                    asc: 0x26,
                    ascq: 0x00,
                    deferred: false,
                    information: None,
                    field: None,
                })));
            }
            _ => false,
        };
        lacking.then_some(Answer::Unsupported)
    }

    fn capabilities(&self, can: Capabilities) -> Capabilities {
        let lacking = |lacks: bool, can: Support| if lacks { Support::No } else { can };
        let mut can = Capabilities {
            aptpl_capable: lacking(self.lacks.aptpl, can.aptpl_capable),
            clear_task_set: lacking(self.lacks.clear_task_set, can.clear_task_set),
            attentions: lacking(self.lacks.attentions, can.attentions),
            preempt_and_abort: lacking(self.lacks.abort, can.preempt_and_abort),
            ..can
        };
        can.resets.lun = lacking(self.lacks.reset, can.resets.lun);
        can
    }

    /// Somebody resets the logical unit.
    pub fn reset(&mut self) {
        self.unit.with(|unit, _| unit.reset(ResetScope::Lun));
    }

    // ---------------------------------------------------------------- writes

    /// A write arrives. True when it is accepted. One that `eats` meets the attentions that wait and is
    /// repeated, as the disk driver does; another is held back by its host until they are drained.
    pub fn accept_write(&mut self, nexus: Nexus, token: u64, eats: bool) -> Admission {
        let lba = u32::try_from(token % 1024).expect("it is small");
        let range = BlockRange::Ten { lba, blocks: 1 };
        // Through to the medium: what is acknowledged survives a power loss.
        let access = Access {
            fua: true,
            ..Access::default()
        };
        let cdb: Cdb = Command::Write { range, access }.cdb();
        let nexus = nexus.of_unit();
        let waiting = self.unit.with(|unit, _| unit.attentions(&nexus).len());
        if waiting > 0 && !eats {
            return Admission::Refused;
        }
        for attempt in 0..WRITE_TRIES {
            let accepted = self
                .unit
                .with(|unit, _| unit.accept(&nexus, &cdb, &[0; 512]));
            match accepted {
                Accepted::Waits(tag) => {
                    self.queued.insert(token, tag);
                    return Admission::Accepted {
                        met_attentions: attempt > 0,
                    };
                }
                Accepted::Ended(outcome) if met_attention(outcome.sense) => {}
                Accepted::Ended(_) => return Admission::Refused,
            }
        }
        Admission::Refused
    }

    /// Its host has given it up and taken it back.
    pub fn forget_write(&mut self, token: u64) {
        if let Some(tag) = self.queued.remove(&token) {
            self.unit.with(|unit, _| unit.abort(tag));
        }
    }

    /// An accepted write reaches the medium. False when it was aborted before.
    pub fn land_write(&mut self, token: u64) -> bool {
        let Some(tag) = self.queued.remove(&token) else {
            return false;
        };
        let outcome = self.unit.with(|unit, media| unit.run(tag, media));
        outcome.is_some_and(|outcome| outcome.status == Status::GOOD)
    }
}

fn met_attention(sense: Option<Sense>) -> bool {
    let attention: Option<Attention> = sense.and_then(|sense| sense.attention());
    attention.is_some()
}

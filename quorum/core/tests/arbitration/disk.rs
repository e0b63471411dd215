//! The disk of the scripts: `scsi::logical_unit`, the rule book, reached as a real one is, by CDBs through
//! `scsi::reservations::over_device`. Whose behaviour it has (`standard`, `lio`, `tgt`, `hostile`) and what
//! it is to lack is said at the beginning.
//!
//! Data writes come in two steps, as they do in a real disk: *accepted* into the task set, where access is
//! checked, and later on the *medium*, which no check stands before.

use scsi::logical_unit::{
    Accepted, Behaviour, Config, Nexus as UnitNexus, Shared, SharedDevice, Tag,
};
use scsi::reservation::{
    Answer, Attention, Capabilities, Exchange, PersistentState, Refusal, Reply, ResetScope,
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
pub(crate) struct Nexus(pub(crate) u32);

impl Nexus {
    fn of_unit(self) -> UnitNexus {
        UnitNexus::new(TransportId::Sas(u64::from(self.0).to_be_bytes()), 1)
    }
}

pub(crate) struct Disk {
    unit: Shared,
    ways: BTreeMap<Nexus, OverDevice<SharedDevice>>,
    lacks: Lacks,
    /// Writes that are accepted, by their token.
    queued: BTreeMap<u64, Tag>,
}

/// What this disk, or the way to it, is to be without.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Lacks {
    pub(crate) aptpl: bool,
    pub(crate) reset: bool,
    pub(crate) clear_task_set: bool,
    pub(crate) attentions: bool,
    pub(crate) abort: bool,
}

/// A real host repeats a write that met an attention; as often as the unit can have some waiting.
const WRITE_TRIES: usize = 8;
/// The unit answers at once.
const BOUND: Duration = Duration::from_secs(1);

impl Disk {
    pub(crate) fn new(behaviour: Behaviour, seed: u64, lacks: Lacks) -> Self {
        let config = Config {
            behaviour,
            seed,
            ..Config::default()
        };
        Self {
            unit: Shared::new(config),
            ways: BTreeMap::new(),
            lacks,
            queued: BTreeMap::new(),
        }
    }

    pub(crate) fn standard() -> Self {
        Self::new(Behaviour::Standard, 0, Lacks::default())
    }

    /// From now on it meets attentions.
    pub(crate) fn log_in(&mut self, nexus: Nexus) {
        let way = OverDevice::new(self.unit.device(nexus.of_unit()));
        if let std::collections::btree_map::Entry::Vacant(vacant) = self.ways.entry(nexus) {
            vacant.insert(way);
            self.eat_attentions(nexus);
        }
    }

    /// The session ends and comes back: what it had queued is thrown away, an SPC-2 reservation ends.
    pub(crate) fn log_in_again(&mut self, nexus: Nexus) {
        self.unit.with(|unit, _| unit.nexus_loss(&nexus.of_unit()));
    }

    /// Others on the host eat the attentions of a nexus.
    pub(crate) fn eat_attentions(&mut self, nexus: Nexus) {
        self.perform(nexus, &Verb::TestUnitReady);
    }

    pub(crate) fn lose_power(&mut self) {
        self.unit.power_cycle();
    }

    pub(crate) fn state(&self) -> PersistentState {
        self.unit.with(|unit, _| unit.persistent_state())
    }

    /// Does nobody keep anybody out?
    pub(crate) fn is_open(&self) -> bool {
        self.unit.with(|unit, _| {
            unit.persistent_state().reservation.is_none() && unit.spc2_holder().is_none()
        })
    }

    pub(crate) fn perform(&mut self, nexus: Nexus, verb: &Verb) -> Exchange {
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

    pub(crate) fn reset(&mut self) {
        self.unit.with(|unit, _| unit.reset(ResetScope::Lun));
    }

    // ---------------------------------------------------------------- writes

    /// A write arrives. True when it is accepted. One that `eats` meets the attentions that wait and is
    /// repeated, as the disk driver does; another is held back by its host until they are drained.
    pub(crate) fn accept_write(&mut self, nexus: Nexus, token: u64, eats: bool) -> bool {
        let lba = u32::try_from(token % 1024).expect("it is small");
        let range = BlockRange::Ten { lba, blocks: 1 };
        let access = Access::default();
        let cdb: Cdb = Command::Write { range, access }.cdb();
        let nexus = nexus.of_unit();
        let waiting = self.unit.with(|unit, _| unit.attentions(&nexus).len());
        if waiting > 0 && !eats {
            return false;
        }
        for _ in 0..WRITE_TRIES {
            let accepted = self
                .unit
                .with(|unit, _| unit.accept(&nexus, &cdb, &[0; 512]));
            match accepted {
                Accepted::Waits(tag) => {
                    self.queued.insert(token, tag);
                    return true;
                }
                Accepted::Ended(outcome) if met_attention(outcome.sense) => {}
                Accepted::Ended(_) => return false,
            }
        }
        false
    }

    /// An accepted write reaches the medium. False when it was aborted before.
    pub(crate) fn land_write(&mut self, token: u64) -> bool {
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

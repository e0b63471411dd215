//! The state of a unit as bytes, and back: for a unit that outlives a process.
//!
//! ```text
//!   version(1)  config  flags  whims(8)  generation(4)
//!   n(2) registrants   [held]   [SPC-2 holder]   n(2) nexuses with attentions   n(2) tasks   next(8)  n(2) aborted
//! ```
//! Numbers are big-endian; bytes and text stand behind their length (4); an initiator port stands as its
//! TransportID (SPC-4 7.6.4).
//!
//! Invariants: what is emitted parses to an equal unit; a parser never panics, allocates no more than a
//! small multiple of what it was given, and takes no state that breaks the invariants of a unit.

use super::attention::{Attentions, Order};
use super::behaviour::{Behaviour, Difference};
use super::config::{Config, SERIAL_MAX};
use super::nexus::Nexus;
use super::persistent::{Held, Persistent, REGISTRATIONS_MAX, Registrant};
use super::tasks::{TASKS_MAX, Tag, Task, TaskSet};
use super::whims::Whims;
use super::{ATTENTIONS_MAX, LogicalUnit, NEXUSES_MAX};
use crate::reservation::{Attention, Key, ReservationType};
use crate::wire::cdb::Cdb;
use crate::wire::transport_id::TransportId;
use std::collections::BTreeMap;

/// The format that this program writes, and the only one that it reads.
const VERSION: u8 = 1;

/// The longest image of a unit without tasks: every registration and nexus with the longest name.
pub const IMAGE_BYTES_MAX: usize = 256 * 1024;

/// Why bytes are not a unit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum ImageError {
    /// They end too early.
    #[error("the state ends at byte {at}, within {what}")]
    Short {
        /// Where.
        at: usize,
        /// Within what.
        what: &'static str,
    },
    /// A newer program wrote them.
    #[error("the state has format {found}; this program knows format {VERSION}")]
    Version {
        /// Its format.
        found: u8,
    },
    /// They say what cannot be.
    #[error("the state says what cannot be: {what}, at byte {at}")]
    Field {
        /// Where.
        at: usize,
        /// What.
        what: &'static str,
    },
}

impl LogicalUnit {
    /// The whole state.
    #[must_use]
    pub fn to_image(&self) -> Vec<u8> {
        let mut to = Writer(vec![VERSION]);
        to.config(&self.config);
        to.flag(self.power_cycled);
        to.u64(self.whims.state);
        to.u32(self.persistent.generation);
        to.flag(self.persistent.aptpl);
        to.count(self.persistent.registrants.len());
        for one in &self.persistent.registrants {
            to.nexus(&one.nexus);
            to.u64(one.key.get());
            to.flag(one.all_target_ports);
            to.flag(one.orphaned);
        }
        to.flag(self.persistent.held.is_some());
        if let Some(held) = &self.persistent.held {
            to.nexus(&held.holder);
            to.flag(held.orphaned);
            to.u8(held.kind.scsi_code());
        }
        to.flag(self.spc2.is_some());
        if let Some(holder) = &self.spc2 {
            to.nexus(holder);
        }
        to.count(self.nexuses.len());
        for (nexus, attentions) in &self.nexuses {
            to.nexus(nexus);
            to.attentions(attentions.waiting());
            to.attentions(attentions.late());
        }
        to.tasks(&self.tasks);
        to.0
    }

    /// The unit that these bytes are the state of.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn from_image(image: &[u8]) -> Result<Self, ImageError> {
        let mut from = Reader { image, at: 0 };
        let found = from.u8("the version")?;
        if found != VERSION {
            return Err(ImageError::Version { found });
        }
        let config = from.config()?;
        let power_cycled = from.flag("the power-on flag")?;
        let whims = Whims {
            state: from.u64("the whims")?,
        };
        let persistent = from.persistent()?;
        let spc2 = if from.flag("the SPC-2 flag")? {
            Some(from.nexus()?)
        } else {
            None
        };
        let both_exist = spc2.is_some() && !persistent.registrants.is_empty();
        if both_exist && !config.behaviour.has(Difference::NoCompatibleHandling) {
            return Err(from.field("an SPC-2 reservation beside registrations"));
        }
        let order = Order::of(config.behaviour);
        let mut nexuses = BTreeMap::new();
        for _ in 0..from.count(NEXUSES_MAX, "too many nexuses")? {
            let nexus = from.nexus()?;
            let waiting = from.attentions()?;
            let late = from.attentions()?;
            nexuses.insert(nexus, Attentions::restored(&waiting, &late, order));
        }
        let tasks = from.tasks()?;
        if from.at != image.len() {
            return Err(from.field("bytes behind the end"));
        }
        Ok(Self {
            config,
            nexuses,
            spc2,
            persistent,
            tasks,
            whims,
            power_cycled,
        })
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    fn flag(&mut self, value: bool) {
        self.u8(value.into());
    }

    fn u16(&mut self, value: u16) {
        self.0.extend(value.to_be_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.0.extend(value.to_be_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend(value.to_be_bytes());
    }

    /// Every list is bounded far below 2^16.
    fn count(&mut self, count: usize) {
        self.u16(u16::try_from(count).expect("lists of a unit are bounded"));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.u32(u32::try_from(bytes.len()).expect("fields of a unit are bounded"));
        self.0.extend(bytes);
    }

    fn config(&mut self, config: &Config) {
        self.bytes(config.behaviour.name().as_bytes());
        self.u64(config.seed);
        self.u64(config.blocks);
        self.u16(config.target_ports);
        self.bytes(config.serial.as_bytes());
    }

    fn nexus(&mut self, nexus: &Nexus) {
        self.bytes(&nexus.initiator.emit());
        self.u16(nexus.target_port);
    }

    fn attentions(&mut self, attentions: &[Attention]) {
        self.count(attentions.len());
        for attention in attentions {
            self.0.extend([attention.asc, attention.ascq]);
        }
    }

    fn tasks(&mut self, tasks: &TaskSet) {
        self.count(tasks.waiting.len());
        for task in &tasks.waiting {
            self.u64(task.tag.0);
            self.nexus(&task.nexus);
            self.bytes(task.cdb.as_bytes());
            self.bytes(&task.data_out);
        }
        self.u64(tasks.next);
        self.count(tasks.aborted.len());
        for tag in &tasks.aborted {
            self.u64(tag.0);
        }
    }
}

struct Reader<'a> {
    image: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    const fn field(&self, what: &'static str) -> ImageError {
        ImageError::Field { at: self.at, what }
    }

    fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], ImageError> {
        let taken = self
            .at
            .checked_add(length)
            .and_then(|end| self.image.get(self.at..end))
            .ok_or(ImageError::Short { at: self.at, what })?;
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], ImageError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    fn u8(&mut self, what: &'static str) -> Result<u8, ImageError> {
        Ok(u8::from_be_bytes(self.array(what)?))
    }

    fn u16(&mut self, what: &'static str) -> Result<u16, ImageError> {
        Ok(u16::from_be_bytes(self.array(what)?))
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, ImageError> {
        Ok(u32::from_be_bytes(self.array(what)?))
    }

    fn u64(&mut self, what: &'static str) -> Result<u64, ImageError> {
        Ok(u64::from_be_bytes(self.array(what)?))
    }

    fn flag(&mut self, what: &'static str) -> Result<bool, ImageError> {
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.field(what)),
        }
    }

    fn count(&mut self, max: usize, too_many: &'static str) -> Result<usize, ImageError> {
        let count = usize::from(self.u16(too_many)?);
        if count > max {
            return Err(self.field(too_many));
        }
        Ok(count)
    }

    fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], ImageError> {
        let length = self.u32(what)?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX), what)
    }

    fn text(&mut self, what: &'static str) -> Result<&'a str, ImageError> {
        let bytes = self.bytes(what)?;
        std::str::from_utf8(bytes).map_err(|_| self.field(what))
    }

    fn config(&mut self) -> Result<Config, ImageError> {
        let name = self.text("the behaviour")?;
        let behaviour =
            Behaviour::from_name(name).ok_or_else(|| self.field("an unknown behaviour"))?;
        let config = Config {
            behaviour,
            seed: self.u64("the seed")?,
            blocks: self.u64("the number of blocks")?,
            target_ports: self.u16("the number of target ports")?,
            serial: self.text("the serial number")?.to_owned(),
        };
        if config.blocks == 0 || config.target_ports == 0 {
            return Err(self.field("a unit without blocks or ports"));
        }
        if config.serial.len() > SERIAL_MAX || !config.serial.is_ascii() {
            return Err(self.field("a serial number that is too long, or not ASCII"));
        }
        Ok(config)
    }

    fn nexus(&mut self) -> Result<Nexus, ImageError> {
        let id = self.bytes("an initiator port")?;
        let (initiator, _) = TransportId::parse(id).map_err(|_| self.field("an initiator port"))?;
        Ok(Nexus::new(initiator, self.u16("a target port")?))
    }

    fn attentions(&mut self) -> Result<Vec<Attention>, ImageError> {
        let count = self.count(ATTENTIONS_MAX, "too many attentions")?;
        (0..count)
            .map(|_| {
                let [asc, ascq] = self.array("an attention")?;
                Ok(Attention::new(asc, ascq))
            })
            .collect()
    }

    fn persistent(&mut self) -> Result<Persistent, ImageError> {
        let mut persistent = Persistent {
            generation: self.u32("the generation")?,
            aptpl: self.flag("APTPL")?,
            ..Persistent::default()
        };
        for _ in 0..self.count(REGISTRATIONS_MAX, "too many registrations")? {
            let nexus = self.nexus()?;
            let key = Key::new(self.u64("a key")?).ok_or_else(|| self.field("a key of zero"))?;
            let one = Registrant {
                nexus,
                key,
                all_target_ports: self.flag("ALL_TG_PT")?,
                orphaned: self.flag("an orphan flag")?,
            };
            let replaces = |other: &Registrant| !other.orphaned && one.covers(&other.nexus);
            let is_second = !one.orphaned && persistent.is_registered(&one.nexus)
                || persistent.registrants.iter().any(replaces);
            if is_second {
                return Err(self.field("a nexus that is registered twice"));
            }
            persistent.registrants.push(one);
        }
        if self.flag("the reservation flag")? {
            let holder = self.nexus()?;
            let orphaned = self.flag("an orphan flag")?;
            let kind = ReservationType::from_scsi_code(self.u8("a type")?)
                .ok_or_else(|| self.field("an unknown type"))?;
            let held = Held {
                holder,
                orphaned,
                kind,
            };
            if !persistent
                .registrants
                .iter()
                .any(|one| held.is_recorded(one))
            {
                return Err(self.field("a holder that is not registered"));
            }
            persistent.held = Some(held);
        }
        Ok(persistent)
    }

    fn tasks(&mut self) -> Result<TaskSet, ImageError> {
        let mut tasks = TaskSet::default();
        for _ in 0..self.count(TASKS_MAX, "too many tasks")? {
            let tag = Tag(self.u64("a tag")?);
            let nexus = self.nexus()?;
            let cdb = Cdb::new(self.bytes("a CDB")?).ok_or_else(|| self.field("a CDB"))?;
            let data_out = self.bytes("a task's data")?.to_vec();
            tasks.waiting.push(Task {
                tag,
                nexus,
                cdb,
                data_out,
            });
        }
        tasks.next = self.u64("the next tag")?;
        // Tags ascend; a unit that started with 0 does not come half way to the last one.
        let ascend = tasks.waiting.is_sorted_by(|one, other| one.tag < other.tag);
        let last = tasks.waiting.last().map(|task| task.tag);
        if !ascend || last >= Some(Tag(tasks.next)) || tasks.next > u64::MAX / 2 {
            return Err(self.field("tags that are not in order"));
        }
        for _ in 0..self.count(TASKS_MAX, "too many aborted tasks")? {
            tasks.aborted.push(Tag(self.u64("a tag")?));
        }
        Ok(tasks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logical_unit::Accepted;

    fn nexus(n: u8, port: u16) -> Nexus {
        Nexus::new(TransportId::Sas([n; 8]), port)
    }

    fn registrant(n: u8, port: u16, all_target_ports: bool) -> Registrant {
        Registrant {
            nexus: nexus(n, port),
            key: Key::new(1).unwrap(),
            all_target_ports,
            orphaned: false,
        }
    }

    /// What is said of the image of a unit that was bent like this.
    fn refusal(bend: impl FnOnce(&mut LogicalUnit)) -> String {
        let mut unit = LogicalUnit::new(Config::default());
        bend(&mut unit);
        LogicalUnit::from_image(&unit.to_image())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_nexus_is_not_registered_for_itself_and_for_all_ports_whichever_came_first() {
        let single = registrant(1, 2, false);
        let all = registrant(1, 1, true);
        for registrants in [[single.clone(), all.clone()], [all, single]] {
            let said = refusal(|unit| unit.persistent.registrants.extend(registrants));
            assert!(said.contains("registered twice"), "{said}");
        }
    }

    #[test]
    fn an_spc2_reservation_beside_registrations_is_only_what_tgt_has() {
        let said = refusal(|unit| {
            unit.persistent.registrants.push(registrant(1, 1, false));
            unit.spc2 = Some(nexus(2, 1));
        });
        assert!(said.contains("SPC-2 reservation beside"), "{said}");
        let mut unit = LogicalUnit::new(Config {
            behaviour: Behaviour::Tgt,
            ..Config::default()
        });
        unit.persistent.registrants.push(registrant(1, 1, false));
        unit.spc2 = Some(nexus(2, 1));
        assert_eq!(LogicalUnit::from_image(&unit.to_image()), Ok(unit));
    }

    #[test]
    fn tags_that_were_given_are_not_given_again() {
        let ready = Cdb::new(&[0; 6]).unwrap();
        let queue = |unit: &mut LogicalUnit| {
            for _ in 0..2 {
                let accepted = unit.accept(&nexus(1, 1), &ready, &[]);
                assert!(matches!(accepted, Accepted::Waits(_)));
            }
        };
        for bend in [
            |tasks: &mut TaskSet| tasks.next = 1,
            |tasks: &mut TaskSet| tasks.next = u64::MAX,
            |tasks: &mut TaskSet| tasks.waiting.swap(0, 1),
        ] {
            let said = refusal(|unit| {
                queue(unit);
                bend(&mut unit.tasks);
            });
            assert!(said.contains("tags that are not in order"), "{said}");
        }
    }

    #[test]
    fn a_serial_number_is_short_ascii() {
        for serial in ["é".to_owned(), "1".repeat(SERIAL_MAX + 1)] {
            let said = refusal(|unit| unit.config.serial = serial);
            assert!(said.contains("a serial number"), "{said}");
        }
    }

    #[test]
    fn attentions_come_back_in_their_order_and_once() {
        let reset = Attention::new(0x29, 0x03);
        let released = Attention::new(0x2a, 0x04);
        let mut unit = LogicalUnit::new(Config::default());
        let mut bent = Attentions::default();
        for attention in [released, reset, released] {
            bent.establish(attention, Order::Arrival);
        }
        unit.nexuses.insert(nexus(1, 1), bent);
        let back = LogicalUnit::from_image(&unit.to_image()).unwrap();
        assert_eq!(back.attentions(&nexus(1, 1)), [reset, released]);
    }
}

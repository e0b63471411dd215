//! From a CDB to a rule and from its verdict to an answer.
//!
//! A command passes, in this order (SAM-5, Status precedence):
//! 1. an attention of the 29h family is reported in its place;
//! 2. RESERVATION CONFLICT;
//! 3. any other attention is reported in its place;
//! 4. what is wrong with its CDB;
//! 5. it is performed.
//!
//! INQUIRY, REPORT LUNS and REQUEST SENSE pass the attentions.

use super::answers::{capacity, inquiry, luns, mode, opcodes, persistent_in};
use super::attention::POWER_ON;
use super::behaviour::Difference;
use super::media::Media;
use super::nexus::Nexus;
use super::persistent::Surroundings;
use super::persistent_out;
use super::refused::Refused;
use super::{LogicalUnit, Outcome, access, medium, spc2};
use crate::wire::cdb::{Cdb, Command};
use crate::wire::sense::Sense;

impl LogicalUnit {
    /// Steps 1 to 4.
    pub(super) fn admit(&mut self, nexus: &Nexus, cdb: &Cdb) -> Result<(), Refused> {
        self.attach(nexus)?;
        let understood = self.understand(cdb);
        if let Err(refused) = understood
            && self.has(Difference::UnsupportedBeforeAttention)
        {
            return Err(refused);
        }
        let passes_attentions = understood.is_ok_and(|command| {
            matches!(
                command,
                Command::Inquiry { .. } | Command::ReportLuns { .. } | Command::RequestSense { .. }
            )
        });
        let waiting = self.attentions(nexus).first().copied();
        if let Some(attention) = waiting
            && matches!(understood, Ok(Command::RequestSense { .. }))
            && self.has(Difference::RequestSenseMeetsAttentions)
        {
            return Err(Refused::Check(Sense::unit_attention(attention)));
        }
        let reported = waiting.filter(|_| !passes_attentions);
        if let Some(attention) = reported
            && (attention.asc == POWER_ON.asc || self.has(Difference::EveryAttentionBeforeConflict))
        {
            return Err(self.report_attention(nexus));
        }
        if let Ok(command) = understood {
            self.refuse_conflict(nexus, &command)?;
        }
        if reported.is_some() {
            return Err(self.report_attention(nexus));
        }
        self.late_attentions_are_due(nexus);
        understood.map(|_| ())
    }

    /// Step 5.
    pub(super) fn perform(
        &mut self,
        nexus: &Nexus,
        cdb: &Cdb,
        data_out: &[u8],
        media: &mut dyn Media,
    ) -> Outcome {
        let done = self.understand(cdb).and_then(|command| {
            // What changes or reads reservations is decided again, for they may have changed while it
            // waited; what touches the medium was admitted for good.
            if !touches_medium(&command) {
                self.refuse_conflict(nexus, &command)?;
            }
            self.dispatch(nexus, &command, data_out, media)
        });
        match done {
            Ok(data_in) => Outcome::good(data_in),
            Err(refused) => refused.into(),
        }
    }

    fn dispatch(
        &mut self,
        nexus: &Nexus,
        command: &Command,
        data_out: &[u8],
        media: &mut dyn Media,
    ) -> Result<Vec<u8>, Refused> {
        match *command {
            Command::TestUnitReady => Ok(Vec::new()),
            Command::RequestSense {
                descriptor,
                allocation_length,
            } => {
                if descriptor && self.has(Difference::NoDescriptorRequestSense) {
                    return Err(Refused::CDB_FIELD);
                }
                Ok(self.request_sense(nexus, descriptor, allocation_length))
            }
            Command::Inquiry {
                vpd,
                allocation_length,
            } => cut(
                inquiry::data(&self.config, nexus, vpd)?,
                allocation_length.into(),
            ),
            Command::Reserve6 | Command::Reserve10 => self
                .with_surroundings(|persistent, holder, around| {
                    spc2::reserve(holder, nexus, persistent, around)
                })
                .map(|()| Vec::new()),
            Command::Release6 | Command::Release10 => self
                .with_surroundings(|persistent, holder, around| {
                    spc2::release(holder, nexus, persistent, around)
                })
                .map(|()| Vec::new()),
            Command::PersistentReserveIn {
                action,
                allocation_length,
            } => persistent_in::data(
                &self.persistent,
                self.config.behaviour,
                action,
                allocation_length.into(),
            ),
            Command::PersistentReserveOut {
                action,
                scope,
                kind,
                parameter_list_length,
            } => {
                let asked = persistent_out::Asked {
                    action,
                    scope,
                    kind,
                    parameter_list_length,
                };
                persistent_out::perform(self, nexus, &asked, data_out).map(|()| Vec::new())
            }
            Command::Read { range, .. } => medium::read(media, range),
            Command::Write { range, access } => {
                medium::write(media, range, access, data_out).map(|()| Vec::new())
            }
            Command::CompareAndWrite {
                lba,
                blocks,
                access,
            } => {
                medium::compare_and_write(media, lba, blocks, access, data_out).map(|()| Vec::new())
            }
            Command::SynchronizeCache { .. } => medium::synchronize(media).map(|()| Vec::new()),
            Command::ReadCapacity10 => Ok(capacity::short(&self.config)),
            Command::ReadCapacity16 { allocation_length } => {
                cut(capacity::long(&self.config), allocation_length)
            }
            Command::ReportLuns {
                select_report,
                allocation_length,
            } => cut(luns::data(select_report)?, allocation_length),
            Command::ReportSupportedOperationCodes {
                query,
                timeouts,
                allocation_length,
            } => cut(
                opcodes::data(self.config.behaviour, query, timeouts)?,
                allocation_length,
            ),
            Command::ModeSense6 {
                pages,
                allocation_length,
            } => cut(mode::data_6(&self.config, pages)?, allocation_length.into()),
            Command::ModeSense10 {
                pages,
                long_lba_accepted,
                allocation_length,
            } => cut(
                mode::data_10(&self.config, pages, long_lba_accepted)?,
                allocation_length.into(),
            ),
            Command::Unknown { .. } => Err(Refused::OPERATION_CODE),
        }
    }

    /// The command that a CDB says, if the unit has it and it lies on the medium.
    fn understand(&self, cdb: &Cdb) -> Result<Command, Refused> {
        let command = match Command::parse(cdb.as_bytes()) {
            Ok(command) => command,
            Err(error) => match plain_reserve(cdb) {
                Some(plain) if self.has(Difference::ReserveOptionsIgnored) => plain,
                Some(_) | None => return Err(Refused::Check(error.sense())),
            },
        };
        opcodes::check_supported(self.config.behaviour, &command)?;
        // SBC-3 5.8, 5.32: a unit without protection information refuses to check or write any.
        if let Command::Read { access, .. }
        | Command::Write { access, .. }
        | Command::CompareAndWrite { access, .. } = command
            && access.protect != 0
        {
            return Err(Refused::CDB_FIELD);
        }
        let (first, blocks) = match command {
            Command::Read { range, .. } | Command::Write { range, .. } => {
                medium::check_transfer(range)?;
                (range.lba(), u64::from(range.blocks()))
            }
            Command::SynchronizeCache { range, .. } => (range.lba(), u64::from(range.blocks())),
            Command::CompareAndWrite { lba, blocks, .. } => {
                medium::check_compare(blocks)?;
                (lba, u64::from(blocks))
            }
            Command::TestUnitReady
            | Command::RequestSense { .. }
            | Command::Inquiry { .. }
            | Command::Reserve6
            | Command::Release6
            | Command::Reserve10
            | Command::Release10
            | Command::PersistentReserveIn { .. }
            | Command::PersistentReserveOut { .. }
            | Command::ReadCapacity10
            | Command::ReadCapacity16 { .. }
            | Command::ReportLuns { .. }
            | Command::ReportSupportedOperationCodes { .. }
            | Command::ModeSense6 { .. }
            | Command::ModeSense10 { .. }
            | Command::Unknown { .. } => return Ok(command),
        };
        // SBC-3, LOGICAL BLOCK ADDRESS: the address of a transfer of no blocks must lie on the medium too.
        let on_medium = first < self.config.blocks
            && first
                .checked_add(blocks)
                .is_some_and(|end| end <= self.config.blocks);
        if on_medium {
            Ok(command)
        } else {
            Err(Refused::OUT_OF_RANGE)
        }
    }

    fn refuse_conflict(&self, nexus: &Nexus, command: &Command) -> Result<(), Refused> {
        let around = Surroundings {
            behaviour: self.config.behaviour,
            target_ports: self.config.target_ports,
            known: &|other| self.nexuses.contains_key(other),
        };
        let (holder, persistent) = (self.spc2.as_ref(), &self.persistent);
        if access::is_admitted(command, nexus, holder, persistent, &around) {
            Ok(())
        } else {
            Err(Refused::Conflict)
        }
    }

    /// The first attention leaves as CHECK CONDITION.
    fn report_attention(&mut self, nexus: &Nexus) -> Refused {
        let clears = self.has(Difference::AttentionClearsAll);
        let attentions = self.nexuses.get_mut(nexus);
        let first = attentions.and_then(|attentions| {
            let first = attentions.take_first();
            if clears {
                attentions.clear();
            }
            first
        });
        let attention = first.unwrap_or(POWER_ON);
        self.late_attentions_are_due(nexus);
        Refused::Check(Sense::unit_attention(attention))
    }

    fn late_attentions_are_due(&mut self, nexus: &Nexus) {
        let order = self.order();
        if let Some(attentions) = self.nexuses.get_mut(nexus) {
            attentions.late_are_due(order);
        }
    }

    /// REQUEST SENSE (SPC-4 6.39): the first attention, as data, and it is gone.
    fn request_sense(&mut self, nexus: &Nexus, descriptor: bool, allocation_length: u8) -> Vec<u8> {
        let clears = self.has(Difference::RequestSenseClearsAll);
        let reported = match self.nexuses.get_mut(nexus) {
            Some(attentions) => {
                let first = attentions.take_first();
                if clears {
                    attentions.clear();
                }
                first
            }
            None => None,
        };
        let sense = reported.map_or(Sense::NO_SENSE, Sense::unit_attention);
        let mut data = if descriptor {
            sense.descriptor()
        } else {
            sense.fixed().to_vec()
        };
        data.truncate(allocation_length.into());
        data
    }
}

/// Reads and writes the blocks behind the unit.
const fn touches_medium(command: &Command) -> bool {
    matches!(
        command,
        Command::Read { .. }
            | Command::Write { .. }
            | Command::CompareAndWrite { .. }
            | Command::SynchronizeCache { .. }
    )
}

/// RESERVE or RELEASE with options that a unit may ignore.
fn plain_reserve(cdb: &Cdb) -> Option<Command> {
    match cdb.as_bytes() {
        [0x16, ..] => Some(Command::Reserve6),
        [0x17, ..] => Some(Command::Release6),
        [0x56, rest @ ..] if rest.len() == 9 => Some(Command::Reserve10),
        [0x57, rest @ ..] if rest.len() == 9 => Some(Command::Release10),
        _ => None,
    }
}

/// What fits the allocation length (SPC-4 4.2.5.6).
fn cut(mut data: Vec<u8>, allocation_length: u32) -> Result<Vec<u8>, Refused> {
    data.truncate(usize::try_from(allocation_length).unwrap_or(usize::MAX));
    Ok(data)
}

//! READ CAPABILITIES: what the disk says of itself, and what its answers show. Reads only.
//!
//! | asked | tells |
//! |---|---|
//! | REPORT CAPABILITIES | types, APTPL, ALL_TG_PT, SPEC_I_PT, CRH, REPLACE LOST |
//! | READ FULL STATUS | whether the state names nexuses; an arbiter is told by its next read of the state |
//! | REPORT SUPPORTED OPERATION CODES | SPC-2 reservations, PREEMPT AND ABORT |
//!
//! What a disk is made of does not change under a session: READ FULL STATUS and the operation codes are asked
//! for once, REPORT CAPABILITIES every time, for PTPL_A is of the last REGISTER.
//!
//! What cannot be asked without changing something (resets, CLEAR TASK SET) stays unknown until it is used.

use super::answer::INVALID_FIELD_IN_CDB;
use super::read_state::malformed;
use super::{Opcodes, OverDevice, Reading, Spc2Form};
use crate::device::Device;
use crate::reservation::{Answer, Refusal, Reply, Support, Verb};
use crate::wire::cdb::{Command, OpcodeQuery, PrInAction, PrOutAction};
use crate::wire::opcodes::{ALLOCATION_LENGTH_ONE, CommandSupport, OneCommand};
use crate::wire::persistent_in::ReportedCapabilities;

/// PERSISTENT RESERVE OUT.
const PR_OUT: u8 = 0x5f;

impl<D: Device> OverDevice<D> {
    pub(super) fn probe(&mut self, reading: &mut Reading) -> Answer {
        match self.probe_persistent(reading) {
            Ok(()) => {}
            Err(answer) => return answer,
        }
        let asks = match self.opcodes {
            Opcodes::Unasked => true,
            Opcodes::OnlyWithoutPersistent => self.capabilities.persistent != Support::Yes,
            Opcodes::Asked => false,
        };
        if asks {
            match self.probe_opcodes(reading) {
                Ok(()) => self.opcodes = Opcodes::Asked,
                Err(answer) => return answer,
            }
        }
        Answer::Done(Reply::Capabilities(self.capabilities))
    }

    fn probe_persistent(&mut self, reading: &mut Reading) -> Result<(), Answer> {
        let command = Command::PersistentReserveIn {
            action: PrInAction::ReportCapabilities,
            allocation_length: 8,
        };
        let mut buffer = [0; ReportedCapabilities::LENGTH];
        match self.read(&Verb::ReadCapabilities, &command, &mut buffer, reading) {
            Ok(done) => {
                let arrived = &buffer[..done.transferred.min(buffer.len())];
                ReportedCapabilities::parse(arrived)
                    .map_err(|error| malformed(format!("REPORT CAPABILITIES: {error}")))?
                    .tell(&mut self.capabilities);
            }
            Err(Answer::Unsupported) => {
                self.capabilities.persistent = Support::No;
                self.capabilities.full_status = Support::No;
                return Ok(());
            }
            // SPC-3 without this service action: READ FULL STATUS below shows the rest.
            Err(Answer::Refused(Refusal::Sense(sense))) if sense.is(INVALID_FIELD_IN_CDB) => {}
            Err(answer) => return Err(answer),
        }
        // An arbiter reads the state next, and finds out by that.
        let found_out_soon = self.opcodes == Opcodes::OnlyWithoutPersistent
            && self.capabilities.persistent == Support::Yes;
        match self.capabilities.full_status {
            Support::Unknown if !found_out_soon => self.read_full_status(reading).map(drop),
            Support::Unknown | Support::Yes | Support::No => Ok(()),
        }
    }

    fn probe_opcodes(&mut self, reading: &mut Reading) -> Result<(), Answer> {
        match self.supports(OpcodeQuery::Opcode(0x56), reading)? {
            Support::Yes => self.capabilities.spc2 = Support::Yes,
            // Whoever does not tell of the ten-byte form does not tell of the other one.
            Support::Unknown => {}
            Support::No => match self.supports(OpcodeQuery::Opcode(0x16), reading)? {
                Support::Yes => {
                    self.capabilities.spc2 = Support::Yes;
                    self.spc2_form = Spc2Form::Six;
                }
                Support::No => self.capabilities.spc2 = Support::No,
                Support::Unknown => {}
            },
        }
        if self.capabilities.persistent == Support::Yes {
            let query = OpcodeQuery::ServiceAction {
                opcode: PR_OUT,
                service_action: u16::from(PrOutAction::PreemptAndAbort.code()),
            };
            match self.supports(query, reading)? {
                Support::Unknown => {}
                known @ (Support::Yes | Support::No) => {
                    self.capabilities.preempt_and_abort = known;
                }
            }
        }
        Ok(())
    }

    /// What REPORT SUPPORTED OPERATION CODES says of one command.
    fn supports(&mut self, query: OpcodeQuery, reading: &mut Reading) -> Result<Support, Answer> {
        let mut buffer = vec![0; ALLOCATION_LENGTH_ONE as usize];
        let command = Command::ReportSupportedOperationCodes {
            query,
            timeouts: false,
            allocation_length: ALLOCATION_LENGTH_ONE,
        };
        match self.read(&Verb::ReadCapabilities, &command, &mut buffer, reading) {
            Ok(done) => {
                let arrived = &buffer[..done.transferred.min(buffer.len())];
                Ok(match OneCommand::parse(arrived).map(|one| one.support) {
                    Ok(CommandSupport::No) => Support::No,
                    Ok(CommandSupport::Standard | CommandSupport::Vendor) => Support::Yes,
                    // A broken answer to a question of convenience is no reason to give up.
                    Ok(CommandSupport::NotTold) | Err(_) => Support::Unknown,
                })
            }
            // Most disks of SPC-2 times do not have the command; others refuse the form of the question.
            Err(Answer::Unsupported | Answer::Refused(_) | Answer::Conflict { .. }) => {
                Ok(Support::Unknown)
            }
            Err(answer @ (Answer::OutcomeUnknown(_) | Answer::NotSent(_))) => Err(answer),
            Err(Answer::Done(_) | Answer::Attention(_)) => Ok(Support::Unknown),
        }
    }
}

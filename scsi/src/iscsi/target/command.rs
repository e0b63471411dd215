//! A SCSI command: its data, its faults, its answer.
//!
//! ```text
//!   data all there:  execute ──────────────────────────► answer
//!   else:            accept ──► gather (R2T, Data-Out) ──► run ──► answer
//!                       └── refused: answer at once, what still comes is dropped
//! ```
//!
//! A command is admitted when it arrives and may be aborted while its data come.

use super::backend::Store;
use super::portal::{LATER_MAX, Later, Work};
use super::session::{Context, Effect, Session, TASKS_MAX, Task};
use crate::device::schedule::{Action, Subject};
use crate::iscsi::negotiation::Parameters;
use crate::iscsi::pdu::{
    DataIn, DataInStatus, DataOut, NO_TAG, R2t, Residual, Response, ScsiCommand, ScsiResponse,
};
use crate::logical_unit::{
    Accepted, BLOCK_BYTES, COMPARE_BLOCKS_MAX, Outcome, TRANSFER_BLOCKS_MAX, Tag,
};
use crate::wire::cdb::{Cdb, Command};
use crate::wire::sense::Sense;
use crate::wire::status::Status;

/// The longest parameter list that is taken: SPEC_I_PT with the names of all nexuses there may be.
const LIST_BYTES_MAX: u32 = 64 * 1024;

/// DATA PHASE ERROR (SPC-4 4.5.6): the data came out of order, or not as asked for.
const DATA_PHASE_ERROR: Sense = Sense::new(0x0b, 0x4b, 0x00);

/// LOGICAL UNIT NOT SUPPORTED (SPC-4 4.5.6).
const NO_SUCH_UNIT: Sense = Sense::new(0x05, 0x25, 0x00);

/// Protocol violated by the initiator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct OutOfOrder;

/// How a command ended, and how much the initiator expected to move.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    pub outcome: Outcome,
    /// Expected Data Transfer Length.
    expected: u32,
    /// How many bytes the command takes.
    needed: u32,
    /// Does data go to the initiator?
    read: bool,
}

/// A command whose data are not all there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Gathering {
    pub tag: Tag,
    command: ScsiCommand,
    cdb: Cdb,
    /// How many bytes the command takes, and how many of them come.
    needed: u32,
    wanted: u32,
    data: Vec<u8>,
    /// What has come; beyond `wanted` it is counted and dropped.
    came: u32,
    phase: Phase,
    r2t_sn: u32,
    data_sn: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Data that nobody asked for, up to the first burst.
    Unsolicited,
    /// Nothing was asked for.
    Idle,
    /// An R2T is being answered, up to here.
    Solicited { transfer_tag: u32, end: u32 },
}

impl Gathering {
    /// Takes data, which must be the next in order.
    pub(super) fn take(
        &mut self,
        pdu: &DataOut,
        parameters: &Parameters,
    ) -> Result<(), OutOfOrder> {
        let (transfer_tag, end) = match self.phase {
            Phase::Unsolicited => (
                NO_TAG,
                parameters
                    .first_burst_bytes
                    .min(self.command.expected_bytes),
            ),
            Phase::Solicited { transfer_tag, end } => (transfer_tag, end),
            Phase::Idle => return Err(OutOfOrder),
        };
        let length = u32::try_from(pdu.data.len()).map_err(|_| OutOfOrder)?;
        let fits = length <= end.saturating_sub(self.came);
        if pdu.transfer_tag != transfer_tag
            || pdu.offset != self.came
            || pdu.data_sn != self.data_sn
            || !fits
        {
            return Err(OutOfOrder);
        }
        self.add(&pdu.data, length);
        self.data_sn += 1;
        let whole = self.came == end;
        match (self.phase, pdu.is_final) {
            (Phase::Solicited { .. }, true) if !whole => Err(OutOfOrder),
            (Phase::Solicited { .. }, false) if whole => Err(OutOfOrder),
            (_, true) => {
                self.phase = Phase::Idle;
                self.data_sn = 0;
                Ok(())
            }
            (_, false) => Ok(()),
        }
    }

    fn add(&mut self, data: &[u8], length: u32) {
        let room = (self.wanted as usize).saturating_sub(self.data.len());
        self.data.extend_from_slice(&data[..data.len().min(room)]);
        self.came += length;
    }
}

/// Is it a COMPARE AND WRITE? One whose data are not what its CDB says is refused: half of it compares and half
/// of it writes, and which half is which follows from the length.
fn compares(cdb: &Cdb) -> bool {
    matches!(
        Command::parse(cdb.as_bytes()),
        Ok(Command::CompareAndWrite { .. })
    )
}

/// How many bytes of data a command takes. More than the unit takes counts as none: it refuses.
fn data_out_bytes(cdb: &Cdb) -> u32 {
    match Command::parse(cdb.as_bytes()) {
        Ok(Command::Write { range, .. }) if range.blocks() <= TRANSFER_BLOCKS_MAX => {
            range.blocks() * BLOCK_BYTES
        }
        Ok(Command::CompareAndWrite { blocks, .. }) if blocks <= COMPARE_BLOCKS_MAX => {
            2 * u32::from(blocks) * BLOCK_BYTES
        }
        Ok(Command::PersistentReserveOut {
            parameter_list_length,
            ..
        }) => parameter_list_length.min(LIST_BYTES_MAX),
        Ok(_) | Err(_) => 0,
    }
}

impl Session {
    /// Takes a command.
    pub(super) fn command<S: Store>(
        &mut self,
        mut command: ScsiCommand,
        context: &mut Context<'_, S>,
    ) -> Effect {
        let immediate = std::mem::take(&mut command.data);
        let came = u32::try_from(immediate.len()).unwrap_or(u32::MAX);
        let first_burst = self
            .parameters
            .first_burst_bytes
            .min(command.expected_bytes);
        let unsolicited = command.write && !command.is_final;
        let allowed = (came == 0 || self.parameters.immediate_data && command.write)
            && came <= first_burst
            && !(unsolicited && self.parameters.initial_r2t);
        if !allowed {
            return Effect::Drop;
        }
        let Some(cdb) = Cdb::from_padded(&command.cdb) else {
            let outcome = check(Sense::new(0x05, 0x20, 0x00));
            return self.end(&command, 0, outcome, context);
        };
        if command.lun.number() != Some(super::LUN) {
            let outcome = elsewhere(&cdb);
            return self.end(&command, 0, outcome, context);
        }
        let needed = data_out_bytes(&cdb);
        if command.write && command.expected_bytes != needed && compares(&cdb) {
            let outcome = match context.backend.unit.accept(&self.nexus, &cdb, &[]) {
                Accepted::Ended(outcome) => outcome,
                Accepted::Waits(tag) => {
                    context.backend.unit.abort(tag);
                    check(Sense::new(0x05, 0x24, 0x00))
                }
            };
            return self.end(&command, needed, outcome, context);
        }
        let wanted = if command.write {
            needed.min(command.expected_bytes)
        } else {
            0
        };
        if !unsolicited && wanted <= came {
            let data = &immediate[..wanted as usize];
            return self.perform(&command, &cdb, needed, data, context);
        }
        if self.tasks.len() >= TASKS_MAX {
            let outcome = without_data(Status::TASK_SET_FULL);
            return self.end(&command, needed, outcome, context);
        }
        match context.backend.unit.accept(&self.nexus, &cdb, &[]) {
            Accepted::Ended(outcome) => self.end(&command, needed, outcome, context),
            Accepted::Waits(tag) => {
                let task_tag = command.task_tag;
                let mut gathering = Gathering {
                    tag,
                    cdb,
                    needed,
                    wanted,
                    data: Vec::new(),
                    came: 0,
                    phase: if unsolicited {
                        Phase::Unsolicited
                    } else {
                        Phase::Idle
                    },
                    r2t_sn: 0,
                    data_sn: 0,
                    command,
                };
                gathering.add(&immediate, came);
                self.tasks.insert(task_tag, Task::Gathering(gathering));
                self.go_on(task_tag, context)
            }
        }
    }

    /// Asks for more of a command's data, or performs it.
    pub(super) fn go_on<S: Store>(
        &mut self,
        task_tag: u32,
        context: &mut Context<'_, S>,
    ) -> Effect {
        let counters = self.counters();
        let Some(Task::Gathering(gathering)) = self.tasks.get_mut(&task_tag) else {
            return Effect::None;
        };
        if gathering.phase != Phase::Idle {
            return Effect::None;
        }
        if gathering.came < gathering.wanted {
            let left = gathering.wanted - gathering.came;
            let desired_bytes = left.min(self.parameters.max_burst_bytes);
            let transfer_tag = self.next_transfer_tag;
            self.next_transfer_tag = (transfer_tag + 1) % NO_TAG;
            let ask = R2t {
                lun: gathering.command.lun,
                task_tag,
                transfer_tag,
                counters,
                r2t_sn: gathering.r2t_sn,
                offset: gathering.came,
                desired_bytes,
            };
            gathering.r2t_sn += 1;
            gathering.phase = Phase::Solicited {
                transfer_tag,
                end: gathering.came + desired_bytes,
            };
            self.send(&Response::R2t(ask), context);
            return Effect::None;
        }
        let Some(Task::Gathering(gathering)) = self.tasks.remove(&task_tag) else {
            return Effect::None;
        };
        self.run(gathering, context)
    }

    /// Ends a command whose data break the rules. What still comes for it is dropped.
    pub(super) fn spoil<S: Store>(
        &mut self,
        task_tag: u32,
        context: &mut Context<'_, S>,
    ) -> Effect {
        match self.tasks.remove(&task_tag) {
            Some(Task::Gathering(Gathering {
                tag,
                command,
                needed,
                ..
            })) => {
                context.backend.unit.abort(tag);
                self.end(&command, needed, check(DATA_PHASE_ERROR), context)
            }
            Some(Task::Waiting(_) | Task::Answering) | None => Effect::None,
        }
    }

    /// Performs a command whose data came with it.
    fn perform<S: Store>(
        &mut self,
        command: &ScsiCommand,
        cdb: &Cdb,
        needed: u32,
        data: &[u8],
        context: &mut Context<'_, S>,
    ) -> Effect {
        let Some(action) = context.backend.fault(&Subject::of_cdb(cdb)) else {
            let outcome = context.backend.execute(&self.nexus, cdb, data);
            return self.end(command, needed, outcome, context);
        };
        if let Action::LateEffect(span) = action {
            return match context.backend.unit.accept(&self.nexus, cdb, data) {
                Accepted::Ended(_) => self.never(command),
                Accepted::Waits(tag) => {
                    self.wait(command, tag, cdb, data.to_vec(), span, context);
                    Effect::None
                }
            };
        }
        let nexus = self.nexus.clone();
        self.with_fault(command, cdb, needed, action, context, |context| {
            Some(context.backend.execute(&nexus, cdb, data))
        })
    }

    /// Performs a command that waited for its data.
    fn run<S: Store>(&mut self, gathering: Gathering, context: &mut Context<'_, S>) -> Effect {
        let Gathering {
            tag,
            command,
            cdb,
            needed,
            data,
            ..
        } = gathering;
        let Some(action) = context.backend.fault(&Subject::of_cdb(&cdb)) else {
            // Nothing is answered to what was aborted.
            return match context.backend.run(tag, &cdb, data) {
                Some(outcome) => self.end(&command, needed, outcome, context),
                None => Effect::None,
            };
        };
        if let Action::LateEffect(span) = action {
            self.wait(&command, tag, &cdb, data, span, context);
            return Effect::None;
        }
        let performs = matches!(
            action,
            Action::Transport
                | Action::TimeoutWithEffect
                | Action::Delay(_)
                | Action::Truncate(_)
                | Action::Clear { .. }
                | Action::Reset(_)
                | Action::NexusLoss
                | Action::PowerCycle
        );
        if !performs {
            context.backend.unit.abort(tag);
        }
        self.with_fault(&command, &cdb, needed, action, context, |context| {
            context.backend.run(tag, &cdb, data)
        })
    }

    /// A command that takes effect late, and is never answered.
    fn wait<S>(
        &mut self,
        command: &ScsiCommand,
        tag: Tag,
        cdb: &Cdb,
        data: Vec<u8>,
        span: std::time::Duration,
        context: &mut Context<'_, S>,
    ) {
        self.tasks.insert(command.task_tag, Task::Waiting(tag));
        later(context, span, command.task_tag, Work::Run(tag, *cdb, data));
    }

    /// A command that is never answered.
    fn never(&mut self, command: &ScsiCommand) -> Effect {
        if self.tasks.len() < TASKS_MAX {
            self.tasks.insert(command.task_tag, Task::Answering);
        }
        Effect::None
    }

    /// What a fault makes of a command.
    fn with_fault<'a, S: Store>(
        &mut self,
        command: &ScsiCommand,
        cdb: &Cdb,
        needed: u32,
        action: Action,
        context: &mut Context<'a, S>,
        perform: impl FnOnce(&mut Context<'a, S>) -> Option<Outcome>,
    ) -> Effect {
        let outcome = match action {
            Action::Drop => return Effect::Drop,
            Action::Transport => {
                perform(context);
                return Effect::Drop;
            }
            Action::TimeoutWithoutEffect | Action::Hang | Action::LateEffect(_) => {
                return self.never(command);
            }
            Action::TimeoutWithEffect => {
                perform(context);
                return self.never(command);
            }
            Action::Delay(span) => {
                let Some(outcome) = perform(context) else {
                    return Effect::None;
                };
                let answer = answer(command, needed, outcome);
                self.tasks.insert(command.task_tag, Task::Answering);
                later(context, span, command.task_tag, Work::Answer(answer));
                return Effect::None;
            }
            Action::Sense { key, asc, ascq } => Some(check(Sense::new(key, asc, ascq))),
            Action::Status(status) => Some(without_data(Status(status))),
            Action::Conflict => Some(without_data(Status::RESERVATION_CONFLICT)),
            Action::Lie => Some(Outcome {
                status: Status::GOOD,
                sense: None,
                data_in: vec![0; lie_bytes(cdb, command.expected_bytes)],
            }),
            Action::Truncate(bytes) => perform(context).map(|mut outcome| {
                outcome.data_in.truncate(bytes);
                outcome
            }),
            Action::Clear { byte, mask } => perform(context).map(|mut outcome| {
                if let Some(there) = outcome.data_in.get_mut(byte) {
                    *there &= !mask;
                }
                outcome
            }),
            Action::Reset(scope) => {
                context.backend.unit.reset(scope);
                perform(context)
            }
            Action::NexusLoss => {
                context.backend.unit.nexus_loss(&self.nexus);
                perform(context)
            }
            Action::PowerCycle => {
                context.backend.unit.power_cycle();
                perform(context)
            }
        };
        match outcome {
            Some(outcome) => self.end(command, needed, outcome, context),
            None => Effect::None,
        }
    }

    fn end<S: Store>(
        &mut self,
        command: &ScsiCommand,
        needed: u32,
        outcome: Outcome,
        context: &mut Context<'_, S>,
    ) -> Effect {
        let answer = answer(command, needed, outcome);
        self.answer(command.task_tag, &answer, context);
        Effect::None
    }

    /// Sends a command's data and status.
    pub(super) fn answer<S: Store>(
        &mut self,
        task_tag: u32,
        answer: &Answer,
        context: &mut Context<'_, S>,
    ) {
        let Answer {
            outcome,
            expected,
            needed,
            read,
        } = answer;
        let bytes = u32::try_from(outcome.data_in.len()).unwrap_or(u32::MAX);
        let would_move = match outcome.status {
            Status::GOOD if *read => bytes,
            Status::GOOD => *needed,
            _ => 0,
        };
        let residual = match expected.checked_sub(would_move) {
            Some(0) => Residual::None,
            Some(less) => Residual::Underflow(less),
            None => Residual::Overflow(would_move - expected),
        };
        let data = if *read {
            &outcome.data_in[..bytes.min(*expected) as usize]
        } else {
            &[]
        };
        let status_in_data = outcome.status == Status::GOOD && !data.is_empty();
        let count = self.send_data(task_tag, data, residual, status_in_data, context);
        if status_in_data {
            return;
        }
        let response = ScsiResponse {
            task_tag,
            response: ScsiResponse::COMPLETED,
            status: outcome.status.0,
            sense: outcome
                .sense
                .as_ref()
                .map(|sense| sense.fixed().to_vec())
                .unwrap_or_default(),
            residual,
            exp_data_sn: count,
            counters: self.status_counters(),
        };
        self.send(&Response::Scsi(response), context);
    }

    /// Sends data in segments and bursts as were agreed; says how many PDUs it took.
    fn send_data<S>(
        &mut self,
        task_tag: u32,
        data: &[u8],
        residual: Residual,
        with_status: bool,
        context: &mut Context<'_, S>,
    ) -> u32 {
        let segment = self.parameters.send_bytes_max as usize;
        let burst = self.parameters.max_burst_bytes as usize;
        let (mut offset, mut data_sn) = (0, 0);
        while offset < data.len() {
            let burst_end = (offset / burst + 1) * burst;
            let end = (offset + segment).min(burst_end).min(data.len());
            let last = end == data.len();
            let status = (last && with_status).then_some(DataInStatus {
                status: Status::GOOD.0,
                residual,
            });
            let pdu = DataIn {
                is_final: last || end == burst_end,
                task_tag,
                transfer_tag: NO_TAG,
                counters: if status.is_some() {
                    self.status_counters()
                } else {
                    self.counters()
                },
                data_sn,
                offset: u32::try_from(offset).unwrap_or(u32::MAX),
                status,
                data: data[offset..end].to_vec(),
                ..DataIn::default()
            };
            self.send(&Response::DataIn(pdu), context);
            offset = end;
            data_sn += 1;
        }
        data_sn
    }
}

/// Puts work off. What does not fit is never done: its command is never answered.
fn later<S>(context: &mut Context<'_, S>, span: std::time::Duration, task_tag: u32, work: Work) {
    if context.later.len() < LATER_MAX {
        context.later.push(Later {
            due: context.now.saturating_add(span),
            connection: context.id,
            task_tag,
            work,
        });
    }
}

fn answer(command: &ScsiCommand, needed: u32, outcome: Outcome) -> Answer {
    Answer {
        outcome,
        expected: command.expected_bytes,
        needed,
        read: command.read,
    }
}

/// How much a lie is: what the initiator has room for, up to one transfer.
fn lie_bytes(cdb: &Cdb, expected: u32) -> usize {
    match Command::parse(cdb.as_bytes()) {
        Ok(Command::Write { .. } | Command::PersistentReserveOut { .. }) => 0,
        Ok(_) | Err(_) => expected.min(TRANSFER_BLOCKS_MAX * BLOCK_BYTES) as usize,
    }
}

const fn without_data(status: Status) -> Outcome {
    Outcome {
        status,
        sense: None,
        data_in: Vec::new(),
    }
}

const fn check(sense: Sense) -> Outcome {
    Outcome {
        status: Status::CHECK_CONDITION,
        sense: Some(sense),
        data_in: Vec::new(),
    }
}

/// What a LUN answers behind which there is nothing (SPC-4 6.6.1, SAM-5 4.8): INQUIRY says so in its first byte,
/// REPORT LUNS tells what there is, everything else is refused.
fn elsewhere(cdb: &Cdb) -> Outcome {
    const NOTHING_HERE: u8 = 0x7f;
    match Command::parse(cdb.as_bytes()) {
        Ok(Command::Inquiry {
            vpd: None,
            allocation_length,
        }) => {
            let mut data_in = vec![0; 36];
            data_in[0] = NOTHING_HERE;
            data_in[2] = 6;
            data_in[4] = 31;
            data_in.truncate(allocation_length.into());
            Outcome {
                status: Status::GOOD,
                sense: None,
                data_in,
            }
        }
        Ok(_) | Err(_) => check(NO_SUCH_UNIT),
    }
}

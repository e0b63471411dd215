//! The verbs as NVMe reservation commands, by passthrough on the namespace's node.
//!
//! Not by `IOC_PR_*`: older kernels sent wrong RELEASE and CLEAR commands, could not unregister, and do
//! not say who is registered. Not on the controller's node: it cannot say which namespace is meant.
//!
//! Invariants:
//! * the registrant is the host (its identifier), not the path: all its controllers share one registration;
//! * a report is whole, or an error;
//! * a positive result is an NVMe status, never success;
//! * the node is opened read-only: on Linux 7.3 anybody who may open it so may read the report, and changes
//!   take CAP_SYS_ADMIN (measured);
//! * there are no attentions, no SPC-2, no resets and no CLEAR TASK SET this way.

mod calls;
mod commands;
#[cfg(test)]
mod tests;

pub(super) use calls::NamespaceNode;

use super::abi::NvmePassthruCmd;
use super::errno;
use crate::reservation::{
    Answer, Capabilities, Exchange, PersistentState, Refusal, Reply, ResetSupport, Support,
    TypeMask, Uncertainty, Unsent, Verb,
};
use crate::reservations::Reservations;
use crate::wire::ParameterError;
use crate::wire::nvme::{
    IDENTIFY_LENGTH, IdentifyController, IdentifyNamespace, NvmeStatus, ReportForm,
    ReservationCommand, ReservationReport,
};
use nix::errno::Errno;
use std::time::Duration;

/// The data phase of a passthrough command.
pub(super) enum Transfer<'a> {
    In(&'a mut [u8]),
    Out(&'a [u8]),
}

/// The calls, so that what is made of their results can be tested without a disk.
pub(super) trait Calls: Send {
    /// The namespace's number, from its node.
    fn namespace_id(&mut self) -> Result<u32, Errno>;
    /// An I/O command; a positive result is its NVMe status.
    fn io(&mut self, command: NvmePassthruCmd, data: Transfer<'_>) -> Result<i32, Errno>;
    /// An admin command; a positive result is its NVMe status.
    fn admin(&mut self, command: NvmePassthruCmd, data: Transfer<'_>) -> Result<i32, Errno>;
}

/// Status code type 3: path related.
const PATH_RELATED: u16 = 0x300;
/// Aborted: by power loss, on request, by queue deletion. It may have been under way.
const ABORTED: [u16; 3] = [0x005, 0x007, 0x008];
/// IDENTIFY (admin), and what it is to identify (CNS): the namespace, or the controller.
const IDENTIFY: u8 = 0x06;
const NAMESPACE: u32 = 0;
const CONTROLLER: u32 = 1;

/// Registrants that the first report has room for.
const REGISTRANTS_FIRST: u16 = 32;
/// The largest report that is asked for, in bytes: four thousand controllers, which no cluster comes near.
const REPORT_BYTES_MAX: usize = 256 * 1024;
/// How often a report is asked for again with more room.
const REPORTS_MAX: usize = 4;

/// How much later than the caller the kernel gives up.
const KERNEL_MARGIN: Duration = Duration::from_millis(500);
/// The kernel gives up no sooner: it would reset the controller, for every user of it.
const KERNEL_TIMEOUT_MIN: Duration = Duration::from_secs(5);

/// A namespace by NVMe commands.
pub(super) struct Nvme<C = NamespaceNode> {
    calls: C,
    name: String,
    namespace: Option<u32>,
    /// The form of host identifiers that the controller last accepted.
    form: ReportForm,
    capabilities: Capabilities,
}

impl Nvme<NamespaceNode> {
    /// The verbs on this node; the name is for messages.
    pub(super) fn new(node: NamespaceNode, name: String) -> Self {
        Self::over(node, name)
    }
}

impl<C: Calls> Nvme<C> {
    fn over(calls: C, name: String) -> Self {
        let capabilities = Capabilities {
            spc2: Support::No,
            all_target_ports: Support::No,
            specify_initiator_ports: Support::No,
            replace_lost: Support::No,
            full_status: Support::Yes,
            host_registration: true,
            clear_task_set: Support::No,
            attentions: Support::No,
            resets: ResetSupport {
                lun: Support::No,
                target: Support::No,
                bus: Support::No,
                host: Support::No,
            },
            ..Capabilities::default()
        };
        Self {
            calls,
            name,
            namespace: None,
            form: ReportForm::Extended,
            capabilities,
        }
    }

    fn namespace(&mut self) -> Result<u32, Answer> {
        if let Some(id) = self.namespace {
            return Ok(id);
        }
        let id = self
            .calls
            .namespace_id()
            .map_err(|error| error_answer(error, &self.name))?;
        self.namespace = Some(id);
        Ok(id)
    }

    fn prepared(
        &mut self,
        command: NvmePassthruCmd,
        bound: Duration,
    ) -> Result<NvmePassthruCmd, Answer> {
        let timeout = bound.saturating_add(KERNEL_MARGIN).max(KERNEL_TIMEOUT_MIN);
        Ok(NvmePassthruCmd {
            nsid: self.namespace()?,
            timeout_ms: u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX),
            ..command
        })
    }

    fn ended(&self, called: Result<i32, Errno>) -> Result<(), Answer> {
        let status = called.map_err(|error| error_answer(error, &self.name))?;
        status_answer(status, &self.name).map_or(Ok(()), Err)
    }

    fn change(&mut self, verb: &Verb, bound: Duration) -> Result<(), Answer> {
        let wanted = commands::command_of(verb).ok_or(Answer::Unsupported)?;
        let data = wanted.data_out().unwrap_or_default();
        let command = self.prepared(passthrough(&wanted), bound)?;
        let called = self.calls.io(command, Transfer::Out(&data));
        self.ended(called)
    }

    fn read_state(&mut self, bound: Duration) -> Result<PersistentState, Answer> {
        let mut room = self.form.length(REGISTRANTS_FIRST);
        for _ in 0..REPORTS_MAX {
            let bytes = self.report(&mut room, bound)?;
            match ReservationReport::parse(self.form, &bytes) {
                Ok(report) => {
                    self.capabilities.persistent = Support::Yes;
                    self.capabilities.aptpl_active = if report.persists {
                        Support::Yes
                    } else {
                        Support::No
                    };
                    return Ok(report.into_state());
                }
                Err(ParameterError::Incomplete { needed }) if needed > REPORT_BYTES_MAX => break,
                // With room for some that register meanwhile.
                Err(ParameterError::Incomplete { needed }) => room += needed,
                Err(error) => return Err(malformed(format!("reservation report: {error}"))),
            }
        }
        Err(malformed(
            "the reservation report never fitted into the room that it asked for".to_owned(),
        ))
    }

    /// One report, with the form of host identifiers that the controller accepts.
    fn report(&mut self, room: &mut usize, bound: Duration) -> Result<Vec<u8>, Answer> {
        let other = match self.form {
            ReportForm::Extended => ReportForm::Short,
            ReportForm::Short => ReportForm::Extended,
        };
        match self.report_in(self.form, *room, bound) {
            Err(Answer::Refused(Refusal::Nvme(status)))
                if NvmeStatus(status) == NvmeStatus::HOST_ID_INCONSISTENT =>
            {
                self.form = other;
                *room = other.length(REGISTRANTS_FIRST).max(*room);
                self.report_in(other, *room, bound)
            }
            report => report,
        }
    }

    fn report_in(
        &mut self,
        form: ReportForm,
        room: usize,
        bound: Duration,
    ) -> Result<Vec<u8>, Answer> {
        let mut bytes = vec![0; room];
        let report = ReservationCommand::Report {
            form,
            bytes: u32::try_from(room).unwrap_or(u32::MAX),
        };
        let command = self.prepared(passthrough(&report), bound)?;
        let called = self.calls.io(command, Transfer::In(&mut bytes));
        self.ended(called).map(|()| bytes)
    }

    fn probe(&mut self, bound: Duration) -> Result<Capabilities, Answer> {
        let broken = |error: ParameterError| malformed(format!("identify: {error}"));
        let controller = self.identify(CONTROLLER, bound)?;
        let controller = IdentifyController::parse(&controller).map_err(broken)?;
        controller.tell(&mut self.capabilities);
        let namespace = self.identify(NAMESPACE, bound)?;
        let namespace = IdentifyNamespace::parse(&namespace).map_err(broken)?;
        namespace.tell(&mut self.capabilities);
        // RESCAP of zero: this namespace has none, whatever its controller can do.
        if !controller.reservations || namespace.types == TypeMask::default() {
            self.capabilities.persistent = Support::No;
            return Ok(self.capabilities);
        }
        // Mandatory in the Acquire command (7.2).
        self.capabilities.preempt_and_abort = Support::Yes;
        self.read_state(bound)?;
        Ok(self.capabilities)
    }

    fn identify(&mut self, cns: u32, bound: Duration) -> Result<Vec<u8>, Answer> {
        let mut data = vec![0; IDENTIFY_LENGTH];
        let mut command = self.prepared(
            NvmePassthruCmd {
                opcode: IDENTIFY,
                cdw10: cns,
                ..bytemuck::Zeroable::zeroed()
            },
            bound,
        )?;
        if cns == CONTROLLER {
            // The controller belongs to no namespace.
            command.nsid = 0;
        }
        let called = self.calls.admin(command, Transfer::In(&mut data));
        self.ended(called).map(|()| data)
    }
}

fn passthrough(command: &ReservationCommand) -> NvmePassthruCmd {
    NvmePassthruCmd {
        opcode: command.opcode(),
        cdw10: command.cdw10(),
        cdw11: command.cdw11(),
        ..bytemuck::Zeroable::zeroed()
    }
}

/// The answer that a result stands for; `None` for success.
fn status_answer(result: i32, name: &str) -> Option<Answer> {
    if result == 0 {
        return None;
    }
    let status = NvmeStatus(u16::try_from(result & 0x7fff).unwrap_or(u16::MAX)).code();
    Some(if status == NvmeStatus::RESERVATION_CONFLICT {
        Answer::Conflict { holder: None }
    } else if status == NvmeStatus::INVALID_OPCODE {
        Answer::Unsupported
    } else if status.0 & 0x700 == PATH_RELATED || ABORTED.contains(&status.0) {
        Answer::OutcomeUnknown(Uncertainty::Transport(format!("{name}: {status}")))
    } else {
        Answer::Refused(Refusal::Nvme(status.0))
    })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the system's errors are open, and what is not known is an unknown outcome"
)]
fn error_answer(error: Errno, name: &str) -> Answer {
    match error {
        Errno::EPERM | Errno::EACCES => Answer::NotSent(Unsent::NotPermitted(format!(
            "{name}: CAP_SYS_ADMIN (NVMe passthrough)"
        ))),
        Errno::ENOTTY | Errno::EOPNOTSUPP => Answer::Unsupported,
        Errno::ENODEV | Errno::ENXIO | Errno::EINVAL => {
            Answer::NotSent(Unsent::NoPath(format!("{name}: {}", errno::words(error))))
        }
        Errno::ETIMEDOUT => Answer::OutcomeUnknown(Uncertainty::TimedOut),
        // EINTR: the controller was reset, or the command was cancelled, while it was under way.
        other => Answer::OutcomeUnknown(Uncertainty::Transport(format!(
            "{name}: {}",
            errno::words(other)
        ))),
    }
}

fn malformed(what: String) -> Answer {
    Answer::Refused(Refusal::Malformed(what))
}

impl<C: Calls> Reservations for Nvme<C> {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn perform(&mut self, verb: &Verb, bound: Duration) -> Exchange {
        let reply = match verb {
            Verb::ReadState => self.read_state(bound).map(Reply::State),
            Verb::ReadCapabilities => self.probe(bound).map(Reply::Capabilities),
            Verb::TestUnitReady
            | Verb::Spc2Reserve
            | Verb::Spc2Release
            | Verb::Register { .. }
            | Verb::RegisterIgnoringExisting { .. }
            | Verb::Reserve { .. }
            | Verb::Release { .. }
            | Verb::Clear { .. }
            | Verb::Preempt { .. }
            | Verb::Move { .. }
            | Verb::ReplaceLost { .. }
            | Verb::ClearTaskSet
            | Verb::Reset { .. } => self.change(verb, bound).map(|()| Reply::Good),
        };
        match reply {
            Ok(reply) => Answer::Done(reply).into(),
            Err(answer) => answer.into(),
        }
    }
}

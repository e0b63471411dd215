//! The verbs by the kernel's `IOC_PR_*` calls on a block node: for who may not send SCSI commands, and for
//! a multipath map as a whole.
//!
//! | verb | call | note |
//! |---|---|---|
//! | READ STATE | `READ_KEYS`, `READ_RESERVATION` | Linux 6.19; no nexuses, no APTPL |
//! | REGISTER | `REGISTER` | on SCSI the kernel always asks for APTPL |
//! | REGISTER AND IGNORE | `REGISTER`, `PR_FL_IGNORE_KEY` | |
//! | RESERVE, RELEASE, CLEAR | the same | |
//! | PREEMPT | `PREEMPT`, `PREEMPT_ABORT` | `old_key` is **ours**, `new_key` the **victim's** |
//! | everything else | | unsupported |
//!
//! Invariants:
//! * a positive result is a status (`PR_STS_*`), never success;
//! * a read is whole and of one generation, or it says that it is not;
//! * a verb that changes something is one call.
//!
//! Attentions cannot be seen this way: the kernel's own retries eat them.

mod calls;
#[cfg(test)]
mod tests;

pub(super) use calls::BlockNode;

use super::abi::{
    PR_FL_IGNORE_KEY, PrClear, PrPreempt, PrReadKeys, PrReadReservation, PrRegistration,
    PrReservation,
};
use super::errno;
use crate::reservation::{
    Answer, Capabilities, Exchange, Key, PersistentState, Refusal, RegisterOptions, Registration,
    Reply, Reservation, ReservationType, Support, Uncertainty, Unsent, Verb,
};
use crate::reservations::Reservations;
use nix::errno::Errno;
use std::time::Duration;

/// The calls, so that what is made of their results can be tested without a disk.
pub(super) trait Calls: Send {
    /// `IOC_PR_REGISTER`.
    fn register(&mut self, argument: &PrRegistration) -> Result<i32, Errno>;
    /// `IOC_PR_RESERVE`.
    fn reserve(&mut self, argument: &PrReservation) -> Result<i32, Errno>;
    /// `IOC_PR_RELEASE`.
    fn release(&mut self, argument: &PrReservation) -> Result<i32, Errno>;
    /// `IOC_PR_PREEMPT` and `IOC_PR_PREEMPT_ABORT`.
    fn preempt(&mut self, argument: &PrPreempt, abort: bool) -> Result<i32, Errno>;
    /// `IOC_PR_CLEAR`.
    fn clear(&mut self, argument: &PrClear) -> Result<i32, Errno>;
    /// `IOC_PR_READ_KEYS`.
    fn read_keys(&mut self, keys: &mut [u64]) -> Result<(i32, PrReadKeys), Errno>;
    /// `IOC_PR_READ_RESERVATION`.
    fn read_reservation(&mut self) -> Result<(i32, PrReadReservation), Errno>;
}

/// Keys that the first read has room for; a cluster has no more.
const KEYS_FIRST: usize = 64;
/// `PR_KEYS_MAX` of the kernel.
const KEYS_MAX: usize = 65_536;
/// How often a read is begun again when the state changes under it.
const READS_MAX: usize = 3;

/// The status codes of `<linux/pr.h>` (`enum pr_status`).
mod status {
    pub(super) const SUCCESS: i32 = 0x0;
    pub(super) const IOERR: i32 = 0x2;
    pub(super) const RESERVATION_CONFLICT: i32 = 0x18;
    pub(super) const RETRY_PATH_FAILURE: i32 = 0xe_0000;
    pub(super) const PATH_FAST_FAILED: i32 = 0xf_0000;
    pub(super) const PATH_FAILED: i32 = 0x1_0000;
    /// Kernels before 6.4 pass the NVMe status on as it is.
    pub(super) const NVME_CONFLICT: i32 = 0x83;
}

/// A block node by `IOC_PR_*`.
pub(super) struct IocPr<C = BlockNode> {
    calls: C,
    name: String,
    /// Reads the state where the kernel is too old for it.
    reader: Option<Box<dyn Reservations>>,
    capabilities: Capabilities,
}

impl IocPr<BlockNode> {
    /// The verbs on this node. `reader` reads the state on kernels before 6.19.
    pub(super) fn new(
        node: BlockNode,
        name: String,
        reader: Option<Box<dyn Reservations>>,
    ) -> Self {
        Self::over(node, name, reader)
    }
}

impl<C: Calls> IocPr<C> {
    fn over(calls: C, name: String, reader: Option<Box<dyn Reservations>>) -> Self {
        let capabilities = Capabilities {
            spc2: Support::No,
            all_target_ports: Support::No,
            specify_initiator_ports: Support::No,
            replace_lost: Support::No,
            full_status: Support::No,
            registers_several: true,
            clear_task_set: Support::No,
            attentions: Support::No,
            resets: crate::reservation::ResetSupport {
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
            reader,
            capabilities,
        }
    }

    fn read_state(&mut self, bound: Duration) -> Exchange {
        match self.read_whole() {
            Ok(state) => {
                self.capabilities.persistent = Support::Yes;
                Answer::Done(Reply::State(state)).into()
            }
            Err(Answer::Unsupported) => match &mut self.reader {
                Some(reader) => reader.perform(&Verb::ReadState, bound),
                None => Answer::NotSent(Unsent::NotPermitted(format!(
                    "{}: CAP_SYS_RAWIO (this kernel cannot read reservations without it; Linux 6.19 can)",
                    self.name
                )))
                .into(),
            },
            Err(answer) => answer.into(),
        }
    }

    /// Keys and reservation of one generation.
    fn read_whole(&mut self) -> Result<PersistentState, Answer> {
        let mut last = Err(Answer::Refused(Refusal::Malformed(
            "the reservation state did not stand still while it was read".to_owned(),
        )));
        for _ in 0..READS_MAX {
            let (generation, keys) = self.read_keys()?;
            let (result, held) = self
                .calls
                .read_reservation()
                .map_err(|error| self.read_error(error))?;
            self.check(result)?;
            let reservation = reservation_of(&held)?;
            let state = PersistentState {
                generation,
                registrations: keys.into_iter().filter_map(registration_of).collect(),
                reservation,
            };
            // Where nothing is reserved some targets' answer carries no generation.
            if reservation.is_none() || held.generation == generation {
                last = Ok(state);
                break;
            }
        }
        last
    }

    fn read_keys(&mut self) -> Result<(u32, Vec<u64>), Answer> {
        let mut room = KEYS_FIRST;
        for _ in 0..READS_MAX {
            let mut keys = vec![0; room];
            let (result, header) = self
                .calls
                .read_keys(&mut keys)
                .map_err(|error| self.read_error(error))?;
            self.check(result)?;
            let there_are = usize::try_from(header.num_keys).unwrap_or(usize::MAX);
            if there_are <= room {
                keys.truncate(there_are);
                return Ok((header.generation, keys));
            }
            if there_are > KEYS_MAX {
                return Err(Answer::Refused(Refusal::Malformed(format!(
                    "{there_are} keys are said to be registered; the most that can be read is {KEYS_MAX}"
                ))));
            }
            room = there_are;
        }
        Err(Answer::Refused(Refusal::Malformed(
            "the number of registered keys did not stand still while it was read".to_owned(),
        )))
    }

    fn check(&self, result: i32) -> Result<(), Answer> {
        match status_answer(result, &self.name) {
            Answer::Done(_) => Ok(()),
            answer @ (Answer::Conflict { .. }
            | Answer::Attention(_)
            | Answer::Refused(_)
            | Answer::Unsupported
            | Answer::OutcomeUnknown(_)
            | Answer::NotSent(_)) => Err(answer),
        }
    }

    /// The arguments of a read are always valid: a kernel that does not know the number says so in one of
    /// two ways, by the driver below (sd of 6.1: EINVAL; others: ENOTTY).
    fn read_error(&self, error: Errno) -> Answer {
        if error == Errno::EINVAL {
            return Answer::Unsupported;
        }
        self.error(error)
    }

    fn error(&self, error: Errno) -> Answer {
        error_answer(error, &self.name)
    }

    fn change(&mut self, called: Result<i32, Errno>) -> Exchange {
        let answer = match called {
            Ok(result) => status_answer(result, &self.name),
            Err(error) => self.error(error),
        };
        if matches!(answer, Answer::Done(_) | Answer::Conflict { .. }) {
            self.capabilities.persistent = Support::Yes;
        }
        answer.into()
    }

    fn register(
        &mut self,
        existing: Option<Key>,
        new: Option<Key>,
        flags: u32,
        options: &RegisterOptions,
    ) -> Exchange {
        if options.all_target_ports || !options.also.is_empty() {
            return Answer::Unsupported.into();
        }
        let called = self.calls.register(&PrRegistration {
            old_key: Key::to_wire(existing),
            new_key: Key::to_wire(new),
            flags,
            pad: 0,
        });
        self.change(called)
    }
}

fn registration_of(key: u64) -> Option<Registration> {
    Some(Registration {
        key: Key::new(key)?,
        nexus: None,
        holder: None,
        all_target_ports: false,
    })
}

fn reservation_of(held: &PrReadReservation) -> Result<Option<Reservation>, Answer> {
    if held.kind == 0 {
        return Ok(None);
    }
    let kind = u8::try_from(held.kind)
        .ok()
        .and_then(ReservationType::from_nvme_code)
        .ok_or_else(|| {
            Answer::Refused(Refusal::Malformed(format!(
                "the kernel reports reservation type {}, which does not exist",
                held.kind
            )))
        })?;
    // Under the All Registrants types SCSI says zero and NVMe a registrant's key: neither is "the holder".
    let key = Key::new(held.key).filter(|_| !kind.all_registrants());
    Ok(Some(Reservation { key, kind }))
}

fn status_answer(result: i32, name: &str) -> Answer {
    match result {
        status::SUCCESS => Answer::Done(Reply::Good),
        status::RESERVATION_CONFLICT | status::NVME_CONFLICT => Answer::Conflict { holder: None },
        // CHECK CONDITION, and its sense is lost: the kernel logs it.
        status::IOERR => Answer::Refused(Refusal::Status(0x02)),
        status::RETRY_PATH_FAILURE | status::PATH_FAST_FAILED | status::PATH_FAILED => {
            Answer::OutcomeUnknown(Uncertainty::Transport(format!("{name}: the path failed")))
        }
        other => Answer::OutcomeUnknown(Uncertainty::Transport(format!(
            "{name}: the kernel's call ended with {other:#x}"
        ))),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the system's errors are open, and what is not known is an unknown outcome"
)]
fn error_answer(error: Errno, name: &str) -> Answer {
    match error {
        Errno::EPERM | Errno::EACCES => Answer::NotSent(Unsent::NotPermitted(format!(
            "{name}: CAP_SYS_ADMIN, or write access to the node"
        ))),
        Errno::ENOTTY | Errno::EOPNOTSUPP => Answer::Unsupported,
        Errno::EBADE => Answer::Conflict { holder: None },
        Errno::ENXIO | Errno::ENODEV | Errno::ENOENT | Errno::EBUSY => {
            Answer::NotSent(Unsent::NoPath(format!("{name}: {}", errno::words(error))))
        }
        Errno::ETIMEDOUT => Answer::OutcomeUnknown(Uncertainty::TimedOut),
        other => Answer::OutcomeUnknown(Uncertainty::Transport(format!(
            "{name}: {}",
            errno::words(other)
        ))),
    }
}

/// The kernel's number of a type.
fn type_of(kind: ReservationType) -> u32 {
    u32::from(kind.nvme_code())
}

impl<C: Calls> Reservations for IocPr<C> {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn perform(&mut self, verb: &Verb, bound: Duration) -> Exchange {
        match verb {
            Verb::ReadState => self.read_state(bound),
            Verb::ReadCapabilities => {
                // Whether the call exists is all that can be asked; it reads, and changes nothing.
                if let Answer::Done(_) = self.read_state(bound).answer {
                    self.capabilities.persistent = Support::Yes;
                }
                Answer::Done(Reply::Capabilities(self.capabilities)).into()
            }
            Verb::Register {
                existing,
                new,
                options,
            } => self.register(*existing, *new, 0, options),
            Verb::RegisterIgnoringExisting { new, options } => {
                self.register(None, *new, PR_FL_IGNORE_KEY, options)
            }
            Verb::Reserve { key, kind } => {
                let called = self.calls.reserve(&PrReservation {
                    key: key.get(),
                    kind: type_of(*kind),
                    flags: 0,
                });
                self.change(called)
            }
            Verb::Release { key, kind } => {
                let called = self.calls.release(&PrReservation {
                    key: key.get(),
                    kind: type_of(*kind),
                    flags: 0,
                });
                self.change(called)
            }
            Verb::Clear { key } => {
                let called = self.calls.clear(&PrClear {
                    key: key.get(),
                    flags: 0,
                    pad: 0,
                });
                self.change(called)
            }
            Verb::Preempt {
                key,
                victim,
                kind,
                abort,
            } => {
                let called = self.calls.preempt(
                    &PrPreempt {
                        old_key: key.get(),
                        new_key: Key::to_wire(*victim),
                        kind: type_of(*kind),
                        flags: 0,
                    },
                    *abort,
                );
                let exchange = self.change(called);
                if *abort && matches!(exchange.answer, Answer::Done(_)) {
                    self.capabilities.preempt_and_abort = Support::Yes;
                }
                exchange
            }
            Verb::TestUnitReady
            | Verb::Spc2Reserve
            | Verb::Spc2Release
            | Verb::Move { .. }
            | Verb::ReplaceLost { .. }
            | Verb::ClearTaskSet
            | Verb::Reset { .. } => Answer::Unsupported.into(),
        }
    }
}

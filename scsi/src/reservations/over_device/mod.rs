//! The verbs over any [`Device`]: SCSI commands, and what their answers mean.
//!
//! ```text
//!   Verb ──commands──> CDB, list ──Device──> Completion ──answer──> Answer
//!   ReadState ────────> read_state: as many reads as it takes to know one whole state
//!   ReadCapabilities ─> probe
//! ```
//!
//! Invariants:
//! * a verb that changes something is one command, sent once; the one exception is RESERVE and RELEASE of
//!   SPC-2, whose 10-byte form, when the disk refuses it as unknown, is followed by the 6-byte form;
//! * a read drains at most [`ATTENTIONS_MAX`] attentions and reports each of them;
//! * what the disk showed it can or cannot do is remembered in the capabilities.
//!
//! Never does: retry a change, look up the holder after a conflict, read a clock. The bound is given to
//! each command; a bound on a read as a whole is kept around it, by `device::bounded`.

mod answer;
mod commands;
mod probe;
mod read_state;
#[cfg(test)]
mod tests;

pub use answer::hint;

use super::Reservations;
use crate::device::{Completion, Data, Device};
use crate::reservation::{
    Answer, Attention, Capabilities, Exchange, Refusal, Reply, ResetScope, Support, Verb,
};
use crate::wire::cdb::Command;
use answer::{answer_of, reset_answer};
use std::time::Duration;

/// The most attentions that one read drains: a nexus queues one for each kind of event, and few kinds exist.
pub const ATTENTIONS_MAX: usize = 8;

/// Which RESERVE and RELEASE of SPC-2 the disk has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Spc2Form {
    Ten,
    Six,
}

/// Whether REPORT SUPPORTED OPERATION CODES is to be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Opcodes {
    Unasked,
    /// Only of a disk without persistent reservations, which may have those of SPC-2.
    OnlyWithoutPersistent,
    Asked,
}

/// The verbs over a device.
#[derive(Debug)]
pub struct OverDevice<D> {
    device: D,
    capabilities: Capabilities,
    spc2_form: Spc2Form,
    opcodes: Opcodes,
}

/// What a read has met on its way, and the bound that it passes on.
struct Reading {
    bound: Duration,
    attentions: Vec<Attention>,
}

impl<D: Device> OverDevice<D> {
    /// The verbs over this device, of which nothing is known yet.
    pub fn new(device: D) -> Self {
        Self {
            device,
            capabilities: Capabilities {
                attentions: Support::Yes,
                ..Capabilities::default()
            },
            spc2_form: Spc2Form::Ten,
            opcodes: Opcodes::Unasked,
        }
    }

    /// The verbs for an arbiter, which finds out by trying: a disk that has persistent reservations is not
    /// asked for its operation codes.
    #[must_use]
    pub fn for_an_arbiter(self) -> Self {
        Self {
            opcodes: Opcodes::OnlyWithoutPersistent,
            ..self
        }
    }

    /// Sends one read until it meets no attention.
    ///
    /// `Err` is any answer but GOOD.
    fn read(
        &mut self,
        verb: &Verb,
        command: &Command,
        buffer: &mut [u8],
        reading: &mut Reading,
    ) -> Result<Completion, Answer> {
        loop {
            let data = if buffer.is_empty() {
                Data::None
            } else {
                Data::In(buffer)
            };
            let ended = self.device.execute(&command.cdb(), data, reading.bound);
            match answer_of(verb, ended.clone()) {
                Answer::Done(_) => return ended.map_err(answer::error_answer),
                Answer::Attention(attention) if reading.attentions.len() < ATTENTIONS_MAX => {
                    reading.attentions.push(attention);
                }
                Answer::Attention(attention) => {
                    let sense = crate::wire::sense::Sense::unit_attention(attention);
                    return Err(Answer::Refused(Refusal::Sense(sense)));
                }
                answer @ (Answer::Conflict { .. }
                | Answer::Refused(_)
                | Answer::Unsupported
                | Answer::OutcomeUnknown(_)
                | Answer::NotSent(_)) => return Err(answer),
            }
        }
    }

    fn reading(
        &mut self,
        bound: Duration,
        read: impl FnOnce(&mut Self, &mut Reading) -> Answer,
    ) -> Exchange {
        let mut reading = Reading {
            bound,
            attentions: Vec::new(),
        };
        let answer = read(self, &mut reading);
        Exchange {
            answer,
            attentions: reading.attentions,
        }
    }

    /// RESERVE or RELEASE of SPC-2.
    fn spc2(&mut self, verb: &Verb, ten: Command, six: Command, bound: Duration) -> Answer {
        let mut send = |command: Command| {
            let ended = self.device.execute(&command.cdb(), Data::None, bound);
            answer_of(verb, ended)
        };
        let mut answer = match self.spc2_form {
            Spc2Form::Ten => send(ten),
            Spc2Form::Six => send(six),
        };
        if answer == Answer::Unsupported && self.spc2_form == Spc2Form::Ten {
            self.spc2_form = Spc2Form::Six;
            answer = send(six);
        }
        learn(&mut self.capabilities.spc2, &answer);
        answer
    }

    /// One PERSISTENT RESERVE OUT.
    fn persistent(&mut self, verb: &Verb, bound: Duration) -> Answer {
        let Some(out) = commands::pr_out(verb) else {
            return Answer::Unsupported;
        };
        let ended = self
            .device
            .execute(&out.command.cdb(), Data::Out(&out.list), bound);
        let answer = answer_of(verb, ended);
        if matches!(answer, Answer::Done(_)) {
            self.capabilities.persistent = Support::Yes;
        }
        if matches!(verb, Verb::Preempt { abort: true, .. }) {
            learn(&mut self.capabilities.preempt_and_abort, &answer);
        }
        if matches!(verb, Verb::ReplaceLost { .. }) {
            learn(&mut self.capabilities.replace_lost, &answer);
        }
        answer
    }

    fn reset(&mut self, scope: ResetScope, escalate: bool, bound: Duration) -> Answer {
        let answer = reset_answer(self.device.reset(scope, escalate, bound));
        let resets = &mut self.capabilities.resets;
        let support = match scope {
            ResetScope::Lun => &mut resets.lun,
            ResetScope::Target => &mut resets.target,
            ResetScope::Bus => &mut resets.bus,
            ResetScope::Host => &mut resets.host,
        };
        learn(support, &answer);
        answer
    }
}

/// A verb that was done is there; one that is unsupported is not; anything else shows nothing.
fn learn(support: &mut Support, answer: &Answer) {
    match answer {
        Answer::Done(_) => *support = Support::Yes,
        Answer::Unsupported => *support = Support::No,
        Answer::Conflict { .. }
        | Answer::Attention(_)
        | Answer::Refused(_)
        | Answer::OutcomeUnknown(_)
        | Answer::NotSent(_) => {}
    }
}

impl<D: Device> Reservations for OverDevice<D> {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn perform(&mut self, verb: &Verb, bound: Duration) -> Exchange {
        match verb {
            Verb::TestUnitReady => self.reading(bound, |this, reading| {
                match this.read(verb, &Command::TestUnitReady, &mut [], reading) {
                    Ok(_) => Answer::Done(Reply::Good),
                    Err(answer) => answer,
                }
            }),
            Verb::ReadState => self.reading(bound, |this, reading| this.read_state(reading)),
            Verb::ReadCapabilities => self.reading(bound, |this, reading| this.probe(reading)),
            Verb::Spc2Reserve => self
                .spc2(verb, Command::Reserve10, Command::Reserve6, bound)
                .into(),
            Verb::Spc2Release => self
                .spc2(verb, Command::Release10, Command::Release6, bound)
                .into(),
            Verb::Register { .. }
            | Verb::RegisterIgnoringExisting { .. }
            | Verb::Reserve { .. }
            | Verb::Release { .. }
            | Verb::Clear { .. }
            | Verb::Preempt { .. }
            | Verb::Move { .. }
            | Verb::ReplaceLost { .. } => self.persistent(verb, bound).into(),
            Verb::ClearTaskSet => {
                let answer = reset_answer(self.device.clear_task_set(bound));
                learn(&mut self.capabilities.clear_task_set, &answer);
                answer.into()
            }
            Verb::Reset { scope, escalate } => self.reset(*scope, *escalate, bound).into(),
        }
    }
}

//! What a disk looks like before and after a change: its persistent state, and whether this path is shut
//! out by an SPC-2 reservation. What cannot be read is said, not guessed.

use super::session::{Met, Reading, Session};
use super::view;
use crate::exit::Failure;
use scsi::reservation::{Answer, Verb};
use serde_json::{Value, json};
use std::io::{self, Write};

/// What TEST UNIT READY says of this path. Under an SPC-2 reservation the holder is unknowable from
/// outside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Admission {
    /// Commands of this path are served: nobody has an SPC-2 reservation, or this nexus has it.
    Admitted,
    /// Another nexus has an SPC-2 reservation.
    ShutOut,
    /// It cannot be told; why.
    Unclear(String),
}

/// What a disk looks like.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    /// The persistent state, or why it cannot be read.
    pub(crate) persistent: Result<Reading, String>,
    /// Whether this path is shut out; `None` where nobody asked.
    pub(crate) admission: Option<Admission>,
    /// Attentions that were drained by asking.
    pub(crate) met: Vec<Met>,
}

impl Condition {
    /// The persistent state alone, which is there.
    pub(crate) fn of_reading(mut reading: Reading) -> Self {
        Self {
            met: std::mem::take(&mut reading.met),
            persistent: Ok(reading),
            admission: None,
        }
    }

    /// Reads the persistent state; where that fails, says why.
    pub(crate) fn read(session: &mut Session) -> Self {
        match session.read() {
            Ok(reading) => Self::of_reading(reading),
            Err(failure) => Self {
                persistent: Err(failure.message),
                admission: None,
                met: Vec::new(),
            },
        }
    }

    /// Asks over this path whether it is shut out, then reads the persistent state.
    pub(crate) fn with_admission(session: &mut Session, path: usize) -> Self {
        let (admission, mut met) = admission(session, path);
        let mut condition = Self::read(session);
        met.append(&mut condition.met);
        Self {
            admission: Some(admission),
            met,
            ..condition
        }
    }

    /// The reading, where there is one.
    pub(crate) fn reading(&self) -> Option<&Reading> {
        self.persistent.as_ref().ok()
    }

    /// As a document has it.
    pub(crate) fn json(&self) -> Value {
        let mut value = match &self.persistent {
            Ok(reading) => view::state_json(reading),
            Err(why) => json!({ "unreadable": why }),
        };
        if let Some(admission) = &self.admission {
            value["spc2"] = json!(admission.name());
        }
        value
    }

    /// As a person reads it.
    pub(crate) fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        if let Some(admission) = &self.admission {
            writeln!(page, "SPC-2       {}", admission.words())?;
        }
        match &self.persistent {
            Ok(reading) => view::state_text(page, reading),
            Err(why) => writeln!(page, "persistent  cannot be read: {why}"),
        }
    }
}

impl Admission {
    /// As JSON spells it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::ShutOut => "shut-out",
            Self::Unclear(_) => "unclear",
        }
    }

    /// As a person reads it.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Admitted => {
                "this path is served: no SPC-2 reservation, or its own (the disk does not tell which)"
                    .to_owned()
            }
            Self::ShutOut => {
                "another nexus has the SPC-2 reservation; whose cannot be known from outside"
                    .to_owned()
            }
            Self::Unclear(why) => format!("cannot be told: {why}"),
        }
    }
}

/// Asks over this path whether it is shut out.
pub(crate) fn admission(session: &mut Session, path: usize) -> (Admission, Vec<Met>) {
    let verb = Verb::TestUnitReady;
    let exchange = session.perform(path, &verb);
    let mut met = Vec::new();
    session.note(path, &exchange, &mut met);
    let admission = match &exchange.answer {
        Answer::Done(_) => Admission::Admitted,
        Answer::Conflict { .. } => Admission::ShutOut,
        answer @ (Answer::Attention(_)
        | Answer::Refused(_)
        | Answer::Unsupported
        | Answer::OutcomeUnknown(_)
        | Answer::NotSent(_)) => Admission::Unclear(
            Failure::of_answer(&verb, answer, session.name())
                .map_or_else(String::new, |failure| failure.message),
        ),
    };
    (admission, met)
}

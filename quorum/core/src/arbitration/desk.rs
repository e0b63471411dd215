//! The desk of an arbitration machine: what it has asked its driver to do, and what is still out.
//!
//! Invariants: a command's id is never used twice; at most one command is out on a path, so that a path
//! that hangs holds up nothing but itself; nothing here decides anything.

use super::guards::Guard;
use super::{CommandId, Config, Event, Output, PathId};
use crate::Instant;
use scsi::reservation::{Answer, Refusal, Uncertainty, Verb};
use std::collections::{BTreeMap, VecDeque};

/// The point that a normalised machine's clock shows. Ages above it are all the same age: no rule looks
/// further back than a minute.
pub(super) const NORMAL_NOW: Instant = Instant::since_zero(std::time::Duration::from_secs(3600));

/// A command that is out.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Sent {
    pub(super) path: PathId,
    pub(super) verb: Verb,
    pub(super) sent_at: Instant,
}

/// Outputs, and commands that are out.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Desk {
    pub(super) config: Config,
    pub(super) now: Instant,
    outbox: VecDeque<Output>,
    next_id: u64,
    out: BTreeMap<CommandId, Sent>,
    /// The one question about the log that is out.
    question: Option<CommandId>,
}

impl Desk {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            now: Instant::ZERO,
            outbox: VecDeque::new(),
            next_id: 1,
            out: BTreeMap::new(),
            question: None,
        }
    }

    pub(super) fn stands(&self, guard: Guard) -> bool {
        self.config.guards.stands(guard)
    }

    /// Asks for this verb on this path.
    ///
    /// # Panics
    /// When the path is busy: a machine looks before it asks.
    pub(super) fn perform(&mut self, path: PathId, verb: Verb) -> CommandId {
        assert!(!self.is_busy(path), "one command at a time on a path");
        let id = self.fresh_id();
        let times = &self.config.times;
        // A reset takes as long as the target needs to recover from it.
        let bound = if matches!(verb, Verb::Reset { .. }) {
            times.command_bound + times.reset_recovery
        } else {
            times.command_bound
        };
        self.out.insert(
            id,
            Sent {
                path,
                verb: verb.clone(),
                sent_at: self.now,
            },
        );
        self.outbox.push_back(Output::Perform {
            id,
            path,
            verb,
            bound,
        });
        id
    }

    /// Asks about the log; only the answer to the last question counts.
    pub(super) fn question(&mut self, output: impl FnOnce(CommandId) -> Output) {
        let id = self.fresh_id();
        self.question = Some(id);
        self.outbox.push_back(output(id));
    }

    /// Is this the answer to the last question? Counts once.
    pub(super) fn is_answered(&mut self, id: CommandId) -> bool {
        self.question.take_if(|question| *question == id).is_some()
    }

    fn fresh_id(&mut self) -> CommandId {
        let id = CommandId(self.next_id);
        self.next_id += 1;
        id
    }

    /// The command has come back. `None` when it is not one of ours, or came back already.
    pub(super) fn take_back(&mut self, id: CommandId) -> Option<Sent> {
        self.out.remove(&id)
    }

    pub(super) fn is_busy(&self, path: PathId) -> bool {
        self.out.values().any(|sent| sent.path == path)
    }

    pub(super) fn push(&mut self, output: Output) {
        self.outbox.push_back(output);
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.outbox.push_back(Output::Event(event));
    }

    pub(super) fn poll(&mut self) -> Option<Output> {
        self.outbox.pop_front()
    }

    /// Moves the clock to [`NORMAL_NOW`] and numbers the commands that are out from 1; the pairs are old
    /// and new ids.
    pub(super) fn normalize(&mut self) -> Vec<(CommandId, CommandId)> {
        assert!(self.outbox.is_empty(), "drain the outputs first");
        let now = self.now;
        let old = std::mem::take(&mut self.out);
        let mut renamed = Vec::with_capacity(old.len());
        for (number, (id, mut sent)) in (1..).zip(old) {
            sent.sent_at = normal(sent.sent_at, now);
            renamed.push((id, CommandId(number)));
            self.out.insert(CommandId(number), sent);
        }
        self.next_id = 1 + self.out.len() as u64;
        if let Some(question) = self.question {
            let id = self.fresh_id();
            renamed.push((question, id));
            self.question = Some(id);
        }
        self.now = NORMAL_NOW;
        renamed
    }
}

/// `at`, on a clock that shows [`NORMAL_NOW`] when it showed `now`.
pub(super) fn normal(at: Instant, now: Instant) -> Instant {
    if at >= now {
        NORMAL_NOW + at.saturating_since(now)
    } else {
        NORMAL_NOW - now.saturating_since(at)
    }
}

/// One command after the other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Errand {
    pub(super) awaited: Option<CommandId>,
    /// When the phase is taken up again after a command without a definite end.
    pub(super) retry_at: Option<Instant>,
    /// How many of those there were in a row.
    pub(super) stumbles: u32,
}

/// What a person is told about an answer that is neither done, nor a conflict, nor an attention.
pub(super) fn trouble(answer: &Answer) -> Option<String> {
    match answer {
        Answer::Done(_) | Answer::Conflict { .. } | Answer::Attention(_) => None,
        Answer::Refused(Refusal::Sense(sense)) => Some(format!(
            "refused: sense {:x}/{:02x}/{:02x}",
            sense.key, sense.asc, sense.ascq
        )),
        Answer::Refused(Refusal::Status(status)) => Some(format!("refused: status {status:#04x}")),
        Answer::Refused(Refusal::Nvme(status)) => Some(format!("refused: NVMe {status:#05x}")),
        Answer::Refused(Refusal::Function(why)) => Some(format!("refused: {why}")),
        Answer::Refused(Refusal::Malformed(why)) => Some(format!("malformed reply: {why}")),
        Answer::Unsupported => Some("unsupported".into()),
        Answer::OutcomeUnknown(Uncertainty::TimedOut) => {
            Some("no answer within the bound, the outcome is unknown".into())
        }
        Answer::OutcomeUnknown(Uncertainty::Transport(why)) => Some(format!(
            "the transport failed, the outcome is unknown: {why}"
        )),
        Answer::NotSent(why) => Some(format!("not sent: {why}")),
    }
}

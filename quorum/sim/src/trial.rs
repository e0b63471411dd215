//! What each guard changes: the same machine is given the same input without it, and what it does then is
//! compared. A guard is *taken* when the machine without it would have done something else.
//!
//! Trying is dear, so it is done for a sample: the first inputs of each kind in each stage, and then fewer and
//! fewer of them.

use crate::counts::Counts;
use quorum_core::Instant;
use quorum_core::arbitration::{Arbitration, Guard, Guards, Input, Output, Stage};
use scsi::reservation::Answer;

/// Kinds of inputs that are told apart.
const KINDS: usize = 22;
/// Of one kind in one stage, so many are tried from the start.
const FIRST: u64 = 64;
/// And then one in so many.
const LATER: u64 = 1024;

/// Which inputs have been seen how often.
#[derive(Clone, Debug)]
pub struct Trials {
    seen: Vec<u64>,
}

impl Default for Trials {
    fn default() -> Self {
        Self {
            seen: vec![0; Stage::ALL.len() * KINDS],
        }
    }
}

impl Trials {
    /// Is this one tried?
    pub(crate) fn wants(&mut self, stage: Stage, input: &Input) -> Option<()> {
        let seen = &mut self.seen[stage as usize * KINDS + kind(input)];
        *seen += 1;
        (*seen <= FIRST || seen.is_multiple_of(LATER)).then_some(())
    }

    /// Tries the input without each guard.
    pub(crate) fn try_each_guard(
        &self,
        before: &Arbitration,
        now: Instant,
        input: &Input,
        after: &Arbitration,
        outputs: &[Output],
        counts: &mut Counts,
    ) {
        counts.guard_trials += 1;
        for guard in Guard::ALL {
            let mut without = before.with_guards(Guards::all_but(*guard));
            without.handle(now, input.clone());
            let told = std::iter::from_fn(|| without.poll_output());
            let same = told.eq(outputs.iter().cloned());
            if !same || without.with_guards(Guards::ALL_ON) != *after {
                counts.guard(*guard);
            }
        }
    }
}

fn kind(input: &Input) -> usize {
    match input {
        Input::Start { .. } => 0,
        Input::Serials { .. } => 1,
        Input::Mark { .. } => 2,
        Input::Epoch { .. } => 3,
        Input::Fed => 4,
        Input::Tick => 5,
        Input::Park => 6,
        Input::Release => 7,
        Input::PathChanged { usable: true, .. } => 8,
        Input::PathChanged { .. } => 9,
        Input::HandedOver => 20,
        Input::Stalled => 21,
        Input::Answer { exchange, .. } => {
            let met = usize::from(!exchange.attentions.is_empty());
            met + match &exchange.answer {
                Answer::Done(scsi::reservation::Reply::State(_)) => 10,
                Answer::Done(_) => 12,
                Answer::Conflict { .. } => 14,
                Answer::Attention(_) => 16,
                Answer::Refused(_) | Answer::Unsupported => 17,
                Answer::OutcomeUnknown(_) | Answer::NotSent(_) => 18,
            }
        }
    }
}

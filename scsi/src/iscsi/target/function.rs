//! Task management functions (RFC 7143 11.5, SAM-5 clause 7).
//!
//! | function | tasks | beyond |
//! |---|---|---|
//! | ABORT TASK | one of this session | |
//! | ABORT TASK SET | all of this session | |
//! | CLEAR TASK SET | all of all sessions | others learn of it (2F/00) |
//! | LOGICAL UNIT RESET, TARGET WARM RESET | all of all sessions | SPC-2 reservation gone, 29/03 for everybody |
//! | TARGET COLD RESET | all of all sessions | as above, and all sessions end |

use super::backend::Store;
use super::session::{Context, Effect, Session, Task};
use crate::device::schedule::{Action, Subject};
use crate::iscsi::pdu::{Response, TaskAnswer, TaskFunction, TaskRequest, TaskResponse};
use crate::reservation::ResetScope;

impl Session {
    /// Takes a task management function.
    pub(super) fn function<S: Store>(
        &mut self,
        pdu: &TaskRequest,
        context: &mut Context<'_, S>,
    ) -> Effect {
        if let Some(subject) = reset_subject(pdu.function)
            && let Some(action) = context.backend.fault(&subject)
        {
            return self.faulty_reset(pdu, action, context);
        }
        let (answer, effect) = self.perform_function(pdu, context);
        self.answer_function(pdu, answer, context);
        effect
    }

    fn perform_function<S: Store>(
        &mut self,
        pdu: &TaskRequest,
        context: &mut Context<'_, S>,
    ) -> (TaskAnswer, Effect) {
        let unit = &mut context.backend.unit;
        let here = pdu.lun.number() == Some(super::LUN);
        match pdu.function {
            TaskFunction::TargetWarmReset => {
                unit.reset(ResetScope::Target);
                (TaskAnswer::COMPLETE, Effect::TasksGone)
            }
            TaskFunction::TargetColdReset => {
                unit.reset(ResetScope::Target);
                (TaskAnswer::COMPLETE, Effect::AllEnd)
            }
            TaskFunction::AbortTask
            | TaskFunction::AbortTaskSet
            | TaskFunction::ClearTaskSet
            | TaskFunction::LogicalUnitReset
                if !here =>
            {
                (TaskAnswer::NO_LUN, Effect::None)
            }
            TaskFunction::AbortTask => (self.abort_task(pdu, context), Effect::None),
            TaskFunction::AbortTaskSet => {
                unit.abort_task_set(&self.nexus);
                self.tasks.clear();
                (TaskAnswer::COMPLETE, Effect::None)
            }
            TaskFunction::ClearTaskSet => {
                unit.clear_task_set(&self.nexus);
                (TaskAnswer::COMPLETE, Effect::TasksGone)
            }
            TaskFunction::LogicalUnitReset => {
                unit.reset(ResetScope::Lun);
                (TaskAnswer::COMPLETE, Effect::TasksGone)
            }
            TaskFunction::ClearAca | TaskFunction::Other(_) => {
                (TaskAnswer::NOT_SUPPORTED, Effect::None)
            }
        }
    }

    fn abort_task<S>(&mut self, pdu: &TaskRequest, context: &mut Context<'_, S>) -> TaskAnswer {
        match self.tasks.remove(&pdu.referenced_task_tag) {
            Some(Task::Gathering(gathering)) => {
                context.backend.unit.abort(gathering.tag);
                TaskAnswer::COMPLETE
            }
            Some(Task::Waiting(tag)) => {
                context.backend.unit.abort(tag);
                TaskAnswer::COMPLETE
            }
            Some(Task::Answering) => TaskAnswer::COMPLETE,
            None => TaskAnswer::NO_TASK,
        }
    }

    fn answer_function<S>(
        &mut self,
        pdu: &TaskRequest,
        answer: TaskAnswer,
        context: &mut Context<'_, S>,
    ) {
        let response = TaskResponse {
            answer,
            task_tag: pdu.task_tag,
            counters: self.status_counters(),
        };
        self.send(&Response::Task(response), context);
    }

    /// What a fault makes of a reset. Faults that only a command can have make it fail.
    fn faulty_reset<S: Store>(
        &mut self,
        pdu: &TaskRequest,
        action: Action,
        context: &mut Context<'_, S>,
    ) -> Effect {
        match action {
            Action::Drop => Effect::Drop,
            Action::TimeoutWithoutEffect | Action::Hang => Effect::None,
            Action::Transport => {
                self.perform_function(pdu, context);
                Effect::Drop
            }
            Action::TimeoutWithEffect => self.perform_function(pdu, context).1,
            Action::Lie => {
                self.answer_function(pdu, TaskAnswer::COMPLETE, context);
                Effect::None
            }
            Action::Reset(scope) => {
                context.backend.unit.reset(scope);
                let (answer, effect) = self.perform_function(pdu, context);
                self.answer_function(pdu, answer, context);
                effect
            }
            Action::LateEffect(_)
            | Action::Delay(_)
            | Action::Sense { .. }
            | Action::Status(_)
            | Action::Conflict
            | Action::Truncate(_)
            | Action::Clear { .. }
            | Action::NexusLoss
            | Action::PowerCycle => {
                self.answer_function(pdu, TaskAnswer::REJECTED, context);
                Effect::None
            }
        }
    }
}

/// What the schedule of faults calls it.
const fn reset_subject(function: TaskFunction) -> Option<Subject> {
    match function {
        TaskFunction::LogicalUnitReset => Some(Subject::Reset(ResetScope::Lun)),
        TaskFunction::TargetWarmReset | TaskFunction::TargetColdReset => {
            Some(Subject::Reset(ResetScope::Target))
        }
        TaskFunction::AbortTask
        | TaskFunction::AbortTaskSet
        | TaskFunction::ClearAca
        | TaskFunction::ClearTaskSet
        | TaskFunction::Other(_) => None,
    }
}

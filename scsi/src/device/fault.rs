//! A device that meets the faults of a schedule.
//!
//! Blocks where the fault blocks (`delay`, `hang`, the timeouts), by the pause that it was given: put it
//! inside [`super::bounded`], as a real device is.
//!
//! Never does: power cycles and nexus losses. Those belong to whoever owns the unit or the session, and a
//! schedule with them is refused at the start instead of being ignored.

use super::schedule::{Action, Rule, Schedule, Subject};
use super::{Completion, Data, Device, DeviceError, ResetError};
use crate::reservation::ResetScope;
use crate::wire::cdb::Cdb;
use crate::wire::sense::Sense;
use crate::wire::status::Status;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use thiserror::Error;

/// A rule that this wrapper cannot carry out.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("`{rule}`: only the emulated unit and the target can do that")]
pub struct UnfitRule {
    /// The rule.
    pub rule: Rule,
}

/// How it waits: told how long.
pub type Pause = Box<dyn FnMut(Duration) + Send>;

/// A device, its faults, and a way to wait.
pub struct Fault<D> {
    device: D,
    shared: Arc<Mutex<Shared>>,
    pause: Pause,
}

/// What all handles of one way have in common: the rules count the way's commands, and a hang is the way's.
struct Shared {
    schedule: Schedule,
    hung: bool,
}

/// No fault lasts longer than this: a century stands for "for ever", and every clock can add it.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

impl<D: Device> Fault<D> {
    /// Puts the schedule around the device.
    ///
    /// # Errors
    /// [`UnfitRule`] for a rule that a wrapper cannot carry out.
    pub fn new(device: D, schedule: Schedule, pause: Pause) -> Result<Self, UnfitRule> {
        let unfit = |rule: &&Rule| matches!(rule.action, Action::NexusLoss | Action::PowerCycle);
        match schedule.rules().iter().find(unfit) {
            Some(rule) => Err(UnfitRule { rule: rule.clone() }),
            None => Ok(Self {
                device,
                shared: Arc::new(Mutex::new(Shared {
                    schedule,
                    hung: false,
                })),
                pause,
            }),
        }
    }

    /// A further handle of the same way: it meets the faults of the one schedule.
    pub fn further<E: Device>(&self, device: E, pause: Pause) -> Fault<E> {
        Fault {
            device,
            shared: Arc::clone(&self.shared),
            pause,
        }
    }

    fn next(&mut self, subject: &Subject) -> Option<Action> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let action = shared.schedule.next(subject);
        shared.hung |= action == Some(Action::Hang);
        if shared.hung {
            Some(Action::Hang)
        } else {
            action
        }
    }
}

fn refused(status: Status, sense: Option<Sense>) -> Completion {
    Completion {
        status,
        sense,
        transferred: 0,
    }
}

fn connection_gone() -> DeviceError {
    DeviceError::Transport("the connection was dropped (injected)".to_owned())
}

/// GOOD without having done anything, and zeros for data.
fn lie(data: Data<'_>) -> Completion {
    let transferred = match data {
        Data::In(buffer) => {
            buffer.fill(0);
            buffer.len()
        }
        Data::Out(bytes) => bytes.len(),
        Data::None => 0,
    };
    Completion {
        status: Status::GOOD,
        sense: None,
        transferred,
    }
}

impl<D: Device> Device for Fault<D> {
    fn execute(
        &mut self,
        cdb: &Cdb,
        data: Data<'_>,
        bound: Duration,
    ) -> Result<Completion, DeviceError> {
        let Some(action) = self.next(&Subject::of_cdb(cdb)) else {
            return self.device.execute(cdb, data, bound);
        };
        match action {
            Action::Drop => Err(connection_gone()),
            Action::Transport => {
                self.device.execute(cdb, data, bound)?;
                Err(connection_gone())
            }
            Action::TimeoutWithoutEffect => {
                (self.pause)(bound);
                Err(DeviceError::TimedOut)
            }
            Action::TimeoutWithEffect => {
                self.device.execute(cdb, data, bound)?;
                (self.pause)(bound);
                Err(DeviceError::TimedOut)
            }
            Action::LateEffect(time) => {
                (self.pause)(time);
                self.device.execute(cdb, data, bound)?;
                Err(DeviceError::TimedOut)
            }
            Action::Delay(time) => {
                let completion = self.device.execute(cdb, data, bound);
                (self.pause)(time);
                completion
            }
            Action::Hang => {
                (self.pause)(FOR_EVER);
                Err(DeviceError::TimedOut)
            }
            Action::Sense { key, asc, ascq } => Ok(refused(
                Status::CHECK_CONDITION,
                Some(Sense::new(key, asc, ascq)),
            )),
            Action::Status(status) => Ok(refused(Status(status), None)),
            Action::Conflict => Ok(refused(Status::RESERVATION_CONFLICT, None)),
            Action::Lie => Ok(lie(data)),
            Action::Truncate(bytes) => {
                let mut completion = self.device.execute(cdb, data, bound)?;
                completion.transferred = completion.transferred.min(bytes);
                Ok(completion)
            }
            Action::Clear { byte, mask } => match data {
                Data::In(buffer) => {
                    let completion = self.device.execute(cdb, Data::In(&mut *buffer), bound)?;
                    if byte < completion.transferred
                        && let Some(there) = buffer.get_mut(byte)
                    {
                        *there &= !mask;
                    }
                    Ok(completion)
                }
                Data::None | Data::Out(_) => self.device.execute(cdb, data, bound),
            },
            Action::Reset(scope) => {
                if let Err(ResetError::Device(error)) = self.device.reset(scope, false, bound) {
                    return Err(error);
                }
                self.device.execute(cdb, data, bound)
            }
            Action::NexusLoss | Action::PowerCycle => {
                unreachable!("a schedule with these is refused at the start")
            }
        }
    }

    fn reset(
        &mut self,
        scope: ResetScope,
        escalate: bool,
        bound: Duration,
    ) -> Result<(), ResetError> {
        let Some(action) = self.next(&Subject::Reset(scope)) else {
            return self.device.reset(scope, escalate, bound);
        };
        match action {
            Action::Drop => Err(connection_gone().into()),
            Action::Transport => {
                self.device.reset(scope, escalate, bound)?;
                Err(connection_gone().into())
            }
            Action::TimeoutWithoutEffect => {
                (self.pause)(bound);
                Err(DeviceError::TimedOut.into())
            }
            Action::TimeoutWithEffect => {
                self.device.reset(scope, escalate, bound)?;
                (self.pause)(bound);
                Err(DeviceError::TimedOut.into())
            }
            Action::LateEffect(time) => {
                (self.pause)(time);
                self.device.reset(scope, escalate, bound)?;
                Err(DeviceError::TimedOut.into())
            }
            Action::Delay(time) => {
                let done = self.device.reset(scope, escalate, bound);
                (self.pause)(time);
                done
            }
            Action::Hang => {
                (self.pause)(FOR_EVER);
                Err(DeviceError::TimedOut.into())
            }
            Action::Lie => Ok(()),
            Action::Reset(other) => {
                self.device.reset(other, false, bound)?;
                self.device.reset(scope, escalate, bound)
            }
            Action::Sense { .. }
            | Action::Status(_)
            | Action::Conflict
            | Action::Truncate(_)
            | Action::Clear { .. } => Err(ResetError::Failed(format!("injected: {action}"))),
            Action::NexusLoss | Action::PowerCycle => {
                unreachable!("a schedule with these is refused at the start")
            }
        }
    }

    fn clear_task_set(&mut self, bound: Duration) -> Result<(), ResetError> {
        self.device.clear_task_set(bound)
    }
}

#[cfg(test)]
mod tests {
    use super::super::scripted::Scripted;
    use super::*;
    use std::sync::{Arc, Mutex};

    const BOUND: Duration = Duration::from_secs(1);

    /// What came back, what reached the device, and how long was waited.
    fn run(schedule: &str, times: usize) -> (Vec<String>, usize, Duration) {
        let waited = Arc::new(Mutex::new(Duration::ZERO));
        let sum = Arc::clone(&waited);
        let device = Scripted::good(b"12345678");
        let reached = device.count();
        let mut fault = Fault::new(
            device,
            schedule.parse().unwrap(),
            Box::new(move |time| *sum.lock().unwrap() += time),
        )
        .unwrap();
        let cdb = Cdb::new(&[0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0]).unwrap();
        let answers = (0..times)
            .map(|_| {
                let mut buffer = [0xff; 8];
                match fault.execute(&cdb, Data::In(&mut buffer), BOUND) {
                    Ok(done) => format!(
                        "{} {}",
                        done.status,
                        String::from_utf8_lossy(&buffer[..done.transferred])
                    ),
                    Err(error) => error.to_string(),
                }
            })
            .collect();
        let waited = *waited.lock().unwrap();
        (answers, *reached.lock().unwrap(), waited)
    }

    #[test]
    fn nothing_scheduled_passes_through() {
        assert_eq!(run("on WRITE: drop", 1).0, ["GOOD 12345678"]);
    }

    #[test]
    fn a_dropped_command_has_no_effect_and_an_unknown_outcome() {
        let (answers, reached, _) = run("drop_is: drop".replace("drop_is", "any").as_str(), 1);
        assert!(answers[0].contains("the outcome is unknown"), "{answers:?}");
        assert_eq!(reached, 0);
    }

    #[test]
    fn a_timeout_with_effect_reaches_the_device_and_one_without_does_not() {
        let (answers, reached, waited) =
            run("at 1: timeout-with-effect; at 2: timeout-without-effect", 2);
        assert_eq!(
            answers,
            [
                DeviceError::TimedOut.to_string(),
                DeviceError::TimedOut.to_string()
            ]
        );
        assert_eq!((reached, waited), (1, 2 * BOUND));
    }

    #[test]
    fn after_a_hang_nothing_answers() {
        let (answers, reached, _) = run("at 2: hang", 3);
        assert_eq!(answers[0], "GOOD 12345678");
        assert_eq!(
            answers[1..],
            [
                DeviceError::TimedOut.to_string(),
                DeviceError::TimedOut.to_string()
            ]
        );
        assert_eq!(reached, 1);
    }

    #[test]
    fn a_lie_is_good_with_zeros_and_reaches_nothing() {
        let (answers, reached, _) = run("any: lie", 1);
        assert_eq!(answers, ["GOOD \0\0\0\0\0\0\0\0"]);
        assert_eq!(reached, 0);
    }

    #[test]
    fn truncated_data_are_shorter_and_a_late_effect_waits() {
        let (answers, reached, waited) = run("at 1: truncate 3; at 2: late-effect 300ms", 2);
        assert_eq!(answers[0], "GOOD 123");
        assert_eq!((reached, waited), (2, Duration::from_millis(300)));
    }

    #[test]
    fn a_conflict_and_a_status_carry_no_sense() {
        let (answers, reached, _) = run("at 1: conflict; at 2: status 28", 2);
        assert_eq!(answers, ["RESERVATION CONFLICT ", "TASK SET FULL "]);
        assert_eq!(reached, 0);
    }

    #[test]
    fn what_a_wrapper_cannot_do_is_refused_at_the_start() {
        let error = Fault::new(
            Scripted::good(b""),
            "on TUR: power-cycle".parse().unwrap(),
            Box::new(|_| {}),
        )
        .err()
        .unwrap();
        assert_eq!(
            error.to_string(),
            "`on TUR: power-cycle`: only the emulated unit and the target can do that"
        );
    }
}

//! One thread a path: it performs verbs, one at a time, and can hang without taking anybody along.
//!
//! Invariants:
//! * a path is given one command at a time; the order of the machine is kept;
//! * `sent_at` is read right before the command goes to the device: what comes back is at least that new;
//! * when a command has not come back at its bound and a grace, it is answered with "outcome unknown",
//!   and until it does come back every further one is answered "not sent, busy";
//! * every thread that may sit in a command of the path is urgent, and keeps the locks on the nexuses until
//!   that command is back: the verbs' own threads too, which this one gives up at the bound.

use super::alarm::Alarm;
use super::clock::now;
use super::lock::NexusLock;
use super::notice::{Happening, Notices};
use super::realtime::{STACK_BYTES, make_thread_urgent};
use quorum_core::Instant;
use quorum_core::arbitration::{CommandId, Input, PathId};
use scsi::reservation::{Answer, Exchange, Uncertainty, Unsent, Verb};
use scsi::reservations::{Companion, Reservations};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::time::Duration;

/// A device keeps the caller's bound by itself; this is for one whose own thread is late.
const GRACE: Duration = Duration::from_millis(50);

/// A machine has a command or two under way on a path; more would be a fault of its own.
const QUEUED_MAX: usize = 16;

/// A verb on its way to the device.
struct Order {
    id: CommandId,
    verb: Verb,
    bound: Duration,
}

/// A verb that has come back.
pub(super) struct Done {
    path: PathId,
    id: CommandId,
    sent_at: Instant,
    took: Duration,
    /// A reset: the times allow for it by themselves.
    is_reset: bool,
    exchange: Exchange,
}

enum State {
    Idle,
    Working {
        id: CommandId,
        verb: &'static str,
        given_up_at: Instant,
        handed_at: Instant,
    },
    /// The command was answered for; its thread is still in it.
    Hung {
        id: CommandId,
        given_up_at: Instant,
    },
}

/// The driver's end of a path.
pub(super) struct Path {
    id: PathId,
    orders: SyncSender<Order>,
    waiting: VecDeque<Order>,
    state: State,
}

impl Path {
    /// Starts the path's thread. It ends when the `Path` is dropped and its last command is back.
    ///
    /// # Errors
    /// When the OS has no thread to give.
    pub(super) fn start(
        id: PathId,
        reservations: Box<dyn Reservations>,
        locks: Arc<Vec<NexusLock>>,
        done: Sender<Done>,
        alarm: Arc<Alarm>,
    ) -> io::Result<Self> {
        let (orders, orders_in) = sync_channel(1);
        std::thread::Builder::new()
            .name(format!("path{}", id.0))
            .stack_size(STACK_BYTES)
            .spawn(move || {
                work(id, reservations, &locks, &orders_in, &done, &alarm);
                // Whatever of the verbs is on other threads has them still.
                drop(locks);
            })?;
        Ok(Self {
            id,
            orders,
            waiting: VecDeque::new(),
            state: State::Idle,
        })
    }

    /// Performs a verb; an input when it is answered at once.
    pub(super) fn perform(&mut self, id: CommandId, verb: Verb, bound: Duration) -> Option<Input> {
        match self.state {
            State::Hung { .. } => return Some(not_sent(id, Unsent::Busy)),
            State::Idle | State::Working { .. } => {}
        }
        assert!(
            self.waiting.len() < QUEUED_MAX,
            "a machine waits for its answers"
        );
        self.waiting.push_back(Order { id, verb, bound });
        self.hand_over();
        None
    }

    /// A command came back; an input unless it had been answered for already.
    pub(super) fn done(&mut self, done: Done, notices: &Notices) -> Option<Input> {
        let answered_for = match self.state {
            State::Working { id, .. } if id == done.id => false,
            State::Hung { id, given_up_at } if id == done.id => {
                let late_by = now().saturating_since(given_up_at);
                notices.tell(Happening::PathBack {
                    path: self.id,
                    late_by,
                });
                true
            }
            State::Idle | State::Working { .. } | State::Hung { .. } => {
                panic!("a path has one command under way, and this is not it")
            }
        };
        self.state = State::Idle;
        self.hand_over();
        (!answered_for).then_some(Input::Answer {
            id: done.id,
            sent_at: done.sent_at,
            exchange: done.exchange,
        })
    }

    /// When the command under way is to be answered for.
    pub(super) fn given_up_at(&self) -> Option<Instant> {
        match self.state {
            State::Working { given_up_at, .. } => Some(given_up_at),
            State::Idle | State::Hung { .. } => None,
        }
    }

    /// Answers for the command under way, and for those behind it, if its time has come.
    pub(super) fn give_up(&mut self, at: Instant, notices: &Notices) -> Vec<Input> {
        let State::Working {
            id,
            verb,
            given_up_at,
            handed_at,
        } = self.state
        else {
            return Vec::new();
        };
        if at < given_up_at {
            return Vec::new();
        }
        notices.tell(Happening::PathHung {
            path: self.id,
            verb,
        });
        self.state = State::Hung { id, given_up_at };
        let unknown = Answer::OutcomeUnknown(Uncertainty::TimedOut);
        let mut answers = vec![Input::Answer {
            id,
            sent_at: handed_at,
            exchange: unknown.into(),
        }];
        answers.extend(
            self.waiting
                .drain(..)
                .map(|order| not_sent(order.id, Unsent::Busy)),
        );
        answers
    }

    fn hand_over(&mut self) {
        if !matches!(self.state, State::Idle) {
            return;
        }
        let Some(order) = self.waiting.pop_front() else {
            return;
        };
        let handed_at = now();
        self.state = State::Working {
            id: order.id,
            verb: order.verb.name(),
            given_up_at: handed_at + order.bound + GRACE,
            handed_at,
        };
        let sent = self.orders.try_send(order);
        assert!(
            sent.is_ok(),
            "an idle path's thread has room for one command"
        );
    }
}

fn not_sent(id: CommandId, why: Unsent) -> Input {
    Input::Answer {
        id,
        sent_at: now(),
        exchange: Answer::NotSent(why).into(),
    }
}

/// Makes a thread urgent, and has it keep the locks for as long as it lives.
pub(super) fn companion(locks: &Arc<Vec<NexusLock>>) -> Companion {
    let locks = Arc::clone(locks);
    Arc::new(move || {
        // The driver's own refusal says it for all threads.
        let _said_by_the_driver = make_thread_urgent();
        Box::new(Arc::clone(&locks))
    })
}

/// The path's thread.
fn work(
    path: PathId,
    mut reservations: Box<dyn Reservations>,
    locks: &Arc<Vec<NexusLock>>,
    orders: &Receiver<Order>,
    done: &Sender<Done>,
    alarm: &Alarm,
) {
    // The driver's own refusal says it for all threads.
    let _said_by_the_driver = make_thread_urgent();
    reservations.accompany(companion(locks));
    while let Ok(order) = orders.recv() {
        let sent_at = now();
        let exchange = reservations.perform(&order.verb, order.bound);
        let back = Done {
            path,
            id: order.id,
            sent_at,
            took: now().saturating_since(sent_at),
            is_reset: matches!(order.verb, Verb::Reset { .. }),
            exchange,
        };
        if done.send(back).is_err() {
            return;
        }
        alarm.ring();
    }
}

impl Done {
    /// On which path.
    pub(super) const fn path(&self) -> PathId {
        self.path
    }

    /// How long the disk took, of an answer within a round trip: not of a reset.
    pub(super) fn took(&self) -> Option<Duration> {
        let answered = matches!(self.exchange.answer, Answer::Done(_));
        (answered && !self.is_reset).then_some(self.took)
    }

    /// What came back.
    pub(super) const fn exchange(&self) -> &Exchange {
        &self.exchange
    }
}

#[cfg(test)]
mod tests {
    use super::{Done, Path};
    use crate::arbiter::alarm::Alarm;
    use crate::arbiter::notice::{Happening, Notices};
    use quorum_core::arbitration::{CommandId, Input, PathId};
    use scsi::reservation::{Answer, Capabilities, Exchange, Reply, Uncertainty, Unsent, Verb};
    use scsi::reservations::Reservations;
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    /// Answers each verb when the test says so, whatever the bound.
    struct Held(Receiver<()>);

    impl Reservations for Held {
        fn capabilities(&self) -> Capabilities {
            Capabilities::default()
        }

        fn perform(&mut self, _verb: &Verb, _bound: Duration) -> Exchange {
            let _test_is_over = self.0.recv();
            Answer::Done(Reply::Good).into()
        }
    }

    struct Bench {
        path: Path,
        answer: Sender<()>,
        done: Receiver<Done>,
        alarm: Arc<Alarm>,
        notices: Notices,
    }

    fn bench() -> Bench {
        let (answer, held) = channel();
        let (done_in, done) = channel();
        let alarm = Arc::new(Alarm::new().unwrap());
        let locks = Arc::default();
        let path = Path::start(
            PathId(0),
            Box::new(Held(held)),
            locks,
            done_in,
            Arc::clone(&alarm),
        );
        Bench {
            path: path.unwrap(),
            answer,
            done,
            alarm,
            notices: Notices::new(),
        }
    }

    impl Bench {
        fn perform(&mut self, id: u64) -> Option<Input> {
            let bound = Duration::from_millis(1);
            self.path.perform(CommandId(id), Verb::TestUnitReady, bound)
        }

        fn comes_back(&mut self) -> Option<Input> {
            self.answer.send(()).unwrap();
            let done = self.done.recv().unwrap();
            self.path.done(done, &self.notices)
        }

        fn wait_for_the_bound(&mut self) -> Vec<Input> {
            let given_up_at = self.path.given_up_at().unwrap();
            loop {
                self.alarm.wait(Some(given_up_at));
                let answers = self.path.give_up(crate::arbiter::now(), &self.notices);
                if !answers.is_empty() {
                    return answers;
                }
            }
        }
    }

    fn answer(input: &Input) -> (u64, &Answer) {
        let Input::Answer { id, exchange, .. } = input else {
            panic!("{input:?}");
        };
        (id.0, &exchange.answer)
    }

    #[test]
    fn commands_are_performed_one_after_the_other() {
        let mut bench = bench();
        assert_eq!(bench.perform(1), None);
        assert_eq!(bench.perform(2), None);
        let good = Answer::Done(Reply::Good);
        assert_eq!(answer(&bench.comes_back().unwrap()), (1, &good));
        assert_eq!(answer(&bench.comes_back().unwrap()), (2, &good));
        assert_eq!(bench.path.given_up_at(), None);
    }

    #[test]
    fn a_hung_command_is_answered_for_and_its_path_is_busy_until_it_comes_back() {
        let mut bench = bench();
        bench.perform(1);
        bench.perform(2);
        let answers = bench.wait_for_the_bound();
        let unknown = Answer::OutcomeUnknown(Uncertainty::TimedOut);
        let busy = Answer::NotSent(Unsent::Busy);
        let answers: Vec<_> = answers.iter().map(answer).collect();
        assert_eq!(answers, [(1, &unknown), (2, &busy)]);
        assert_eq!(answer(&bench.perform(3).unwrap()), (3, &busy));

        assert_eq!(bench.comes_back(), None, "it had been answered for");
        assert_eq!(bench.perform(4), None);
        assert!(bench.comes_back().is_some());

        bench.notices.close();
        let told: Vec<_> = std::iter::from_fn(|| bench.notices.next()).collect();
        assert!(matches!(told[0].what, Happening::PathHung { .. }));
        assert!(matches!(told[1].what, Happening::PathBack { .. }));
    }
}

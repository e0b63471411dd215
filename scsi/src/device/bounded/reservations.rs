//! The verbs behind the caller's bound: a read of several commands keeps it as a whole.

use super::worker::{Called, StartError, Worker};
use crate::reservation::{Answer, Attention, Capabilities, Exchange, Uncertainty, Unsent, Verb};
use crate::reservations::{Companion, Reservations};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How many commands of one nexus may be under way: one in time, and three that have not come back. The
/// kernel ends a lost command after two seconds at the earliest, which is more than three rounds.
pub const HANDLES_MAX: usize = 4;

/// The verbs on threads of their own.
///
/// While a verb has not come back, another goes on the next handle:
///
/// | stuck | may go on |
/// |---|---|
/// | reads | everything |
/// | PREEMPT | reads, PREEMPT: it names its victim and our key |
/// | REGISTER of the key that is there (for APTPL) | everything: late, it changes nothing else or conflicts |
/// | RESERVE of SPC-2 | reads, RESERVE: it says the same again |
/// | any other change | reads |
pub struct BoundedReservations {
    name: String,
    /// The first one is there from the start.
    handles: Vec<Handle>,
    /// Handles without a thread so far, the next one last.
    spare: Vec<Box<dyn Reservations>>,
    /// What was known after the last verb: the thread that knows more may be stuck.
    capabilities: Arc<Mutex<Capabilities>>,
    /// What a thread that is yet to be started will have with it.
    companions: Vec<Companion>,
}

/// A handle with its thread.
struct Handle {
    worker: Worker<Box<dyn Reservations>, Exchange>,
    /// What was last sent on it.
    sent: Order,
}

/// What a verb's place among others means to the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    Read,
    Preempt,
    Spc2Reserve,
    /// REGISTER of a key over the same key.
    SayAgain,
    /// It must not change places with another change.
    Strict,
}

impl Order {
    fn of(verb: &Verb) -> Self {
        match verb {
            Verb::TestUnitReady | Verb::ReadState | Verb::ReadCapabilities => Self::Read,
            Verb::Preempt { .. } => Self::Preempt,
            Verb::Spc2Reserve => Self::Spc2Reserve,
            Verb::Register { existing, new, .. } if existing == new => Self::SayAgain,
            Verb::Spc2Release
            | Verb::Register { .. }
            | Verb::RegisterIgnoringExisting { .. }
            | Verb::Reserve { .. }
            | Verb::Release { .. }
            | Verb::Clear { .. }
            | Verb::Move { .. }
            | Verb::ReplaceLost { .. }
            | Verb::ClearTaskSet
            | Verb::Reset { .. } => Self::Strict,
        }
    }

    fn may_overtake(self, stuck: Self) -> bool {
        self == Self::Read
            || matches!(stuck, Self::Read | Self::SayAgain)
            || (self == stuck && self != Self::Strict)
    }
}

impl BoundedReservations {
    /// Gives the verbs a thread of their own.
    ///
    /// # Errors
    /// [`StartError::NoThread`].
    pub fn start(
        name: &str,
        reservations: Box<dyn Reservations>,
    ) -> Result<Self, StartError<Infallible>> {
        Self::over_handles(name, vec![reservations])
    }

    /// The same with further handles on the one nexus, each of which gets a thread when it is needed.
    ///
    /// # Errors
    /// [`StartError::NoThread`].
    ///
    /// # Panics
    /// Without a handle, or with more than [`HANDLES_MAX`].
    pub fn over_handles(
        name: &str,
        handles: Vec<Box<dyn Reservations>>,
    ) -> Result<Self, StartError<Infallible>> {
        assert!(
            (1..=HANDLES_MAX).contains(&handles.len()),
            "from one to {HANDLES_MAX} handles"
        );
        let capabilities = Arc::new(Mutex::new(handles[0].capabilities()));
        let mut bounded = Self {
            name: name.to_owned(),
            handles: Vec::new(),
            spare: handles.into_iter().rev().collect(),
            capabilities,
            companions: Vec::new(),
        };
        bounded.start_next()?;
        Ok(bounded)
    }

    /// Gives the next spare handle a thread.
    fn start_next(&mut self) -> Result<(), StartError<Infallible>> {
        if let Some(verbs) = self.spare.pop() {
            let worker = Worker::start(&self.name, verbs)?;
            for companion in &self.companions {
                worker.accompany(Arc::clone(companion));
            }
            let sent = Order::Read;
            self.handles.push(Handle { worker, sent });
        }
        Ok(())
    }

    /// A handle that a verb can go on now.
    fn free(&mut self, order: Order) -> Option<&mut Handle> {
        let mut free = None;
        for (at, handle) in self.handles.iter_mut().enumerate() {
            if !handle.worker.owes() {
                free = free.or(Some(at));
            } else if !order.may_overtake(handle.sent) {
                return None;
            }
        }
        if free.is_none() && !self.spare.is_empty() {
            // Without a thread to be had it is as if there were no spare.
            self.start_next().ok()?;
            free = Some(self.handles.len() - 1);
        }
        self.handles.get_mut(free?)
    }

    fn call(&mut self, verb: &Verb, bound: Duration) -> Called<Exchange> {
        let capabilities = Arc::clone(&self.capabilities);
        let order = Order::of(verb);
        let Some(handle) = self.free(order) else {
            return Called::Busy;
        };
        handle.sent = order;
        let verb = verb.clone();
        handle.worker.call(bound, move |reservations| {
            let exchange = reservations.perform(&verb, bound);
            note(&capabilities, reservations.as_ref());
            exchange
        })
    }

    /// What late answers still have to tell.
    fn late_attentions(&mut self) -> Vec<Attention> {
        let late = self
            .handles
            .iter_mut()
            .filter_map(|handle| handle.worker.take_late());
        late.flat_map(attentions_of).collect()
    }
}

/// Each handle learns by itself, and knows less at first: what is known stays.
fn note(capabilities: &Mutex<Capabilities>, reservations: &dyn Reservations) {
    let mut known = capabilities.lock().unwrap_or_else(PoisonError::into_inner);
    *known = reservations.capabilities().or(&known);
}

/// What a reply that nobody waited for still has to tell.
fn attentions_of(late: Exchange) -> Vec<Attention> {
    let mut attentions = late.attentions;
    if let Answer::Attention(attention) = late.answer {
        attentions.push(attention);
    }
    attentions
}

impl Reservations for BoundedReservations {
    fn capabilities(&self) -> Capabilities {
        *self
            .capabilities
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn perform(&mut self, verb: &Verb, bound: Duration) -> Exchange {
        let called = self.call(verb, bound);
        let mut attentions = self.late_attentions();
        let mut exchange = match called {
            Called::Back(exchange) => exchange,
            Called::TimedOut => Answer::OutcomeUnknown(Uncertainty::TimedOut).into(),
            Called::Busy => Answer::NotSent(Unsent::Busy).into(),
            Called::Gone => {
                let why = "the disk's thread died".to_owned();
                Answer::OutcomeUnknown(Uncertainty::Transport(why)).into()
            }
        };
        attentions.append(&mut exchange.attentions);
        exchange.attentions = attentions;
        exchange
    }

    fn accompany(&mut self, with: Companion) {
        for handle in &self.handles {
            handle.worker.accompany(Arc::clone(&with));
        }
        self.companions.push(with);
    }
}

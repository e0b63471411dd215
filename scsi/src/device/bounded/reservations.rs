//! The verbs behind the caller's bound: a read of several commands keeps it as a whole.

use super::worker::{Called, StartError, Worker};
use crate::reservation::{Answer, Attention, Capabilities, Exchange, Uncertainty, Unsent, Verb};
use crate::reservations::Reservations;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The verbs on a thread of their own.
pub struct BoundedReservations {
    worker: Worker<Box<dyn Reservations>, Exchange>,
    /// What was known after the last verb: the thread that knows more may be stuck.
    capabilities: Arc<Mutex<Capabilities>>,
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
        let capabilities = Arc::new(Mutex::new(reservations.capabilities()));
        let worker = Worker::start(name, reservations)?;
        Ok(Self {
            worker,
            capabilities,
        })
    }
}

fn note(capabilities: &Mutex<Capabilities>, reservations: &dyn Reservations) {
    *capabilities.lock().unwrap_or_else(PoisonError::into_inner) = reservations.capabilities();
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
        let verb = verb.clone();
        let capabilities = Arc::clone(&self.capabilities);
        let called = self.worker.call(bound, move |reservations| {
            let exchange = reservations.perform(&verb, bound);
            note(&capabilities, reservations.as_ref());
            exchange
        });
        let mut attentions = self
            .worker
            .take_late()
            .map(attentions_of)
            .unwrap_or_default();
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
}

//! A device behind the caller's bound.

use super::worker::{Called, StartError, Worker};
use crate::device::{Companion, Completion, Data, Device, DeviceError, ResetError};
use crate::reservation::{ResetScope, Unsent};
use crate::wire::cdb::Cdb;
use std::convert::Infallible;
use std::time::Duration;

/// What comes back from the thread.
#[derive(Debug)]
enum Reply {
    /// A command, and the bytes that the device sent.
    Executed(Result<Completion, DeviceError>, Vec<u8>),
    /// A reset, or CLEAR TASK SET.
    Reset(Result<(), ResetError>),
}

/// A device on a thread of its own.
pub struct BoundedDevice {
    worker: Worker<Box<dyn Device>, Reply>,
}

impl BoundedDevice {
    /// Gives the device a thread of its own.
    ///
    /// # Errors
    /// [`StartError::NoThread`].
    pub fn start(name: &str, device: Box<dyn Device>) -> Result<Self, StartError<Infallible>> {
        Worker::start(name, device).map(|worker| Self { worker })
    }

    /// The reply, or why there is none.
    fn called(&mut self, called: Called<Reply>) -> Result<Reply, DeviceError> {
        // A late reply's data have no taker; what it says of the state is found by reading the state.
        drop(self.worker.take_late());
        match called {
            Called::Back(reply) => Ok(reply),
            Called::TimedOut => Err(DeviceError::TimedOut),
            Called::Busy => Err(DeviceError::NotSent(Unsent::Busy)),
            Called::Gone => Err(DeviceError::Transport(
                "the device's thread died".to_owned(),
            )),
        }
    }

    fn reset_by(
        &mut self,
        bound: Duration,
        job: impl FnOnce(&mut Box<dyn Device>) -> Result<(), ResetError> + Send + 'static,
    ) -> Result<(), ResetError> {
        let called = self
            .worker
            .call(bound, move |device| Reply::Reset(job(device)));
        match self.called(called)? {
            Reply::Reset(outcome) => outcome,
            Reply::Executed(..) => unreachable!("a reply belongs to the call that it answers"),
        }
    }
}

/// The data phase as the thread owns it.
enum OwnedData {
    None,
    In(usize),
    Out(Vec<u8>),
}

impl Device for BoundedDevice {
    fn execute(
        &mut self,
        cdb: &Cdb,
        data: Data<'_>,
        bound: Duration,
    ) -> Result<Completion, DeviceError> {
        let cdb = *cdb;
        let (owned, buffer) = match data {
            Data::None => (OwnedData::None, None),
            Data::In(buffer) => (OwnedData::In(buffer.len()), Some(buffer)),
            Data::Out(bytes) => (OwnedData::Out(bytes.to_vec()), None),
        };
        let called = self.worker.call(bound, move |device| match owned {
            OwnedData::None => Reply::Executed(device.execute(&cdb, Data::None, bound), Vec::new()),
            OwnedData::Out(bytes) => {
                Reply::Executed(device.execute(&cdb, Data::Out(&bytes), bound), Vec::new())
            }
            OwnedData::In(length) => {
                let mut bytes = vec![0; length];
                let outcome = device.execute(&cdb, Data::In(&mut bytes), bound);
                Reply::Executed(outcome, bytes)
            }
        });
        match self.called(called)? {
            Reply::Executed(outcome, bytes) => {
                let completion = outcome?;
                if let Some(buffer) = buffer {
                    let arrived = completion.transferred.min(buffer.len());
                    buffer[..arrived].copy_from_slice(&bytes[..arrived]);
                }
                Ok(completion)
            }
            Reply::Reset(_) => unreachable!("a reply belongs to the call that it answers"),
        }
    }

    fn reset(
        &mut self,
        scope: ResetScope,
        escalate: bool,
        bound: Duration,
    ) -> Result<(), ResetError> {
        self.reset_by(bound, move |device| device.reset(scope, escalate, bound))
    }

    fn clear_task_set(&mut self, bound: Duration) -> Result<(), ResetError> {
        self.reset_by(bound, move |device| device.clear_task_set(bound))
    }

    fn accompany(&mut self, with: Companion) {
        self.worker.accompany(with);
    }
}

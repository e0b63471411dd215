//! A device for tests: answers from a list, and notes what it was asked.

use super::{Completion, Data, Device, DeviceError, ResetError};
use crate::reservation::ResetScope;
use crate::wire::cdb::Cdb;
use crate::wire::sense::Sense;
use crate::wire::status::Status;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One answer of the script.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    /// GOOD and these bytes.
    Good(Vec<u8>),
    /// CHECK CONDITION with this sense.
    Sense(u8, u8, u8),
    /// A status without sense.
    Status(Status),
    /// No status.
    Error(DeviceError),
}

/// What it was asked: the CDB, and the data that went out, as hexadecimal.
pub(crate) type Asked = Arc<Mutex<Vec<String>>>;

/// Answers from a list; when the list ends, with the last answer for ever.
pub(crate) struct Scripted {
    script: VecDeque<Say>,
    last: Say,
    asked: Asked,
    count: Arc<Mutex<usize>>,
}

impl Scripted {
    /// Always GOOD with these bytes.
    pub(crate) fn good(bytes: &[u8]) -> Self {
        Self::new([Say::Good(bytes.to_vec())])
    }

    /// These answers, the last one for ever.
    pub(crate) fn new(script: impl IntoIterator<Item = Say>) -> Self {
        Self {
            script: script.into_iter().collect(),
            last: Say::Good(Vec::new()),
            asked: Asked::default(),
            count: Arc::default(),
        }
    }

    /// What it was asked, shared.
    pub(crate) fn asked(&self) -> Asked {
        Arc::clone(&self.asked)
    }

    /// How many commands reached it, shared.
    pub(crate) fn count(&self) -> Arc<Mutex<usize>> {
        Arc::clone(&self.count)
    }

    fn next(&mut self) -> Say {
        if let Some(say) = self.script.pop_front() {
            self.last = say;
        }
        self.last.clone()
    }
}

fn completion(status: Status, sense: Option<Sense>, transferred: usize) -> Completion {
    Completion {
        status,
        sense,
        transferred,
    }
}

impl Device for Scripted {
    fn execute(
        &mut self,
        cdb: &Cdb,
        data: Data<'_>,
        _bound: Duration,
    ) -> Result<Completion, DeviceError> {
        *self.count.lock().unwrap() += 1;
        let out = match &data {
            Data::Out(bytes) => bytes.iter().fold(" out".to_owned(), |mut text, byte| {
                text.push_str(&format!(" {byte:02x}"));
                text
            }),
            Data::None | Data::In(_) => String::new(),
        };
        self.asked.lock().unwrap().push(format!("{cdb:?}{out}"));
        match self.next() {
            Say::Good(bytes) => {
                let transferred = match data {
                    Data::In(buffer) => {
                        let length = buffer.len().min(bytes.len());
                        buffer[..length].copy_from_slice(&bytes[..length]);
                        length
                    }
                    Data::Out(bytes) => bytes.len(),
                    Data::None => 0,
                };
                Ok(completion(Status::GOOD, None, transferred))
            }
            Say::Sense(key, asc, ascq) => {
                let sense = Sense::new(key, asc, ascq);
                Ok(completion(Status::CHECK_CONDITION, Some(sense), 0))
            }
            Say::Status(status) => Ok(completion(status, None, 0)),
            Say::Error(error) => Err(error),
        }
    }

    fn reset(
        &mut self,
        scope: ResetScope,
        escalate: bool,
        _bound: Duration,
    ) -> Result<(), ResetError> {
        *self.count.lock().unwrap() += 1;
        self.asked
            .lock()
            .unwrap()
            .push(format!("reset {scope:?} escalate={escalate}"));
        match self.next() {
            Say::Good(_) => Ok(()),
            Say::Sense(..) => Err(ResetError::Failed("the script says so".to_owned())),
            Say::Status(_) => Err(ResetError::Unsupported),
            Say::Error(error) => Err(error.into()),
        }
    }
}

//! Seam one: a device that executes CDBs and can be reset.
//!
//! Implementations: SG_IO (feature `linux`), the emulated unit (feature `emulated`, and in memory), the
//! iSCSI initiator.
//!
//! Wrappers, from the inside out: [`fault`] delays and injects what a [`schedule`] says, [`trace`] tells a
//! listener, `bounded` keeps the caller's bound on a device that blocks.

#[cfg(feature = "bounded")]
pub mod bounded;
pub mod fault;
pub mod schedule;
#[cfg(test)]
pub(crate) mod scripted;
pub mod trace;

use crate::reservation::{ResetScope, Unsent};
use crate::wire::cdb::Cdb;
use crate::wire::sense::Sense;
use crate::wire::status::Status;
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

/// The data phase of a command.
#[derive(Debug)]
pub enum Data<'a> {
    /// No data.
    None,
    /// The device sends; it may send less than there is room for.
    In(&'a mut [u8]),
    /// The device receives all of it.
    Out(&'a [u8]),
}

/// A command that came to its end with a status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Completion {
    /// The SAM status.
    pub status: Status,
    /// The sense data, parsed; present with CHECK CONDITION.
    pub sense: Option<Sense>,
    /// How many bytes of the data phase moved: never more than the buffer holds.
    pub transferred: usize,
}

/// A command without a status.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DeviceError {
    /// Certainly not executed.
    #[error("the command was not sent: {0}")]
    NotSent(Unsent),
    /// The bound ran out. The command may have been executed, or may be later.
    #[error("no answer within the bound; the outcome is unknown")]
    TimedOut,
    /// The transport failed after the command had left: it may have been executed.
    #[error("the transport failed, the outcome is unknown: {0}")]
    Transport(String),
}

/// The outcome of a reset that was not performed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ResetError {
    /// This way to the device has no such reset.
    #[error("this way to the device has no such reset")]
    Unsupported,
    /// The target says no: certainly not performed.
    #[error("the target refuses it: {0}")]
    Refused(String),
    /// The device, or its error handler, failed it.
    #[error("the reset failed: {0}")]
    Failed(String),
    /// As for a command.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// Made on each thread that sends commands, and dropped when that thread has ended: a priority that is set, a lock
/// that is held for as long as a command may still be under way.
pub type Companion = Arc<dyn Fn() -> Box<dyn Any> + Send + Sync>;

/// A device that executes commands on one nexus.
pub trait Device: Send {
    /// Executes one command, and returns within `bound`.
    ///
    /// # Errors
    /// [`DeviceError`] when no status arrived.
    fn execute(
        &mut self,
        cdb: &Cdb,
        data: Data<'_>,
        bound: Duration,
    ) -> Result<Completion, DeviceError>;

    /// Resets, without going on to a wider scope unless `escalate`.
    ///
    /// # Errors
    /// [`ResetError`] when it was not, or perhaps not, performed.
    fn reset(
        &mut self,
        scope: ResetScope,
        escalate: bool,
        bound: Duration,
    ) -> Result<(), ResetError>;

    /// Aborts every queued command of every nexus (CLEAR TASK SET).
    ///
    /// # Errors
    /// [`ResetError::Unsupported`] where it cannot be sent.
    fn clear_task_set(&mut self, bound: Duration) -> Result<(), ResetError> {
        let _ = bound;
        Err(ResetError::Unsupported)
    }

    /// Every thread of its own that sends commands has this with it, from its next command on. Without threads of
    /// its own there is nothing to do: the caller's is the caller's.
    fn accompany(&mut self, with: Companion) {
        drop(with);
    }
}

impl<T: Device + ?Sized> Device for Box<T> {
    fn execute(
        &mut self,
        cdb: &Cdb,
        data: Data<'_>,
        bound: Duration,
    ) -> Result<Completion, DeviceError> {
        (**self).execute(cdb, data, bound)
    }

    fn reset(
        &mut self,
        scope: ResetScope,
        escalate: bool,
        bound: Duration,
    ) -> Result<(), ResetError> {
        (**self).reset(scope, escalate, bound)
    }

    fn clear_task_set(&mut self, bound: Duration) -> Result<(), ResetError> {
        (**self).clear_task_set(bound)
    }

    fn accompany(&mut self, with: Companion) {
        (**self).accompany(with);
    }
}

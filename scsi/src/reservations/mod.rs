//! Seam two: the verbs of [`crate::reservation`], whatever the disk speaks.
//!
//! The arbitration machines and `qctl` know only this trait. Its implementations translate to CDBs over
//! a [`crate::device::Device`], to `IOC_PR_*`, or to NVMe commands.

pub mod over_device;

pub use crate::device::Companion;
pub use over_device::OverDevice;

use crate::reservation::{Capabilities, Exchange, Verb};
use std::time::Duration;

/// One way (one nexus) to one disk.
///
/// Rules that every implementation keeps:
/// * a refusal is an [`crate::reservation::Answer`], never an error;
/// * a verb that changes something is sent once: no hidden retry;
/// * a read drains pending attentions, at most eight, and reports every one;
/// * the call returns within `bound`; a command that outlives it is `OutcomeUnknown`, and may still take
///   effect, before or after a later call's;
/// * until it has come back, a later call goes on a further handle of the same nexus where the way can be
///   opened again, at most four being under way; a change then never overtakes a change of another kind.
///   Where none is free, the call is `NotSent(Busy)`.
pub trait Reservations: Send {
    /// What is known of the disk and of this way to it. Reads nothing.
    fn capabilities(&self) -> Capabilities;

    /// Performs one verb.
    fn perform(&mut self, verb: &Verb, bound: Duration) -> Exchange;

    /// Every thread of its own on which verbs are performed has this with it, from its next verb on. Without
    /// threads of its own there is nothing to do: the caller's is the caller's.
    fn accompany(&mut self, with: Companion) {
        drop(with);
    }
}

impl<T: Reservations + ?Sized> Reservations for Box<T> {
    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }

    fn perform(&mut self, verb: &Verb, bound: Duration) -> Exchange {
        (**self).perform(verb, bound)
    }

    fn accompany(&mut self, with: Companion) {
        (**self).accompany(with);
    }
}

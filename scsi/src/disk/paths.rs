//! What every way to a disk shares: open within the bound, put the caller's wrappers around, keep the bound.
//!
//! ```text
//!   verbs: bound ( wrapper? ( OverDevice ( wrapper? ( device ))))
//!   plain commands: bound ( wrapper? ( device ))
//! ```

use super::{OpenError, Options, Path, Purpose, Way};
use crate::device::bounded::{BoundedDevice, BoundedReservations, HANDLES_MAX, StartError, within};
use crate::device::{Completion, Data, Device, DeviceError, ResetError};
use crate::reservation::{NexusId, ResetScope, Unsent};
use crate::reservations::{OverDevice, Reservations};
use crate::wire::cdb::Cdb;
use std::time::{Duration, Instant};

/// Opens one thing within the bound.
pub(crate) fn open_within<T: Send + 'static>(
    name: &str,
    options: &Options<'_>,
    open: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    within(name, options.bound, open).map_err(|error| match error {
        StartError::Open(error) => error,
        StartError::TimedOut => OpenError::TimedOut {
            name: name.to_owned(),
            bound_ms: u64::try_from(options.bound.as_millis()).unwrap_or(u64::MAX),
        },
        StartError::NoThread(why) => no_thread(name, why),
    })
}

fn no_thread(name: &str, why: String) -> OpenError {
    OpenError::CannotOpen {
        name: name.to_owned(),
        why: format!("no thread for it: {why}"),
    }
}

/// A path whose verbs are commands on a device. The verbs and the plain commands each have a handle of their
/// own on the one nexus, so that neither waits for the other; the verbs have further handles, which are
/// opened when a command on the first has not come back.
pub(crate) fn over_device(
    name: &str,
    way: Way,
    (nexus, lock_names): (Option<NexusId>, Vec<String>),
    options: &Options<'_>,
    open: impl Fn() -> Result<Box<dyn Device>, OpenError> + Clone + Send + 'static,
) -> Result<Path, OpenError> {
    let wrapped = |handles: Vec<Box<dyn Device>>| match options.wrap_device {
        Some(wrap) => wrap(name, handles),
        None => handles,
    };
    let mut handles = vec![open_within(name, options, open.clone())?];
    handles.resize_with(HANDLES_MAX, || Box::new(Further::new(open.clone())));
    let verbs = wrapped(handles)
        .into_iter()
        .map(|device| {
            let verbs = OverDevice::new(device);
            let verbs = match options.purpose {
                Purpose::Verb | Purpose::Change | Purpose::Look => verbs,
                Purpose::Arbitrate => verbs.for_an_arbiter(),
            };
            Box::new(verbs) as Box<dyn Reservations>
        })
        .collect();
    let reservations = BoundedReservations::over_handles(name, verbs)
        .map_err(|error| no_thread(name, error.to_string()))?;
    let plain = wrapped(vec![open_within(name, options, open)?]);
    let plain = plain.into_iter().next().ok_or_else(|| {
        let why = "the wrapper kept the device".to_owned();
        no_thread(name, why)
    })?;
    let device =
        BoundedDevice::start(name, plain).map_err(|error| no_thread(name, error.to_string()))?;
    Ok(Path {
        name: name.to_owned(),
        way,
        nexus,
        lock_names,
        reservations: Box::new(reservations),
        device: Some(Box::new(device)),
    })
}

/// A path whose verbs are the kernel's.
#[cfg_attr(
    not(feature = "linux"),
    expect(dead_code, reason = "only the kernel's own verbs have no device")
)]
pub(crate) fn over_verbs(
    name: &str,
    way: Way,
    (nexus, lock_names): (Option<NexusId>, Vec<String>),
    options: &Options<'_>,
    verbs: Box<dyn Reservations>,
) -> Result<Path, OpenError> {
    let verbs = match options.wrap_reservations {
        Some(wrap) => wrap(name, verbs),
        None => verbs,
    };
    let reservations = BoundedReservations::start(name, verbs)
        .map_err(|error| no_thread(name, error.to_string()))?;
    Ok(Path {
        name: name.to_owned(),
        way,
        nexus,
        lock_names,
        reservations: Box::new(reservations),
        device: None,
    })
}

/// A further handle on a nexus, opened by its first command, on the thread that will block in it.
struct Further<F> {
    open: F,
    opened: Option<Box<dyn Device>>,
}

impl<F: Fn() -> Result<Box<dyn Device>, OpenError>> Further<F> {
    fn new(open: F) -> Self {
        Self { open, opened: None }
    }

    /// The device, and what opening it has left of the bound. When nothing is left the caller has gone on:
    /// then nothing is sent.
    #[expect(
        clippy::disallowed_methods,
        reason = "opening takes real time, and the bound is one for both"
    )]
    fn ready(&mut self, bound: Duration) -> Result<(&mut Box<dyn Device>, Duration), DeviceError> {
        let began = Instant::now();
        let device = match self.opened.take() {
            Some(device) => device,
            None => (self.open)().map_err(|error| {
                DeviceError::NotSent(Unsent::NoPath(format!("a further handle: {error}")))
            })?,
        };
        let device = self.opened.insert(device);
        let left = bound.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Err(DeviceError::NotSent(Unsent::Busy));
        }
        Ok((device, left))
    }
}

impl<F: Fn() -> Result<Box<dyn Device>, OpenError> + Send> Device for Further<F> {
    fn execute(
        &mut self,
        cdb: &Cdb,
        data: Data<'_>,
        bound: Duration,
    ) -> Result<Completion, DeviceError> {
        let (device, left) = self.ready(bound)?;
        device.execute(cdb, data, left)
    }

    fn reset(
        &mut self,
        scope: ResetScope,
        escalate: bool,
        bound: Duration,
    ) -> Result<(), ResetError> {
        let (device, left) = self.ready(bound)?;
        device.reset(scope, escalate, left)
    }

    fn clear_task_set(&mut self, bound: Duration) -> Result<(), ResetError> {
        let (device, left) = self.ready(bound)?;
        device.clear_task_set(left)
    }
}

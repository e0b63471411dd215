//! What every way to a disk shares: open within the bound, put the caller's wrappers around, keep the bound.
//!
//! ```text
//!   verbs: bound ( wrapper? ( OverDevice ( wrapper? ( device ))))
//!   plain commands: bound ( wrapper? ( device ))
//! ```

use super::{OpenError, Options, Path, Way};
use crate::device::Device;
use crate::device::bounded::{BoundedDevice, BoundedReservations, StartError, within};
use crate::reservation::NexusId;
use crate::reservations::{OverDevice, Reservations};

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

/// A path whose verbs are commands on a device. `open` is called twice: the verbs and the plain commands
/// each have a handle of their own on the one nexus, so that neither waits for the other.
pub(crate) fn over_device(
    name: &str,
    way: Way,
    nexus: Option<NexusId>,
    options: &Options<'_>,
    open: impl Fn() -> Result<Box<dyn Device>, OpenError> + Clone + Send + 'static,
) -> Result<Path, OpenError> {
    let opened = || {
        let device = open_within(name, options, open.clone())?;
        Ok::<_, OpenError>(match options.wrap_device {
            Some(wrap) => wrap(name, device),
            None => device,
        })
    };
    let verbs = OverDevice::new(opened()?);
    let reservations = BoundedReservations::start(name, Box::new(verbs))
        .map_err(|error| no_thread(name, error.to_string()))?;
    let device = BoundedDevice::start(name, opened()?)
        .map_err(|error| no_thread(name, error.to_string()))?;
    Ok(Path {
        name: name.to_owned(),
        way,
        nexus,
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
    nexus: Option<NexusId>,
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
        reservations: Box::new(reservations),
        device: None,
    })
}

//! Opening a disk by name, with what the global options put around its devices: `--trace` and `--fault`.
//!
//! ```text
//!   verbs ── bound ── trace ── faults ── device
//! ```
//! The trace is outside the faults: it shows what the verbs see.

use crate::exit::Failure;
use crate::{Global, clock, output};
use scsi::device::Device;
use scsi::device::fault::Fault;
use scsi::device::schedule::Schedule;
use scsi::device::trace::Trace;
use scsi::disk::{Disk, Options};
use scsi::reservation::{Capabilities, Exchange, Verb};
use scsi::reservations::{Companion, Reservations};
use std::time::Duration;

/// Opens the disk with this name.
pub(crate) fn open(name: &str, global: &Global, options: &Options<'_>) -> Result<Disk, Failure> {
    let schedule = schedule(global)?;
    let wrap_device = |path: &str, handles: Vec<Box<dyn Device>>| {
        let handles = match schedule.clone() {
            Some(schedule) => faulty(handles, &schedule),
            None => handles,
        };
        if global.trace {
            let traced = |device| traced(path, device);
            handles.into_iter().map(traced).collect()
        } else {
            handles
        }
    };
    let wrap_reservations = |path: &str, verbs: Box<dyn Reservations>| {
        if global.trace {
            let path = path.to_owned();
            Box::new(TracedVerbs { path, verbs }) as Box<dyn Reservations>
        } else {
            verbs
        }
    };
    let options = Options {
        wrap_device: Some(&wrap_device),
        wrap_reservations: Some(&wrap_reservations),
        initiator: global.initiator.as_deref(),
        chap_file: global.chap_file.as_deref(),
        ..*options
    };
    scsi::disk::open(name, &options).map_err(|error| Failure::of_open(&error))
}

/// The schedule of `--fault`, whose every rule can be carried out by a wrapper.
fn schedule(global: &Global) -> Result<Option<Schedule>, Failure> {
    let Some(text) = &global.fault else {
        return Ok(None);
    };
    let wrong = |why: String| Failure::usage(format!("--fault: {why}"), "correct the schedule");
    let schedule: Schedule = text.parse().map_err(|error| wrong(format!("{error}")))?;
    match Fault::new(Nothing, schedule.clone(), Box::new(std::thread::sleep)) {
        Ok(_) => Ok(Some(schedule)),
        Err(unfit) => Err(wrong(unfit.to_string())),
    }
}

/// One schedule for all handles of a way.
fn faulty(handles: Vec<Box<dyn Device>>, schedule: &Schedule) -> Vec<Box<dyn Device>> {
    let pause = || Box::new(std::thread::sleep);
    match Fault::new(Nothing, schedule.clone(), pause()) {
        Ok(faults) => handles
            .into_iter()
            .map(|device| Box::new(faults.further(device, pause())) as Box<dyn Device>)
            .collect(),
        Err(unfit) => unreachable!("the schedule was checked: {unfit}"),
    }
}

fn traced(path: &str, device: Box<dyn Device>) -> Box<dyn Device> {
    let path = path.to_owned();
    Box::new(Trace::new(
        device,
        Box::new(clock::since_boot),
        Box::new(move |record| output::trace(&format!("{path}: {record}"))),
    ))
}

/// Verbs of a way that has no commands to trace (`IOC_PR_*`): the verb and its answer are told instead.
struct TracedVerbs {
    path: String,
    verbs: Box<dyn Reservations>,
}

impl Reservations for TracedVerbs {
    fn capabilities(&self) -> Capabilities {
        self.verbs.capabilities()
    }

    fn perform(&mut self, verb: &Verb, bound: Duration) -> Exchange {
        let began = clock::since_boot();
        let exchange = self.verbs.perform(verb, bound);
        let micros = clock::since_boot().saturating_sub(began).as_micros();
        let (path, words) = (&self.path, crate::words::verb(verb));
        output::trace(&format!(
            "{path}: {words} {:?} ({micros} us)",
            exchange.answer
        ));
        exchange
    }

    fn accompany(&mut self, with: Companion) {
        self.verbs.accompany(with);
    }
}

/// A device that is never asked anything: schedules are checked against it.
struct Nothing;

impl Device for Nothing {
    fn execute(
        &mut self,
        _: &scsi::wire::cdb::Cdb,
        _: scsi::device::Data<'_>,
        _: Duration,
    ) -> Result<scsi::device::Completion, scsi::device::DeviceError> {
        unreachable!("never asked")
    }

    fn reset(
        &mut self,
        _: scsi::reservation::ResetScope,
        _: bool,
        _: Duration,
    ) -> Result<(), scsi::device::ResetError> {
        unreachable!("never asked")
    }
}

//! A device whose every command is told to a listener: what `qctl --trace` prints.
//!
//! Reads no clock: the time comes from outside. Data are cut to a bound, and the cut is said.

use super::{Completion, Data, Device, DeviceError, ResetError};
use crate::reservation::ResetScope;
use crate::wire::cdb::Cdb;
use std::fmt;
use std::time::Duration;

/// The most bytes of one data phase that a trace keeps: a whole small parameter list, not a transfer.
pub const DATA_MAX: usize = 256;

/// What was done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Traced {
    /// A command.
    Command {
        /// The CDB.
        cdb: Cdb,
        /// What went to the device, cut to [`DATA_MAX`], and its full length.
        data_out: (Vec<u8>, usize),
        /// What came from the device, cut to [`DATA_MAX`], and its full length.
        data_in: (Vec<u8>, usize),
        /// How it ended.
        outcome: Result<Completion, DeviceError>,
    },
    /// A reset.
    Reset {
        /// How far.
        scope: ResetScope,
        /// Was a wider one allowed?
        escalate: bool,
        /// How it ended.
        outcome: Result<(), ResetError>,
    },
    /// CLEAR TASK SET.
    ClearTaskSet {
        /// How it ended.
        outcome: Result<(), ResetError>,
    },
}

/// One line of a trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceRecord {
    /// When it began, on the clock that was given.
    pub began: Duration,
    /// How long it took.
    pub took: Duration,
    /// What was done.
    pub what: Traced,
}

/// Reads the time.
pub type Clock = Box<dyn FnMut() -> Duration + Send>;

/// Hears of every command after it ended.
pub type Listener = Box<dyn FnMut(&TraceRecord) + Send>;

/// A device and its listener.
pub struct Trace<D> {
    device: D,
    clock: Clock,
    listener: Listener,
}

impl<D: Device> Trace<D> {
    /// Tells the listener of every command of this device.
    pub fn new(device: D, clock: Clock, listener: Listener) -> Self {
        Self {
            device,
            clock,
            listener,
        }
    }

    fn tell(&mut self, began: Duration, what: Traced) {
        let took = (self.clock)().saturating_sub(began);
        (self.listener)(&TraceRecord { began, took, what });
    }
}

fn cut(bytes: &[u8]) -> (Vec<u8>, usize) {
    (bytes[..bytes.len().min(DATA_MAX)].to_vec(), bytes.len())
}

impl<D: Device> Device for Trace<D> {
    fn execute(
        &mut self,
        cdb: &Cdb,
        data: Data<'_>,
        bound: Duration,
    ) -> Result<Completion, DeviceError> {
        let began = (self.clock)();
        let nothing = || (Vec::new(), 0);
        let (data_out, data_in, outcome) = match data {
            Data::None => {
                let outcome = self.device.execute(cdb, Data::None, bound);
                (nothing(), nothing(), outcome)
            }
            Data::Out(bytes) => {
                let outcome = self.device.execute(cdb, Data::Out(bytes), bound);
                (cut(bytes), nothing(), outcome)
            }
            Data::In(buffer) => {
                let outcome = self.device.execute(cdb, Data::In(buffer), bound);
                let arrived = outcome
                    .as_ref()
                    .map_or(0, |done| done.transferred.min(buffer.len()));
                (nothing(), cut(&buffer[..arrived]), outcome)
            }
        };
        self.tell(
            began,
            Traced::Command {
                cdb: *cdb,
                data_out,
                data_in,
                outcome: outcome.clone(),
            },
        );
        outcome
    }

    fn reset(
        &mut self,
        scope: ResetScope,
        escalate: bool,
        bound: Duration,
    ) -> Result<(), ResetError> {
        let began = (self.clock)();
        let outcome = self.device.reset(scope, escalate, bound);
        let told = outcome.clone();
        self.tell(
            began,
            Traced::Reset {
                scope,
                escalate,
                outcome: told,
            },
        );
        outcome
    }

    fn clear_task_set(&mut self, bound: Duration) -> Result<(), ResetError> {
        let began = (self.clock)();
        let outcome = self.device.clear_task_set(bound);
        let told = outcome.clone();
        self.tell(began, Traced::ClearTaskSet { outcome: told });
        outcome
    }
}

/// The bytes of one data phase, sixteen to a line, each line after the prefix.
fn hex_lines(
    f: &mut fmt::Formatter<'_>,
    prefix: &str,
    (bytes, whole): &(Vec<u8>, usize),
) -> fmt::Result {
    for line in bytes.chunks(16) {
        write!(f, "\n  {prefix}")?;
        line.iter().try_for_each(|byte| write!(f, " {byte:02x}"))?;
    }
    if *whole > bytes.len() {
        write!(f, "\n  {prefix} … {whole} bytes in all")?;
    }
    Ok(())
}

/// As `qctl --trace` prints it: `<` for what came from the device, `>` for what went to it.
impl fmt::Display for TraceRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.took.as_micros();
        match &self.what {
            Traced::Command {
                cdb,
                data_out,
                data_in,
                outcome,
            } => {
                write!(f, "cdb {cdb:?} ")?;
                match outcome {
                    Ok(done) => {
                        write!(f, "{}", done.status)?;
                        if let Some(sense) = &done.sense {
                            write!(f, ", {sense}")?;
                        }
                    }
                    Err(error) => write!(f, "{error}")?,
                }
                write!(f, " ({micros} us)")?;
                hex_lines(f, ">", data_out)?;
                hex_lines(f, "<", data_in)
            }
            Traced::Reset {
                scope,
                escalate,
                outcome,
            } => {
                let escalating = if *escalate { ", escalating" } else { "" };
                write!(f, "reset {scope:?}{escalating}: ")?;
                ended(f, outcome, micros)
            }
            Traced::ClearTaskSet { outcome } => {
                write!(f, "clear task set: ")?;
                ended(f, outcome, micros)
            }
        }
    }
}

fn ended(
    f: &mut fmt::Formatter<'_>,
    outcome: &Result<(), ResetError>,
    micros: u128,
) -> fmt::Result {
    match outcome {
        Ok(()) => write!(f, "done ({micros} us)"),
        Err(error) => write!(f, "{error} ({micros} us)"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::scripted::{Say, Scripted};
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn every_command_is_told_with_data_status_sense_and_time() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&lines);
        let mut now = Duration::ZERO;
        let mut traced = Trace::new(
            Scripted::new([
                Say::Good(vec![0, 0, 0, 7, 0, 0, 0, 0]),
                Say::Sense(6, 0x29, 0),
            ]),
            Box::new(move || {
                now += Duration::from_micros(40);
                now
            }),
            Box::new(move |record| told.lock().unwrap().push(record.to_string())),
        );
        let keys = Cdb::new(&[0x5e, 0, 0, 0, 0, 0, 0, 0, 8, 0]).unwrap();
        let bound = Duration::from_secs(1);
        traced.execute(&keys, Data::In(&mut [0; 8]), bound).unwrap();
        let out = Cdb::new(&[0x5f, 3, 0, 0, 0, 0, 0, 0, 24, 0]).unwrap();
        traced.execute(&out, Data::Out(&[1; 3]), bound).unwrap();
        let lines = lines.lock().unwrap();
        assert_eq!(
            lines[0],
            "cdb 5e 00 00 00 00 00 00 00 08 00 GOOD (40 us)\n  < 00 00 00 07 00 00 00 00"
        );
        assert!(
            lines[1].starts_with("cdb 5f 03 00 00 00 00 00 00 18 00 CHECK CONDITION, "),
            "{}",
            lines[1]
        );
        assert!(lines[1].ends_with("(40 us)\n  > 01 01 01"), "{}", lines[1]);
    }

    #[test]
    fn long_data_are_cut_and_the_cut_is_said() {
        let record = TraceRecord {
            began: Duration::ZERO,
            took: Duration::ZERO,
            what: Traced::Command {
                cdb: Cdb::new(&[0; 6]).unwrap(),
                data_out: cut(&[0xaa; 1000]),
                data_in: (Vec::new(), 0),
                outcome: Err(DeviceError::TimedOut),
            },
        };
        let text = record.to_string();
        assert!(text.ends_with("\n  > … 1000 bytes in all"), "{text}");
        assert_eq!(text.matches("aa").count(), DATA_MAX);
    }
}

//! Prints on a thread of its own: a reader that stands still must not hold up an owner.
//!
//! Invariants:
//! * handing a record over never blocks; what finds no room is counted, and said when there is room again;
//! * the end waits for a slow reader, but not for ever.

use super::record::{Record, What};
use super::timeline::Line;
use crate::output::Output;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// Minutes of a busy arbitration.
const WAITING_MAX: usize = 1024;

/// What the end waits for a reader that stands still.
const END_MAX: Duration = Duration::from_secs(2);

/// The hand-over end.
pub(super) struct Printer {
    records: SyncSender<Record>,
    ended: Receiver<Output>,
    missed: u64,
}

impl Printer {
    /// Starts to print; the timeline's offsets count from `began_ns`.
    pub(super) fn start(mut output: Output, began_ns: u64) -> Self {
        let (records, records_in) = sync_channel::<Record>(WAITING_MAX);
        let (ended_in, ended) = sync_channel(1);
        std::thread::spawn(move || {
            while let Ok(record) = records_in.recv() {
                let line = Line {
                    record: &record,
                    began_ns,
                    who: None,
                };
                // A stdout that breaks is no reason to lose a disk; a closed pipe is none at all.
                let _unprinted = output.event(&line);
            }
            let _nobody_waits = ended_in.send(output);
        });
        Self {
            records,
            ended,
            missed: 0,
        }
    }

    /// Prints a record, now or soon.
    pub(super) fn print(&mut self, record: Record) {
        if self.missed > 0 {
            let missed = Record {
                what: What::Missed {
                    events: self.missed,
                },
                ..record.clone()
            };
            if self.records.try_send(missed).is_ok() {
                self.missed = 0;
            }
        }
        match self.records.try_send(record) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(_)) => self.missed += 1,
        }
    }

    /// Everything has been handed over: the output again, or nothing when its reader stands still.
    pub(super) fn end(self) -> Option<Output> {
        drop(self.records);
        self.ended.recv_timeout(END_MAX).ok()
    }
}

//! The thread that looks into the quorum log for the machine: it reads a disk, so nobody waits for it.
//!
//! It answers two questions, each from the medium: who was the disk parked by, and is the epoch in the superblock
//! still ours. What cannot be read is no mark and not ours.

use super::alarm::Alarm;
use qlog::Root;
use quorum_core::arbitration::{CommandId, Input, ParkedMark};
use scsi::reservation::Key;
use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// A machine asks one question at a time; after a new term the one before may still be under way.
const ASKED_MAX: usize = 8;

/// Where the quorum log is.
pub trait QuorumLog: Send {
    /// What its newest superblock says, read now and from the medium.
    ///
    /// # Errors
    /// Why it cannot be read, in words.
    fn root(&mut self) -> Result<Root, String>;
}

impl<S: qlog::Storage> QuorumLog for S {
    fn root(&mut self) -> Result<Root, String> {
        qlog::peek(self).map_err(|error| error.to_string())
    }
}

/// The claim that the service made on the log, which the arbiter compares with.
pub(super) type Claimed = Arc<Mutex<Option<u64>>>;

/// What the driver wants to know.
#[derive(Clone, Copy, Debug)]
pub(super) enum Question {
    Mark(CommandId),
    Epoch(CommandId),
}

/// The driver's end of the librarian.
pub(super) struct Librarian {
    asks: SyncSender<Question>,
}

impl Librarian {
    /// Starts the thread; it ends when the librarian is dropped.
    ///
    /// # Errors
    /// When the OS has no thread to give.
    pub(super) fn start(
        log: Box<dyn QuorumLog>,
        claimed: Claimed,
        answers: Sender<Input>,
        alarm: Arc<Alarm>,
    ) -> io::Result<Self> {
        let (asks, asked) = sync_channel(ASKED_MAX);
        std::thread::Builder::new()
            .name(String::from("librarian"))
            .spawn(move || work(log, &claimed, &asked, &answers, &alarm))?;
        Ok(Self { asks })
    }

    /// Asks, and never waits. When the thread hangs in a read the question is not answered: the machine then waits
    /// for as long as it would without a mark.
    pub(super) fn ask(&self, question: Question) -> bool {
        self.asks.try_send(question).is_ok()
    }
}

fn work(
    mut log: Box<dyn QuorumLog>,
    claimed: &Claimed,
    asked: &Receiver<Question>,
    answers: &Sender<Input>,
    alarm: &Alarm,
) {
    while let Ok(question) = asked.recv() {
        let root = log.root().ok();
        let answer = match question {
            Question::Mark(id) => Input::Mark {
                id,
                mark: root.and_then(|root| mark(&root)),
            },
            Question::Epoch(id) => {
                let ours = *claimed.lock().unwrap_or_else(PoisonError::into_inner);
                let still_ours = root.is_some_and(|root| Some(root.incarnation) == ours);
                Input::Epoch { id, still_ours }
            }
        };
        if answers.send(answer).is_err() {
            return;
        }
        alarm.ring();
    }
}

fn mark(root: &Root) -> Option<ParkedMark> {
    let parked = root.parked?;
    let holder = Key::new(parked.owner.key)?;
    Some(ParkedMark {
        epoch: parked.epoch.0,
        holder,
    })
}

//! The next piece of a log is read while the present one is checked: by one thread, along a plan that was made from the
//! heads of the segments. Decides nothing: what the plan did not foresee is read when it is asked for.
//!
//! ```text
//!   window ──request: next piece, memory──► reader ──the piece──► window
//! ```

use super::window::PIECE_BYTES;
use crate::buffer::Aligned;
use crate::storage::Storage;
use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Scope;

/// Less than this is not worth a thread.
const WORTH_BYTES: u64 = 4 * PIECE_BYTES;

/// Pieces that are read ahead.
const DEPTH: usize = 2;

/// A part of the region, of whole blocks, in pieces as a window reads them.
pub(super) fn pieces(segment: u64, len: u64) -> impl Iterator<Item = Range<u64>> {
    (0..len)
        .step_by(usize::try_from(PIECE_BYTES).expect("1 MiB"))
        .map(move |at| segment + at..segment + len.min(at + PIECE_BYTES))
}

struct Request {
    offset: u64,
    length: usize,
    /// Where in memory the piece goes.
    front: usize,
    bytes: Aligned,
}

struct Answer {
    bytes: Aligned,
    read: io::Result<()>,
}

/// Who asks for pieces before they are needed.
pub(super) struct Ahead {
    /// In the order in which they will be needed.
    plan: Vec<Range<u64>>,
    requests: Sender<Request>,
    answers: Receiver<Answer>,
    /// What was asked for and not taken yet, in order.
    pending: VecDeque<Range<u64>>,
    spare: Vec<Aligned>,
}

impl Ahead {
    /// Starts the thread, if the plan is worth one. It ends when the value is dropped.
    pub(super) fn start<'scope, S: Storage>(
        scope: &'scope Scope<'scope, '_>,
        storage: &'scope S,
        plan: Vec<Range<u64>>,
    ) -> Option<Self> {
        let bytes: u64 = plan.iter().map(|piece| piece.end - piece.start).sum();
        if bytes <= WORTH_BYTES {
            return None;
        }
        let (requests, asked) = channel::<Request>();
        let (answer, answers) = channel();
        let read = move || {
            for mut request in asked {
                let wanted = request.front + request.length;
                if request.bytes.len() < wanted {
                    request.bytes.resize(wanted);
                }
                let bytes = &mut request.bytes[request.front..wanted];
                let read = storage.read_at(request.offset, bytes);
                let bytes = request.bytes;
                if answer.send(Answer { bytes, read }).is_err() {
                    break;
                }
            }
        };
        // Without a thread everything is read when it is needed.
        let builder = std::thread::Builder::new().name("qlog-read-ahead".into());
        builder.spawn_scoped(scope, read).ok()?;
        Some(Self {
            plan,
            requests,
            answers,
            pending: VecDeque::new(),
            spare: Vec::new(),
        })
    }

    /// The piece, when it is the next one that was read ahead.
    pub(super) fn take(&mut self, offset: u64, length: usize) -> Option<(Aligned, io::Result<()>)> {
        let is_it = *self.pending.front()? == (offset..offset + length as u64);
        is_it.then(|| self.next_answer()).flatten()
    }

    fn next_answer(&mut self) -> Option<(Aligned, io::Result<()>)> {
        self.pending.pop_front()?;
        let Answer { bytes, read } = self.answers.recv().ok()?;
        Some((bytes, read))
    }

    /// Memory for another piece.
    pub(super) fn give_back(&mut self, bytes: Aligned) {
        self.spare.push(bytes);
    }

    /// Asks for what the plan has behind the piece that begins here.
    pub(super) fn go_on_behind(&mut self, offset: u64, front: usize) {
        let Some(here) = self.plan.iter().position(|piece| piece.start == offset) else {
            return;
        };
        let wanted = here + 1..self.plan.len().min(here + 1 + DEPTH);
        // What was asked for before is the beginning of it, unless the plan was left.
        while self
            .pending
            .front()
            .is_some_and(|first| self.plan.get(wanted.start) != Some(first))
        {
            if let Some((unused, _)) = self.next_answer() {
                self.spare.push(unused);
            }
        }
        let asked = self.pending.len();
        for next in self.plan[wanted].iter().skip(asked) {
            let request = Request {
                offset: next.start,
                length: usize::try_from(next.end - next.start).expect("a piece"),
                front,
                bytes: self.spare.pop().unwrap_or_default(),
            };
            if self.requests.send(request).is_ok() {
                self.pending.push_back(next.clone());
            }
        }
    }
}

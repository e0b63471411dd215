//! Commands that were accepted and have not run yet: the task set (SAM-5, Task set management).
//!
//! All are simple tasks: the caller runs them in any order. Invariant: at most [`TASKS_MAX`] wait.

use super::nexus::Nexus;
use crate::wire::cdb::Cdb;

/// How many commands the unit keeps waiting; one more meets TASK SET FULL. As many as a Linux host
/// queues to one LUN by default from two nexuses.
pub const TASKS_MAX: usize = 64;

/// A command that was accepted, for [`super::LogicalUnit::run`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tag(pub(super) u64);

/// A command that waits.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Task {
    pub(super) tag: Tag,
    pub(super) nexus: Nexus,
    pub(super) cdb: Cdb,
    pub(super) data_out: Vec<u8>,
}

/// The commands that wait, oldest first.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct TaskSet {
    pub(super) waiting: Vec<Task>,
    pub(super) next: u64,
    /// Those that ended with TASK ABORTED, which nobody has been told yet; the newest [`TASKS_MAX`].
    pub(super) aborted: Vec<Tag>,
}

impl TaskSet {
    /// Takes one in; `None` when the set is full.
    pub(super) fn add(&mut self, nexus: &Nexus, cdb: &Cdb, data_out: &[u8]) -> Option<Tag> {
        if self.waiting.len() >= TASKS_MAX {
            return None;
        }
        let tag = Tag(self.next);
        self.next += 1;
        self.waiting.push(Task {
            tag,
            nexus: nexus.clone(),
            cdb: *cdb,
            data_out: data_out.to_vec(),
        });
        Some(tag)
    }

    /// Gives a command that waits the data that it was accepted without. Says whether it still waits.
    pub(super) fn supply(&mut self, tag: Tag, data_out: Vec<u8>) -> bool {
        match self.waiting.iter_mut().find(|task| task.tag == tag) {
            Some(task) => {
                task.data_out = data_out;
                true
            }
            None => false,
        }
    }

    /// Takes one out to run it.
    pub(super) fn take(&mut self, tag: Tag) -> Option<Task> {
        let at = self.waiting.iter().position(|task| task.tag == tag)?;
        Some(self.waiting.remove(at))
    }

    /// This one was aborted, and ends with a status.
    pub(super) fn ends_aborted(&mut self, tag: Tag) {
        if self.aborted.len() >= TASKS_MAX {
            self.aborted.remove(0);
        }
        self.aborted.push(tag);
    }

    /// Did this one end with TASK ABORTED? It is told once.
    pub(super) fn collect_aborted(&mut self, tag: Tag) -> bool {
        let before = self.aborted.len();
        self.aborted.retain(|one| *one != tag);
        self.aborted.len() != before
    }

    /// Aborts those that are chosen; says whose they were and which.
    pub(super) fn abort(&mut self, chosen: impl Fn(&Task) -> bool) -> Vec<(Nexus, Tag)> {
        let (gone, kept) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition::<Vec<_>, _>(|task| chosen(task));
        self.waiting = kept;
        gone.into_iter()
            .map(|task| (task.nexus, task.tag))
            .collect()
    }
}

//! Resets, nexus loss, and the task management functions (SAM-5, Event notification and Task management
//! functions).
//!
//! | what | tasks | SPC-2 reservation | registrations | attention |
//! |---|---|---|---|---|
//! | LUN reset, target reset | all aborted | gone | kept | 29/03, every nexus |
//! | bus and host reset | all aborted | gone | kept | 29/02, every nexus |
//! | nexus loss | its own aborted | gone, if its own | kept | 29/07, that nexus |
//! | CLEAR TASK SET | all aborted | kept | kept | 2F/00, others that lost some |
//! | ABORT TASK, ABORT TASK SET | one, its own | kept | kept | none |

use super::attention::{BUS_RESET, DEVICE_RESET, NEXUS_LOSS, POWER_ON_OR_RESET};
use super::behaviour::Difference;
use super::nexus::Nexus;
use super::tasks::Tag;
use super::{LogicalUnit, Refused};
use crate::reservation::ResetScope;

impl LogicalUnit {
    /// A reset that reaches the unit. Whoever asked for it meets the attention like everybody else.
    pub fn reset(&mut self, scope: ResetScope) {
        let attention = match scope {
            _ if self.has(Difference::ResetAttentionIsPowerOn) => POWER_ON_OR_RESET,
            ResetScope::Lun | ResetScope::Target => DEVICE_RESET,
            ResetScope::Bus | ResetScope::Host => BUS_RESET,
        };
        self.tasks.abort(|_| true);
        self.spc2 = None;
        let all: Vec<Nexus> = self.nexuses.keys().cloned().collect();
        for nexus in all {
            self.establish(&nexus, attention);
        }
    }

    /// The nexus is gone: its session ended, or its host died.
    pub fn nexus_loss(&mut self, nexus: &Nexus) {
        self.tasks.abort(|task| task.nexus == *nexus);
        if self.spc2.as_ref() == Some(nexus) {
            self.spc2 = None;
        }
        if self.has(Difference::RegistrationEndsWithNexus) {
            self.persistent.orphan(nexus);
        }
        if !self.has(Difference::NoNexusLossAttention) {
            self.establish(nexus, NEXUS_LOSS);
        }
    }

    /// ABORT TASK: says whether it was there. It ends without status.
    pub fn abort(&mut self, tag: Tag) -> bool {
        !self.tasks.abort(|task| task.tag == tag).is_empty()
    }

    /// ABORT TASK SET: every command of this nexus.
    pub fn abort_task_set(&mut self, nexus: &Nexus) {
        self.tasks.abort(|task| task.nexus == *nexus);
    }

    /// CLEAR TASK SET: every command of every nexus. Reservations stay.
    pub fn clear_task_set(&mut self, by: &Nexus) {
        let _known: Result<_, Refused> = self.attach(by);
        self.abort_for(by, |_| true);
    }
}

//! The ways out: the disk is given back, is lost, or what was to end hangs.
//!
//! ```text
//!   release ── under way? ── unmount ── park the log, or not ── the disk
//!   lost ───── the command is ended ── detach
//!   give up ── a log that hangs is done without; else what hangs is left as it is
//! ```
//!
//! Invariants: the disk is given back only when nothing is mounted and nothing is under way on it; a loss is acted on once.

use super::{Phase, Session};
use crate::arbitrate::quorum_log;
use crate::arbitrate::record::What;
use crate::clock;
use std::time::Duration;

/// What has not ended so long after it should have hangs.
const HANGS_AFTER: Duration = Duration::from_secs(5);

impl Session<'_> {
    /// Gives the disk back, or stops contending. Nothing of the command is left.
    pub(super) fn release(&mut self) {
        match self.phase {
            Phase::Releasing | Phase::Losing => return,
            Phase::Contending | Phase::Owning | Phase::Stopping => {}
        }
        self.phase = Phase::Releasing;
        self.count_owned_time();
        self.manager.status("giving the disk back");
        self.manager.stopping(Duration::from_secs(5));
        self.give_back();
    }

    /// One thing after the other: what is under way on the disk, the file system, the log, the disk.
    pub(super) fn give_back(&mut self) {
        if self.mounting || self.claiming > 0 {
            return self.wait_no_longer();
        }
        self.wait_is_over();
        if self.mounted {
            return self.unmount();
        }
        // A disk with a log is not released: it is parked, so that the next node need not wait. Only by an owner: one that
        // merely holds it cannot say that all before it have ended.
        match (&self.claimed, &self.args.log) {
            (Some(_), Some(quorum_log::Where::Path(_))) if self.is_owner => {
                self.park_when_proved = Some(quorum::arbiter::now());
            }
            (Some(_), _) if self.is_owner => self.park_log(),
            (Some(_) | None, _) => self.arbiter.release(),
        }
    }

    /// Than this, for what is under way and cannot be stopped.
    pub(super) fn wait_no_longer(&mut self) {
        let end = clock::since_boot() + self.stop_time + HANGS_AFTER;
        self.give_up_at.get_or_insert(end);
    }

    /// What was under way has ended. After a loss nothing is waited for much longer all the same.
    pub(super) fn wait_is_over(&mut self) {
        if !self.is_lost() {
            self.give_up_at = None;
        }
    }

    /// The disk is not ours any more, or nobody can tell.
    pub(super) fn lost(&mut self) {
        match self.phase {
            Phase::Losing => return,
            // Nothing of the command is left.
            Phase::Releasing => {
                self.wait_no_longer();
                return self.arbiter.disarm_watchdog();
            }
            Phase::Contending | Phase::Owning | Phase::Stopping => {}
        }
        self.phase = Phase::Losing;
        self.count_owned_time();
        self.manager.status("the disk is lost");
        self.manager.stopping(self.stop_time);
        match &self.command {
            Some(command) => {
                command.fence();
                let at = clock::since_boot();
                let unproved_at = self.arbiter.ownership().map_or(at, |ownership| {
                    ownership.proved_until().elapsed_since_zero().min(at)
                });
                // The keeper kills after at most half of the stop time; a killing takes its time too.
                self.kill_keeper_at = Some(unproved_at + self.stop_time * 3 / 4);
            }
            None => {
                self.detach();
                self.arbiter.disarm_watchdog();
            }
        }
        self.wait_no_longer();
    }

    pub(super) fn count_owned_time(&mut self) {
        if let Some(since) = self.past.owned_since.take() {
            self.past.owned = clock::since_boot().saturating_sub(since);
        }
    }

    /// What was waited for hangs. A log that does is done without, as long as the disk is ours; true when nothing can be
    /// waited for any more.
    pub(super) fn give_up(&mut self) -> bool {
        self.give_up_at = None;
        let the_log_hangs = self.claiming > 0 || self.mark_under_way;
        if self.phase == Phase::Releasing && the_log_hangs && !self.mounting && !self.is_lost() {
            self.print(What::Remark {
                text: "the log does not answer: the disk is given back without it".to_owned(),
            });
            (self.claiming, self.mark_under_way, self.claimed) = (0, false, None);
            self.arbiter.release();
            return false;
        }
        self.print(What::Remark {
            text: "what was to end hangs in the kernel: it is left as it is".to_owned(),
        });
        self.mark_under_way = false;
        if let Some(lost) = self.lost_under_the_mark.take() {
            self.noticed(&lost);
        }
        self.past.left |= self.past.stopped.is_none();
        true
    }
}

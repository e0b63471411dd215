//! A host that stands still: paused, its clock with it, late; and what its machine is told of that.
//!
//! The driver looks at the clocks each time that its thread goes round. When its thread did not get to run, beyond the
//! lateness that the times allow for, it tells the machine that the host stood still, before anything else that has arrived;
//! so does this world. What it compares is the clock that ran on: of a pause in which that stood still nobody is told, but for
//! the wall clock, where something sets it anew. That a driver also lets no write through after a stall, before a proof, is
//! not simulated: the machines must hold without.

use super::{Step, World};
use crate::faults::FaultKind;
use quorum_core::arbitration::{Arbitration, Input, Output, Stage};
use std::time::Duration;

impl World {
    /// It does nothing from now on; its clock runs.
    pub fn pause(&mut self, number: u8) {
        let now = self.now;
        let index = self.at(number);
        let node = &mut self.nodes[index];
        if !node.paused {
            // Else it stands since before.
            node.paused_at = node.clock.shows(now);
        }
        node.paused = true;
        node.pauses += 1;
        self.checkers.live_owner.trouble(now, number);
    }

    /// For so long.
    pub fn pause_for(&mut self, number: u8, span: Duration) {
        self.pause(number);
        let index = self.at(number);
        let pause = self.nodes[index].pauses;
        self.schedule(
            span,
            Step::Resume {
                node: number,
                pause,
            },
        );
    }

    /// For so long, and its clock stands still with it.
    pub fn stand_still_for(&mut self, number: u8, span: Duration) {
        let now = self.now;
        let index = self.at(number);
        let node = &mut self.nodes[index];
        if node.clock.runs() {
            // Else it stands since before.
            node.stands_since = now;
        }
        node.clock.stop(now);
        node.stood = true;
        self.checkers.one_owner.clock_stops(number);
        self.pause_for(number, span);
    }

    /// It goes on where it stood: what it had decided on is sent, then it is told that it stood still, its timers come, then
    /// what has arrived.
    pub fn resume(&mut self, number: u8) {
        let now = self.now;
        let index = self.at(number);
        if !self.nodes[index].paused {
            return;
        }
        let mut noticed = self.notices_its_pause(index);
        let node = &mut self.nodes[index];
        node.paused = false;
        node.resumed_at = node.clock.shows(now);
        if !node.clock.runs() {
            node.clock.go_on(now);
            node.stood_until = Some(node.clock.shows(now));
            // What was due is due that much later.
            let deadline = node.machine.as_ref().and_then(Arbitration::next_deadline);
            node.timer = deadline.map(|at| node.clock.when(at));
            // Half of the hosts have their wall clocks set as soon as they go on.
            noticed |= self.rng.chance(500);
        }
        let node = &mut self.nodes[index];
        let arrived = std::mem::take(&mut node.inbox);
        let unsent = std::mem::take(&mut node.unsent);
        self.checkers.live_owner.trouble(now, number);
        for held in unsent {
            self.send_now(index, held);
        }
        if noticed {
            self.stood_still(index);
        }
        self.give(index, Input::Tick);
        for input in arrived {
            self.give(index, input);
        }
    }

    /// Does the driver of this node, which is about to go on, find that its thread was not there when it should have been?
    /// Between deciding on a command and sending it a thread never means to sleep; else it does until the next deadline.
    fn notices_its_pause(&self, index: usize) -> bool {
        let node = &self.nodes[index];
        let shows = node.clock.shows(self.now);
        let before = node.paused_at;
        let due = if node.unsent.is_empty() {
            let machine = node.machine.as_ref().and_then(Arbitration::next_deadline);
            let commands = node.out.iter().map(|out| out.given_up_at);
            machine.into_iter().chain(commands).min()
        } else {
            Some(before)
        };
        due.is_some_and(|due| shows.saturating_since(due.max(before)) > node.config.times.lateness)
    }

    /// A timer has not come when it should have: whatever comes now, the driver finds that its thread was late.
    pub(super) fn notice_lateness(&mut self, index: usize) {
        let node = &self.nodes[index];
        let lateness = node.config.times.lateness;
        if node.timer.is_some_and(|due| self.now > due + lateness) {
            let number = node.number;
            self.checkers.live_owner.trouble(self.now, number);
            self.stood_still(index);
        }
    }

    /// The machine is told.
    fn stood_still(&mut self, index: usize) {
        let machine = self.nodes[index].machine.as_ref();
        if machine.is_some_and(|machine| matches!(machine.stage(), Stage::Held | Stage::Owner)) {
            self.counts.stalls += 1;
        }
        self.give_now(index, Input::Stalled);
    }

    /// How late the next timer comes: within what is allowed, and now and then beyond.
    pub(super) fn draw_lateness(&mut self, index: usize) {
        let Some(late) = self.late_timers else {
            return;
        };
        let node = &self.nodes[index];
        let number = node.number;
        let times = node.config.times;
        if node.late > times.lateness {
            self.checkers.live_owner.trouble(self.now, number);
        }
        let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        let beyond = self.spared != Some(number) && self.rng.chance(late);
        let span = if beyond {
            self.checkers.live_owner.trouble(self.now, number);
            let span = times.lateness
                + times
                    .challenge_wait
                    .mul_f64(self.rng.below(1500) as f64 / 1000.0);
            self.fault(FaultKind::LateTimer, || format!("n{number} by {span:?}"));
            span
        } else {
            Duration::from_micros(self.rng.below(micros(times.lateness) * 9 / 10))
        };
        self.nodes[index].late = span;
    }

    /// The process of a node may stand still between deciding on commands and sending them.
    pub(super) fn maybe_stall(&mut self, index: usize, outputs: &[Output]) {
        let node = &self.nodes[index];
        if self.chances.stall == 0 || self.spared == Some(node.number) {
            return;
        }
        let sends = outputs
            .iter()
            .any(|output| matches!(output, Output::Perform { .. }));
        if sends && self.rng.chance(self.chances.stall) {
            let number = node.number;
            let wait = node.config.times.challenge_wait;
            let span = wait.mul_f64(self.rng.below(2500) as f64 / 1000.0);
            self.fault(FaultKind::Stalled, || {
                format!("n{number} for {span:?}, before it sends")
            });
            self.pause_for(number, span);
        }
    }
}

//! What is done to nodes and to the disk: by fate, by strangers, by operators.

use super::{Opened, Step, Tells, World};
use crate::checkers::Property;
use crate::disk::Nexus;
use crate::faults::FaultKind;
use crate::node::{Ambush, Belief, Farewell};
use quorum_core::Instant;
use quorum_core::arbitration::{Arbitration, Input, Mode, ParkedMark, PathId};
use scsi::reservation::{Key, RegisterOptions, Verb};
use std::time::Duration;

/// Where an operator comes from who clears the disk.
const OPERATOR: Nexus = Nexus(800);
/// Where strangers come from.
const STRANGER: u32 = 900;

impl World {
    // ------------------------------------------------------- life and death

    /// A new process of this node begins. Its sessions are re-instated first, so that nothing of an earlier
    /// process is under way on its nexuses any more.
    pub fn start(&mut self, number: u8) {
        let index = self.at(number);
        let first = self.nodes[index].incarnation == 0;
        self.die(index);
        let nexuses = self.nodes[index].nexuses.clone();
        for nexus in nexuses.into_iter().filter(|_| !first) {
            self.drop_writes_of(nexus);
            let was_open = self.disk.is_open();
            self.disk.log_in_again(nexus);
            self.disk_changes(was_open);
        }
        let node = &mut self.nodes[index];
        let serials = node.serials();
        let incarnation = node.incarnation;
        node.machine = Some(Arbitration::new(node.config.clone()));
        let feed = Step::Feed {
            node: number,
            incarnation,
        };
        self.schedule(self.rhythm.feed, feed);
        self.give(index, Input::Start { serials });
    }

    /// The same, but the sessions live on, and the new process waits until every write of the old one has
    /// ended.
    pub fn start_drained(&mut self, number: u8) {
        let index = self.at(number);
        self.die(index);
        let nexuses = self.nodes[index].nexuses.clone();
        if nexuses.iter().any(|nexus| self.has_writes_of(*nexus)) {
            self.schedule(
                Duration::from_millis(50),
                Step::StartDrained { node: number },
            );
        } else {
            self.start(number);
        }
    }

    /// A new process of this node begins, on other nexuses.
    pub fn start_on_new_nexus(&mut self, number: u8) {
        let index = self.at(number);
        self.die(index);
        for path in 0..self.nodes[index].nexuses.len() {
            let nexus = self.new_nexus();
            self.nodes[index].nexuses[path] = nexus;
        }
        self.start(number);
    }

    /// What was to happen behind one of its commands happens.
    pub(super) fn spring(&mut self, number: u8, what: Ambush) {
        let spared = self.spared == Some(number);
        match what {
            _ if spared || self.healed => {}
            Ambush::Pause(span) => {
                self.befell(FaultKind::PauseRunning, number);
                self.pause_for(number, span);
            }
            Ambush::Release => self.ask_to_release(number),
            Ambush::Park => self.ask_to_park(number),
            Ambush::Reset => {
                self.befell(FaultKind::StrangerReset, 0);
                self.reset();
            }
            Ambush::PowerLoss => {
                self.befell(FaultKind::PowerLoss, 0);
                self.lose_power();
            }
            Ambush::Die => {
                self.befell(FaultKind::Death, number);
                self.kill(number);
            }
        }
    }

    /// One after the other: the next command of a node whose name contains the text is an occasion. What was to happen
    /// before is forgotten.
    pub(crate) fn ambush(&mut self, number: u8, occasions: &[(&'static str, Ambush)]) {
        let index = self.at(number);
        self.nodes[index].ambushes = occasions.iter().copied().collect();
    }

    /// So much later, unless the world is healed by then.
    pub(crate) fn later(&mut self, after: Duration, number: u8, what: Ambush) {
        self.schedule(after, Step::Ambush { node: number, what });
    }

    /// The process is gone, at once. What it has sent is under way still.
    pub fn kill(&mut self, number: u8) {
        let index = self.at(number);
        self.die(index);
    }

    fn die(&mut self, index: usize) {
        let now = self.now;
        let node = &mut self.nodes[index];
        node.clock.go_on(now);
        node.die();
        node.stood_until = None;
        node.pauses += 1;
        let number = node.number;
        if let Some(log) = &mut self.log {
            log.dies(number);
        }
        self.checkers.one_owner.dies(number);
        self.checkers.live_owner.trouble(now, number);
    }

    // --------------------------------------------------------------- the path

    /// A path goes or comes.
    pub fn path(&mut self, number: u8, path: u16, up: bool) {
        let now = self.now;
        let index = self.at(number);
        let Some(was) = self.nodes[index].path_up.get_mut(usize::from(path)) else {
            return;
        };
        let comes = up && !*was;
        *was = up;
        if comes {
            // The driver's word that a path is usable again says too that nothing is under way on it any more.
            let nexus = self.nodes[index].nexuses[usize::from(path)];
            self.drop_writes_of(nexus);
        }
        self.checkers.live_owner.trouble(now, number);
        let path = PathId(path);
        let node = &self.nodes[index];
        let shows = node.clock.shows(now);
        let must_reserve = comes
            && node.config.mode == Mode::Spc2
            && node.runs()
            && node.belief != Belief::Nothing
            && node.farewell.is_none()
            && node.out.is_empty()
            && shows < node.proved_until
            && shows.saturating_since(node.fed_at) < node.config.times.self_stop;
        self.give(index, Input::PathChanged { path, usable: up });
        let node = &self.nodes[index];
        let reserves = node.out.iter().any(|out| out.verb == Verb::Spc2Reserve);
        if must_reserve && !reserves && !self.is_hostile() {
            let what = format!("n{number} has logged in again, and does not reserve first");
            self.checkers.hold(Property::Terms, Err(what));
        }
    }

    /// A path goes, and comes back after this long.
    pub fn path_down_for(&mut self, number: u8, path: u16, span: Duration) {
        self.path(number, path, false);
        self.schedule(span, Step::PathUp { node: number, path });
    }

    /// The session of a path ends and comes back on the same nexus; the node is not told.
    pub fn log_in_again(&mut self, number: u8, path: u16) {
        let index = self.at(number);
        let nexus = self.nodes[index].nexuses[usize::from(path)];
        let was_open = self.disk.is_open();
        self.checkers.live_owner.trouble(self.now, number);
        self.disk.log_in_again(nexus);
        self.disk_changes(was_open);
    }

    // --------------------------------------------------------------- the disk

    /// The power of the disk goes and comes back.
    pub fn lose_power(&mut self) {
        let was_open = self.disk.is_open();
        self.checkers.live_owner.disk_trouble(self.now);
        self.disk.lose_power();
        if self.mode() == Mode::Persistent && self.disk.state().registrations.is_empty() {
            // Whoever registers again lets in what it has under way: without APTPL nothing closes that.
            self.excuse_writes();
            self.opened_by_operator = true;
        }
        self.disk_changes(was_open);
    }

    /// The disk answers nobody for so long.
    pub fn outage(&mut self, span: Duration) {
        self.checkers.live_owner.disk_trouble(self.now);
        self.outage_until = self.now + span;
        self.checkers.live_owner.disk_trouble(self.outage_until);
    }

    /// A stranger resets the logical unit.
    pub fn reset(&mut self) {
        let was_open = self.disk.is_open();
        if self.mode() == Mode::Spc2 {
            self.note_reset();
        }
        self.disk.reset();
        self.disk_changes(was_open);
    }

    pub(super) fn note_reset(&mut self) {
        let covered = self
            .nodes
            .first()
            .map_or(0, |node| node.config.times.removable_keys);
        let covered = usize::try_from(covered).unwrap_or(usize::MAX);
        self.checkers.live_owner.reset(self.now, covered);
    }

    /// An operator registers from another host, clears, and is gone.
    pub fn clear(&mut self, key: Key) {
        let was_open = self.disk.is_open();
        self.checkers.live_owner.disk_trouble(self.now);
        self.opened_by_operator = true;
        let aptpl = self.disk.keeps_through_power_loss();
        self.stranger_registers(OPERATOR, key, aptpl);
        self.disk.perform(OPERATOR, &Verb::Clear { key });
        self.disk_changes(was_open);
    }

    /// A stranger registers this key, from a nexus of its own.
    pub fn register_stranger(&mut self, which: u32, key: Key) {
        let aptpl = self.disk.keeps_through_power_loss();
        self.stranger_registers(Nexus(STRANGER + which), key, aptpl);
    }

    /// The same, and without a word of APTPL: the last REGISTER decides it for the whole unit.
    pub fn register_careless_stranger(&mut self, which: u32, key: Key) {
        let kept = self.disk.keeps_through_power_loss();
        self.stranger_registers(Nexus(STRANGER + which), key, false);
        if kept && !self.disk.keeps_through_power_loss() {
            self.aptpl_off_since = Some(self.now);
        }
    }

    fn stranger_registers(&mut self, nexus: Nexus, key: Key, aptpl: bool) {
        self.disk.log_in(nexus);
        self.disk.eat_attentions(nexus);
        let register = Verb::Register {
            existing: self.disk.key_of(nexus),
            new: Some(key),
            options: RegisterOptions {
                aptpl,
                ..RegisterOptions::default()
            },
        };
        self.disk.perform(nexus, &register);
    }

    /// A tool on the host of a node gives the disk back behind its back, from the nexus that holds.
    pub fn release_behind(&mut self, number: u8) {
        let index = self.at(number);
        let was_open = self.disk.is_open();
        self.checkers.live_owner.disk_trouble(self.now);
        let nexuses = self.nodes[index].nexuses.clone();
        let held = self.disk.state().reservation;
        let holder = nexuses.into_iter().find(|nexus| self.disk.holds(*nexus));
        if let Some(nexus) = holder
            && let (Some(key), Some(held)) = (self.disk.key_of(nexus), held)
        {
            let kind = held.kind;
            self.disk.perform(nexus, &Verb::Release { key, kind });
        }
        self.disk_changes(was_open);
    }

    /// A stranger that has registered reserves the disk.
    pub fn reserve_stranger(&mut self, which: u32, verb: &Verb) {
        let was_open = self.disk.is_open();
        self.checkers.live_owner.disk_trouble(self.now);
        self.disk.perform(Nexus(STRANGER + which), verb);
        self.disk_changes(was_open);
    }

    /// An operator takes away what strangers have registered.
    pub fn evict_strangers(&mut self, upto: u32) {
        for which in 0..=upto {
            let nexus = Nexus(STRANGER + which);
            if let Some(key) = self.disk.key_of(nexus) {
                self.disk.eat_attentions(nexus);
                let unregister = Verb::Register {
                    existing: Some(key),
                    new: None,
                    options: RegisterOptions {
                        aptpl: self.disk.keeps_through_power_loss(),
                        ..RegisterOptions::default()
                    },
                };
                self.disk.perform(nexus, &unregister);
            }
        }
    }

    // -------------------------------------------------------- the open window

    fn disk_changes(&mut self, was_open: bool) {
        if was_open != self.disk.is_open() {
            self.disk_may_open();
        }
    }

    /// Whether somebody holds the disk has changed.
    pub(super) fn disk_may_open(&mut self) {
        if self.disk.is_open() {
            self.opened_since_held = true;
            let owner = self.nodes.iter().position(|node| {
                node.belief != Belief::Nothing && node.clock.shows(self.now) < node.proved_until
            });
            let owner = owner.filter(|index| self.is_well(*index));
            self.open_since = Some(Opened {
                at: self.now,
                owner: owner.map(|index| self.nodes[index].number),
            });
        } else {
            self.disk_may_close();
        }
    }

    /// Somebody may hold the disk again: how long was it open under an owner with whom all was well?
    pub(super) fn disk_may_close(&mut self) {
        if self.disk.is_open() {
            return;
        }
        let Some(Opened {
            at,
            owner: Some(number),
        }) = self.open_since.take()
        else {
            return;
        };
        let index = self.at(number);
        let node = &self.nodes[index];
        if node.belief == Belief::Nothing || !self.is_well(index) {
            return;
        }
        let open = self.now.saturating_since(at);
        self.counts.open_longest = self.counts.open_longest.max(open);
        let bound = node.config.times.self_stop;
        if open > bound {
            let found = Err(format!(
                "the disk was open for {open:?} under n{number}, a live owner"
            ));
            self.checkers.hold(Property::DeposedWrites, found);
        }
    }

    /// Is everything well with a node, and has it been for as long as a challenge lasts?
    pub(super) fn is_well(&self, index: usize) -> bool {
        let number = self.nodes[index].number;
        self.is_fit(index) && self.checkers.live_owner.is_well(self.now, number)
    }

    /// Is everything well with a node at this moment?
    pub(super) fn is_fit(&self, index: usize) -> bool {
        let node = &self.nodes[index];
        let times = &node.config.times;
        node.runs()
            && !node.hungry
            && node.clock.runs()
            && node.late <= times.lateness
            && node.round_trip <= times.round_trip
            && node.path_up.iter().all(|up| *up)
            && self.reaches_the_disk(index)
    }

    /// Has this node lost its session, on a target that binds registrations to sessions, without a word?
    #[must_use]
    pub fn is_cut_off(&self, number: u8) -> bool {
        !self.reaches_the_disk(self.at(number))
    }

    /// Does the disk know it still? On a target that binds registrations to sessions the key of an owner whose
    /// session was lost stays listed, and is nobody's.
    fn reaches_the_disk(&self, index: usize) -> bool {
        let node = &self.nodes[index];
        let lost = |nexus: &Nexus| self.disk.is_listed_without(*nexus, node.key);
        node.config.mode == Mode::Spc2 || !node.nexuses.iter().any(lost)
    }

    // ------------------------------------------------------------- the people

    /// Everything is drained, and all that it runs has ended; the mark is written, at once; the owner parks.
    pub fn park(&mut self, number: u8) {
        let index = self.at(number);
        self.checkers.one_owner.dies(number);
        let key = self.nodes[index].key;
        self.mark = key.map(|holder| ParkedMark { epoch: 1, holder });
        self.nodes[index].belief = Belief::Nothing;
        self.give(index, Input::Park);
    }

    /// Everything is drained at once; whoever it is gives back what it has.
    pub fn release(&mut self, number: u8) {
        let index = self.at(number);
        self.nodes[index].belief = Belief::Nothing;
        self.give(index, Input::Release);
    }

    /// The owner is asked to park: it writes nothing more, waits for the end of what it wrote, writes the mark.
    pub fn ask_to_park(&mut self, number: u8) {
        self.begin_farewell(number, Farewell::Park);
    }

    /// A node is asked to give back what it has; an owner waits for the end of what it wrote.
    pub fn ask_to_release(&mut self, number: u8) {
        let index = self.at(number);
        // Whoever tells a node to give back what it has knows that the disk is open then.
        self.opened_by_operator = true;
        if self.nodes[index].belief == Belief::Nothing {
            self.give(index, Input::Release);
        } else {
            self.begin_farewell(number, Farewell::Release);
        }
    }

    /// Whoever this node serves is silent for so long.
    pub fn starve_for(&mut self, number: u8, span: Duration) {
        let index = self.at(number);
        self.nodes[index].hungry = true;
        self.checkers.live_owner.trouble(self.now, number);
        self.schedule(span, Step::Fed { node: number });
    }

    /// Others on its nexuses eat its attentions for so long.
    pub fn eat_for(&mut self, number: u8, span: Duration) {
        let index = self.at(number);
        self.nodes[index].eats_attentions = true;
        self.schedule(span, Step::NotEating { node: number });
    }

    // --------------------------------------------------------------- what is told

    /// Something befell a node, or the disk (node 0).
    pub fn befell(&mut self, kind: FaultKind, node: u8) {
        self.fault(kind, || {
            if node == 0 {
                "the disk".into()
            } else {
                format!("n{node}")
            }
        });
    }

    /// The last lines of the timeline, for a report.
    #[must_use]
    pub fn told(&self) -> String {
        self.timeline.join("\n")
    }

    /// Keeps the timeline short in a world that runs for long.
    pub fn forget_old_lines(&mut self, keep: usize) {
        if self.tells != Tells::Nothing && self.timeline.len() > keep {
            self.timeline.drain(..self.timeline.len() - keep);
        }
    }

    /// The world's time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }
}

//! A data write: decided by a node that believes it owns the disk, under way in its host, accepted by the
//! target (where access is checked), landed on the medium (where nothing is), answered, acknowledged.
//!
//! What is written stands in for the quorum log: the first write of a term claims the epoch in the superblock, the
//! others are records, and the last one before a hand-over is the parked mark. A record is acknowledged when its
//! write was answered GOOD while the ownership is proved. This is the seam at which a real log will be driven.

use super::{Step, World};
use crate::checkers::Property;
use crate::checkers::deposed_writes::Landed;
use crate::disk::{Admission, Nexus};
use crate::faults::{FaultKind, late_max_ms};
use crate::node::{Belief, Farewell};
use quorum_core::arbitration::{Arbitration, Input, Mode, ParkedMark, Stage};
use scsi::reservation::Key;
use std::collections::BTreeMap;
use std::time::Duration;

/// Those that are under way.
#[derive(Default, Debug)]
pub(super) struct Writes {
    next: u64,
    out: BTreeMap<u64, Write>,
}

/// A write that is under way.
#[derive(Clone, Debug)]
struct Write {
    node: u8,
    incarnation: u32,
    nexus: Nexus,
    term: u64,
    content: Content,
}

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Content {
    /// The epoch is this key's.
    Claim(Key),
    Record,
    /// The disk is parked under this key.
    Mark(Key),
}

/// How a write that landed did so.
pub(super) type Ending = Landed;

impl World {
    /// A node that believes it owns the disk, and may believe it still, writes.
    pub(super) fn write(&mut self, index: usize) {
        let now = self.now;
        let node = &mut self.nodes[index];
        node.next_write = now + self.rhythm.write;
        // Nothing is written while an owner takes its disk again after a power loss.
        let stage = node.machine.as_ref().map(Arbitration::stage);
        let owns = matches!(stage, Some(Stage::Held | Stage::Owner));
        if !owns || node.clock.shows(now) >= node.proved_until {
            return;
        }
        let content = match node.key {
            Some(key) if node.must_claim => Content::Claim(key),
            Some(_) | None => Content::Record,
        };
        node.must_claim = false;
        self.write_out(index, content);
    }

    fn write_out(&mut self, index: usize, content: Content) {
        self.writes.next += 1;
        let token = self.writes.next;
        let path = self.path_for_a_write(index);
        let node = &mut self.nodes[index];
        node.writes_out += 1;
        let write = Write {
            node: node.number,
            incarnation: node.incarnation,
            nexus: node.nexuses[path],
            term: node.term,
            content,
        };
        self.checkers.deposed_writes.decided(token, node.term);
        self.writes.out.insert(token, write);
        let after = self.draw_hold(FaultKind::WriteHeldInHost, index, Duration::from_millis(2));
        self.schedule(after, Step::WriteArrives { token });
    }

    /// One of the paths that are registered; the first where there is no choice.
    fn path_for_a_write(&mut self, index: usize) -> usize {
        let good = &self.nodes[index].path_good;
        if good.len() == 1 {
            return 0;
        }
        let good: Vec<usize> = (0..good.len()).filter(|path| good[*path]).collect();
        let at = self.rng.below(good.len() as u64);
        usize::try_from(at)
            .ok()
            .and_then(|at| good.get(at).copied())
            .unwrap_or(0)
    }

    fn draw_hold(&mut self, kind: FaultKind, index: usize, usual: Duration) -> Duration {
        let number = self.nodes[index].number;
        let held = self.spared != Some(number) && self.rng.chance(self.chances.hold_write);
        if !held {
            return usual;
        }
        let span = Duration::from_millis(self.rng.below(late_max_ms()));
        self.fault(kind, || format!("n{number} for {span:?}"));
        span
    }

    pub(super) fn write_arrives(&mut self, token: u64) {
        let Some(write) = self.writes.out.get(&token) else {
            return;
        };
        let (nexus, number) = (write.nexus, write.node);
        if self.now < self.outage_until {
            self.write_fails(token);
            return;
        }
        let open = self.disk.is_open();
        let repeats = self.chances.repeat_write > 0 && self.rng.chance(self.chances.repeat_write);
        match self.disk.accept_write(nexus, token, repeats) {
            Admission::Refused => self.write_fails(token),
            Admission::Accepted { met_attentions } => {
                if met_attentions {
                    self.fault(FaultKind::WriteRepeated, || format!("n{number}"));
                }
                self.checkers.deposed_writes.accepted(token, open);
                let index = self.at(number);
                let linger = self.linger;
                let after = self.draw_hold(FaultKind::WriteQueuedInTarget, index, linger);
                self.schedule(after, Step::WriteLands { token });
            }
        }
    }

    fn write_fails(&mut self, token: u64) {
        self.checkers.deposed_writes.gone(token);
        let trip = self.trip_of(token);
        self.schedule(
            trip / 2,
            Step::WriteEnds {
                token,
                landed: None,
            },
        );
    }

    fn trip_of(&self, token: u64) -> Duration {
        let node = self.writes.out.get(&token).map(|write| write.node);
        node.map_or(Duration::ZERO, |number| {
            self.nodes[self.at(number)].round_trip
        })
    }

    pub(super) fn write_lands(&mut self, token: u64) {
        let Some(write) = self.writes.out.get(&token).cloned() else {
            self.disk.forget_write(token);
            return;
        };
        if !self.disk.land_write(token) {
            self.write_fails(token);
            return;
        }
        self.counts.writes += 1;
        let landed = match self.checkers.deposed_writes.landed(token) {
            Ok(landed) => landed,
            Err(what) => {
                // A disk that does not do what it says it did cannot keep anybody out.
                if !self.is_hostile() {
                    let node = write.node;
                    let found = Err(format!("n{node}: {what}"));
                    self.checkers.hold(Property::DeposedWrites, found);
                }
                Landed::Unbarred
            }
        };
        if landed != Landed::Present {
            self.count_exposed(&write, landed);
        }
        match write.content {
            Content::Record => self.checkers.acknowledged.landed(token),
            // A slot for each epoch: a late claim of an older term is never taken for the present one.
            Content::Claim(key) if write.term >= self.epoch_term => {
                self.epoch = Some(key);
                self.epoch_term = write.term;
            }
            Content::Mark(holder) if write.term >= self.epoch_term => {
                self.mark = Some(ParkedMark {
                    epoch: write.term,
                    holder,
                });
            }
            Content::Claim(_) | Content::Mark(_) => {}
        }
        let trip = self.trip_of(token);
        let landed = Some(landed);
        self.schedule(trip / 2, Step::WriteEnds { token, landed });
    }

    fn count_exposed(&mut self, write: &Write, landed: Landed) {
        self.counts.exposed += 1;
        let node = write.node;
        self.tell_more(|| format!("   a write of n{node} was exposed: {landed:?}"));
        let index = self.at(node);
        let config = &self.nodes[index].config;
        let fenced = config.mode == Mode::Persistent && self.disk.keeps_through_power_loss();
        if landed == Landed::Exposed && fenced && !self.opened_by_operator && !self.is_hostile() {
            self.counts.exposed_with_aptpl += 1;
            let found = Err(format!(
                "a write of n{node} was exposed in persistent mode with APTPL, and nobody cleared the disk"
            ));
            self.checkers.hold(Property::DeposedWrites, found);
        }
    }

    /// The host hears how its write ended.
    pub(super) fn write_ends(&mut self, token: u64, landed: Option<Ending>) {
        let Some(write) = self.writes.out.remove(&token) else {
            return;
        };
        let index = self.at(write.node);
        let node = &mut self.nodes[index];
        if node.incarnation != write.incarnation {
            self.checkers.acknowledged.forgotten(token);
            return;
        }
        node.writes_out -= 1;
        let may_answer = node.belief != Belief::Nothing
            && !node.paused
            && node.term == write.term
            && node.clock.shows(self.now) < node.proved_until
            && node.stood_until.is_none();
        match landed {
            Some(landed) if write.content == Content::Record && may_answer => {
                self.counts.acknowledged += 1;
                let exposed = landed != Landed::Present;
                let checker = &mut self.checkers.acknowledged;
                let found = checker.acknowledged(token, write.term, exposed);
                if !self.is_hostile() {
                    self.checkers.hold(Property::Acknowledged, found);
                }
                self.counts.acknowledged_exposed = self.checkers.acknowledged.exposed;
            }
            Some(_) | None => self.checkers.acknowledged.forgotten(token),
        }
        self.bid_farewell(index, matches!(write.content, Content::Mark(_)));
    }

    /// Everything that this nexus has under way is thrown away: the session was re-instated.
    pub(super) fn drop_writes_of(&mut self, nexus: Nexus) {
        let gone: Vec<u64> = self
            .writes
            .out
            .iter()
            .filter(|(_, write)| write.nexus == nexus)
            .map(|(token, _)| *token)
            .collect();
        for token in gone {
            self.checkers.deposed_writes.gone(token);
            self.checkers.acknowledged.forgotten(token);
            self.disk.forget_write(token);
            let Some(write) = self.writes.out.remove(&token) else {
                continue;
            };
            let index = self.at(write.node);
            let node = &mut self.nodes[index];
            if node.incarnation == write.incarnation {
                node.writes_out -= 1;
                // A mark that was sent is the point of no return, whatever came of it.
                self.bid_farewell(index, matches!(write.content, Content::Mark(_)));
            }
        }
    }

    /// SCSI-2: this nexus has reserved the disk; what it has under way from before will be accepted.
    pub(super) fn reserved_late(&mut self, nexus: Nexus) {
        let old = self
            .writes
            .out
            .iter()
            .filter(|(_, write)| write.nexus == nexus);
        for (token, _) in old {
            self.checkers.deposed_writes.excuse(*token);
        }
    }

    /// Without APTPL: what is under way at a power loss may be let in by a registration afterwards.
    pub(super) fn excuse_writes(&mut self) {
        for token in self.writes.out.keys() {
            self.checkers.deposed_writes.excuse(*token);
        }
    }

    /// Is anything of this nexus under way?
    pub(super) fn has_writes_of(&self, nexus: Nexus) -> bool {
        self.writes.out.values().any(|write| write.nexus == nexus)
    }

    // -------------------------------------------------------------- farewell

    /// The node parks or releases as soon as everything that it wrote has ended.
    pub(super) fn begin_farewell(&mut self, number: u8, farewell: Farewell) {
        let index = self.at(number);
        let node = &mut self.nodes[index];
        if node.belief == Belief::Nothing || node.farewell.is_some() {
            return;
        }
        // Whoever reads a mark does not wait for what an owner before this one may still run.
        if farewell == Farewell::Park && node.belief != Belief::Owner {
            return;
        }
        node.farewell = Some(farewell);
        self.bid_farewell(index, false);
    }

    /// Goes on with a farewell when nothing is under way any more. `marked`: the mark has been written, whatever
    /// came of it.
    fn bid_farewell(&mut self, index: usize, marked: bool) {
        let node = &self.nodes[index];
        let Some(farewell) = node.farewell.filter(|_| node.writes_out == 0) else {
            return;
        };
        if node.belief == Belief::Nothing {
            return;
        }
        // All that it started has ended before the mark is sent, or the disk is given back.
        self.checkers.one_owner.dies(node.number);
        let node = &self.nodes[index];
        match (farewell, node.key) {
            (Farewell::Park, Some(key)) if node.config.policy.has_log && !marked => {
                self.write_out(index, Content::Mark(key));
            }
            (Farewell::Park, _) => {
                self.nodes[index].belief = Belief::Nothing;
                self.give(index, Input::Park);
                self.tell_of_the_hand_over(index);
            }
            (Farewell::Release, _) => {
                self.nodes[index].belief = Belief::Nothing;
                self.give(index, Input::Release);
            }
        }
    }

    /// Half of the others hear of it.
    fn tell_of_the_hand_over(&mut self, parked: usize) {
        for index in 0..self.nodes.len() {
            let hears = index != parked && self.nodes[index].machine.is_some();
            if hears && self.rng.chance(500) {
                self.give(index, Input::HandedOver);
            }
        }
    }
}

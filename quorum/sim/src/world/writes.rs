//! A data write: decided by a node that believes it owns the disk, under way in its host, accepted by the
//! target (where access is checked), landed on the medium (where nothing is), answered, acknowledged.
//!
//! What is written stands in for the quorum log: the first write of a term claims the epoch in the superblock, the
//! others are records, and the last one before a hand-over is the parked mark. A record is acknowledged when its
//! write was answered GOOD while the ownership is proved. In a share of the worlds it is the shipped log itself that is
//! written ([`crate::log`]).

use super::{Step, World};
use crate::checkers::Property;
use crate::checkers::deposed_writes::Landed;
use crate::disk::{Admission, Nexus};
use crate::faults::{FaultKind, late_max_ms};
use crate::log::{Done, Quorum, Spoil};
use crate::node::{Belief, Farewell};
use quorum_core::arbitration::{Arbitration, Input, Mode, ParkedMark, Stage};
use scsi::reservation::Key;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Those that are under way.
#[derive(Default, Debug)]
pub(super) struct Writes {
    next: u64,
    out: BTreeMap<u64, Write>,
    /// Of those, what is to be written into the log, and where.
    late: BTreeMap<u64, (u64, Vec<u8>)>,
    /// Persistent mode: registered by a command of which nobody knows any more, and not by another since.
    registered_late: BTreeSet<Nexus>,
}

impl Writes {
    /// Those of this nexus.
    fn of(&self, nexus: Nexus) -> Vec<u64> {
        let of = self.out.iter().filter(|(_, write)| write.nexus == nexus);
        of.map(|(token, _)| *token).collect()
    }
}

/// A write that is under way.
#[derive(Clone, Debug)]
struct Write {
    node: u8,
    incarnation: u32,
    nexus: Nexus,
    term: u64,
    content: Content,
    /// Accepted while an operator had the disk opened.
    let_by_operator: bool,
}

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Content {
    /// The epoch is this key's.
    Claim(Key),
    Record,
    /// The disk is parked under this key.
    Mark(Key),
    /// A write of the log that its host has given up.
    Late,
}

/// How a write that landed did so.
pub(super) type Ending = Landed;

impl World {
    /// A node that believes it owns the disk, and may believe it still, writes.
    pub(super) fn write(&mut self, index: usize) {
        self.nodes[index].next_write = self.now + self.rhythm.write;
        if !self.may_write(index) {
            return;
        }
        let node = &mut self.nodes[index];
        let content = match node.key {
            Some(key) if node.must_claim => Content::Claim(key),
            Some(_) | None => Content::Record,
        };
        node.must_claim = false;
        if self.log.is_some() {
            self.write_log(index, matches!(content, Content::Claim(_)));
            return;
        }
        self.write_out(index, content);
    }

    /// Nothing is written while an owner takes its disk again after a power loss, nor when its proof has run out.
    fn may_write(&self, index: usize) -> bool {
        let node = &self.nodes[index];
        let stage = node.machine.as_ref().map(Arbitration::stage);
        let owns = matches!(stage, Some(Stage::Held | Stage::Owner));
        owns && node.clock.shows(self.now) < node.proved_until
    }

    // --------------------------------------------------------------- the log

    /// The owner claims the log, or appends a record to it; all at this instant, but for what goes wrong.
    fn write_log(&mut self, index: usize, claims: bool) {
        let number = self.nodes[index].number;
        let opens = claims || self.log.as_ref().is_some_and(|log| !log.is_open(number));
        if opens && self.nodes[index].writes_out > 0 {
            // A log is opened only when nothing of this node is under way any more: the driver's promise.
            self.nodes[index].must_claim = true;
            return;
        }
        let (token, admitted) = self.begin_log_write(index);
        let node = &self.nodes[index];
        let key = node.key;
        let proved = node.clock.shows(self.now) < node.proved_until;
        let Some(mut log) = self.log.take() else {
            return;
        };
        let done = if opens {
            match log.claim(number, key, &mut self.rng) {
                Ok(done) => done,
                Err(what) => {
                    self.checkers.hold(Property::Acknowledged, Err(what));
                    self.log = Some(log);
                    return;
                }
            }
        } else {
            let done = log.append(number, token, proved);
            if done.well && admitted {
                self.acknowledge_in(&mut log, index, token);
            }
            done
        };
        self.log = Some(log);
        self.nodes[index].must_claim |= !done.well;
        self.send_late(index, done);
    }

    /// One real write of this node: is it admitted? Then those of the log are, at this instant.
    fn begin_log_write(&mut self, index: usize) -> (u64, bool) {
        self.writes.next += 1;
        let token = self.writes.next;
        let path = self.path_for_a_write(index);
        let node = &self.nodes[index];
        let write = Write {
            node: node.number,
            incarnation: node.incarnation,
            nexus: node.nexuses[path],
            term: node.term,
            content: Content::Record,
            let_by_operator: false,
        };
        let reachable = node.path_up[path] && self.now >= self.outage_until;
        self.decided(token, &write, index);
        let open = self.disk.is_open();
        let accepted = reachable
            && matches!(
                self.disk.accept_write(write.nexus, token, true),
                Admission::Accepted { .. }
            );
        if accepted {
            self.accepted(token, open);
        }
        let admitted = accepted && self.disk.land_write(token);
        if admitted {
            self.counts.writes += 1;
            self.judge_landed(token, &write);
        } else {
            self.checkers.deposed_writes.gone(token);
        }
        let spared = self.spared == Some(write.node);
        let spoils = !spared && self.rng.chance(self.chances.hold_write);
        let spoil = spoils.then(|| {
            let which = self.rng.below(4);
            let kept = self.rng.chance(700);
            (which, if kept { Spoil::Kept } else { Spoil::AnswerLost })
        });
        if let Some((_, spoil)) = spoil.filter(|_| admitted) {
            let kind = match spoil {
                Spoil::Kept => FaultKind::WriteHeldInHost,
                Spoil::AnswerLost => FaultKind::ReplyLost,
            };
            self.fault(kind, || format!("the log of n{}", write.node));
        }
        if let Some(log) = &self.log {
            log.prepare(admitted, spoil);
        }
        (token, admitted)
    }

    fn acknowledge_in(&mut self, log: &mut Quorum, index: usize, token: u64) {
        let node = &self.nodes[index];
        if node.term == self.checkers.deposed_writes.term() {
            self.counts.acknowledged += 1;
            self.counts.acknowledged_in_logs += 1;
            log.acknowledge(token);
        } else {
            // Through a disk that was opened under the next owner.
            self.counts.acknowledged_exposed += 1;
        }
    }

    /// What its host has given up travels on.
    fn send_late(&mut self, index: usize, done: Done) {
        for (offset, bytes) in done.kept {
            self.write_out(index, Content::Late);
            self.writes.late.insert(self.writes.next, (offset, bytes));
        }
    }

    fn judge_landed(&mut self, token: u64, write: &Write) -> Landed {
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
        match landed {
            Landed::Present => {}
            Landed::LetIn => self.counts.let_in += 1,
            Landed::Exposed | Landed::Unbarred => self.count_exposed(write, landed),
        }
        if landed != Landed::Present && self.log.as_mut().is_some_and(Quorum::is_exposed) {
            self.counts.logs_exposed += 1;
        }
        landed
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
            let_by_operator: false,
        };
        self.decided(token, &write, index);
        self.writes.out.insert(token, write);
        let after = self.draw_hold(FaultKind::WriteHeldInHost, index, Duration::from_millis(2));
        self.schedule(after, Step::WriteArrives { token });
    }

    fn decided(&mut self, token: u64, write: &Write, index: usize) {
        let checker = &mut self.checkers.deposed_writes;
        checker.decided(token, write.term);
        let cannot_know = self.nodes[index].stood_until.is_some();
        if cannot_know && self.writes.registered_late.contains(&write.nexus) {
            checker.let_in(token);
        }
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
        if kind == FaultKind::WriteHeldInHost
            && let Some(span) = self.nodes[index].hold_next.take()
        {
            return span;
        }
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
                self.accepted(token, open);
                let index = self.at(number);
                let linger = self.linger;
                let after = self.draw_hold(FaultKind::WriteQueuedInTarget, index, linger);
                self.schedule(after, Step::WriteLands { token });
            }
        }
    }

    fn accepted(&mut self, token: u64, open: bool) {
        self.checkers.deposed_writes.accepted(token, open, self.now);
        if open && self.opened_by_operator && self.mode() == Mode::Persistent {
            // Behind the next owner's barrier, perhaps, and before it hears of its win.
            self.checkers.deposed_writes.excuse(token);
            if let Some(write) = self.writes.out.get_mut(&token) {
                write.let_by_operator = true;
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
        let landed = self.judge_landed(token, &write);
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
            Content::Late => {
                if let (Some(log), Some((offset, bytes))) =
                    (&self.log, self.writes.late.remove(&token))
                {
                    log.land(offset, &bytes);
                    self.counts.late_log_writes += 1;
                }
            }
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
        let opened = self.opened_by_operator || write.let_by_operator;
        if landed == Landed::Exposed && fenced && !opened && !self.is_hostile() {
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
        self.writes.late.remove(&token);
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
        for token in self.writes.of(nexus) {
            self.checkers.deposed_writes.gone(token);
            self.checkers.acknowledged.forgotten(token);
            self.disk.forget_write(token);
            self.writes.late.remove(&token);
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

    /// Persistent mode: this nexus has been registered; late: by a command of which nobody knows any more.
    pub(super) fn registered(&mut self, nexus: Nexus, late: bool) {
        if !late {
            self.writes.registered_late.remove(&nexus);
            return;
        }
        self.writes.registered_late.insert(nexus);
        for token in self.writes.of(nexus) {
            self.checkers.deposed_writes.let_in(token);
        }
    }

    /// SCSI-2: this nexus has reserved the disk; what it has under way from before will be accepted.
    pub(super) fn reserved_late(&mut self, nexus: Nexus) {
        for token in self.writes.of(nexus) {
            self.checkers.deposed_writes.excuse(token);
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

    /// The mark is sent: there is no way back, whatever comes of it.
    fn park_log(&mut self, index: usize) {
        let (_, _) = self.begin_log_write(index);
        let number = self.nodes[index].number;
        if let Some(log) = &mut self.log {
            let done = log.park(number);
            self.send_late(index, done);
        }
        self.nodes[index].belief = Belief::Nothing;
        self.give(index, Input::Park);
    }

    /// Goes on with a farewell when nothing is under way any more. `marked`: the mark has been written, whatever
    /// came of it.
    pub(super) fn bid_farewell(&mut self, index: usize, marked: bool) {
        let node = &self.nodes[index];
        let Some(farewell) = node.farewell.filter(|_| node.writes_out == 0) else {
            return;
        };
        if node.belief == Belief::Nothing {
            return;
        }
        let writes_a_mark = farewell == Farewell::Park && node.config.policy.has_log && !marked;
        if writes_a_mark && (node.paused || !self.may_write(index)) {
            // The mark is a write as any other: the people try again.
            let (node, incarnation) = (node.number, node.incarnation);
            let after = self.rhythm.write;
            self.schedule(after, Step::Farewell { node, incarnation });
            return;
        }
        // All that it started has ended before the mark is sent, or the disk is given back.
        self.checkers.one_owner.dies(node.number);
        let node = &self.nodes[index];
        match (farewell, node.key) {
            (Farewell::Park, Some(_)) if self.log.is_some() && !marked => self.park_log(index),
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

//! What a node is told of its ownership, and what it may believe until when, told to the checkers of owners and writes.

use super::{Tells, World};
use crate::checkers::Property;
use crate::disk::Nexus;
use crate::node::Belief;
use crate::words::{event_word, stopped_word};
use quorum_core::Instant;
use quorum_core::arbitration::{Event, Mode, Stopped};
use scsi::reservation::Key;

impl World {
    pub(super) fn note(&mut self, index: usize, event: &Event) {
        self.note_path(index, event);
        if self.tells >= Tells::Events && !matches!(event, Event::Defended { .. }) {
            let number = self.nodes[index].number;
            self.line(&format!("n{number} {}", event_word(event)));
        }
        match event {
            Event::Barrier(kind) => {
                self.nodes[index].weak_barrier = Self::is_weak(*kind);
            }
            // A wait by a clock that stands still is longer, and no harm.
            Event::Waiting { .. } => self.nodes[index].stood = false,
            Event::Held { key, .. } => self.held(index, *key),
            Event::Owner { .. } => self.owner(index),
            Event::Retaken { key } => {
                let node = &mut self.nodes[index];
                node.key = Some(*key);
                node.must_claim = true;
                self.disk_may_close();
            }
            Event::Removed { .. } => self.counts.defences += 1,
            Event::Crowded { .. } => {
                let number = self.nodes[index].number;
                self.checkers.live_owner.trouble(self.now, number);
            }
            Event::Stopped(stopped) => self.stopped(index, stopped),
            _ => {}
        }
    }

    /// Over which paths a node may write.
    fn note_path(&mut self, index: usize, event: &Event) {
        let node = &mut self.nodes[index];
        let (path, usable) = match event {
            Event::Registered { path, key } => {
                // Another key: another pass, in which each path must be registered anew.
                if node.registered_as.replace(*key) != Some(*key) {
                    node.path_good.fill(false);
                }
                (path, true)
            }
            Event::Path { path, usable } => (path, *usable),
            _ => return,
        };
        if let Some(good) = node.path_good.get_mut(usize::from(path.0)) {
            *good = usable;
        }
    }

    pub(super) fn proved(&mut self, index: usize, until: Instant) {
        let now = self.now;
        let node = &mut self.nodes[index];
        assert!(until > node.proved_until, "proof only ever moves on");
        node.proved_until = until;
        if node.proof_is_fresh() {
            node.stood_until = None;
        }
        let fresh = self.knows_the_time(index);
        let node = &self.nodes[index];
        let sent_at = node.clock.when(until - node.config.times.self_stop);
        let revived =
            node.stood_until.is_none() && node.belief != Belief::Nothing && sent_at > self.held_at;
        if revived && node.term < self.checkers.deposed_writes.term() {
            self.revived(index);
        }
        let node = &self.nodes[index];
        if node.belief == Belief::Owner {
            let (number, until) = (node.number, node.acts_until());
            let found = self.checkers.one_owner.proved(now, number, until, fresh);
            self.checkers.hold(Property::OneOwner, found);
        }
    }

    /// Is what a node knows of time worth something? Not after its clock has stood still, until it has proved its
    /// ownership anew; and where it may have come back through an open disk, not before the end of its term: under
    /// SCSI-2, and when a later term has begun.
    pub(super) fn knows_the_time(&self, index: usize) -> bool {
        let node = &self.nodes[index];
        let over = node.term < self.checkers.deposed_writes.term();
        let doubtful = over || node.config.mode == Mode::Spc2;
        node.proof_is_fresh() && !(node.stood && doubtful)
    }

    /// An owner has proved its ownership by a round that was sent after another one had been told `Held`.
    /// Under SCSI-2 a reset can let it reserve again before the other one does. In persistent mode that takes a disk
    /// that was open, and a clock that stood still.
    pub(super) fn revived(&mut self, index: usize) {
        let node = &self.nodes[index];
        let (number, term) = (node.number, node.term);
        let may_be = node.config.mode == Mode::Spc2 || node.stood && self.opened_since_held;
        if may_be {
            if self.checkers.deposed_writes.revived(term) {
                self.counts.revived += 1;
            }
            self.checkers.live_owner.disk_trouble(self.now);
        } else if !self.is_hostile() {
            let found = Err(format!(
                "n{number} proves its term {term} after a later one began"
            ));
            self.checkers.hold(Property::DeposedWrites, found);
        }
    }

    fn held(&mut self, index: usize, key: Option<Key>) {
        let now = self.now;
        let node = &mut self.nodes[index];
        node.belief = Belief::Held;
        node.key = key;
        node.must_claim = true;
        node.next_write = now;
        let fresh = node.proof_is_fresh();
        // Under SCSI-2 its win may be an old one already.
        node.stood = !fresh || node.stood && node.config.mode == Mode::Spc2;
        if !fresh && node.stands_since <= self.held_at {
            // It is told of a win that is over: another one has held the disk since its clock stood still.
            node.term = 0;
            return;
        }
        self.note_revived_before(index);
        let node = &mut self.nodes[index];
        // A reset of which it could not know may have opened the disk behind its barrier.
        let reserved_at = if node.blind {
            node.cleared_at
        } else {
            node.reserve_took_effect_at
        };
        self.checkers
            .deposed_writes
            .held(!node.weak_barrier, reserved_at);
        node.weak_barrier = false;
        node.term = self.checkers.deposed_writes.term();
        self.counts.terms += 1;
        self.held_at = now;
        self.opened_by_operator &= self.disk.is_open();
        self.opened_since_held = self.disk.is_open();
        let found = self.checkers.acknowledged.read_by_next_owner();
        self.checkers.hold(Property::Acknowledged, found);
        self.disk_may_close();
    }

    fn owner(&mut self, index: usize) {
        let now = self.now;
        let node = &mut self.nodes[index];
        node.belief = Belief::Owner;
        let number = node.number;
        let until = node.acts_until();
        let leaves = node.farewell.is_some();
        let fresh = self.knows_the_time(index);
        // One that is about to leave starts nothing any more.
        if !leaves {
            let checker = &mut self.checkers.one_owner;
            let found = checker.told_owner(now, number, until, fresh);
            self.checkers.hold(Property::OneOwner, found);
        }
        self.counts.owners += 1;
        if self.last_owner.replace(number) != Some(number) {
            self.counts.changes += 1;
        }
    }

    fn stopped(&mut self, index: usize, stopped: &Stopped) {
        let now = self.now;
        let node = &mut self.nodes[index];
        let number = node.number;
        let was_owner = node.belief != Belief::Nothing;
        node.belief = Belief::Nothing;
        let stop_time = node.config.times.stop_time;
        let proof_ends = node.clock.when(node.proved_until);
        self.checkers
            .one_owner
            .stops(number, now.min(proof_ends) + stop_time);
        let wanted = matches!(stopped, Stopped::Parked | Stopped::Released { .. });
        let by_foreign = matches!(stopped, Stopped::Deposed { .. } | Stopped::SelfStop { .. });
        let protected = self.checkers.live_owner.protected == Some(number);
        if !wanted && (protected || (was_owner && by_foreign)) {
            if !self.is_fit(index) {
                self.checkers.live_owner.trouble(now, number);
            }
            let how = stopped_word(stopped);
            let found = self.checkers.live_owner.lost_the_disk(now, number, &how);
            self.checkers.hold(Property::LiveOwner, found);
        }
    }

    /// SCSI-2: this node is told of its win. Has an owner of before whose clock stood still reserved the disk meanwhile, behind a
    /// reset that came after the win's own reservation?
    fn note_revived_before(&mut self, winner: usize) {
        if self.mode() != Mode::Spc2 {
            return;
        }
        let revived = (0..self.nodes.len()).find(|index| {
            let node = &self.nodes[*index];
            let believes = node.belief != Belief::Nothing;
            let reserved = |nexus: &Nexus| self.disk.is_reserved_by(*nexus);
            *index != winner && believes && node.nexuses.iter().any(reserved)
        });
        if let Some(index) = revived {
            self.revived(index);
        }
    }
}

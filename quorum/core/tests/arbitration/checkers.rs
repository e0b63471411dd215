//! What must hold after each step, one checker for each property (names as in the facts on arbitration).
//!
//! * **S2**: once a node was told `Held`, no write of an earlier term reaches the medium; a write that was
//!   accepted on an open disk *after* that is counted as exposed (a power loss without APTPL, a reset under
//!   SPC-2, a CLEAR).
//! * **S3**: a node that is protected (alive, never paused, its commands not faulty) is never deposed and
//!   never stops itself.
//! * **S4**: the key of a protected owner is never absent, and holds, but for a power loss without APTPL.
//! * **S5**: when a node is told `Owner`, every other node that is not paused has stopped, with all that it
//!   started, before.
//! * **Self-stop**: a node that runs past its proof has stopped itself.

use crate::disk::Disk;
use crate::words::{ms, stopped_word};
use crate::world::{Belief, Node};
use quorum_core::Instant;
use quorum_core::arbitration::{Mode, Status, Stopped};
use std::collections::BTreeMap;

#[derive(Default)]
pub(crate) struct Checkers {
    pub(crate) violations: Vec<String>,
    /// Terms begun so far.
    pub(crate) terms: u64,
    /// The term of each write that is under way.
    writes: BTreeMap<u64, Write>,
    pub(crate) exposed: u64,
    pub(crate) landed: u64,
    pub(crate) owners: u64,
    /// This node must stay owner.
    pub(crate) protected: Option<u8>,
    /// The disk forgot all registrations; until the owner has taken it again its key is absent.
    pub(crate) power_lost: bool,
    /// Some term began without a barrier: its first reads stand on the settle time alone.
    barrier_missing: bool,
}

struct Write {
    term: u64,
    /// Accepted on an open disk, in this term.
    open_in: Option<u64>,
}

impl Checkers {
    fn violated(&mut self, what: String) {
        self.violations.push(what);
    }

    /// The same owner goes on, so that its own writes are no old ones.
    pub(crate) fn retaken(&mut self) {
        self.power_lost = false;
    }

    pub(crate) fn held(&mut self) {
        self.terms += 1;
        self.power_lost = false;
    }

    pub(crate) fn no_barrier(&mut self) {
        self.barrier_missing = true;
    }

    pub(crate) fn wrote(&mut self, token: u64) {
        let write = Write {
            term: self.terms,
            open_in: None,
        };
        self.writes.insert(token, write);
    }

    pub(crate) fn accepted(&mut self, token: u64, open: bool) {
        let terms = self.terms;
        if let Some(write) = self.writes.get_mut(&token) {
            write.open_in = open.then_some(terms);
        }
    }

    pub(crate) fn landed(&mut self, token: u64) {
        self.landed += 1;
        let Some(write) = self.writes.remove(&token) else {
            return;
        };
        if write.term == self.terms || self.barrier_missing {
            return;
        }
        if write.open_in == Some(self.terms) {
            self.exposed += 1;
        } else {
            self.violated(format!(
                "S2: a write of term {} landed in term {}",
                write.term, self.terms
            ));
        }
    }

    pub(crate) fn owner(&mut self, now: Instant, number: u8, nodes: &BTreeMap<u8, Node>) {
        self.owners += 1;
        for (other, node) in nodes {
            let stops_at = node.proved_until + node.config.times.stop_time;
            let alive = !node.paused && node.machine.is_some();
            if *other != number && alive && node.belief == Belief::Owner && stops_at > now {
                self.violated(format!(
                    "S5: n{number} is told Owner while n{other} is Owner until {}",
                    ms(stops_at.elapsed_since_zero())
                ));
            }
        }
    }

    pub(crate) fn stopped(&mut self, now: Instant, number: u8, stopped: &Stopped) {
        let wanted = matches!(stopped, Stopped::Parked | Stopped::Released { .. });
        if self.protected == Some(number) && !wanted {
            self.violated(format!(
                "S3: n{number}, alive, was stopped at {}: {}",
                ms(now.elapsed_since_zero()),
                stopped_word(stopped)
            ));
        }
    }

    pub(crate) fn after_effect(&mut self, disk: &Disk, nodes: &BTreeMap<u8, Node>) {
        let Some(node) = self.protected.and_then(|number| nodes.get(&number)) else {
            return;
        };
        let (Some(key), Mode::Persistent) = (node.key, node.config.mode) else {
            return;
        };
        let state = disk.state();
        if node.belief != Belief::Nothing
            && !self.power_lost
            && !(state.has_key(key) && state.is_held_by(key))
        {
            self.violated("S4: the key of a live owner is absent, or does not hold".into());
        }
    }

    pub(crate) fn after_input(&mut self, now: Instant, number: u8, nodes: &BTreeMap<u8, Node>) {
        let Some(node) = nodes.get(&number) else {
            return;
        };
        let Some(machine) = &node.machine else {
            return;
        };
        let owns = matches!(machine.status(), Status::Held | Status::Owner);
        if owns && now >= node.proved_until {
            self.violated(format!("self-stop: n{number} goes on past its proof"));
        }
    }
}

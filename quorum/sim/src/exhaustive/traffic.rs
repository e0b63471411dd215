//! What is under way to the disk: commands and writes, and how each may end.

use super::{Fate, World, nexus};
use quorum_core::Instant;
use quorum_core::arbitration::{CommandId, Input};
use scsi::logical_unit::{Accepted, Config as UnitConfig, MemoryMedia, Shared};
use scsi::reservation::{Answer, Exchange, Reply, Uncertainty, Verb};
use scsi::reservations::Reservations as _;
use scsi::reservations::over_device::OverDevice;
use scsi::wire::cdb::{Access, BlockRange, Command};
use scsi::wire::status::Status;
use std::time::Duration;

impl World {
    pub(super) fn effect(&mut self, index: usize) {
        let (node, verb) = (
            self.commands[index].node,
            self.commands[index].verb.0.clone(),
        );
        let shared = Shared::new(UnitConfig::default());
        shared.with(|unit, _| std::mem::swap(unit, &mut self.unit));
        let mut way = OverDevice::new(shared.device(nexus(node)));
        let mut exchange = way.perform(&verb, Duration::from_secs(1));
        shared.with(|unit, _| std::mem::swap(unit, &mut self.unit));
        if let Answer::Done(Reply::State(state)) = &mut exchange.answer {
            state.generation = 0;
        }
        if self.commands[index].fate == Fate::Late {
            if verb == Verb::Spc2Reserve {
                // It takes the disk, and no protocol of SCSI-2 keeps it from that.
                self.trouble_all();
            }
            self.commands.remove(index);
        } else {
            self.commands[index].fate = Fate::Coming(Box::new(exchange));
        }
    }

    fn trouble_all(&mut self) {
        for node in &mut self.nodes {
            node.troubled = true;
        }
    }

    /// Something goes wrong with a command. One lost command of an owner is covered, and so it is no excuse, unless
    /// another fault has befallen it too.
    pub(super) fn spoil(&mut self, index: usize, fate: Fate) {
        self.faults_left -= 1;
        self.commands[index].fate = fate;
    }

    pub(super) fn time_out(&mut self, index: usize) {
        let Some(id) = self.commands[index].id else {
            return;
        };
        let (node, sent_at) = (self.commands[index].node, self.commands[index].sent_at);
        if self.commands[index].fate == Fate::Late {
            let late = &mut self.commands[index];
            late.id = None;
            late.ticks = 0;
        } else {
            self.commands.remove(index);
        }
        let timed_out = Answer::OutcomeUnknown(Uncertainty::TimedOut);
        self.answer(node, id, sent_at, timed_out.into());
    }

    pub(super) fn answer(
        &mut self,
        node: usize,
        id: CommandId,
        sent_at: Instant,
        exchange: Exchange,
    ) {
        let input = Input::Answer {
            id,
            sent_at,
            exchange,
        };
        self.give(node, input);
    }

    pub(super) fn accept(&mut self, index: usize) {
        let range = BlockRange::Ten { lba: 0, blocks: 1 };
        let access = Access::default();
        let cdb = Command::Write { range, access }.cdb();
        let nexus = nexus(self.writes[index].node);
        let open = !self.unit.is_reserved();
        // The host's driver repeats a write that met attentions; they are few.
        for _ in 0..8 {
            match self.unit.accept(&nexus, &cdb, &[0; 512]) {
                Accepted::Waits(tag) => {
                    let write = &mut self.writes[index];
                    write.accepted = Some(tag);
                    write.open = open;
                    return;
                }
                Accepted::Ended(outcome) if outcome.status == Status::CHECK_CONDITION => {}
                Accepted::Ended(_) => break,
            }
        }
        self.writes.remove(index);
    }

    pub(super) fn land(&mut self, index: usize) {
        let write = self.writes.remove(index);
        let Some(tag) = write.accepted else {
            return;
        };
        let mut media = MemoryMedia::new();
        let outcome = self.unit.run(tag, &mut media);
        let landed = outcome.is_some_and(|outcome| outcome.status == Status::GOOD);
        // Through a disk that a reset had opened it is exposed, and counted elsewhere.
        if landed && write.term < self.terms && !write.open {
            self.violated = Some("S2: a deposed owner's write landed");
        }
    }
}

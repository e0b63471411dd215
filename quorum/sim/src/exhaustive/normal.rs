//! The normal form of a world: now is 0, commands are numbered anew, and what the past cannot tell any more is forgotten,
//! so that worlds that go on alike are one state.

use super::{Fate, World};
use quorum_core::Instant;
use quorum_core::arbitration::{Arbitration, CommandId, Input};
use std::collections::BTreeMap;

impl World {
    pub(super) fn normalize(&mut self) {
        self.unit = self.unit.clone().without_generation();
        for index in 0..self.nodes.len() {
            if self.nodes[index].paused.is_some() {
                // Its machine has not heard of the time that passes: it stands in the node's own frame until it goes on.
                continue;
            }
            let now = self.nodes[index].now;
            let to_normal = |at: Instant| {
                if at >= now {
                    Arbitration::NORMAL_NOW + at.saturating_since(now)
                } else {
                    Arbitration::NORMAL_NOW - now.saturating_since(at)
                }
            };
            let node = &mut self.nodes[index];
            let mut renamed = BTreeMap::new();
            if let Some(machine) = &node.machine {
                let (normal, pairs) = machine.normalized();
                renamed.extend(pairs);
                node.machine = Some(normal);
            }
            node.now = Arbitration::NORMAL_NOW;
            node.proved_until = to_normal(node.proved_until).max(Arbitration::NORMAL_NOW);
            for input in &mut node.inbox {
                if let Input::Answer { id, sent_at, .. } = input {
                    *id = renamed.get(id).copied().unwrap_or(CommandId(0));
                    *sent_at = to_normal(*sent_at);
                }
            }
            node.inbox.dedup();
            for command in self.commands.iter_mut().filter(|one| one.node == index) {
                command.id = command.id.and_then(|id| renamed.get(&id).copied());
                command.sent_at = if command.id.is_some() {
                    to_normal(command.sent_at)
                } else {
                    Arbitration::NORMAL_NOW
                };
                if command.id.is_none() {
                    command.ticks = 0;
                }
            }
        }
        self.commands
            .retain(|one| one.id.is_some() || one.fate == Fate::Late);
        self.commands.sort();
        self.writes.sort();
    }
}

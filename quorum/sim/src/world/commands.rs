//! A command: decided, sent, performed, answered; and what goes wrong with it on the way.

use super::{Effect, Step, World};
use crate::checkers::Property;
use crate::disk::Nexus;
use crate::faults::{Fault, FaultKind};
use crate::node::{Ambush, Belief, Unsent as Held};
use quorum_core::Instant;
use quorum_core::arbitration::{Arbitration, CommandId, Input, Mode, PathId, Stage};
use scsi::reservation::{Answer, Exchange, Refusal, Uncertainty, Unsent, Verb};
use std::time::Duration;

/// BUSY (SAM-5).
const BUSY: u8 = 0x08;

impl World {
    pub(super) fn send(
        &mut self,
        index: usize,
        id: CommandId,
        path: PathId,
        verb: Verb,
        bound: Duration,
    ) {
        let node = &mut self.nodes[index];
        if node.paused {
            node.unsent.push(Held {
                id,
                path,
                verb,
                bound,
                decided_at: self.now,
            });
            return;
        }
        let held = Held {
            id,
            path,
            verb,
            bound,
            decided_at: self.now,
        };
        self.send_now(index, held);
    }

    /// A command leaves its host, perhaps long after it was decided on.
    pub(super) fn send_now(&mut self, index: usize, held: Held) {
        let Held {
            id,
            path,
            verb,
            bound,
            decided_at,
        } = held;
        let stalled = self.now.saturating_since(decided_at);
        let node = &mut self.nodes[index];
        let number = node.number;
        let trip = node.round_trip;
        let incarnation = node.incarnation;
        let nexus = node.nexuses[usize::from(path.0)];
        let springs = |(name, _): &mut (&str, Ambush)| verb.name().contains(*name);
        if let Some((_, what)) = node.ambushes.pop_front_if(springs) {
            let within = u64::try_from(trip.as_micros()).unwrap_or(u64::MAX) * 2;
            let after = Duration::from_micros(self.rng.below(within));
            self.schedule(after, Step::Ambush { node: number, what });
        }
        let fault = self.draw_fault(index, path, &verb);
        if let Some(fault) = fault {
            self.fault(fault.kind(), || {
                format!("n{number} {}: {fault:?}", verb.name())
            });
            self.excuse(index, fault, bound);
        }
        let (effect, reply) = match fault {
            Some(Fault::NoPath) => {
                let gone = Answer::NotSent(Unsent::NoPath("gone".into()));
                return self.answer(index, id, Duration::ZERO, gone.into());
            }
            Some(Fault::Busy) => {
                let busy = Answer::Refused(Refusal::Status(BUSY));
                return self.answer(index, id, trip, busy.into());
            }
            Some(Fault::Transport { took_effect }) => {
                let why = Uncertainty::Transport("the connection was reset".into());
                self.answer(index, id, trip, Answer::OutcomeUnknown(why).into());
                if !took_effect {
                    return;
                }
                (Some(trip / 2), None)
            }
            Some(Fault::LoseRequest) => (None, None),
            Some(Fault::LoseReply) => (Some(trip / 2), None),
            Some(Fault::Zombie(late)) => (Some(late), None),
            Some(Fault::Slow(late)) => (Some(late / 2), Some(late)),
            None => (Some(trip / 2), Some(trip)),
        };
        let node = &self.nodes[index];
        let sent_at = node.clock.shows(self.now);
        let in_time = reply.filter(|reply| *reply <= bound);
        let transport = matches!(fault, Some(Fault::Transport { .. }));
        if let Some(after) = effect {
            let effect = Effect {
                node: number,
                incarnation,
                nexus,
                id,
                verb,
                sent_at,
                reply_at: in_time.map(|reply| self.now + reply),
                late: stalled + after > bound,
            };
            self.schedule(after, Step::Effect(effect));
        }
        if in_time.is_none() && !transport {
            let timed_out = Answer::OutcomeUnknown(Uncertainty::TimedOut);
            self.answer(index, id, bound, timed_out.into());
        }
    }

    fn answer(&mut self, index: usize, id: CommandId, after: Duration, exchange: Exchange) {
        let sent_at = self.nodes[index].clock.shows(self.now);
        let input = Input::Answer {
            id,
            sent_at,
            exchange,
        };
        self.reply(index, after, input);
    }

    /// What the loss of this command excuses.
    fn excuse(&mut self, index: usize, fault: Fault, bound: Duration) {
        let now = self.now;
        let node = &self.nodes[index];
        let number = node.number;
        let live = &mut self.checkers.live_owner;
        match fault {
            Fault::LoseRequest | Fault::LoseReply | Fault::Zombie(_) | Fault::Transport { .. } => {
                live.lost_command(now, number);
            }
            Fault::Slow(late) if late <= node.config.times.round_trip => {}
            Fault::Slow(late) => live.lost_command(now + late.min(bound), number),
            Fault::NoPath | Fault::Busy => live.trouble(now, number),
        }
    }

    fn draw_fault(&mut self, index: usize, path: PathId, verb: &Verb) -> Option<Fault> {
        let node = &mut self.nodes[index];
        if !node.path_up[usize::from(path.0)] {
            return Some(Fault::NoPath);
        }
        let named = node
            .faults
            .iter()
            .position(|(name, _)| verb.name().contains(name.as_str()));
        if let Some(place) = named {
            return Some(node.faults.remove(place).1);
        }
        if self.spared == Some(node.number) {
            return None;
        }
        self.chances.draw(&mut self.rng)
    }

    // ---------------------------------------------------------------- effect

    pub(super) fn take_effect(&mut self, effect: Effect) {
        if self.now < self.outage_until {
            // The disk answers nobody; the sender hears nothing, at its bound.
            if let Some(reply_at) = effect.reply_at {
                let exchange = Answer::OutcomeUnknown(Uncertainty::TimedOut).into();
                self.bring(&effect, reply_at, exchange);
            }
            return;
        }
        // Under SCSI-2 a RESERVE that takes effect late takes the disk, and any late command may eat an attention.
        let eats = effect.late && self.disk.has_attentions(effect.nexus);
        if effect.late && effect.verb == Verb::Spc2Reserve || eats && self.mode() == Mode::Spc2 {
            self.checkers.live_owner.disk_trouble(self.now);
        }
        if let Verb::Reset { .. } = effect.verb
            && self.mode() == Mode::Spc2
        {
            self.note_reset();
        }
        let index = self.at(effect.node);
        self.nodes[index].blind |= eats;
        if self.nodes[index].eats_attentions {
            self.fault(FaultKind::AttentionsEaten, || format!("n{}", effect.node));
            if self.mode() == Mode::Spc2 {
                self.checkers.live_owner.disk_trouble(self.now);
                self.nodes[index].blind |= self.disk.has_attentions(effect.nexus);
            }
            self.disk.eat_attentions(effect.nexus);
        }
        let owner = self.holding_owner();
        let was_open = self.disk.is_open();
        let exchange = self.disk.perform(effect.nexus, &effect.verb);
        self.tell_more(|| {
            format!(
                "   n{} {}{} -> {}",
                effect.node,
                if effect.late { "LATE " } else { "" },
                crate::words::verb_word(&effect.verb),
                crate::words::answer_word(&exchange.answer)
            )
        });
        if let Verb::Reserve { .. } = effect.verb
            && matches!(exchange.answer, Answer::Done(_))
        {
            self.note_retake(&effect, index);
        }
        if effect.verb == Verb::ClearTaskSet {
            // What was accepted while it could see no reset is nobody's doing: there is no barrier behind it.
            self.nodes[index].cleared_at = Some(self.now);
            self.nodes[index].blind = false;
        }
        if effect.verb == Verb::Spc2Reserve && matches!(exchange.answer, Answer::Done(_)) {
            self.note_reserve(&effect, index);
        }
        if let Verb::Register { new: Some(_), .. } = effect.verb
            && matches!(exchange.answer, Answer::Done(_))
        {
            self.registered(effect.nexus, effect.late);
        }
        if let Some(owner) = owner {
            self.check_key(&effect, owner);
        }
        if was_open != self.disk.is_open() {
            self.disk_may_open();
        }
        if let Some(reply_at) = effect.reply_at {
            self.bring(&effect, reply_at, exchange);
        }
    }

    fn bring(&mut self, effect: &Effect, at: Instant, exchange: Exchange) {
        let reply = Step::Reply {
            node: effect.node,
            incarnation: effect.incarnation,
            input: Input::Answer {
                id: effect.id,
                sent_at: effect.sent_at,
                exchange,
            },
        };
        self.schedule(at.saturating_since(self.now), reply);
    }

    /// SCSI-2: a RESERVE took effect of which nobody knows any more, or whose sender does not know that its term is
    /// over. What its nexus has under way will be accepted.
    fn note_reserve(&mut self, effect: &Effect, index: usize) {
        self.nodes[index].reserve_took_effect_at = Some(self.now);
        let node = &self.nodes[index];
        if node.stood {
            self.checkers.live_owner.disk_trouble(self.now);
        }
        let node = &self.nodes[index];
        let believes = node.belief != Belief::Nothing && node.incarnation == effect.incarnation;
        if !believes || effect.late {
            self.reserved_late(effect.nexus);
        }
        let node = &self.nodes[index];
        if believes && node.term < self.checkers.deposed_writes.term() {
            self.revived(index);
        }
    }

    /// An owner whose clock stood still, and whose term is over, takes a disk again that an operator has cleared, or that
    /// forgot everything without power: it learns from the epoch that it is another's only when it has reserved, and what it
    /// has under way lands meanwhile. So it does where its RESERVE takes effect when it has stopped already.
    fn note_retake(&mut self, effect: &Effect, index: usize) {
        let node = &self.nodes[index];
        let term = node.term;
        let believes = node.belief != Belief::Nothing && node.incarnation == effect.incarnation;
        let over = believes && term < self.checkers.deposed_writes.term();
        if over
            && node.stood
            && self.opened_by_operator
            && self.checkers.deposed_writes.revived(term)
        {
            self.counts.revived += 1;
        }
        let node = &self.nodes[index];
        let stopped = node.belief == Belief::Nothing && node.stood;
        if stopped && effect.late && self.opened_by_operator {
            self.reserved_late(effect.nexus);
        }
    }

    /// The owner whose key is there and holds, in persistent mode.
    fn holding_owner(&self) -> Option<usize> {
        if self.mode() == Mode::Spc2 {
            return None;
        }
        let owner = self.nodes.iter().position(|node| {
            node.belief != Belief::Nothing
                && node.farewell.is_none()
                // A contender that was told to withdraw, and heard of its win before.
                && node.machine.as_ref().map(Arbitration::stage) != Some(Stage::Leaving)
                && node.clock.shows(self.now) < node.proved_until
        })?;
        self.key_holds(owner).then_some(owner)
    }

    fn key_holds(&self, index: usize) -> bool {
        let node = &self.nodes[index];
        let has = |nexus: &Nexus| self.disk.key_of(*nexus) == node.key;
        node.key.is_some()
            && node.nexuses.iter().any(has)
            && node.nexuses.iter().any(|nexus| self.disk.holds(*nexus))
    }

    fn check_key(&mut self, effect: &Effect, owner: usize) {
        let node = &self.nodes[owner];
        let number = node.number;
        let protected = self.checkers.live_owner.protected == Some(number);
        let well = protected || self.is_well(owner);
        let still = self.key_holds(owner);
        // Only what it decided itself in this life is its own doing.
        let own = effect.node == number && effect.incarnation == node.incarnation;
        let by = if own { number } else { 0 };
        let found = self
            .checkers
            .own_key
            .after_effect(by, number, well, effect.verb.name(), still);
        self.checkers.hold(Property::OwnKey, found);
    }
}

//! What a node has seen, sent and said, told to the checkers of its takes and of its terms.

use super::World;
use crate::checkers::{Property, terms};
use crate::disk::Nexus;
use crate::node::{Belief, Out};
use quorum_core::Instant;
use quorum_core::arbitration::{
    Arbitration, BarrierKind, CommandId, Event, Input, Mode, Output, Stage, Stopped,
};
use scsi::reservation::{Answer, AttentionKind, Exchange, Key, Reply, Verb};
use std::time::Duration;

/// What a point in time may be off by that was told by a node's clock.
const ROUNDING: Duration = Duration::from_micros(1);

impl World {
    /// Before a machine hears of it.
    pub(super) fn watch_input(&mut self, index: usize, input: &Input) {
        let shows = self.nodes[index].clock.shows(self.now);
        let node = &mut self.nodes[index];
        match input {
            Input::Answer {
                id,
                sent_at,
                exchange,
            } => self.watch_answer(index, *id, *sent_at, exchange),
            Input::Mark { mark, .. } => node.seen.read_mark(*mark),
            Input::Epoch { still_ours, .. } => node.seen.read_epoch(*still_ours),
            Input::Fed | Input::Start { .. } => node.fed_at = shows,
            // It may be told again, when it has begun already.
            Input::Release => {
                node.release_asked_at.get_or_insert(self.now);
            }
            Input::PathChanged { usable: true, .. } => node.path_came_at = shows,
            _ => {}
        }
    }

    fn watch_answer(&mut self, index: usize, id: CommandId, sent_at: Instant, exchange: &Exchange) {
        let shows = self.nodes[index].clock.shows(self.now);
        let node = &mut self.nodes[index];
        let Some(place) = node.out.iter().position(|out| out.id == id) else {
            return;
        };
        let verb = node.out.swap_remove(place).verb;
        node.seen
            .answered(&node.config, shows, sent_at, &verb, exchange);
        let wins = node.machine.as_ref().map(Arbitration::stage) == Some(Stage::Winning);
        if wins && node.config.mode == Mode::Spc2 {
            // A reset has opened the disk, or nobody knows whether one has.
            node.win.swept |= match &exchange.answer {
                Answer::Attention(met) => {
                    matches!(met.kind(), AttentionKind::PowerOn | AttentionKind::Reset)
                }
                Answer::OutcomeUnknown(_) => true,
                _ => false,
            };
        }
        if let Answer::Done(Reply::Good) = exchange.answer {
            match verb {
                Verb::Preempt { victim, .. } => {
                    let own = victim.is_some() && victim == node.registered_as;
                    node.win.swept |= !own;
                }
                Verb::Spc2Reserve => node.win.reserved_at = Some(sent_at),
                _ => {}
            }
        }
    }

    /// After a machine has been driven, before its outputs are obeyed.
    pub(super) fn watch_outputs(
        &mut self,
        index: usize,
        from: Stage,
        to: Stage,
        outputs: &[Output],
    ) {
        // A disk that lies shows what is not so.
        let found = self.watch_step(index, from, to);
        self.hold_of(index, Property::Takes, found);
        for output in outputs {
            match output {
                Output::Perform {
                    id, verb, bound, ..
                } => self.watch_command(index, to, *id, verb, *bound),
                Output::Event(event) => self.watch_event(index, event),
                Output::ProvedUntil(until) => self.nodes[index].told_until = *until,
                _ => {}
            }
        }
    }

    fn hold_of(&mut self, index: usize, property: Property, found: Result<(), String>) {
        if let Err(what) = found
            && !self.is_hostile()
        {
            let number = self.nodes[index].number;
            self.checkers
                .hold(property, Err(format!("n{number} {what}")));
        }
    }

    fn watch_step(&mut self, index: usize, from: Stage, to: Stage) -> Result<(), String> {
        if to == Stage::Probing && from != Stage::Probing {
            self.nodes[index].seen.contends();
        }
        if matches!(
            (from, to),
            (Stage::Winning | Stage::Retaking, Stage::Held | Stage::Owner)
        ) {
            // Whoever is served hears of its disk only now.
            let node = &mut self.nodes[index];
            node.fed_at = node.clock.shows(self.now);
        }
        let node = &self.nodes[index];
        match (from, to) {
            (Stage::Probing, Stage::Registering) => node.seen.registers(&node.config),
            (Stage::Held | Stage::Owner, Stage::RetakeRegistering) => node.seen.takes_again(),
            (from, Stage::Resting | Stage::NotTaken) if from != to && self.is_untroubled(index) => {
                // Who turns out to hold stays holder.
                let holds = |nexus: &Nexus| self.disk.holds(*nexus);
                let key = node.seen.key();
                let left = |nexus: &Nexus| key.is_some() && self.disk.key_of(*nexus) == key;
                if !node.nexuses.iter().any(holds) && node.nexuses.iter().any(left) {
                    return Err("has lost, and left its key on the disk".into());
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// All that this process has sent since it looked has come to a definite end, over paths that are there.
    fn is_untroubled(&self, index: usize) -> bool {
        let node = &self.nodes[index];
        let of_this_node = |entry: &std::cmp::Reverse<super::Entry>| matches!(&entry.0.step, super::Step::Effect(effect) if effect.node == node.number);
        node.seen.is_sure()
            && node.path_up.iter().all(|up| *up)
            && !self.queue.iter().any(of_this_node)
    }

    fn watch_command(
        &mut self,
        index: usize,
        to: Stage,
        id: CommandId,
        verb: &Verb,
        bound: Duration,
    ) {
        let shows = self.nodes[index].clock.shows(self.now);
        let node = &mut self.nodes[index];
        node.out.push(Out {
            id,
            verb: verb.clone(),
            given_up_at: shows + bound,
        });
        let config = &node.config;
        let (property, found) = match (to, verb) {
            (Stage::Taking, Verb::Preempt { key, victim, .. }) => (
                Property::Takes,
                node.seen.takes(config, shows, *key, *victim),
            ),
            (Stage::Taking, Verb::Reserve { key, .. }) => {
                (Property::Takes, node.seen.takes(config, shows, *key, None))
            }
            (Stage::Taking, Verb::Spc2Reserve) => {
                (Property::Takes, node.seen.reserves(config, shows))
            }
            (Stage::Winning, Verb::Spc2Reserve | Verb::ClearTaskSet) => (
                Property::Terms,
                terms::win_goes_on(&node.win, shows, config.times.self_stop),
            ),
            (
                Stage::Held | Stage::Owner,
                Verb::Register {
                    existing,
                    new: Some(new),
                    ..
                },
            ) if *existing != Some(*new) => {
                let proof_sent_at = node.told_until - config.times.self_stop;
                let found = if proof_sent_at < node.path_came_at && config.mode == Mode::Persistent
                {
                    Err("registers a path that has come before a round has proved its term".into())
                } else {
                    Ok(())
                };
                (Property::Terms, found)
            }
            _ => return,
        };
        self.hold_of(index, property, found);
    }

    fn watch_event(&mut self, index: usize, event: &Event) {
        let shows = self.nodes[index].clock.shows(self.now);
        let node = &mut self.nodes[index];
        let times = node.config.times;
        match event {
            Event::Waiting { .. } if node.config.mode == Mode::Spc2 => {
                let found = node.seen.waits(shows);
                self.hold_of(index, Property::Takes, found);
            }
            Event::Lost {
                again_at: Some(at), ..
            } => {
                let order = u32::from(node.number.saturating_sub(1) % 16);
                let copy = node.seen.lost_to_a_copy(node.config.cluster, &node.config);
                let turn = shows + times.rechallenge_interval * order;
                let found = if *at < turn && !node.seen.is_parked() {
                    Err("has lost, and contends again before its turn".into())
                } else if copy {
                    Err("has lost to a node with its own number, and contends again".into())
                } else {
                    Ok(())
                };
                self.hold_of(index, Property::Takes, found);
            }
            Event::Retaken { .. } => {
                let found = node.seen.taken_again(&node.config);
                self.hold_of(index, Property::Takes, found);
            }
            Event::Defended { .. } => {
                node.seen.proved();
                self.watch_aptpl(index);
            }
            Event::Barrier(kind) => {
                node.win.barrier = Some((*kind, shows));
                node.win.swept = false;
            }
            Event::Taken => node.win.barrier = None,
            Event::Held { key, .. } => {
                node.seen.proved();
                let win = node.win;
                node.win = terms::Win {
                    held_at: Some(shows),
                    ..terms::Win::default()
                };
                let found = terms::barrier(&win, shows, times.settle);
                self.hold_of(index, Property::Terms, found);
                self.watch_held(index, *key);
            }
            Event::Owner { .. } if node.config.mode == Mode::Spc2 => {
                // Without a barrier Held itself comes with that round.
                let late = node.win.held_at == Some(shows);
                let proof_sent_at = node.told_until - times.self_stop;
                if !late {
                    let found = terms::owner(&node.win, proof_sent_at, times.settle);
                    self.hold_of(index, Property::Terms, found);
                }
            }
            Event::Stopped(Stopped::Released { confirmed: true }) => {
                let Some(asked_at) = node.release_asked_at else {
                    return;
                };
                let unproved = if node.config.mode == Mode::Spc2 {
                    // Whoever can reserve it has it, by whatever way. From a clock to the world's time is rounded.
                    let reserved_at = node.win.reserved_at.map(|at| node.clock.when(at));
                    reserved_at.is_none_or(|at| at + ROUNDING < asked_at)
                } else {
                    let over = node.term < self.checkers.deposed_writes.term();
                    // A power loss leaves nothing that would tell.
                    over && asked_at > self.held_at && !self.opened_by_operator
                };
                if unproved {
                    let found = Err(
                        "says that it gave the disk back, and has not seen it to be its own".into(),
                    );
                    self.hold_of(index, Property::Terms, found);
                }
            }
            Event::RoundFailed { .. } => node.round_failed_at = shows,
            _ => {}
        }
    }

    fn watch_held(&mut self, index: usize, key: Option<Key>) {
        let node = &self.nodes[index];
        let shows = node.clock.shows(self.now);
        let sure = node.config.mode == Mode::Persistent
            && node.clock.runs()
            && node.stood_until.is_none()
            && shows < node.told_until
            && !self.checkers.live_owner.disk_was_troubled(self.now);
        // The key of a session that was lost stays listed on such a target, and is nobody's.
        let cut_off = |nexus: &Nexus| self.disk.is_listed_without(*nexus, key);
        if !sure || node.nexuses.iter().any(cut_off) {
            return;
        }
        let mine = |nexus: &Nexus| self.disk.holds(*nexus) && self.disk.key_of(*nexus) == key;
        let holds = node.nexuses.iter().any(mine);
        let proof_sent_at = node
            .clock
            .when(node.told_until - node.config.times.self_stop);
        let persists = node.config.policy.accept_no_aptpl
            || self.aptpl_off_since.is_none_or(|at| at >= proof_sent_at)
            || self.disk.keeps_through_power_loss();
        let found = terms::held(holds, persists);
        self.hold_of(index, Property::Terms, found);
    }

    /// A round was clean: what another has switched off is on again before long.
    fn watch_aptpl(&mut self, index: usize) {
        let Some(since) = self.aptpl_off_since else {
            return;
        };
        if self.disk.keeps_through_power_loss() {
            self.aptpl_off_since = None;
            return;
        }
        let node = &self.nodes[index];
        let long = node.config.times.defend_interval * 5;
        let demands = node.config.mode == Mode::Persistent && !node.config.policy.accept_no_aptpl;
        if demands
            && node.belief == Belief::Owner
            && self.now.saturating_since(since) > long
            && self.is_well(index)
        {
            let found =
                Err("owns a disk that the next power loss opens, and does not mend it".into());
            self.hold_of(index, Property::Terms, found);
        }
    }

    /// A machine has been driven: it does not go on as owner when it has read that it is none, nor for nobody.
    pub(super) fn watch_owner(&mut self, index: usize, input: &Input) {
        let node = &self.nodes[index];
        let shows = node.clock.shows(self.now);
        let times = node.config.times;
        let found = terms::fed(
            shows,
            node.fed_at,
            times.self_stop * 2 + times.defend_interval,
        );
        self.hold_of(index, Property::Terms, found);
        let node = &self.nodes[index];
        let Input::Answer {
            sent_at, exchange, ..
        } = input
        else {
            return;
        };
        let Answer::Done(Reply::State(state)) = &exchange.answer else {
            return;
        };
        let mine = node.key.is_some_and(|key| state.has_key(key));
        let held = state.reservation.is_none_or(|held| held.key == node.key);
        // What arrives behind a pause, or in another round, is looked at again by the next one.
        let in_time =
            shows.saturating_since(*sent_at) <= times.round_trip && *sent_at > node.resumed_at;
        let in_round = *sent_at > node.round_failed_at || node.round_failed_at == shows;
        if !(mine && held)
            && in_time
            && in_round
            && node.late <= times.lateness
            && node.key.is_some()
        {
            let found = Err("has read that the disk is not its own, and goes on".into());
            self.hold_of(index, Property::Terms, found);
        }
    }

    /// The barrier that the last win of a node had, if it was one that covers every earlier owner.
    pub(super) const fn is_weak(kind: BarrierKind) -> bool {
        // PREEMPT AND ABORT alone covers only the holder that it names, not an owner before that one.
        matches!(kind, BarrierKind::SettleOnly | BarrierKind::Abort)
    }
}

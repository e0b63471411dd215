//! Several machines and a disk on a virtual clock.
//!
//! What may happen (each fault is drawn by the stress test or named by a script):
//! * a command is delayed, lost, takes effect although its answer is lost, or takes effect long after the
//!   sender gave it up (a *zombie*), also while the sender is paused or dead;
//! * a node is paused at any point for any time, dies, and comes back on the same nexus or on another;
//! * a node's timers come late;
//! * the disk loses power, is cleared or reset by a stranger; attentions are eaten by others on the nexus;
//! * every node that believes it owns the disk writes all the time, each write is under way for a while,
//!   is then accepted (where access is checked), and lands on the medium later (where nothing is).
//!
//! What does not happen: a clock that stops while its node acts, a disk that lies in a reply.
//!
//! What is checked after each step is in [`crate::checkers`].

use crate::checkers::Checkers;
use crate::disk::{Disk, Nexus};
use crate::rng::Rng;
use crate::words::{event_word, ms};
use quorum_core::Instant;
use quorum_core::arbitration::{
    Arbitration, BarrierKind, CommandId, Config, Event, Input, Output, ParkedMark, PathId,
};
use scsi::reservation::{Answer, Exchange, Key, Uncertainty, Unsent, Verb};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The disk of a world, and everything around it.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) disk: Disk,
    pub(crate) nodes: BTreeMap<u8, Node>,
    queue: BTreeMap<(Instant, u64), Step>,
    sequence: u64,
    pub(crate) rng: Rng,
    /// Chances in a thousand, drawn for each command; none in scripts.
    pub(crate) chances: Chances,
    pub(crate) timeline: Vec<String>,
    pub(crate) checkers: Checkers,
    /// What the log says: the parked mark, and whose epoch it is.
    mark: Option<ParkedMark>,
    epoch: Option<Key>,
    next_nexus: u32,
    next_token: u64,
    /// How long an accepted write stays in the target's queue, where nothing is drawn.
    pub(crate) linger: Duration,
    /// Steps taken, so that claims can be counted.
    pub(crate) steps: u64,
}

/// How often what goes wrong, in a thousand.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Chances {
    pub(crate) lose_request: u64,
    pub(crate) lose_reply: u64,
    pub(crate) zombie: u64,
    pub(crate) slow: u64,
    /// This node meets none.
    pub(crate) spare: Option<u8>,
    /// SPC-2: no RESERVE takes effect late. One that does, right after a third node's reset, deposes a
    /// live owner, and no protocol on SPC-2 can keep it from that.
    pub(crate) tame_reserve: bool,
}

pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) machine: Option<Arbitration>,
    incarnation: u32,
    pub(crate) paused: bool,
    inbox: VecDeque<Input>,
    pub(crate) nexuses: Vec<Nexus>,
    path_up: Vec<bool>,
    pub(crate) proved_until: Instant,
    pub(crate) belief: Belief,
    pub(crate) key: Option<Key>,
    next_serial: u32,
    pub(crate) hungry: bool,
    /// How late its timers come.
    pub(crate) late: Duration,
    pub(crate) round_trip: Duration,
    pub(crate) eats_attentions: bool,
    /// One after the other, for the next command whose name contains the text.
    pub(crate) faults: Vec<(String, Fault)>,
    next_write: Instant,
}

/// What a node thinks of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Belief {
    Nothing,
    Held,
    Owner,
}

/// What goes wrong with one command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    LoseRequest,
    LoseReply,
    /// Takes effect that late; its sender has given it up by then.
    Zombie(Duration),
    /// The answer comes that late, within the bound or not.
    Slow(Duration),
    NoPath,
}

enum Step {
    Effect {
        node: u8,
        incarnation: u32,
        path: PathId,
        id: CommandId,
        verb: Verb,
        sent_at: Instant,
        reply_at: Option<Instant>,
    },
    Reply {
        node: u8,
        incarnation: u32,
        input: Input,
    },
    Feed {
        node: u8,
        incarnation: u32,
    },
    WriteArrives {
        nexus: Nexus,
        token: u64,
    },
    WriteLands {
        token: u64,
    },
    Resume {
        node: u8,
    },
}

const FEED_EVERY: Duration = Duration::from_millis(50);
const WRITE_EVERY: Duration = Duration::from_millis(37);

impl World {
    pub(crate) fn new(seed: u64, disk: Disk) -> Self {
        Self {
            now: Instant::ZERO,
            disk,
            nodes: BTreeMap::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            rng: Rng(seed),
            chances: Chances::default(),
            timeline: Vec::new(),
            checkers: Checkers::default(),
            mark: None,
            epoch: None,
            next_nexus: 1,
            next_token: 1,
            linger: Duration::from_millis(1),
            steps: 0,
        }
    }

    // ----------------------------------------------------------------- nodes

    pub(crate) fn add(&mut self, config: Config) {
        let number = config.node.0;
        let paths = usize::from(config.paths);
        let mut node = Node {
            config,
            machine: None,
            incarnation: 0,
            paused: false,
            inbox: VecDeque::new(),
            nexuses: Vec::new(),
            path_up: vec![true; paths],
            proved_until: Instant::ZERO,
            belief: Belief::Nothing,
            key: None,
            next_serial: 1,
            hungry: false,
            late: Duration::ZERO,
            round_trip: Duration::from_millis(4),
            eats_attentions: false,
            faults: Vec::new(),
            next_write: Instant::ZERO,
        };
        for _ in 0..paths {
            node.nexuses.push(self.new_nexus());
        }
        self.nodes.insert(number, node);
    }

    fn new_nexus(&mut self) -> Nexus {
        let nexus = Nexus(self.next_nexus);
        self.next_nexus += 1;
        self.disk.log_in(nexus);
        nexus
    }

    fn node(&mut self, number: u8) -> &mut Node {
        self.nodes.get_mut(&number).expect("the node was added")
    }

    /// A new process of this node begins. Its sessions are reinstated first, so that nothing of an earlier
    /// process is under way on its nexuses any more.
    pub(crate) fn start(&mut self, number: u8) {
        let first = self.node(number).incarnation == 0;
        self.kill(number);
        let nexuses = self.node(number).nexuses.clone();
        for nexus in nexuses.into_iter().filter(|_| !first) {
            self.disk.log_in_again(nexus);
            self.queue.retain(
                |_, step| !matches!(step, Step::WriteArrives { nexus: on, .. } if *on == nexus),
            );
        }
        let node = self.node(number);
        let serials = (node.next_serial, 1000);
        node.next_serial += 1000;
        let incarnation = node.incarnation;
        node.machine = Some(Arbitration::new(node.config.clone()));
        let feed = Step::Feed {
            node: number,
            incarnation,
        };
        self.schedule(FEED_EVERY, feed);
        self.give(number, Input::Start { serials });
    }

    pub(crate) fn start_on_new_nexus(&mut self, number: u8) {
        self.kill(number);
        let paths = self.node(number).nexuses.len();
        for path in 0..paths {
            let nexus = self.new_nexus();
            self.node(number).nexuses[path] = nexus;
        }
        self.start(number);
    }

    /// The process is gone, at once. What it has sent is under way still.
    pub(crate) fn kill(&mut self, number: u8) {
        let node = self.node(number);
        node.machine = None;
        node.incarnation += 1;
        node.paused = false;
        node.inbox.clear();
        node.belief = Belief::Nothing;
        node.key = None;
        node.hungry = false;
    }

    pub(crate) fn pause(&mut self, number: u8) {
        self.node(number).paused = true;
    }

    pub(crate) fn pause_for(&mut self, number: u8, span: Duration) {
        self.pause(number);
        self.schedule(span, Step::Resume { node: number });
    }

    /// It goes on where it stood: first its timers, then what has arrived.
    pub(crate) fn resume(&mut self, number: u8) {
        let node = self.node(number);
        if !node.paused {
            return;
        }
        node.paused = false;
        let arrived = std::mem::take(&mut node.inbox);
        self.give(number, Input::Tick);
        for input in arrived {
            self.give(number, input);
        }
    }

    pub(crate) fn lose_power(&mut self) {
        self.disk.lose_power();
        self.checkers.power_lost = self.disk.state().registrations.is_empty();
    }

    pub(crate) fn park(&mut self, number: u8) {
        let key = self.node(number).key;
        self.mark = key.map(|holder| ParkedMark { epoch: 1, holder });
        self.node(number).belief = Belief::Nothing;
        self.give(number, Input::Park);
    }

    pub(crate) fn release(&mut self, number: u8) {
        self.node(number).belief = Belief::Nothing;
        self.give(number, Input::Release);
    }

    pub(crate) fn path(&mut self, number: u8, path: u16, up: bool) {
        self.node(number).path_up[usize::from(path)] = up;
        let path = PathId(path);
        self.give(number, Input::PathChanged { path, usable: up });
    }

    /// The session of a path ends and comes back on the same nexus.
    pub(crate) fn log_in_again(&mut self, number: u8, path: u16) {
        let nexus = self.node(number).nexuses[usize::from(path)];
        self.disk.log_in_again(nexus);
    }

    // ------------------------------------------------------------------ time

    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.next_at().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.step();
            self.steps += 1;
        }
        self.now = end;
    }

    fn next_at(&self) -> Option<Instant> {
        let queued = self.queue.keys().next().map(|(at, _)| *at);
        let ticks = self.nodes.values().filter_map(Node::tick_at);
        let writes = self.nodes.values().filter_map(Node::write_at);
        queued.into_iter().chain(ticks).chain(writes).min()
    }

    fn step(&mut self) {
        let now = self.now;
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if let Some(number) = self.find(|node| due(node.tick_at())) {
            self.give(number, Input::Tick);
            return;
        }
        if let Some(number) = self.find(|node| due(node.write_at())) {
            self.write(number);
            return;
        }
        if let Some(((_, _), step)) = self.queue.pop_first() {
            self.carry_out(step);
        }
    }

    fn find(&self, is: impl Fn(&Node) -> bool) -> Option<u8> {
        self.nodes
            .iter()
            .find(|(_, node)| is(node))
            .map(|(number, _)| *number)
    }

    fn schedule(&mut self, after: Duration, step: Step) {
        self.sequence += 1;
        self.queue.insert((self.now + after, self.sequence), step);
    }

    fn carry_out(&mut self, step: Step) {
        match step {
            Step::Effect {
                node,
                incarnation,
                path,
                id,
                verb,
                sent_at,
                reply_at,
            } => {
                let exchange = self.perform(node, path, &verb);
                if let Some(reply_at) = reply_at {
                    let input = Input::Answer {
                        id,
                        sent_at,
                        exchange,
                    };
                    let after = reply_at.saturating_since(self.now);
                    let reply = Step::Reply {
                        node,
                        incarnation,
                        input,
                    };
                    self.schedule(after, reply);
                }
            }
            Step::Reply {
                node,
                incarnation,
                input,
            } => {
                if self.node(node).incarnation == incarnation {
                    self.give(node, input);
                }
            }
            Step::Feed { node, incarnation } => {
                if self.node(node).incarnation == incarnation {
                    if !self.node(node).hungry {
                        self.give(node, Input::Fed);
                    }
                    self.schedule(FEED_EVERY, Step::Feed { node, incarnation });
                }
            }
            Step::WriteArrives { nexus, token } => self.accept_write(nexus, token),
            Step::WriteLands { token } => {
                if self.disk.land_write(token) {
                    self.checkers.landed(token);
                }
            }
            Step::Resume { node } => self.resume(node),
        }
    }

    fn perform(&mut self, number: u8, path: PathId, verb: &Verb) -> Exchange {
        let node = &self.nodes[&number];
        let nexus = node.nexuses[usize::from(path.0)];
        if node.eats_attentions {
            self.disk.eat_attentions(nexus);
        }
        let exchange = self.disk.perform(nexus, verb);
        self.checkers.after_effect(&self.disk, &self.nodes);
        exchange
    }

    // -------------------------------------------------------------- machines

    /// One change, one full drain.
    fn give(&mut self, number: u8, input: Input) {
        let now = self.now;
        let node = self.node(number);
        if node.paused {
            node.inbox.push_back(input);
            return;
        }
        let Some(machine) = &mut node.machine else {
            return;
        };
        machine.handle(now, input);
        let outputs: Vec<Output> = std::iter::from_fn(|| machine.poll_output()).collect();
        for output in outputs {
            self.obey(number, output);
        }
        self.checkers.after_input(self.now, number, &self.nodes);
    }

    fn obey(&mut self, number: u8, output: Output) {
        match output {
            Output::Perform {
                id,
                path,
                verb,
                bound,
            } => self.send(number, id, path, verb, bound),
            Output::ReadMark { id } => {
                let mark = self.mark;
                self.reply(
                    number,
                    self.nodes[&number].round_trip,
                    Input::Mark { id, mark },
                );
            }
            Output::ReadEpoch { id } => {
                let still_ours = self.epoch.is_some() && self.epoch == self.nodes[&number].key;
                let input = Input::Epoch { id, still_ours };
                self.reply(number, self.nodes[&number].round_trip, input);
            }
            Output::NeedSerials => {
                let node = self.node(number);
                let serials = (node.next_serial, 1000);
                node.next_serial += 1000;
                self.reply(number, Duration::from_millis(1), Input::Serials { serials });
            }
            Output::ProvedUntil(until) => {
                let node = self.node(number);
                assert!(until > node.proved_until, "proof only ever moves on");
                node.proved_until = until;
            }
            Output::Event(event) => self.note(number, &event),
        }
    }

    fn reply(&mut self, node: u8, after: Duration, input: Input) {
        let incarnation = self.node(node).incarnation;
        let reply = Step::Reply {
            node,
            incarnation,
            input,
        };
        self.schedule(after, reply);
    }

    fn note(&mut self, number: u8, event: &Event) {
        let at = ms(self.now.elapsed_since_zero());
        if !matches!(event, Event::Defended { .. }) {
            self.timeline
                .push(format!("{at:>8} n{number} {}", event_word(event)));
        }
        let now = self.now;
        let node = self.node(number);
        match event {
            Event::Held { key, .. } => {
                node.belief = Belief::Held;
                node.key = *key;
                self.epoch = *key;
                self.checkers.held();
            }
            Event::Owner { .. } => {
                node.belief = Belief::Owner;
                self.checkers.owner(now, number, &self.nodes);
            }
            Event::Retaken { key } => {
                node.key = Some(*key);
                self.epoch = Some(*key);
                self.checkers.retaken();
            }
            Event::Barrier(BarrierKind::SettleOnly) => self.checkers.no_barrier(),
            Event::Stopped(stopped) => {
                node.belief = Belief::Nothing;
                self.checkers.stopped(now, number, stopped);
            }
            _ => {}
        }
    }

    // -------------------------------------------------------------- commands

    fn send(&mut self, number: u8, id: CommandId, path: PathId, verb: Verb, bound: Duration) {
        let now = self.now;
        let fault = self.fault(number, path, &verb);
        let node = &self.nodes[&number];
        let (incarnation, trip) = (node.incarnation, node.round_trip);
        let (effect, reply) = match fault {
            Some(Fault::NoPath) => {
                let exchange = Answer::NotSent(Unsent::NoPath("gone".into())).into();
                self.answer(number, id, now, Duration::ZERO, exchange);
                return;
            }
            Some(Fault::LoseRequest) => (None, None),
            Some(Fault::LoseReply) => (Some(trip / 2), None),
            Some(Fault::Zombie(late)) => (Some(late), None),
            Some(Fault::Slow(late)) => (Some(late / 2), Some(late)),
            None => (Some(trip / 2), Some(trip)),
        };
        let in_time = reply.filter(|reply| *reply <= bound);
        if let Some(effect) = effect {
            let step = Step::Effect {
                node: number,
                incarnation,
                path,
                id,
                verb,
                sent_at: now,
                reply_at: in_time.map(|reply| now + reply),
            };
            self.schedule(effect, step);
        }
        if in_time.is_none() {
            let exchange = Answer::OutcomeUnknown(Uncertainty::TimedOut).into();
            self.answer(number, id, now, bound, exchange);
        }
    }

    fn answer(
        &mut self,
        number: u8,
        id: CommandId,
        sent_at: Instant,
        after: Duration,
        exchange: Exchange,
    ) {
        let input = Input::Answer {
            id,
            sent_at,
            exchange,
        };
        self.reply(number, after, input);
    }

    fn fault(&mut self, number: u8, path: PathId, verb: &Verb) -> Option<Fault> {
        let node = self.node(number);
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
        let chances = self.chances;
        if chances.spare == Some(number) {
            return None;
        }
        if chances.tame_reserve && *verb == Verb::Spc2Reserve {
            return None;
        }
        let late = |rng: &mut Rng| Duration::from_millis(50 + rng.below(1500));
        if self.rng.chance(chances.lose_request) {
            Some(Fault::LoseRequest)
        } else if self.rng.chance(chances.lose_reply) {
            Some(Fault::LoseReply)
        } else if self.rng.chance(chances.zombie) {
            Some(Fault::Zombie(late(&mut self.rng)))
        } else if self.rng.chance(chances.slow) {
            Some(Fault::Slow(late(&mut self.rng)))
        } else {
            None
        }
    }

    // ---------------------------------------------------------------- writes

    /// A node that believes it owns the disk, and may believe it still, writes.
    fn write(&mut self, number: u8) {
        let token = self.next_token;
        self.next_token += 1;
        let random = if self.chances.zombie == 0 {
            1
        } else {
            self.rng.below(400)
        };
        let now = self.now;
        let node = self.node(number);
        node.next_write = now + WRITE_EVERY;
        let nexus = node.nexuses[0];
        self.checkers.wrote(token);
        self.schedule(
            Duration::from_millis(1 + random),
            Step::WriteArrives { nexus, token },
        );
    }

    fn accept_write(&mut self, nexus: Nexus, token: u64) {
        let open = self.disk.is_open();
        let eats = self.chances.zombie > 0 && self.rng.chance(500);
        if !self.disk.accept_write(nexus, token, eats) {
            return;
        }
        self.checkers.accepted(token, open);
        let linger = if self.chances.zombie == 0 {
            self.linger
        } else {
            Duration::from_millis(1 + self.rng.below(2000))
        };
        self.schedule(linger, Step::WriteLands { token });
    }
}

impl Node {
    fn tick_at(&self) -> Option<Instant> {
        let machine = self.machine.as_ref().filter(|_| !self.paused)?;
        Some(machine.next_deadline()? + self.late)
    }

    fn write_at(&self) -> Option<Instant> {
        let believes = self.belief != Belief::Nothing && !self.paused;
        let at = self.next_write;
        (believes && at < self.proved_until).then_some(at)
    }
}

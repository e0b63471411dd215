//! Several machines and a disk on a virtual clock.
//!
//! | file | what it does |
//! |---|---|
//! | here | time: what comes next, and what it does |
//! | `acts` | what is done to nodes and to the disk |
//! | `beliefs` | what a node is told of its ownership, and believes until when |
//! | `commands` | a command on its way to the disk and back |
//! | `stalls` | a host that stands still, and what its machine is told of that |
//! | `watch` | what nodes have seen, sent and said, for the checkers |
//! | `writes` | a data write: decided, in the host, in the target, on the medium, acknowledged |
//!
//! The world plays the driver of each machine, and keeps a driver's promises: one change, one full drain, one
//! wait; no command before the outputs before it; `Start` only when no write of an earlier life of the node is
//! under way on its nexuses. What may go wrong is in [`crate::faults`], what must hold in [`crate::checkers`].

mod acts;
mod beliefs;
mod commands;
mod stalls;
mod watch;
mod writes;

use crate::checkers::{Checkers, Property};
use crate::clock::Clock;
use crate::counts::Counts;
use crate::disk::{Disk, Nexus};
use crate::faults::{Chances, FaultKind};
use crate::log::Quorum;
use crate::node::{Ambush, Belief, Node};
use crate::rng::Rng;
use crate::trial::Trials;
use crate::words::ms;
use quorum_core::Instant;
use quorum_core::arbitration::{CommandId, Config, Input, Mode, Output, ParkedMark, Stage};
use scsi::logical_unit::Behaviour;
use scsi::reservation::{Key, Verb};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;
use writes::Writes;

/// The disk of a world, and everything around it.
pub struct World {
    /// The world's time.
    pub now: Instant,
    /// The disk.
    pub disk: Disk,
    nodes: Vec<Node>,
    queue: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
    /// Where everything random comes from.
    pub rng: Rng,
    /// How often what goes wrong.
    pub chances: Chances,
    /// Nothing goes wrong with this node.
    pub spared: Option<u8>,
    /// Nothing goes wrong any more, nor what was to happen still.
    pub healed: bool,
    /// What happened, as lines; nothing is kept where nobody reads it.
    pub timeline: Vec<String>,
    tells: Tells,
    /// What must hold.
    pub checkers: Checkers,
    /// What was counted.
    pub counts: Counts,
    /// What each guard changes, where that is tried.
    pub trials: Option<Trials>,
    /// What the superblock of the log says: the parked mark, whose epoch it is, and of which term.
    mark: Option<ParkedMark>,
    epoch: Option<Key>,
    epoch_term: u64,
    next_nexus: u32,
    writes: Writes,
    /// The shipped log, where there is one.
    log: Option<Quorum>,
    /// How long an accepted write stays in the target's queue, where nothing is drawn.
    pub linger: Duration,
    /// How often an owner writes, and how often a node is fed.
    pub rhythm: Rhythm,
    /// How often timers come later than is allowed, in a thousand; none: as late as their node says, always.
    pub late_timers: Option<u64>,
    /// The disk answers nobody until then.
    outage_until: Instant,
    /// Since when the disk is open, who had it and was well then.
    open_since: Option<Opened>,
    /// The disk was opened by what opens one with APTPL too: an operator.
    opened_by_operator: bool,
    last_owner: Option<u8>,
    violations_told: usize,
    /// The disk has been open since then.
    opened_since_held: bool,
    /// When a node was told `Held` last.
    held_at: Instant,
    /// Somebody has switched persistence through power loss off.
    aptpl_off_since: Option<Instant>,
    outputs: Vec<Output>,
}

/// The disk came to be open.
#[derive(Clone, Copy, Debug)]
struct Opened {
    at: Instant,
    owner: Option<u8>,
}

/// What the timeline keeps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Tells {
    /// Nothing.
    Nothing,
    /// What the machines tell, but for clean rounds.
    Events,
    /// That, what goes wrong, and what is sent.
    Everything,
}

/// How often what is regular happens.
#[derive(Clone, Copy, Debug)]
pub struct Rhythm {
    /// An owner writes.
    pub write: Duration,
    /// Whoever a node serves says that it is alive.
    pub feed: Duration,
}

struct Entry {
    at: Instant,
    sequence: u64,
    step: Step,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.sequence) == (other.at, other.sequence)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

/// Something that comes.
#[derive(Clone, Debug)]
enum Step {
    Effect(Effect),
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
        token: u64,
    },
    WriteLands {
        token: u64,
    },
    WriteEnds {
        token: u64,
        landed: Option<writes::Ending>,
    },
    Resume {
        node: u8,
        pause: u32,
    },
    /// A path comes back.
    PathUp {
        node: u8,
        path: u16,
    },
    /// The new process of a node was waiting for the end of the old one's commands.
    StartDrained {
        node: u8,
    },
    Fed {
        node: u8,
    },
    Ambush {
        node: u8,
        what: Ambush,
    },
    NotEating {
        node: u8,
    },
    /// Its people try once more to park it.
    Farewell {
        node: u8,
        incarnation: u32,
    },
}

/// A command that reaches the disk.
#[derive(Clone, Debug)]
struct Effect {
    node: u8,
    incarnation: u32,
    nexus: Nexus,
    id: CommandId,
    verb: Verb,
    sent_at: Instant,
    reply_at: Option<Instant>,
    late: bool,
}

impl World {
    /// A world with nothing but a disk in it, quiet and with good times.
    #[must_use]
    pub fn new(seed: u64, disk: Disk) -> Self {
        Self {
            now: Instant::ZERO,
            disk,
            nodes: Vec::new(),
            queue: BinaryHeap::new(),
            sequence: 0,
            rng: Rng(seed),
            chances: Chances::default(),
            spared: None,
            healed: false,
            timeline: Vec::new(),
            tells: Tells::Events,
            checkers: Checkers::default(),
            counts: Counts::default(),
            trials: None,
            mark: None,
            epoch: None,
            epoch_term: 0,
            next_nexus: 1,
            writes: Writes::default(),
            log: None,
            linger: Duration::from_millis(1),
            rhythm: Rhythm {
                write: Duration::from_millis(37),
                feed: Duration::from_millis(50),
            },
            late_timers: None,
            outage_until: Instant::ZERO,
            open_since: None,
            opened_by_operator: false,
            last_owner: None,
            violations_told: 0,
            opened_since_held: false,
            held_at: Instant::ZERO,
            aptpl_off_since: None,
            outputs: Vec::new(),
        }
    }

    /// Owners keep the shipped log on the disk.
    pub fn keep_a_log(&mut self) {
        self.log = Some(Quorum::new());
    }

    /// What the timeline keeps.
    pub const fn tell(&mut self, tells: Tells) {
        self.tells = tells;
    }

    // ----------------------------------------------------------------- nodes

    /// A node joins the world; it is dead until it is started.
    pub fn add(&mut self, config: Config, clock: Clock) {
        let times = config.times;
        let window = (times.challenge_wait + times.self_stop + times.defend_interval * 2) * 11 / 10;
        self.checkers.live_owner.set_window(window);
        let mut node = Node::new(config, clock);
        for _ in 0..node.config.paths {
            node.nexuses.push(self.new_nexus());
        }
        self.nodes.push(node);
    }

    /// A copy of a node joins the world: it has that node's number and its own nexuses, and is this one here.
    pub fn add_copy(&mut self, number: u8, config: Config, clock: Clock) {
        self.add(config, clock);
        if let Some(copy) = self.nodes.last_mut() {
            copy.number = number;
        }
    }

    /// The nodes, in the order in which they joined.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node with this number.
    pub fn node(&mut self, number: u8) -> Option<&mut Node> {
        self.nodes.iter_mut().find(|node| node.number == number)
    }

    fn at(&self, number: u8) -> usize {
        let place = self.nodes.iter().position(|node| node.number == number);
        place.unwrap_or_else(|| panic!("there is no node {number}"))
    }

    fn new_nexus(&mut self) -> Nexus {
        let nexus = Nexus(self.next_nexus);
        self.next_nexus += 1;
        self.disk.log_in(nexus);
        nexus
    }

    /// The nodes that believe they own the disk, `Held` or more.
    pub fn believers(&self) -> impl Iterator<Item = &Node> {
        self.nodes
            .iter()
            .filter(|node| node.belief != Belief::Nothing)
    }

    // ------------------------------------------------------------------ time

    /// Lets so much time pass.
    pub fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some((at, what)) = self.next(end) {
            self.now = self.now.max(at);
            self.checkers.now = self.now;
            self.counts.events += 1;
            match what {
                Next::Tick(index) => self.tick(index),
                Next::Write(index) => self.write(index),
                Next::Queue => {
                    if let Some(Reverse(entry)) = self.queue.pop() {
                        self.carry_out(entry.step);
                    }
                }
            }
            if self.checkers.violations.len() > self.violations_told {
                self.violations_told = self.checkers.violations.len();
                let last = self.checkers.violations.last().map(ToString::to_string);
                self.tell_more(|| format!("!! VIOLATED {}", last.unwrap_or_default()));
            }
        }
        self.now = end;
        self.counts.simulated += span;
    }

    /// What comes next, not after `end`. At one time timers come first, then writes, then what is under way.
    fn next(&self, end: Instant) -> Option<(Instant, Next)> {
        let mut best: Option<(Instant, Next)> = None;
        let mut offer = |at: Instant, next: Next| {
            let at = at.max(self.now);
            if at <= end && best.is_none_or(|(sooner, _)| at < sooner) {
                best = Some((at, next));
            }
        };
        for (index, node) in self.nodes.iter().enumerate() {
            if let Some(at) = node.tick_at() {
                offer(at, Next::Tick(index));
            }
        }
        for (index, node) in self.nodes.iter().enumerate() {
            if let Some(at) = node.write_at() {
                offer(at, Next::Write(index));
            }
        }
        if let Some(Reverse(entry)) = self.queue.peek() {
            offer(entry.at, Next::Queue);
        }
        best
    }

    fn schedule(&mut self, after: Duration, step: Step) {
        self.sequence += 1;
        self.queue.push(Reverse(Entry {
            at: self.now + after,
            sequence: self.sequence,
            step,
        }));
    }

    fn carry_out(&mut self, step: Step) {
        match step {
            Step::Effect(effect) => self.take_effect(effect),
            Step::Reply {
                node,
                incarnation,
                input,
            } => {
                let index = self.at(node);
                if self.nodes[index].incarnation == incarnation {
                    self.give(index, input);
                }
            }
            Step::Feed { node, incarnation } => {
                let index = self.at(node);
                if self.nodes[index].incarnation == incarnation {
                    if !self.nodes[index].hungry {
                        self.give(index, Input::Fed);
                    }
                    self.schedule(self.rhythm.feed, Step::Feed { node, incarnation });
                }
            }
            Step::WriteArrives { token } => self.write_arrives(token),
            Step::WriteLands { token } => self.write_lands(token),
            Step::WriteEnds { token, landed } => self.write_ends(token, landed),
            Step::Resume { node, pause } => {
                let index = self.at(node);
                if self.nodes[index].pauses == pause {
                    self.resume(node);
                }
            }
            Step::PathUp { node, path } => self.path(node, path, true),
            Step::StartDrained { node } => self.start_drained(node),
            Step::Ambush { node, what } => self.spring(node, what),
            Step::Fed { node } => {
                let index = self.at(node);
                self.nodes[index].hungry = false;
                // It is fed again a little later.
                self.checkers.live_owner.trouble(self.now, node);
            }
            Step::Farewell { node, incarnation } => {
                let index = self.at(node);
                if self.nodes[index].incarnation == incarnation {
                    self.bid_farewell(index, false);
                }
            }
            Step::NotEating { node } => {
                let index = self.at(node);
                self.nodes[index].eats_attentions = false;
            }
        }
    }

    // -------------------------------------------------------------- machines

    fn tick(&mut self, index: usize) {
        self.notice_lateness(index);
        // Consumed: the machine says anew when the next one is.
        self.nodes[index].timer = None;
        self.give(index, Input::Tick);
        self.draw_lateness(index);
    }

    /// Something comes to a node: kept while it is paused.
    fn give(&mut self, index: usize, input: Input) {
        if !self.nodes[index].paused {
            self.notice_lateness(index);
        }
        // What it was told of its lateness may have paused it.
        if self.nodes[index].paused {
            self.nodes[index].inbox.push_back(input);
        } else {
            self.give_now(index, input);
        }
    }

    /// One change, one full drain.
    fn give_now(&mut self, index: usize, input: Input) {
        let now = self.now;
        self.watch_input(index, &input);
        let node = &mut self.nodes[index];
        let shows = node.clock.shows(now);
        let Some(machine) = &mut node.machine else {
            return;
        };
        self.counts.inputs += 1;
        let from = machine.stage();
        let trial = self
            .trials
            .as_mut()
            .and_then(|trials| trials.wants(from, &input))
            .map(|()| (machine.clone(), input.clone()));
        let owns = matches!(from, Stage::Held | Stage::Owner);
        let answer = (owns && matches!(input, Input::Answer { .. })).then(|| input.clone());
        machine.handle(shows, input);
        let mut outputs = std::mem::take(&mut self.outputs);
        outputs.extend(std::iter::from_fn(|| machine.poll_output()));
        let to = machine.stage();
        let timer = machine.next_deadline();
        if let Some((before, input)) = trial {
            self.trials.iter_mut().for_each(|trials| {
                trials.try_each_guard(&before, shows, &input, machine, &outputs, &mut self.counts);
            });
        }
        node.timer = timer.map(|at| node.clock.when(at));
        if from != to {
            self.counts.transition(node.config.mode, from, to);
        }
        self.watch_outputs(index, from, to, &outputs);
        if owns && matches!(to, Stage::Held | Stage::Owner) {
            self.watch_owner(index, answer.as_ref().unwrap_or(&Input::Tick));
        }
        self.maybe_stall(index, &outputs);
        for output in outputs.drain(..) {
            self.obey(index, output);
        }
        self.outputs = outputs;
        self.after_input(index);
    }

    fn after_input(&mut self, index: usize) {
        let node = &self.nodes[index];
        let Some(machine) = &node.machine else {
            return;
        };
        let owns = matches!(machine.stage(), Stage::Held | Stage::Owner);
        let found = self.checkers.self_stop.after_input(
            node.number,
            owns,
            node.clock.shows(self.now),
            node.proved_until,
        );
        self.checkers.hold(Property::SelfStop, found);
    }

    fn obey(&mut self, index: usize, output: Output) {
        match output {
            Output::Perform {
                id,
                path,
                verb,
                bound,
            } => self.send(index, id, path, verb, bound),
            Output::ReadMark { id } => {
                let mark = self.log.as_ref().map_or(self.mark, Quorum::mark);
                let trip = self.nodes[index].round_trip;
                self.reply(index, trip, Input::Mark { id, mark });
            }
            Output::ReadEpoch { id } => {
                // The epoch was claimed under the key that the term had before the power was lost.
                let node = &self.nodes[index];
                let epoch = self.log.as_ref().map_or(self.epoch, Quorum::claimed_by);
                let still_ours = epoch.is_some() && epoch == node.key;
                let trip = node.round_trip;
                self.reply(index, trip, Input::Epoch { id, still_ours });
            }
            Output::NeedSerials => {
                let serials = self.nodes[index].serials();
                self.reply(index, Duration::from_millis(1), Input::Serials { serials });
            }
            Output::ProvedUntil(until) => self.proved(index, until),
            Output::Event(event) => self.note(index, &event),
        }
    }

    fn reply(&mut self, index: usize, after: Duration, input: Input) {
        let node = &self.nodes[index];
        let reply = Step::Reply {
            node: node.number,
            incarnation: node.incarnation,
            input,
        };
        self.schedule(after, reply);
    }

    /// A line of the timeline.
    fn line(&mut self, text: &str) {
        let at = ms(self.now.elapsed_since_zero());
        self.timeline.push(format!("{at:>8} {text}"));
    }

    /// A line about what went wrong, or was done.
    fn tell_more(&mut self, text: impl FnOnce() -> String) {
        if self.tells == Tells::Everything {
            let text = text();
            self.line(&text);
        }
    }

    /// Counts a fault, and tells of it.
    fn fault(&mut self, kind: FaultKind, about: impl FnOnce() -> String) {
        self.counts.fault(kind);
        self.tell_more(|| format!("!! {}: {}", kind.name(), about()));
    }

    fn is_hostile(&self) -> bool {
        self.disk.behaviour() == Behaviour::Hostile
    }

    fn mode(&self) -> Mode {
        self.nodes
            .first()
            .map_or(Mode::Persistent, |node| node.config.mode)
    }
}

#[derive(Clone, Copy)]
enum Next {
    Tick(usize),
    Write(usize),
    Queue,
}

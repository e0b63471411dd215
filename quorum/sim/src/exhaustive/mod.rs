//! Every schedule of a small world: the shipped machines and the real rule book of the disk, as a state and the actions
//! that are possible in it. A model checker walks through all of them; this module knows none.
//!
//! Time is the order of deadlines: it goes in ticks, and a tick is possible only when nothing is due any more. A
//! command takes effect, and is answered, at any point within one tick (the round trip of the times); timers come
//! on time; clocks are right. States are normalised to now = 0 and without PRGENERATION.
//!
//! What may go wrong, as often as the [`Scope`] says: a command is lost before or after its effect, or takes effect at any
//! later point; a node is paused at any point, for up to a challenge wait and two ticks, or dies, and is born again on its nexus.
//! An owner writes once a term; its write is in its host, then in the target, each for any time.
//!
//! What bounds the world: the number of faults, and of the keys that each node may send (SCSI-2: of its takes).
//! What is checked in every state: S2, S3, S4 and S5 of [`crate::checkers`].
//!
//! How far it goes (`cargo run --release --package quorum-sim --example exhaustive -- 24000000 [MODE NODES FAULTS KEYS]`; one key a
//! process):
//!
//! | world | different states | |
//! |---|---|---|
//! | persistent, 2 nodes, no fault | 69,193 | exhausted, depth 85 |
//! | persistent, 2 nodes, 1 fault | 5,303,810 | exhausted, depth 124 |
//! | SCSI-2, 2 nodes, no fault | 2,611,883 | exhausted within 40 ticks, depth 139 |
//! | SCSI-2, 2 nodes, 1 fault | 3,361,033 of 8,000,000 generated | searched to depth 54, **not** exhausted |
//!
//! Persistent worlds have no end in time but that of their keys; SCSI-2 knows no keys, and ends with its ticks, so that alike
//! states at other ticks are different ones. What is beyond is left to the random worlds.

mod normal;
mod traffic;

use crate::words::CLUSTER;
use quorum_core::Instant;
use quorum_core::arbitration::{
    Arbitration, CommandId, Config, Event, Guards, Input, Mode, NodeNumber, Output, Stage, Stopped,
};
use quorum_core::times::Times;
use scsi::logical_unit::{Config as UnitConfig, LogicalUnit, MemoryMedia, Nexus, Tag};
use scsi::reservation::{Exchange, Key, Verb};
use scsi::wire::cdb::Command;
use scsi::wire::transport_id::TransportId;
use std::time::Duration;

/// How long a tick is: so long that what a machine remembers of the past ends after few of them.
pub const TICK: Duration = Duration::from_secs(100);

const fn ticks(count: u32) -> Duration {
    Duration::from_secs(100 * count as u64)
}

/// How large the world is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Scope {
    /// The protocol.
    pub mode: Mode,
    /// How many contenders.
    pub nodes: usize,
    /// How many faults in all.
    pub faults: u8,
    /// How many keys each process may send, and how many processes each node may have.
    pub keys: u32,
    /// SCSI-2: how many ticks may pass; persistent worlds end with their keys.
    pub ticks_max: u32,
    /// All on, but where it is tried whether something is found.
    pub guards: Guards,
}

/// The times of these worlds: one tick is the round trip. In its fewest ticks every inequality holds.
#[must_use]
pub fn times(mode: Mode) -> Times {
    let times = Times {
        defend_interval: ticks(4),
        lateness: Duration::ZERO,
        round_trip: TICK,
        command_bound: TICK,
        removable_keys: 1,
        drift_ppm: 0,
        challenge_wait: ticks(13),
        self_stop: ticks(12),
        stop_time: Duration::ZERO,
        settle: Duration::ZERO,
        reset_recovery: Duration::ZERO,
        rechallenge_interval: TICK,
    };
    match mode {
        Mode::Persistent => times,
        Mode::Spc2 => Times {
            challenge_wait: ticks(11),
            settle: ticks(12),
            ..times
        },
    }
}

/// The world at one point.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct World {
    unit: LogicalUnit,
    nodes: Vec<Node>,
    commands: Vec<Sent>,
    writes: Vec<Write>,
    faults_left: u8,
    /// Since the beginning, up to [`Scope::ticks_max`]; only where that bounds the world.
    ticks: u32,
    /// Terms that are known still, youngest last: whose they are.
    terms: u8,
    /// A property that did not hold.
    violated: Option<&'static str>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Node {
    machine: Option<Arbitration>,
    /// The machine's clock.
    now: Instant,
    lives_left: u32,
    /// For how many ticks it may be paused still.
    paused: Option<u32>,
    inbox: Vec<Input>,
    owner: bool,
    held: bool,
    /// Something went wrong with it in this term, or a command of it was lost.
    troubled: bool,
    key: Option<Key>,
    proved_until: Instant,
    term: u8,
    may_write: bool,
}

/// A command on its way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct Sent {
    node: usize,
    id: Option<CommandId>,
    verb: OrdVerb,
    sent_at: Instant,
    ticks: u32,
    fate: Fate,
}

/// Verbs have no order of their own; their words have.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct OrdVerb(Verb);

impl PartialOrd for OrdVerb {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OrdVerb {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        format!("{:?}", self.0).cmp(&format!("{:?}", other.0))
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Fate {
    /// On its way to the disk.
    Going,
    /// Performed; this comes back.
    Coming(Box<Exchange>),
    /// Lost: its sender hears so at its bound.
    Lost,
    /// Its sender has given it up, or will; it takes effect at any point.
    Late,
}

impl PartialOrd for Fate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Fate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        format!("{self:?}").cmp(&format!("{other:?}"))
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct Write {
    node: usize,
    term: u8,
    accepted: Option<Tag>,
    open: bool,
}

/// What may happen next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// A tick of time passes.
    Tick,
    /// A process of this node begins.
    Start(usize),
    /// A timer of this node is due.
    Timer(usize),
    /// This command takes effect.
    Effect(usize),
    /// This command's answer arrives.
    Answer(usize),
    /// The sender hears that this command came to no end.
    TimeOut(usize),
    /// Fault: it is lost before it takes effect.
    LoseRequest(usize),
    /// Fault: its answer is lost.
    LoseReply(usize),
    /// Fault: it will take effect at any later point.
    BeLate(usize),
    /// Fault: this node does nothing from now on.
    Pause(usize),
    /// It goes on.
    Resume(usize),
    /// Fault: it dies.
    Die(usize),
    /// An owner writes.
    Write(usize),
    /// This write reaches the target.
    Accept(usize),
    /// This write reaches the medium.
    Land(usize),
}

impl World {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(scope: &Scope) -> Self {
        let node = Node {
            machine: None,
            now: Arbitration::NORMAL_NOW,
            lives_left: scope.keys.min(2),
            paused: None,
            inbox: Vec::new(),
            owner: false,
            held: false,
            troubled: false,
            key: None,
            proved_until: Arbitration::NORMAL_NOW,
            term: 0,
            may_write: false,
        };
        let mut unit = LogicalUnit::new(UnitConfig::default());
        // They have all been seen: no attention waits for anybody.
        let mut media = MemoryMedia::new();
        for index in 0..scope.nodes {
            unit.execute(
                &nexus(index),
                &Command::TestUnitReady.cdb(),
                &[],
                &mut media,
            );
        }
        Self {
            unit,
            nodes: vec![node; scope.nodes],
            commands: Vec::new(),
            writes: Vec::new(),
            faults_left: scope.faults,
            ticks: 0,
            terms: 0,
            violated: None,
        }
    }

    /// The property that did not hold.
    #[must_use]
    pub const fn violated(&self) -> Option<&'static str> {
        self.violated
    }

    /// Does some node own the disk?
    #[must_use]
    pub fn has_owner(&self) -> bool {
        self.nodes.iter().any(|node| node.owner)
    }

    /// What is under way, and where each machine stands, for a person who reads a trace.
    #[must_use]
    pub fn under_way(&self) -> Vec<String> {
        let nodes = self.nodes.iter().enumerate().map(|(index, node)| {
            let stage = node
                .machine
                .as_ref()
                .map_or("dead", |one| one.stage().name());
            let paused = if node.paused.is_some() {
                ", paused"
            } else {
                ""
            };
            format!("n{index} {stage}{paused}")
        });
        let commands = self.commands.iter().enumerate().map(|(index, sent)| {
            let verb = crate::words::verb_word(&sent.verb.0);
            let fate = match &sent.fate {
                Fate::Going => "going".into(),
                Fate::Coming(exchange) => crate::words::answer_word(&exchange.answer),
                Fate::Lost => "lost".into(),
                Fate::Late => "late".into(),
            };
            format!(
                "[{index}] n{} {verb}, {} ticks: {fate}",
                sent.node, sent.ticks
            )
        });
        nodes.chain(commands).collect()
    }

    /// What may happen next.
    #[must_use]
    pub fn actions(&self, scope: &Scope) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.violated.is_some() {
            return actions;
        }
        let faults = self.faults_left > 0;
        for (index, node) in self.nodes.iter().enumerate() {
            let runs = node.machine.is_some() && node.paused.is_none();
            if node.machine.is_none() && node.lives_left > 0 {
                actions.push(Action::Start(index));
            }
            if runs && node.is_due() {
                actions.push(Action::Timer(index));
            }
            if node.paused.is_some() {
                actions.push(Action::Resume(index));
            }
            if runs && faults && !node.is_final() {
                actions.push(Action::Pause(index));
                actions.push(Action::Die(index));
            }
            if runs && node.held && node.may_write && node.now < node.proved_until {
                actions.push(Action::Write(index));
            }
        }
        for (index, command) in self.commands.iter().enumerate() {
            match command.fate {
                Fate::Going => {
                    actions.push(Action::Effect(index));
                    if faults {
                        actions.push(Action::LoseRequest(index));
                        actions.push(Action::BeLate(index));
                    }
                }
                Fate::Coming(_) => {
                    actions.push(Action::Answer(index));
                    if faults {
                        actions.push(Action::LoseReply(index));
                    }
                }
                Fate::Lost if command.ticks >= 1 => actions.push(Action::TimeOut(index)),
                Fate::Lost => {}
                Fate::Late => {
                    if command.id.is_some() && command.ticks >= 1 {
                        actions.push(Action::TimeOut(index));
                    } else if command.id.is_none() {
                        actions.push(Action::Effect(index));
                    }
                }
            }
        }
        for (index, write) in self.writes.iter().enumerate() {
            actions.push(if write.accepted.is_some() {
                Action::Land(index)
            } else {
                Action::Accept(index)
            });
        }
        if self.may_tick(scope) {
            actions.push(Action::Tick);
        }
        actions
    }

    /// A tick passes only when nothing is due any more.
    fn may_tick(&self, scope: &Scope) -> bool {
        let bounded = self.ticks >= scope.ticks_max;
        let due = self.nodes.iter().any(|node| {
            let runs = node.machine.is_some() && node.paused.is_none();
            runs && node.is_due() || node.paused == Some(0)
        });
        let late = self
            .commands
            .iter()
            .any(|command| command.ticks >= 1 && command.id.is_some());
        let idle = self.commands.is_empty() && self.nodes.iter().all(Node::is_idle);
        !bounded && !due && !late && !idle
    }

    /// The world after this.
    #[must_use]
    pub fn after(&self, action: Action, scope: &Scope) -> Self {
        let mut world = self.clone();
        world.act(action, scope);
        world.check_key();
        world.normalize();
        world
    }

    fn act(&mut self, action: Action, scope: &Scope) {
        match action {
            Action::Tick => self.tick(scope),
            Action::Start(index) => self.start(index, scope),
            Action::Timer(index) => self.give(index, Input::Tick),
            Action::Effect(index) => self.effect(index),
            Action::Answer(index) => {
                let sent = self.commands.remove(index);
                if let (Some(id), Fate::Coming(exchange)) = (sent.id, sent.fate) {
                    self.answer(sent.node, id, sent.sent_at, *exchange);
                }
            }
            Action::TimeOut(index) => self.time_out(index),
            Action::LoseRequest(index) => self.spoil(index, Fate::Lost),
            Action::LoseReply(index) => self.spoil(index, Fate::Lost),
            Action::BeLate(index) => self.spoil(index, Fate::Late),
            Action::Pause(index) => {
                self.faults_left -= 1;
                let node = &mut self.nodes[index];
                node.troubled = true;
                let longest = times(scope.mode).challenge_wait.as_secs() / TICK.as_secs() + 2;
                node.paused = Some(u32::try_from(longest).unwrap_or(u32::MAX));
            }
            Action::Resume(index) => self.resume(index),
            Action::Die(index) => {
                self.faults_left -= 1;
                self.die(index);
            }
            Action::Write(index) => {
                let node = &mut self.nodes[index];
                node.may_write = false;
                let write = Write {
                    node: index,
                    term: node.term,
                    accepted: None,
                    open: false,
                };
                self.writes.push(write);
            }
            Action::Accept(index) => self.accept(index),
            Action::Land(index) => self.land(index),
        }
    }

    fn tick(&mut self, scope: &Scope) {
        // Where it bounds nothing it would only tell alike states apart.
        self.ticks += u32::from(scope.mode == Mode::Spc2);
        for command in &mut self.commands {
            command.ticks += 1;
        }
        for node in &mut self.nodes {
            node.now = node.now + TICK;
            if let Some(left) = &mut node.paused {
                *left -= 1;
            }
        }
        for index in 0..self.nodes.len() {
            // Whoever is served is alive.
            if self.nodes[index].paused.is_none() {
                self.give(index, Input::Fed);
            }
        }
    }

    // ----------------------------------------------------------------- nodes

    fn start(&mut self, index: usize, scope: &Scope) {
        let life = scope.keys.min(2) - self.nodes[index].lives_left;
        // The session is re-instated: nothing of the old process is under way as data.
        if life > 0 {
            self.writes.retain(|write| write.node != index);
            self.unit.nexus_loss(&nexus(index));
        }
        let node = &mut self.nodes[index];
        node.lives_left -= 1;
        let number = NodeNumber(u8::try_from(index + 1).unwrap_or(0));
        let mut config = Config::new(scope.mode, "small", number, times(scope.mode));
        config.cluster = CLUSTER;
        config.guards = scope.guards;
        config.policy.wait = true;
        node.machine = Some(Arbitration::new(config));
        let serials = (1 + life * scope.keys, scope.keys);
        self.give(index, Input::Start { serials });
    }

    fn die(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        node.machine = None;
        node.paused = None;
        node.inbox.clear();
        node.owner = false;
        node.held = false;
        node.may_write = false;
        node.key = None;
        node.proved_until = node.now;
        for command in self.commands.iter_mut().filter(|one| one.node == index) {
            // What is under way is under way still; nobody hears of it.
            command.id = None;
            if command.fate == Fate::Going {
                command.fate = Fate::Late;
            }
        }
        self.commands
            .retain(|one| one.node != index || one.fate == Fate::Late);
    }

    fn resume(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        node.paused = None;
        let arrived = std::mem::take(&mut node.inbox);
        // A timer is late: its driver tells that first, and no lateness is allowed here.
        let late = node.deadline().is_some_and(|at| at < node.now);
        self.give(index, if late { Input::Stalled } else { Input::Tick });
        for input in arrived {
            self.give(index, input);
        }
    }

    fn give(&mut self, index: usize, input: Input) {
        let node = &mut self.nodes[index];
        if node.paused.is_some() {
            node.inbox.push(input);
            return;
        }
        let Some(machine) = &mut node.machine else {
            return;
        };
        machine.handle(node.now, input);
        let outputs: Vec<Output> = std::iter::from_fn(|| machine.poll_output()).collect();
        for output in outputs {
            match output {
                Output::Perform { id, verb, .. } => {
                    let sent_at = self.nodes[index].now;
                    self.commands.push(Sent {
                        node: index,
                        id: Some(id),
                        verb: OrdVerb(verb),
                        sent_at,
                        ticks: 0,
                        fate: Fate::Going,
                    });
                }
                Output::ProvedUntil(until) => self.nodes[index].proved_until = until,
                Output::Event(event) => self.note(index, &event),
                // Serials end, and with them the world; there is no log.
                Output::NeedSerials | Output::ReadMark { .. } | Output::ReadEpoch { .. } => {}
            }
        }
    }

    fn note(&mut self, index: usize, event: &Event) {
        match event {
            Event::Held { key, proved_at } => {
                self.terms += 1;
                let terms = self.terms;
                let node = &mut self.nodes[index];
                node.held = true;
                node.key = *key;
                node.term = terms;
                node.may_write = true;
                // A win that it heard of late, after a pause, is nearly as old as the self-stop age.
                node.troubled = node.now.saturating_since(*proved_at) > TICK;
            }
            Event::Owner { .. } => {
                self.nodes[index].owner = true;
                let other = |(number, node): (usize, &Node)| {
                    number != index && node.owner && node.now < node.proved_until
                };
                if self.nodes.iter().enumerate().any(other) {
                    self.violated = Some("S5: two owners");
                }
            }
            Event::Stopped(stopped) => {
                let node = &mut self.nodes[index];
                let lost = matches!(stopped, Stopped::Deposed { .. } | Stopped::SelfStop { .. });
                if lost && node.held && !node.troubled {
                    self.violated = Some("S3: a live owner is stopped");
                }
                let node = &mut self.nodes[index];
                node.owner = false;
                node.held = false;
                node.may_write = false;
            }
            _ => {}
        }
    }

    fn check_key(&mut self) {
        for (index, node) in self.nodes.iter().enumerate() {
            let well = node.held && !node.troubled && node.paused.is_none();
            let Some(key) = node.key.filter(|_| well) else {
                continue;
            };
            let nexus = nexus(index);
            let holds = self.unit.registered_key(&nexus) == Some(key)
                && self.unit.is_persistent_holder(&nexus);
            if !holds {
                self.violated = Some("S4: a live owner's key is absent");
            }
        }
    }
}

impl Node {
    fn deadline(&self) -> Option<Instant> {
        self.machine.as_ref().and_then(Arbitration::next_deadline)
    }

    fn is_due(&self) -> bool {
        self.deadline().is_some_and(|at| at <= self.now)
    }

    fn is_final(&self) -> bool {
        self.machine
            .as_ref()
            .is_some_and(|machine| machine.stage().is_final())
    }

    /// Nothing will ever come of it by itself.
    fn is_idle(&self) -> bool {
        let stage = self.machine.as_ref().map(Arbitration::stage);
        self.paused.is_none() && stage.is_none_or(Stage::is_final)
    }
}

fn nexus(index: usize) -> Nexus {
    let number = u64::try_from(index + 1).unwrap_or(0);
    Nexus::new(TransportId::Sas(number.to_be_bytes()), 1)
}

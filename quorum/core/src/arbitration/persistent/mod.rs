//! Arbitration by persistent reservations (SPC-3 and later, NVMe).
//!
//! ```text
//!   Idle --Start--> Probing --> Registering --> Challenge --------> Win -----------> Owning
//!                     ^  |           |        note, wait w,     sweep, barrier,   rounds every d,
//!                     |  |           |        look, take        first clean        Held, then Owner
//!                     |  |           |            |             round               |    |    |
//!                     |  refused     +---- lost --+---- lost -----+                 |    |    | power loss
//!                     |  |                 v                                        |    |    v
//!                     |  +------------> Leaving (own key away)  <---- Release ------+    |  Registering, RESERVE,
//!                  Resting <--- wait -----+                                              |  barrier, epoch: Win
//!                     |                   v                                              v
//!                     +---- Release --> Stopped <------------- deposed, self-stop, park -+
//! ```
//!
//! One file for each part, by what it does: [`probe`] looks before anything is changed, [`register`] puts
//! one fresh key on every path, [`challenge`] notes, waits, looks and takes, [`win`] makes a take into a
//! term, [`defence`] runs the rounds, [`power_loss`] re-takes, [`leave`] takes away what is ours, [`paths`]
//! knows what each path has registered, [`verdict`] reads a state.
//!
//! Invariants:
//! * A key is sent with REGISTER once; only a path that joins during a term is given the term's key.
//! * No PREEMPT or RESERVE before a whole challenge wait from the GOOD of the last REGISTER, but for a
//!   parked mark, an own nexus that holds, and the operator's word.
//! * Whatever does not come to a definite end is followed by a read of the state; nothing is guessed.
//! * Ownership is as old as the send of the last read that showed this node holding and nobody else.
//!
//! What it never does: REGISTER AND IGNORE EXISTING KEY, CLEAR, a reset wider than the LUN, a write.

mod challenge;
mod defence;
mod leave;
mod paths;
mod power_loss;
mod probe;
mod register;
mod verdict;
mod win;

use super::desk::{Desk, Errand, NORMAL_NOW, normal, trouble};
use super::guards::Guard;
use super::keys::{KeyOwner, Serials};
use super::tenure::Tenure;
use super::{
    CommandId, Config, Event, Guards, Input, Output, PathId, Refused, Stage, Status, Stopped,
};
use crate::Instant;
use challenge::Challenge;
use defence::Owning;
use leave::{After, Leaving};
use paths::Paths;
use register::Registering;
use scsi::reservation::{
    Answer, Attention, AttentionKind, Capabilities, Exchange, Key, PersistentState, Refusal,
    RegisterOptions, Registration, Reply, Reservation, ReservationType, Support, Unsent, Verb,
};
use std::collections::VecDeque;
use verdict::ports_with;
use win::Win;

/// How many commands in a row may come to no definite end before a contender gives up: with half a
/// defend interval between them some four rounds of a live owner have passed.
const STUMBLES_MAX: u32 = 8;

/// The machine.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Persistent {
    desk: Desk,
    serials: Serials,
    paths: Paths,
    /// The key that was sent last.
    key: Option<Key>,
    /// On how many paths.
    key_sent: u32,
    capabilities: Capabilities,
    /// The type that this node takes and holds with.
    kind: ReservationType,
    /// The state that was read last.
    seen: Option<PersistentState>,
    phase: Phase,
    /// The one command that a phase other than [`Phase::Owning`] waits for.
    errand: Errand,
    /// When whoever is served last said that it is alive.
    fed_at: Instant,
    attentions: Attentions,
    /// The target refused PREEMPT AND ABORT.
    abort_refused: bool,
    /// The target does not take the APTPL bit.
    aptpl_refused: bool,
    /// The key with which this node may be found holding: a take was sent with it, or it replaced the holder's.
    may_hold: Option<Key>,
    /// How often in a row a take was a win, and no term came of it.
    wins: u32,
    /// The disk has been described to the people already.
    described: bool,
    /// Told to stop, and waits for the command that is out.
    leave_asked: bool,
    /// When foreign registrations were removed; the last three.
    foreign_removed: VecDeque<Instant>,
    /// When a path came last, if one ever did.
    path_came_at: Option<Instant>,
}

/// Where the machine stands.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Phase {
    Idle,
    Probing,
    Registering(Registering),
    Challenge(Challenge),
    Win(Win),
    Owning(Owning),
    Leaving(Leaving),
    Resting { until: Instant },
    Stopped(Stopped),
}

/// Attentions met since the last clean round.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Attentions {
    /// Power on, or a reset.
    reset: bool,
    /// Reservations or registrations preempted, reservations released.
    preempted: bool,
}

impl Persistent {
    pub(crate) fn new(config: Config) -> Self {
        assert!(config.paths > 0, "an arbiter needs a path");
        Self {
            paths: Paths::new(config.paths),
            desk: Desk::new(config),
            serials: Serials::default(),
            key: None,
            key_sent: 0,
            capabilities: Capabilities::default(),
            kind: ReservationType::WriteExclusive,
            seen: None,
            phase: Phase::Idle,
            errand: Errand::default(),
            fed_at: Instant::ZERO,
            attentions: Attentions::default(),
            abort_refused: false,
            aptpl_refused: false,
            may_hold: None,
            wins: 0,
            described: false,
            leave_asked: false,
            foreign_removed: VecDeque::new(),
            path_came_at: None,
        }
    }

    pub(crate) fn handle(&mut self, now: Instant, input: Input) {
        self.desk.now = self.desk.now.max(now);
        if matches!(self.phase, Phase::Stopped(_)) || self.stop_when_over() {
            return;
        }
        match input {
            Input::Start { serials } => {
                self.serials.refill(serials.0, serials.1);
                self.fed_at = self.desk.now;
                if self.phase == Phase::Idle {
                    self.probe();
                }
            }
            Input::Serials { serials } => {
                self.serials.refill(serials.0, serials.1);
                self.register_with_new_serials();
            }
            Input::Answer {
                id,
                sent_at,
                exchange,
            } => self.on_answer(id, sent_at, exchange),
            Input::Mark { id, mark } => self.on_mark(id, mark),
            Input::Epoch { id, still_ours } => self.on_epoch(id, still_ours),
            Input::Fed => self.fed_at = self.desk.now,
            Input::Tick => {}
            Input::Park => self.park(),
            Input::HandedOver => self.look_for_the_mark_now(),
            Input::Stalled => self.prove_again(),
            Input::Release => self.release(),
            Input::PathChanged { path, usable } => self.on_path_changed(path, usable),
        }
        self.run_timers();
        // Only a driver that has seen what is registered can tell which serials were used.
        let going = !matches!(self.phase, Phase::Idle | Phase::Stopped(_));
        if going && self.seen.is_some() && self.serials.should_ask() {
            self.desk.push(Output::NeedSerials);
        }
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.desk.poll()
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let phase = match &self.phase {
            Phase::Idle | Phase::Probing | Phase::Leaving(_) | Phase::Stopped(_) => None,
            Phase::Registering(registering) => registering
                .retake
                .as_ref()
                .map(|tenure| tenure.end(&self.desk)),
            Phase::Challenge(challenge) => challenge.next_deadline(),
            Phase::Win(win) => win.retake().map(|tenure| tenure.end(&self.desk)),
            Phase::Owning(owning) => Some(owning.tenure.next_deadline(&self.desk)),
            Phase::Resting { until } => Some(*until),
        };
        phase.into_iter().chain(self.errand.retry_at).min()
    }

    pub(crate) fn status(&self) -> Status {
        match &self.phase {
            Phase::Idle => Status::Idle,
            Phase::Probing
            | Phase::Registering(Registering { retake: None, .. })
            | Phase::Challenge(_)
            | Phase::Resting { .. } => Status::Contending,
            Phase::Win(win) if win.retake().is_none() => Status::Contending,
            Phase::Registering(_) | Phase::Win(_) => Status::Retaking,
            Phase::Owning(owning) if owning.tenure.is_settled() => Status::Owner,
            Phase::Owning(_) => Status::Held,
            Phase::Leaving(_) => Status::Leaving,
            Phase::Stopped(stopped) => Status::Stopped(stopped.clone()),
        }
    }

    pub(crate) fn stage(&self) -> Stage {
        match &self.phase {
            Phase::Idle => Stage::Idle,
            Phase::Probing => Stage::Probing,
            Phase::Registering(Registering { retake: None, .. }) => Stage::Registering,
            Phase::Registering(_) => Stage::RetakeRegistering,
            Phase::Challenge(challenge) => challenge.stage(),
            Phase::Win(win) if win.retake().is_none() => Stage::Winning,
            Phase::Win(_) => Stage::Retaking,
            Phase::Owning(owning) if owning.tenure.is_settled() => Stage::Owner,
            Phase::Owning(_) => Stage::Held,
            Phase::Leaving(_) => Stage::Leaving,
            Phase::Resting { .. } => Stage::Resting,
            Phase::Stopped(stopped) => Stage::of_stopped(stopped),
        }
    }

    pub(crate) fn set_guards(&mut self, guards: Guards) {
        self.desk.config.guards = guards;
    }

    /// See [`super::Arbitration::normalized`].
    pub(crate) fn normalized(&self) -> (Self, Vec<(CommandId, CommandId)>) {
        let mut machine = self.clone();
        let now = machine.desk.now;
        let renamed = machine.desk.normalize();
        let rename = |id: CommandId| {
            let pair = renamed.iter().find(|(old, _)| *old == id);
            pair.map(|(_, new)| *new)
        };
        machine.fed_at = normal(machine.fed_at, now).min(NORMAL_NOW);
        machine.path_came_at = machine.path_came_at.map(|at| normal(at, now));
        for at in &mut machine.foreign_removed {
            *at = normal(*at, now);
        }
        machine.errand.awaited = machine.errand.awaited.and_then(rename);
        machine.errand.retry_at = machine.errand.retry_at.map(|at| normal(at, now));
        match &mut machine.phase {
            Phase::Idle | Phase::Probing | Phase::Stopped(_) => {}
            Phase::Registering(registering) => registering.normalize(now),
            Phase::Challenge(challenge) => challenge.normalize(now),
            Phase::Win(win) => win.normalize(now),
            Phase::Owning(owning) => owning.normalize(now, &rename),
            Phase::Leaving(leaving) => leaving.normalize(now),
            Phase::Resting { until } => *until = normal(*until, now),
        }
        (machine, renamed)
    }

    /// The type that this node holds with: with one nexus its holder alone may write; with several, each
    /// of them must.
    fn wanted_kind(&self) -> ReservationType {
        let nexuses = self.seen.as_ref().map_or(0, |state| {
            let own = |registration: &&Registration| Some(registration.key) == self.key;
            state.registrations.iter().filter(own).count()
        });
        let several = self.desk.config.paths > 1 || nexuses > 1;
        if several && !self.capabilities.host_registration {
            ReservationType::WriteExclusiveRegistrantsOnly
        } else {
            ReservationType::WriteExclusive
        }
    }

    fn owner_of(&self, key: Key) -> KeyOwner {
        KeyOwner::of(key, self.desk.config.cluster, self.desk.config.node)
    }

    /// Has a nexus this node's key that was not given it by this node? Told, if so.
    fn key_is_shared(&mut self, state: &PersistentState, key: Key) -> bool {
        let can = &self.capabilities;
        if can.host_registration
            || can.registers_several
            || !self.desk.stands(Guard::KeySentNoFurther)
        {
            return false;
        }
        let nexuses = u32::try_from(ports_with(state, key)).unwrap_or(u32::MAX);
        let sent = self.key_sent;
        let shared = Some(key) == self.key && nexuses > sent;
        if shared {
            self.desk.tell(Event::KeyShared { key, nexuses, sent });
        }
        shared
    }

    /// Must PTPL_A be 1?
    fn demands_aptpl(&self, guard: Guard) -> bool {
        !self.desk.config.policy.accept_no_aptpl && self.desk.stands(guard)
    }

    /// Is a reservation under this key of this node's own doing?
    fn has_earned(&self, key: Key) -> bool {
        self.may_hold == Some(key) || !self.desk.stands(Guard::HoldingIsEarned)
    }

    fn foreign_in(&self, state: &PersistentState) -> Vec<Registration> {
        let foreign =
            |registration: &&Registration| self.owner_of(registration.key) == KeyOwner::Foreign;
        state
            .registrations
            .iter()
            .filter(foreign)
            .cloned()
            .collect()
    }

    // ------------------------------------------------------------------ time

    fn tenure(&self) -> Option<&Tenure> {
        match &self.phase {
            Phase::Owning(owning) => Some(&owning.tenure),
            Phase::Registering(registering) => registering.retake.as_ref(),
            Phase::Win(win) => win.retake(),
            Phase::Idle
            | Phase::Probing
            | Phase::Challenge(_)
            | Phase::Leaving(_)
            | Phase::Resting { .. }
            | Phase::Stopped(_) => None,
        }
    }

    /// The self-stop age comes before anything that has arrived: a reply that is older proves nothing.
    fn stop_when_over(&mut self) -> bool {
        let Some(tenure) = self.tenure() else {
            return false;
        };
        if !tenure.is_over(&self.desk) {
            return false;
        }
        let age = tenure.age(&self.desk);
        self.stop(Stopped::SelfStop { age });
        true
    }

    fn run_timers(&mut self) {
        let now = self.desk.now;
        if self.errand.retry_at.is_some_and(|at| now >= at) {
            self.errand.retry_at = None;
            self.resume();
        }
        match &self.phase {
            Phase::Challenge(_) => self.look_when_due(),
            Phase::Owning(_) => self.defend_when_due(),
            Phase::Resting { until } if now >= *until => self.probe(),
            Phase::Idle
            | Phase::Probing
            | Phase::Registering(_)
            | Phase::Win(_)
            | Phase::Leaving(_)
            | Phase::Resting { .. }
            | Phase::Stopped(_) => {}
        }
    }

    // --------------------------------------------------------------- answers

    fn on_answer(&mut self, id: CommandId, sent_at: Instant, exchange: Exchange) {
        let Some(sent) = self.desk.take_back(id) else {
            return;
        };
        // The driver's word for when it left is taken within what can be true.
        let sent_at = sent_at.max(sent.sent_at).min(self.desk.now);
        for attention in exchange.attentions {
            self.note_attention(sent.path, attention);
        }
        if let Answer::Attention(attention) = &exchange.answer {
            self.note_attention(sent.path, *attention);
        }
        self.paths.learn(sent.path, &sent.verb, &exchange.answer);
        self.tell_trouble(sent.path, &sent.verb, &exchange.answer);
        if let Phase::Owning(_) = &self.phase {
            self.on_round_answer(id, sent.path, &sent.verb, sent_at, exchange.answer);
            return;
        }
        if self.errand.awaited != Some(id) {
            return;
        }
        self.errand.awaited = None;
        if self.leave_asked && !matches!(self.phase, Phase::Leaving(_)) {
            self.leave(After::Stop(self.farewell()));
            return;
        }
        self.on_errand_answer(sent.path, &sent.verb, sent_at, exchange.answer);
    }

    fn on_errand_answer(&mut self, path: PathId, verb: &Verb, sent_at: Instant, answer: Answer) {
        match answer {
            Answer::Done(Reply::State(state)) => {
                self.errand.stumbles = 0;
                self.seen = Some(state.clone());
                self.on_state(path, sent_at, &state);
            }
            Answer::Done(Reply::Capabilities(capabilities)) => {
                self.errand.stumbles = 0;
                self.capabilities = capabilities;
                self.on_capabilities();
            }
            // A disk without REPORT CAPABILITIES tells nothing; what it has is found by trying.
            Answer::Unsupported if *verb == Verb::ReadCapabilities => {
                self.capabilities = Capabilities::default();
                self.on_capabilities();
            }
            answer @ (Answer::Done(_)
            | Answer::Conflict { .. }
            | Answer::Attention(_)
            | Answer::Refused(_)
            | Answer::Unsupported
            | Answer::OutcomeUnknown(_)
            | Answer::NotSent(_)) => self.on_other_answer(path, verb, sent_at, &answer),
        }
    }

    fn on_state(&mut self, path: PathId, sent_at: Instant, state: &PersistentState) {
        match &self.phase {
            Phase::Probing => self.probe_state(state),
            Phase::Registering(_) => self.registering_state(state),
            Phase::Challenge(_) => self.challenge_state(state),
            Phase::Win(_) => self.win_state(path, sent_at, state),
            Phase::Leaving(_) => self.leave_state(path, state),
            Phase::Idle | Phase::Owning(_) | Phase::Resting { .. } | Phase::Stopped(_) => {}
        }
    }

    fn on_capabilities(&mut self) {
        match &self.phase {
            Phase::Probing => self.read_state(),
            Phase::Challenge(_) => self.challenge_capabilities(),
            Phase::Win(_) => self.win_capabilities(),
            Phase::Idle
            | Phase::Registering(_)
            | Phase::Owning(_)
            | Phase::Leaving(_)
            | Phase::Resting { .. }
            | Phase::Stopped(_) => {}
        }
    }

    /// Everything but a state and capabilities: the answers to changes, and reads that failed.
    fn on_other_answer(&mut self, path: PathId, verb: &Verb, sent_at: Instant, answer: &Answer) {
        match answer {
            Answer::NotSent(Unsent::NoPath(_) | Unsent::NotPermitted(_)) => self.paths.fail(path),
            Answer::NotSent(_) | Answer::OutcomeUnknown(_) => self.paths.shun(path),
            Answer::Done(_)
            | Answer::Conflict { .. }
            | Answer::Attention(_)
            | Answer::Refused(_)
            | Answer::Unsupported => {}
        }
        if verb.is_read() {
            if self.phase == Phase::Probing && matches!(answer, Answer::Conflict { .. }) {
                // PERSISTENT RESERVE IN conflicts only under an SPC-2 reservation (SPC-2 5.5.1).
                self.refuse(Refused::OtherProtocol);
            } else if self.phase == Phase::Probing && *answer == Answer::Unsupported {
                self.refuse(Refused::Unsupported("persistent reservations".into()));
            } else {
                self.stumble(answer);
            }
            return;
        }
        match &self.phase {
            Phase::Registering(_) => self.registered(path, verb, sent_at, answer),
            Phase::Challenge(_) => self.taken(verb, answer),
            Phase::Win(_) => self.win_answer(path, verb, answer),
            Phase::Leaving(_) => self.leave_answer(path, verb, answer),
            Phase::Idle
            | Phase::Probing
            | Phase::Owning(_)
            | Phase::Resting { .. }
            | Phase::Stopped(_) => {}
        }
    }

    fn note_attention(&mut self, path: PathId, attention: Attention) {
        match attention.kind() {
            AttentionKind::PowerOn | AttentionKind::Reset => self.attentions.reset = true,
            AttentionKind::ReservationsPreempted
            | AttentionKind::ReservationsReleased
            | AttentionKind::RegistrationsPreempted => self.attentions.preempted = true,
            AttentionKind::NexusLoss | AttentionKind::CommandsCleared | AttentionKind::Other => {}
        }
        self.desk.tell(Event::Attention { path, attention });
    }

    fn tell_trouble(&mut self, path: PathId, verb: &Verb, answer: &Answer) {
        if let Some(why) = trouble(answer) {
            self.desk.tell(Event::Trouble {
                path,
                verb: verb.name(),
                why,
            });
        }
    }

    // --------------------------------------------------------------- errands

    /// Sends this verb on this path, and waits for its answer.
    fn ask(&mut self, path: PathId, verb: Verb) {
        self.paths.will_send(path, &verb);
        self.errand.retry_at = None;
        self.errand.awaited = Some(self.desk.perform(path, verb));
    }

    /// Reads the state on a path that is free, registered if there is one.
    fn read_state(&mut self) {
        self.read(Verb::ReadState);
    }

    fn read(&mut self, verb: Verb) {
        match self.free_path() {
            Some(path) => self.ask(path, verb),
            None => self.stumble_for("no path is free"),
        }
    }

    fn free_path(&self) -> Option<PathId> {
        self.paths.best(|path| !self.desk.is_busy(path))
    }

    /// A command came to no definite end: the phase is taken up again a little later, with a read.
    fn stumble(&mut self, answer: &Answer) {
        let why = trouble(answer).unwrap_or_else(|| format!("unexpected answer {answer:?}"));
        self.stumble_for(&why);
    }

    fn stumble_for(&mut self, why: &str) {
        self.errand.stumbles += 1;
        let retaking = self.tenure().is_some();
        if self.errand.stumbles >= STUMBLES_MAX && !retaking {
            self.give_up(why);
        } else {
            self.errand.retry_at = Some(self.desk.now + self.desk.config.times.defend_interval / 2);
        }
    }

    fn resume(&mut self) {
        match &self.phase {
            Phase::Probing => self.read(Verb::ReadCapabilities),
            Phase::Challenge(challenge) if challenge.checks_aptpl() => {
                self.read(Verb::ReadCapabilities);
            }
            Phase::Registering(_) | Phase::Challenge(_) | Phase::Win(_) | Phase::Leaving(_) => {
                self.read_state();
            }
            Phase::Idle | Phase::Owning(_) | Phase::Resting { .. } | Phase::Stopped(_) => {}
        }
    }

    /// Too many commands came to no definite end.
    fn give_up(&mut self, why: &str) {
        if let Phase::Leaving(_) = &self.phase {
            self.left(false);
            return;
        }
        if self.desk.config.policy.wait {
            // A whole round, so that a disk that fails at once is not asked all the time.
            let times = &self.desk.config.times;
            let until = self.desk.now + times.defend_interval + self.desk.config.own_turn();
            self.desk.tell(Event::Lost {
                holder: None,
                again_at: Some(until),
            });
            self.leave(After::Rest(until));
        } else {
            self.refuse(Refused::NoPath(why.into()));
        }
    }

    /// Ends without ever owning the disk; what was registered is taken away. An owner that cannot take its
    /// disk again has lost it: whoever it serves must hear of a loss.
    fn refuse(&mut self, refused: Refused) {
        let after = match self.tenure() {
            Some(_) => Stopped::Deposed { holder: None },
            None => Stopped::Refused(refused),
        };
        self.leave(After::Stop(after));
    }

    /// What every REGISTER carries, also one that takes a key away: the bit of the last REGISTER of any
    /// nexus counts for the whole logical unit (SPC-4 5.13.5), the owner's reservation too.
    fn register_options(&self) -> RegisterOptions {
        RegisterOptions {
            aptpl: self.capabilities.aptpl_capable != Support::No && !self.aptpl_refused,
            ..RegisterOptions::default()
        }
    }

    fn stop(&mut self, stopped: Stopped) {
        self.errand = Errand::default();
        self.phase = Phase::Stopped(stopped.clone());
        self.desk.tell(Event::Stopped(stopped));
    }

    fn depose(&mut self, holder: Option<Reservation>) {
        self.stop(Stopped::Deposed { holder });
    }

    // ----------------------------------------------------------------- words

    /// Sending the mark was the point of no return, whatever the answer: nothing is sent any more, and
    /// the registration stays for whoever reads the mark.
    fn park(&mut self) {
        if !matches!(self.phase, Phase::Stopped(_)) {
            self.stop(Stopped::Parked);
        }
    }

    fn release(&mut self) {
        match &mut self.phase {
            Phase::Stopped(_) => {}
            Phase::Idle | Phase::Resting { .. } => self.stop(Stopped::Withdrawn),
            Phase::Leaving(leaving) => leaving.is_told_to_stop(),
            Phase::Owning(_) => self.leave(After::Stop(Stopped::Released { confirmed: true })),
            Phase::Probing | Phase::Registering(_) | Phase::Challenge(_) | Phase::Win(_) => {
                if self.errand.awaited.is_some() {
                    self.leave_asked = true;
                } else {
                    self.leave(After::Stop(self.farewell()));
                }
            }
        }
    }

    /// How a machine that is told to stop ends.
    fn farewell(&self) -> Stopped {
        match self.tenure() {
            Some(_) => Stopped::Released { confirmed: true },
            None => Stopped::Withdrawn,
        }
    }

    fn on_path_changed(&mut self, path: PathId, usable: bool) {
        if usable {
            self.path_came_at = Some(self.desk.now);
        }
        if self.paths.set_up(path, usable) {
            // A path that came back is usable only when it has joined.
            let told = usable && matches!(self.phase, Phase::Owning(_));
            if !told {
                self.desk.tell(Event::Path { path, usable });
            }
        }
    }
}

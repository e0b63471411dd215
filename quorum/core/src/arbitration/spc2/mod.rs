//! Arbitration by SPC-2 RESERVE and LUN reset: the original's protocol.
//!
//! ```text
//!   Idle --Start--> Probing --> Contention ----------------> Win -------> Owning
//!                     ^  |       TUR; held: LUN reset,     barrier,      RESERVE every d,
//!                     |  |       drain, poll for w,        RESERVE       settle g, then Owner
//!                     |  |       RESERVE once                |            |       |
//!                     |  refused    |         |              |            |       | conflict: deposed
//!                     |  |          |       lost             |            |       | reset: RESERVE again
//!                  Resting <--------|--- wait +--------------+            |       v
//!                     |             +----> Leaving (RELEASE) <--- Release-+   Stopped
//!                     +---- Release -----> Stopped
//! ```
//!
//! One file for each part: [`contention`] challenges, [`win`] makes a take into a term, [`defence`] runs the
//! rounds.
//!
//! Under SPC-2 nobody can see who holds: TEST UNIT READY conflicts for everybody but the holder, and that
//! is all. A reset takes the reservation away from whoever has it, silently where attentions are eaten, so
//! that between a reset and the next RESERVE the disk is open.
//!
//! Invariants:
//! * A disk that answers GOOD is not free: it may be in the window of another's reset. It is probed for a
//!   whole challenge wait before RESERVE.
//! * RESERVE is sent once for each wait: an attention starts the wait over, a conflict loses.
//! * After a win this node defends for the settle time and starts nothing.
//! * An owner gives back only what a RESERVE, sent after it was told to, has shown to be its own: RELEASE by another than
//!   the holder is GOOD too, and does nothing, so that it proves nothing.
//!
//! What it never does: a reset wider than the LUN, a write, a RESERVE after a conflict.

mod contention;
mod defence;
mod win;

use super::desk::{Desk, Errand, NORMAL_NOW, normal, trouble};
use super::{CommandId, Config, Event, Guards, Input, PathId, Refused, Stage, Status, Stopped};
use crate::Instant;
use contention::Contention;
use defence::Owning;
use scsi::reservation::{
    Answer, Attention, AttentionKind, Capabilities, Exchange, PersistentState, Reply, Support, Verb,
};
use win::Win;

/// An SPC-2 reservation belongs to one nexus.
const PATH: PathId = PathId(0);
/// How many commands in a row may come to no definite end before a contender gives up: a target may need
/// seconds to recover from a reset, and is asked every half defend interval.
const STUMBLES_MAX: u32 = 32;
/// How often RELEASE is repeated for attentions.
const RELEASES_MAX: u32 = 8;

/// The machine.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Spc2 {
    desk: Desk,
    capabilities: Capabilities,
    phase: Phase,
    /// The one command that is out.
    errand: Errand,
    /// When whoever is served last said that it is alive.
    fed_at: Instant,
    described: bool,
    /// Told to stop, and waits for the command that is out.
    leave_asked: bool,
    /// A RESERVE was sent whose effect is not ruled out.
    may_hold: bool,
    /// The driver's word.
    path_is_up: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Phase {
    Idle,
    Probing,
    Contention(Contention),
    Win(Win),
    Owning(Owning),
    Leaving { after: After, tries: u32 },
    Resting { until: Instant },
    Stopped(Stopped),
}

/// What comes after RELEASE.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum After {
    Rest(Instant),
    Stop(Stopped),
}

impl After {
    /// Told to stop meanwhile: a contender contends no more. Whoever owned the disk, or was refused, ends as it would have.
    fn is_told_to_stop(&mut self) {
        if matches!(self, Self::Rest(_) | Self::Stop(Stopped::NotTaken { .. })) {
            *self = Self::Stop(Stopped::Withdrawn);
        }
    }
}

impl Spc2 {
    pub(crate) fn new(config: Config) -> Self {
        assert!(config.paths > 0, "an arbiter needs a path");
        Self {
            desk: Desk::new(config),
            capabilities: Capabilities::default(),
            phase: Phase::Idle,
            errand: Errand::default(),
            fed_at: Instant::ZERO,
            described: false,
            leave_asked: false,
            may_hold: false,
            path_is_up: true,
        }
    }

    pub(crate) fn handle(&mut self, now: Instant, input: Input) {
        self.desk.now = self.desk.now.max(now);
        if matches!(self.phase, Phase::Stopped(_)) || self.stop_when_over() {
            return;
        }
        match input {
            Input::Start { .. } => self.start(),
            Input::Answer {
                id,
                sent_at,
                exchange,
            } => self.on_answer(id, sent_at, exchange),
            Input::Fed => self.fed_at = self.desk.now,
            Input::Park => self.park(),
            Input::Stalled => self.prove_again(),
            Input::Release => self.release(),
            Input::PathChanged { path, usable } => self.on_path_changed(path, usable),
            // There are no keys, no marks and no re-take after a power loss under SPC-2.
            Input::Tick
            | Input::Serials { .. }
            | Input::Mark { .. }
            | Input::Epoch { .. }
            | Input::HandedOver => {}
        }
        self.run_timers();
    }

    pub(crate) fn poll_output(&mut self) -> Option<super::Output> {
        self.desk.poll()
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let phase = match &self.phase {
            Phase::Contention(contention) => contention.next_deadline(),
            Phase::Owning(owning) => Some(owning.tenure.next_deadline(&self.desk)),
            Phase::Resting { until } => Some(*until),
            Phase::Idle
            | Phase::Probing
            | Phase::Win(_)
            | Phase::Leaving { .. }
            | Phase::Stopped(_) => None,
        };
        phase.into_iter().chain(self.errand.retry_at).min()
    }

    pub(crate) fn status(&self) -> Status {
        match &self.phase {
            Phase::Idle => Status::Idle,
            Phase::Probing | Phase::Contention(_) | Phase::Win(_) | Phase::Resting { .. } => {
                Status::Contending
            }
            Phase::Owning(owning) if owning.gives_back() => Status::Leaving,
            Phase::Owning(owning) if owning.tenure.is_settled() => Status::Owner,
            Phase::Owning(_) => Status::Held,
            Phase::Leaving { .. } => Status::Leaving,
            Phase::Stopped(stopped) => Status::Stopped(stopped.clone()),
        }
    }

    pub(crate) fn stage(&self) -> Stage {
        match &self.phase {
            Phase::Idle => Stage::Idle,
            Phase::Probing => Stage::Probing,
            Phase::Contention(contention) => contention.stage(),
            Phase::Win(_) => Stage::Winning,
            Phase::Owning(owning) if owning.gives_back() => Stage::Leaving,
            Phase::Owning(owning) if owning.tenure.is_settled() => Stage::Owner,
            Phase::Owning(_) => Stage::Held,
            Phase::Leaving { .. } => Stage::Leaving,
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
        machine.errand.awaited = machine.errand.awaited.and_then(rename);
        machine.errand.retry_at = machine.errand.retry_at.map(|at| normal(at, now));
        match &mut machine.phase {
            Phase::Contention(contention) => contention.normalize(now),
            Phase::Win(win) => win.normalize(now),
            Phase::Owning(owning) => owning.normalize(now),
            Phase::Leaving {
                after: After::Rest(until),
                ..
            }
            | Phase::Resting { until } => *until = normal(*until, now),
            Phase::Idle | Phase::Probing | Phase::Leaving { .. } | Phase::Stopped(_) => {}
        }
        (machine, renamed)
    }

    fn stop_when_over(&mut self) -> bool {
        let Phase::Owning(owning) = &self.phase else {
            return false;
        };
        if !owning.tenure.is_over(&self.desk) {
            return false;
        }
        let age = owning.tenure.age(&self.desk);
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
            Phase::Contention(_) => self.contend_when_due(),
            Phase::Owning(_) => self.defend_when_due(),
            Phase::Resting { until } if now >= *until => self.probe(),
            Phase::Idle
            | Phase::Probing
            | Phase::Win(_)
            | Phase::Leaving { .. }
            | Phase::Resting { .. }
            | Phase::Stopped(_) => {}
        }
    }

    // ----------------------------------------------------------------- probe

    fn start(&mut self) {
        self.fed_at = self.desk.now;
        if self.phase != Phase::Idle {
            return;
        }
        if self.desk.config.paths > 1 {
            self.refuse(Refused::Unsupported(
                "several paths: an SPC-2 reservation belongs to one nexus".into(),
            ));
        } else {
            self.probe();
        }
    }

    fn probe(&mut self) {
        self.errand = Errand::default();
        self.phase = Phase::Probing;
        self.ask(Verb::ReadCapabilities);
    }

    fn probe_answer(&mut self, verb: &Verb, answer: &Answer) {
        match answer {
            Answer::Done(Reply::Capabilities(capabilities)) => {
                self.capabilities = *capabilities;
                self.probe_state();
            }
            Answer::Done(Reply::State(state)) => self.probed(state),
            // PERSISTENT RESERVE IN conflicts under an SPC-2 reservation: the protocol is ours.
            Answer::Conflict { .. } | Answer::Unsupported if *verb == Verb::ReadCapabilities => {
                self.probe_state();
            }
            Answer::Conflict { .. } | Answer::Unsupported => {
                self.probed(&PersistentState::default());
            }
            Answer::Done(Reply::Good)
            | Answer::Attention(_)
            | Answer::Refused(_)
            | Answer::OutcomeUnknown(_)
            | Answer::NotSent(_) => self.stumble(answer),
        }
    }

    fn probe_state(&mut self) {
        if self.capabilities.spc2 == Support::No {
            self.refuse(Refused::Unsupported("SPC-2 RESERVE".into()));
        } else if self.capabilities.persistent == Support::No {
            self.probed(&PersistentState::default());
        } else {
            self.ask(Verb::ReadState);
        }
    }

    fn probed(&mut self, state: &PersistentState) {
        if !self.described {
            self.described = true;
            self.desk.tell(Event::Found {
                reservation: state.reservation,
                registrations: state.registrations.clone(),
            });
        }
        if state.registrations.is_empty() {
            self.contend();
        } else {
            self.refuse(Refused::OtherProtocol);
        }
    }

    // --------------------------------------------------------------- answers

    fn on_answer(&mut self, id: CommandId, sent_at: Instant, exchange: Exchange) {
        let Some(sent) = self.desk.take_back(id) else {
            return;
        };
        let sent_at = sent_at.max(sent.sent_at).min(self.desk.now);
        let Exchange { answer, attentions } = exchange;
        let mut met = attentions;
        if let Answer::Attention(attention) = &answer {
            met.push(*attention);
        }
        for attention in &met {
            self.desk.tell(Event::Attention {
                path: PATH,
                attention: *attention,
            });
        }
        if let Some(why) = trouble(&answer) {
            self.desk.tell(Event::Trouble {
                path: PATH,
                verb: sent.verb.name(),
                why,
            });
        }
        self.learn(&sent.verb, &answer);
        if met.iter().copied().any(is_reset) {
            self.expose();
        }
        if self.errand.awaited != Some(id) {
            return;
        }
        self.errand.awaited = None;
        if matches!(answer, Answer::Done(_) | Answer::Conflict { .. }) {
            self.errand.stumbles = 0;
        }
        if self.leave_asked && !matches!(self.phase, Phase::Leaving { .. }) {
            self.leave(After::Stop(Stopped::Withdrawn));
            return;
        }
        match &self.phase {
            Phase::Probing => self.probe_answer(&sent.verb, &answer),
            Phase::Contention(_) => self.contention_answer(sent_at, &answer, &met),
            Phase::Win(_) => self.win_answer(&sent.verb, sent_at, &answer),
            Phase::Owning(_) => self.round_answer(sent_at, &answer),
            Phase::Leaving { .. } => self.release_answer(&answer),
            Phase::Idle | Phase::Resting { .. } | Phase::Stopped(_) => {}
        }
    }

    /// What an answer says about one's own reservation.
    fn learn(&mut self, verb: &Verb, answer: &Answer) {
        let gone = matches!(answer, Answer::Conflict { .. });
        let released = matches!(verb, Verb::Spc2Release) && matches!(answer, Answer::Done(_));
        if gone || released {
            self.may_hold = false;
        }
    }

    // --------------------------------------------------------------- errands

    fn ask(&mut self, verb: Verb) {
        self.errand.retry_at = None;
        if self.desk.is_busy(PATH) {
            self.stumble_for("the path is busy");
            return;
        }
        if verb == Verb::Spc2Reserve {
            self.may_hold = true;
        }
        self.errand.awaited = Some(self.desk.perform(PATH, verb));
    }

    fn stumble(&mut self, answer: &Answer) {
        let why = trouble(answer).unwrap_or_else(|| format!("unexpected answer {answer:?}"));
        self.stumble_for(&why);
    }

    fn stumble_for(&mut self, why: &str) {
        self.errand.stumbles += 1;
        if self.errand.stumbles < STUMBLES_MAX {
            self.errand.retry_at = Some(self.desk.now + self.desk.config.times.defend_interval / 2);
        } else if let Phase::Leaving { .. } = &self.phase {
            self.left(false);
        } else if self.desk.config.policy.wait {
            self.lost();
        } else {
            self.refuse(Refused::NoPath(why.into()));
        }
    }

    fn resume(&mut self) {
        match &self.phase {
            Phase::Probing => self.ask(Verb::ReadCapabilities),
            Phase::Contention(_) => self.contend_again(),
            Phase::Win(_) => self.win_next(),
            Phase::Leaving { .. } => self.ask(Verb::Spc2Release),
            Phase::Idle | Phase::Owning(_) | Phase::Resting { .. } | Phase::Stopped(_) => {}
        }
    }

    // ------------------------------------------------------------------ ends

    /// The race was lost. A loser starts over after one wait, in the nodes' order.
    fn lost(&mut self) {
        let config = &self.desk.config;
        let again_at = config.policy.wait.then(|| {
            let since = match &self.phase {
                Phase::Contention(contention) => contention.since(),
                Phase::Idle
                | Phase::Probing
                | Phase::Win(_)
                | Phase::Owning(_)
                | Phase::Leaving { .. }
                | Phase::Resting { .. }
                | Phase::Stopped(_) => self.desk.now,
            };
            self.desk.now.max(since + config.times.challenge_wait) + config.own_turn()
        });
        self.desk.tell(Event::Lost {
            holder: None,
            again_at,
        });
        self.leave(match again_at {
            Some(until) => After::Rest(until),
            None => After::Stop(Stopped::NotTaken { holder: None }),
        });
    }

    fn refuse(&mut self, refused: Refused) {
        self.leave(After::Stop(Stopped::Refused(refused)));
    }

    /// Gives back what may be held, and goes on with `after`.
    fn leave(&mut self, after: After) {
        self.leave_asked = false;
        self.errand = Errand::default();
        self.phase = Phase::Leaving { after, tries: 0 };
        if self.may_hold {
            self.ask(Verb::Spc2Release);
        } else {
            self.left(true);
        }
    }

    fn release_answer(&mut self, answer: &Answer) {
        let Phase::Leaving { tries, .. } = &mut self.phase else {
            return;
        };
        *tries += 1;
        let again = *tries < RELEASES_MAX;
        match answer {
            Answer::Done(_) | Answer::Conflict { .. } => self.left(true),
            Answer::Attention(_) if again => self.ask(Verb::Spc2Release),
            Answer::Attention(_)
            | Answer::Refused(_)
            | Answer::Unsupported
            | Answer::OutcomeUnknown(_)
            | Answer::NotSent(_) => self.left(false),
        }
    }

    fn left(&mut self, confirmed: bool) {
        let Phase::Leaving { after, .. } = &self.phase else {
            return;
        };
        match after.clone() {
            After::Rest(until) => {
                self.errand = Errand::default();
                self.phase = Phase::Resting { until };
            }
            After::Stop(Stopped::Released { .. }) => self.stop(Stopped::Released { confirmed }),
            After::Stop(stopped) => self.stop(stopped),
        }
    }

    fn stop(&mut self, stopped: Stopped) {
        self.errand = Errand::default();
        self.phase = Phase::Stopped(stopped.clone());
        self.desk.tell(Event::Stopped(stopped));
    }

    /// Sending the mark was the point of no return: the reservation stays until it is reset away.
    fn park(&mut self) {
        if !matches!(self.phase, Phase::Stopped(_)) {
            self.stop(Stopped::Parked);
        }
    }

    fn release(&mut self) {
        match &mut self.phase {
            Phase::Stopped(_) => {}
            Phase::Idle | Phase::Resting { .. } => self.stop(Stopped::Withdrawn),
            Phase::Leaving { after, .. } => after.is_told_to_stop(),
            Phase::Owning(_) => self.give_back(),
            Phase::Probing | Phase::Contention(_) | Phase::Win(_) => {
                if self.errand.awaited.is_some() {
                    self.leave_asked = true;
                } else {
                    self.leave(After::Stop(Stopped::Withdrawn));
                }
            }
        }
    }

    fn on_path_changed(&mut self, path: PathId, usable: bool) {
        if path != PATH || usable == self.path_is_up {
            return;
        }
        self.path_is_up = usable;
        self.desk.tell(Event::Path { path, usable });
        if usable {
            self.defend_after_login();
        }
    }
}

/// Did this attention take the reservation away?
fn is_reset(attention: Attention) -> bool {
    match attention.kind() {
        AttentionKind::PowerOn | AttentionKind::Reset | AttentionKind::NexusLoss => true,
        AttentionKind::ReservationsPreempted
        | AttentionKind::ReservationsReleased
        | AttentionKind::RegistrationsPreempted
        | AttentionKind::CommandsCleared
        | AttentionKind::Other => false,
    }
}

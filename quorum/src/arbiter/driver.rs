//! The thread that owns the machine: brings it inputs, carries out its outputs, waits for its deadlines.
//!
//! ```text
//!   path threads ──Done──►┐                        ┌──► Perform: to a path's thread
//!   clerk ──Serials──────►│  machine.handle(now,…) │──► NeedSerials: to the clerk (it syncs a file)
//!   feed, release ───────►│  drain its outputs     │──► ProvedUntil: to the Ownership, timer, watchdog
//!   the clock ──Tick─────►┘                        └──► Event: to the notices
//! ```
//!
//! Invariants:
//! * one change, one full drain; it waits only when there is nothing to bring;
//! * nothing here blocks on a disk or a file: only its own alarm, and a little on the arming of a watchdog;
//! * a proof that comes after the self-stop timer has fenced is void: the driver ends as after a loss;
//! * a release is fenced before the machine hears of it, and nothing is told after the end;
//! * while the disk is taken again after a power loss the ownership is suspended;
//! * however it ends, by a panic too, the ownership is revoked.

use super::alarm::Alarm;
use super::clerk::Clerk;
use super::clock::now;
use super::librarian::{Librarian, Question};
use super::minder::{Minder, NotArmed};
use super::notice::{Happening, Notices};
use super::ownership::{Extension, Ownership};
use super::path::{Done, Path};
use super::self_stop::Tenure;
use super::serials::Block;
use super::stall::StallWatch;
use quorum_core::Instant;
use quorum_core::arbitration::{Arbitration, Event, Input, Output, Status, Stopped};
use quorum_core::times::Times;
use scsi::reservation::Key;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

/// What the service asks of the driver, without ever waiting for it.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    pub(super) fed: AtomicBool,
    pub(super) release: AtomicBool,
    pub(super) park: AtomicBool,
    pub(super) handed_over: AtomicBool,
    pub(super) abandon: AtomicBool,
}

/// Where the driver's threads put what it waits for, beside ringing its alarm.
pub(super) struct Inbox {
    pub(super) done: Receiver<Done>,
    pub(super) serials: Receiver<io::Result<Block>>,
    /// What the librarian found.
    pub(super) looked: Receiver<Input>,
}

pub(super) struct Driver {
    pub(super) machine: Arbitration,
    pub(super) times: Times,
    pub(super) paths: Vec<Path>,
    pub(super) clerk: Clerk,
    pub(super) librarian: Option<Librarian>,
    pub(super) inbox: Inbox,
    pub(super) alarm: Arc<Alarm>,
    pub(super) wishes: Arc<Wishes>,
    pub(super) tenure: Arc<Tenure>,
    pub(super) notices: Notices,
    pub(super) watchdog: Option<Minder>,
    pub(super) stalls: StallWatch,
    pub(super) state: State,
}

/// A slow disk is told of so often.
const SLOW_TOLD_EVERY: Duration = Duration::from_secs(60);

/// What the driver remembers between two inputs.
#[derive(Default)]
pub(super) struct State {
    /// Answers that were ready at once, in order.
    pub(super) ready: VecDeque<Input>,
    proved_until: Instant,
    slow_told_at: Option<Instant>,
    /// This host stood still then, and nothing has been proved since.
    stalled_at: Option<Instant>,
    terms: u64,
    ended: Option<Stopped>,
}

impl Driver {
    /// Runs until the machine stands still; why it does.
    pub(super) fn run(mut self) -> Option<Stopped> {
        let _however_it_ends = EndOfTenure(Arc::clone(&self.tenure), self.notices.clone());
        // It asks for serials when it has read what is registered: a mark behind that is noticed before one is used.
        self.bring(Input::Start { serials: (0, 0) });
        while self.state.ended.is_none() && !self.wishes.abandon.load(Ordering::Acquire) {
            match self.next_input() {
                Some(input) => {
                    self.bring(input);
                    self.look_at_the_clocks(None);
                }
                None => {
                    let due = self.next_deadline();
                    self.alarm.wait(due);
                    self.look_at_the_clocks(due.or(Some(now())));
                }
            }
        }
        self.state.ended
    }

    /// The next thing to tell the machine, if there is one now. Ticks come before wishes, so that a busy
    /// service cannot keep the defender from its rounds.
    fn next_input(&mut self) -> Option<Input> {
        loop {
            if let Some(input) = self.state.ready.pop_front() {
                return Some(input);
            }
            if let Ok(done) = self.inbox.done.try_recv() {
                self.clerk.saw(done.exchange());
                self.tell_slow(&done);
                let path = &mut self.paths[usize::from(done.path().0)];
                self.state.ready.extend(path.done(done, &self.notices));
                continue;
            }
            break;
        }
        let at = now();
        for path in &mut self.paths {
            self.state.ready.extend(path.give_up(at, &self.notices));
        }
        if let Some(input) = self.state.ready.pop_front() {
            return Some(input);
        }
        if self.machine.next_deadline().is_some_and(|due| due <= at) {
            return Some(Input::Tick);
        }
        if let Ok(found) = self.inbox.looked.try_recv() {
            return Some(found);
        }
        if self.wishes.park.swap(false, Ordering::AcqRel) {
            return Some(Input::Park);
        }
        if self.wishes.handed_over.swap(false, Ordering::AcqRel) {
            return Some(Input::HandedOver);
        }
        if self.wishes.release.swap(false, Ordering::AcqRel) {
            return Some(Input::Release);
        }
        if self.wishes.fed.swap(false, Ordering::AcqRel) {
            return Some(Input::Fed);
        }
        self.serials_input()
    }

    /// An answer that took longer than the times allow for, beyond what this host's own lateness may be of it; not
    /// again and again.
    fn tell_slow(&mut self, done: &Done) {
        let allowed = self.times.round_trip + self.times.lateness;
        let Some(took) = done.took().filter(|took| *took > allowed) else {
            return;
        };
        let at = now();
        let told_lately = |told: Instant| at.saturating_since(told) < SLOW_TOLD_EVERY;
        if !self.state.slow_told_at.is_some_and(told_lately) {
            self.state.slow_told_at = Some(at);
            let path = done.path();
            self.notices.tell(Happening::Slow {
                path,
                took,
                allowed,
            });
        }
    }

    /// Did this host stand still since the last look? Then nothing is written before ownership is proved again.
    fn look_at_the_clocks(&mut self, due: Option<Instant>) {
        let mut stalled = false;
        for stall in self.stalls.look(due) {
            self.notices.tell(Happening::Stalled(stall));
            stalled = true;
        }
        if stalled {
            self.state.stalled_at = Some(now());
            self.state.ready.push_front(Input::Stalled);
        }
        // Whoever wants to write has waited for this look, if it is later than it should be.
        self.with_present(|ownership| ownership.looked(now(), stalled));
    }

    fn serials_input(&mut self) -> Option<Input> {
        match self.inbox.serials.try_recv() {
            Ok(Ok(serials)) => Some(Input::Serials { serials }),
            Ok(Err(error)) => panic!("the OS has no random numbers: {error}"),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => panic!("the clerk lives as long as the driver"),
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let machine = self.machine.next_deadline();
        let paths = self.paths.iter().filter_map(Path::given_up_at);
        machine.into_iter().chain(paths).min()
    }

    fn bring(&mut self, input: Input) {
        // Whoever asked for it, and whatever was won since they did: nobody acts as the owner any more.
        if matches!(input, Input::Release | Input::Park) {
            self.with_present(Ownership::revoke);
        }
        self.machine.handle(now(), input);
        // What the machine says beyond the end is of a term that is over.
        while self.state.ended.is_none()
            && let Some(output) = self.machine.poll_output()
        {
            self.carry_out(output);
        }
        let status = self.machine.status();
        self.with_present(|ownership| match status {
            Status::Held | Status::Owner => ownership.set_retaking(false),
            Status::Retaking => ownership.set_retaking(true),
            // The term is over, however long the way out still takes.
            Status::Idle | Status::Contending | Status::Leaving | Status::Stopped(_) => {
                ownership.revoke();
            }
        });
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Perform {
                id,
                path,
                verb,
                bound,
            } => {
                let path = &mut self.paths[usize::from(path.0)];
                self.state.ready.extend(path.perform(id, verb, bound));
            }
            Output::NeedSerials => self.clerk.ask(),
            Output::ProvedUntil(until) => self.proved(until),
            Output::Event(event) => self.happened(event),
            Output::ReadMark { id } => self.look(Question::Mark(id)),
            Output::ReadEpoch { id } => self.look(Question::Epoch(id)),
        }
    }

    /// Has the log looked into. A librarian that hangs is not waited for: there is no mark then.
    fn look(&mut self, question: Question) {
        let librarian = self.librarian.as_ref();
        let librarian = librarian.expect("a machine without a log asks for nothing in it");
        if !librarian.ask(question) {
            self.state.ready.push_back(match question {
                Question::Mark(id) => Input::Mark { id, mark: None },
                Question::Epoch(id) => Input::Epoch {
                    id,
                    still_ours: false,
                },
            });
        }
    }

    /// A clean round: moves the proof on.
    fn proved(&mut self, until: Instant) {
        self.state.proved_until = until;
        let since = self.state.stalled_at;
        let after_stall = since.is_some_and(|at| until >= at + self.times.self_stop);
        if after_stall {
            self.state.stalled_at = None;
        }
        let Some(ownership) = self.tenure.present().filter(|_| self.state.terms > 0) else {
            return;
        };
        match ownership.extend(until) {
            Extension::Extended => {
                if self.state.stalled_at.is_none() {
                    ownership.proved_again();
                }
                self.tenure.changed();
                self.pet_watchdog();
            }
            // It gives the disk back, until when the watchdog may wait for the end.
            Extension::GivenUp => self.pet_watchdog(),
            Extension::TooLate => self.lost_to_the_timer(&ownership),
        }
    }

    fn happened(&mut self, event: Event) {
        match &event {
            Event::Held { key, .. } => self.begin_term(*key),
            Event::Owner { .. } => self.with_present(Ownership::set_owner),
            Event::Retaken { key } => self.with_present(|ownership| ownership.set_key(*key)),
            Event::Stopped(why) => {
                self.tenure.end();
                if matches!(why, Stopped::Released { .. } | Stopped::Parked) {
                    self.watchdog.iter().for_each(Minder::disarm);
                }
                // The timer may have said so already: then the first word stands.
                self.state.ended.get_or_insert_with(|| why.clone());
            }
            Event::Found { .. }
            | Event::Reborn { .. }
            | Event::Registered { .. }
            | Event::ResetSent
            | Event::Waiting { .. }
            | Event::WaitRestarted { .. }
            | Event::Lost { .. }
            | Event::Taking { .. }
            | Event::Taken
            | Event::Barrier(_)
            | Event::Defended { .. }
            | Event::Removed { .. }
            | Event::Contested { .. }
            | Event::Crowded { .. }
            | Event::KeyShared { .. }
            | Event::Aptpl { .. }
            | Event::RoundFailed { .. }
            | Event::Late { .. }
            | Event::Trouble { .. }
            | Event::Attention { .. }
            | Event::Exposed { .. }
            | Event::Path { .. } => {}
        }
        self.notices.tell(Happening::Arbitration(event));
    }

    fn with_present(&self, act: impl FnOnce(&Ownership)) {
        if let Some(ownership) = self.tenure.present() {
            act(&ownership);
        }
    }

    fn begin_term(&mut self, key: Option<Key>) {
        self.state.terms += 1;
        // A round later than this has not begun when it should.
        let look_within = self.times.defend_interval + self.times.lateness;
        let ownership = Ownership::new(self.state.terms, key, self.state.proved_until)
            .looked_at_every(look_within);
        // The win may rest on what was sent before the host stood still.
        ownership.looked(now(), self.state.stalled_at.is_some());
        self.tenure.begin(ownership);
        self.arm_watchdog();
    }

    /// The timer fenced first; the machine does not know yet, and must not go on defending as an owner.
    fn lost_to_the_timer(&mut self, ownership: &Ownership) {
        let age = now().saturating_since(ownership.proved_until()) + self.times.self_stop;
        let why = Stopped::SelfStop { age };
        self.state.ended = Some(why.clone());
        self.notices
            .tell(Happening::Arbitration(Event::Stopped(why)));
    }

    fn arm_watchdog(&mut self) {
        // The last clean round was just now, so that this lateness is in the times.
        let bound = self.times.lateness;
        let armed = self.watchdog.as_ref().map(|watchdog| watchdog.arm(bound));
        if armed == Some(Err(NotArmed)) {
            // An owner that was told to run under a watchdog does not run without one.
            self.state.ready.push_back(Input::Release);
        }
    }

    fn pet_watchdog(&mut self) {
        if let Some(watchdog) = &self.watchdog {
            watchdog.pet(self.state.proved_until);
        }
    }
}

/// Ends the tenure and closes the notices when the driver's thread ends, by a panic too.
struct EndOfTenure(Arc<Tenure>, Notices);

impl Drop for EndOfTenure {
    fn drop(&mut self) {
        self.0.end();
        self.1.close();
    }
}

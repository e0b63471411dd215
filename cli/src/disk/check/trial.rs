//! The destructive tier: the rules of reservations, tried out on the disk itself with one nexus or two.
//!
//! Invariants:
//! * a write puts back the very bytes that were read;
//! * every key is a check's ([`keys`]), and none is left when the trial ends, however it ends;
//! * a point that this run cannot test is *not proven*, never passed.

use super::blocks::{self, Moved};
use super::keys;
use super::point::{Answer as Verdict, Point};
use crate::disk::session::{Met, Session};
use crate::exit::Failure;
use crate::interrupt::Interrupts;
use scsi::reservation::{
    Answer, AttentionKind, Capabilities, Key, PersistentState, RegisterOptions, ReservationType,
    ResetScope, Support, Verb,
};

/// Every point of the trial of persistent reservations, in the order in which they are tried; `true`
/// where it takes a second nexus.
const PERSISTENT: [(&str, &str, bool); 15] = [
    ("register", "REGISTER registers, and reads back so", false),
    (
        "aptpl-active",
        "after REGISTER with APTPL it is active (PTPL_A)",
        false,
    ),
    ("reserve", "RESERVE holds, and reads back so", false),
    (
        "holder-writes",
        "the holder writes, and reads its bytes back",
        false,
    ),
    (
        "stranger-refused",
        "a nexus that is not registered cannot write",
        true,
    ),
    ("stranger-reads", "under Write Exclusive it can read", true),
    (
        "second-registers",
        "a second nexus registers beside the holder",
        true,
    ),
    (
        "registrant-refused",
        "under Write Exclusive a registrant that does not hold cannot write",
        true,
    ),
    (
        "registrants-only",
        "under Registrants Only a registrant writes",
        true,
    ),
    (
        "reset-keeps",
        "a LUN reset keeps registrations and reservation",
        false,
    ),
    (
        "preempt-takes",
        "PREEMPT of the holder takes its reservation over",
        true,
    ),
    (
        "preempted-refused",
        "the preempted nexus cannot write",
        true,
    ),
    ("old-key-refused", "its old key registers nothing", true),
    (
        "abort-takes",
        "PREEMPT AND ABORT takes it back, within the time limit",
        true,
    ),
    (
        "unregister",
        "REGISTER with key 0 unregisters, and reads back so",
        false,
    ),
];

/// The same for SPC-2.
const SPC2: [(&str, &str, bool); 4] = [
    ("spc2-reserve", "RESERVE is answered GOOD", false),
    ("spc2-excludes", "the other nexus is shut out", true),
    ("spc2-reset-opens", "a LUN reset ends the reservation", true),
    ("spc2-release", "RELEASE is answered GOOD", false),
];

/// Who acts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Who {
    /// The nexus of the disk that was named.
    First,
    /// The other one.
    Second,
}

/// The nexuses, the block, and what was found out.
pub(super) struct Trial<'a> {
    first: &'a mut Session,
    second: Option<&'a mut Session>,
    interrupts: &'a Interrupts,
    can: Capabilities,
    lba: u64,
    original: Vec<u8>,
    abort: bool,
    points: Vec<Point>,
    /// Why the disk could not be read in between.
    unread: Option<String>,
    /// Attentions that were met.
    met: Vec<Met>,
}

/// A rule did not hold, or could not be tried: what comes after it would prove nothing.
struct Halt;

impl<'a> Trial<'a> {
    /// Reads the block that is to be written back.
    pub(super) fn prepare(
        first: &'a mut Session,
        second: Option<&'a mut Session>,
        interrupts: &'a Interrupts,
        can: Capabilities,
        lba: u64,
        abort: bool,
    ) -> Result<Self, Failure> {
        let mut met = Vec::new();
        let original = blocks::read(first, 0, lba, 1, &mut met)
            .map_err(|moved| moved.failure(first.name()))?;
        Ok(Self {
            first,
            second,
            interrupts,
            can,
            lba,
            original,
            abort,
            points: Vec::new(),
            unread: None,
            met,
        })
    }

    /// Tries everything, cleans up, and reads back that everything is as before.
    pub(super) fn run(mut self) -> (Vec<Point>, Vec<Met>) {
        if self.can.persistent == Support::Yes {
            // A halt is a point that failed: it is in the list.
            let _halted: Result<(), Halt> = self.persistent();
            self.fill(&PERSISTENT);
            // What a halt has left would answer for the rules of SPC-2.
            let _left: Vec<String> = self.remove_keys();
        }
        if self.can.spc2 == Support::Yes {
            let _halted: Result<(), Halt> = self.spc2();
            self.fill(&SPC2);
        }
        self.as_before();
        (self.points, self.met)
    }

    fn persistent(&mut self) -> Result<(), Halt> {
        use ReservationType::{WriteExclusive, WriteExclusiveRegistrantsOnly};
        use Who::{First, Second};
        let key = keys::fresh(&self.state()?);
        let aptpl = self.can.aptpl_capable == Support::Yes;
        self.done("register", First, keys::register(None, Some(key), aptpl))?;
        let registered = self.state()?.has_key(key);
        self.rule("register", registered, "the key does not read back")?;
        if aptpl {
            self.aptpl_is_active();
        }
        let reserve = |key, kind| Verb::Reserve { key, kind };
        self.done("reserve", First, reserve(key, WriteExclusive))?;
        let held = self.holds(key, WriteExclusive)?;
        self.rule("reserve", held, "the reservation does not read back")?;
        self.writes("holder-writes", First, true)?;
        let other = if self.second.is_some() {
            self.writes("stranger-refused", Second, false)?;
            self.reads("stranger-reads");
            let other = keys::fresh(&self.state()?);
            let verb = keys::register(None, Some(other), aptpl);
            self.done("second-registers", Second, verb)?;
            let registered = self.state()?.has_key(other);
            self.rule("second-registers", registered, "the key does not read back")?;
            self.writes("registrant-refused", Second, false)?;
            let kind = WriteExclusive;
            self.done("registrants-only", First, Verb::Release { key, kind })?;
            let verb = reserve(key, WriteExclusiveRegistrantsOnly);
            self.done("registrants-only", First, verb)?;
            self.writes("registrants-only", Second, true)?;
            Some(other)
        } else {
            None
        };
        let kind = self
            .state()?
            .reservation
            .map_or(WriteExclusive, |held| held.kind);
        self.reset_keeps(key, kind)?;
        if let Some(other) = other {
            self.takeovers(key, other, kind)?;
        }
        self.unregisters()
    }

    /// PREEMPT by the second nexus, and PREEMPT AND ABORT back by the first.
    fn takeovers(&mut self, key: Key, other: Key, kind: ReservationType) -> Result<(), Halt> {
        use Who::{First, Second};
        let preempt = |key, victim, abort| Verb::Preempt {
            key,
            victim: Some(victim),
            kind,
            abort,
        };
        self.done("preempt-takes", Second, preempt(other, key, false))?;
        let took = self.holds(other, kind)? && !self.state()?.has_key(key);
        self.rule("preempt-takes", took, "the second nexus does not hold")?;
        self.writes("preempted-refused", First, false)?;
        let old = keys::register(Some(key), Some(key), false);
        let refused = matches!(self.act(First, &old), Answer::Conflict { .. });
        self.rule(
            "old-key-refused",
            refused,
            "REGISTER with the old key was not refused",
        )?;
        if !self.abort || self.can.preempt_and_abort == Support::No {
            return Ok(());
        }
        let again = keys::fresh(&self.state()?);
        self.done(
            "abort-takes",
            First,
            keys::register(None, Some(again), false),
        )?;
        self.done("abort-takes", First, preempt(again, other, true))?;
        let took = self.holds(again, kind)?;
        self.rule("abort-takes", took, "the first nexus does not hold")
    }

    fn unregisters(&mut self) -> Result<(), Halt> {
        let mut failure = keys::unregister_own(self.first).err();
        if let Some(second) = self.second.as_deref_mut() {
            failure = failure.or(keys::unregister_own(second).err());
        }
        if let Some(failure) = failure {
            return self.rule("unregister", false, &failure.message);
        }
        let left = keys::ours(&self.state()?);
        self.rule("unregister", left.is_empty(), "a key is still registered")
    }

    fn reset_keeps(&mut self, key: Key, kind: ReservationType) -> Result<(), Halt> {
        let reset = Verb::Reset {
            scope: ResetScope::Lun,
            escalate: false,
        };
        match self.act(Who::First, &reset) {
            Answer::Done(_) => {
                let kept = self.holds(key, kind)?;
                self.rule("reset-keeps", kept, "the reservation is gone")
            }
            Answer::Unsupported => Ok(()),
            answer @ (Answer::Conflict { .. }
            | Answer::Attention(_)
            | Answer::Refused(_)
            | Answer::OutcomeUnknown(_)
            | Answer::NotSent(_)) => {
                let why = self.words(&reset, &answer);
                self.rule("reset-keeps", false, &why)
            }
        }
    }

    fn spc2(&mut self) -> Result<(), Halt> {
        use Who::{First, Second};
        self.done("spc2-reserve", First, Verb::Spc2Reserve)?;
        self.rule("spc2-reserve", true, "")?;
        if self.second.is_some() {
            let shut = |answer: Answer| matches!(answer, Answer::Conflict { .. });
            let excluded = shut(self.act(Second, &Verb::TestUnitReady));
            self.rule(
                "spc2-excludes",
                excluded,
                "TEST UNIT READY was answered GOOD there",
            )?;
            let reset = Verb::Reset {
                scope: ResetScope::Lun,
                escalate: false,
            };
            if matches!(self.act(Second, &reset), Answer::Done(_)) {
                let open = !shut(self.act(Second, &Verb::TestUnitReady));
                self.rule(
                    "spc2-reset-opens",
                    open,
                    "the other nexus is still shut out",
                )?;
            }
        }
        self.done("spc2-release", First, Verb::Spc2Release)?;
        self.rule("spc2-release", true, "")
    }

    /// Nothing of ours is left, and the bytes are the same: both read again.
    fn as_before(&mut self) {
        let claim = "no key of this check is left, and the bytes are the same";
        let mut wrong = Vec::new();
        if self.can.spc2 == Support::Yes {
            self.first.perform(0, &Verb::Spc2Release);
        }
        if self.can.persistent == Support::Yes {
            wrong.extend(self.remove_keys());
        }
        match blocks::read(self.first, 0, self.lba, 1, &mut self.met) {
            Ok(bytes) if bytes == self.original => {}
            Ok(_) => wrong.push(format!("block {} reads differently", self.lba)),
            Err(moved) => wrong.push(moved.words()),
        }
        let answer = if wrong.is_empty() {
            Verdict::Passed
        } else {
            Verdict::Failed
        };
        let mut point = Point::new("as-before", claim, answer);
        if !wrong.is_empty() {
            point = point.because(format!(
                "{}; `qctl disk check --cleanup` removes keys",
                wrong.join("; ")
            ));
        }
        self.points.push(point);
    }

    /// Removes every key of a check from both nexuses; what went wrong.
    fn remove_keys(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        if let Some(second) = self.second.as_deref_mut()
            && let Err(failure) = keys::unregister_own(second)
        {
            wrong.push(failure.message);
        }
        match keys::clean_up(self.first) {
            Ok(left) if left.is_empty() => {}
            Ok(left) => wrong.push(format!("left: {}", crate::args::list(&left))),
            Err(failure) => wrong.push(failure.message),
        }
        wrong
    }

    fn aptpl_is_active(&mut self) {
        let active = self.first.capabilities().map(|(can, _)| can.aptpl_active);
        let (answer, why) = match active {
            Ok(Support::Yes) => (Verdict::Passed, None),
            Ok(Support::No) => (Verdict::Failed, Some("PTPL_A reads 0".to_owned())),
            Ok(Support::Unknown) => (Verdict::NotProven, None),
            Err(failure) => (Verdict::Failed, Some(failure.message)),
        };
        self.add("aptpl-active", answer, why);
    }

    /// A write of the very bytes that are there succeeds, or is refused with a conflict.
    fn writes(&mut self, name: &'static str, who: Who, allowed: bool) -> Result<(), Halt> {
        let (lba, bytes) = (self.lba, self.original.clone());
        let mut met = Vec::new();
        let session = self.session(who);
        let wrote = blocks::write(session, 0, lba, &bytes, &mut met);
        let reads_back = match (&wrote, allowed) {
            (Moved::Done, true) => blocks::read(session, 0, lba, 1, &mut met).map_or_else(
                |moved| Err(moved.words()),
                |read| {
                    (read == bytes)
                        .then_some(())
                        .ok_or("other bytes were read back".to_owned())
                },
            ),
            (Moved::Refused, false) => Ok(()),
            (Moved::Done | Moved::Refused | Moved::InvalidField | Moved::Failed(_), _) => {
                Err(wrote.words())
            }
        };
        self.met.append(&mut met);
        let why = reads_back.as_ref().err().cloned().unwrap_or_default();
        self.rule(name, reads_back.is_ok(), &why)
    }

    /// The second nexus reads. A target that refuses is stricter than it must be, and not unsafe.
    fn reads(&mut self, name: &'static str) {
        let lba = self.lba;
        let mut met = Vec::new();
        let read = blocks::read(self.session(Who::Second), 0, lba, 1, &mut met);
        self.met.append(&mut met);
        match read {
            Ok(_) => self.add(name, Verdict::Passed, None),
            Err(moved) => self.add(name, Verdict::Failed, Some(moved.words())),
        }
    }

    /// The verb is performed, or the point failed.
    fn done(&mut self, name: &'static str, who: Who, verb: Verb) -> Result<(), Halt> {
        if self.interrupts.came() {
            return Err(Halt);
        }
        match self.act(who, &verb) {
            Answer::Done(_) => Ok(()),
            answer @ (Answer::Conflict { .. }
            | Answer::Attention(_)
            | Answer::Refused(_)
            | Answer::Unsupported
            | Answer::OutcomeUnknown(_)
            | Answer::NotSent(_)) => {
                let why = self.words(&verb, &answer);
                self.rule(name, false, &why)
            }
        }
    }

    /// One verb, after the attentions of what went before were drained and noted.
    fn act(&mut self, who: Who, verb: &Verb) -> Answer {
        let mut met = Vec::new();
        let session = self.session(who);
        if !verb.is_read() {
            let drained = session.perform(0, &Verb::TestUnitReady);
            session.note(0, &drained, &mut met);
        }
        let exchange = session.perform(0, verb);
        session.note(0, &exchange, &mut met);
        self.met.append(&mut met);
        exchange.answer
    }

    fn words(&self, verb: &Verb, answer: &Answer) -> String {
        Failure::of_answer(verb, answer, self.first.name())
            .map_or_else(String::new, |failure| failure.message)
    }

    fn session(&mut self, who: Who) -> &mut Session {
        match (who, &mut self.second) {
            (Who::First, _) => self.first,
            (Who::Second, Some(second)) => second,
            (Who::Second, None) => unreachable!("asked only where there is a second nexus"),
        }
    }

    fn state(&mut self) -> Result<PersistentState, Halt> {
        match self.first.read() {
            Ok(mut reading) => {
                self.met.append(&mut reading.met);
                Ok(reading.state)
            }
            Err(failure) => {
                self.unread = Some(failure.message);
                Err(Halt)
            }
        }
    }

    fn holds(&mut self, key: Key, kind: ReservationType) -> Result<bool, Halt> {
        let state = self.state()?;
        Ok(state.is_held_by(key) && state.reservation.is_some_and(|held| held.kind == kind))
    }

    /// Adds the point; a rule that does not hold halts the trial.
    fn rule(&mut self, name: &'static str, holds: bool, why: &str) -> Result<(), Halt> {
        if holds {
            self.add(name, Verdict::Passed, None);
            Ok(())
        } else {
            self.add(name, Verdict::Failed, Some(why.to_owned()));
            Err(Halt)
        }
    }

    fn add(&mut self, name: &'static str, answer: Verdict, why: Option<String>) {
        let claim = PERSISTENT
            .iter()
            .chain(&SPC2)
            .find_map(|(known, claim, _)| (*known == name).then_some(*claim));
        let Some(claim) = claim else {
            unreachable!("{name} is in the table")
        };
        let mut point = Point::new(name, claim, answer);
        point.why = why;
        self.points.push(point);
    }

    /// What was not reached, or needs what this run has not, is not proven.
    fn fill(&mut self, table: &[(&'static str, &'static str, bool)]) {
        for (name, claim, needs_two) in table {
            if self.points.iter().any(|point| point.name == *name) {
                continue;
            }
            let why = if *needs_two && self.second.is_none() {
                "it takes a second nexus: --second DISK"
            } else if *name == "abort-takes" && !self.abort {
                "left out by --no-abort"
            } else if self.interrupts.came() {
                "interrupted"
            } else if let Some(why) = &self.unread {
                why
            } else if self
                .points
                .iter()
                .any(|point| point.answer == Verdict::Failed)
            {
                "not tried after what failed above"
            } else {
                "this disk, or this way to it, has not what it takes"
            };
            let point = Point::new(name, claim, Verdict::NotProven).because(why);
            self.points.push(point);
        }
        self.victim_was_told();
    }

    /// A victim that meets no attention is odd; attentions are never needed for safety.
    fn victim_was_told(&mut self) {
        let preempted = self
            .points
            .iter()
            .any(|point| point.name == "preempt-takes" && point.answer == Verdict::Passed);
        let told = self.met.iter().any(|met| match met.attention.kind() {
            AttentionKind::RegistrationsPreempted | AttentionKind::ReservationsPreempted => true,
            AttentionKind::PowerOn
            | AttentionKind::Reset
            | AttentionKind::NexusLoss
            | AttentionKind::ReservationsReleased
            | AttentionKind::CommandsCleared
            | AttentionKind::Other => false,
        });
        if preempted
            && !told
            && let Some(point) = self
                .points
                .iter_mut()
                .find(|point| point.name == "preempt-takes")
        {
            point.why = Some(
                "the victim met no attention (others on its nexus may have eaten it)".to_owned(),
            );
        }
    }
}

/// Leaves a registration and a reservation with APTPL, to be found after a power cycle.
pub(super) fn leave_mark(session: &mut Session) -> Result<Key, Failure> {
    let state = session.read()?.state;
    let mark = keys::fresh_mark(&state);
    let register = Verb::Register {
        existing: None,
        new: Some(mark),
        options: RegisterOptions {
            aptpl: true,
            ..RegisterOptions::default()
        },
    };
    keys::send(session, 0, register)?;
    let kind = ReservationType::WriteExclusive;
    keys::send(session, 0, Verb::Reserve { key: mark, kind })?;
    Ok(mark)
}

//! A disk in memory, at the level of the verbs: just enough of the rule book for arbitration, plainly
//! written. The byte-exact unit is `scsi::logical_unit`; this one is small enough to be run through many
//! thousands of schedules and to be read beside the clauses (SPC-4 5.13, SPC-2 5.5).
//!
//! It also takes data writes in two steps, as a real one does: *accepted* into the target's queue, where
//! access is checked, and later on the *medium*, which no check stands before. An abort or a reset throws
//! away what was accepted and has not landed.

use scsi::reservation::{
    Answer, Attention, Capabilities, Exchange, Key, PersistentState, Refusal, Registration, Reply,
    Reservation, ReservationType, Support, Verb,
};
use scsi::wire::sense::Sense;
use std::collections::{BTreeMap, VecDeque};

/// An I_T nexus.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Nexus(pub(crate) u32);

/// A data write in the target's queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Queued {
    pub(crate) nexus: Nexus,
    pub(crate) token: u64,
}

#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) capabilities: Capabilities,
    registered: BTreeMap<Nexus, Key>,
    holder: Option<(Nexus, ReservationType)>,
    spc2_holder: Option<Nexus>,
    attentions: BTreeMap<Nexus, VecDeque<Attention>>,
    aptpl: bool,
    generation: u32,
    pub(crate) queue: Vec<Queued>,
}

const POWER_ON: Attention = Attention::new(0x29, 0x01);
const LUN_RESET: Attention = Attention::new(0x29, 0x03);
const RESERVATIONS_PREEMPTED: Attention = Attention::new(0x2a, 0x03);
const RESERVATIONS_RELEASED: Attention = Attention::new(0x2a, 0x04);
const REGISTRATIONS_PREEMPTED: Attention = Attention::new(0x2a, 0x05);
/// A target raises at most so many for one nexus; more are thrown away.
const ATTENTIONS_MAX: usize = 8;

impl Disk {
    pub(crate) fn new() -> Self {
        let mut capabilities = Capabilities {
            spc2: Support::Yes,
            persistent: Support::Yes,
            aptpl_capable: Support::Yes,
            preempt_and_abort: Support::Yes,
            clear_task_set: Support::Yes,
            attentions: Support::Yes,
            ..Capabilities::default()
        };
        capabilities.resets.lun = Support::Yes;
        Self {
            capabilities,
            registered: BTreeMap::new(),
            holder: None,
            spc2_holder: None,
            attentions: BTreeMap::new(),
            aptpl: false,
            generation: 0,
            queue: Vec::new(),
        }
    }

    /// From now on attentions are raised for it.
    pub(crate) fn log_in(&mut self, nexus: Nexus) {
        self.attentions.entry(nexus).or_default();
    }

    /// The session ends and comes back: what it had queued is thrown away, an SPC-2 reservation ends.
    pub(crate) fn log_in_again(&mut self, nexus: Nexus) {
        self.queue.retain(|queued| queued.nexus != nexus);
        if self.spc2_holder == Some(nexus) {
            self.spc2_holder = None;
        }
    }

    /// Others on the host eat the attentions of a nexus.
    pub(crate) fn eat_attentions(&mut self, nexus: Nexus) {
        self.attentions.entry(nexus).or_default().clear();
    }

    pub(crate) fn lose_power(&mut self) {
        if !self.aptpl {
            self.registered.clear();
            self.holder = None;
        }
        self.spc2_holder = None;
        self.queue.clear();
        self.raise_for_all(POWER_ON);
    }

    pub(crate) fn state(&self) -> PersistentState {
        PersistentState {
            generation: self.generation,
            registrations: self
                .registered
                .values()
                .map(|key| Registration {
                    key: *key,
                    nexus: None,
                    holder: None,
                    all_target_ports: false,
                })
                .collect(),
            reservation: self.holder.map(|(nexus, kind)| Reservation {
                key: self.registered.get(&nexus).copied(),
                kind,
            }),
        }
    }

    /// Does nobody keep anybody out?
    pub(crate) fn is_open(&self) -> bool {
        self.holder.is_none() && self.spc2_holder.is_none()
    }

    /// May this nexus write? Checked when a write is accepted.
    pub(crate) fn accepts_write(&self, nexus: Nexus) -> bool {
        let spc2 = self.spc2_holder.is_none_or(|holder| holder == nexus);
        let persistent = match self.holder {
            None => true,
            Some((holder, _)) if holder == nexus => true,
            Some((_, kind)) => kind.admits_registrants() && self.registered.contains_key(&nexus),
        };
        spc2 && persistent
    }

    /// An operator's CLEAR, from wherever.
    pub(crate) fn clear(&mut self) {
        self.registered.clear();
        self.holder = None;
        self.raise_for_all(RESERVATIONS_PREEMPTED);
    }

    pub(crate) fn perform(&mut self, nexus: Nexus, verb: &Verb) -> Exchange {
        self.log_in(nexus);
        if verb.is_read() {
            return self.read(nexus, verb);
        }
        if matches!(verb, Verb::Reset { .. } | Verb::ClearTaskSet) {
            self.queue.clear();
            if matches!(verb, Verb::Reset { .. }) {
                self.spc2_holder = None;
                self.raise_for_all(LUN_RESET);
            }
            return Answer::Done(Reply::Good).into();
        }
        if let Some(attention) = self.attentions.entry(nexus).or_default().pop_front() {
            return Answer::Attention(attention).into();
        }
        let spc2_verb = matches!(verb, Verb::Spc2Reserve | Verb::Spc2Release);
        if !spc2_verb && self.spc2_holder.is_some_and(|holder| holder != nexus) {
            return Answer::Conflict { holder: None }.into();
        }
        self.change(nexus, verb).into()
    }

    fn read(&mut self, nexus: Nexus, verb: &Verb) -> Exchange {
        let attentions = self
            .attentions
            .entry(nexus)
            .or_default()
            .drain(..)
            .collect();
        let conflict = self.spc2_holder.is_some_and(|holder| holder != nexus);
        let answer = match verb {
            _ if conflict => Answer::Conflict { holder: None },
            Verb::ReadState => Answer::Done(Reply::State(self.state())),
            Verb::ReadCapabilities => {
                let active = if self.aptpl {
                    Support::Yes
                } else {
                    Support::No
                };
                Answer::Done(Reply::Capabilities(Capabilities {
                    aptpl_active: active,
                    ..self.capabilities
                }))
            }
            _ => Answer::Done(Reply::Good),
        };
        Exchange { answer, attentions }
    }

    fn change(&mut self, nexus: Nexus, verb: &Verb) -> Answer {
        let good = Answer::Done(Reply::Good);
        match verb {
            Verb::Spc2Reserve => {
                if self.spc2_holder.is_some_and(|holder| holder != nexus) {
                    return Answer::Conflict { holder: None };
                }
                self.spc2_holder = Some(nexus);
                good
            }
            Verb::Spc2Release => {
                if self.spc2_holder == Some(nexus) {
                    self.spc2_holder = None;
                }
                good
            }
            Verb::Register {
                existing,
                new,
                options,
            } => {
                if self.registered.get(&nexus).copied() != *existing {
                    return self.conflict();
                }
                self.register(nexus, *new, options.aptpl)
            }
            Verb::RegisterIgnoringExisting { new, options } => {
                self.register(nexus, *new, options.aptpl)
            }
            Verb::Reserve { key, .. }
            | Verb::Release { key, .. }
            | Verb::Preempt { key, .. }
            | Verb::Clear { key }
                if self.registered.get(&nexus) != Some(key) =>
            {
                self.conflict()
            }
            Verb::Reserve { kind, .. } => match self.holder {
                None => {
                    self.holder = Some((nexus, *kind));
                    good
                }
                Some((holder, held)) if holder == nexus && held == *kind => good,
                Some(_) => self.conflict(),
            },
            Verb::Release { kind, .. } => match self.holder {
                Some((holder, held)) if holder == nexus && held == *kind => {
                    self.release();
                    good
                }
                Some((holder, _)) if holder == nexus => illegal(0x26, 0x04),
                Some(_) | None => good,
            },
            Verb::Clear { .. } => {
                self.clear();
                good
            }
            Verb::Preempt {
                victim,
                kind,
                abort,
                ..
            } => self.preempt(nexus, *victim, *kind, *abort),
            _ => Answer::Unsupported,
        }
    }

    fn register(&mut self, nexus: Nexus, new: Option<Key>, aptpl: bool) -> Answer {
        if aptpl && self.capabilities.aptpl_capable == Support::No {
            return illegal(0x26, 0x00);
        }
        self.generation += 1;
        match new {
            Some(key) => {
                self.registered.insert(nexus, key);
                self.aptpl = aptpl;
            }
            None => {
                self.registered.remove(&nexus);
                if self.holder.is_some_and(|(holder, _)| holder == nexus) {
                    self.release();
                }
            }
        }
        Answer::Done(Reply::Good)
    }

    /// SPC-4 5.13.11.2.4: takes the reservation over when the victim held it, else removes the victim's
    /// registrations only.
    fn preempt(
        &mut self,
        nexus: Nexus,
        victim: Option<Key>,
        kind: ReservationType,
        abort: bool,
    ) -> Answer {
        let Some(victim) = victim else {
            return illegal(0x26, 0x00);
        };
        let victims: Vec<Nexus> = self
            .registered
            .iter()
            .filter(|(_, key)| **key == victim)
            .map(|(nexus, _)| *nexus)
            .collect();
        if victims.is_empty() {
            return self.conflict();
        }
        self.generation += 1;
        let held = self
            .holder
            .is_some_and(|(holder, _)| victims.contains(&holder));
        for gone in victims.into_iter().filter(|gone| *gone != nexus) {
            self.registered.remove(&gone);
            self.raise(gone, REGISTRATIONS_PREEMPTED);
            if abort {
                self.queue.retain(|queued| queued.nexus != gone);
            }
        }
        if held {
            self.holder = Some((nexus, kind));
        }
        Answer::Done(Reply::Good)
    }

    fn release(&mut self) {
        let released = self.holder.take();
        if released.is_some_and(|(_, kind)| kind.admits_registrants()) {
            let others: Vec<Nexus> = self.registered.keys().copied().collect();
            for other in others {
                self.raise(other, RESERVATIONS_RELEASED);
            }
        }
    }

    fn conflict(&self) -> Answer {
        Answer::Conflict {
            holder: self.state().reservation,
        }
    }

    fn raise(&mut self, nexus: Nexus, attention: Attention) {
        let queue = self.attentions.entry(nexus).or_default();
        if self.capabilities.attentions != Support::No && queue.len() < ATTENTIONS_MAX {
            queue.push_back(attention);
        }
    }

    fn raise_for_all(&mut self, attention: Attention) {
        let all: Vec<Nexus> = self.attentions.keys().copied().collect();
        for nexus in all {
            self.raise(nexus, attention);
        }
    }
}

fn illegal(asc: u8, ascq: u8) -> Answer {
    Answer::Refused(Refusal::Sense(Sense {
        key: 5,
        asc,
        ascq,
        deferred: false,
        information: None,
        field: None,
    }))
}

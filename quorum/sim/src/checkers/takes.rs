//! A take is never instant, never a guess, and never of what the operator has not allowed (design, "A take is never instant",
//! "Foreign keys", "Power loss", "SCSI-2 challenge").
//!
//! Each rule is told from what a node has seen and sent, by its own clock, and knows nothing of how a machine decides:
//! * a disk that shows foreign keys, or cannot keep reservations through a power loss, or has a holder that must be left
//!   alone, is not registered on without the operator's word;
//! * PREEMPT and RESERVE follow a whole wait from the GOOD of the last REGISTER, or a parked mark that names the holder,
//!   and a look that shows one's own key, the noted holder, and nothing foreign;
//! * an owner takes its disk again only after a reset, never after a preemption, and with the epoch still its own;
//! * SCSI-2: RESERVE follows a whole wait without a conflict, a reset, a gap in the polling, or a poll without an answer.

use quorum_core::Instant;
use quorum_core::arbitration::{ClusterTag, Config, KeyOwner, ParkedMark};
use scsi::reservation::{
    Answer, Attention, AttentionKind, Exchange, Key, PersistentState, Reply, Support, Verb,
};

/// What one process has seen and sent. Times are by its own clock.
#[derive(Clone, Default, Debug)]
pub struct Seen {
    /// The state that was read last: holder, one's own key, foreign keys.
    look: Option<Look>,
    /// The first state that was read behind the last REGISTER.
    noted: Option<Option<Key>>,
    /// When the last REGISTER was answered GOOD, and the key.
    registered: Option<(Instant, Key)>,
    /// PTPL_A was read as 1 since.
    aptpl_active: bool,
    aptpl_incapable: bool,
    /// The parked mark that was read since.
    mark: Option<Key>,
    /// Attentions since the last clean round.
    reset: bool,
    preempted: bool,
    epoch_ours: Option<bool>,
    /// A command came to no definite end, or was refused, since it began to contend.
    unsure: bool,
    spc2: Spc2Wait,
}

#[derive(Clone, Debug)]
struct Look {
    holder: Option<Key>,
    keys: Vec<Key>,
    foreign: bool,
}

/// SCSI-2: the wait that runs.
#[derive(Clone, Default, Debug)]
struct Spc2Wait {
    since: Option<Instant>,
    /// What has made it void.
    void: Option<&'static str>,
    polled_at: Option<Instant>,
    /// One's own reset, whose attention has not been drained.
    undrained: bool,
}

impl Seen {
    /// A command came back.
    pub fn answered(
        &mut self,
        config: &Config,
        now: Instant,
        sent_at: Instant,
        verb: &Verb,
        exchange: &Exchange,
    ) {
        self.unsure |= !matches!(
            exchange.answer,
            Answer::Done(_) | Answer::Conflict { .. } | Answer::Attention(_)
        );
        for attention in &exchange.attentions {
            self.met(*attention);
        }
        match (&exchange.answer, verb) {
            (Answer::Attention(attention), _) => self.met(*attention),
            (Answer::Done(Reply::State(state)), _) => self.look_at(config, state),
            (Answer::Done(Reply::Capabilities(can)), _) => {
                self.aptpl_active |= can.aptpl_active == Support::Yes;
                self.aptpl_incapable = can.aptpl_capable == Support::No;
            }
            (
                Answer::Done(_),
                Verb::Register {
                    new: Some(key),
                    existing,
                    ..
                },
            ) if *existing != Some(*key) => {
                self.registers_as(now, *key);
            }
            (Answer::Done(_), Verb::RegisterIgnoringExisting { new: Some(key), .. }) => {
                self.registers_as(now, *key);
            }
            (Answer::Done(_), Verb::Reset { .. }) => self.spc2.undrained = true,
            (Answer::Done(_), Verb::TestUnitReady) => self.polled(config, sent_at),
            (Answer::Conflict { .. }, Verb::TestUnitReady) => {
                self.spc2.void = Some("met a conflict");
            }
            (Answer::OutcomeUnknown(_), Verb::TestUnitReady) => {
                self.spc2.void = self.spc2.void.or(Some("lost a poll"));
            }
            _ => {}
        }
    }

    fn registers_as(&mut self, now: Instant, key: Key) {
        self.registered = Some((now, key));
        self.noted = None;
        self.mark = None;
        self.aptpl_active = false;
    }

    fn met(&mut self, attention: Attention) {
        match attention.kind() {
            AttentionKind::PowerOn | AttentionKind::Reset => {
                self.reset = true;
                self.spc2.void = Some("met a reset");
            }
            AttentionKind::NexusLoss => self.spc2.void = Some("met the loss of its nexus"),
            AttentionKind::ReservationsPreempted
            | AttentionKind::ReservationsReleased
            | AttentionKind::RegistrationsPreempted => self.preempted = true,
            AttentionKind::CommandsCleared | AttentionKind::Other => {}
        }
    }

    fn look_at(&mut self, config: &Config, state: &PersistentState) {
        let foreign =
            |key: Key| KeyOwner::of(key, config.cluster, config.node) == KeyOwner::Foreign;
        let keys: Vec<Key> = state.registrations.iter().map(|one| one.key).collect();
        let holder = state.reservation.and_then(|held| held.key);
        self.noted.get_or_insert(holder);
        self.look = Some(Look {
            holder,
            foreign: keys.iter().copied().any(foreign),
            keys,
        });
    }

    fn polled(&mut self, config: &Config, sent_at: Instant) {
        self.spc2.undrained = false;
        let last = self.spc2.polled_at.replace(sent_at);
        let gap = last.map_or(std::time::Duration::ZERO, |last| {
            sent_at.saturating_since(last)
        });
        if gap > config.times.defend_interval {
            self.spc2.void = self.spc2.void.or(Some("left a gap in its polling"));
        }
    }

    /// It contends anew, from a look.
    pub fn contends(&mut self) {
        self.registered = None;
        self.noted = None;
        self.mark = None;
        self.look = None;
        self.unsure = false;
    }

    /// The holder that it noted has parked: nobody defends, and nobody need wait for a turn.
    #[must_use]
    pub fn is_parked(&self) -> bool {
        self.mark.is_some() && self.noted == Some(self.mark)
    }

    /// The key that it has registered since it began to contend.
    #[must_use]
    pub fn key(&self) -> Option<Key> {
        self.registered.map(|(_, key)| key)
    }

    /// All that it has sent since then has come to a definite end.
    #[must_use]
    pub const fn is_sure(&self) -> bool {
        !self.unsure
    }

    /// The mark was read.
    pub fn read_mark(&mut self, mark: Option<ParkedMark>) {
        self.mark = mark.map(|mark| mark.holder);
    }

    /// The epoch was read.
    pub const fn read_epoch(&mut self, ours: bool) {
        self.epoch_ours = Some(ours);
    }

    /// A round was clean.
    pub const fn proved(&mut self) {
        self.reset = false;
        self.preempted = false;
    }

    /// SCSI-2: a wait begins.
    ///
    /// # Errors
    /// When the attention of one's own reset was not drained before.
    pub fn waits(&mut self, now: Instant) -> Result<(), String> {
        let undrained = self.spc2.undrained;
        self.spc2 = Spc2Wait {
            since: Some(now),
            polled_at: Some(now),
            ..Spc2Wait::default()
        };
        if undrained {
            return Err("waits with the attention of its own reset still to come".into());
        }
        Ok(())
    }

    /// It registers, for the first time since it has looked.
    ///
    /// # Errors
    /// When it must not.
    pub fn registers(&self, config: &Config) -> Result<(), String> {
        let policy = config.policy;
        let Some(look) = &self.look else {
            return Err("registers without a look".into());
        };
        if look.foreign && !policy.evict_foreign {
            return Err("registers on a disk with foreign keys".into());
        }
        if self.aptpl_incapable && !policy.accept_no_aptpl {
            return Err("registers on a disk that forgets reservations".into());
        }
        let by_other = look
            .holder
            .is_some_and(|key| KeyOwner::of(key, config.cluster, config.node) != KeyOwner::OwnNode);
        if by_other && policy.no_preempt {
            return Err("registers on a disk that is held, and must not preempt".into());
        }
        Ok(())
    }

    /// It sends PREEMPT or RESERVE, to take the disk.
    ///
    /// # Errors
    /// When it must not.
    pub fn takes(
        &self,
        config: &Config,
        now: Instant,
        key: Key,
        victim: Option<Key>,
    ) -> Result<(), String> {
        let (Some(look), Some((since, registered))) = (&self.look, self.registered) else {
            return Err("takes without a look".into());
        };
        if registered != key || !look.keys.contains(&key) {
            return Err("takes although its own key was gone".into());
        }
        if look.holder != victim || self.noted != Some(victim) {
            return Err("takes although the holder was another than the noted one".into());
        }
        if look.foreign && !config.policy.evict_foreign {
            return Err("takes a disk with foreign keys".into());
        }
        if !self.aptpl_active && !config.policy.accept_no_aptpl {
            return Err(
                "takes without having read that the reservation survives a power loss".into(),
            );
        }
        let parked = victim.is_some() && self.mark == victim;
        let waited = now.saturating_since(since);
        if !parked && !config.policy.others_are_down && waited < config.times.challenge_wait {
            return Err(format!("takes {waited:?} after the GOOD of its REGISTER"));
        }
        Ok(())
    }

    /// An owner that has lost its key registers again, to take its disk again.
    ///
    /// # Errors
    /// When it must not.
    pub fn takes_again(&self) -> Result<(), String> {
        if self.preempted {
            return Err("takes again after a preemption".into());
        }
        if !self.reset {
            return Err("takes again without having met a reset".into());
        }
        Ok(())
    }

    /// It has taken its disk again.
    ///
    /// # Errors
    /// When the epoch was not seen to be its own.
    pub fn taken_again(&mut self, config: &Config) -> Result<(), String> {
        if config.policy.has_log && self.epoch_ours.take() != Some(true) {
            return Err("took again, and the epoch was another's".into());
        }
        Ok(())
    }

    /// SCSI-2: it sends RESERVE, to take the disk.
    ///
    /// # Errors
    /// When it must not.
    pub fn reserves(&self, config: &Config, now: Instant) -> Result<(), String> {
        if config.policy.others_are_down {
            return Ok(());
        }
        let waited = self.spc2.since.map(|since| now.saturating_since(since));
        if waited.is_none_or(|waited| waited < config.times.challenge_wait) {
            return Err(format!("reserves after a wait of {waited:?}"));
        }
        self.spc2.void.map_or(Ok(()), |what| {
            Err(format!("reserves although its wait {what}"))
        })
    }

    /// It lost to a holder with its own number, which has removed its key.
    #[must_use]
    pub fn lost_to_a_copy(&self, cluster: ClusterTag, config: &Config) -> bool {
        let Some((_, own)) = self.registered else {
            return false;
        };
        self.look.as_ref().is_some_and(|look| {
            !look.keys.contains(&own)
                && self.noted == Some(look.holder)
                && look.holder.is_some_and(|key| {
                    key != own && KeyOwner::of(key, cluster, config.node) == KeyOwner::OwnNode
                })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorum_core::arbitration::{Mode, NodeNumber};
    use quorum_core::times::Profile;
    use scsi::reservation::{RegisterOptions, Registration};
    use std::time::Duration;

    const fn at(millis: u64) -> Instant {
        Instant::since_zero(Duration::from_millis(millis))
    }

    fn config(mode: Mode) -> Config {
        let mut config = Config::new(mode, "x", NodeNumber(1), Profile::Default.times(mode));
        config.policy.accept_no_aptpl = true;
        config.policy.evict_foreign = true;
        config
    }

    #[test]
    fn a_take_needs_a_whole_wait_and_its_own_key() {
        let config = config(Mode::Persistent);
        let own = Key::new(7).unwrap();
        let mut seen = Seen::default();
        let register = Verb::Register {
            existing: None,
            new: Some(own),
            options: RegisterOptions::default(),
        };
        seen.answered(
            &config,
            at(0),
            at(0),
            &register,
            &Answer::Done(Reply::Good).into(),
        );
        let mut state = PersistentState {
            registrations: vec![Registration {
                key: own,
                nexus: None,
                holder: None,
                all_target_ports: false,
            }],
            ..PersistentState::default()
        };
        let read = |state: &PersistentState| Answer::Done(Reply::State(state.clone())).into();
        seen.answered(&config, at(1), at(1), &Verb::ReadState, &read(&state));
        let wait = config.times.challenge_wait;
        assert!(seen.takes(&config, at(0) + wait, own, None).is_ok());
        assert!(seen.takes(&config, at(0) + wait / 2, own, None).is_err());
        state.registrations.clear();
        seen.answered(&config, at(2), at(2), &Verb::ReadState, &read(&state));
        assert!(seen.takes(&config, at(0) + wait, own, None).is_err());
    }

    #[test]
    fn a_conflict_in_the_wait_makes_it_void() {
        let config = config(Mode::Spc2);
        let mut seen = Seen::default();
        let end = at(0) + config.times.challenge_wait;
        assert!(seen.reserves(&config, end).is_err());
        assert!(seen.waits(at(0)).is_ok());
        assert!(seen.reserves(&config, end).is_ok());
        let conflict = Answer::Conflict { holder: None }.into();
        seen.answered(&config, at(1), at(1), &Verb::TestUnitReady, &conflict);
        assert!(seen.reserves(&config, end).is_err());
    }
}

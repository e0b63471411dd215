//! The contenders of a bench: started, struck, replaced, and heard.
//!
//! A node has one process at a time. What is heard is kept for as long as a takeover may need it.

use super::site::{CLUSTER, Site, interrupted};
use super::told::Check;
use crate::arbitrate::record::{Record, What};
use crate::clock;
use crate::contest::contender::{Contender, Role};
use crate::contest::{Contest, Heard, Sent};
use crate::exit::{Exit, Failure};
use nix::sys::signal::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Nothing that is waited for takes as long, whatever the profile.
const PATIENCE: Duration = Duration::from_secs(120);

/// A contender was in the middle of a challenge for this long at most before an owner was lost.
const MEMORY_NS: u64 = 60_000_000_000;

/// How long lines of two pipes of one process may be apart.
const SETTLE: Duration = Duration::from_millis(40);

/// What every contender is started with.
pub(super) struct Terms {
    pub(super) mode: &'static str,
    pub(super) profile: &'static str,
    pub(super) options: Vec<String>,
    /// They have a quorum log.
    pub(super) has_log: bool,
}

/// How many commands a contender has sent.
#[derive(Clone, Copy, Default)]
pub(super) struct Counted {
    /// Of all kinds, resets too.
    pub(super) all: u32,
    /// TEST UNIT READY.
    pub(super) polls: u32,
}

/// The contenders.
pub(super) struct Field<'a> {
    contest: &'a mut Contest,
    site: &'a Site,
    terms: &'a Terms,
    /// Other names of the disk than the site's.
    names: BTreeMap<u8, String>,
    nodes: BTreeMap<u8, Contender>,
    /// What was heard, in order.
    pub(super) records: Vec<Record>,
    sent: BTreeMap<u8, Counted>,
    /// Processes that print nothing more, by their life.
    silent: BTreeSet<u32>,
}

impl<'a> Field<'a> {
    /// Nobody yet.
    pub(super) fn new(contest: &'a mut Contest, site: &'a Site, terms: &'a Terms) -> Self {
        Self {
            contest,
            site,
            terms,
            names: BTreeMap::new(),
            nodes: BTreeMap::new(),
            records: Vec::new(),
            sent: BTreeMap::new(),
            silent: BTreeSet::new(),
        }
    }

    /// From its next start on this node names the disk so.
    pub(super) fn rename(&mut self, node: u8, name: String) {
        self.names.insert(node, name);
    }

    /// Starts a node's process.
    pub(super) fn start(&mut self, node: u8, trace: bool) -> Result<(), Failure> {
        let files = self.site.files_of(node);
        let initiator = self.site.initiator_of(node);
        let role = Role {
            node,
            disk: self
                .names
                .get(&node)
                .map_or_else(|| self.site.name_of(node), String::as_str),
            initiator: &initiator,
            profile: self.terms.profile,
            mode: self.terms.mode,
            cluster: CLUSTER,
            host_files: files.as_deref(),
            options: &self.terms.options,
            trace,
        };
        self.sent.insert(node, Counted::default());
        let contender = self.contest.start(&role).map_err(|error| {
            Failure::new(
                Exit::CannotOpen,
                format!("a contender could not be started: {error}"),
                "see the limits of this process (ulimit -a)",
            )
        })?;
        self.nodes.insert(node, contender);
        Ok(())
    }

    /// Sends a signal; the moment before.
    pub(super) fn signal(&self, node: u8, signal: Signal) -> u64 {
        let at_ns = clock::now().monotonic_ns;
        if let Some(contender) = self.nodes.get(&node) {
            contender.signal(signal);
        }
        at_ns
    }

    /// A node's process.
    pub(super) fn pid(&self, node: u8) -> Option<u32> {
        self.nodes.get(&node).map(Contender::pid)
    }

    /// Hears a node to its end: its exit code.
    pub(super) fn until_ended(&mut self, node: u8) -> Result<Option<i32>, Failure> {
        let Some(life) = self.nodes.get(&node).map(Contender::life) else {
            return Ok(None);
        };
        // It may have been heard while something else was waited for.
        if !self.silent.remove(&life) {
            self.hear("a contender to end", |heard| {
                matches!(heard, Heard::Silent(ended) if *ended == life).then_some(())
            })?;
            self.silent.remove(&life);
        }
        let ended = self.nodes.remove(&node);
        Ok(ended.and_then(|mut contender| contender.wait()))
    }

    /// Asks a node to stop, and hears it to its end.
    pub(super) fn stop(&mut self, node: u8) -> Result<Option<i32>, Failure> {
        self.signal(node, Signal::SIGTERM);
        self.until_ended(node)
    }

    /// Takes a disk that the last owner has parked, and gives it back.
    pub(super) fn leave_it_free(&mut self) -> Result<(), Failure> {
        self.start(1, false)?;
        self.until_owner_but(None)?;
        self.stop(1).map(|_code| ())
    }

    /// Those who wait first, then the owner: nobody takes the disk once more.
    pub(super) fn stop_all(&mut self, owner: Option<u8>) -> Result<(), Failure> {
        let waiting: Vec<u8> = self
            .nodes
            .keys()
            .copied()
            .filter(|node| Some(*node) != owner)
            .collect();
        for node in waiting.into_iter().chain(owner) {
            self.stop(node)?;
        }
        Ok(())
    }

    /// Hears until another than this node is the owner: who.
    pub(super) fn until_owner_but(&mut self, not: Option<u8>) -> Result<u8, Failure> {
        self.hear("an owner", |heard| {
            let record = event(heard)?;
            let owner = matches!(record.what, What::Owner { .. });
            (owner && Some(record.node) != not).then_some(record.node)
        })
    }

    /// Hears until another than this node has become the owner since, and has claimed the log where there is one: a
    /// service starts then. Who.
    pub(super) fn until_ready(&mut self, not: Option<u8>, since_ns: u64) -> Result<u8, Failure> {
        loop {
            let mut since = self
                .records
                .iter()
                .filter(|record| record.monotonic_ns >= since_ns && Some(record.node) != not);
            let owner = since.find(|record| matches!(record.what, What::Owner { .. }));
            if let Some(node) = owner.map(|record| record.node) {
                let mut told = self.told(node, since_ns);
                let claims = |record: &Record| matches!(record.what, What::LogClaimed { .. });
                if !self.terms.has_log || told.any(claims) {
                    return Ok(node);
                }
            }
            self.hear("an owner", |_| Some(()))?;
        }
    }

    /// Tells everybody but this node that the disk was handed over.
    pub(super) fn tell_of_hand_over(&self, by: u8) {
        for (_, contender) in self.nodes.iter().filter(|(node, _)| **node != by) {
            contender.signal(Signal::SIGUSR1);
        }
    }

    /// Hears until this owner has sent the mark of a hand-over; false when it has lost the disk instead.
    pub(super) fn until_parked(&mut self, node: u8) -> Result<bool, Failure> {
        self.hear("the owner to park", |heard| {
            let record = event(heard)?;
            let of_it = record.node == node;
            let parked = of_it && matches!(record.what, What::LogParked { .. });
            let ended = of_it && matches!(record.what, What::Fenced { .. } | What::Stopped { .. });
            (parked || ended).then_some(parked)
        })
    }

    /// How this owner has lost the disk since, if it has.
    pub(super) fn loss(&self, node: u8, since_ns: u64) -> Option<&Record> {
        self.told(node, since_ns)
            .find(|record| matches!(record.what, What::Fenced { .. } | What::Stopped { .. }))
    }

    /// Hears until this node holds the disk.
    pub(super) fn until_held(&mut self, node: u8) -> Result<(), Failure> {
        self.hear("the disk to be held", |heard| {
            let record = event(heard)?;
            (record.node == node && matches!(record.what, What::Held { .. })).then_some(())
        })
    }

    /// Who became the owner after that time, if anybody did.
    pub(super) fn owner_since(&self, after_ns: u64) -> Option<u8> {
        let mut owners = self.records.iter().filter(|record| {
            record.monotonic_ns > after_ns && matches!(record.what, What::Owner { .. })
        });
        owners.next_back().map(|record| record.node)
    }

    /// Hears until this node waits for a holder to defend.
    pub(super) fn until_contending(&mut self, node: u8) -> Result<(), Failure> {
        self.hear("a contender to wait", |heard| {
            let record = event(heard)?;
            let waits = matches!(record.what, What::Waiting { .. } | What::Lost { .. });
            (waits && record.node == node).then_some(())
        })
    }

    /// Hears what comes for a while.
    pub(super) fn listen(&mut self, span: Duration) -> Result<(), Failure> {
        let end = clock::since_boot() + span;
        loop {
            let left = end.saturating_sub(clock::since_boot());
            if left.is_zero() {
                return Ok(());
            }
            if let Some(heard) = self.contest.hear(left) {
                self.take(&heard)?;
            }
        }
    }

    /// How many commands a node has sent since it was started; all that it had sent before it told last.
    pub(super) fn sent(&mut self, node: u8) -> Result<Counted, Failure> {
        self.listen(SETTLE)?;
        Ok(self.sent.get(&node).copied().unwrap_or_default())
    }

    /// What this node has told after that time.
    pub(super) fn told(&self, node: u8, after_ns: u64) -> impl Iterator<Item = &Record> {
        self.records
            .iter()
            .filter(move |record| record.node == node && record.monotonic_ns >= after_ns)
    }

    /// Forgets what no takeover can need any more.
    pub(super) fn forget(&mut self) {
        let before = clock::now().monotonic_ns.saturating_sub(MEMORY_NS);
        self.records.retain(|record| {
            record.monotonic_ns >= before || matches!(record.what, What::Started { .. })
        });
    }

    fn hear<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&Heard) -> Option<T>,
    ) -> Result<T, Failure> {
        let end = clock::since_boot() + PATIENCE;
        loop {
            let left = end.saturating_sub(clock::since_boot());
            let Some(heard) = self.contest.hear(left) else {
                return Err(Failure::new(
                    Exit::TimedOut,
                    format!("waited for {what} for {} s", PATIENCE.as_secs()),
                    "qctl arbitrate --wait DISK   (tells what keeps it)",
                ));
            };
            self.take(&heard)?;
            if let Some(found) = wanted(&heard) {
                return Ok(found);
            }
        }
    }

    fn take(&mut self, heard: &Heard) -> Result<(), Failure> {
        match heard {
            Heard::Event(record) => self.records.push((**record).clone()),
            Heard::Sent(node, sent) => {
                let counted = self.sent.entry(*node).or_default();
                counted.all += 1;
                counted.polls += u32::from(*sent == Sent::TestUnitReady);
            }
            Heard::Silent(life) => {
                self.silent.insert(*life);
            }
            Heard::Interrupted => return Err(interrupted()),
        }
        Ok(())
    }
}

fn event(heard: &Heard) -> Option<&Record> {
    if let Heard::Event(record) = heard {
        Some(record)
    } else {
        None
    }
}

/// Whoever lost the disk did nothing as its owner after the next one was told that nobody else acts.
pub(super) fn stood_down(
    check: &mut Check,
    field: &Field<'_>,
    loser: u8,
    since_ns: u64,
    code: Option<i32>,
) {
    let acted = field.told(loser, since_ns).find(|record| {
        matches!(
            record.what,
            What::Held { .. } | What::Owner { .. } | What::Defended { .. } | What::Retaken { .. }
        )
    });
    check.count(match (acted, code) {
        (Some(record), _) => Err(format!("node {loser} told of {:?}", record.what)),
        (None, Some(106)) => Ok(()),
        (None, code) => Err(format!("node {loser} ended with {code:?} and not with 106")),
    });
}

//! The nodes of the play, and what is heard of them, printed in the order in which it happened.

use super::play::{CLUSTER, NODES, Played, Struck, Written};
use super::told::{Told, What};
use crate::Context;
use crate::arbitrate::record::{Holder, Record, What as Event};
use crate::arbitrate::timeline;
use crate::contest::contender::{Contender, Role};
use crate::contest::folder::Folder;
use crate::contest::nexus::Nexus;
use crate::contest::phases::Phases;
use crate::contest::served::Served;
use crate::contest::{Contest, Heard};
use crate::exit::Failure;
use anstyle::{AnsiColor, Style};
use nix::sys::signal::Signal;
use quorum_core::times::Profile;
use scsi::wire::status::Status;
use std::collections::BTreeSet;
use std::time::Duration;

/// The whole play: an evaluator does not wait longer for a first impression.
const PLAY_MAX: Duration = Duration::from_secs(28);

/// Nodes tell of what happened through pipes: what is this old is printed in the order in which it happened.
pub(super) const REORDER: Duration = Duration::from_millis(25);

/// The stage.
pub(super) struct Stage<'a> {
    context: &'a mut Context,
    contest: Contest,
    folder: &'a Folder,
    target: &'a Served,
    profile: Profile,
    nodes: [Option<Contender>; NODES as usize],
    /// What happened so far.
    pub(super) played: Played,
    ends_at: Duration,
    /// Owners that were waited for.
    owners: usize,
    /// Lives that have ended, and were not waited for yet.
    silent: BTreeSet<u32>,
    /// Who has played before.
    started: BTreeSet<u8>,
    /// What is to be printed.
    waiting: Vec<Shown>,
    /// What people have read in this act: a contender that waits tries again every second.
    read: BTreeSet<Repeated>,
}

/// What a contest repeats: which node, what it did, against which holder's key.
type Repeated = (u8, &'static str, Option<String>);

/// A line that waits for its turn.
enum Shown {
    Node(Box<Record>),
    Demo(Told),
}

impl Shown {
    fn at_ns(&self) -> u64 {
        match self {
            Self::Node(record) => record.monotonic_ns,
            Self::Demo(told) => told.at_ns(),
        }
    }
}

/// Why an act did not come to its end.
pub(super) enum Cut {
    /// What was waited for did not happen.
    Failed(String),
    /// The operator wants to stop.
    Interrupted,
    /// It could not be printed.
    Output(Failure),
}

impl From<Failure> for Cut {
    fn from(failure: Failure) -> Self {
        Self::Output(failure)
    }
}

impl From<std::io::Error> for Cut {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl<'a> Stage<'a> {
    /// An empty one.
    pub(super) fn new(
        context: &'a mut Context,
        contest: Contest,
        folder: &'a Folder,
        target: &'a Served,
        profile: Profile,
    ) -> Self {
        Self {
            context,
            contest,
            folder,
            target,
            profile,
            nodes: [const { None }; NODES as usize],
            played: Played {
                began_ns: crate::clock::now().monotonic_ns,
                ..Played::default()
            },
            ends_at: crate::clock::since_boot() + PLAY_MAX,
            owners: 0,
            silent: BTreeSet::new(),
            started: BTreeSet::new(),
            waiting: Vec::new(),
            read: BTreeSet::new(),
        }
    }

    /// What the initiators name the disk.
    pub(super) fn url(&self) -> &'a str {
        self.target.url()
    }

    /// What happened; nobody plays any more.
    pub(super) fn into_played(self) -> Played {
        self.played
    }

    // ----------------------------------------------------------------- what is done

    /// Starts a node's process: its first one, or a new one after the last has ended.
    pub(super) fn start(&mut self, node: u8) -> Result<(), Cut> {
        let files = self.folder.path().join(format!("host{node}"));
        let initiator = initiator(node);
        let contender = self.contest.start(&Role {
            node,
            disk: self.target.url(),
            initiator: &initiator,
            profile: self.profile.name(),
            mode: "pr",
            cluster: CLUSTER,
            host_files: Some(&files),
            options: &[String::from("--log=disk")],
            trace: false,
        })?;
        *self.slot(node) = Some(contender);
        if self.started.insert(node) {
            return Ok(());
        }
        self.tell(What::Restarted { node })
    }

    /// Who plays now.
    pub(super) fn players(&self) -> Vec<u8> {
        let plays = |node: &u8| self.nodes[usize::from(*node - 1)].is_some();
        (1..=NODES).filter(plays).collect()
    }

    /// Sends SIGKILL, and waits until the process is gone.
    pub(super) fn kill(&mut self, node: u8) -> Result<Struck, Cut> {
        let struck = self.signal(node, Signal::SIGKILL)?;
        self.until_ended(node)?;
        Ok(struck)
    }

    /// Sends a signal; the moment before it was sent.
    pub(super) fn signal(&mut self, node: u8, signal: Signal) -> Result<Struck, Cut> {
        let told = Told::now(What::Signal {
            node,
            signal: signal.as_str().to_owned(),
        });
        let at_ns = told.at_ns();
        // What it causes comes later.
        self.contender(node)?.signal(signal);
        self.waiting.push(Shown::Demo(told));
        Ok(Struck { node, at_ns })
    }

    /// Stops a node in good order, and hears it to the end.
    pub(super) fn stop(&mut self, node: u8) -> Result<(), Cut> {
        self.contender(node)?.signal(Signal::SIGTERM);
        let code = self.until_ended(node)?;
        self.played.codes.push((node, code));
        Ok(())
    }

    /// Hears a node to its end: its exit code.
    pub(super) fn until_ended(&mut self, node: u8) -> Result<Option<i32>, Cut> {
        let life = self.contender(node)?.life();
        // It may have been heard while something else was waited for.
        while !self.silent.remove(&life) {
            self.hear_more()?;
        }
        let ended = self.slot(node).take();
        Ok(ended.and_then(|mut contender| contender.wait()))
    }

    /// Hears the nodes until another of them is the owner: who. That may have been heard while something else was waited for.
    pub(super) fn until_owner(&mut self) -> Result<u8, Cut> {
        loop {
            let records = self.played.records.iter();
            let mut owners = records.filter(|record| matches!(record.what, Event::Owner { .. }));
            if let Some(owner) = owners.nth(self.owners) {
                self.owners += 1;
                return Ok(owner.node);
            }
            self.hear_more()?;
        }
    }

    /// Hears the nodes for a while.
    pub(super) fn watch(&mut self, span: Duration) -> Result<(), Cut> {
        let end = crate::clock::since_boot() + span;
        while self.hear_until(end)?.is_some() {}
        Ok(())
    }

    /// The nexus of a node whose process has ended.
    pub(super) fn nexus_of_the_dead(&self, node: u8) -> Result<Nexus, Cut> {
        Ok(Nexus::of_the_dead(self.url(), &initiator(node))?)
    }

    /// The nexus of somebody who is no node.
    pub(super) fn stranger(&self) -> Result<Nexus, Cut> {
        Ok(Nexus::of_a_stranger(self.url(), &initiator(0))?)
    }

    /// Writes the first block through a node's nexus.
    pub(super) fn write(
        &mut self,
        nexus: &mut Nexus,
        node: u8,
        text: &str,
    ) -> Result<Written, Cut> {
        self.written(nexus.write(text)?, format!("node {node}'s nexus"))
    }

    /// Writes the first block through nobody's nexus.
    pub(super) fn write_as_stranger(&mut self, text: &str) -> Result<Written, Cut> {
        let status = self.stranger()?.write(text)?;
        self.written(status, "a stranger's nexus".to_owned())
    }

    fn written(&mut self, status: Status, over: String) -> Result<Written, Cut> {
        let told = Told::now(What::Write {
            over,
            status: status.to_string(),
            performed: status == Status::GOOD,
        });
        let at_ns = told.at_ns();
        self.waiting.push(Shown::Demo(told));
        self.print_old()?;
        Ok(Written { at_ns, status })
    }

    fn slot(&mut self, node: u8) -> &mut Option<Contender> {
        &mut self.nodes[usize::from(node - 1)]
    }

    fn contender(&mut self, node: u8) -> Result<&mut Contender, Cut> {
        let contender = self.slot(node).as_mut();
        contender.ok_or_else(|| Cut::Failed(format!("node {node} has ended")))
    }

    // ----------------------------------------------------------------- what is heard

    fn hear_more(&mut self) -> Result<(), Cut> {
        if self.hear_until(self.ends_at)?.is_some() {
            return Ok(());
        }
        let seconds = PLAY_MAX.as_secs();
        Err(Cut::Failed(format!(
            "the play did not end within {seconds} s"
        )))
    }

    /// The next thing that is heard; none when the time has come.
    fn hear_until(&mut self, end: Duration) -> Result<Option<Heard>, Cut> {
        loop {
            self.print_old()?;
            let left = end.saturating_sub(crate::clock::since_boot());
            match self.contest.hear(left.min(REORDER)) {
                Some(heard) => {
                    self.take(&heard)?;
                    return Ok(Some(heard));
                }
                None if left > REORDER => {}
                None => return Ok(None),
            }
        }
    }

    fn take(&mut self, heard: &Heard) -> Result<(), Cut> {
        match heard {
            Heard::Event(record) => {
                if self.context.global.json || belongs_in_the_timeline(&record.what) {
                    self.waiting.push(Shown::Node(record.clone()));
                }
                self.played.records.push((**record).clone());
                Ok(())
            }
            Heard::Silent(life) => {
                self.silent.insert(*life);
                Ok(())
            }
            Heard::Sent(..) => Ok(()),
            Heard::Interrupted => Err(Cut::Interrupted),
        }
    }

    // ----------------------------------------------------------------- what is printed

    /// Begins an act, when all that came before is printed.
    pub(super) fn act(&mut self, text: &str) -> Result<(), Cut> {
        self.watch(REORDER)?;
        let text = text.to_owned();
        self.tell(What::Act { text })?;
        Ok(self.print_all()?)
    }

    /// Says something.
    pub(super) fn tell(&mut self, what: What) -> Result<(), Cut> {
        self.waiting.push(Shown::Demo(Told::now(what)));
        Ok(self.print_old()?)
    }

    /// Says where the time of a takeover by this node went.
    pub(super) fn tell_takeover(&mut self, node: u8, from: Struck) -> Result<(), Cut> {
        let phases = Phases::of(&self.played.records, node, from.at_ns);
        let phases = phases.ok_or_else(|| {
            Cut::Failed(format!("node {node} does not tell how it became the owner"))
        })?;
        self.played.takeovers.push(phases);
        self.tell(What::Takeover {
            from: from.node,
            by: node,
            phases,
        })
    }

    /// Prints what can have no predecessor any more.
    fn print_old(&mut self) -> Result<(), Failure> {
        let before = crate::clock::since_boot().saturating_sub(REORDER);
        self.print_before(u64::try_from(before.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Prints all that waits.
    pub(super) fn print_all(&mut self) -> Result<(), Failure> {
        self.print_before(u64::MAX)
    }

    fn print_before(&mut self, before_ns: u64) -> Result<(), Failure> {
        self.waiting.sort_by_key(Shown::at_ns);
        let old = self
            .waiting
            .partition_point(|shown| shown.at_ns() < before_ns);
        for shown in self.waiting.drain(..old) {
            let began_ns = self.played.began_ns;
            match &shown {
                Shown::Demo(told) => {
                    if told.begins_an_act() {
                        self.read.clear();
                    }
                    self.context.output.event(&told.line(began_ns))?;
                }
                Shown::Node(record) => {
                    let again = repeated(record).is_some_and(|what| !self.read.insert(what));
                    if again && !self.context.global.json {
                        continue;
                    }
                    let (name, style) = name(record.node);
                    self.context.output.event(&timeline::Line {
                        record,
                        began_ns,
                        who: Some((&name, style)),
                    })?;
                }
            }
        }
        Ok(())
    }
}

/// People see the contest; what each node says about itself and its host is for `qctl arbitrate`.
fn belongs_in_the_timeline(what: &Event) -> bool {
    !matches!(
        what,
        Event::Started { .. }
            | Event::Remark { .. }
            | Event::Serials { .. }
            | Event::Unprivileged { .. }
            | Event::Attention { .. }
            | Event::Found { .. }
            | Event::Registered { .. }
            | Event::Taken
            | Event::Ended { .. }
            | Event::Path { .. }
    )
}

/// What a contest repeats until the owner ends, and people want to read once in an act.
fn repeated(record: &Record) -> Option<Repeated> {
    let against = |holder: &Option<Holder>| holder.as_ref().and_then(|holder| holder.key.clone());
    if let Event::Waiting { holder, .. } = &record.what {
        Some((record.node, "waiting", against(holder)))
    } else if let Event::Lost { holder, .. } = &record.what {
        Some((record.node, "lost", against(holder)))
    } else if let Event::Removed { .. } = &record.what {
        Some((record.node, "removed", None))
    } else {
        None
    }
}

fn name(node: u8) -> (String, Style) {
    let colour = match node % 3 {
        1 => AnsiColor::Cyan,
        2 => AnsiColor::Magenta,
        _ => AnsiColor::Blue,
    };
    (format!("node {node}"), colour.on_default())
}

/// The iSCSI name of a node; of nobody's for 0.
fn initiator(node: u8) -> String {
    format!("iqn.2026-01.local.qctl:demo-{node}")
}

//! The acts of the demo.
//!
//! ```text
//!   1  three nodes contend          ─► one owns the disk, and writes
//!   2  SIGKILL to the owner         ─► another owns it, and writes; a late write of the dead one is refused
//!   3  SIGTERM to the new owner     ─► it releases the disk; the last one owns it
//!   4  SIGTERM to the last one      ─► the disk is free, and nobody is registered
//! ```

use super::node::{Heard, Node, disk};
use super::told::{Told, What};
use crate::Context;
use crate::arbitrate::record::{Holder, Record, What as Event};
use crate::arbitrate::timeline;
use crate::exit::{Exit, Failure};
use anstyle::{AnsiColor, Style};
use nix::sys::signal::{SigSet, Signal};
use quorum_core::times::Profile;
use scsi::reservation::PersistentState;
use scsi::wire::status::Status;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

const NODES: u8 = 3;

/// What waits to be printed.
const HEARD_MAX: usize = 1024;

/// The whole play: an evaluator does not wait longer for a first impression.
const PLAY_MAX: Duration = Duration::from_secs(28);

/// Nodes tell of what happened through pipes: what is this old is printed in the order in which it happened.
const REORDER: Duration = Duration::from_millis(25);

/// How long an owner is watched.
const ACT: Duration = Duration::from_millis(1500);

/// What happened.
pub(super) struct Played {
    /// When it began, on CLOCK_BOOTTIME.
    pub(super) began_ns: u64,
    /// All events of all nodes.
    pub(super) records: Vec<Record>,
    /// Which node was killed, and when.
    pub(super) killed: Option<(u8, u64)>,
    /// What the writes brought.
    pub(super) writes: Writes,
    /// The exit codes of the nodes that were asked to stop.
    pub(super) codes: Vec<(u8, Option<i32>)>,
    /// The disk in the end.
    pub(super) left: Option<PersistentState>,
    /// The play was cut short, and why.
    pub(super) cut_short: Option<String>,
}

/// What the writes brought.
#[derive(Default)]
pub(super) struct Writes {
    /// The first owner's, while it lived.
    pub(super) first_owner: Option<Status>,
    /// The second owner's.
    pub(super) second_owner: Option<Status>,
    /// The first owner's, after its death.
    pub(super) dead_owner: Option<Status>,
    /// What the block reads after that.
    pub(super) reads: Option<String>,
}

/// What the second owner writes.
pub(super) const SECOND: &str = "written by the second owner";

struct Stage<'a> {
    context: &'a mut Context,
    nodes: Vec<Node>,
    heard: Receiver<Heard>,
    played: Played,
    ends_at: Duration,
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
enum Cut {
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

/// Plays all acts; what went wrong in one is for the verdict.
pub(super) fn play(profile: Profile, context: &mut Context) -> Result<Played, Failure> {
    let (heard_in, heard) = sync_channel(HEARD_MAX);
    catch_interrupts(heard_in.clone());
    let directory = Directory::new()?;
    let began_ns = crate::clock::now().monotonic_ns;
    let mut stage = Stage {
        context,
        nodes: Vec::new(),
        heard,
        played: Played {
            began_ns,
            records: Vec::new(),
            killed: None,
            writes: Writes::default(),
            codes: Vec::new(),
            left: None,
            cut_short: None,
        },
        ends_at: crate::clock::since_boot() + PLAY_MAX,
        waiting: Vec::new(),
        read: BTreeSet::new(),
    };
    let acts = stage.acts(&directory.0, profile, &heard_in);
    stage.print_all()?;
    match acts {
        Ok(()) => {}
        Err(Cut::Failed(why)) => stage.played.cut_short = Some(why),
        Err(Cut::Output(failure)) => return Err(failure),
        Err(Cut::Interrupted) => {
            return Err(Failure::new(
                Exit::Command(130),
                "interrupted",
                "qctl demo   (takes about ten seconds)",
            ));
        }
    }
    Ok(stage.played)
}

impl Stage<'_> {
    fn acts(
        &mut self,
        directory: &Path,
        profile: Profile,
        heard_in: &SyncSender<Heard>,
    ) -> Result<(), Cut> {
        self.tell(What::Began {
            file: directory.join("disk").display().to_string(),
            nodes: usize::from(NODES),
            profile: profile.name().to_owned(),
        })?;
        self.act("Three nodes contend for the disk.")?;
        for number in 1..=NODES {
            let node = Node::start(number, directory, profile.name(), heard_in.clone())?;
            self.nodes.push(node);
        }
        let first = self.until_owner()?;
        self.played.writes.first_owner = Some(self.write(first, "written by the first owner")?);
        self.watch(ACT)?;

        self.act(&format!(
            "Node {first} owns the disk, and is killed: the others must find out by themselves."
        ))?;
        self.kill(first)?;
        let second = self.until_owner()?;
        self.played.writes.second_owner = Some(self.write(second, SECOND)?);
        self.played.writes.dead_owner = Some(self.write(first, "written by a dead owner")?);
        self.played.writes.reads = Some(self.node(second).read()?);
        self.watch(ACT)?;

        self.act(&format!(
            "Node {second} is asked to stop, and gives the disk back."
        ))?;
        self.stop(second)?;
        let third = self.until_owner()?;
        self.watch(ACT / 2)?;

        self.act(&format!(
            "Node {third} is the last one, and is asked to stop too."
        ))?;
        self.stop(third)?;
        self.watch(REORDER)?;
        self.played.left = Some(state(directory)?);
        Ok(())
    }

    /// Begins an act, when all that came before is printed.
    fn act(&mut self, text: &str) -> Result<(), Cut> {
        self.watch(REORDER)?;
        let text = text.to_owned();
        self.tell(What::Act { text })?;
        Ok(self.print_all()?)
    }

    fn tell(&mut self, what: What) -> Result<(), Cut> {
        self.waiting.push(Shown::Demo(Told::now(what)));
        Ok(self.print_old()?)
    }

    /// Prints what can have no predecessor any more.
    fn print_old(&mut self) -> Result<(), Failure> {
        let before = crate::clock::since_boot().saturating_sub(REORDER);
        self.print_before(u64::try_from(before.as_nanos()).unwrap_or(u64::MAX))
    }

    fn print_all(&mut self) -> Result<(), Failure> {
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

    fn node(&mut self, number: u8) -> &mut Node {
        &mut self.nodes[usize::from(number - 1)]
    }

    fn write(&mut self, number: u8, text: &str) -> Result<Status, Cut> {
        let status = self.node(number).write(text)?;
        self.tell(What::Write {
            node: number,
            status: status.to_string(),
            performed: status == Status::GOOD,
        })?;
        Ok(status)
    }

    fn kill(&mut self, number: u8) -> Result<(), Cut> {
        self.node(number).signal(Signal::SIGKILL);
        // Only when it has been waited for, it is certainly dead.
        let _no_code = self.node(number).wait();
        let told = Told::now(What::Killed { node: number });
        self.played.killed = Some((number, told.at_ns()));
        self.waiting.push(Shown::Demo(told));
        Ok(())
    }

    /// Stops a node in good order, and hears it to the end.
    fn stop(&mut self, number: u8) -> Result<(), Cut> {
        self.node(number).signal(Signal::SIGTERM);
        self.hear(|heard| matches!(heard, Heard::Silent(silent) if *silent == number))?;
        let code = self.node(number).wait();
        self.played.codes.push((number, code));
        Ok(())
    }

    /// Hears the nodes until one of them is the owner.
    fn until_owner(&mut self) -> Result<u8, Cut> {
        let mut owner = None;
        self.hear(|heard| {
            if let Heard::Event(record) = heard
                && matches!(record.what, Event::Owner { .. })
            {
                owner = Some(record.node);
            }
            owner.is_some()
        })?;
        owner.ok_or_else(|| Cut::Failed("nobody became the owner".to_owned()))
    }

    /// Hears the nodes for a while.
    fn watch(&mut self, span: Duration) -> Result<(), Cut> {
        let end = crate::clock::since_boot() + span;
        while self.hear_until(end)?.is_some() {}
        Ok(())
    }

    fn hear(&mut self, mut enough: impl FnMut(&Heard) -> bool) -> Result<(), Cut> {
        while let Some(heard) = self.hear_until(self.ends_at)? {
            if enough(&heard) {
                return Ok(());
            }
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
            match self.heard.recv_timeout(left.min(REORDER)) {
                Ok(heard) => {
                    self.take(&heard)?;
                    return Ok(Some(heard));
                }
                Err(RecvTimeoutError::Timeout) if left > REORDER => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Ok(None);
                }
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
            Heard::Silent(_) => Ok(()),
            Heard::Interrupted => Err(Cut::Interrupted),
        }
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

/// The disk as a stranger sees it.
fn state(directory: &Path) -> Result<PersistentState, Cut> {
    let unit = scsi::emulated::look(&disk(directory, 0), Duration::from_secs(5))
        .map_err(|error| Cut::Failed(error.to_string()))?;
    Ok(unit.persistent_state())
}

/// A directory for the disk and the nodes' files; gone with the value.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("qctl-demo-{}", std::process::id()));
        std::fs::create_dir(&path).map_err(|error| {
            Failure::new(
                Exit::CannotOpen,
                format!(
                    "no place for the emulated disk: {}: {error}",
                    path.display()
                ),
                "name a directory that can be written: TMPDIR=DIR qctl demo",
            )
        })?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}

/// From now on Ctrl-C ends the play in order: no process and no file of it is left.
fn catch_interrupts(heard: SyncSender<Heard>) {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    if signals.thread_block().is_ok() {
        std::thread::spawn(move || {
            while signals.wait().is_ok() {
                let _play_is_over = heard.send(Heard::Interrupted);
            }
        });
    }
}

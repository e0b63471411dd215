//! The acts of the demo.
//!
//! ```text
//!   1  three nodes contend            ─► one owns the disk; a stranger's write is refused
//!   2  SIGKILL to the owner           ─► another owns it; a late write over the dead one's nexus is refused
//!   3  SIGTERM to that one            ─► it parks in the log on the disk, and a third owns it
//!   4  SIGSTOP to that one, SIGCONT   ─► a fourth term; who comes back notices, stands down, has written nothing
//!   5  SIGTERM to all                 ─► the disk is parked; its log has an epoch for each owner
//! ```
//!
//! Who has left the stage is started again as a new process, so that there are always two who wait.

use super::stage::{Cut, Stage};
use super::told::What;
use crate::Context;
use crate::arbitrate::record::Record;
use crate::contest::Contest;
use crate::contest::folder::Folder;
use crate::contest::phases::Phases;
use crate::contest::served::Served;
use crate::exit::{Exit, Failure};
use nix::sys::signal::Signal;
use qlog::Root;
use quorum_core::times::Profile;
use scsi::reservation::PersistentState;
use scsi::wire::status::Status;
use std::time::Duration;

/// How many nodes play.
pub(super) const NODES: u8 = 3;

/// Their cluster.
pub(super) const CLUSTER: &str = "demo";

/// How long an owner is watched.
const ACT: Duration = Duration::from_millis(1200);

/// A process was stopped by this signal, at this time on CLOCK_BOOTTIME.
#[derive(Clone, Copy, Debug)]
pub(super) struct Struck {
    /// Whose.
    pub(super) node: u8,
    /// The moment before.
    pub(super) at_ns: u64,
}

/// A write, and what came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    /// When it was answered.
    pub(super) at_ns: u64,
    /// How.
    pub(super) status: Status,
}

/// What happened.
#[derive(Default)]
pub(super) struct Played {
    /// When it began, on CLOCK_BOOTTIME.
    pub(super) began_ns: u64,
    /// All events of all nodes.
    pub(super) records: Vec<Record>,
    /// The owner that was killed.
    pub(super) killed: Option<Struck>,
    /// The owner that was paused.
    pub(super) paused: Option<Struck>,
    /// When it was continued, and the code that it ended with.
    pub(super) continued: Option<(u64, Option<i32>)>,
    /// What the writes brought.
    pub(super) writes: Writes,
    /// The takeovers from the killed and from the paused owner.
    pub(super) takeovers: Vec<Phases>,
    /// The exit codes of the nodes that were asked to stop.
    pub(super) codes: Vec<(u8, Option<i32>)>,
    /// What the log on the disk says in the end.
    pub(super) log: Option<Root>,
    /// The disk in the end.
    pub(super) left: Option<PersistentState>,
    /// The play was cut short, and why.
    pub(super) cut_short: Option<String>,
}

/// What the writes brought.
#[derive(Default)]
pub(super) struct Writes {
    /// A stranger's, while the disk was owned.
    pub(super) stranger: Option<Written>,
    /// Over the killed owner's nexus, while the disk was still held by it.
    pub(super) last_words: Option<Written>,
    /// Over the same nexus, when another owned the disk.
    pub(super) dead: Option<Written>,
    /// Over the nexus of the owner that was paused, after it came back.
    pub(super) paused: Option<Written>,
    /// What the block reads in the end.
    pub(super) reads: Option<String>,
}

/// What the block has to read in the end: nobody has written after the killed owner was deposed.
pub(super) const LAST_WORDS: &str = "what the killed owner had in flight";

/// Plays all acts; what went wrong in one is for the verdict.
pub(super) fn play(profile: Profile, context: &mut Context) -> Result<Played, Failure> {
    // Before any other thread, and before any process that would inherit another mask.
    let contest = Contest::new();
    let folder = Folder::new("demo")?;
    let target = Served::with_log(folder.path(), CLUSTER)?;
    let mut stage = Stage::new(context, contest, &folder, &target, profile);
    let acts = acts(&mut stage, profile);
    stage.print_all()?;
    match acts {
        Ok(()) => {}
        Err(Cut::Failed(why)) => stage.played.cut_short = Some(why),
        Err(Cut::Output(failure)) => return Err(failure),
        Err(Cut::Interrupted) => {
            return Err(Failure::new(
                Exit::Command(130),
                "interrupted",
                "qctl demo   (takes about fifteen seconds)",
            ));
        }
    }
    Ok(stage.into_played())
}

fn acts(stage: &mut Stage<'_>, profile: Profile) -> Result<(), Cut> {
    stage.tell(What::Began {
        url: stage.url().to_owned(),
        nodes: usize::from(NODES),
        profile: profile.name().to_owned(),
    })?;
    let first = contend(stage)?;
    let second = kill(stage, first)?;
    let third = park(stage, second)?;
    let fourth = pause(stage, third)?;
    end(stage, fourth)
}

fn contend(stage: &mut Stage<'_>) -> Result<u8, Cut> {
    stage.act("Three nodes contend for the disk, each over an iSCSI session of its own.")?;
    for node in 1..=NODES {
        stage.start(node)?;
    }
    let owner = stage.until_owner()?;
    stage.played.writes.stranger = Some(stage.write_as_stranger("written by a stranger")?);
    stage.watch(ACT)?;
    Ok(owner)
}

fn kill(stage: &mut Stage<'_>, owner: u8) -> Result<u8, Cut> {
    stage.act(&format!(
        "Node {owner} owns the disk, and is killed: the others must find out by themselves."
    ))?;
    let killed = stage.kill(owner)?;
    stage.played.killed = Some(killed);
    let mut nexus = stage.nexus_of_the_dead(owner)?;
    stage.played.writes.last_words = Some(stage.write(&mut nexus, owner, LAST_WORDS)?);
    let next = stage.until_owner()?;
    stage.tell_takeover(next, killed)?;
    stage.played.writes.dead = Some(stage.write(&mut nexus, owner, "written by the dead")?);
    drop(nexus);
    stage.start(owner)?;
    stage.watch(ACT)?;
    Ok(next)
}

fn park(stage: &mut Stage<'_>, owner: u8) -> Result<u8, Cut> {
    stage.act(&format!(
        "Node {owner} is asked to stop: it parks, and whoever reads that takes the disk without a wait."
    ))?;
    stage.stop(owner)?;
    let next = stage.until_owner()?;
    stage.start(owner)?;
    stage.watch(ACT)?;
    Ok(next)
}

fn pause(stage: &mut Stage<'_>, owner: u8) -> Result<u8, Cut> {
    stage.act(&format!(
        "Node {owner} owns the disk, and is paused as a whole; it does not know."
    ))?;
    let paused = stage.signal(owner, Signal::SIGSTOP)?;
    stage.played.paused = Some(paused);
    let next = stage.until_owner()?;
    stage.tell_takeover(next, paused)?;
    let continued = stage.signal(owner, Signal::SIGCONT)?;
    let code = stage.until_ended(owner)?;
    stage.played.continued = Some((continued.at_ns, code));
    let mut nexus = stage.nexus_of_the_dead(owner)?;
    stage.played.writes.paused = Some(stage.write(&mut nexus, owner, "written by the deposed")?);
    stage.watch(ACT / 2)?;
    Ok(next)
}

/// Those who wait are stopped first: nobody takes the disk once more.
fn end(stage: &mut Stage<'_>, owner: u8) -> Result<(), Cut> {
    stage.act("Everybody is asked to stop.")?;
    for node in stage.players() {
        if node != owner {
            stage.stop(node)?;
        }
    }
    stage.stop(owner)?;
    stage.watch(super::stage::REORDER)?;
    let mut stranger = stage.stranger()?;
    stage.played.writes.reads = Some(stranger.read()?);
    stage.played.left = Some(stranger.state()?);
    stage.played.log = Some(stranger.log()?);
    Ok(())
}

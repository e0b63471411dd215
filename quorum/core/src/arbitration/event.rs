//! What an arbiter tells the people and programs around it.

use super::io::{BarrierKind, PathId};
use crate::Instant;
use scsi::reservation::{Attention, Key, Registration, Reservation};
use std::time::Duration;

/// Why the machine does not contend at all. Nothing was changed on the disk, or it was undone; but for a reservation that
/// turned out to be this node's: that stays, as after a death, for to release it would open the disk.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Refused {
    /// Keys of another cluster, or of other times, are registered.
    Foreign {
        /// The foreign registrations.
        registrations: Vec<Registration>,
    },
    /// Power loss would open the disk: PTPL_A reads 0 after REGISTER, or in the win.
    NoAptpl,
    /// The disk does not have what the mode needs; the text names it.
    Unsupported(String),
    /// The disk is under an SPC-2 reservation while the mode is persistent, or the reverse.
    OtherProtocol,
    /// No path could be used; the text is the last reason.
    NoPath(String),
    /// The disk refuses to register this nexus under any key that it may have.
    CannotRegister(String),
    /// Another nexus that is alive defends with this node's number, or has this node's very key.
    DuplicateNode {
        /// Its key.
        key: Key,
    },
}

/// Why the machine stands still for good.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Stopped {
    /// It never owned the disk: another holds it, or won the race, and `Policy::wait` is off.
    NotTaken {
        /// The holder, where the disk tells.
        holder: Option<Reservation>,
    },
    /// It was refused.
    Refused(Refused),
    /// It was the owner and lost the disk to another, or could not take it again after a power loss.
    Deposed {
        /// The holder, where the disk tells.
        holder: Option<Reservation>,
    },
    /// It was the owner and could not prove it within the self-stop age.
    SelfStop {
        /// The age of the last clean round.
        age: Duration,
    },
    /// It parked: it holds the disk still, and writes nothing more.
    Parked,
    /// It gave back what it had, or may have had.
    Released {
        /// A read afterwards showed that nothing of this node is left; else nobody knows.
        confirmed: bool,
    },
    /// It was contending, and was told to stop; nothing of it is left on the disk.
    Withdrawn,
}

/// What happened, in the words that a timeline prints.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    /// The state of the disk at the first look.
    Found {
        /// The reservation in force.
        reservation: Option<Reservation>,
        /// Who is registered.
        registrations: Vec<Registration>,
    },
    /// A registration of an earlier process or term of this node was found and replaced.
    Reborn {
        /// The key that was found.
        old: Key,
        /// Its nexus was the holder.
        was_holder: bool,
    },
    /// This node is registered on a path.
    Registered {
        /// The path.
        path: PathId,
        /// The key.
        key: Key,
    },
    /// SCSI-2: a LUN reset was sent to challenge the owner.
    ResetSent,
    /// The challenge wait runs.
    Waiting {
        /// The holder that is challenged, where the disk tells.
        holder: Option<Reservation>,
        /// When the look comes.
        until: Instant,
    },
    /// The challenge wait starts over.
    WaitRestarted {
        /// The reset attention that was seen.
        attention: Attention,
    },
    /// The race was lost; the next try comes then.
    Lost {
        /// The holder, where the disk tells.
        holder: Option<Reservation>,
        /// When this node contends again; none when it does not.
        again_at: Option<Instant>,
    },
    /// The holder has parked, or did not defend for the whole wait: its key is preempted; or the free disk is reserved.
    Taking {
        /// The key that is preempted.
        victim: Option<Key>,
        /// It has parked the disk; else the wait is over, and it did not defend.
        handed_over: bool,
    },
    /// The disk has answered that take with GOOD. That is not a win yet: a read has to show it.
    Taken,
    /// The old owner's writes are out of the way.
    Barrier(BarrierKind),
    /// The disk refuses everybody else; the log may be read.
    Held {
        /// The key of this term.
        key: Option<Key>,
        /// The send time of the first clean round.
        proved_at: Instant,
    },
    /// Whatever the disk cannot fence may start.
    Owner {
        /// The key of this term.
        key: Option<Key>,
    },
    /// A defence round was clean.
    Defended {
        /// The send time of the round.
        proved_at: Instant,
    },
    /// A registration that is not this node's was removed.
    Removed {
        /// It.
        registration: Registration,
        /// Not of this cluster, or of other times.
        foreign: bool,
    },
    /// Three foreign registrations within a minute: somebody is fighting over this disk.
    Contested {
        /// The last one.
        registration: Registration,
    },
    /// One round met more keys to remove than the times cover (m): while as many challengers come at once, a
    /// live owner may be late with one of them. Told once a round.
    Crowded {
        /// How many so far in this round.
        keys: u32,
        /// How many the times cover.
        covered: u32,
    },
    /// This node's key is registered by nexuses that this node did not send it to: a copy of this node is at
    /// work, with its number and its serials, or somebody has copied the key.
    KeyShared {
        /// The key.
        key: Key,
        /// How many initiator ports have it.
        nexuses: u32,
        /// How often this node sent it.
        sent: u32,
    },
    /// Under the owner, persistence through power loss (PTPL_A) was found off, or is on again: the last
    /// REGISTER of any nexus decides it for the whole logical unit.
    Aptpl {
        /// It reads 1.
        active: bool,
    },
    /// A round was voided or could not be finished; the text says why. Ownership ages on.
    RoundFailed {
        /// Why.
        why: String,
        /// The age of the last clean round.
        age: Duration,
    },
    /// A defence round started late.
    Late {
        /// By how much.
        by: Duration,
    },
    /// A command did not come to a definite end, or was refused.
    Trouble {
        /// On which path.
        path: PathId,
        /// The name of the verb.
        verb: &'static str,
        /// What came back.
        why: String,
    },
    /// An attention was met.
    Attention {
        /// On which path.
        path: PathId,
        /// It.
        attention: Attention,
    },
    /// SCSI-2: a reset opened the disk; it is reserved again. Power loss without APTPL likewise.
    Exposed {
        /// How long the disk may have been open, at most.
        at_most: Duration,
    },
    /// The disk lost power and this owner has taken it again, under a new key.
    Retaken {
        /// The new key.
        key: Key,
    },
    /// A path failed, or is registered again.
    Path {
        /// Which.
        path: PathId,
        /// Registered and usable.
        usable: bool,
    },
    /// The machine stands still for good.
    Stopped(Stopped),
}

//! What goes into an arbitration machine, and what comes out.

use super::{Event, ParkedMark};
use crate::Instant;
use scsi::reservation::{Exchange, Verb};
use std::time::Duration;

/// One of this node's paths (nexuses) to the disk, from zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PathId(pub u16);

/// One command of this machine; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CommandId(pub u64);

/// How the disk was cleared of the old owner's writes between the win and the first read of the log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum BarrierKind {
    /// PREEMPT AND ABORT of the old holder, where no LUN reset can be sent.
    Abort,
    /// A LUN reset, which persistent reservations survive.
    LunReset,
    /// CLEAR TASK SET.
    ClearTaskSet,
    /// Nothing could be sent: only the settle time stands between. Best effort, and said so.
    SettleOnly,
    /// NVMe's preempt and abort.
    Nvme,
}

/// What a driver tells the machine.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Input {
    /// Begin. `serials` is a block of key serials that were never used before, first and count; an empty one is
    /// asked for ([`Output::NeedSerials`]) once the state of the disk has been read, so that the driver may choose
    /// them above what is registered.
    ///
    /// With it the driver promises that no write of an earlier term or process of this node can still be
    /// outstanding on any of its paths: to register is also to let such a write
    /// through (PR trace 1 of the model).
    Start {
        /// First serial of the block.
        serials: (u32, u32),
    },
    /// A further block of unused serials, after [`Output::NeedSerials`].
    Serials {
        /// First and count.
        serials: (u32, u32),
    },
    /// A command came back.
    Answer {
        /// Which.
        id: CommandId,
        /// When the driver handed it to the path.
        sent_at: Instant,
        /// What it brought.
        exchange: Exchange,
    },
    /// The answer to [`Output::ReadMark`]: what the superblock of the log says.
    Mark {
        /// Which question.
        id: CommandId,
        /// The mark, if there is one.
        mark: Option<ParkedMark>,
    },
    /// The answer to [`Output::ReadEpoch`], after a power loss.
    Epoch {
        /// Which question.
        id: CommandId,
        /// Is the epoch in the superblock still ours? Not, too, when it could not be read.
        still_ours: bool,
    },
    /// Whoever the arbiter serves is alive and wants it to go on.
    Fed,
    /// A deadline of [`super::Config`]'s machine has come (a driver may also send it early).
    Tick,
    /// Everything that writes, and everything that the disk cannot fence, has ended, and the parked mark has been
    /// sent, whatever came of it: the machine stops, and stays holder for whoever reads the mark. Only an owner
    /// ([`super::Status::Owner`]) parks: whoever reads the mark does not wait for an owner before that one.
    Park,
    /// The driver has heard that the disk was handed over, by whatever way nodes talk: a contender that has a log
    /// looks for the mark now, and not at its next turn. Nothing is believed of it but the mark itself.
    HandedOver,
    /// This host stood still, or its clocks were set: an owner proves again at once.
    Stalled,
    /// Stop at an operator's word: an owner releases and unregisters (no parked mark; everything that
    /// writes has been drained), a contender takes its registration away.
    Release,
    /// A path came or went.
    PathChanged {
        /// Which.
        path: PathId,
        /// Usable now.
        usable: bool,
    },
}

/// What the machine tells its driver. In order; each is carried out before the next is looked at.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Output {
    /// Perform this verb on this path and bring the answer back.
    Perform {
        /// Its name, for the answer.
        id: CommandId,
        /// The path.
        path: PathId,
        /// The verb.
        verb: Verb,
        /// The caller's bound.
        bound: Duration,
    },
    /// Read the parked mark from the superblock of the log (only under `Policy::has_log`), from the medium
    /// and not from a cache: the read must begin after this output.
    ReadMark {
        /// Its name, for the answer.
        id: CommandId,
    },
    /// Read the epoch from the superblock of the log, likewise.
    ReadEpoch {
        /// Its name, for the answer.
        id: CommandId,
    },
    /// Bring a further block of unused serials.
    NeedSerials,
    /// Ownership is proved up to this point, the send time of the last clean round and the self-stop age
    /// later: the self-stop timer is set to it. Only ever moves on. Comes before the `Held` or `Defended`
    /// that it belongs to.
    ProvedUntil(Instant),
    /// Something happened that people and programs want to know.
    Event(Event),
}

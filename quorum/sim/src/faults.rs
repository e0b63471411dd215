//! The fault model: what may go wrong in a simulated world, what may not, and why.
//!
//! **A command** is decided by a machine, leaves its host, takes effect at the disk, and is answered. It may
//! * be lost on the way there ([`FaultKind::RequestLost`]) or on the way back ([`FaultKind::ReplyLost`]): both
//!   look alike to the sender, at its bound;
//! * take effect long after its sender gave it up ([`FaultKind::LateEffect`]), also while the sender is paused, dead,
//!   or reborn;
//! * be answered late, within its bound or after it ([`FaultKind::SlowReply`]);
//! * stay in its host because the process was stopped between deciding and sending ([`FaultKind::Stalled`]);
//! * fail in the transport ([`FaultKind::TransportFailed`]), or meet BUSY ([`FaultKind::Busy`]) or a path that is gone
//!   ([`FaultKind::NoPath`]).
//!
//! **A data write** is decided while the node believes that it owns the disk, stays in the host for any time
//! ([`FaultKind::WriteHeldInHost`]), is accepted by the target, where access is checked, and stays in the task set for
//! any time ([`FaultKind::WriteQueuedInTarget`]) before it lands, where nothing is checked. Both last across the loss of the
//! disk, and across a re-registration of the nexus by somebody else's process. A host may repeat a write that
//! met an attention ([`FaultKind::WriteRepeated`]), as the kernel's disk driver does.
//!
//! **A node** is paused for any time at any instant, with its clock running ([`FaultKind::PauseRunning`]) or standing
//! still ([`FaultKind::PauseStanding`]); its timers come late ([`FaultKind::LateTimer`]); its clock's rate is wrong by up to
//! the drift of the times; it dies ([`FaultKind::Death`]) and is born again on the same nexus ([`FaultKind::Rebirth`]) or on
//! another ([`FaultKind::RebirthElsewhere`]); whoever it serves goes silent ([`FaultKind::Unfed`]).
//!
//! **A path** goes and comes ([`FaultKind::PathDown`]); a session is lost and comes back, and the node is told
//! ([`FaultKind::NexusLoss`]) or not ([`FaultKind::SilentNexusLoss`]).
//!
//! **The disk** is reset by a stranger ([`FaultKind::StrangerReset`]), loses power, with and without APTPL
//! ([`FaultKind::PowerLoss`]), answers nobody for a while ([`FaultKind::Outage`]); others on a nexus eat its attentions
//! ([`FaultKind::AttentionsEaten`]); a stranger registers ([`FaultKind::ForeignRegistration`]); an operator CLEARs
//! ([`FaultKind::OperatorClear`]). It has the behaviour of the standards, of LIO, of tgt, or the hostile one, and may lack LUN RESET,
//! CLEAR TASK SET or PREEMPT AND ABORT.
//!
//! **What an operator asks for** is not a fault but happens all the same: an owner parks or releases.
//!
//! What does not happen, and why:
//! * *A read of the state lies.* Nothing can be arbitrated on such a disk. GOOD that lies is `hostile`.
//! * *A node acts while its clock stands.* No time would bound it; a node whose clock stood is left out of "one owner at
//!   a time" until it has proved its ownership anew, and the disk alone fences it, which is checked.
//! * *A paused node acts when it goes on, before its timers do.* The self-stop timer is a thread of its own, and
//!   every write asks it first.
//! * *Writes of an earlier process outlive its nexus's next process.* The driver promises so ([`Input::Start`]): sessions are
//!   re-instated, which throws away what the host and the target had, or the new process waits for the end of the old
//!   one's commands. A node that is reborn on another nexus has made no such promise for the old one.
//! * *SCSI-2: attentions are eaten, and a live owner is kept.* Three contenders of which one is blind to resets can
//!   depose a live owner; no protocol on SCSI-2 keeps that from happening. Nobody is told `Owner` beside another all the same.
//! * *SCSI-2: RESERVE takes effect late, and a live owner is kept.* One that does, right after another's reset, takes the disk.
//!
//! [`Input::Start`]: quorum_core::arbitration::Input::Start

use crate::rng::Rng;
use std::time::Duration;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// What can go wrong.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum FaultKind { $($(#[doc = $doc])* $name,)* }

        impl FaultKind {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name, as it stands in the code.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

kinds! {
    /// A command is lost before it takes effect.
    RequestLost,
    /// The answer is lost after the command took effect.
    ReplyLost,
    /// The command takes effect after its sender gave it up.
    LateEffect,
    /// The answer comes later than in good times.
    SlowReply,
    /// The process was stopped between deciding on a command and sending it.
    Stalled,
    /// The transport fails; nobody knows what took effect.
    TransportFailed,
    /// The disk answers BUSY.
    Busy,
    /// The path is gone when a command is sent.
    NoPath,
    /// A write stays in its host.
    WriteHeldInHost,
    /// A write stays in the target's queue.
    WriteQueuedInTarget,
    /// The host repeats a write that met an attention.
    WriteRepeated,
    /// A node stops while its clock runs.
    PauseRunning,
    /// A node stops and its clock with it.
    PauseStanding,
    /// A node's timers come late.
    LateTimer,
    /// A node dies.
    Death,
    /// A node is born again on the same nexus.
    Rebirth,
    /// A node is born again on another nexus.
    RebirthElsewhere,
    /// Whoever a node serves goes silent.
    Unfed,
    /// A path goes, and comes back.
    PathDown,
    /// A session is lost and comes back, and the node is told.
    NexusLoss,
    /// A session is lost and comes back, and the node is not told.
    SilentNexusLoss,
    /// Somebody else resets the logical unit.
    StrangerReset,
    /// The disk loses its power.
    PowerLoss,
    /// The disk answers nobody for a while.
    Outage,
    /// Others on a nexus eat its attentions.
    AttentionsEaten,
    /// A stranger registers.
    ForeignRegistration,
    /// An operator clears the disk.
    OperatorClear,
}

/// What goes wrong with one command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It is lost before it takes effect.
    LoseRequest,
    /// Its answer is lost.
    LoseReply,
    /// It takes effect that late; its sender has given it up by then.
    Zombie(Duration),
    /// The answer comes that late, within the bound or not.
    Slow(Duration),
    /// The path is gone.
    NoPath,
    /// The transport fails after this long; it took effect, or did not.
    Transport {
        /// It took effect.
        took_effect: bool,
    },
    /// The disk answers BUSY.
    Busy,
}

impl Fault {
    /// Under which name it is counted.
    #[must_use]
    pub const fn kind(self) -> FaultKind {
        match self {
            Self::LoseRequest => FaultKind::RequestLost,
            Self::LoseReply => FaultKind::ReplyLost,
            Self::Zombie(_) => FaultKind::LateEffect,
            Self::Slow(_) => FaultKind::SlowReply,
            Self::NoPath => FaultKind::NoPath,
            Self::Transport { .. } => FaultKind::TransportFailed,
            Self::Busy => FaultKind::Busy,
        }
    }
}

/// How often commands and writes go wrong, in a thousand; none in scripts.
#[derive(Clone, Copy, Default, Debug)]
pub struct Chances {
    /// A command is lost before it takes effect.
    pub lose_request: u64,
    /// Its answer is lost.
    pub lose_reply: u64,
    /// It takes effect late.
    pub late_effect: u64,
    /// It is answered late.
    pub slow: u64,
    /// The transport fails.
    pub transport: u64,
    /// The disk answers BUSY.
    pub busy: u64,
    /// The process stops between deciding and sending.
    pub stall: u64,
    /// A write stays in its host, or in the target.
    pub hold_write: u64,
    /// A host repeats a write that met an attention.
    pub repeat_write: u64,
}

/// The longest that anything stays under way after its sender gave it up.
pub const LATE_MAX: Duration = Duration::from_millis(3000);

impl Chances {
    /// What goes wrong with the next command.
    pub(crate) fn draw(&self, rng: &mut Rng) -> Option<Fault> {
        let mut at = rng.below(1000);
        let mut hit = |chance: u64| {
            let here = at < chance;
            at = at.saturating_sub(chance);
            // Below the chance is a hit once; what is left never is again.
            if here {
                at = u64::MAX;
            }
            here
        };
        let late = |rng: &mut Rng| Duration::from_millis(20 + rng.below(late_max_ms() - 20));
        if hit(self.lose_request) {
            Some(Fault::LoseRequest)
        } else if hit(self.lose_reply) {
            Some(Fault::LoseReply)
        } else if hit(self.late_effect) {
            Some(Fault::Zombie(late(rng)))
        } else if hit(self.slow) {
            Some(Fault::Slow(late(rng)))
        } else if hit(self.transport) {
            let took_effect = rng.chance(500);
            Some(Fault::Transport { took_effect })
        } else if hit(self.busy) {
            Some(Fault::Busy)
        } else {
            None
        }
    }
}

pub(crate) fn late_max_ms() -> u64 {
    u64::try_from(LATE_MAX.as_millis()).unwrap_or(u64::MAX)
}

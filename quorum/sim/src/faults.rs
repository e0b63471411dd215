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
//! another ([`FaultKind::RebirthElsewhere`]); whoever it serves goes silent ([`FaultKind::Unfed`]). Of a pause that its clocks show, and of a
//! late timer, its machine is told before anything else ([`Input::Stalled`]), as by the driver (`world/stalls.rs`).
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
//!
//! **What the checkers excuse**, all of it, each with the reason and the shortest trace. `O` owns, `C` challenges.
//!
//! S3, a live owner is not deposed ([`crate::checkers::live_owner`]); an excuse lasts as long as a challenge can last:
//! * *Two commands of the owner are lost, or answered late, in one challenge.* The inequalities cover one: `O` reads, lost;
//!   reads, lost; `C`'s key has survived its wait.
//! * *The owner is paused, its timer late beyond what the times allow, its path gone, its session lost, BUSY, unfed, or it has
//!   just begun again.* It is not one that reaches the disk: `O` is paused; `C` registers, waits, takes.
//! * *More keys in one round than the times cover* (told as `Crowded`): `O` removes m keys, and the one after that is in time
//!   no more.
//! * *Power loss, outage, CLEAR.* Everybody's registration is gone, or nobody is answered: `O` reads nobody, and is late.
//! * *SCSI-2: more resets in one challenge than the times cover; attentions eaten, also by a late command of one's own.* Three
//!   contenders of which one is blind to resets: `C1` resets; `C2` waits on, unaware, and reserves before `O` does again. No
//!   protocol on SCSI-2 keeps that from happening; nobody is told `Owner` beside another all the same.
//! * *SCSI-2: RESERVE takes effect late, or is sent by an owner whose clock stood still.* Right after another's reset it takes
//!   the disk: `C1` resets; the late RESERVE of `C2`; `O` meets a conflict.
//! * *The hostile disk*: it answers GOOD to what it does not do, so that nothing keeps `O` in.
//! * *The session of the owner was lost on a target that binds registrations to sessions, without a word (tgt).* Its key stays
//!   listed and is nobody's: every round looks clean, and a PREEMPT of that key succeeds.
//!
//! That a PREEMPT of the owner meets a conflict is no excuse any more. It was one for a challenger that registers anew in the
//! very round that removes it, and hid an owner with two paths that sent change after change over the path that had lost
//! its registration (script `changes_that_conflict_on_every_path_take_turns`).
//!
//! S2, no write of a deposed owner ([`crate::checkers::deposed_writes`]); each is counted:
//! * *Exposed*: accepted while nobody held the disk: after a reset or a nexus loss under SCSI-2, a power loss without APTPL,
//!   CLEAR, an operator's RELEASE. `O` is paused; reset; its write arrives; `C` reserves; it lands.
//!   Or, under SCSI-2, before the next owner has heard of its win, or behind its barrier where it is blind to resets: `C` clears the task set; reset,
//!   eaten; the write arrives; `C` reserves; it lands.
//! * *Revived*: an owner whose term is over, and which does not know it, reserves the open disk again. SCSI-2: `O` is paused;
//!   `C` wins; another resets; `O` goes on and reserves before `C` does, or before `C`, paused, is told of its win.
//!   Persistent mode: only after CLEAR or a power loss without APTPL, by an owner whose clock stood still: it re-takes, perhaps by a RESERVE that
//!   takes effect when it has stopped, what it has under way lands, and then it reads another's epoch and gives back.
//! * *A late RESERVE of a nexus lets in what that nexus has under way (SCSI-2)*: nobody knows of it any more.
//! * *Under way at a power loss without APTPL*: whoever registers again lets in what it has under way.
//! * *Let in*: persistent mode with several paths, whose type admits every registrant: a REGISTER that was given up takes effect
//!   after its sender, owner by another REGISTER since, was deposed, and lets in a write that is in its host still:
//!   `O` REGISTER 1, no answer; REGISTER 2, GOOD; takes, writes, is paused; `C` takes; REGISTER 1 takes effect; the write is
//!   accepted. **Not mended**: no command of the machine undoes one that is under way. It takes a driver that ends the
//!   sessions of a node that has lost the disk, as `qctl` does by ending; in this world the process lives on. So does one
//!   whose clock stood still: what it decides on behind the late REGISTER is let in too, until it has read that it is deposed.
//! * *Unbarred*: the win had no barrier that covers every earlier owner (only the settle time, or PREEMPT AND ABORT of one
//!   holder where no reset can be sent), and said so.
//! * *The hostile disk*: its ABORT does not abort.
//!
//! S5, one owner ([`crate::checkers::one_owner`]):
//! * *A node whose clock stood still, until it has proved its ownership by a read that was sent since*; where it may have come
//!   back through an open disk, until the end of its term: it cannot know that time has passed. `O`'s guest is stopped, clock
//!   and all; `C` takes and is `Owner`; `O` goes on, and believes for what was left of its proof.
//! * *A win that is told when it is over*: the answer waited in a process that stood still, and another has held the disk since.
//!
//! S4, the own key ([`crate::checkers::own_key`]): an owner with whom all is not well, as in S3, may lose it; one that was told
//! to give the disk back takes it away itself.
//!
//! Acknowledged ([`crate::checkers::acknowledged`], `crate::log`): a record that an owner of before acknowledged through an open
//! disk, within its proof, after the next owner had read; the shipped log is not judged any more once that has happened.
//!
//! Takes and terms ([`crate::checkers::takes`], [`crate::checkers::terms`]): not on the hostile disk; "holds at `Held`" not
//! within a challenge of a power loss, an outage or CLEAR; "has read that the disk is not its own" not by a read of a round
//! that has failed meanwhile, whose answer is nobody's: the next round looks again, or the self-stop age is there.
//!
//! [`Input::Start`]: quorum_core::arbitration::Input::Start
//! [`Input::Stalled`]: quorum_core::arbitration::Input::Stalled

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

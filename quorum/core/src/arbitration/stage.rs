//! Where exactly a machine stands, finer than [`super::Status`]: so that a simulation can count which
//! transitions it has taken, and a person who debugs sees what is waited for.

use super::Stopped;
use std::fmt;

macro_rules! stages {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// One stage of a machine.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Stage { $($(#[doc = $doc])* $name,)* }

        impl Stage {
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

stages! {
    /// Not begun.
    Idle,
    /// Looks at what the disk can, and who is there.
    Probing,
    /// Puts a fresh key on every path.
    Registering,
    /// Reads PTPL_A back.
    CheckingAptpl,
    /// Notes the holder.
    Noting,
    /// Waits, and reads the parked mark meanwhile.
    ReadingMark,
    /// SCSI-2: the first TEST UNIT READY is out.
    Trying,
    /// SCSI-2: the LUN reset that challenges is out.
    Resetting,
    /// SCSI-2: drains the attention of its own reset.
    Draining,
    /// The challenge wait runs.
    Waiting,
    /// SCSI-2: a poll is out.
    Polling,
    /// The look after the wait.
    Looking,
    /// PREEMPT or RESERVE is out.
    Taking,
    /// Won, and what stands between that and the first clean round.
    Winning,
    /// The disk refuses everybody else; settling.
    Held,
    /// Whatever the disk cannot fence may run.
    Owner,
    /// Lost the reservation in a power loss: registers again.
    RetakeRegistering,
    /// Has registered again: reserves, barrier, epoch.
    Retaking,
    /// Takes away what is its own.
    Leaving,
    /// Waits for its turn to contend again.
    Resting,
    /// Stopped: another holds the disk.
    NotTaken,
    /// Stopped: refused.
    Refused,
    /// Stopped: was the owner and lost the disk.
    Deposed,
    /// Stopped: was the owner and could not prove it in time.
    SelfStopped,
    /// Stopped: handed over.
    Parked,
    /// Stopped: gave the disk back.
    Released,
    /// Stopped: was contending and was told to end.
    Withdrawn,
}

impl Stage {
    pub(super) const fn of_stopped(stopped: &Stopped) -> Self {
        match stopped {
            Stopped::NotTaken { .. } => Self::NotTaken,
            Stopped::Refused(_) => Self::Refused,
            Stopped::Deposed { .. } => Self::Deposed,
            Stopped::SelfStop { .. } => Self::SelfStopped,
            Stopped::Parked => Self::Parked,
            Stopped::Released { .. } => Self::Released,
            Stopped::Withdrawn => Self::Withdrawn,
        }
    }

    /// Stands still for good?
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::NotTaken
                | Self::Refused
                | Self::Deposed
                | Self::SelfStopped
                | Self::Parked
                | Self::Released
                | Self::Withdrawn
        )
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

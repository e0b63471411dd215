//! Who on this host uses a disk: what the guards of dangerous verbs look at.

use std::fmt;

/// How a block node of the disk is in use.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum UsageKind {
    /// A mounted file system.
    Mounted {
        /// Where.
        at: String,
        /// `ext4`, `ntfs`, …
        file_system: String,
    },
    /// It carries the root file system of this host.
    Root,
    /// Swapped to.
    Swap,
    /// Another block device stands on it (dm, md, LVM).
    HeldBy {
        /// The holder's node (`/dev/dm-0`).
        holder: String,
        /// What it is, in the holder's words (`lvm vg-lv`, `md raid1`, `multipath`).
        what: String,
    },
}

/// One use of one block node of the disk.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Usage {
    /// The node that is in use (`/dev/sdb1`).
    pub node: String,
    /// How.
    pub kind: UsageKind,
}

/// As a refusal says it.
impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = &self.node;
        match &self.kind {
            UsageKind::Mounted { at, file_system } => {
                write!(f, "{node} is mounted on {at} ({file_system})")
            }
            UsageKind::Root => write!(f, "{node} carries this host's root file system"),
            UsageKind::Swap => write!(f, "{node} is swapped to"),
            UsageKind::HeldBy { holder, what } => write!(f, "{node} is held by {holder} ({what})"),
        }
    }
}

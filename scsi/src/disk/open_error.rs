//! Why a disk could not be opened, and what to do about it.

use thiserror::Error;

/// Why a disk could not be opened. One variant for each thing that a caller would do about it.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum OpenError {
    /// The name breaks the rules of names. (Exit code 1.)
    #[error("{name}: {why}")]
    BadName {
        /// As given.
        name: String,
        /// What is wrong with it, and where.
        why: String,
    },
    /// A partition, where the disk is wanted. (Exit code 1.)
    #[error("{name} is a partition; reservations belong to the whole disk")]
    Partition {
        /// As given.
        name: String,
        /// The disk that it is a part of.
        disk: String,
    },
    /// Something, but not a disk: a controller, a volume over several disks, a file. (Exit code 1.)
    #[error("{name} is {what}, not a disk")]
    NotADisk {
        /// As given.
        name: String,
        /// What it is, with its article.
        what: String,
        /// What to name instead, where that is known.
        instead: Vec<String>,
    },
    /// Nothing has this name. (Exit code 105.)
    #[error("{name}: there is no such device")]
    NoSuchObject {
        /// As given.
        name: String,
    },
    /// A disk without any kind of reservations: not SCSI, not NVMe. (Exit code 9.)
    #[error("{name} is {what}: it has no reservations")]
    NoReservations {
        /// As given.
        name: String,
        /// What it is, with its article.
        what: String,
    },
    /// This program was built without it. (Exit code 9.)
    #[error("{name}: this program was built without the feature `{feature}`")]
    NotBuilt {
        /// As given.
        name: String,
        /// The feature of the crate `scsi`.
        feature: &'static str,
    },
    /// It may not be opened by this process. (Exit code 15.)
    #[error("{name}: not permitted; it takes {privilege}")]
    NotPermitted {
        /// The node that was tried.
        name: String,
        /// What is missing, by name (`CAP_SYS_RAWIO`, `read access to /dev/sdb`).
        privilege: String,
    },
    /// It could not be opened. (Exit code 15.)
    #[error("{name}: cannot be opened: {why}")]
    CannotOpen {
        /// The node that was tried.
        name: String,
        /// The system's words.
        why: String,
    },
    /// Opening outlived the bound: the device or its driver hangs. (Exit code 33; nothing was changed.)
    #[error("{name}: opening it took longer than {bound_ms} ms")]
    TimedOut {
        /// The node that was tried.
        name: String,
        /// The bound.
        bound_ms: u64,
    },
    /// The portal has no such iSCSI target. (Exit code 105.)
    #[error("{portal} has no target {target}")]
    NoSuchTarget {
        /// Its name.
        target: String,
        /// Who was asked.
        portal: String,
    },
    /// The iSCSI target has no such logical unit. (Exit code 105.)
    #[error("{target} has no logical unit {lun}")]
    NoSuchLun {
        /// The target's name.
        target: String,
        /// The number.
        lun: String,
    },
    /// The iSCSI target does not let this initiator in, or could not prove who it is. (Exit code 15.)
    #[error("{name}: {why}")]
    LoginRefused {
        /// What was tried.
        name: String,
        /// In the target's words.
        why: String,
    },
    /// The transport failed (a login, a connection). (Exit code 35.)
    #[error("{name}: {why}")]
    Transport {
        /// As given.
        name: String,
        /// What failed.
        why: String,
    },
}

impl OpenError {
    /// What to do next, as one sentence.
    #[must_use]
    pub fn next_step(&self) -> String {
        match self {
            Self::BadName { name, .. } if name.starts_with("iscsi://") => {
                "an iSCSI disk is --initiator IQN iscsi://[USER@]HOST[:PORT]/TARGET/LUN".to_owned()
            }
            Self::BadName { .. } => {
                "name a disk as /dev/sdX, /dev/disk/by-id/…, /dev/mapper/…, /dev/nvmeXnY, iscsi://… or emu:FILE".to_owned()
            }
            Self::Partition { disk, .. } => format!("name the disk: {disk}"),
            Self::NotADisk { instead, .. } if instead.is_empty() => {
                "`qctl disk list` shows the disks of this host".to_owned()
            }
            Self::NotADisk { instead, .. } => format!("name the disk: {}", instead.join(" or ")),
            Self::NoSuchObject { .. } | Self::NoReservations { .. } => {
                "`qctl disk list` shows the disks of this host".to_owned()
            }
            Self::NotBuilt { feature, .. } => format!("build it with `--features {feature}`"),
            Self::NotPermitted { privilege, .. } => {
                format!("run it as root, or grant it {privilege}")
            }
            Self::CannotOpen { name, .. } if !name.starts_with("/dev/") => {
                "see that it and its folder are there, and who may read and write them".to_owned()
            }
            Self::CannotOpen { .. } => {
                "see `dmesg` for what the kernel says about the device".to_owned()
            }
            Self::TimedOut { .. } => {
                "see `dmesg`; the device or its error handler hangs, another path may answer".to_owned()
            }
            Self::NoSuchTarget { .. } => {
                "check the target's name; the target's own tools, or `iscsi-ls`, list what a portal has".to_owned()
            }
            Self::NoSuchLun { .. } => {
                "check the number at the end of the URL; `qctl target serve` has 0, tgt begins with 1".to_owned()
            }
            Self::LoginRefused { .. } => {
                "check --chap-file and --initiator, and whether the target lets this initiator in".to_owned()
            }
            Self::Transport { .. } => {
                "check that the portal answers and that the names are right".to_owned()
            }
        }
    }
}

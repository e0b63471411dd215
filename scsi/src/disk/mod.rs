//! A disk by its name, whatever stands behind it: one value for `qctl` and for the arbiter.
//!
//! | name | opened by | feature |
//! |---|---|---|
//! | `emu:FILE…` | the emulated unit | `emulated` |
//! | `/dev/…` | SG_IO, `IOC_PR_*` or NVMe commands | `linux` |
//! | `iscsi://…` | iSCSI sessions from user space, one for each portal | `initiator` |
//!
//! Invariants:
//! * a [`Disk`] has at least one path, and all its paths lead to one logical unit;
//! * opening changes nothing on the disk, sends at most INQUIRY, and returns within the bound;
//! * every path keeps the caller's bound on every command.

mod identity;
mod open_error;
#[cfg(any(feature = "linux", feature = "emulated", feature = "initiator"))]
pub(crate) mod paths;
mod usage;

pub use identity::{Address, Identity};
pub use open_error::OpenError;
pub use usage::{Usage, UsageKind};

use crate::device::Device;
use crate::reservation::NexusId;
use crate::reservations::Reservations;
use std::fmt;
use std::time::Duration;

/// How the verbs travel to the disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Way {
    /// SCSI commands by SG_IO.
    SgIo,
    /// The kernel's `IOC_PR_*` calls: no SPC-2, no resets, no attentions, no nexuses in the state.
    IocPr,
    /// NVMe commands by passthrough.
    Nvme,
    /// The emulated unit.
    Emulated,
    /// A user-space iSCSI session.
    Iscsi,
}

impl Way {
    /// The word for it in text and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SgIo => "sg_io",
            Self::IocPr => "ioc_pr",
            Self::Nvme => "nvme",
            Self::Emulated => "emulated",
            Self::Iscsi => "iscsi",
        }
    }
}

/// One nexus of this host to the disk.
pub struct Path {
    /// The node or URL that it goes through (`/dev/sdb`, `/dev/mapper/q`, `emu:…`).
    pub name: String,
    /// How the verbs travel.
    pub way: Way,
    /// The nexus, as far as it can be known without asking the disk: one's own registration is recognised
    /// by it. The relative target port may be missing; then the initiator port alone is compared.
    pub nexus: Option<NexusId>,
    /// The same names by every way and every node: two paths of this host, opened by anybody, that share a
    /// nexus share a name. At least one; a multipath map has those of all its paths.
    pub lock_names: Vec<String>,
    /// The verbs.
    pub reservations: Box<dyn Reservations>,
    /// Plain commands on the same nexus, where this way has them.
    pub device: Option<Box<dyn Device>>,
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Path")
            .field("name", &self.name)
            .field("way", &self.way)
            .field("nexus", &self.nexus)
            .finish_non_exhaustive()
    }
}

/// A disk that has been opened.
#[derive(Debug)]
pub struct Disk {
    /// The name as the user gave it.
    pub name: String,
    /// What it is.
    pub identity: Identity,
    /// At least one. Several where the host sees the disk through several nexuses.
    pub paths: Vec<Path>,
    /// What on this host uses it, by any of its nodes. Other hosts cannot be seen.
    pub usages: Vec<Usage>,
    /// Where the disk is reached past the kernel (`iscsi://`): the block nodes by which this host's kernel
    /// reaches the same unit as well. What goes through them goes through another nexus.
    pub attached: Vec<String>,
    /// What the user should know about the way in (a path that was left out, a way with fewer verbs).
    pub remarks: Vec<String>,
}

/// Why the disk is opened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Purpose {
    /// One verb. Over iSCSI: a session identifier of its own, so that it is a nexus which nobody comes back as.
    #[default]
    Verb,
    /// A change to persistent reservations that later verbs come back to. Over iSCSI: this host's fixed session identifier
    /// for such verbs; another session with it would end this one, so whoever opens a disk so takes turns.
    Change,
    /// A look at what [`Self::Change`] has done. Over iSCSI: a session identifier of its own, and the path's nexus is that
    /// of [`Self::Change`].
    Look,
    /// To arbitrate: no command that an arbiter can do without. Over iSCSI: the node's fixed session
    /// identifier, and of the identity the world-wide name alone, where the disk tells one.
    Arbitrate,
}

/// Puts something around every device that is opened (a trace, faults); told the path's name, and given the
/// handles that share one way's commands. It gives back as many.
pub type WrapDevice<'a> = &'a dyn Fn(&str, Vec<Box<dyn Device>>) -> Vec<Box<dyn Device>>;

/// Puts something around the verbs of a way that has no devices (`IOC_PR_*`, NVMe); told the path's name.
pub type WrapReservations<'a> = &'a dyn Fn(&str, Box<dyn Reservations>) -> Box<dyn Reservations>;

/// How to open.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// The bound on opening, and on each command that opening sends.
    pub bound: Duration,
    /// Why.
    pub purpose: Purpose,
    /// How the verbs shall travel, where there is a choice; `None`: the way with the most verbs that this
    /// process may use.
    pub via: Option<Way>,
    /// The iSCSI initiator name.
    pub initiator: Option<&'a str>,
    /// The file with the names and secrets of CHAP (iSCSI).
    pub chap_file: Option<&'a std::path::Path>,
    /// Around every device, inside the bound.
    pub wrap_device: Option<WrapDevice<'a>>,
    /// Around the verbs where there is no device, inside the bound.
    pub wrap_reservations: Option<WrapReservations<'a>>,
}

impl Default for Options<'_> {
    /// Five seconds, for one verb, the best way, nothing around it.
    fn default() -> Self {
        Self {
            bound: Duration::from_secs(5),
            purpose: Purpose::Verb,
            via: None,
            initiator: None,
            chap_file: None,
            wrap_device: None,
            wrap_reservations: None,
        }
    }
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("bound", &self.bound)
            .field("purpose", &self.purpose)
            .field("via", &self.via)
            .field("initiator", &self.initiator)
            .field("chap_file", &self.chap_file)
            .finish_non_exhaustive()
    }
}

/// Opens the disk with this name or URL.
///
/// # Errors
/// [`OpenError`]; its variants are as many as there are different things to do about it.
pub fn open(name: &str, options: &Options<'_>) -> Result<Disk, OpenError> {
    let scheme = name.split_once(':').map(|(scheme, _)| scheme);
    match scheme {
        Some("emu") => open_emulated(name, options),
        Some("iscsi") => open_iscsi(name, options),
        Some(_) | None => open_node(name, options),
    }
}

#[cfg(feature = "linux")]
fn open_node(name: &str, options: &Options<'_>) -> Result<Disk, OpenError> {
    crate::linux::open(name, options, &crate::linux::Roots::default())
}

#[cfg(not(feature = "linux"))]
fn open_node(name: &str, _options: &Options<'_>) -> Result<Disk, OpenError> {
    Err(OpenError::NotBuilt {
        name: name.to_owned(),
        feature: "linux",
    })
}

#[cfg(feature = "emulated")]
fn open_emulated(name: &str, options: &Options<'_>) -> Result<Disk, OpenError> {
    crate::emulated::open_disk(name, options)
}

#[cfg(not(feature = "emulated"))]
fn open_emulated(name: &str, _options: &Options<'_>) -> Result<Disk, OpenError> {
    Err(OpenError::NotBuilt {
        name: name.to_owned(),
        feature: "emulated",
    })
}

#[cfg(feature = "initiator")]
fn open_iscsi(name: &str, options: &Options<'_>) -> Result<Disk, OpenError> {
    let disk = crate::iscsi::initiator::open_disk(name, options)?;
    #[cfg(feature = "linux")]
    let disk = crate::linux::with_attached(disk, &crate::linux::Roots::default());
    Ok(disk)
}

#[cfg(not(feature = "initiator"))]
fn open_iscsi(name: &str, _options: &Options<'_>) -> Result<Disk, OpenError> {
    Err(OpenError::NotBuilt {
        name: name.to_owned(),
        feature: "initiator",
    })
}

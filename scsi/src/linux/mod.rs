//! The real disks of a Linux host.
//!
//! | file | what it is | unsafe |
//! |---|---|---|
//! | `open` | a node's name to a [`crate::disk::Disk`]: which way the verbs travel | |
//! | `resolve`, `identity`, `users`, `block`, `list` | what a node is, who uses it, all disks: by sysfs alone | |
//! | `sg_io` | SCSI commands, and resets | ioctl |
//! | `ioc_pr` | the kernel's own persistent reservation calls | ioctl |
//! | `nvme` | NVMe reservation commands | ioctl |
//! | `abi` | the kernel's structs, checked when compiled | |
//!
//! Invariants:
//! * opening and listing change nothing, and nobody (udev) notices them;
//! * every command is behind the caller's bound;
//! * a privilege that is missing is named.
//!
//! A process that is stuck in `IOC_PR_*`, in NVMe passthrough or in SG_IO on a block node cannot exit
//! before the kernel lets it; on a generic node (`/dev/sgN`), which is preferred, it can.

mod abi;
mod block;
mod errno;
mod identity;
mod ioc_pr;
mod list;
mod nvme;
mod open;
mod privileges;
mod resolve;
mod sg_io;
mod sysfs;
#[cfg(test)]
mod tests;
mod users;

pub use block::{BlockDevice, block_device, loop_devices_on};
pub use list::{Listed, ListedKind, list};
pub use open::open;
pub use privileges::Privileges;
pub use sg_io::SgIo;
pub use sysfs::Roots;
pub use users::{block_nodes, claimable_nodes, with_attached};

//! A block device as a place to write on: a disk, a partition, a mapped device, a loop device.
//!
//! By sysfs alone: nothing is opened, and nobody notices.

use super::sysfs::{self, Roots};
use super::users;
use crate::disk::Usage;
use std::path::Path;

/// What is known of a block device before anybody writes to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlockDevice {
    /// Its node (`/dev/sdb1`), whatever name it was asked for by.
    pub node: String,
    /// It is a part of a disk.
    pub is_partition: bool,
    /// The WWID of the disk that it is, or is a part of.
    pub wwid: Option<String>,
    /// Who makes that disk.
    pub vendor: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// Who on this host uses it, or the whole of the disk that it is a part of.
    pub usages: Vec<Usage>,
}

/// The block device of this name; `None` when it is none of this kernel's.
#[must_use]
pub fn block_device(path: &Path, roots: &Roots) -> Option<BlockDevice> {
    let node = std::fs::canonicalize(path).ok()?;
    let name = node.strip_prefix(&roots.dev).ok()?.to_str()?;
    let name = name.replace('/', "!");
    let folder = roots.block(&name);
    if !folder.exists() {
        return None;
    }
    let disk = users::disk_of_partition(&name, roots);
    let about = roots.block(disk.as_deref().unwrap_or(&name)).join("device");
    let attribute = |attribute: &str| sysfs::text(&about.join(attribute));
    Some(BlockDevice {
        node: roots.node(&name),
        is_partition: disk.is_some(),
        wwid: attribute("wwid").or_else(|| sysfs::text(&about.join("../wwid"))),
        vendor: attribute("vendor"),
        model: attribute("model"),
        usages: users::of_block(&name, disk.as_deref(), roots),
    })
}

/// The loop devices that stand on this file.
#[must_use]
pub fn loop_devices_on(file: &Path, roots: &Roots) -> Vec<String> {
    let Ok(file) = std::fs::canonicalize(file) else {
        return Vec::new();
    };
    sysfs::names(&roots.sys.join("class/block"))
        .into_iter()
        .filter(|name| {
            let backing = sysfs::text(&roots.block(name).join("loop/backing_file"));
            backing.is_some_and(|backing| Path::new(&backing) == file)
        })
        .map(|name| roots.node(&name))
        .collect()
}

//! Who on this host uses a disk, by any of its block nodes: what the guards of dangerous verbs look at.
//!
//! ```text
//!  LUN ── sdb ── sdb1        mounted? swapped to? held?
//!   │      └──── dm-0 (map) ── dm-1 (LVM)   and so on upwards
//!   └──── sdc (another path) …
//! ```
//!
//! Invariants: every path to the LUN is looked at, found by its WWID, whichever one was named; what stands
//! on a holder is looked at too; a multipath map over the LUN's own paths is a path, not a use.
//!
//! What other hosts do cannot be seen from here.

use super::resolve::{self, Found, ScsiDisk};
use super::sysfs::{self, Roots};
use crate::disk::{Disk, Identity, Usage, UsageKind};
use crate::wire::vpd::DeviceIdentification;
use std::collections::BTreeSet;

/// Holders upon holders: deeper stacks do not exist, and a loop in sysfs must not hang.
const DEPTH_MAX: usize = 16;

/// Who uses the SCSI disk, by this path or any other.
pub(super) fn of_scsi(disk: &ScsiDisk, roots: &Roots) -> Vec<Usage> {
    let wwid = sysfs::text(&disk.device.join("wwid"));
    let mut nodes: BTreeSet<String> = wwid
        .map(|wwid| nodes_with_wwid(&wwid, roots))
        .unwrap_or_default();
    nodes.extend(disk.block.clone());
    usages(&nodes, roots)
}

/// Who uses the disk below a multipath map, by the map or past it.
pub(super) fn of_map(
    map: &str,
    paths: &[ScsiDisk],
    namespaces: &[String],
    roots: &Roots,
) -> Vec<Usage> {
    let mut nodes = BTreeSet::from([map.to_owned()]);
    for path in namespaces {
        nodes.insert(path.clone());
        if let Some(wwid) = sysfs::text(&roots.block(path).join("wwid")) {
            nodes.extend(nodes_with_wwid(&wwid, roots));
        }
    }
    for path in paths {
        nodes.extend(path.block.clone());
        if let Some(wwid) = sysfs::text(&path.device.join("wwid")) {
            nodes.extend(nodes_with_wwid(&wwid, roots));
        }
    }
    usages(&nodes, roots)
}

/// Who uses the NVMe namespace.
pub(super) fn of_nvme(block: &str, roots: &Roots) -> Vec<Usage> {
    let mut nodes = BTreeSet::from([block.to_owned()]);
    if let Some(wwid) = sysfs::text(&roots.block(block).join("wwid")) {
        nodes.extend(nodes_with_wwid(&wwid, roots));
    }
    usages(&nodes, roots)
}

/// A disk that is reached past the kernel (`iscsi://`), with the nodes by which the kernel reaches it as well, and
/// who uses those. Every name of the unit counts: which of them the kernel shows differs between kernels.
#[must_use]
pub fn with_attached(mut disk: Disk, roots: &Roots) -> Disk {
    let nodes = nodes_with_names(&disk.identity, roots);
    disk.usages = usages(&nodes, roots);
    disk.attached = nodes.iter().map(|node| roots.node(node)).collect();
    if !disk.attached.is_empty() {
        disk.remarks.push(format!(
            "also attached to this host as {}: through another nexus, which this one does not fence",
            disk.attached.join(", ")
        ));
    }
    disk
}

/// The disk that this block device is a part of.
pub(super) fn disk_of_partition(name: &str, roots: &Roots) -> Option<String> {
    let folder = std::fs::canonicalize(roots.block(name)).ok()?;
    folder
        .join("partition")
        .exists()
        .then(|| sysfs::name_of(folder.parent()?))
        .flatten()
}

/// Who uses this block device, by any path to it. A part of a disk is in use, too, when the whole disk is.
pub(super) fn of_block(name: &str, disk: Option<&str>, roots: &Roots) -> Vec<Usage> {
    let wwid = |name: &str| {
        let folder = roots.block(name);
        sysfs::text(&folder.join("device/wwid")).or_else(|| sysfs::text(&folder.join("wwid")))
    };
    let paths = |name: &str| {
        let mut nodes = wwid(name).map_or_else(BTreeSet::new, |wwid| nodes_with_wwid(&wwid, roots));
        nodes.insert(name.to_owned());
        nodes
    };
    let Some(disk) = disk else {
        return usages(&paths(name), roots);
    };
    let number = sysfs::text(&roots.block(name).join("partition"));
    let disks = paths(disk);
    let same = |part: &String| sysfs::text(&roots.block(part).join("partition")) == number;
    let mut parts: BTreeSet<String> = disks
        .iter()
        .flat_map(|disk| sysfs::partitions(&roots.block(disk)))
        .filter(same)
        .collect();
    parts.insert(name.to_owned());
    let mut found: BTreeSet<Usage> = usages(&parts, roots).into_iter().collect();
    let tables = Tables::read(roots);
    for disk in &disks {
        found.extend(tables.uses_of(disk, roots));
        // Also a multipath map: behind it the partition is another device, and that one may be in use.
        for holder in sysfs::names(&roots.block(disk).join("holders")) {
            found.insert(Usage {
                node: roots.node(disk),
                kind: UsageKind::HeldBy {
                    what: words_of_holder(&holder, roots),
                    holder: roots.node(&holder),
                },
            });
        }
    }
    found.into_iter().collect()
}

/// Every block node by which this host can have written to the disk of this name: all its paths, their
/// partitions, and the multipath maps over them. None for what is not a disk of this kernel.
#[must_use]
pub fn block_nodes(name: &str, roots: &Roots) -> Vec<String> {
    let (disks, wwid_folder) = match resolve::resolve(name, roots) {
        Ok(Found::Scsi(disk)) => (
            BTreeSet::from_iter(disk.block.clone()),
            vec![disk.device.clone()],
        ),
        Ok(Found::Multipath {
            map,
            paths,
            namespaces,
        }) => (
            paths
                .iter()
                .filter_map(|path| path.block.clone())
                .chain(namespaces.iter().cloned())
                .chain([map])
                .collect(),
            paths
                .iter()
                .map(|path| path.device.clone())
                .chain(namespaces.iter().map(|path| roots.block(path)))
                .collect(),
        ),
        Ok(Found::Nvme { block }) => (BTreeSet::from([block.clone()]), vec![roots.block(&block)]),
        Err(_) => return Vec::new(),
    };
    let mut nodes = disks;
    for folder in wwid_folder {
        if let Some(wwid) = sysfs::text(&folder.join("wwid")) {
            nodes.extend(nodes_with_wwid(&wwid, roots));
        }
    }
    let maps: Vec<String> = nodes
        .iter()
        .flat_map(|node| sysfs::names(&roots.block(node).join("holders")))
        .filter(|holder| is_map_over(holder, &nodes, roots))
        .collect();
    nodes.extend(maps);
    let partitions: Vec<String> = nodes
        .iter()
        .flat_map(|node| sysfs::partitions(&roots.block(node)))
        .collect();
    nodes.extend(partitions);
    nodes.iter().map(|node| roots.node(node)).collect()
}

/// The block nodes on which whatever uses the disk by this very name has its claim: the partitions and the disk, or those
/// of the map over it. Other paths to the disk are not among them. None for what is not a disk of this kernel.
#[must_use]
pub fn claimable_nodes(name: &str, roots: &Roots) -> Vec<String> {
    let block = match resolve::resolve(name, roots) {
        Ok(Found::Scsi(disk)) => disk.block,
        Ok(Found::Multipath { map, .. }) => Some(map),
        Ok(Found::Nvme { block }) => Some(block),
        Err(_) => None,
    };
    block.map_or_else(Vec::new, |block| claimable_on(block, roots))
}

pub(super) fn claimable_on(block: String, roots: &Roots) -> Vec<String> {
    // A path is claimed by its map, and that is no use of the disk.
    let maps = sysfs::names(&roots.block(&block).join("holders"));
    let tops = if maps.is_empty() { vec![block] } else { maps };
    tops.into_iter()
        .flat_map(|top| {
            let mut nodes = sysfs::partitions(&roots.block(&top));
            nodes.push(top);
            nodes
        })
        .map(|node| roots.node(&node))
        .collect()
}

fn nodes_with_wwid(wwid: &str, roots: &Roots) -> BTreeSet<String> {
    whole_disks(roots)
        .filter(|name| wwid_of(name, roots).as_deref() == Some(wwid))
        .collect()
}

fn nodes_with_names(identity: &Identity, roots: &Roots) -> BTreeSet<String> {
    let is_one =
        |name: &String| identity.names.contains(name) || identity.wwid.as_ref() == Some(name);
    whole_disks(roots)
        .filter(|name| {
            let page = sysfs::bytes(&roots.block(name).join("device/vpd_pg83"));
            let page = page.and_then(|page| DeviceIdentification::parse(&page).ok());
            let names = page.unwrap_or_default().names();
            wwid_of(name, roots).iter().chain(&names).any(is_one)
        })
        .collect()
}

/// Every block device but partitions.
fn whole_disks(roots: &Roots) -> impl Iterator<Item = String> {
    sysfs::names(&roots.sys.join("class/block"))
        .into_iter()
        .filter(|name| !roots.block(name).join("partition").exists())
}

/// SCSI has it at the device, NVMe at the block device.
fn wwid_of(name: &str, roots: &Roots) -> Option<String> {
    let folder = roots.block(name);
    sysfs::text(&folder.join("device/wwid")).or_else(|| sysfs::text(&folder.join("wwid")))
}

fn usages(disks: &BTreeSet<String>, roots: &Roots) -> Vec<Usage> {
    let tables = Tables::read(roots);
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for disk in disks {
        look(disk, disks, &tables, roots, &mut seen, &mut found, 0);
    }
    found.into_iter().collect()
}

/// Looks at one block device, its partitions, and what stands on them.
fn look(
    name: &str,
    disks: &BTreeSet<String>,
    tables: &Tables,
    roots: &Roots,
    seen: &mut BTreeSet<String>,
    found: &mut BTreeSet<Usage>,
    depth: usize,
) {
    if depth > DEPTH_MAX || !seen.insert(name.to_owned()) {
        return;
    }
    let folder = roots.block(name);
    found.extend(tables.uses_of(name, roots));
    for partition in sysfs::partitions(&folder) {
        look(&partition, disks, tables, roots, seen, found, depth + 1);
    }
    for holder in sysfs::names(&folder.join("holders")) {
        if !is_map_over(&holder, disks, roots) {
            found.insert(Usage {
                node: roots.node(name),
                kind: UsageKind::HeldBy {
                    holder: roots.node(&holder),
                    what: words_of_holder(&holder, roots),
                },
            });
        }
        look(&holder, disks, tables, roots, seen, found, depth + 1);
    }
}

/// Does this device stand on the LUN's paths and on nothing else, as one multipath map?
fn is_map_over(holder: &str, disks: &BTreeSet<String>, roots: &Roots) -> bool {
    let folder = roots.block(holder);
    let slaves = sysfs::names(&folder.join("slaves"));
    let is_multipath = sysfs::text(&folder.join("dm/uuid"))
        .map_or(slaves.len() > 1, |uuid| uuid.starts_with("mpath-"));
    is_multipath && folder.join("dm").is_dir() && slaves.iter().all(|slave| disks.contains(slave))
}

fn words_of_holder(holder: &str, roots: &Roots) -> String {
    let folder = roots.block(holder);
    if let Some(level) = sysfs::text(&folder.join("md/level")) {
        return format!("md {level}");
    }
    let name = sysfs::text(&folder.join("dm/name")).unwrap_or_default();
    let uuid = sysfs::text(&folder.join("dm/uuid")).unwrap_or_default();
    let kind = match uuid.split('-').next().unwrap_or_default() {
        "LVM" => "lvm",
        "CRYPT" => "encrypted",
        "mpath" => "multipath",
        _ if folder.join("dm").is_dir() => "device mapper",
        _ => "block device",
    };
    format!("{kind} {name}").trim_end().to_owned()
}

/// The mount and swap tables.
struct Tables {
    /// Device number as `major:minor`, source, where, file system.
    mounts: Vec<[String; 4]>,
    /// The nodes that are swapped to.
    swaps: Vec<String>,
}

impl Tables {
    fn read(roots: &Roots) -> Self {
        // The host's own table shows what a container's does not, where it may be read.
        let mounts = ["1/mountinfo", "self/mountinfo"]
            .iter()
            .filter_map(|table| sysfs::table(&roots.proc.join(table)))
            .flat_map(|table| table.lines().filter_map(mount).collect::<Vec<_>>())
            .collect();
        let swaps = sysfs::table(&roots.proc.join("swaps"))
            .map(|table| {
                let first = |line: &str| Some(unescaped(line.split_whitespace().next()?));
                table.lines().skip(1).filter_map(first).collect()
            })
            .unwrap_or_default();
        Self { mounts, swaps }
    }

    fn uses_of(&self, name: &str, roots: &Roots) -> Vec<Usage> {
        let folder = roots.block(name);
        let node = roots.node(name);
        let number = sysfs::text(&folder.join("dev"));
        // A mapped device is mounted by its name in /dev/mapper.
        let mapped = sysfs::text(&folder.join("dm/name"))
            .map(|name| roots.dev.join("mapper").join(name).display().to_string());
        let is_it = |source: &String| *source == node || Some(source) == mapped.as_ref();
        let mut uses = Vec::new();
        for [mount_number, source, at, file_system] in &self.mounts {
            // btrfs has a device number of its own; its source still names the node.
            if Some(mount_number) == number.as_ref() || is_it(source) {
                uses.push(UsageKind::Mounted {
                    at: at.clone(),
                    file_system: file_system.clone(),
                });
                if at == "/" {
                    uses.push(UsageKind::Root);
                }
            }
        }
        if self.swaps.iter().any(is_it) {
            uses.push(UsageKind::Swap);
        }
        uses.into_iter()
            .map(|kind| Usage {
                node: node.clone(),
                kind,
            })
            .collect()
    }
}

/// One line of mountinfo (proc(5)): `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`.
fn mount(line: &str) -> Option<[String; 4]> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ');
    let number = left.nth(2)?;
    let at = left.nth(1)?;
    let mut right = right.split(' ');
    let file_system = right.next()?;
    let source = right.next()?;
    Some([
        number.to_owned(),
        unescaped(source),
        unescaped(at),
        file_system.to_owned(),
    ])
}

/// The kernel writes blanks and backslashes of a path as `\ooo`.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 4);
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                out.push(char::from(byte));
                rest = &rest[at + 4..];
            }
            None => {
                out.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_with_a_blank_in_its_path_is_read() {
        assert_eq!(
            mount("36 35 8:17 / /mnt/a\\040b rw,noatime shared:1 - ext4 /dev/sdb1 rw"),
            Some(["8:17", "/dev/sdb1", "/mnt/a b", "ext4"].map(str::to_owned))
        );
        for bad in ["", "36 35 8:17", "36 35 8:17 / /mnt rw - ext4", "a - b"] {
            assert_eq!(mount(bad), None, "{bad}");
        }
        assert_eq!(unescaped("a\\9\\"), "a\\9\\");
    }
}

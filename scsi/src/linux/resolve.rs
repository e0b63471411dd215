//! From a node to what it is, by sysfs alone. Opens nothing.
//!
//! ```text
//!  name ──stat──> block or character, major:minor ──/sys/dev──> its folder ──> what it is
//! ```
//!
//! | the folder says | it is |
//! |---|---|
//! | block, `partition` | a partition: refused, its disk is named |
//! | block, `dm/uuid` starts with `mpath-` (or every slave is a path to one LUN) | a multipath map |
//! | block, another `dm/` | a volume: refused, the disks below are named |
//! | block, `device` in subsystem `scsi`, type 0, 14h or 0Eh | a SCSI disk |
//! | block `nvmeXnY`, character `ngXnY` | an NVMe namespace |
//! | character `nvmeX` | an NVMe controller: refused, its namespaces are named |
//! | character, subsystem `scsi_generic` or `bsg` | its SCSI device |
//! | anything else | not a disk, or one without reservations |

use super::sysfs::{self, Roots};
use crate::disk::OpenError;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A SCSI disk in sysfs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ScsiDisk {
    /// The folder of the SCSI device (`…/2:0:1:0`).
    pub(super) device: PathBuf,
    /// Its block device (`sdb`), unless no disk driver is bound.
    pub(super) block: Option<String>,
    /// Its generic device (`sg1`), where the driver `sg` is loaded.
    pub(super) generic: Option<String>,
}

/// What a name turned out to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// One path to a SCSI disk.
    Scsi(ScsiDisk),
    /// A multipath map, and its paths.
    Multipath {
        /// The map (`dm-3`).
        map: String,
        /// Its paths, by name.
        paths: Vec<ScsiDisk>,
        /// Paths that are NVMe namespaces: then `paths` is empty.
        namespaces: Vec<String>,
    },
    /// An NVMe namespace (`nvme0n1`).
    Nvme {
        /// The block device.
        block: String,
    },
}

/// A device number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Node {
    Block(u64, u64),
    Character(u64, u64),
}

/// Finds out what the name stands for.
pub(super) fn resolve(name: &str, roots: &Roots) -> Result<Found, OpenError> {
    classify(name, stat(name)?, roots)
}

fn stat(name: &str) -> Result<Node, OpenError> {
    let metadata = std::fs::metadata(name).map_err(|error| stat_error(name, &error))?;
    let kind = metadata.file_type();
    let number = metadata.rdev();
    let (major, minor) = (nix::sys::stat::major(number), nix::sys::stat::minor(number));
    if kind.is_block_device() {
        return Ok(Node::Block(major, minor));
    }
    if kind.is_char_device() {
        return Ok(Node::Character(major, minor));
    }
    let what = if kind.is_dir() {
        "a folder"
    } else if kind.is_file() {
        "a file (for an emulated disk say emu:FILE)"
    } else {
        "neither a block nor a character device"
    };
    Err(not_a_disk(name, what, Vec::new()))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the system's kinds of errors are open"
)]
fn stat_error(name: &str, error: &io::Error) -> OpenError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => OpenError::NoSuchObject {
            name: name.to_owned(),
        },
        io::ErrorKind::PermissionDenied => OpenError::NotPermitted {
            name: name.to_owned(),
            privilege: format!("search permission for the folders of {name}"),
        },
        _ => OpenError::CannotOpen {
            name: name.to_owned(),
            why: error.to_string(),
        },
    }
}

fn not_a_disk(name: &str, what: impl Into<String>, instead: Vec<String>) -> OpenError {
    OpenError::NotADisk {
        name: name.to_owned(),
        what: what.into(),
        instead,
    }
}

fn no_reservations(name: &str, what: impl Into<String>) -> OpenError {
    OpenError::NoReservations {
        name: name.to_owned(),
        what: what.into(),
    }
}

/// The same from a device number.
pub(super) fn classify(name: &str, node: Node, roots: &Roots) -> Result<Found, OpenError> {
    let (kind, major, minor) = match node {
        Node::Block(major, minor) => ("block", major, minor),
        Node::Character(major, minor) => ("char", major, minor),
    };
    let link = roots
        .sys
        .join("dev")
        .join(kind)
        .join(format!("{major}:{minor}"));
    // A node whose device has gone stays behind where no udev cleans up.
    let gone = || OpenError::NoSuchObject {
        name: name.to_owned(),
    };
    let folder = link.canonicalize().map_err(|_| gone())?;
    let kernel_name = sysfs::name_of(&folder).ok_or_else(gone)?;
    match node {
        Node::Block(..) => classify_block(name, &folder, &kernel_name, roots),
        Node::Character(..) => classify_character(name, &folder, &kernel_name, roots),
    }
}

fn classify_block(
    name: &str,
    folder: &Path,
    kernel_name: &str,
    roots: &Roots,
) -> Result<Found, OpenError> {
    if folder.join("partition").exists() {
        let disk = folder.parent().and_then(sysfs::name_of).unwrap_or_default();
        return Err(OpenError::Partition {
            name: name.to_owned(),
            disk: roots.node(&disk),
        });
    }
    if folder.join("dm").is_dir() {
        return classify_mapped(name, folder, kernel_name, roots);
    }
    if is_namespace(kernel_name) {
        return Ok(Found::Nvme {
            block: kernel_name.to_owned(),
        });
    }
    if folder.join("md").is_dir() {
        let below = below(folder, roots);
        return Err(not_a_disk(name, "an md array", below));
    }
    match scsi_device(&folder.join("device")) {
        Some(device) => scsi_disk(name, device),
        None => Err(no_reservations(name, words_of_block(kernel_name))),
    }
}

fn classify_character(
    name: &str,
    folder: &Path,
    kernel_name: &str,
    roots: &Roots,
) -> Result<Found, OpenError> {
    if let Some(device) = scsi_device(&folder.join("device")) {
        return scsi_disk(name, device);
    }
    if let Some(rest) = kernel_name.strip_prefix("ng") {
        let block = format!("nvme{rest}");
        if is_namespace(&block) {
            return Ok(Found::Nvme { block });
        }
    }
    if sysfs::link_name(&folder.join("subsystem")).as_deref() == Some("nvme") {
        let namespaces = sysfs::names(&roots.sys.join("class/block"))
            .into_iter()
            .filter(|block| is_namespace(block) && belongs_to(block, kernel_name))
            .map(|block| roots.node(&block))
            .collect();
        return Err(not_a_disk(name, "an NVMe controller", namespaces));
    }
    Err(not_a_disk(name, "a character device", Vec::new()))
}

/// `nvme0n1`: not a partition, not a hidden path (`nvme0c1n1`).
fn is_namespace(kernel_name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    kernel_name
        .strip_prefix("nvme")
        .and_then(|rest| rest.split_once('n'))
        .is_some_and(|(controller, namespace)| digits(controller) && digits(namespace))
}

fn belongs_to(namespace: &str, controller: &str) -> bool {
    namespace
        .strip_prefix(controller)
        .is_some_and(|rest| rest.starts_with('n'))
}

fn words_of_block(kernel_name: &str) -> String {
    let known = [
        ("vd", "a virtio disk"),
        ("xvd", "a Xen disk"),
        ("loop", "a loop device"),
        ("ram", "a RAM disk"),
        ("zram", "a compressed RAM disk"),
        ("nbd", "a network block device"),
        ("rbd", "a Ceph block device"),
        ("mmcblk", "a memory card"),
    ];
    let found = known.iter().find(|(prefix, _)| {
        kernel_name
            .strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty())
    });
    found.map_or_else(
        || "a block device that is neither SCSI nor NVMe".to_owned(),
        |(_, words)| (*words).to_owned(),
    )
}

/// The SCSI device that a link leads to.
fn scsi_device(link: &Path) -> Option<PathBuf> {
    let device = link.canonicalize().ok()?;
    let is_scsi = sysfs::link_name(&device.join("subsystem")).as_deref() == Some("scsi");
    (is_scsi && device.join("vendor").exists()).then_some(device)
}

/// PERIPHERAL DEVICE TYPE (SPC-4 6.6.2): disks only.
fn scsi_disk(name: &str, device: PathBuf) -> Result<Found, OpenError> {
    let peripheral = sysfs::number::<u8>(&device.join("type"));
    let other = match peripheral {
        Some(0x00 | 0x0e | 0x14) => return Ok(Found::Scsi(disk_at(device))),
        Some(0x01) => "a tape drive".to_owned(),
        Some(0x05) => "a CD or DVD drive".to_owned(),
        Some(0x08) => "a media changer".to_owned(),
        Some(0x0c) => "a storage array controller".to_owned(),
        Some(0x0d) => "an enclosure".to_owned(),
        Some(other) => format!("a SCSI device of type {other:#04x}"),
        None => "a SCSI device of unknown type".to_owned(),
    };
    Err(not_a_disk(name, other, Vec::new()))
}

/// A SCSI disk by the folder of its device.
pub(super) fn disk_at(device: PathBuf) -> ScsiDisk {
    ScsiDisk {
        block: sysfs::names(&device.join("block")).into_iter().next(),
        generic: sysfs::names(&device.join("scsi_generic"))
            .into_iter()
            .next(),
        device,
    }
}

/// The SCSI disk below a block device.
pub(super) fn disk_of_block(kernel_name: &str, roots: &Roots) -> Option<ScsiDisk> {
    let device = scsi_device(&roots.block(kernel_name).join("device"))?;
    match scsi_disk(kernel_name, device) {
        Ok(Found::Scsi(disk)) => Some(disk),
        Ok(Found::Multipath { .. } | Found::Nvme { .. }) | Err(_) => None,
    }
}

fn classify_mapped(
    name: &str,
    folder: &Path,
    kernel_name: &str,
    roots: &Roots,
) -> Result<Found, OpenError> {
    let uuid = sysfs::text(&folder.join("dm/uuid")).unwrap_or_default();
    let slaves = sysfs::names(&folder.join("slaves"));
    let paths: Vec<ScsiDisk> = slaves
        .iter()
        .filter_map(|slave| disk_of_block(slave, roots))
        .collect();
    let all_scsi = paths.len() == slaves.len();
    let is_map = uuid.starts_with("mpath-") || all_scsi && are_paths_to_one_lun(&paths);
    if is_map {
        let namespaces: Vec<String> = slaves
            .iter()
            .filter(|slave| is_namespace(slave))
            .cloned()
            .collect();
        return Ok(Found::Multipath {
            map: kernel_name.to_owned(),
            paths,
            namespaces,
        });
    }
    let below = below(folder, roots);
    // kpartx names a partition of a map so; the map is its only slave.
    if uuid.starts_with("part") && uuid.contains("-mpath-") {
        return Err(OpenError::Partition {
            name: name.to_owned(),
            disk: below.into_iter().next().unwrap_or_default(),
        });
    }
    let what = match uuid.split('-').next().unwrap_or_default() {
        "LVM" => "an LVM volume",
        "CRYPT" => "an encrypted volume",
        _ => "a device-mapper volume",
    };
    Err(not_a_disk(name, what, below))
}

/// A map made by hand has no uuid. No other target takes the same LUN twice.
fn are_paths_to_one_lun(paths: &[ScsiDisk]) -> bool {
    let wwid = |disk: &ScsiDisk| sysfs::text(&disk.device.join("wwid"));
    let Some(first) = paths.first().and_then(wwid) else {
        return false;
    };
    paths.len() > 1 && paths.iter().all(|disk| wwid(disk).as_ref() == Some(&first))
}

/// The nodes of the disks below a volume.
fn below(folder: &Path, roots: &Roots) -> Vec<String> {
    sysfs::names(&folder.join("slaves"))
        .iter()
        .map(|slave| {
            let whole = roots
                .block(slave)
                .canonicalize()
                .ok()
                .filter(|folder| folder.join("partition").exists())
                .and_then(|folder| sysfs::name_of(folder.parent()?));
            roots.node(whole.as_ref().unwrap_or(slave))
        })
        .collect()
}

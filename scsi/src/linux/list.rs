//! The disks of this host that can have reservations, from sysfs alone: unprivileged, opens nothing.

use super::resolve::{self, Found, Node};
use super::sysfs::{self, Roots};
use super::{identity, users};
use crate::disk::{Identity, Usage};

/// What a listed disk is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ListedKind {
    /// One path to a SCSI disk.
    Scsi,
    /// A multipath map.
    Multipath,
    /// An NVMe namespace.
    Nvme,
}

/// One disk of this host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its block node (`/dev/sdb`).
    pub node: String,
    /// Its generic node (`/dev/sg1`).
    pub generic: Option<String>,
    /// What it is.
    pub kind: ListedKind,
    /// The nodes of the paths of a map.
    pub paths: Vec<String>,
    /// What it is.
    pub identity: Identity,
    /// What on this host uses it.
    pub usages: Vec<Usage>,
}

/// Every disk, by the order of the kernel's names.
#[must_use]
pub fn list(roots: &Roots) -> Vec<Listed> {
    sysfs::names(&roots.sys.join("class/block"))
        .into_iter()
        .filter_map(|name| listed(&name, roots))
        .collect()
}

fn listed(name: &str, roots: &Roots) -> Option<Listed> {
    let number = sysfs::text(&roots.block(name).join("dev"))?;
    let (major, minor) = number.split_once(':')?;
    let device = Node::Block(major.parse().ok()?, minor.parse().ok()?);
    let node = roots.node(name);
    let found = resolve::classify(&node, device, roots).ok()?;
    Some(match found {
        Found::Scsi(disk) => Listed {
            node,
            generic: disk.generic.as_ref().map(|generic| roots.node(generic)),
            kind: ListedKind::Scsi,
            paths: Vec::new(),
            identity: identity::of_scsi(&disk, roots),
            usages: users::of_scsi(&disk, roots),
        },
        Found::Multipath {
            map,
            paths,
            namespaces,
        } => Listed {
            node,
            generic: None,
            kind: ListedKind::Multipath,
            paths: paths
                .iter()
                .filter_map(|path| path.block.as_ref())
                .chain(&namespaces)
                .map(|path| roots.node(path))
                .collect(),
            identity: identity::of_map(&map, &paths, &namespaces, roots),
            usages: users::of_map(&map, &paths, &namespaces, roots),
        },
        Found::Nvme { block } => Listed {
            node,
            generic: None,
            kind: ListedKind::Nvme,
            paths: Vec::new(),
            identity: identity::of_nvme(&block, roots),
            usages: users::of_nvme(&block, roots),
        },
    })
}

//! Opening the nodes of a disk, read-only and non-blocking, and choosing the way of the verbs.
//!
//! | the disk | with CAP_SYS_RAWIO | without |
//! |---|---|---|
//! | one SCSI path | SG_IO on its generic node, else on the block node | `IOC_PR_*` on the block node |
//! | a multipath map | SG_IO on each path by itself | `IOC_PR_*` on the map |
//! | a map over NVMe paths | passthrough on each path | `IOC_PR_*` on the map |
//! | an NVMe namespace | passthrough | passthrough: the kernel decides |
//!
//! SG_IO on a map is never used: the map would send it down one path.

use super::ioc_pr::{BlockNode, IocPr};
use super::nvme::{NamespaceNode, Nvme};
use super::privileges::Privileges;
use super::resolve::{self, Found, ScsiDisk};
use super::sg_io::SgIo;
use super::sysfs::Roots;
use super::{identity, users};
use crate::device::Device;
use crate::disk::paths::{open_within, over_device, over_verbs};
use crate::disk::{Disk, OpenError, Options, Path, Way};
use crate::reservations::{OverDevice, Reservations};
use nix::libc;
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;

/// Opens the disk that this name stands for.
///
/// # Errors
/// [`OpenError`].
pub fn open(name: &str, options: &Options<'_>, roots: &Roots) -> Result<Disk, OpenError> {
    let privileges = Privileges::of_this_process(roots);
    let host = Host {
        name,
        options,
        roots,
        privileges,
    };
    match resolve::resolve(name, roots)? {
        Found::Scsi(disk) => host.open_scsi(&disk),
        Found::Multipath {
            map,
            paths,
            namespaces,
        } => {
            let names = identity::lock_names_of_map(&map, &paths, &namespaces, roots);
            if paths.is_empty() {
                host.open_nvme_map(&map, &namespaces, names)
            } else {
                host.open_multipath(&map, &paths, names)
            }
        }
        Found::Nvme { block } => host.open_nvme(&block),
    }
}

/// What reads the state of a disk whose verbs are the kernel's, on kernels whose own calls cannot.
enum Reader {
    /// SG_IO, by the first of these nodes that opens.
    Scsi(Vec<String>),
    /// Passthrough on this namespace.
    Nvme(String),
    /// Nothing.
    None,
}

/// What every step of opening needs to know.
struct Host<'a> {
    name: &'a str,
    options: &'a Options<'a>,
    roots: &'a Roots,
    privileges: Privileges,
}

impl Host<'_> {
    fn open_scsi(&self, disk: &ScsiDisk) -> Result<Disk, OpenError> {
        let mut remarks = Vec::new();
        let path = if self.uses_the_kernels_calls(&mut remarks)? {
            let names = identity::lock_names_of_scsi(disk);
            let reader = self.scsi_reader(Some(disk));
            self.kernel_path(&self.block_node(disk)?, reader, names)?
        } else {
            self.sg_path(disk)?
        };
        Ok(Disk {
            name: self.name.to_owned(),
            identity: identity::of_scsi(disk, self.roots),
            paths: vec![path],
            usages: users::of_scsi(disk, self.roots),
            attached: Vec::new(),
            remarks,
        })
    }

    /// `IOC_PR_*` (else SG_IO): what was asked for, else what this process may use.
    fn uses_the_kernels_calls(&self, remarks: &mut Vec<String>) -> Result<bool, OpenError> {
        let by_kernel = match self.options.via {
            None => !self.privileges.sys_rawio,
            Some(Way::SgIo) => false,
            Some(Way::IocPr) => true,
            Some(other @ (Way::Nvme | Way::Emulated | Way::Iscsi)) => {
                return Err(self.no_way(other));
            }
        };
        if by_kernel && self.options.via.is_none() {
            remarks.push(
                "without CAP_SYS_RAWIO: persistent reservations by the kernel's calls only; no SPC-2 \
                 reservations, no resets, no attentions, no nexuses"
                    .to_owned(),
            );
        }
        if by_kernel {
            remarks.push("the kernel's calls always register with APTPL".to_owned());
        }
        Ok(by_kernel)
    }

    fn no_way(&self, way: Way) -> OpenError {
        OpenError::BadName {
            name: self.name.to_owned(),
            why: format!("it cannot be reached by {}", way.name()),
        }
    }

    /// SG_IO on one path. On the generic node a thread that waits can be killed.
    fn sg_path(&self, disk: &ScsiDisk) -> Result<Path, OpenError> {
        let nodes: Vec<String> = [&disk.generic, &disk.block]
            .into_iter()
            .flatten()
            .map(|node| self.roots.node(node))
            .collect();
        let shown = match &disk.block {
            Some(block) => self.roots.node(block),
            None => self.name.to_owned(),
        };
        let named = (
            identity::nexus_of_scsi(disk),
            identity::lock_names_of_scsi(disk),
        );
        let name = shown.clone();
        over_device(&shown, Way::SgIo, named, self.options, move || {
            let (file, node) = first_that_opens(&name, &nodes)?;
            Ok(Box::new(SgIo::new(file, node)) as Box<dyn Device>)
        })
    }

    fn block_node(&self, disk: &ScsiDisk) -> Result<String, OpenError> {
        let block = disk.block.as_ref().ok_or_else(|| OpenError::NotADisk {
            name: self.name.to_owned(),
            what: "a SCSI device without a block node (no disk driver is bound)".to_owned(),
            instead: Vec::new(),
        })?;
        Ok(self.roots.node(block))
    }

    /// SG_IO on this path, where this process may use it.
    fn scsi_reader(&self, path: Option<&ScsiDisk>) -> Reader {
        match path {
            Some(path) if self.privileges.sys_rawio => {
                let nodes = [&path.generic, &path.block].into_iter().flatten();
                Reader::Scsi(nodes.map(|node| self.roots.node(node)).collect())
            }
            Some(_) | None => Reader::None,
        }
    }

    /// `IOC_PR_*` on a block node; where the kernel cannot read by it, the path beside it does.
    fn kernel_path(
        &self,
        node: &str,
        reader: Reader,
        lock_names: Vec<String>,
    ) -> Result<Path, OpenError> {
        let has_sys_admin = self.privileges.sys_admin;
        let path = node.to_owned();
        let verbs = open_within(node, self.options, move || {
            let file = open_node(&path)?;
            let reader = match reader {
                Reader::Scsi(nodes) => {
                    let (file, node) = first_that_opens(&path, &nodes)?;
                    let device = OverDevice::new(SgIo::new(file, node));
                    Some(Box::new(device) as Box<dyn Reservations>)
                }
                Reader::Nvme(namespace) => {
                    let file = NamespaceNode::new(open_node(&namespace)?);
                    Some(Box::new(Nvme::new(file, namespace)) as Box<dyn Reservations>)
                }
                Reader::None => None,
            };
            let node = BlockNode::new(file, path.clone(), has_sys_admin);
            Ok(Box::new(IocPr::new(node, path, reader)) as Box<dyn Reservations>)
        })?;
        over_verbs(node, Way::IocPr, (None, lock_names), self.options, verbs)
    }

    /// Each path by itself where that is allowed, so that each can be registered and watched.
    fn open_multipath(
        &self,
        map: &str,
        paths: &[ScsiDisk],
        lock_names: Vec<String>,
    ) -> Result<Disk, OpenError> {
        let mut remarks = Vec::new();
        if self.uses_the_kernels_calls(&mut remarks)? {
            return self.open_map(map, paths, &[], lock_names);
        }
        let opened = each_that_opens(paths, |path| self.sg_path(path), &mut remarks)?;
        Ok(self.mapped(map, (paths, &[]), opened, remarks))
    }

    /// Each path by itself: any of them speaks for the host. The kernel's own calls on such a map unregister once a
    /// path, which a host can do only once.
    fn open_nvme_map(
        &self,
        map: &str,
        namespaces: &[String],
        lock_names: Vec<String>,
    ) -> Result<Disk, OpenError> {
        let path_by_path = match self.options.via {
            None => self.privileges.sys_admin,
            Some(Way::Nvme) => true,
            Some(Way::SgIo | Way::IocPr | Way::Emulated | Way::Iscsi) => false,
        };
        // A map may have lost all its paths.
        if !path_by_path || namespaces.is_empty() {
            return self.open_map(map, &[], namespaces, lock_names);
        }
        let mut remarks = Vec::new();
        let open = |namespace: &String| self.nvme_path(namespace);
        let opened = each_that_opens(namespaces, open, &mut remarks)?;
        Ok(self.mapped(map, (&[], namespaces), opened, remarks))
    }

    /// Passthrough on one namespace node.
    fn nvme_path(&self, block: &str) -> Result<Path, OpenError> {
        let node = self.roots.node(block);
        let opened = node.clone();
        let verbs = open_within(&node, self.options, move || {
            let file = NamespaceNode::new(open_node(&opened)?);
            Ok(Box::new(Nvme::new(file, opened)) as Box<dyn Reservations>)
        })?;
        let named = (
            identity::nexus_of_nvme(block, self.roots),
            identity::lock_names_of_nvme(block, self.roots),
        );
        over_verbs(&node, Way::Nvme, named, self.options, verbs)
    }

    /// The map as a whole: the kernel registers on every path, and sends the rest down one that works.
    fn open_map(
        &self,
        map: &str,
        paths: &[ScsiDisk],
        namespaces: &[String],
        lock_names: Vec<String>,
    ) -> Result<Disk, OpenError> {
        let node = self.roots.node(map);
        let mut remarks = Vec::new();
        match self.options.via {
            None | Some(Way::IocPr) => {}
            Some(other @ (Way::SgIo | Way::Nvme | Way::Emulated | Way::Iscsi)) => {
                return Err(self.no_way(other));
            }
        }
        remarks.push(
            "by the kernel's calls on the map: it registers on every path, always with APTPL"
                .to_owned(),
        );
        let reader = match namespaces.first() {
            Some(namespace) => Reader::Nvme(self.roots.node(namespace)),
            None => self.scsi_reader(paths.first()),
        };
        let path = self.kernel_path(&node, reader, lock_names)?;
        Ok(self.mapped(map, (paths, namespaces), vec![path], remarks))
    }

    fn mapped(
        &self,
        map: &str,
        (paths, namespaces): (&[ScsiDisk], &[String]),
        opened: Vec<Path>,
        remarks: Vec<String>,
    ) -> Disk {
        Disk {
            name: self.name.to_owned(),
            identity: identity::of_map(map, paths, namespaces, self.roots),
            paths: opened,
            usages: users::of_map(map, paths, namespaces, self.roots),
            attached: Vec::new(),
            remarks,
        }
    }

    fn open_nvme(&self, block: &str) -> Result<Disk, OpenError> {
        let node = self.roots.node(block);
        let lock_names = identity::lock_names_of_nvme(block, self.roots);
        let path = match self.options.via {
            None | Some(Way::Nvme) => self.nvme_path(block)?,
            Some(Way::IocPr) => {
                let opened = node.clone();
                let has_sys_admin = self.privileges.sys_admin;
                let verbs = open_within(&node, self.options, move || {
                    // Where the kernel cannot read by its calls, passthrough reads.
                    let reader = Nvme::new(NamespaceNode::new(open_node(&opened)?), opened.clone());
                    let file = open_node(&opened)?;
                    let node = BlockNode::new(file, opened.clone(), has_sys_admin);
                    let verbs = IocPr::new(node, opened, Some(Box::new(reader)));
                    Ok(Box::new(verbs) as Box<dyn Reservations>)
                })?;
                over_verbs(&node, Way::IocPr, (None, lock_names), self.options, verbs)?
            }
            Some(other @ (Way::SgIo | Way::Emulated | Way::Iscsi)) => {
                return Err(self.no_way(other));
            }
        };
        Ok(Disk {
            name: self.name.to_owned(),
            identity: identity::of_nvme(block, self.roots),
            paths: vec![path],
            usages: users::of_nvme(block, self.roots),
            attached: Vec::new(),
            remarks: Vec::new(),
        })
    }
}

/// All paths of a map that can be opened, with a remark for each that cannot; an error when none can.
fn each_that_opens<P>(
    paths: &[P],
    open: impl Fn(&P) -> Result<Path, OpenError>,
    remarks: &mut Vec<String>,
) -> Result<Vec<Path>, OpenError> {
    let mut opened = Vec::new();
    let mut last = None;
    for path in paths {
        match open(path) {
            Ok(path) => opened.push(path),
            Err(error) => {
                remarks.push(format!("a path was left out: {error}"));
                last = Some(error);
            }
        }
    }
    match last {
        Some(error) if opened.is_empty() => Err(error),
        Some(_) | None => Ok(opened),
    }
}

/// The first node that opens; the error of the last.
fn first_that_opens(name: &str, nodes: &[String]) -> Result<(File, String), OpenError> {
    let mut last = OpenError::NoSuchObject {
        name: name.to_owned(),
    };
    for node in nodes {
        match open_node(node) {
            Ok(file) => return Ok((file, node.clone())),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Read-only: closing a block node that was open for writing makes udev look at the disk. Non-blocking:
/// else opening waits for the end of an error recovery.
fn open_node(node: &str) -> Result<File, OpenError> {
    File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(node)
        .map_err(|error| open_error(node, &error))
}

fn open_error(node: &str, error: &io::Error) -> OpenError {
    match error.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => OpenError::NotPermitted {
            name: node.to_owned(),
            privilege: format!("read access to {node} (root, or the group of the node)"),
        },
        Some(libc::ENOENT | libc::ENXIO | libc::ENODEV) => OpenError::NoSuchObject {
            name: node.to_owned(),
        },
        Some(_) | None => OpenError::CannotOpen {
            name: node.to_owned(),
            why: error.to_string(),
        },
    }
}

//! What sysfs and procfs tell of this host's disks. Absent attributes are absent in the result.

use super::{Access, Entry};
use nix::unistd::AccessFlags;
use scsi::disk::{Address, Identity};
use std::io;
use std::path::{Path, PathBuf};

/// The most of one attribute that is read: sysfs attributes are at most a page.
const ATTRIBUTE_BYTES_MAX: usize = 4096;

/// How deep holders of holders are followed: LVM on md on multipath on a partition is four.
const HOLDER_DEPTH_MAX: u32 = 8;

/// Where a host shows its devices.
pub(super) struct Host {
    sys: PathBuf,
    proc: PathBuf,
    dev: PathBuf,
}

impl Host {
    /// This host.
    pub(super) fn real() -> Self {
        Self {
            sys: PathBuf::from("/sys"),
            proc: PathBuf::from("/proc"),
            dev: PathBuf::from("/dev"),
        }
    }

    /// Its disks, by name.
    pub(super) fn disks(&self) -> io::Result<Vec<Entry>> {
        let mut names = names_in(&self.sys.join("block"))?;
        names.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
        Ok(names.iter().filter_map(|name| self.disk(name)).collect())
    }

    /// The disk of this name, if it can have reservations.
    fn disk(&self, name: &str) -> Option<Entry> {
        let block = self.sys.join("block").join(name);
        let (kind, mut identity) = if name.starts_with("sd") {
            ("scsi", scsi_identity(&block))
        } else if name.starts_with("nvme") {
            ("nvme", nvme_identity(&block))
        } else if attribute(&block, "dm/uuid")?.starts_with("mpath-") {
            ("multipath", self.map_identity(&block))
        } else {
            return None;
        };
        let bytes =
            attribute(&block, "queue/logical_block_size").and_then(|text| text.parse().ok());
        let sectors: Option<u64> = attribute(&block, "size").and_then(|text| text.parse().ok());
        identity.block_bytes = bytes;
        // `size` counts 512 bytes whatever the block is.
        identity.block_count = sectors
            .zip(bytes)
            .and_then(|(sectors, bytes)| sectors.checked_mul(512)?.checked_div(u64::from(bytes)));
        let generic = names_in(&block.join("device/scsi_generic")).unwrap_or_default();
        let entry = self.entry(name, kind, identity, generic.first(), &block);
        Some(with_map_name(entry, &block))
    }

    fn entry(
        &self,
        name: &str,
        kind: &'static str,
        identity: Identity,
        generic: Option<&String>,
        block: &Path,
    ) -> Entry {
        let node = self.dev.join(name);
        let may = |flag| nix::unistd::access(&node, flag).is_ok();
        let access = match (may(AccessFlags::R_OK), may(AccessFlags::W_OK)) {
            (true, true) => Access::Write,
            (true, false) => Access::Read,
            (false, _) => Access::None,
        };
        let paths = names_in(&block.join("slaves")).unwrap_or_default();
        Entry {
            name: format!("/dev/{name}"),
            generic: generic.map(|generic| format!("/dev/{generic}")),
            identity,
            kind,
            paths: paths.iter().map(|path| format!("/dev/{path}")).collect(),
            uses: self.uses(block, name),
            access,
        }
    }

    /// What uses this block device, its partitions, and what stands on them.
    fn uses(&self, block: &Path, name: &str) -> Vec<String> {
        let mut uses = Vec::new();
        self.collect_uses(block, name, 0, &mut uses);
        uses.sort();
        uses.dedup();
        uses
    }

    fn collect_uses(&self, block: &Path, name: &str, depth: u32, uses: &mut Vec<String>) {
        if let Some(number) = attribute(block, "dev") {
            uses.extend(self.mounts_of(&number, name));
        }
        uses.extend(self.swap_of(name));
        if depth == HOLDER_DEPTH_MAX {
            return;
        }
        for holder in names_in(&block.join("holders")).unwrap_or_default() {
            let above = self.sys.join("block").join(&holder);
            let what = attribute(&above, "dm/uuid").unwrap_or_else(|| holder.clone());
            let kind = what.split('-').next().unwrap_or(&what).to_owned();
            uses.push(format!("/dev/{name} is held by /dev/{holder} ({kind})"));
            self.collect_uses(&above, &holder, depth + 1, uses);
        }
        let partitions = names_in(block).unwrap_or_default();
        for partition in partitions.iter().filter(|part| part.starts_with(name)) {
            self.collect_uses(&block.join(partition), partition, depth + 1, uses);
        }
    }

    /// Mounts of the device with this number (`8:17`), from mountinfo (proc(5): field 3 is the number,
    /// field 5 the place; the type follows the separator).
    fn mounts_of(&self, number: &str, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.proc.join("self/mountinfo")).unwrap_or_default();
        text.lines()
            .filter_map(|line| {
                let (fields, rest) = line.split_once(" - ")?;
                let fields: Vec<&str> = fields.split(' ').collect();
                let file_system = rest.split(' ').next()?;
                (fields.get(2) == Some(&number)).then(|| {
                    let place = fields.get(4).copied().unwrap_or("?");
                    format!("/dev/{name} is mounted on {place} ({file_system})")
                })
            })
            .collect()
    }

    fn swap_of(&self, name: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.proc.join("swaps")).unwrap_or_default();
        let node = format!("/dev/{name}");
        text.lines()
            .any(|line| line.split_whitespace().next() == Some(&node))
            .then(|| format!("{node} is swapped to"))
    }

    /// A map is what its first path is.
    fn map_identity(&self, block: &Path) -> Identity {
        let paths = names_in(&block.join("slaves")).unwrap_or_default();
        let first = paths.first().map(|path| self.sys.join("block").join(path));
        Identity {
            address: None,
            transport: Some("multipath".to_owned()),
            ..first.map_or_else(Identity::default, |path| scsi_identity(&path))
        }
    }
}

/// `/dev/mapper/NAME` is what people call a map.
fn with_map_name(mut entry: Entry, block: &Path) -> Entry {
    if let Some(name) = attribute(block, "dm/name") {
        entry.name = format!("/dev/mapper/{name}");
    }
    entry
}

fn scsi_identity(block: &Path) -> Identity {
    let device = block.join("device");
    let real = std::fs::canonicalize(&device).unwrap_or_default();
    let address = real
        .file_name()
        .and_then(|name| Address::parse(&name.to_string_lossy()));
    Identity {
        vendor: attribute(&device, "vendor"),
        model: attribute(&device, "model"),
        revision: attribute(&device, "rev"),
        serial: serial_of_page_80(&device),
        wwid: attribute(&device, "wwid"),
        transport: transport_of(&real.to_string_lossy()),
        address,
        block_count: None,
        block_bytes: None,
    }
}

fn nvme_identity(block: &Path) -> Identity {
    let device = block.join("device");
    Identity {
        vendor: None,
        model: attribute(&device, "model"),
        revision: attribute(&device, "firmware_rev"),
        serial: attribute(&device, "serial"),
        wwid: attribute(block, "wwid"),
        transport: attribute(&device, "transport"),
        address: None,
        block_count: None,
        block_bytes: None,
    }
}

/// The unit serial number: VPD page 80h from byte 4 on, as long as byte 3 says and the file has.
fn serial_of_page_80(device: &Path) -> Option<String> {
    let page = std::fs::read(device.join("vpd_pg80")).ok()?;
    let length = usize::from(*page.get(3)?);
    let bytes = page.get(4..)?;
    let text = String::from_utf8_lossy(&bytes[..length.min(bytes.len())]).into_owned();
    let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
    (!text.is_empty()).then(|| text.to_owned())
}

/// How a SCSI device is attached, by the names of what stands above it in sysfs.
fn transport_of(path: &str) -> Option<String> {
    const SIGNS: [(&str, &str); 7] = [
        ("/session", "iscsi"),
        ("/rport-", "fc"),
        ("/end_device-", "sas"),
        ("/tcm_loop", "loop"),
        ("/ata", "ata"),
        ("/usb", "usb"),
        ("/virtio", "virtio"),
    ];
    SIGNS
        .iter()
        .find(|(sign, _)| path.contains(sign))
        .map(|(_, transport)| (*transport).to_owned())
}

/// One attribute, trimmed; `None` where it is absent or empty.
fn attribute(directory: &Path, name: &str) -> Option<String> {
    let bytes = std::fs::read(directory.join(name)).ok()?;
    let bytes = &bytes[..bytes.len().min(ATTRIBUTE_BYTES_MAX)];
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
    (!text.is_empty()).then(|| text.to_owned())
}

fn names_in(directory: &Path) -> io::Result<Vec<String>> {
    let mut names: Vec<String> = std::fs::read_dir(directory)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A host of files: what sysfs and procfs show of two SCSI disks, one of them mounted by a partition
    /// and below a map, and of a disk that is none of ours.
    fn host(name: &str) -> Host {
        let root = std::env::temp_dir().join(format!("qctl-sysfs-{}-{name}", std::process::id()));
        drop(std::fs::remove_dir_all(&root));
        let write = |path: &str, bytes: &[u8]| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        for (disk, address, number) in [("sda", "2:0:1:0", "8:0"), ("sdb", "2:0:1:1", "8:16")] {
            let device = format!("sys/devices/tcm_loop_adapter_0/{address}");
            let block = format!("{device}/block/{disk}");
            write(&format!("{device}/vendor"), b"LIO-ORG \n");
            write(&format!("{device}/model"), b"quorum          \n");
            write(
                &format!("{device}/wwid"),
                format!("naa.600140{disk}\n").as_bytes(),
            );
            write(&format!("{device}/vpd_pg80"), b"\x00\x80\x00\x04abcd");
            write(
                &format!("{device}/scsi_generic/sg{}/dev", &number[2..]),
                b"21:0\n",
            );
            write(&format!("{block}/size"), b"131072\n");
            write(&format!("{block}/dev"), number.as_bytes());
            write(&format!("{block}/queue/logical_block_size"), b"512\n");
            std::fs::create_dir_all(root.join("sys/block")).unwrap();
            symlink(root.join(&block), root.join(format!("sys/block/{disk}"))).unwrap();
            symlink(root.join(&device), root.join(format!("{block}/device"))).unwrap();
        }
        write("sys/block/sda/sda1/dev", b"8:1\n");
        write("sys/block/sdb/holders/dm-0/x", b"");
        write("sys/block/dm-0/dm/uuid", b"mpath-36001\n");
        write("sys/block/dm-0/dm/name", b"quorum\n");
        write("sys/block/dm-0/dev", b"254:0\n");
        write("sys/block/dm-0/slaves/sdb/x", b"");
        write("sys/block/loop0/size", b"8\n");
        write(
            "proc/self/mountinfo",
            b"36 35 8:1 / /srv/data rw,noatime shared:1 - ext4 /dev/sda1 rw\n\
              37 35 254:0 / /mnt rw - xfs /dev/mapper/quorum rw\n",
        );
        write("proc/swaps", b"Filename Type Size Used Priority\n");
        Host {
            sys: root.join("sys"),
            proc: root.join("proc"),
            dev: root.join("dev"),
        }
    }

    fn gone(host: &Host) {
        std::fs::remove_dir_all(host.sys.parent().unwrap()).unwrap();
    }

    #[test]
    fn disks_that_can_have_reservations_are_listed() {
        let host = host("list");
        let disks = host.disks().unwrap();
        let names: Vec<&str> = disks.iter().map(|disk| disk.name.as_str()).collect();
        assert_eq!(names, ["/dev/sda", "/dev/sdb", "/dev/mapper/quorum"]);
        let sda = &disks[0];
        assert_eq!(sda.generic.as_deref(), Some("/dev/sg0"));
        assert_eq!(sda.identity.vendor.as_deref(), Some("LIO-ORG"));
        assert_eq!(sda.identity.serial.as_deref(), Some("abcd"));
        assert_eq!(sda.identity.wwid.as_deref(), Some("naa.600140sda"));
        assert_eq!(sda.identity.transport.as_deref(), Some("loop"));
        assert_eq!(sda.identity.address.unwrap().to_string(), "2:0:1:0");
        assert_eq!(sda.identity.size_bytes(), Some(64 << 20));
        assert_eq!(sda.access, Access::None);
        assert_eq!(disks[2].paths, ["/dev/sdb"]);
        gone(&host);
    }

    #[test]
    fn a_disk_is_in_use_by_its_partitions_and_by_what_stands_on_it() {
        let host = host("uses");
        let disks = host.disks().unwrap();
        assert_eq!(disks[0].uses, ["/dev/sda1 is mounted on /srv/data (ext4)"]);
        assert_eq!(
            disks[1].uses,
            [
                "/dev/dm-0 is mounted on /mnt (xfs)",
                "/dev/sdb is held by /dev/dm-0 (mpath)"
            ]
        );
        gone(&host);
    }
}

//! Names to disks, and their users, on made-up trees of sysfs and procfs.

use super::resolve::{Found, Node, classify, disk_of_block, resolve};
use super::*;
use crate::disk::{Address, Disk, Identity, OpenError, Options, Usage, UsageKind};
use crate::reservation::NexusId;
use crate::wire::transport_id::TransportId;
use crate::wire::vpd::{
    Association, Designator, DesignatorValue, DeviceIdentification, UnitSerial,
};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A made-up host below a folder of its own, removed when the test ends.
struct Tree {
    root: PathBuf,
}

impl Drop for Tree {
    fn drop(&mut self) {
        // What cannot be removed is in a temporary folder.
        drop(fs::remove_dir_all(&self.root));
    }
}

impl Tree {
    fn new(test: &str) -> Self {
        let root = std::env::temp_dir().join(format!("sysfs-{test}-{}", std::process::id()));
        drop(fs::remove_dir_all(&root));
        let tree = Self { root };
        for folder in [
            "sys/class/block",
            "sys/dev/block",
            "sys/dev/char",
            "sys/bus",
            "proc/self",
        ] {
            fs::create_dir_all(tree.root.join(folder)).unwrap();
        }
        for subsystem in ["scsi", "nvme"] {
            fs::create_dir_all(tree.root.join("sys/bus").join(subsystem)).unwrap();
        }
        tree.file("proc/self/mountinfo", "");
        tree.file("proc/swaps", "Filename Type Size Used Priority\n");
        tree
    }

    fn roots(&self) -> Roots {
        Roots {
            sys: self.root.join("sys"),
            proc: self.root.join("proc"),
            dev: "/dev".into(),
        }
    }

    fn file(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn link(&self, from: &str, to: &Path) {
        let from = self.root.join(from);
        fs::create_dir_all(from.parent().unwrap()).unwrap();
        symlink(to, from).unwrap();
    }

    /// A block device in this folder of `sys/devices`.
    fn block(&self, folder: &str, name: &str, number: &str) -> PathBuf {
        let path = format!("sys/devices/{folder}/{name}");
        self.file(&format!("{path}/dev"), number);
        self.file(&format!("{path}/size"), "131072\n");
        self.file(&format!("{path}/queue/logical_block_size"), "512\n");
        fs::create_dir_all(self.root.join(&path).join("holders")).unwrap();
        fs::create_dir_all(self.root.join(&path).join("slaves")).unwrap();
        let full = self.root.join(&path);
        self.link(&format!("sys/class/block/{name}"), &full);
        self.link(&format!("sys/dev/block/{number}"), &full);
        full
    }

    /// A SCSI disk `sdX` at `H:C:T:L` in this folder, with the WWID.
    fn scsi(&self, above: &str, address: &str, name: &str, number: &str, wwid: &str) -> PathBuf {
        let device = format!("{above}/{address}");
        let folder = format!("sys/devices/{device}");
        self.file(&format!("{folder}/vendor"), "LIO-ORG \n");
        self.file(&format!("{folder}/model"), "d0              \n");
        self.file(&format!("{folder}/rev"), "4.0 \n");
        self.file(&format!("{folder}/type"), "0\n");
        self.file(&format!("{folder}/wwid"), format!("{wwid}\n"));
        self.link(
            &format!("{folder}/subsystem"),
            &self.root.join("sys/bus/scsi"),
        );
        let block = self.block(&format!("{device}/block"), name, number);
        symlink(self.root.join(&folder), block.join("device")).unwrap();
        self.root.join(folder)
    }

    fn partition(&self, disk: &Path, name: &str, number: &str) {
        let folder = disk.join(name);
        fs::create_dir_all(folder.join("holders")).unwrap();
        fs::write(folder.join("partition"), "1\n").unwrap();
        fs::write(folder.join("dev"), number).unwrap();
        self.link(&format!("sys/class/block/{name}"), &folder);
        self.link(&format!("sys/dev/block/{number}"), &folder);
    }

    /// A mapped device over these block devices.
    fn mapped(
        &self,
        name: &str,
        number: &str,
        uuid: &str,
        title: &str,
        slaves: &[&str],
    ) -> PathBuf {
        let folder = self.block("virtual/block", name, number);
        fs::create_dir_all(folder.join("dm")).unwrap();
        fs::write(folder.join("dm/uuid"), uuid).unwrap();
        fs::write(folder.join("dm/name"), title).unwrap();
        for slave in slaves {
            let below = self
                .root
                .join("sys/class/block")
                .join(slave)
                .canonicalize()
                .unwrap();
            symlink(&below, folder.join("slaves").join(slave)).unwrap();
            symlink(&folder, below.join("holders").join(name)).unwrap();
        }
        folder
    }

    fn classify(&self, number: (u64, u64)) -> Result<Found, OpenError> {
        classify("NAME", Node::Block(number.0, number.1), &self.roots())
    }

    fn refusal(&self, number: (u64, u64)) -> String {
        self.classify(number).unwrap_err().to_string()
    }

    /// The users of the disk with this block node.
    fn usages(&self, block: &str) -> Vec<String> {
        let roots = self.roots();
        let disk = disk_of_block(block, &roots).unwrap();
        texts(&users::of_scsi(&disk, &roots))
    }
}

fn texts(usages: &[Usage]) -> Vec<String> {
    usages.iter().map(ToString::to_string).collect()
}

const TCM: &str = "pci0/tcm_loop_0/tcm_loop_adapter_0/host2/target2:0:1";

// What a node is.

#[test]
fn a_scsi_disk_is_found_with_its_generic_node_and_its_identity() {
    let tree = Tree::new("scsi");
    let device = tree.scsi(TCM, "2:0:1:0", "sdb", "8:16", "naa.600140500000001");
    fs::create_dir_all(device.join("scsi_generic/sg1")).unwrap();
    let serial = UnitSerial {
        serial: "LAB0001".to_owned(),
    };
    fs::write(device.join("vpd_pg80"), serial.emit()).unwrap();
    let Found::Scsi(disk) = tree.classify((8, 16)).unwrap() else {
        panic!("it is one path to a SCSI disk");
    };
    assert_eq!(disk.block.as_deref(), Some("sdb"));
    assert_eq!(disk.generic.as_deref(), Some("sg1"));
    let identity = identity::of_scsi(&disk, &tree.roots());
    assert_eq!(identity.vendor.as_deref(), Some("LIO-ORG"));
    assert_eq!(identity.model.as_deref(), Some("d0"));
    assert_eq!(identity.serial.as_deref(), Some("LAB0001"));
    assert_eq!(identity.wwid.as_deref(), Some("naa.600140500000001"));
    assert_eq!(identity.transport.as_deref(), Some("loop"));
    assert_eq!(identity.address, Address::parse("2:0:1:0"));
    assert_eq!(identity.size_bytes(), Some(64 << 20));
}

#[test]
fn a_generic_node_is_its_scsi_disk() {
    let tree = Tree::new("generic");
    let device = tree.scsi(TCM, "2:0:1:0", "sdb", "8:16", "naa.1");
    let generic = device.join("scsi_generic/sg1");
    fs::create_dir_all(&generic).unwrap();
    symlink(&device, generic.join("device")).unwrap();
    tree.link("sys/dev/char/21:1", &generic);
    let found = classify("NAME", Node::Character(21, 1), &tree.roots()).unwrap();
    assert!(matches!(found, Found::Scsi(disk) if disk.block.as_deref() == Some("sdb")));
}

#[test]
fn a_partition_is_refused_and_its_disk_is_named() {
    let tree = Tree::new("partition");
    let device = tree.scsi(TCM, "2:0:1:0", "sdb", "8:16", "naa.1");
    tree.partition(&device.join("block/sdb"), "sdb1", "8:17");
    let error = tree.classify((8, 17)).unwrap_err();
    assert_eq!(error.next_step(), "name the disk: /dev/sdb");
    assert!(matches!(error, OpenError::Partition { .. }));
}

#[test]
fn what_is_not_a_disk_says_what_it_is() {
    let tree = Tree::new("others");
    let cd = tree.scsi(TCM, "2:0:2:0", "sr0", "11:0", "");
    fs::write(cd.join("type"), "5\n").unwrap();
    tree.block("virtual/block", "loop0", "7:0");
    tree.block("pci0/virtio1/block", "vda", "254:0");
    let md = tree.block("virtual/block", "md0", "9:0");
    fs::create_dir_all(md.join("md")).unwrap();
    symlink("/nowhere", md.join("slaves/sdb")).unwrap();
    assert_eq!(
        tree.refusal((11, 0)),
        "NAME is a CD or DVD drive, not a disk"
    );
    assert_eq!(
        tree.refusal((7, 0)),
        "NAME is a loop device: it has no reservations"
    );
    assert_eq!(
        tree.refusal((254, 0)),
        "NAME is a virtio disk: it has no reservations"
    );
    assert_eq!(tree.refusal((9, 0)), "NAME is an md array, not a disk");
    assert_eq!(
        tree.classify((9, 0)).unwrap_err().next_step(),
        "name the disk: /dev/sdb"
    );
}

#[test]
fn a_node_whose_device_has_gone_is_not_there() {
    let tree = Tree::new("gone");
    assert!(matches!(
        tree.classify((8, 99)),
        Err(OpenError::NoSuchObject { .. })
    ));
}

#[test]
fn names_that_are_no_nodes_are_told_apart() {
    let roots = Roots::default();
    assert!(matches!(
        resolve("/dev/there-is-no-such-disk", &roots),
        Err(OpenError::NoSuchObject { .. })
    ));
    let error = resolve("/etc/passwd", &roots).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("is a file (for an emulated disk say emu:FILE)")
    );
    let error = resolve("/dev/null", &roots).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/dev/null is a character device, not a disk"
    );
    assert!(
        resolve("/dev", &roots)
            .unwrap_err()
            .to_string()
            .contains("a folder")
    );
}

#[test]
fn a_disk_that_is_not_there_is_not_opened_whatever_the_way() {
    let error = crate::disk::open("/dev/there-is-no-such-disk", &Options::default()).unwrap_err();
    assert!(matches!(error, OpenError::NoSuchObject { .. }));
}

// Multipath.

fn two_paths(tree: &Tree) {
    tree.scsi(TCM, "2:0:1:0", "sdb", "8:16", "naa.1");
    tree.scsi(TCM, "3:0:1:0", "sdc", "8:32", "naa.1");
}

#[test]
fn a_multipath_map_is_known_by_its_uuid_and_names_its_paths() {
    let tree = Tree::new("multipath");
    two_paths(&tree);
    tree.mapped("dm-0", "253:0", "mpath-3600", "quorum", &["sdb", "sdc"]);
    let Found::Multipath { map, paths, .. } = tree.classify((253, 0)).unwrap() else {
        panic!("it is a map");
    };
    assert_eq!(map, "dm-0");
    assert_eq!(paths.len(), 2);
    let identity = identity::of_map(&map, &paths, &[], &tree.roots());
    assert_eq!(identity.wwid.as_deref(), Some("naa.1"));
    assert_eq!(identity.address, None);
}

#[test]
fn a_map_made_by_hand_is_known_by_its_paths_to_one_lun() {
    let tree = Tree::new("handmade");
    two_paths(&tree);
    tree.mapped("dm-0", "253:0", "", "mp", &["sdb", "sdc"]);
    assert!(matches!(
        tree.classify((253, 0)),
        Ok(Found::Multipath { .. })
    ));
}

#[test]
fn other_mapped_devices_are_refused_and_the_disks_below_are_named() {
    let tree = Tree::new("volumes");
    let sdb = tree.scsi(TCM, "2:0:1:0", "sdb", "8:16", "naa.1");
    tree.scsi(TCM, "2:0:2:0", "sdc", "8:32", "naa.2");
    tree.partition(&sdb.join("block/sdb"), "sdb1", "8:17");
    tree.mapped("dm-0", "253:0", "LVM-abc", "vg-lv", &["sdb1"]);
    tree.mapped("dm-1", "253:1", "", "both", &["sdb", "sdc"]);
    assert_eq!(tree.refusal((253, 0)), "NAME is an LVM volume, not a disk");
    assert_eq!(
        tree.classify((253, 0)).unwrap_err().next_step(),
        "name the disk: /dev/sdb"
    );
    assert_eq!(
        tree.refusal((253, 1)),
        "NAME is a device-mapper volume, not a disk"
    );
}

#[test]
fn a_partition_of_a_map_names_the_map() {
    let tree = Tree::new("kpartx");
    two_paths(&tree);
    tree.mapped("dm-0", "253:0", "mpath-3600", "quorum", &["sdb", "sdc"]);
    tree.mapped("dm-1", "253:1", "part1-mpath-3600", "quorum1", &["dm-0"]);
    let error = tree.classify((253, 1)).unwrap_err();
    assert_eq!(error.next_step(), "name the disk: /dev/dm-0");
}

// NVMe.

#[test]
fn an_nvme_namespace_is_found_and_its_controller_is_refused_with_the_namespaces() {
    let tree = Tree::new("nvme");
    let controller = tree.root.join("sys/devices/nvme-fabrics/ctl/nvme0");
    tree.file("sys/devices/nvme-fabrics/ctl/nvme0/model", "Linux\n");
    tree.file("sys/devices/nvme-fabrics/ctl/nvme0/serial", "cafe\n");
    tree.file("sys/devices/nvme-fabrics/ctl/nvme0/transport", "loop\n");
    let host = "00000001-0000-4000-8000-000000000001";
    tree.file("sys/devices/nvme-fabrics/ctl/nvme0/hostid", host);
    symlink(tree.root.join("sys/bus/nvme"), controller.join("subsystem")).unwrap();
    let namespace = tree.block("nvme-fabrics/ctl/nvme0", "nvme0n1", "259:0");
    fs::write(namespace.join("wwid"), "uuid.1234\n").unwrap();
    symlink(&controller, namespace.join("device")).unwrap();
    tree.block("nvme-fabrics/ctl/nvme0", "nvme0c1n1", "259:9");
    tree.link("sys/dev/char/240:0", &controller);

    assert!(matches!(tree.classify((259, 0)), Ok(Found::Nvme { .. })));
    let identity = identity::of_nvme("nvme0n1", &tree.roots());
    assert_eq!(identity.transport.as_deref(), Some("nvme-loop"));
    assert_eq!(identity.wwid.as_deref(), Some("uuid.1234"));
    let nexus = identity::nexus_of_nvme("nvme0n1", &tree.roots()).unwrap();
    assert_eq!(nexus.to_string(), "host:00000001000040008000000000000001");

    let error = classify("NAME", Node::Character(240, 0), &tree.roots()).unwrap_err();
    assert_eq!(error.to_string(), "NAME is an NVMe controller, not a disk");
    assert_eq!(error.next_step(), "name the disk: /dev/nvme0n1");
}

// Nexuses.

#[test]
fn this_hosts_end_of_an_iscsi_nexus_is_name_and_isid() {
    let tree = Tree::new("iscsi");
    let session = "platform/host4/session7";
    tree.scsi(
        &format!("{session}/target4:0:0"),
        "4:0:0:1",
        "sdb",
        "8:16",
        "naa.1",
    );
    let class = format!("sys/devices/{session}/iscsi_session/session7");
    tree.file(&format!("{class}/initiatorname"), "iqn.2026-01.lab:n1\n");
    tree.file(&format!("{class}/isid"), "00023d000001\n");
    let disk = disk_of_block("sdb", &tree.roots()).unwrap();
    assert_eq!(
        identity::nexus_of_scsi(&disk),
        Some(NexusId::Scsi {
            initiator: TransportId::Iscsi {
                name: "iqn.2026-01.lab:n1".to_owned(),
                isid: Some([0, 2, 0x3d, 0, 0, 1]),
            },
            relative_target_port: None,
        })
    );
    assert_eq!(
        identity::of_scsi(&disk, &tree.roots()).transport.as_deref(),
        Some("iscsi")
    );
}

#[test]
fn where_the_kernel_does_not_tell_the_nexus_is_unknown() {
    let tree = Tree::new("unknown");
    tree.scsi(TCM, "2:0:1:0", "sdb", "8:16", "naa.1");
    let disk = disk_of_block("sdb", &tree.roots()).unwrap();
    assert_eq!(identity::nexus_of_scsi(&disk), None);
}

// Users.

#[test]
fn an_unused_disk_has_no_users() {
    let tree = Tree::new("unused");
    tree.scsi(TCM, "2:0:1:0", "sdb", "8:16", "naa.1");
    assert_eq!(tree.usages("sdb"), Vec::<String>::new());
}

#[test]
fn a_partition_is_in_use_for_itself_and_for_its_whole_disk_only() {
    let tree = Tree::new("places");
    let device = tree.scsi(TCM, "2:0:1:0", "sdb", "8:16", "naa.1");
    tree.partition(&device.join("block/sdb"), "sdb1", "8:17");
    let second = device.join("block/sdb");
    tree.partition(&second, "sdb2", "8:18");
    fs::write(second.join("sdb2/partition"), "2\n").unwrap();
    tree.file(
        "proc/self/mountinfo",
        "22 1 8:17 / /data rw - ext4 /dev/sdb1 rw\n",
    );
    let roots = tree.roots();
    assert_eq!(
        users::disk_of_partition("sdb2", &roots).as_deref(),
        Some("sdb")
    );
    assert_eq!(users::disk_of_partition("sdb", &roots), None);
    let uses = |name: &str, disk| -> Vec<String> {
        let uses = users::of_block(name, disk, &roots);
        uses.iter().map(ToString::to_string).collect()
    };
    let mounted = "/dev/sdb1 is mounted on /data (ext4)";
    assert_eq!(uses("sdb1", Some("sdb")), [mounted]);
    assert_eq!(uses("sdb2", Some("sdb")), [""; 0]);
    assert_eq!(uses("sdb", None), [mounted]);
    tree.mapped("dm-0", "253:0", "LVM-1", "vg-lv", &["sdb"]);
    assert_eq!(uses("sdb2", Some("sdb")).len(), 1, "the whole disk is held");
}

#[test]
fn a_mounted_partition_swap_and_root_are_users() {
    let tree = Tree::new("mounted");
    let device = tree.scsi(TCM, "2:0:1:0", "sdb", "8:16", "naa.1");
    for (name, number) in [("sdb1", "8:17"), ("sdb2", "8:18"), ("sdb3", "8:19")] {
        tree.partition(&device.join("block/sdb"), name, number);
    }
    tree.file(
        "proc/self/mountinfo",
        "22 1 8:17 / / rw - ext4 /dev/root rw\n23 1 0:40 / /data rw - btrfs /dev/sdb2 rw\n",
    );
    tree.file(
        "proc/swaps",
        "Filename Type Size Used Priority\n/dev/sdb3 partition 1 0 -2\n",
    );
    assert_eq!(
        tree.usages("sdb"),
        [
            "/dev/sdb1 is mounted on / (ext4)",
            "/dev/sdb1 carries this host's root file system",
            "/dev/sdb2 is mounted on /data (btrfs)",
            "/dev/sdb3 is swapped to",
        ]
    );
}

#[test]
fn a_use_by_another_path_to_the_same_lun_counts() {
    let tree = Tree::new("other-path");
    two_paths(&tree);
    tree.file(
        "proc/self/mountinfo",
        "22 1 8:32 / /q rw - ext4 /dev/sdc rw\n",
    );
    assert_eq!(tree.usages("sdb"), ["/dev/sdc is mounted on /q (ext4)"]);
}

#[test]
fn a_map_is_a_path_and_what_stands_on_it_is_a_use() {
    let tree = Tree::new("map-users");
    two_paths(&tree);
    tree.mapped("dm-0", "253:0", "mpath-3600", "quorum", &["sdb", "sdc"]);
    assert_eq!(tree.usages("sdb"), Vec::<String>::new());
    tree.mapped("dm-1", "253:1", "LVM-abc", "vg-lv", &["dm-0"]);
    tree.file(
        "proc/self/mountinfo",
        "22 1 0:50 / /data rw - xfs /dev/mapper/vg-lv rw\n",
    );
    let expected = [
        "/dev/dm-0 is held by /dev/dm-1 (lvm vg-lv)",
        "/dev/dm-1 is mounted on /data (xfs)",
    ];
    assert_eq!(tree.usages("sdc"), expected);
    let Found::Multipath { map, paths, .. } = tree.classify((253, 0)).unwrap() else {
        panic!("it is a map");
    };
    assert_eq!(
        texts(&users::of_map(&map, &paths, &[], &tree.roots())),
        expected
    );
}

#[test]
fn what_uses_a_disk_has_its_claim_on_a_partition_the_disk_or_the_map_over_it() {
    let tree = Tree::new("claims");
    two_paths(&tree);
    let disk = tree.root.join("sys/class/block/sdb");
    tree.partition(&disk.canonicalize().unwrap(), "sdb1", "8:17");
    let nodes = |block: &str| users::claimable_on(block.to_owned(), &tree.roots());
    let node = |name: &str| tree.roots().node(name);
    assert_eq!(nodes("sdb"), [node("sdb1"), node("sdb")]);
    assert_eq!(nodes("sdc"), [node("sdc")], "the other path is another's");
    // The map itself has claimed the paths then.
    tree.mapped("dm-0", "253:0", "mpath-3600", "quorum", &["sdb", "sdc"]);
    assert_eq!(nodes("sdb"), [node("dm-0")]);
    assert_eq!(nodes("dm-0"), [node("dm-0")]);
}

#[test]
fn an_array_holds_its_disks() {
    let tree = Tree::new("md");
    tree.scsi(TCM, "2:0:1:0", "sdb", "8:16", "naa.1");
    let md = tree.block("virtual/block", "md0", "9:0");
    fs::create_dir_all(md.join("md")).unwrap();
    fs::write(md.join("md/level"), "raid1\n").unwrap();
    let below = tree
        .root
        .join("sys/class/block/sdb")
        .canonicalize()
        .unwrap();
    symlink(&md, below.join("holders/md0")).unwrap();
    assert_eq!(
        tree.usages("sdb"),
        ["/dev/sdb is held by /dev/md0 (md raid1)"]
    );
}

#[test]
fn a_loop_of_holders_ends() {
    let tree = Tree::new("loop");
    tree.scsi(TCM, "2:0:1:0", "sdb", "8:16", "naa.1");
    let a = tree.mapped("dm-0", "253:0", "LVM-a", "a", &["sdb"]);
    let b = tree.mapped("dm-1", "253:1", "LVM-b", "b", &["dm-0"]);
    symlink(&a, b.join("holders/dm-0")).unwrap();
    assert_eq!(tree.usages("sdb").len(), 3);
}

#[test]
fn a_disk_reached_past_the_kernel_is_found_by_its_wwid() {
    let tree = Tree::new("wwid");
    two_paths(&tree);
    let attached = |wwid: &str| {
        let disk = over_iscsi(Identity {
            wwid: Some(wwid.to_owned()),
            ..Identity::default()
        });
        with_attached(disk, &tree.roots())
    };
    assert_eq!(attached("naa.1").attached, ["/dev/sdb", "/dev/sdc"]);
    assert!(attached("naa.1").usages.is_empty());
    assert!(attached("naa.2").attached.is_empty());
    let nameless = over_iscsi(Identity::default());
    assert!(with_attached(nameless, &tree.roots()).attached.is_empty());
}

#[test]
fn a_disk_reached_past_the_kernel_is_found_by_any_of_its_names_and_its_users_are_told() {
    let tree = Tree::new("names");
    tree.scsi(TCM, "2:0:1:0", "sdb", "8:16", "t10.LIO-ORG d0:LAB0001");
    let name = |naa: [u8; 16]| Designator::new(Association::Unit, DesignatorValue::Naa16(naa));
    let port = DesignatorValue::RelativeTargetPort(1);
    let page = DeviceIdentification {
        designators: vec![name([0x60; 16]), Designator::new(Association::Port, port)],
    };
    tree.file(&format!("sys/devices/{TCM}/2:0:1:0/vpd_pg83"), page.emit());
    tree.file(
        "proc/self/mountinfo",
        "22 1 8:16 / /srv rw - ext4 /dev/sdb rw\n",
    );
    let seen = |names: Vec<String>| {
        let disk = over_iscsi(Identity {
            wwid: names.first().cloned(),
            names,
            ..Identity::default()
        });
        with_attached(disk, &tree.roots())
    };
    let same = seen(vec!["another".to_owned(), page.names()[0].clone()]);
    assert_eq!(same.attached, ["/dev/sdb"]);
    assert_eq!(texts(&same.usages), ["/dev/sdb is mounted on /srv (ext4)"]);
    let other = DeviceIdentification {
        designators: vec![name([0x61; 16])],
    };
    assert!(seen(other.names()).attached.is_empty());
}

/// A disk that the kernel has no part in.
fn over_iscsi(identity: Identity) -> Disk {
    Disk {
        name: "iscsi://host/iqn.disk/0".to_owned(),
        identity,
        paths: Vec::new(),
        usages: Vec::new(),
        attached: Vec::new(),
        remarks: Vec::new(),
    }
}

// The list, and privileges.

#[test]
fn the_list_has_every_disk_and_map_and_nothing_else() {
    let tree = Tree::new("list");
    two_paths(&tree);
    tree.block("virtual/block", "loop0", "7:0");
    tree.mapped("dm-0", "253:0", "mpath-3600", "quorum", &["sdb", "sdc"]);
    let device = tree.scsi(TCM, "2:0:2:0", "sdd", "8:48", "naa.2");
    tree.partition(&device.join("block/sdd"), "sdd1", "8:49");
    tree.file(
        "proc/self/mountinfo",
        "22 1 8:49 / /boot rw - ext4 /dev/sdd1 rw\n",
    );
    let listed = list(&tree.roots());
    let shown: Vec<_> = listed
        .iter()
        .map(|disk| {
            (
                disk.node.as_str(),
                disk.kind,
                disk.paths.len(),
                disk.usages.len(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("/dev/dm-0", ListedKind::Multipath, 2, 0),
            ("/dev/sdb", ListedKind::Scsi, 0, 0),
            ("/dev/sdc", ListedKind::Scsi, 0, 0),
            ("/dev/sdd", ListedKind::Scsi, 0, 1),
        ]
    );
    assert!(matches!(
        listed[3].usages[0].kind,
        UsageKind::Mounted { .. }
    ));
}

#[test]
fn the_effective_capabilities_are_read_and_none_are_assumed() {
    let tree = Tree::new("capabilities");
    assert_eq!(
        Privileges::of_this_process(&tree.roots()),
        Privileges::default()
    );
    tree.file(
        "proc/self/status",
        "Name:\tx\nCapPrm:\tffff\nCapEff:\t0000000000020000\n",
    );
    assert_eq!(
        Privileges::of_this_process(&tree.roots()),
        Privileges {
            sys_rawio: true,
            sys_admin: false
        }
    );
}

// Locks.

#[test]
fn a_path_has_one_lock_name_by_all_its_nodes_and_a_map_has_those_of_its_paths() {
    let tree = Tree::new("locks");
    two_paths(&tree);
    let names = |block: &str| {
        let disk = disk_of_block(block, &tree.roots()).unwrap();
        identity::lock_names_of_scsi(&disk)
    };
    assert_eq!(names("sdb"), ["scsi 2:0:1:0"]);
    // Neither path's target port is known: they are two all the same.
    assert_eq!(names("sdc"), ["scsi 3:0:1:0"]);

    let paths: Vec<_> = ["sdb", "sdc"]
        .iter()
        .filter_map(|block| disk_of_block(block, &tree.roots()))
        .collect();
    let map = identity::lock_names_of_map("dm-0", &paths, &[], &tree.roots());
    assert_eq!(map, [names("sdb"), names("sdc")].concat());
    let empty = identity::lock_names_of_map("dm-0", &[], &[], &tree.roots());
    assert_eq!(empty, ["map dm-0"]);
}

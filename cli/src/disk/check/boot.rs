//! What this host would do to the disk when it boots, before any arbiter runs.

use scsi::disk::{Disk, Usage, UsageKind};
use scsi::linux::{Roots, block_nodes};
use std::path::{Path, PathBuf};

/// Where a host is configured, and where its devices have names.
pub(super) struct Host {
    etc: PathBuf,
    dev: PathBuf,
}

impl Host {
    /// This host.
    pub(super) fn real() -> Self {
        Self {
            etc: PathBuf::from("/etc"),
            dev: PathBuf::from("/dev"),
        }
    }

    /// The dangers to the disk whose block nodes (disk and partitions) are `nodes`.
    pub(super) fn dangers(&self, nodes: &[PathBuf], usages: &[Usage], head: &[u8]) -> Vec<String> {
        let mut dangers = self.fstab(nodes);
        if crate::content::recognise(head).contains(&"an LVM physical volume") {
            dangers.push(
                "it carries an LVM physical volume: LVM may activate it at boot; keep it out with \
                 lvmdevices, a filter, or auto_activation_volume_list"
                    .to_owned(),
            );
        }
        dangers.extend(usages.iter().filter_map(held_by_lvm));
        dangers.extend(self.multipath_key());
        if crate::content::has_multi_mount_protection(head) {
            dangers.push(
                "its ext4 has multi-mount protection: whoever mounts it writes every few seconds, \
                 and a takeover waits for that; tune2fs -O ^mmp"
                    .to_owned(),
            );
        }
        dangers
    }

    /// Entries of fstab without `noauto` that name this disk.
    fn fstab(&self, nodes: &[PathBuf]) -> Vec<String> {
        let text = std::fs::read_to_string(self.etc.join("fstab")).unwrap_or_default();
        text.lines()
            .filter_map(|line| {
                let fields: Vec<&str> = line.split('#').next()?.split_whitespace().collect();
                let (source, place) = (*fields.first()?, *fields.get(1)?);
                let options = fields.get(3).copied().unwrap_or_default();
                let automatic = !options.split(',').any(|option| option == "noauto");
                let node = std::fs::canonicalize(self.source(source)).ok()?;
                (automatic && nodes.contains(&node)).then(|| {
                    format!("fstab mounts it on {place} at boot ({source}); give the entry noauto")
                })
            })
            .collect()
    }

    /// The node that an fstab source names (fstab(5)).
    fn source(&self, source: &str) -> PathBuf {
        const TAGS: [(&str, &str); 4] = [
            ("UUID=", "by-uuid"),
            ("LABEL=", "by-label"),
            ("PARTUUID=", "by-partuuid"),
            ("PARTLABEL=", "by-partlabel"),
        ];
        for (tag, directory) in TAGS {
            if let Some(name) = source.strip_prefix(tag) {
                let name = name.trim_matches('"');
                return self.dev.join("disk").join(directory).join(name);
            }
        }
        match source.strip_prefix("/dev/") {
            Some(rest) => self.dev.join(rest),
            None => Path::new(source).to_owned(),
        }
    }

    /// A `reservation_key` in multipath.conf: multipathd registers it on every path that comes up.
    fn multipath_key(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.etc.join("multipath.conf")).ok()?;
        text.lines().find_map(|line| {
            let line = line.split(['#', '!']).next()?.trim();
            let key = line.strip_prefix("reservation_key")?.trim();
            (!key.is_empty()).then(|| {
                format!(
                    "multipath.conf sets reservation_key {key}: multipathd would register that key, \
                     which is not the arbiter's; take it out for this disk"
                )
            })
        })
    }
}

fn held_by_lvm(usage: &Usage) -> Option<String> {
    match &usage.kind {
        UsageKind::HeldBy { what, .. } if what.to_lowercase().contains("lvm") => Some(format!(
            "LVM has it active now ({usage}); it would be activated at boot too"
        )),
        UsageKind::HeldBy { .. }
        | UsageKind::Mounted { .. }
        | UsageKind::Root
        | UsageKind::Swap => None,
    }
}

/// Every block node of the disk on this host, by whichever path it was named: disks, maps and partitions.
pub(super) fn nodes(disk: &Disk) -> Vec<PathBuf> {
    let roots = Roots::default();
    let names = std::iter::once(&disk.name).chain(disk.paths.iter().map(|path| &path.name));
    let mut nodes: Vec<PathBuf> = names
        .flat_map(|name| block_nodes(name, &roots))
        .chain(disk.attached.iter().cloned())
        .filter_map(|node| std::fs::canonicalize(node).ok())
        .collect();
    nodes.sort();
    nodes.dedup();
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_at_boot_is_told() {
        let root = std::env::temp_dir().join(format!("qctl-boot-{}", std::process::id()));
        let (etc, dev) = (root.join("etc"), root.join("dev"));
        std::fs::create_dir_all(&etc).unwrap();
        std::fs::create_dir_all(dev.join("disk/by-uuid")).unwrap();
        std::fs::write(dev.join("sdb1"), "").unwrap();
        std::os::unix::fs::symlink(dev.join("sdb1"), dev.join("disk/by-uuid/12-34")).unwrap();
        std::fs::write(
            etc.join("fstab"),
            "# UUID=12-34 /old ext4 defaults 0 0\n\
             UUID=12-34 /srv ext4 defaults 0 2\n\
             /dev/sdb1 /mnt ext4 noauto,ro 0 0\n\
             /dev/sdz1 /other ext4 defaults 0 0\n",
        )
        .unwrap();
        std::fs::write(
            etc.join("multipath.conf"),
            "defaults {\n  # reservation_key 0x1\n  reservation_key 0xabc\n}\n",
        )
        .unwrap();
        let nodes = [std::fs::canonicalize(dev.join("sdb1")).unwrap()];
        let mut head = vec![0; crate::content::HEAD_BYTES];
        head[512..520].copy_from_slice(b"LABELONE");

        let dangers = Host { etc, dev }.dangers(&nodes, &[], &head);
        let starts: Vec<&str> = dangers
            .iter()
            .map(|danger| &danger[..danger.len().min(26)])
            .collect();
        assert_eq!(
            starts,
            [
                "fstab mounts it on /srv at",
                "it carries an LVM physical",
                "multipath.conf sets reserv"
            ]
        );
        std::fs::remove_dir_all(root).unwrap();
    }
}

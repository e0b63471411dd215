//! A disk of a case's own: a sparse file on the host, zeros at first. It outlives the machine that writes to it, and is
//! gone with the case.

use crate::group::Group;
use crate::paths::Paths;
use anyhow::{Context as _, Result};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// The disk, where the group has one.
#[derive(Debug)]
pub(crate) struct Disk(Option<PathBuf>);

impl Disk {
    pub(crate) fn new(group: &Group, paths: &Paths) -> Result<Self> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        if group.disk_mib == 0 {
            return Ok(Self(None));
        }
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let file = paths
            .run()
            .join(format!("disk-{}-{serial}", std::process::id()));
        std::fs::File::create(&file)
            .and_then(|disk| disk.set_len(group.disk_mib << 20))
            .with_context(|| format!("make {}", file.display()))?;
        Ok(Self(Some(file)))
    }

    /// QEMU's words for it.
    pub(crate) fn devices(&self) -> Vec<String> {
        let Some(file) = &self.0 else {
            return Vec::new();
        };
        vec![
            "-drive".to_owned(),
            format!(
                "file={},if=none,id=disk,format=raw,cache=writeback",
                file.display()
            ),
            "-device".to_owned(),
            "virtio-blk-pci,drive=disk".to_owned(),
        ]
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Some(file) = &self.0 {
            drop(std::fs::remove_file(file));
        }
    }
}

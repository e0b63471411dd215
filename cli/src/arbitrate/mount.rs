//! A file system on the disk (`--mount`): mounted by the owner alone, after the barrier; unmounted before the disk is
//! given back, and at a loss when nothing of the command is left.
//!
//! The kernel's calls block, so they are made on threads of their own; the session hears how it went.

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// How often a clean unmount is tried: what has just ended may still be closing its files.
const TRIES: u32 = 20;
const BETWEEN: Duration = Duration::from_millis(100);

/// What is mounted where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Mount {
    source: PathBuf,
    target: PathBuf,
}

impl FromStr for Mount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted =
            "DEVICE:DIRECTORY, such as /dev/disk/by-id/wwn-0x5000c500a1b2c3d4-part1:/srv/q";
        let (source, target) = text.split_once(":/").ok_or(wanted)?;
        if source.is_empty() {
            return Err(wanted.to_owned());
        }
        let target = Path::new("/").join(target);
        Ok(Self {
            source: source.into(),
            target,
        })
    }
}

impl Mount {
    /// As `/dev/sdb1 on /srv/q`.
    pub(super) fn words(&self) -> String {
        format!("{} on {}", self.source.display(), self.target.display())
    }

    /// Mounts it, as whichever file system the kernel finds there.
    pub(super) fn mount(&self) -> io::Result<String> {
        let mut refused = io::Error::from_raw_os_error(libc::ENODEV);
        for kind in kinds(&fs::read_to_string("/proc/filesystems")?) {
            let flags = MsFlags::MS_NODEV | MsFlags::MS_NOSUID;
            match mount(
                Some(&self.source),
                &self.target,
                Some(kind.as_str()),
                flags,
                None::<&str>,
            ) {
                Ok(()) => return Ok(kind),
                // Not of this kind.
                Err(nix::errno::Errno::EINVAL) => {
                    refused = io::Error::from_raw_os_error(libc::EINVAL);
                }
                Err(errno) => return Err(errno.into()),
            }
        }
        Err(refused)
    }

    /// Unmounts it with everything written, while the disk is still ours.
    pub(super) fn unmount(&self) -> io::Result<()> {
        let mut tries = TRIES;
        loop {
            match umount2(&self.target, MntFlags::empty()) {
                Ok(()) => return Ok(()),
                Err(nix::errno::Errno::EBUSY) if tries > 0 => {
                    tries -= 1;
                    std::thread::sleep(BETWEEN);
                }
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Takes it away although the disk is another's: what could not be written is lost, and must be.
    pub(super) fn detach(&self) -> io::Result<()> {
        umount2(&self.target, MntFlags::MNT_DETACH).map_err(io::Error::from)
    }
}

/// The file systems that live on block devices, in the kernel's order.
fn kinds(proc_filesystems: &str) -> Vec<String> {
    let on_blocks = proc_filesystems
        .lines()
        .filter_map(|line| line.strip_prefix('\t'));
    on_blocks.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_a_device_and_an_absolute_directory() {
        let mount: Mount = "/dev/disk/by-path/pci-0000:00:1f.2-part1:/srv/q"
            .parse()
            .unwrap();
        assert_eq!(
            mount.words(),
            "/dev/disk/by-path/pci-0000:00:1f.2-part1 on /srv/q"
        );
        for wrong in ["/dev/sdb", "/dev/sdb:srv", ":/srv", ""] {
            assert!(wrong.parse::<Mount>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_file_systems_on_block_devices_are_tried() {
        assert_eq!(
            kinds("nodev\tproc\n\text4\nnodev\ttmpfs\n\tntfs3\n"),
            ["ext4", "ntfs3"]
        );
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let mount: Mount = "/nonexistent/device:/nonexistent/directory"
            .parse()
            .unwrap();
        assert!(mount.mount().is_err());
        assert!(mount.detach().is_err());
    }
}

//! A file system on the disk (`--mount`): mounted by the owner alone, after the barrier; unmounted before the disk is
//! given back, and at a loss when nothing of the command is left.
//!
//! A mount that is gone does not prove that the file system is: it may live in another mount namespace, or in whatever
//! has something of it open ([`in_use`]). So the block device is asked:
//! * before the start, and again before the mount: what lives there would come back with the pages of an earlier term;
//! * after the unmount: the disk is given back only when nothing lives there any more;
//! * at a loss the file system is shut down first, where it can be ([`shutdown`]): whatever lives on writes nothing.
//!
//! The kernel's calls block, so they are made on threads of their own; the session hears how it went.

pub(super) mod in_use;
mod shutdown;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// How often a clean unmount is tried: what has just ended may still be closing its files.
const TRIES: u32 = 20;
const BETWEEN: Duration = Duration::from_millis(100);

/// How often a device is asked at a loss whether anything lives on it: nothing waits for the answer.
const LOOKS_AT_A_LOSS: u32 = 3;

/// How `umount` says that nothing is mounted there.
const NOT_MOUNTED: Errno = Errno::EINVAL;

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

    /// The block device.
    pub(super) fn source(&self) -> &Path {
        &self.source
    }

    /// Mounts it, as whichever file system the kernel finds there.
    ///
    /// # Errors
    /// The kernel's, and when a file system lives on the device already: mounted again it would show what it still has in
    /// memory in place of what is on the disk.
    pub(super) fn mount(&self) -> io::Result<String> {
        self.nothing_lives(TRIES)?;
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
                Err(Errno::EINVAL) => {
                    refused = io::Error::from_raw_os_error(libc::EINVAL);
                }
                Err(errno) => return Err(errno.into()),
            }
        }
        Err(refused)
    }

    /// Unmounts it with everything written, while the disk is still ours. One that somebody has unmounted before is as good.
    ///
    /// # Errors
    /// When it is in use, or lives on although it is mounted here no more: who keeps it, as far as that can be told.
    pub(super) fn unmount(&self) -> io::Result<()> {
        let mut tries = TRIES;
        loop {
            match umount2(&self.target, MntFlags::empty()) {
                Ok(()) | Err(NOT_MOUNTED | Errno::ENOENT) => break,
                Err(Errno::EBUSY) if tries > 0 => {
                    tries -= 1;
                    std::thread::sleep(BETWEEN);
                }
                Err(Errno::EBUSY) => {
                    return Err(io::Error::other(format!(
                        "{} is in use: {}",
                        self.source.display(),
                        in_use::keepers(&self.source)
                    )));
                }
                Err(errno) => return Err(errno.into()),
            }
        }
        self.nothing_lives(TRIES)
    }

    /// Takes it away although the disk is another's: what could not be written is lost, and must be.
    ///
    /// # Errors
    /// When it lives on. Where file systems can be shut down it writes nothing any more even then.
    pub(super) fn detach(&self) -> io::Result<()> {
        let shut_down = self.shut_down();
        match umount2(&self.target, MntFlags::MNT_DETACH) {
            Ok(()) | Err(NOT_MOUNTED | Errno::ENOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        self.nothing_lives(LOOKS_AT_A_LOSS)
            .map_err(|error| match shut_down {
                Ok(()) => io::Error::other(format!("shut down, so it writes nothing, but {error}")),
                Err(_) => error,
            })
    }

    fn shut_down(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_DIRECTORY);
        let root = options.open(&self.target)?;
        // Unmounted by somebody, the directory is in another file system: the host's own.
        if root.metadata()?.dev() != fs::metadata(&self.source)?.rdev() {
            return Err(NOT_MOUNTED.into());
        }
        shutdown::shut_down(&root).map_err(io::Error::from)
    }

    fn nothing_lives(&self, looks: u32) -> io::Result<()> {
        match in_use::claimed(&self.source, looks)? {
            None => Ok(()),
            Some(by) => Err(io::Error::other(by)),
        }
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
        assert!(mount.unmount().is_err());
        assert!(mount.detach().is_err());
    }
}

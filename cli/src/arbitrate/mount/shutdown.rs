#![expect(unsafe_code, reason = "ioctl FS_IOC_SHUTDOWN")]
//! A file system is shut down: from then on it writes nothing, and answers whoever still has it with EIO.
//!
//! XFS writes nothing at all then; ext4 the superblock of its journal, once. f2fs and newer ntfs3 have it, too; the others say
//! ENOTTY.

use nix::errno::Errno;
use std::fs::File;
use std::os::fd::AsRawFd;

/// What is in memory is dropped, the journal too (`XFS_FSOP_GOING_FLAGS_NOLOGFLUSH`).
const WITHOUT_LOG_FLUSH: u32 = 2;

// linux/fs.h: _IOR('X', 125, __u32), though the kernel reads the argument.
nix::ioctl_read!(fs_ioc_shutdown, b'X', 125, u32);

/// Shuts down the file system that this file or directory is in. The caller has made sure that it is the right one:
/// no other operation brings it back but a new mount.
pub(super) fn shut_down(within: &File) -> Result<(), Errno> {
    let mut flags = WITHOUT_LOG_FLUSH;
    // SAFETY: the descriptor is open as long as `within` is borrowed, and the argument is a valid u32 of ours.
    unsafe { fs_ioc_shutdown(within.as_raw_fd(), &raw mut flags) }?;
    Ok(())
}

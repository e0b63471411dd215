//! One arbiter a nexus on a host.
//!
//! The lock is a flock on a file in the runtime directory, named after the disk's WWID and the nexus. The
//! file stays, so there is no race about its name.
//!
//! Invariants:
//! * the lock belongs to the open file, not to a process: it is free when the last descriptor of it is
//!   closed, however its owners end, and never before (it is not unlocked, only closed);
//! * a descriptor is closed on exec, unless whoever was given one with [`NexusLock::descriptor`] says not.

use super::names::file_name;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Why the nexus is not ours to arbitrate with.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another arbiter on this host has this nexus.
    #[error("process {} on this host arbitrates over this nexus already (lock {})", pid_text(*.pid), .path.display())]
    Taken {
        /// The other's process, when it has said so.
        pid: Option<u32>,
        /// The lock file.
        path: PathBuf,
    },
    /// The lock file could not be made or locked.
    #[error("cannot lock {}: {source}", .path.display())]
    File {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn pid_text(pid: Option<u32>) -> String {
    pid.map_or_else(|| String::from("(unknown)"), |pid| pid.to_string())
}

/// Held until the last descriptor of it is closed: this one, and every one handed out.
#[derive(Debug)]
pub(super) struct NexusLock {
    file: File,
}

impl NexusLock {
    /// Takes the lock, or tells who has it.
    ///
    /// # Errors
    /// [`LockError`].
    pub(super) fn take(runtime_dir: &Path, wwid: &str, nexus: &str) -> Result<Self, LockError> {
        let path = runtime_dir.join(file_name("arbiter", &[wwid, nexus]));
        let failed = |source: io::Error| LockError::File {
            path: path.clone(),
            source,
        };
        std::fs::create_dir_all(runtime_dir).map_err(failed)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {
                write_pid(&mut file).map_err(failed)?;
                Ok(Self { file })
            }
            Err(TryLockError::WouldBlock) => Err(LockError::Taken {
                pid: read_pid(&mut file),
                path,
            }),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// A further descriptor of the lock, which holds it as much as this one does.
    ///
    /// # Errors
    /// When there is no descriptor to be had.
    pub(super) fn descriptor(&self) -> io::Result<OwnedFd> {
        self.file.try_clone().map(OwnedFd::from)
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    // A process id has at most ten digits; what else stands there is no business of ours.
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{LockError, NexusLock};
    use crate::arbiter::test_dir::TestDir;

    #[test]
    fn the_second_arbiter_on_a_nexus_is_refused_with_the_pid_of_the_first() {
        let dir = TestDir::new("lock");
        let first = NexusLock::take(dir.path(), "naa.1", "a").unwrap();
        let refused = NexusLock::take(dir.path(), "naa.1", "a").unwrap_err();
        let LockError::Taken { pid, .. } = &refused else {
            panic!("{refused}");
        };
        assert_eq!(*pid, Some(std::process::id()));
        drop(first);
        NexusLock::take(dir.path(), "naa.1", "a").unwrap();
    }

    #[test]
    fn the_nexus_stays_locked_until_the_last_descriptor_that_was_handed_out_is_closed() {
        let dir = TestDir::new("handed");
        let lock = NexusLock::take(dir.path(), "naa.1", "a").unwrap();
        let handed_to_a_child = lock.descriptor().unwrap();
        drop(lock);
        let refused = NexusLock::take(dir.path(), "naa.1", "a");
        assert!(matches!(refused, Err(LockError::Taken { .. })));
        drop(handed_to_a_child);
        NexusLock::take(dir.path(), "naa.1", "a").unwrap();
    }

    #[test]
    fn other_nexuses_and_other_disks_are_free() {
        let dir = TestDir::new("locks");
        let _one = NexusLock::take(dir.path(), "naa.1", "a").unwrap();
        let _two = NexusLock::take(dir.path(), "naa.1", "b").unwrap();
        let _three = NexusLock::take(dir.path(), "naa.2", "a").unwrap();
    }
}

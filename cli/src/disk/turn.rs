//! Whose turn it is to be this host's one iSCSI nexus for verbs that change reservations.
//!
//! Two sessions with one initiator port name cannot be: the second login ends the first (RFC 7143 6.3.5), in the middle of
//! its command. So whoever opens a disk as that nexus has a lock on a file of this host meanwhile.
//!
//! Invariant: a turn is over when its process is, however it ends.

use crate::exit::{Exit, Failure};
use quorum::arbiter::runtime_dir;
use std::fs::{File, TryLockError, create_dir_all};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const SCHEME: &str = "iscsi://";
const FILE: &str = "iscsi-verbs";
const BETWEEN: Duration = Duration::from_millis(20);

/// Over when it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _locked: File,
}

/// Waits for a turn, if this disk needs one.
///
/// # Errors
/// When others are at it for longer than `patience`, or the file cannot be had.
pub(super) fn take_if_needed(disk: &str, patience: Duration) -> Result<Option<Turn>, Failure> {
    if !disk.starts_with(SCHEME) {
        return Ok(None);
    }
    let path = runtime_dir().join(FILE);
    take(&path, patience).map(Some)
}

fn take(path: &Path, patience: Duration) -> Result<Turn, Failure> {
    let failed = |error: io::Error| cannot_lock(path, &error);
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    create_dir_all(folder).map_err(failed)?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(failed)?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Turn { _locked: file }),
            Err(TryLockError::WouldBlock) if began.elapsed() < patience => {
                std::thread::sleep(BETWEEN);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::new(
                    Exit::NotReady,
                    "another qctl of this host changes reservations over iSCSI, and does not come to an end",
                    format!("`fuser -v {}` shows it; then try again", path.display()),
                ));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}

fn cannot_lock(path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        Exit::CannotOpen,
        format!("cannot lock {}: {error}", path.display()),
        "make it writable: run as root, or set XDG_RUNTIME_DIR",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_iscsi_disk_needs_a_turn() {
        for disk in ["/dev/sda", "emu:/tmp/q?nexus=a"] {
            assert!(matches!(take_if_needed(disk, Duration::ZERO), Ok(None)));
        }
    }

    #[test]
    fn a_turn_is_anothers_only_when_it_is_over() {
        let folder = std::env::temp_dir().join(format!("qctl-turn-{}", std::process::id()));
        let path = folder.join(FILE);
        let first = take(&path, Duration::ZERO).ok();
        assert!(first.is_some());
        let refused = take(&path, Duration::ZERO).err();
        assert_eq!(refused.map(|failure| failure.exit.code()), Some(2));
        drop(first);
        assert!(take(&path, Duration::ZERO).is_ok());
        drop(std::fs::remove_dir_all(folder));
    }
}

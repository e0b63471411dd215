//! A folder for the files of a contest: gone with the value.

use crate::exit::{Exit, Failure};
use std::path::{Path, PathBuf};

/// Where Linux keeps files in memory.
const MEMORY: &str = "/dev/shm";

/// The folder.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// A new one, named after this process and what it is for.
    pub(crate) fn new(what: &str) -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("qctl-{what}-{}", std::process::id()));
        std::fs::create_dir(&path).map_err(|error| {
            Failure::new(
                Exit::CannotOpen,
                format!("no place for files: {}: {error}", path.display()),
                format!("name a directory that can be written: TMPDIR=DIR qctl {what}"),
            )
        })?;
        Ok(Self(path))
    }

    /// One whose files are in memory, where the host has such a place; else as [`Self::new`].
    pub(crate) fn in_memory(what: &str) -> Result<Self, Failure> {
        let path = Path::new(MEMORY).join(format!("qctl-{what}-{}", std::process::id()));
        match std::fs::create_dir(&path) {
            Ok(()) => Ok(Self(path)),
            Err(_) => Self::new(what),
        }
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}

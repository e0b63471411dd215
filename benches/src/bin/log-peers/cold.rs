//! Files out of the page cache, so that an open reads the disk.

use std::{
    fs::{self, File},
    path::Path,
};

use anyhow::{Context, Result};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

/// Writes back every file below `dir` and drops its pages (`posix_fadvise`, DONTNEED). Names and inodes stay cached,
/// and whatever cache the disk itself has: alike for everybody.
pub(crate) fn evict(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            evict(&path)?;
        } else {
            evict_file(&path)?;
        }
    }
    Ok(())
}

/// The same for one file.
pub(crate) fn evict_file(path: &Path) -> Result<()> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    file.sync_all()?;
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
    Ok(())
}

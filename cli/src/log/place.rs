//! A log that is read: opened without disturbing anybody.

use super::failure;
use crate::exit::Failure;
use qlog::storage::{FileStorage, Mapped};
use qlog::{Aligned, Storage};
use serde_json::{Value, json};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// Read at once while looking whether everything can be read.
const STEP: usize = 1 << 20;

/// Where a log is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) is_device: bool,
    pub(super) bytes: u64,
}

impl Place {
    pub(super) const fn kind(&self) -> &'static str {
        if self.is_device {
            "block-device"
        } else {
            "file"
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "path": self.path.display().to_string(),
            "kind": self.kind(),
            "bytes": self.bytes,
        })
    }

    pub(super) fn words(&self) -> String {
        let what = if self.is_device {
            "a block device"
        } else {
            "a file"
        };
        format!("{what} of {}", bytes(self.bytes))
    }
}

/// Opens a log to read it, past the page cache: another node may have written since.
pub(super) fn open(path: &Path) -> Result<(Place, FileStorage), Failure> {
    let metadata =
        std::fs::metadata(path).map_err(|error| failure::of_io(path, "look at it", &error))?;
    let storage =
        FileStorage::open(path).map_err(|error| failure::of_io(path, "open it", &error))?;
    let place = Place {
        path: path.to_owned(),
        is_device: metadata.file_type().is_block_device(),
        bytes: storage.region_bytes(),
    };
    Ok((place, storage))
}

/// Maps a log into memory, when every block of it can be read; `None` when one cannot, for touching that one would end
/// the process.
pub(super) fn map(
    path: &Path,
    storage: &FileStorage,
    progress: &mut dyn FnMut(u64),
) -> Option<Mapped> {
    let mut buffer = Aligned::zeroed(STEP);
    let (mut offset, end) = (0, storage.region_bytes());
    while offset < end {
        let step = (end - offset).min(STEP as u64);
        buffer.resize(usize::try_from(step).ok()?);
        storage.read_at(offset, &mut buffer).ok()?;
        offset += step;
        progress(offset);
    }
    Mapped::open(path).ok()
}

/// A number of bytes for people.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (unit, size) in UNITS {
        if count >= size && count.is_multiple_of(size) {
            return format!("{} {unit}", count / size);
        }
    }
    format!("{count} bytes")
}

//! A log that is read: opened without disturbing anybody.

use super::{failure, unit};
use crate::Context;
use crate::exit::Failure;
use qlog::storage::{FileStorage, Mapped};
use qlog::{Aligned, Storage};
use serde_json::{Value, json};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Read at once while looking whether everything can be read.
const STEP: usize = 1 << 20;

/// Where a log is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) is_device: bool,
    /// Reached past the kernel.
    pub(super) is_unit: bool,
    pub(super) bytes: u64,
}

impl Place {
    pub(super) const fn kind(&self) -> &'static str {
        if self.is_unit {
            "logical-unit"
        } else if self.is_device {
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
        let what = if self.is_unit {
            "a logical unit"
        } else if self.is_device {
            "a block device"
        } else {
            "a file"
        };
        format!("{what} of {}", bytes(self.bytes))
    }
}

/// Opens a log to read it, past the page cache: another node may have written since.
pub(super) fn open(path: &Path, context: &Context) -> Result<(Place, Arc<dyn Storage>), Failure> {
    if unit::is_one(path) {
        let reader = unit::open(path, context)?.lun.reader();
        let place = Place {
            path: path.to_owned(),
            is_device: false,
            is_unit: true,
            bytes: reader.region_bytes(),
        };
        return Ok((place, Arc::new(reader)));
    }
    let metadata =
        std::fs::metadata(path).map_err(|error| failure::of_io(path, "look at it", &error))?;
    let storage =
        FileStorage::open(path).map_err(|error| failure::of_io(path, "open it", &error))?;
    let place = Place {
        path: path.to_owned(),
        is_device: metadata.file_type().is_block_device(),
        is_unit: false,
        bytes: storage.region_bytes(),
    };
    Ok((place, Arc::new(storage)))
}

/// What a first walk over all blocks found.
pub(super) struct Walked {
    /// No block refused to be read.
    pub(super) all_readable: bool,
    /// The log in memory. Not when a block cannot be read, for touching that one would end the process; nor where there
    /// is no file to map.
    pub(super) mapped: Option<Mapped>,
}

/// Reads all of a log once, and maps it into memory.
pub(super) fn walk(path: &Path, storage: &dyn Storage, progress: &mut dyn FnMut(u64)) -> Walked {
    let all_readable = is_readable(storage, progress);
    let maps = all_readable && !unit::is_one(path);
    let mapped = maps.then(|| Mapped::open(path).ok()).flatten();
    Walked {
        all_readable,
        mapped,
    }
}

fn is_readable(storage: &dyn Storage, progress: &mut dyn FnMut(u64)) -> bool {
    let mut buffer = Aligned::zeroed(STEP);
    let (mut offset, end) = (0, storage.region_bytes());
    while offset < end {
        let step = usize::try_from(end - offset).map_or(STEP, |left| left.min(STEP));
        buffer.resize(step);
        if storage.read_at(offset, &mut buffer).is_err() {
            return false;
        }
        offset += step as u64;
        progress(offset);
    }
    true
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

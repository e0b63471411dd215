//! fence_scsi for a guest: the agent that Pacemaker cuts nodes off with, and the Python that runs it.
//!
//! pycurl, which the agents' common module imports and fence_scsi never uses, is an empty module here: it would bring two
//! dozen libraries.

use super::tools::Tools;
use crate::packages::Suite;
use crate::paths::Paths;
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const PACKAGES: [&str; 8] = [
    "fence-agents",
    "python3.11-minimal",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "python3-pexpect",
    "python3-ptyprocess",
    "libffi8",
    "libexpat1",
];

/// What of them goes into the guest, each with everything below.
const PARTS: [&str; 4] = [
    "usr/sbin/fence_scsi",
    "usr/share/fence",
    "usr/lib/python3.11",
    "usr/lib/python3/dist-packages",
];

/// The interpreter, and where the guest looks for it.
const PYTHON: [&str; 2] = ["usr/bin/python3.11", "usr/bin/python3"];

/// Path in the guest, and file here.
pub(super) fn files(paths: &Paths, tools: &Tools) -> Result<BTreeMap<String, PathBuf>> {
    let folders = Suite::open(paths, "bookworm")?.unpack(&PACKAGES)?;
    let tools = tools.with(&folders);
    let mut files = BTreeMap::new();
    for folder in &folders {
        for part in PARTS {
            add(folder, Path::new(part), &mut files)?;
        }
        let python = folder.join(PYTHON[0]);
        if python.is_file() {
            files.insert(PYTHON[1].to_owned(), python);
        }
    }
    let programs: Vec<PathBuf> = files.values().cloned().collect();
    for program in programs {
        // Modules of Python whose libraries are not there are not used by the agent.
        let mut libraries = BTreeMap::new();
        if tools.add_libraries(&program, &mut libraries).is_ok() {
            files.extend(libraries);
        }
    }
    let empty = paths.run().join("pycurl.py");
    std::fs::write(&empty, "")?;
    files.insert("usr/share/fence/pycurl.py".to_owned(), empty);
    Ok(files)
}

/// A file, or all files below a folder.
fn add(root: &Path, part: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    let here = root.join(part);
    if here.is_dir() {
        for entry in std::fs::read_dir(&here)? {
            add(root, &part.join(entry?.file_name()), files)?;
        }
    } else if here.is_file() {
        let inside = part.to_str().context("a path that is no text")?;
        files.insert(inside.to_owned(), here);
    }
    Ok(())
}

//! Reading sysfs and procfs: small text files and links, below roots that tests can move.
//!
//! Never does: write, open a device node, or fail. What cannot be read is absent.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// No attribute is longer; a VPD page of sysfs is at most this long.
const ATTRIBUTE_MAX: u64 = 4096;
/// The mount table of a host with very many containers.
const TABLE_MAX: u64 = 8 * 1024 * 1024;

/// Where the kernel tells about itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Roots {
    /// `/sys`.
    pub sys: PathBuf,
    /// `/proc`.
    pub proc: PathBuf,
    /// `/dev`.
    pub dev: PathBuf,
}

impl Default for Roots {
    /// Those of this host.
    fn default() -> Self {
        Self {
            sys: "/sys".into(),
            proc: "/proc".into(),
            dev: "/dev".into(),
        }
    }
}

impl Roots {
    /// The node of a block device by its name in sysfs, where `!` stands for a slash.
    pub(super) fn node(&self, kernel_name: &str) -> String {
        self.dev
            .join(kernel_name.replace('!', "/"))
            .display()
            .to_string()
    }

    /// The folder of a block device or partition in sysfs.
    pub(super) fn block(&self, kernel_name: &str) -> PathBuf {
        self.sys.join("class/block").join(kernel_name)
    }
}

/// At most so many bytes of a file.
fn bytes_up_to(path: &Path, most: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)
        .ok()?
        .take(most)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(bytes)
}

/// The bytes of an attribute.
pub(super) fn bytes(path: &Path) -> Option<Vec<u8>> {
    bytes_up_to(path, ATTRIBUTE_MAX)
}

/// A table of procfs as text; bytes that are no text are replaced.
pub(super) fn table(path: &Path) -> Option<String> {
    bytes_up_to(path, TABLE_MAX).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The text of an attribute without padding; `None` when it is empty.
pub(super) fn text(path: &Path) -> Option<String> {
    let bytes = bytes(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

/// The number of an attribute.
pub(super) fn number<T: std::str::FromStr>(path: &Path) -> Option<T> {
    text(path)?.parse().ok()
}

/// The last part of what a link leads to.
pub(super) fn link_name(path: &Path) -> Option<String> {
    name_of(&fs::read_link(path).ok()?)
}

/// The last part of a path.
pub(super) fn name_of(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_string_lossy().into_owned())
}

/// The names in a folder, sorted; none when there is no such folder.
pub(super) fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(path)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

/// The names of the folder that are partitions of the block device in it.
pub(super) fn partitions(block: &Path) -> Vec<String> {
    names(block)
        .into_iter()
        .filter(|name| block.join(name).join("partition").exists())
        .collect()
}

//! Whether a file system still lives on a block device, wherever it is mounted, and who keeps it.
//!
//! `umount` returns when a mount is gone, not when the file system is. A mount in another namespace (a container), a
//! working directory or an open file keeps it alive: it goes on writing, and a later mount of the same device is the
//! same file system again, with the pages of an earlier term. No table that this process reads need show it.
//!
//! The kernel knows: a file system claims its block device, as do device mapper, md and swap, and an open with `O_EXCL`
//! is refused as long as anybody else has a claim. Plain opens claim nothing, so neither an arbiter nor a log on the
//! device is in the way.
//!
//! Who keeps it is told as far as `/proc` shows it. That is for people; nothing is decided by it.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

/// Between two looks: another's look claims the device, too, for a moment.
const BETWEEN: Duration = Duration::from_millis(100);

/// How many keepers are named.
const NAMED_MAX: usize = 4;

/// A search of `/proc` can hang, in a file system whose server is gone.
const SEARCH_MAX: Duration = Duration::from_secs(2);

/// Who has claimed the device, in words; none if nobody has. It is looked at so many times before it counts as claimed.
///
/// # Errors
/// When the device cannot be opened for another reason: then nobody knows.
pub(in crate::arbitrate) fn claimed(device: &Path, looks: u32) -> io::Result<Option<String>> {
    for look in 1..=looks.max(1) {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .custom_flags(libc::O_EXCL | libc::O_NONBLOCK);
        match options.open(device) {
            Ok(_closed_at_once) => return Ok(None),
            Err(error) if error.raw_os_error() != Some(libc::EBUSY) => return Err(error),
            Err(_busy) if look < looks => std::thread::sleep(BETWEEN),
            Err(_busy) => {}
        }
    }
    let device_words = device.display();
    Ok(Some(format!(
        "{device_words} is still in use on this host: {}",
        keepers(device)
    )))
}

/// Who keeps what is on the device, in words.
pub(super) fn keepers(device: &Path) -> String {
    let (found_in, found) = channel();
    let device = device.to_owned();
    std::thread::spawn(move || {
        let _nobody_waits_any_more = found_in.send(search(&device));
    });
    let mut keepers = found.recv_timeout(SEARCH_MAX).unwrap_or_default();
    if keepers.is_empty() {
        return "by what, /proc does not show".to_owned();
    }
    let more = keepers.len().saturating_sub(NAMED_MAX);
    keepers.truncate(NAMED_MAX);
    let mut words = keepers.join(", ");
    if more > 0 {
        words.push_str(&format!(", and {more} more"));
    }
    words
}

/// The mounts of every namespace, then what stands on the device, then whoever has something of it open.
fn search(device: &Path) -> Vec<String> {
    let Ok(found) = fs::metadata(device) else {
        return Vec::new();
    };
    if !found.file_type().is_block_device() {
        return Vec::new();
    }
    let number = found.rdev();
    let pids = pids();
    let mut keepers = mounts(number, &pids);
    keepers.extend(holders(number));
    // A file system that was shut down may not tell which one it is.
    let mut silent = Vec::new();
    for pid in pids {
        match use_by(pid, number) {
            Use::Of(what) => keepers.push(format!("process {} has {what} in it", named(pid))),
            Use::Unreadable(what) => silent.push(format!(
                "perhaps process {}: {what} cannot be read",
                named(pid)
            )),
            Use::None => {}
        }
    }
    if keepers.is_empty() { silent } else { keepers }
}

fn pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<u32> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    pids
}

/// As `4711 (sleep)`.
fn named(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    format!("{pid} ({})", name.trim())
}

fn mounts(number: u64, pids: &[u32]) -> Vec<String> {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    let own = namespace("self");
    let mut seen = BTreeSet::new();
    let mut found: Vec<String> = mounted_at("self", number)
        .map(|at| format!("mounted on {at}"))
        .collect();
    seen.extend(own);
    for pid in pids {
        let process = pid.to_string();
        if namespace(&process).is_some_and(|namespace| seen.insert(namespace)) {
            found.extend(mounted_at(&process, number).map(|at| {
                format!(
                    "mounted on {at} in the mount namespace of process {}",
                    named(*pid)
                )
            }));
        }
    }
    found
}

fn mounted_at(process: &str, number: u64) -> impl Iterator<Item = String> {
    let table = fs::read_to_string(format!("/proc/{process}/mountinfo")).unwrap_or_default();
    let places: Vec<String> = table
        .lines()
        .filter_map(|line| mount_point(line, number))
        .map(str::to_owned)
        .collect();
    places.into_iter()
}

/// Of a line of `mountinfo`, if it is a mount of this device. btrfs has a number of its own; its source names the device.
fn mount_point(line: &str, number: u64) -> Option<&str> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut words = mount.split(' ').skip(2);
    let device = words.next()?;
    let at = words.nth(1)?;
    let is_source = || {
        let source = file_system.split(' ').nth(1).unwrap_or_default();
        source.starts_with("/dev/")
            && fs::metadata(source)
                .is_ok_and(|node| node.file_type().is_block_device() && node.rdev() == number)
    };
    (device == major_minor(number) || is_source()).then_some(at)
}

fn major_minor(number: u64) -> String {
    format!("{}:{}", libc::major(number), libc::minor(number))
}

fn holders(number: u64) -> Vec<String> {
    let folder = format!("/sys/dev/block/{}/holders", major_minor(number));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| format!("held by /dev/{}", entry.file_name().display()))
        .collect()
}

enum Use {
    Of(&'static str),
    Unreadable(&'static str),
    None,
}

fn use_by(pid: u32, number: u64) -> Use {
    let process = Path::new("/proc").join(pid.to_string());
    let single = ["cwd", "root", "exe"].map(|name| process.join(name));
    let words = ["its working directory", "its root directory", "its program"];
    let mut unreadable = Use::None;
    let open = fs::read_dir(process.join("fd"))
        .into_iter()
        .flatten()
        .flatten();
    let files = open.map(|entry| (entry.path(), "an open file"));
    for (link, what) in single.into_iter().zip(words).chain(files) {
        match fs::metadata(link) {
            Ok(file) if file.dev() == number => return Use::Of(what),
            Err(error) if error.raw_os_error() == Some(libc::EIO) => {
                unreadable = Use::Unreadable(what);
            }
            Ok(_) | Err(_) => {}
        }
    }
    unreadable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_of_the_device_is_known_by_its_number_in_any_table() {
        let number = libc::makedev(8, 17);
        let line = "36 35 8:17 / /mnt/a\\040b rw,noatime shared:1 - ext4 /dev/none rw";
        assert_eq!(mount_point(line, number), Some("/mnt/a\\040b"));
        for other in [
            "",
            "36 35 8:17",
            "36 35 8:1 / /mnt rw - ext4 /dev/none rw",
            "a - b",
        ] {
            assert_eq!(mount_point(other, number), None, "{other}");
        }
    }

    #[test]
    fn what_nobody_has_claimed_is_free_and_what_is_not_there_is_an_error() {
        assert_eq!(claimed(Path::new("/proc/self/stat"), 1).unwrap(), None);
        assert!(claimed(Path::new("/nonexistent/device"), 3).is_err());
    }
}

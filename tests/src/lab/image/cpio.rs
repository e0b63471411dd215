//! A writer of cpio archives in the "newc" format, which the kernel unpacks as its first file system.
//!
//! ```text
//! entry   "070701", 13 fields of 8 hex digits, name, NUL, pad to 4, data, pad to 4
//! fields  inode mode uid gid links mtime size devmajor devminor rdevmajor rdevminor namesize check
//! end     an entry named "TRAILER!!!"
//! ```
//!
//! (Linux, Documentation/driver-api/early-userspace/buffer-format.rst.) Parents come before their children, names
//! are sorted and times are zero: equal contents make equal archives. Device nodes are left to devtmpfs, so no root
//! is needed.

use std::collections::BTreeMap;

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const LINK: u32 = 0o120_777;

/// An archive under construction.
#[derive(Default)]
pub(crate) struct Cpio {
    /// By path without a leading slash. Sorted, so that `a` comes before `a/b`.
    entries: BTreeMap<String, (u32, Vec<u8>)>,
}

impl Cpio {
    /// Adds a folder and those above it.
    pub(crate) fn folder(&mut self, path: &str) {
        let path = path.trim_matches('/');
        let mut end = 0;
        while end < path.len() {
            end = path[end + 1..]
                .find('/')
                .map_or(path.len(), |at| end + 1 + at);
            self.entries
                .entry(path[..end].to_owned())
                .or_insert((FOLDER, Vec::new()));
        }
    }

    /// Adds a file that may be executed. The last of equal names stays.
    pub(crate) fn file(&mut self, path: &str, content: Vec<u8>) {
        self.put(path, PROGRAM, content);
    }

    /// Adds a symbolic link.
    pub(crate) fn link(&mut self, path: &str, to: &str) {
        self.put(path, LINK, to.as_bytes().to_vec());
    }

    fn put(&mut self, path: &str, mode: u32, content: Vec<u8>) {
        let path = path.trim_matches('/');
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.folder(parent);
        }
        self.entries.insert(path.to_owned(), (mode, content));
    }

    /// The archive's bytes.
    pub(crate) fn finish(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (inode, (path, (mode, content))) in (1_u32..).zip(&self.entries) {
            entry(&mut out, inode, *mode, path, content);
        }
        entry(&mut out, 0, 0, "TRAILER!!!", &[]);
        out
    }
}

fn entry(out: &mut Vec<u8>, inode: u32, mode: u32, path: &str, content: &[u8]) {
    let size =
        u32::try_from(content.len()).unwrap_or_else(|_| panic!("{path} is larger than 4 GiB"));
    let name_size = u32::try_from(path.len() + 1).unwrap_or_else(|_| panic!("{path} is too long"));
    out.extend_from_slice(b"070701");
    for field in [inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0] {
        out.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    out.extend_from_slice(path.as_bytes());
    out.push(0);
    pad(out);
    out.extend_from_slice(content);
    pad(out);
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_header_of_110_characters_a_padded_name_and_padded_data() {
        let mut cpio = Cpio::default();
        cpio.file("a", b"hello".to_vec());
        let bytes = cpio.finish();
        let header = "07070100000001000081ed00000000000000000000000100000000000000050000000000000000\
                      00000000000000000000000200000000";
        assert_eq!(header.len(), 110);
        assert_eq!(&bytes[..110], header.as_bytes());
        assert_eq!(&bytes[110..112], b"a\0");
        assert_eq!(&bytes[112..120], b"hello\0\0\0");
        assert!(bytes[120..].starts_with(b"070701"));
        assert_eq!(bytes.len() % 4, 0);
    }

    #[test]
    fn folders_come_before_what_is_in_them() {
        let mut cpio = Cpio::default();
        cpio.file("/usr/bin/x", Vec::new());
        cpio.link("bin/sh", "busybox");
        let names: Vec<&str> = cpio.entries.keys().map(String::as_str).collect();
        assert_eq!(names, ["bin", "bin/sh", "usr", "usr/bin", "usr/bin/x"]);
    }

    #[test]
    fn the_archive_is_what_cpio_itself_reads_back() {
        // Only where the program is there: the format is also pinned by the bytes above.
        let mut cpio = Cpio::default();
        cpio.file("d/f", vec![7; 4097]);
        let listed = std::process::Command::new("cpio")
            .args(["--quiet", "-t"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .and_then(|mut child| {
                std::io::Write::write_all(child.stdin.as_mut().unwrap(), &cpio.finish())?;
                child.wait_with_output()
            });
        if let Ok(output) = listed {
            assert_eq!(String::from_utf8_lossy(&output.stdout), "d\nd/f\n");
        }
    }
}

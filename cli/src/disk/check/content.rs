//! What is on a disk, recognised by its signatures: a disk with content is not tried out by accident.

/// One signature: what it says, where it stands, its bytes.
struct Signature {
    what: &'static str,
    offset: usize,
    bytes: &'static [u8],
}

/// Offsets from the beginning of the disk.
const SIGNATURES: [Signature; 17] = [
    sign("a GUID partition table", 512, b"EFI PART"),
    sign("a GUID partition table (4 KiB blocks)", 4096, b"EFI PART"),
    sign("a partition table (MBR)", 510, b"\x55\xaa"),
    sign("an ext2, ext3 or ext4 file system", 1080, b"\x53\xef"),
    sign("an XFS file system", 0, b"XFSB"),
    sign("an NTFS file system", 3, b"NTFS    "),
    sign("a btrfs file system", 65_600, b"_BHRfS_M"),
    sign("swap space", 4086, b"SWAPSPACE2"),
    sign("an LVM physical volume", 0, b"LABELONE"),
    sign("an LVM physical volume", 512, b"LABELONE"),
    sign("an LVM physical volume", 1024, b"LABELONE"),
    sign("an LVM physical volume", 1536, b"LABELONE"),
    sign("an md member (1.1)", 0, b"\xfc\x4e\x2b\xa9"),
    sign("an md member (1.2)", 4096, b"\xfc\x4e\x2b\xa9"),
    sign("a LUKS volume", 0, b"LUKS\xba\xbe"),
    sign("an SBD device", 0, b"SBD_SBD_"),
    sign("a sanlock lockspace", 0, b"\x10\x20\x21\x12"),
];

/// Bytes from the beginning that hold every signature.
pub(super) const HEAD_BYTES: usize = 65_600 + 8;

const fn sign(what: &'static str, offset: usize, bytes: &'static [u8]) -> Signature {
    Signature {
        what,
        offset,
        bytes,
    }
}

/// What the beginning of a disk says is on it, each once.
pub(super) fn recognise(head: &[u8]) -> Vec<&'static str> {
    let mut found: Vec<&'static str> = SIGNATURES
        .iter()
        .filter(|signature| {
            let end = signature.offset + signature.bytes.len();
            head.get(signature.offset..end) == Some(signature.bytes)
        })
        .map(|signature| signature.what)
        .collect();
    found.dedup();
    found
}

/// INCOMPAT_MMP of an ext4 superblock: multi-mount protection writes to the disk every few seconds and
/// waits for others that do.
pub(super) fn has_multi_mount_protection(head: &[u8]) -> bool {
    const SUPERBLOCK: usize = 1024;
    const INCOMPAT: usize = SUPERBLOCK + 0x60;
    const MMP: u32 = 0x0100;
    let is_ext = head.get(1080..1082) == Some(b"\x53\xef");
    let incompat = head
        .get(INCOMPAT..INCOMPAT + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_le_bytes);
    is_ext && incompat & MMP != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(at: usize, bytes: &[u8]) -> Vec<u8> {
        let mut head = vec![0; HEAD_BYTES];
        head[at..at + bytes.len()].copy_from_slice(bytes);
        head
    }

    #[test]
    fn content_is_recognised_and_an_empty_disk_is_empty() {
        assert_eq!(recognise(&head(0, b"")), [""; 0]);
        assert_eq!(recognise(&head(0, b"XFSB")), ["an XFS file system"]);
        assert_eq!(
            recognise(&head(65_600, b"_BHRfS_M")),
            ["a btrfs file system"]
        );
        assert_eq!(recognise(b"XFSB"), ["an XFS file system"]);
        assert_eq!(recognise(b""), [""; 0]);
    }

    #[test]
    fn multi_mount_protection_is_seen_on_ext4_only() {
        let mut ext4 = head(1080, b"\x53\xef");
        assert!(!has_multi_mount_protection(&ext4));
        ext4[1024 + 0x61] = 0x01;
        assert!(has_multi_mount_protection(&ext4));
        assert!(!has_multi_mount_protection(&head(1024 + 0x61, b"\x01")));
        assert!(!has_multi_mount_protection(b""));
    }
}

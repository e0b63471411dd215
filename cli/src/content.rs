//! What is on a disk, recognised by its signatures: a disk with content is not tried out by accident.

/// One signature: what it says, where it stands, its bytes.
struct Signature {
    what: &'static str,
    /// From the beginning; of a tail signature from the end, counted back.
    offset: usize,
    bytes: &'static [u8],
}

const SIGNATURES: [Signature; 46] = [
    sign("a GUID partition table", 512, b"EFI PART"),
    sign("a GUID partition table (4 KiB blocks)", 4096, b"EFI PART"),
    sign("a partition table (MBR)", 510, b"\x55\xaa"),
    sign("a dynamic disk of Windows (LDM)", 3072, b"PRIVHEAD"),
    sign("an ext2, ext3 or ext4 file system", 1080, b"\x53\xef"),
    sign("an XFS file system", 0, b"XFSB"),
    sign("an NTFS file system", 3, b"NTFS    "),
    sign("a BitLocker volume", 3, b"-FVE-FS-"),
    sign("an exFAT file system", 3, b"EXFAT   "),
    sign("a FAT file system", 54, b"FAT1"),
    sign("a FAT file system", 82, b"FAT32   "),
    sign("a btrfs file system", 65_600, b"_BHRfS_M"),
    sign("an F2FS file system", 1024, b"\x10\x20\xf5\xf2"),
    sign("a GFS2 file system", 65_536, b"\x01\x16\x19\x70"),
    sign("an OCFS2 file system", 1024, b"OCFSV2"),
    sign("an OCFS2 file system", 2048, b"OCFSV2"),
    sign("an OCFS2 file system", 4096, b"OCFSV2"),
    sign("an OCFS2 file system", 8192, b"OCFSV2"),
    sign("a squashfs file system", 0, b"hsqs"),
    sign("an ISO 9660 file system", 32_769, b"CD001"),
    sign("a ZFS member", 131_072, b"\x0c\xb1\xba\0\0\0\0\0"),
    sign("a ZFS member", 132_096, b"\x0c\xb1\xba\0\0\0\0\0"),
    sign("a ZFS member", 135_168, b"\x0c\xb1\xba\0\0\0\0\0"),
    sign(
        "a ZFS member",
        262_144 - 40,
        b"\x11\x7a\x0c\xb1\x7a\xda\x10\x02",
    ),
    sign(
        "a ZFS member",
        16_384 - 40,
        b"\x11\x7a\x0c\xb1\x7a\xda\x10\x02",
    ),
    sign(
        "a ZFS member",
        131_072 - 40,
        b"\x11\x7a\x0c\xb1\x7a\xda\x10\x02",
    ),
    sign("swap space", 4086, b"SWAPSPACE2"),
    sign("an LVM physical volume", 0, b"LABELONE"),
    sign("an LVM physical volume", 512, b"LABELONE"),
    sign("an LVM physical volume", 1024, b"LABELONE"),
    sign("an LVM physical volume", 1536, b"LABELONE"),
    sign("an md member (1.1)", 0, b"\xfc\x4e\x2b\xa9"),
    sign("an md member (1.2)", 4096, b"\xfc\x4e\x2b\xa9"),
    sign(
        "a bcache member",
        4096 + 24,
        b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca",
    ),
    sign("a LUKS volume", 0, b"LUKS\xba\xbe"),
    sign("a VMFS volume", 1_048_576, b"\x0d\xd0\x01\xc0"),
    sign("an SBD device", 0, b"SBD_SBD_"),
    sign("a sanlock lockspace", 0, b"\x10\x20\x21\x12"),
    sign("a quorum log", 0, b"QLOG-SB\0"),
    sign("a quorum log", 4096, b"QLOG-SB\0"),
    sign("a quorum log", 8192, b"QLOG-SB\0"),
    sign("a quorum log", 12_288, b"QLOG-SB\0"),
    sign("a quorum log", 16_384, b"QLOG-SB\0"),
    sign("a quorum log", 20_480, b"QLOG-SB\0"),
    sign("a quorum log", 24_576, b"QLOG-SB\0"),
    sign("a quorum log", 28_672, b"QLOG-SB\0"),
];

/// Offsets from the end of the device.
const TAIL_SIGNATURES: [Signature; 7] = [
    sign("a GUID partition table (its second copy)", 512, b"EFI PART"),
    sign(
        "a GUID partition table (its second copy)",
        4096,
        b"EFI PART",
    ),
    sign("an md member (1.0)", 8192, b"\xfc\x4e\x2b\xa9"),
    sign("an md member (0.90)", 65_536, b"\xfc\x4e\x2b\xa9"),
    sign(
        "a ZFS member (its second copy)",
        40,
        b"\x11\x7a\x0c\xb1\x7a\xda\x10\x02",
    ),
    sign("a DRBD backing device", 4096 - 60, b"\x83\x74\x02\x6d"),
    sign("a quorum log (its second copy)", 32_768, b"QLOG-SB\0"),
];

/// Bytes from the beginning that hold every signature which a disk check looks for.
pub(crate) const HEAD_BYTES: usize = 65_600 + 8;
/// Bytes from the beginning, and from the end, that hold every signature there is.
pub(crate) const WINDOW_BYTES: usize = 1_048_576 + 4096;

const fn sign(what: &'static str, offset: usize, bytes: &'static [u8]) -> Signature {
    Signature {
        what,
        offset,
        bytes,
    }
}

/// What the beginning of a disk says is on it, each once.
pub(crate) fn recognise(head: &[u8]) -> Vec<&'static str> {
    matching(&SIGNATURES, head, Some)
}

/// What the end of a disk says is on it, each once. `tail` ends where the device ends.
pub(crate) fn recognise_tail(tail: &[u8]) -> Vec<&'static str> {
    matching(&TAIL_SIGNATURES, tail, |back| tail.len().checked_sub(back))
}

fn matching(
    signatures: &[Signature],
    bytes: &[u8],
    place: impl Fn(usize) -> Option<usize>,
) -> Vec<&'static str> {
    let mut found: Vec<&'static str> = signatures
        .iter()
        .filter(|signature| {
            place(signature.offset).is_some_and(|start| {
                bytes.get(start..start + signature.bytes.len()) == Some(signature.bytes)
            })
        })
        .map(|signature| signature.what)
        .collect();
    found.dedup();
    found
}

/// INCOMPAT_MMP of an ext4 superblock: multi-mount protection writes to the disk every few seconds and
/// waits for others that do.
pub(crate) fn has_multi_mount_protection(head: &[u8]) -> bool {
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
    fn the_end_of_a_disk_has_signatures_too() {
        let mut tail = vec![0; 65_536 + 1000];
        assert_eq!(recognise_tail(&tail), [""; 0]);
        let at = tail.len() - 512;
        tail[at..at + 8].copy_from_slice(b"EFI PART");
        tail[1000..1004].copy_from_slice(b"\xfc\x4e\x2b\xa9");
        assert_eq!(
            recognise_tail(&tail),
            [
                "a GUID partition table (its second copy)",
                "an md member (0.90)"
            ]
        );
        assert_eq!(recognise_tail(b"EFI PART"), [""; 0]);
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

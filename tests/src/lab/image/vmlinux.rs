//! The kernel itself out of a bzImage.
//!
//! QEMU boots the uncompressed ELF through its PVH entry, without firmware worth the name and without the guest's
//! own decompression, which under emulation takes longer than the whole rest of the boot.
//!
//! ```text
//! bzImage: number of setup sectors at 0x1F1; in the setup header: "HdrS" at 0x202, payload offset at 0x248 and length
//!          at 0x24C, counted from the end of the setup sectors. The payload is XZ (Debian 12) or ZSTD; its last
//!          4 bytes are the size of what is in it, and no part of the compressed stream.
//! ```
//!
//! (Linux, Documentation/arch/x86/boot.rst.)

use anyhow::{Context as _, Result, bail, ensure};

/// How a payload is compressed: the program that undoes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Packing {
    Xz,
    Zstd,
}

/// The compressed kernel inside a bzImage.
pub(crate) fn payload(image: &[u8]) -> Result<(Packing, &[u8])> {
    ensure!(
        image.get(0x202..0x206) == Some(b"HdrS"),
        "not a bzImage: no boot header"
    );
    let word = |at: usize| -> Result<usize> {
        let bytes: [u8; 4] = image
            .get(at..at + 4)
            .context("the boot header is cut off")?
            .try_into()?;
        Ok(usize::try_from(u32::from_le_bytes(bytes))?)
    };
    let setup_sectors = match image[0x1F1] {
        0 => 4, // as the boot protocol has it
        sectors => usize::from(sectors),
    };
    let start = (setup_sectors + 1) * 512 + word(0x248)?;
    let payload = image
        .get(start..start + word(0x24C)?)
        .context("the payload reaches past the end of the image")?;
    let stream = payload
        .get(..payload.len().saturating_sub(4))
        .unwrap_or_default();
    if stream.starts_with(b"\xFD7zXZ\0") {
        Ok((Packing::Xz, stream))
    } else if stream.starts_with(b"\x28\xB5\x2F\xFD") {
        Ok((Packing::Zstd, stream))
    } else {
        bail!("the payload is neither XZ nor ZSTD");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(setup_sectors: u8, magic: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 512 * 8];
        image[0x1F1] = setup_sectors;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x248] = 16;
        image[0x24C] = 100;
        let start = (usize::from(setup_sectors.max(1)) + 1) * 512 + 16;
        image[start..start + magic.len()].copy_from_slice(magic);
        image
    }

    #[test]
    fn the_payload_lies_behind_the_setup_sectors_without_the_size_behind_it() {
        let image = image(2, b"\xFD7zXZ\0");
        let (packing, payload) = payload(&image).unwrap();
        assert_eq!((packing, payload.len()), (Packing::Xz, 96));
    }

    #[test]
    fn a_zstd_payload_is_told_by_its_first_bytes() {
        let image = image(2, b"\x28\xB5\x2F\xFD");
        let (packing, payload) = payload(&image).unwrap();
        assert_eq!((packing, payload.len()), (Packing::Zstd, 96));
    }

    #[test]
    fn anything_else_is_refused() {
        assert!(payload(b"short").is_err());
        assert!(payload(&image(2, b"gzip")).is_err());
        let mut far = image(2, b"\xFD7zXZ\0");
        far[0x24F] = 0xFF;
        assert!(payload(&far).is_err());
    }
}

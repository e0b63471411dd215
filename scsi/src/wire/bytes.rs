//! Big-endian fields at named offsets (little-endian for NVMe).
//!
//! Reading is total: a byte that did not arrive reads as zero. Whoever must tell a missing byte from a
//! zero compares the length first; so no reader can panic on what a disk sends.
//! Writing is into buffers that the caller has sized for the format; writing beyond one is a bug of ours
//! and panics.

/// `N` bytes from `at` on; those that did not arrive are zero.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    for (to, from) in field.iter_mut().zip(bytes.iter().skip(at)) {
        *to = *from;
    }
    field
}

/// One byte.
pub(super) fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// Bit `bit` of the byte at `at`.
pub(super) fn bit(bytes: &[u8], at: usize, bit: u8) -> bool {
    byte(bytes, at) & 1 << bit != 0
}

/// A flag as the bit it occupies.
pub(super) const fn flag(set: bool, bit: u8) -> u8 {
    (set as u8) << bit
}

/// 16 bits, big-endian.
pub(super) fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(array(bytes, at))
}

/// 32 bits, big-endian.
pub(super) fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(array(bytes, at))
}

/// 64 bits, big-endian.
pub(super) fn be64(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(array(bytes, at))
}

/// A 32-bit length as an index: saturates where `usize` is narrower.
pub(super) fn length(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Puts a field into a buffer that has room for it.
pub(super) fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

/// The ASCII of a space-padded field (SPC-4 4.3.1) without the padding; a byte that is not printable
/// becomes a dot.
pub(super) fn text(field: &[u8]) -> String {
    let printable: String = field
        .iter()
        .map(|&byte| match byte {
            0x20..=0x7e => char::from(byte),
            0 => ' ',
            _ => '.',
        })
        .collect();
    printable.trim().to_owned()
}

/// Puts text into a field of `N` bytes, space-padded; what does not fit is cut off.
pub(super) fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [b' '; N];
    for (to, from) in field.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    field
}

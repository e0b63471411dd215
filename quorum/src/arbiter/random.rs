#![expect(unsafe_code, reason = "getrandom(2) has no safe call here")]
//! Random bytes of the OS: by a system call, which needs no descriptor and no file system.

use nix::errno::Errno;
use std::io;

/// Four bytes. Waits only before the kernel's generator is seeded, early in a boot.
pub(super) fn random_u32() -> io::Result<u32> {
    let mut bytes = [0_u8; 4];
    loop {
        // SAFETY: the kernel writes at most this many bytes to this live buffer. Up to 256 bytes come whole.
        let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        match Errno::result(got) {
            Ok(_) => return Ok(u32::from_le_bytes(bytes)),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::random_u32;
    use std::collections::BTreeSet;

    #[test]
    fn the_numbers_differ() {
        let seen: BTreeSet<u32> = (0..64).map(|_| random_u32().unwrap()).collect();
        assert!(seen.len() > 60, "{seen:?}");
    }
}

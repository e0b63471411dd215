//! What both ends need of the world beside sockets: random bytes, and the file of secrets.

use super::keyring::{FILE_BYTES_MAX, Keyring};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Random bytes from the kernel, for challenges and session identifiers.
///
/// # Errors
/// When /dev/urandom cannot be read.
pub(super) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Reads a file of CHAP names and secrets. One that others than its owner may read is refused: then its
/// secrets are none.
///
/// # Errors
/// Why it cannot be used. Never repeats a secret.
pub fn read_keyring(path: &Path) -> Result<Keyring, String> {
    let name = path.display();
    let file = File::open(path).map_err(|error| format!("{name}: {error}"))?;
    let metadata = file
        .metadata()
        .map_err(|error| format!("{name}: {error}"))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(format!(
            "{name}: others than its owner can use it, so its secrets are none; chmod 600 {name}"
        ));
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| format!("{name}: {error}"))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("{name}: longer than {FILE_BYTES_MAX} bytes"));
    }
    Keyring::parse(&text).map_err(|error| format!("{name}, {error}"))
}

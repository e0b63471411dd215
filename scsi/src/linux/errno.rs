//! Errors of the system in words.

use nix::errno::Errno;

/// The error as `strerror` has it, and its name.
pub(super) fn words(error: Errno) -> String {
    format!("{} ({error:?})", error.desc())
}

//! Where an arbiter keeps its files, unless it is told otherwise.
//!
//! | | state: the serials, on a disk | runtime: the locks, gone with a boot |
//! |---|---|---|
//! | a systemd unit with `StateDirectory=`, `RuntimeDirectory=` | `$STATE_DIRECTORY` | `$RUNTIME_DIRECTORY` |
//! | root | `/var/lib/qctl` | `/run/qctl` |
//! | others | `$XDG_STATE_HOME/qctl`, `~/.local/state/qctl` | `$XDG_RUNTIME_DIR/qctl`, `/tmp/qctl-UID` |

use std::path::PathBuf;

/// For [`super::Settings::state_dir`].
#[must_use]
pub fn state_dir() -> PathBuf {
    if let Some(dir) = variable("STATE_DIRECTORY") {
        return dir;
    }
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/var/lib/qctl");
    }
    let state = variable("XDG_STATE_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".local/state")))
        .unwrap_or_else(temporary);
    state.join("qctl")
}

/// For [`super::Settings::runtime_dir`].
#[must_use]
pub fn runtime_dir() -> PathBuf {
    if let Some(dir) = variable("RUNTIME_DIRECTORY") {
        return dir;
    }
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/run/qctl");
    }
    variable("XDG_RUNTIME_DIR").map_or_else(temporary, |dir| dir.join("qctl"))
}

fn temporary() -> PathBuf {
    PathBuf::from(format!("/tmp/qctl-{}", nix::unistd::geteuid()))
}

/// An absolute directory in the environment; systemd separates several with colons, and the first is ours.
fn variable(name: &str) -> Option<PathBuf> {
    let value = std::env::var_os(name)?.into_string().ok()?;
    let first = PathBuf::from(value.split(':').next()?);
    first.is_absolute().then_some(first)
}

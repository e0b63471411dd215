//! Where an arbiter of this host keeps its files.
//!
//! | who | state: the serials, on a disk | runtime: the locks, gone with a boot |
//! |---|---|---|
//! | root, and whoever may send reservation commands | `/var/lib/qctl` | `/run/qctl` |
//! | others, who have emulated disks only | `$XDG_STATE_HOME/qctl`, `~/.local/state/qctl` | `$XDG_RUNTIME_DIR/qctl`, `/tmp/qctl-UID` |
//!
//! Invariant: whoever can reach a real disk has one place a host, whatever the environment says. A lock in
//! two places is no lock: the second arbiter would take the first one's disk as its own, come back to life.
//! `StateDirectory=qctl` and `RuntimeDirectory=qctl` of a systemd unit are these same places.

use super::realtime::has_capability;
use std::ffi::OsString;
use std::path::PathBuf;

/// The bits of the capabilities that let reservation commands through (SG_IO; `IOC_PR_*`, NVMe).
const CAP_SYS_RAWIO: u32 = 17;
const CAP_SYS_ADMIN: u32 = 21;

/// For [`super::Settings::state_dir`].
#[must_use]
pub fn state_dir() -> PathBuf {
    state_dir_of(reaches_disks(), &|name| std::env::var_os(name))
}

/// For [`super::Settings::runtime_dir`].
#[must_use]
pub fn runtime_dir() -> PathBuf {
    runtime_dir_of(reaches_disks(), &|name| std::env::var_os(name))
}

fn reaches_disks() -> bool {
    nix::unistd::geteuid().is_root()
        || has_capability(CAP_SYS_RAWIO)
        || has_capability(CAP_SYS_ADMIN)
}

type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

fn state_dir_of(reaches_disks: bool, environment: Environment<'_>) -> PathBuf {
    if reaches_disks {
        return PathBuf::from("/var/lib/qctl");
    }
    let state = directory("XDG_STATE_HOME", environment)
        .or_else(|| directory("HOME", environment).map(|home| home.join(".local/state")))
        .unwrap_or_else(temporary);
    state.join("qctl")
}

fn runtime_dir_of(reaches_disks: bool, environment: Environment<'_>) -> PathBuf {
    if reaches_disks {
        return PathBuf::from("/run/qctl");
    }
    directory("XDG_RUNTIME_DIR", environment).map_or_else(temporary, |dir| dir.join("qctl"))
}

fn temporary() -> PathBuf {
    PathBuf::from(format!("/tmp/qctl-{}", nix::unistd::geteuid()))
}

fn directory(name: &str, environment: Environment<'_>) -> Option<PathBuf> {
    let path = PathBuf::from(environment(name)?);
    path.is_absolute().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::{runtime_dir_of, state_dir_of};
    use std::path::Path;

    #[test]
    fn who_can_reach_a_disk_has_one_place_whatever_the_environment_says() {
        let elsewhere = |_: &str| Some("/elsewhere".into());
        assert_eq!(runtime_dir_of(true, &elsewhere), Path::new("/run/qctl"));
        assert_eq!(state_dir_of(true, &elsewhere), Path::new("/var/lib/qctl"));
        assert_eq!(
            runtime_dir_of(false, &elsewhere),
            Path::new("/elsewhere/qctl")
        );
    }

    #[test]
    fn a_relative_directory_in_the_environment_is_none() {
        let relative = |_: &str| Some("here".into());
        assert!(runtime_dir_of(false, &relative).starts_with("/tmp"));
    }
}

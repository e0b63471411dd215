//! Every process that a command has started, however far it has run from its parents.
//!
//! The caller is a *child subreaper* (prctl): a descendant whose parent dies becomes the caller's own
//! child. So a tree cannot be left by double forking, a new session or a new process group, and killing
//! goes on until there is no child left to wait for.

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::BTreeMap;

/// From now on orphans below this process become its children.
///
/// # Errors
/// Never on Linux since 3.4.
pub(super) fn adopt_orphans() -> nix::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)
}

/// The processes below this one, as /proc shows them at this moment.
pub(super) fn descendants() -> Vec<Pid> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for (pid, parent) in processes() {
        children.entry(parent).or_default().push(pid);
    }
    let mut found = Vec::new();
    let mut parents = vec![std::process::id().cast_signed()];
    while let Some(parent) = parents.pop() {
        for pid in children.remove(&parent).unwrap_or_default() {
            found.push(Pid::from_raw(pid));
            parents.push(pid);
        }
    }
    found
}

/// Sends KILL to all of them once; how many there were. Those forked meanwhile are for the next call.
pub(super) fn kill_all() -> u32 {
    let found = descendants();
    for pid in &found {
        // It may have ended by itself since.
        let _gone = kill(*pid, Signal::SIGKILL);
    }
    u32::try_from(found.len()).unwrap_or(u32::MAX)
}

/// What waiting for the children brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reaped {
    /// This one has ended, with this status (128 + n after signal n).
    One(Pid, u8),
    /// This one has been stopped, and stands still.
    Stood(Pid),
    /// There are children, and none of them has ended.
    NoneYet,
    /// There is no child, and so no descendant, any more.
    NoneLeft,
}

/// Waits for one child that has ended or was stopped, without blocking.
pub(super) fn reap() -> Reaped {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
            Ok(WaitStatus::Exited(pid, code)) => {
                return Reaped::One(pid, u8::try_from(code & 0xff).unwrap_or(u8::MAX));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) => {
                return Reaped::One(pid, 128 + u8::try_from(signal as i32).unwrap_or(0));
            }
            Ok(WaitStatus::Stopped(pid, _)) => return Reaped::Stood(pid),
            Ok(WaitStatus::StillAlive) => return Reaped::NoneYet,
            Ok(
                WaitStatus::Continued(_)
                | WaitStatus::PtraceEvent(..)
                | WaitStatus::PtraceSyscall(_),
            )
            | Err(Errno::EINTR) => {}
            Err(_) => return Reaped::NoneLeft,
        }
    }
}

/// Every process, with its parent.
fn processes() -> impl Iterator<Item = (i32, i32)> {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let name = entry.ok()?.file_name();
            let pid = name.to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, parent(&stat)?))
        })
}

/// The parent in a line of /proc/PID/stat: `PID (NAME) STATE PARENT …`; the name may hold anything.
fn parent(stat: &str) -> Option<i32> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    after_name.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parent;

    #[test]
    fn a_process_name_cannot_lie_about_the_parent() {
        assert_eq!(parent("12 (sh) S 7 12 12 0"), Some(7));
        assert_eq!(parent("12 (a) S 99 (b) R 8 1"), Some(8));
        assert_eq!(parent("12 (sh"), None);
    }
}

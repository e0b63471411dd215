#![expect(
    unsafe_code,
    reason = "prepares a child between fork and exec, and this process for having children"
)]
//! What a child of ours is given before it becomes another program.

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use nix::unistd::{Pid, getppid};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The kernel kills this child when the thread that started it ends, however that comes. To be started by a
/// thread that lives as long as the child shall, such as the main thread.
pub(crate) fn die_with_parent(child: &mut Command) {
    let parent = Pid::this();
    let ask = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have died before the line above took effect.
        if getppid() == parent {
            Ok(())
        } else {
            Err(Errno::ESRCH.into())
        }
    };
    // SAFETY: between fork and exec it makes two system calls and neither allocates nor locks.
    unsafe { child.pre_exec(ask) };
}

/// A parent that ignores SIGCHLD hands that on: the kernel would reap our children, and nobody hear their status.
pub(crate) fn default_sigchld() -> nix::Result<()> {
    // SAFETY: the default action runs no code of ours.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }.map(|_before| ())
}

/// This child hears every signal: a blocked one, such as our TERM, would stay blocked across exec.
pub(crate) fn unblock_signals(child: &mut Command) {
    let unblock = || Ok(SigSet::empty().thread_set_mask()?);
    // SAFETY: between fork and exec it makes one system call and neither allocates nor locks.
    unsafe { child.pre_exec(unblock) };
}

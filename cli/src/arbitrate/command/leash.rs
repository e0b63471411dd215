#![expect(unsafe_code, reason = "prepares a child between fork and exec")]
//! What a child of ours is given before it becomes another program.

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
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

/// This child hears every signal: a blocked one, such as our TERM, would stay blocked across exec.
pub(crate) fn unblock_signals(child: &mut Command) {
    let unblock = || Ok(SigSet::empty().thread_set_mask()?);
    // SAFETY: between fork and exec it makes one system call and neither allocates nor locks.
    unsafe { child.pre_exec(unblock) };
}

//! What a lab starts on the host ends with it: also when the lab is killed.
#![expect(
    unsafe_code,
    reason = "a hook between fork and exec, so that a killed lab leaves nothing behind"
)]

use nix::sys::signal::Signal;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// The process that this command starts is killed when the thread that starts it is gone.
pub(crate) fn leash(command: &mut Command) {
    let die_with_us =
        || nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(std::io::Error::from);
    // SAFETY: the hook makes one system call and touches no memory that a fork may have left in between.
    unsafe { command.pre_exec(die_with_us) };
}

#![expect(
    unsafe_code,
    reason = "nix has no call for a thread's scheduling policy"
)]
//! What makes the defender punctual: locked memory, a warm stack, priority over ordinary threads.
//!
//! All of it is best effort: what the host refuses is told once, and the arbiter goes on. Lateness is
//! measured anyway, and an owner that is too late stops itself, so none of this is needed for safety.
//!
//! Memory is locked as it is touched (MCL_ONFAULT), not all at once: a program with large mappings
//! would otherwise pull everything in. Priority is SCHED_FIFO, and where that is refused a nice value;
//! it is not inherited by children.

use super::notice::Happening;
use nix::errno::Errno;
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use std::hint::black_box;

/// Above ordinary threads, below the kernel's own real-time threads (50).
const PRIORITY: libc::c_int = 20;

/// Where real time is refused.
const NICE: libc::c_int = -15;

/// The stack of every thread of the arbiter; a round needs a small part of it.
pub(super) const STACK_BYTES: usize = 512 * 1024;

/// How much of the stack is touched before it is needed.
const PREFAULT_BYTES: usize = 64 * 1024;

/// The bit of CAP_IPC_LOCK in a capability set.
const CAP_IPC_LOCK: u32 = 14;

/// Locks what the process has mapped and will map, as it is touched. Once a process.
pub(super) fn lock_memory() -> Result<(), Happening> {
    let refused = |why: String| Happening::Unprivileged {
        what: "locked memory",
        why,
    };
    let unlimited = raise_limit().unwrap_or(false);
    // Under a limit MCL_FUTURE would make a later mapping fail, in the middle of a defence.
    if !unlimited && !has_capability(CAP_IPC_LOCK) {
        return Err(refused(String::from(
            "it takes CAP_IPC_LOCK, or an unlimited RLIMIT_MEMLOCK (LimitMEMLOCK=infinity)",
        )));
    }
    let on_fault = MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);
    let flags = MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE | on_fault;
    mlockall(flags).map_err(|errno| refused(errno.to_string()))
}

/// Raises the soft limit on locked memory to the hard one; is it unlimited now?
fn raise_limit() -> nix::Result<bool> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_MEMLOCK)?;
    if soft != hard {
        setrlimit(Resource::RLIMIT_MEMLOCK, hard, hard)?;
    }
    Ok(hard == RLIM_INFINITY)
}

/// Does the process have this capability in its effective set? False where /proc does not tell.
pub(super) fn has_capability(bit: u32) -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return false;
    };
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .is_some_and(|set| set >> bit & 1 == 1)
}

/// Puts the calling thread above ordinary ones, and touches its stack; threads and processes that it starts are ordinary
/// again. For the thread that feeds an arbiter, beside the arbiter's own.
///
/// # Errors
/// What was refused ([`Happening::Unprivileged`]), and what it takes.
pub fn make_thread_urgent() -> Result<(), Happening> {
    prefault_stack();
    let Err(errno) = set_fifo() else {
        return Ok(());
    };
    let nice = set_nice();
    Err(Happening::Unprivileged {
        what: "real-time priority",
        why: match nice {
            Ok(()) => {
                format!("{errno}; it runs with nice {NICE} instead (CAP_SYS_NICE, LimitRTPRIO=)")
            }
            Err(_) => format!("{errno} (it takes CAP_SYS_NICE, or LimitRTPRIO={PRIORITY})"),
        },
    })
}

#[inline(never)]
fn prefault_stack() {
    black_box([0_u8; PREFAULT_BYTES]);
}

fn set_fifo() -> nix::Result<()> {
    let parameter = libc::sched_param {
        sched_priority: PRIORITY,
    };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the pointer is to a live `sched_param` of this frame, which the call only reads; process
    // zero is the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) };
    Errno::result(result).map(drop)
}

fn set_nice() -> nix::Result<()> {
    // SAFETY: the call takes plain numbers; on Linux "process" zero is the calling thread.
    let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
    Errno::result(result).map(drop)
}

#[cfg(test)]
mod tests {
    use super::{has_capability, make_thread_urgent};
    use crate::arbiter::notice::Happening;

    #[test]
    fn an_urgent_thread_is_urgent_or_the_refusal_names_what_it_takes() {
        let refused = std::thread::spawn(make_thread_urgent).join().unwrap();
        if let Err(Happening::Unprivileged { why, .. }) = refused {
            assert!(why.contains("CAP_SYS_NICE"), "{why}");
        }
    }

    #[test]
    fn a_capability_that_does_not_exist_is_not_had() {
        assert!(!has_capability(63));
    }
}

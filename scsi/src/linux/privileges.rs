//! What this process may do: its effective capabilities, from procfs.

use super::sysfs::{self, Roots};

/// `CAP_SYS_RAWIO` of `<linux/capability.h>`.
const SYS_RAWIO: u32 = 17;
/// `CAP_SYS_ADMIN`.
const SYS_ADMIN: u32 = 21;

/// The capabilities that disks ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Privileges {
    /// PERSISTENT RESERVE and RESERVE by SG_IO, reading too.
    pub sys_rawio: bool,
    /// Resets (with the other), NVMe passthrough, `IOC_PR_*` without a write-open.
    pub sys_admin: bool,
}

impl Privileges {
    /// Those of this process; none where procfs does not tell.
    #[must_use]
    pub fn of_this_process(roots: &Roots) -> Self {
        let status = sysfs::table(&roots.proc.join("self/status")).unwrap_or_default();
        let effective = status
            .lines()
            .find_map(|line| line.strip_prefix("CapEff:"))
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .unwrap_or(0);
        Self {
            sys_rawio: effective >> SYS_RAWIO & 1 == 1,
            sys_admin: effective >> SYS_ADMIN & 1 == 1,
        }
    }
}

//! Status codes (NVMe Base 2.0, Status Field).

use std::fmt;

/// What a command ended with: status code in bits 7 to 0, status code type in bits 10 to 8. Linux hands
/// out the same bits, with More in bit 13 and Do Not Retry in bit 14.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NvmeStatus(pub u16);

impl NvmeStatus {
    /// Successful Completion.
    pub const SUCCESS: Self = Self(0x000);
    /// Invalid Command Opcode.
    pub const INVALID_OPCODE: Self = Self(0x001);
    /// Invalid Field in Command.
    pub const INVALID_FIELD: Self = Self(0x002);
    /// Invalid Namespace or Format.
    pub const INVALID_NAMESPACE: Self = Self(0x00b);
    /// Command Abort Requested: also how a preempted host's commands end.
    pub const ABORT_REQUESTED: Self = Self(0x007);
    /// Host Identifier Inconsistent Format: ask for the report in the other form.
    pub const HOST_ID_INCONSISTENT: Self = Self(0x018);
    /// Reservation Conflict.
    pub const RESERVATION_CONFLICT: Self = Self(0x083);
    /// Compare Failure.
    pub const COMPARE_FAILURE: Self = Self(0x285);

    /// Do Not Retry, as Linux hands it out.
    const DO_NOT_RETRY: u16 = 0x4000;

    /// Without the bits that are not type and code, so that it can be compared.
    #[must_use]
    pub const fn code(self) -> Self {
        Self(self.0 & 0x07ff)
    }

    /// The controller says that the same command would fail again.
    #[must_use]
    pub const fn do_not_retry(self) -> bool {
        self.0 & Self::DO_NOT_RETRY != 0
    }

    /// The words of the standard; `None` for the codes that a shared namespace is not seen to answer.
    #[must_use]
    pub const fn words(self) -> Option<&'static str> {
        Some(match self.code().0 {
            // Generic command status.
            0x000 => "successful completion",
            0x001 => "invalid command opcode: not supported",
            0x002 => "invalid field in command",
            0x003 => "command ID conflict",
            0x004 => "data transfer error",
            0x005 => "aborted: power loss notification",
            0x006 => "internal error",
            0x007 => "command abort requested",
            0x008 => "aborted: submission queue deleted",
            0x009 => "aborted: failed fused command",
            0x00a => "aborted: missing fused command",
            0x00b => "invalid namespace or format",
            0x00c => "command sequence error",
            0x015 => "operation denied",
            0x018 => "host identifier inconsistent format",
            0x019 => "keep alive timer expired",
            0x01c => "sanitize failed",
            0x01d => "sanitize in progress",
            0x020 => "namespace is write protected",
            0x021 => "command interrupted",
            0x022 => "transient transport error",
            // Generic, of the NVM command set.
            0x080 => "LBA out of range",
            0x081 => "capacity exceeded",
            0x082 => "namespace not ready",
            0x083 => "reservation conflict",
            0x084 => "format in progress",
            // Command specific.
            0x10d => "feature identifier not saveable",
            0x10e => "feature not changeable",
            0x10f => "feature not namespace specific",
            // Media and data integrity.
            0x280 => "write fault",
            0x281 => "unrecovered read error",
            0x285 => "compare failure",
            0x286 => "access denied",
            // Path related.
            0x300 => "internal path error",
            0x301 => "asymmetric access persistent loss",
            0x302 => "asymmetric access inaccessible",
            0x303 => "asymmetric access transition",
            0x360 => "controller pathing error",
            0x370 => "host pathing error",
            0x371 => "command aborted by host",
            _ => return None,
        })
    }
}

/// `reservation conflict (083h)`
impl fmt::Display for NvmeStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.words().unwrap_or("NVMe status");
        write!(f, "{words} ({:03x}h)", self.code().0)?;
        if self.do_not_retry() {
            f.write_str(", do not retry")?;
        }
        Ok(())
    }
}

impl fmt::Debug for NvmeStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

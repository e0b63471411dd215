//! The kernel's structs and numbers, as its headers have them. No call is made here.
//!
//! Every struct has explicit padding (so that it is plain bytes), and its size and the offsets that
//! matter are checked when this is compiled. Only 64-bit kernels: pointers travel as `u64`.

use bytemuck::{Pod, Zeroable};
use std::mem::{offset_of, size_of};

const _: () = assert!(
    size_of::<usize>() == 8,
    "the kernel's structs are laid out for 64-bit pointers"
);

/// `struct sg_io_hdr` of `<scsi/sg.h>`, version 3.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, Debug)]
pub(super) struct SgIoHdr {
    pub(super) interface_id: i32,
    pub(super) dxfer_direction: i32,
    pub(super) cmd_len: u8,
    pub(super) mx_sb_len: u8,
    pub(super) iovec_count: u16,
    pub(super) dxfer_len: u32,
    pub(super) dxferp: u64,
    pub(super) cmdp: u64,
    pub(super) sbp: u64,
    pub(super) timeout: u32,
    pub(super) flags: u32,
    pub(super) pack_id: i32,
    pub(super) pad_52: u32,
    pub(super) usr_ptr: u64,
    pub(super) status: u8,
    pub(super) masked_status: u8,
    pub(super) msg_status: u8,
    pub(super) sb_len_wr: u8,
    pub(super) host_status: u16,
    pub(super) driver_status: u16,
    pub(super) resid: i32,
    pub(super) duration: u32,
    pub(super) info: u32,
    pub(super) pad_84: u32,
}

const _: () = {
    assert!(size_of::<SgIoHdr>() == 88);
    assert!(offset_of!(SgIoHdr, dxferp) == 16);
    assert!(offset_of!(SgIoHdr, sbp) == 32);
    assert!(offset_of!(SgIoHdr, timeout) == 40);
    assert!(offset_of!(SgIoHdr, usr_ptr) == 56);
    assert!(offset_of!(SgIoHdr, status) == 64);
    assert!(offset_of!(SgIoHdr, sb_len_wr) == 67);
    assert!(offset_of!(SgIoHdr, host_status) == 68);
    assert!(offset_of!(SgIoHdr, resid) == 72);
};

/// `SG_IO`.
pub(super) const SG_IO: u64 = 0x2285;
/// `SG_SCSI_RESET`.
pub(super) const SG_SCSI_RESET: u64 = 0x2284;
/// `interface_id` of version 3.
pub(super) const SG_INTERFACE_ID: i32 = 'S' as i32;
/// `SG_DXFER_NONE`.
pub(super) const SG_DXFER_NONE: i32 = -1;
/// `SG_DXFER_TO_DEV`.
pub(super) const SG_DXFER_TO_DEV: i32 = -2;
/// `SG_DXFER_FROM_DEV`.
pub(super) const SG_DXFER_FROM_DEV: i32 = -3;
/// `SG_SCSI_RESET_NO_ESCALATE` (missing from older C headers).
pub(super) const SG_SCSI_RESET_NO_ESCALATE: i32 = 0x100;

/// `struct pr_registration` of `<linux/pr.h>`.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, Debug)]
pub(super) struct PrRegistration {
    pub(super) old_key: u64,
    pub(super) new_key: u64,
    pub(super) flags: u32,
    pub(super) pad: u32,
}

/// `struct pr_reservation`.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, Debug)]
pub(super) struct PrReservation {
    pub(super) key: u64,
    pub(super) kind: u32,
    pub(super) flags: u32,
}

/// `struct pr_preempt`.
///
/// **The names mislead.** The kernel sends `old_key` as RESERVATION KEY and `new_key` as SERVICE ACTION
/// RESERVATION KEY, in its SCSI and in its NVMe driver: `old_key` is **ours**, `new_key` is **the
/// victim's**. Its documentation has the pair the other way round.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, Debug)]
pub(super) struct PrPreempt {
    /// Ours.
    pub(super) old_key: u64,
    /// The victim's.
    pub(super) new_key: u64,
    pub(super) kind: u32,
    pub(super) flags: u32,
}

/// `struct pr_clear`.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, Debug)]
pub(super) struct PrClear {
    pub(super) key: u64,
    pub(super) flags: u32,
    pub(super) pad: u32,
}

/// `struct pr_read_keys` (Linux 6.19).
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, Debug)]
pub(super) struct PrReadKeys {
    pub(super) generation: u32,
    /// In: how many the array holds. Out: how many there are.
    pub(super) num_keys: u32,
    pub(super) keys_ptr: u64,
}

/// `struct pr_read_reservation` (Linux 6.19).
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, Debug)]
pub(super) struct PrReadReservation {
    pub(super) key: u64,
    pub(super) generation: u32,
    pub(super) kind: u32,
}

const _: () = {
    assert!(size_of::<PrRegistration>() == 0x18);
    assert!(size_of::<PrReservation>() == 0x10);
    assert!(size_of::<PrPreempt>() == 0x18);
    assert!(size_of::<PrClear>() == 0x10);
    assert!(size_of::<PrReadKeys>() == 0x10);
    assert!(offset_of!(PrReadKeys, keys_ptr) == 8);
    assert!(size_of::<PrReadReservation>() == 0x10);
};

/// The type of the `IOC_PR_*` numbers.
pub(super) const PR_TYPE: u8 = b'p';
/// `PR_FL_IGNORE_KEY`.
pub(super) const PR_FL_IGNORE_KEY: u32 = 1;

/// `struct nvme_passthru_cmd` of `<linux/nvme_ioctl.h>`.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable, Debug)]
pub(super) struct NvmePassthruCmd {
    pub(super) opcode: u8,
    pub(super) flags: u8,
    pub(super) rsvd1: u16,
    pub(super) nsid: u32,
    pub(super) cdw2: u32,
    pub(super) cdw3: u32,
    pub(super) metadata: u64,
    pub(super) addr: u64,
    pub(super) metadata_len: u32,
    pub(super) data_len: u32,
    pub(super) cdw10: u32,
    pub(super) cdw11: u32,
    pub(super) cdw12: u32,
    pub(super) cdw13: u32,
    pub(super) cdw14: u32,
    pub(super) cdw15: u32,
    pub(super) timeout_ms: u32,
    pub(super) result: u32,
}

const _: () = {
    assert!(size_of::<NvmePassthruCmd>() == 72);
    assert!(offset_of!(NvmePassthruCmd, addr) == 24);
    assert!(offset_of!(NvmePassthruCmd, cdw10) == 40);
    assert!(offset_of!(NvmePassthruCmd, timeout_ms) == 64);
};

/// The type of the NVMe numbers.
pub(super) const NVME_TYPE: u8 = b'N';

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers as the kernel's headers print them, so that a wrong struct size or direction shows.
    #[test]
    fn the_ioctl_numbers_are_the_kernels() {
        assert_eq!(
            nix::request_code_write!(PR_TYPE, 200, size_of::<PrRegistration>()),
            0x4018_70c8
        );
        assert_eq!(
            nix::request_code_write!(PR_TYPE, 201, size_of::<PrReservation>()),
            0x4010_70c9
        );
        assert_eq!(
            nix::request_code_write!(PR_TYPE, 204, size_of::<PrPreempt>()),
            0x4018_70cc
        );
        assert_eq!(
            nix::request_code_write!(PR_TYPE, 205, size_of::<PrClear>()),
            0x4010_70cd
        );
        assert_eq!(
            nix::request_code_readwrite!(PR_TYPE, 206, size_of::<PrReadKeys>()),
            0xc010_70ce
        );
        assert_eq!(
            nix::request_code_read!(PR_TYPE, 207, size_of::<PrReadReservation>()),
            0x8010_70cf
        );
        assert_eq!(
            nix::request_code_readwrite!(NVME_TYPE, 0x43, size_of::<NvmePassthruCmd>()),
            0xc048_4e43
        );
    }
}

//! SG_IO and SG_SCSI_RESET with nothing around them: what a C program would write.
//!
//! Twice of use in a guest: as the ruler beside which `scsi::linux` is measured, and as the way to the kernel's
//! target for the comparison with the unit in memory, where our own way in shall not be part of what is compared.
#![expect(unsafe_code, reason = "two ioctls")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

/// `struct sg_io_hdr` of `scsi/sg.h`, version 3.
#[repr(C)]
struct Header {
    interface_id: i32,
    dxfer_direction: i32,
    cmd_len: u8,
    mx_sb_len: u8,
    iovec_count: u16,
    dxfer_len: u32,
    dxferp: *mut u8,
    cmdp: *const u8,
    sbp: *mut u8,
    timeout: u32,
    flags: u32,
    pack_id: i32,
    usr_ptr: usize,
    status: u8,
    masked_status: u8,
    msg_status: u8,
    sb_len_wr: u8,
    host_status: u16,
    driver_status: u16,
    resid: i32,
    duration: u32,
    info: u32,
}

const SG_IO: libc::c_ulong = 0x2285;
const SG_SCSI_RESET: libc::c_ulong = 0x2284;
const SG_SCSI_RESET_DEVICE: libc::c_int = 1;
const SG_SCSI_RESET_NO_ESCALATE: libc::c_int = 0x100;
const NO_DATA: i32 = -1;
const TO_DEVICE: i32 = -2;
const FROM_DEVICE: i32 = -3;
const SENSE_BYTES: u8 = 96;
const TIMEOUT_MS: u32 = 20_000;

/// How a command ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// The SAM status.
    pub status: u8,
    /// The sense bytes that came.
    pub sense: Vec<u8>,
    /// How many bytes of the data phase moved.
    pub moved: usize,
    /// The host adapter's own status: not 0 when no status came.
    pub host_status: u16,
}

/// The data phase.
#[derive(Debug)]
pub enum Data<'a> {
    /// None.
    None,
    /// From the device.
    In(&'a mut [u8]),
    /// To the device.
    Out(&'a mut [u8]),
}

/// Sends one command.
///
/// # Errors
/// When the kernel does not take it.
pub fn execute(device: &File, cdb: &[u8], data: Data<'_>) -> io::Result<Ended> {
    let (direction, pointer, length) = match data {
        Data::None => (NO_DATA, std::ptr::null_mut(), 0),
        Data::In(buffer) => (FROM_DEVICE, buffer.as_mut_ptr(), buffer.len()),
        Data::Out(buffer) => (TO_DEVICE, buffer.as_mut_ptr(), buffer.len()),
    };
    let mut sense = [0_u8; SENSE_BYTES as usize];
    let length = u32::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut header = Header {
        interface_id: i32::from(b'S'),
        dxfer_direction: direction,
        cmd_len: u8::try_from(cdb.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        mx_sb_len: SENSE_BYTES,
        iovec_count: 0,
        dxfer_len: length,
        dxferp: pointer,
        cmdp: cdb.as_ptr(),
        sbp: sense.as_mut_ptr(),
        timeout: TIMEOUT_MS,
        flags: 0,
        pack_id: 0,
        usr_ptr: 0,
        status: 0,
        masked_status: 0,
        msg_status: 0,
        sb_len_wr: 0,
        host_status: 0,
        driver_status: 0,
        resid: 0,
        duration: 0,
        info: 0,
    };
    // SAFETY: the header is the kernel's struct; its pointers lead to buffers of the lengths beside them, which
    // outlive the call, and the kernel keeps none of them: SG_IO returns when the command has ended.
    let done = unsafe { libc::ioctl(device.as_raw_fd(), SG_IO as _, &raw mut header) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    let missing = u32::try_from(header.resid).unwrap_or(0).min(length);
    Ok(Ended {
        status: header.status,
        sense: sense[..usize::from(header.sb_len_wr.min(SENSE_BYTES))].to_vec(),
        moved: usize::try_from(length - missing).unwrap_or(0),
        host_status: header.host_status,
    })
}

/// Resets the logical unit, and goes no further.
///
/// # Errors
/// When the kernel or the device does not.
pub fn reset_unit(device: &File) -> io::Result<()> {
    let mut scope = SG_SCSI_RESET_DEVICE | SG_SCSI_RESET_NO_ESCALATE;
    // SAFETY: the argument is an int that outlives the call.
    let done = unsafe { libc::ioctl(device.as_raw_fd(), SG_SCSI_RESET as _, &raw mut scope) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    #[test]
    fn the_header_is_laid_out_as_the_kernel_has_it() {
        assert_eq!(size_of::<Header>(), 88);
        assert_eq!(offset_of!(Header, dxferp), 16);
        assert_eq!(offset_of!(Header, timeout), 40);
        assert_eq!(offset_of!(Header, status), 64);
        assert_eq!(offset_of!(Header, resid), 72);
        assert_eq!(offset_of!(Header, info), 80);
    }
}

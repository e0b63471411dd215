//! SG_IO: one SCSI command through the kernel, and SG_SCSI_RESET.
//!
//! Sends on `/dev/sgN` where the disk has such a node, else on `/dev/sdX`: on the generic node a thread
//! that waits for a command can be killed, on the block node the kernel lets it wait for ever, and a
//! process that exits waits with it.
//!
//! Invariants:
//! * opened read-only and non-blocking: opening and closing change nothing and wake nobody (udev);
//! * the SAM status is taken from `status`, not from `masked_status`, which is shifted;
//! * no more bytes are reported than the buffer holds, whatever `resid` says;
//! * the kernel's own timeout is a little above the caller's bound, so that the caller is the first to
//!   give up, and the kernel ends the command soon after.
//!
//! Blocks: belongs inside [`crate::device::bounded`].

#![expect(unsafe_code, reason = "ioctl SG_IO and SG_SCSI_RESET")]

use super::abi::{
    SG_DXFER_FROM_DEV, SG_DXFER_NONE, SG_DXFER_TO_DEV, SG_INTERFACE_ID, SG_IO, SG_SCSI_RESET,
    SG_SCSI_RESET_NO_ESCALATE, SgIoHdr,
};
use super::errno;
use crate::device::{Completion, Data, Device, DeviceError, ResetError};
use crate::reservation::{ResetScope, Unsent};
use crate::wire::cdb::Cdb;
use crate::wire::sense::Sense;
use crate::wire::status::Status;
use nix::errno::Errno;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::time::Duration;

mod call {
    use super::{SG_IO, SG_SCSI_RESET, SgIoHdr};

    nix::ioctl_readwrite_bad!(sg_io, SG_IO, SgIoHdr);
    nix::ioctl_readwrite_bad!(sg_scsi_reset, SG_SCSI_RESET, i32);
}

/// The longest sense data of SPC-4 (4.5: 252 bytes).
const SENSE_MAX: usize = 252;

/// How much later than the caller the kernel gives up.
const KERNEL_MARGIN: Duration = Duration::from_millis(500);

/// The kernel gives up no sooner than this: its error handler stops the whole host adapter for every
/// command that it has to abort, so a short bound must not become a storm of aborts.
const KERNEL_TIMEOUT_MIN: Duration = Duration::from_secs(2);

/// A SCSI disk by SG_IO.
#[derive(Debug)]
pub struct SgIo {
    file: File,
    name: String,
}

impl SgIo {
    /// Sends on this open node; the name is for messages.
    #[must_use]
    pub fn new(file: File, name: String) -> Self {
        Self { file, name }
    }
}

/// The kernel's timeout for a command with this bound.
fn kernel_timeout_ms(bound: Duration) -> u32 {
    let timeout = bound.saturating_add(KERNEL_MARGIN).max(KERNEL_TIMEOUT_MIN);
    u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX)
}

impl Device for SgIo {
    fn execute(
        &mut self,
        cdb: &Cdb,
        data: Data<'_>,
        bound: Duration,
    ) -> Result<Completion, DeviceError> {
        let (direction, address, length) = match data {
            Data::None => (SG_DXFER_NONE, 0, 0),
            Data::In(buffer) => (
                SG_DXFER_FROM_DEV,
                buffer.as_mut_ptr().expose_provenance(),
                buffer.len(),
            ),
            Data::Out(bytes) => (
                SG_DXFER_TO_DEV,
                bytes.as_ptr().expose_provenance(),
                bytes.len(),
            ),
        };
        let too_long = |what: &str| {
            DeviceError::NotSent(Unsent::NoPath(format!(
                "{}: {what} is longer than SG_IO can carry",
                self.name
            )))
        };
        let mut sense = [0_u8; SENSE_MAX];
        let cdb_bytes = cdb.as_bytes();
        let mut header = SgIoHdr {
            interface_id: SG_INTERFACE_ID,
            dxfer_direction: if length == 0 {
                SG_DXFER_NONE
            } else {
                direction
            },
            cmd_len: u8::try_from(cdb_bytes.len()).map_err(|_| too_long("the CDB"))?,
            mx_sb_len: u8::try_from(SENSE_MAX).unwrap_or(u8::MAX),
            dxfer_len: u32::try_from(length).map_err(|_| too_long("the data"))?,
            dxferp: address as u64,
            cmdp: cdb_bytes.as_ptr().expose_provenance() as u64,
            sbp: sense.as_mut_ptr().expose_provenance() as u64,
            timeout: kernel_timeout_ms(bound),
            ..bytemuck::Zeroable::zeroed()
        };
        // SAFETY: SG_IO takes a pointer to a version 3 header, which `header` is; its three pointers lead
        // to buffers of the lengths beside them, which outlive the call; the kernel writes only to the
        // data of a data-in command, which came as `&mut`, and to `sense`.
        let called = unsafe { call::sg_io(self.file.as_raw_fd(), &raw mut header) };
        match called {
            Ok(_) => decode(&header, &sense, &self.name),
            Err(error) => Err(not_sent(error, &self.name)),
        }
    }

    fn reset(
        &mut self,
        scope: ResetScope,
        escalate: bool,
        _bound: Duration,
    ) -> Result<(), ResetError> {
        let mut argument = reset_argument(scope, escalate);
        // SAFETY: SG_SCSI_RESET takes a pointer to an int, which outlives the call.
        let called = unsafe { call::sg_scsi_reset(self.file.as_raw_fd(), &raw mut argument) };
        match called {
            Ok(_) => Ok(()),
            Err(error) => Err(reset_error(error, scope, &self.name)),
        }
    }
}

/// The error of the ioctl itself: it did not get as far as the device.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the system's errors are open"
)]
fn not_sent(error: Errno, name: &str) -> DeviceError {
    DeviceError::NotSent(match error {
        // `scsi_cmd_allowed` of the kernel: without the capability only a few commands pass.
        Errno::EPERM | Errno::EACCES => Unsent::NotPermitted(format!(
            "{name}: CAP_SYS_RAWIO (the kernel lets only root send this SCSI command)"
        )),
        // Interrupted while it waited: the command may well be under way.
        Errno::EINTR => {
            return DeviceError::Transport(format!("{name}: interrupted by a signal"));
        }
        other => Unsent::NoPath(format!("{name}: SG_IO: {}", errno::words(other))),
    })
}

/// `SG_SCSI_RESET`'s numbers: 1 device, 2 bus, 3 host, 4 target.
fn reset_argument(scope: ResetScope, escalate: bool) -> i32 {
    let number = match scope {
        ResetScope::Lun => 1,
        ResetScope::Bus => 2,
        ResetScope::Host => 3,
        ResetScope::Target => 4,
    };
    if escalate {
        number
    } else {
        number | SG_SCSI_RESET_NO_ESCALATE
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the system's errors are open"
)]
fn reset_error(error: Errno, scope: ResetScope, name: &str) -> ResetError {
    match error {
        Errno::EPERM | Errno::EACCES => DeviceError::NotSent(Unsent::NotPermitted(format!(
            "{name}: CAP_SYS_ADMIN and CAP_SYS_RAWIO (a reset takes both)"
        )))
        .into(),
        Errno::EINVAL | Errno::ENOTTY | Errno::EOPNOTSUPP => ResetError::Unsupported,
        Errno::EBUSY | Errno::EAGAIN => ResetError::Failed(format!(
            "{name}: the host adapter is in error recovery; try again when it is over"
        )),
        // The driver has no handler for this scope, or the handler failed: the kernel says EIO to both.
        Errno::EIO => ResetError::Failed(format!(
            "{name}: the driver has no {scope:?} reset, or it failed, and no wider one was allowed"
        )),
        Errno::ENODEV | Errno::ENXIO => {
            DeviceError::NotSent(Unsent::NoPath(format!("{name}: {}", errno::words(error)))).into()
        }
        other => ResetError::Failed(format!("{name}: {}", errno::words(other))),
    }
}

/// Host status codes of the SCSI middle layer (`DID_*`).
mod host {
    pub(super) const OK: u16 = 0x00;
    pub(super) const NO_CONNECT: u16 = 0x01;
    pub(super) const BUS_BUSY: u16 = 0x02;
    pub(super) const TIME_OUT: u16 = 0x03;
    pub(super) const BAD_TARGET: u16 = 0x04;
    pub(super) const ABORT: u16 = 0x05;
    pub(super) const ERROR: u16 = 0x07;
    pub(super) const RESET: u16 = 0x08;
    pub(super) const TRANSPORT_DISRUPTED: u16 = 0x0e;
    pub(super) const TRANSPORT_FAILFAST: u16 = 0x0f;
    pub(super) const TARGET_FAILURE: u16 = 0x10;
    pub(super) const NEXUS_FAILURE: u16 = 0x11;
}

/// Driver status: sense data are there. Set beside CHECK CONDITION by older kernels.
const DRIVER_SENSE: u16 = 0x08;
/// Driver status: the kernel's timeout ran out.
const DRIVER_TIMEOUT: u16 = 0x06;

/// What a header that came back says. Pure.
fn decode(
    header: &SgIoHdr,
    sense: &[u8; SENSE_MAX],
    name: &str,
) -> Result<Completion, DeviceError> {
    let asked = usize::try_from(header.dxfer_len).unwrap_or(0);
    let left = usize::try_from(header.resid).unwrap_or(0);
    let completion = |status, sense| Completion {
        status,
        sense,
        transferred: asked.saturating_sub(left),
    };
    let status = Status(header.status);
    // Kernels before 6.1 flag a conflict in the host status, some of them only there.
    if status == Status::RESERVATION_CONFLICT || header.host_status == host::NEXUS_FAILURE {
        return Ok(completion(Status::RESERVATION_CONFLICT, None));
    }
    if header.driver_status & 0x0f == DRIVER_TIMEOUT {
        return Err(DeviceError::TimedOut);
    }
    let written = usize::from(header.sb_len_wr).min(SENSE_MAX);
    let sense = Sense::parse(&sense[..written]);
    match header.host_status {
        host::OK | host::TARGET_FAILURE => Ok(completion(status, sense)),
        // A device that answered has answered, whatever else the adapter notes.
        _ if status == Status::CHECK_CONDITION && sense.is_some() => Ok(completion(status, sense)),
        host::TIME_OUT => Err(DeviceError::TimedOut),
        host::BAD_TARGET => Err(DeviceError::NotSent(Unsent::NoPath(format!(
            "{name}: nothing answers at this address"
        )))),
        other => Err(DeviceError::Transport(format!(
            "{name}: {} (host status {other:#04x}, driver status {:#04x})",
            host_words(other),
            header.driver_status & !DRIVER_SENSE
        ))),
    }
}

fn host_words(status: u16) -> &'static str {
    match status {
        // Also how commands end that were under way when their port went: not proof of "never sent".
        host::NO_CONNECT => "the connection is gone",
        host::BUS_BUSY => "the bus stayed busy",
        host::ABORT => "the command was aborted",
        host::ERROR => "the host adapter reports an error",
        host::RESET => "the command was lost to a reset",
        host::TRANSPORT_DISRUPTED => "the transport was disrupted",
        host::TRANSPORT_FAILFAST => "the path is down",
        _ => "the host adapter failed the command",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(change: impl FnOnce(&mut SgIoHdr)) -> Result<Completion, DeviceError> {
        let mut header = SgIoHdr {
            dxfer_len: 8,
            ..bytemuck::Zeroable::zeroed()
        };
        change(&mut header);
        let mut sense = [0; SENSE_MAX];
        sense[0] = 0x70;
        sense[2] = 0x06;
        sense[7] = 10;
        sense[12] = 0x29;
        decode(&header, &sense, "/dev/sg1")
    }

    #[test]
    fn good_with_a_residue_is_fewer_bytes() {
        assert_eq!(answered(|header| header.resid = 3).unwrap().transferred, 5);
    }

    #[test]
    fn a_residue_out_of_range_never_grows_or_underflows_the_data() {
        assert_eq!(answered(|header| header.resid = -5).unwrap().transferred, 8);
        assert_eq!(answered(|header| header.resid = 99).unwrap().transferred, 0);
    }

    #[test]
    fn a_conflict_is_a_conflict_whether_the_status_or_only_the_host_says_so() {
        for change in [
            |header: &mut SgIoHdr| header.status = 0x18,
            |header: &mut SgIoHdr| header.host_status = 0x11,
        ] {
            let done = answered(change).unwrap();
            assert_eq!(done.status, Status::RESERVATION_CONFLICT);
            assert_eq!(done.sense, None);
        }
    }

    #[test]
    fn the_shifted_status_is_not_looked_at() {
        let done = answered(|header| header.masked_status = 0x0c).unwrap();
        assert_eq!(done.status, Status::GOOD);
    }

    #[test]
    fn check_condition_brings_its_sense_as_far_as_it_was_written() {
        let check = |written| {
            answered(|header| {
                header.status = 2;
                header.driver_status = 8;
                header.sb_len_wr = written;
            })
            .unwrap()
            .sense
        };
        let sense = check(18).unwrap();
        assert_eq!((sense.key, sense.asc, sense.ascq), (6, 0x29, 0));
        assert_eq!(check(0), None);
    }

    #[test]
    fn the_kernels_timeouts_leave_the_outcome_unknown() {
        assert_eq!(
            answered(|header| header.host_status = 3),
            Err(DeviceError::TimedOut)
        );
        assert_eq!(
            answered(|header| header.driver_status = 6),
            Err(DeviceError::TimedOut)
        );
    }

    #[test]
    fn a_lost_connection_leaves_the_outcome_unknown_and_a_bad_address_does_not() {
        assert!(matches!(
            answered(|header| header.host_status = 4),
            Err(DeviceError::NotSent(Unsent::NoPath(_)))
        ));
        for status in [1, 2, 5, 7, 8, 0x0e, 0x0f, 0x42] {
            assert!(
                matches!(
                    answered(|header| header.host_status = status),
                    Err(DeviceError::Transport(_))
                ),
                "{status:#x}"
            );
        }
    }

    #[test]
    fn a_missing_privilege_is_named() {
        let DeviceError::NotSent(unsent) = not_sent(Errno::EPERM, "/dev/sdb") else {
            panic!("it was not sent");
        };
        assert!(unsent.to_string().contains("CAP_SYS_RAWIO"), "{unsent}");
        let error = reset_error(Errno::EACCES, ResetScope::Lun, "/dev/sdb").to_string();
        assert!(error.contains("CAP_SYS_ADMIN and CAP_SYS_RAWIO"), "{error}");
    }

    #[test]
    fn a_reset_does_not_escalate_unless_asked() {
        assert_eq!(reset_argument(ResetScope::Lun, false), 0x101);
        assert_eq!(reset_argument(ResetScope::Target, false), 0x104);
        assert_eq!(reset_argument(ResetScope::Bus, true), 2);
        assert_eq!(reset_argument(ResetScope::Host, false), 0x103);
    }

    #[test]
    fn the_kernel_gives_up_after_the_caller_and_never_at_once() {
        assert_eq!(kernel_timeout_ms(Duration::from_secs(30)), 30_500);
        assert_eq!(kernel_timeout_ms(Duration::from_millis(100)), 2_000);
        assert_eq!(kernel_timeout_ms(Duration::MAX), u32::MAX);
    }

    #[test]
    fn a_node_that_is_not_scsi_says_so() {
        let file = File::open("/dev/null").unwrap();
        let mut device = SgIo::new(file, "/dev/null".to_owned());
        let tur = Cdb::new(&[0; 6]).unwrap();
        let answer = device.execute(&tur, Data::None, Duration::from_secs(1));
        assert!(
            matches!(answer, Err(DeviceError::NotSent(Unsent::NoPath(_)))),
            "{answer:?}"
        );
        assert_eq!(
            device.reset(ResetScope::Lun, false, Duration::from_secs(1)),
            Err(ResetError::Unsupported)
        );
    }
}

//! The `IOC_PR_*` calls themselves.

#![expect(unsafe_code, reason = "ioctl IOC_PR_*")]

use super::super::abi::{
    PR_TYPE, PrClear, PrPreempt, PrReadKeys, PrReadReservation, PrRegistration, PrReservation,
};
use super::Calls;
use nix::errno::Errno;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

nix::ioctl_write_ptr!(pr_register, PR_TYPE, 200, PrRegistration);
nix::ioctl_write_ptr!(pr_reserve, PR_TYPE, 201, PrReservation);
nix::ioctl_write_ptr!(pr_release, PR_TYPE, 202, PrReservation);
nix::ioctl_write_ptr!(pr_preempt, PR_TYPE, 203, PrPreempt);
nix::ioctl_write_ptr!(pr_preempt_abort, PR_TYPE, 204, PrPreempt);
nix::ioctl_write_ptr!(pr_clear, PR_TYPE, 205, PrClear);
nix::ioctl_readwrite!(pr_read_keys, PR_TYPE, 206, PrReadKeys);
nix::ioctl_read!(pr_read_reservation, PR_TYPE, 207, PrReadReservation);

/// A block node: opened for reading at once, for writing only when a change is asked for and the process
/// is not privileged enough to do it without.
#[derive(Debug)]
pub(in crate::linux) struct BlockNode {
    read: File,
    path: String,
    needs_write_open: bool,
    write: Option<File>,
}

impl BlockNode {
    /// This node, already opened for reading.
    pub(in crate::linux) fn new(read: File, path: String, has_sys_admin: bool) -> Self {
        Self {
            read,
            path,
            needs_write_open: !has_sys_admin,
            write: None,
        }
    }

    /// What a change goes through.
    fn for_change(&mut self) -> Result<&File, Errno> {
        if !self.needs_write_open {
            return Ok(&self.read);
        }
        if self.write.is_none() {
            let file = File::options()
                .read(true)
                .write(true)
                .open(&self.path)
                .map_err(|error| errno_of(&error))?;
            // udev looks at every disk that was open for writing, unless somebody holds this lock. Who
            // holds it already keeps udev out as well, so that a refusal does not matter.
            drop(file.try_lock());
            self.write = Some(file);
        }
        self.write.as_ref().ok_or(Errno::EBADF)
    }
}

fn errno_of(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}

impl Calls for BlockNode {
    fn register(&mut self, argument: &PrRegistration) -> Result<i32, Errno> {
        let fd = self.for_change()?.as_raw_fd();
        // SAFETY: the number says a pointer to `struct pr_registration`, which the reference is; read only.
        unsafe { pr_register(fd, argument) }
    }

    fn reserve(&mut self, argument: &PrReservation) -> Result<i32, Errno> {
        let fd = self.for_change()?.as_raw_fd();
        // SAFETY: the number says a pointer to `struct pr_reservation`, which the reference is; read only.
        unsafe { pr_reserve(fd, argument) }
    }

    fn release(&mut self, argument: &PrReservation) -> Result<i32, Errno> {
        let fd = self.for_change()?.as_raw_fd();
        // SAFETY: the number says a pointer to `struct pr_reservation`, which the reference is; read only.
        unsafe { pr_release(fd, argument) }
    }

    fn preempt(&mut self, argument: &PrPreempt, abort: bool) -> Result<i32, Errno> {
        let fd = self.for_change()?.as_raw_fd();
        if abort {
            // SAFETY: the number says a pointer to `struct pr_preempt`, which the reference is; read only.
            unsafe { pr_preempt_abort(fd, argument) }
        } else {
            // SAFETY: as above.
            unsafe { pr_preempt(fd, argument) }
        }
    }

    fn clear(&mut self, argument: &PrClear) -> Result<i32, Errno> {
        let fd = self.for_change()?.as_raw_fd();
        // SAFETY: the number says a pointer to `struct pr_clear`, which the reference is; read only.
        unsafe { pr_clear(fd, argument) }
    }

    fn read_keys(&mut self, keys: &mut [u64]) -> Result<(i32, PrReadKeys), Errno> {
        let mut argument = PrReadKeys {
            generation: 0,
            num_keys: u32::try_from(keys.len()).map_err(|_| Errno::EINVAL)?,
            keys_ptr: keys.as_mut_ptr().expose_provenance() as u64,
        };
        // SAFETY: the number says a pointer to `struct pr_read_keys`, which this is; the kernel writes at
        // most `num_keys` keys to the array, which came as `&mut` and has that many.
        let status = unsafe { pr_read_keys(self.read.as_raw_fd(), &raw mut argument) }?;
        Ok((status, argument))
    }

    fn read_reservation(&mut self) -> Result<(i32, PrReadReservation), Errno> {
        let mut argument: PrReadReservation = bytemuck::Zeroable::zeroed();
        // SAFETY: the number says a pointer to `struct pr_read_reservation`, which this is.
        let status = unsafe { pr_read_reservation(self.read.as_raw_fd(), &raw mut argument) }?;
        Ok((status, argument))
    }
}

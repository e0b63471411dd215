//! The NVMe passthrough calls themselves.

#![expect(unsafe_code, reason = "ioctl NVME_IOCTL_*")]

use super::super::abi::{NVME_TYPE, NvmePassthruCmd};
use super::{Calls, Transfer};
use nix::errno::Errno;
use std::fs::File;
use std::os::fd::AsRawFd;

nix::ioctl_none_bad!(nvme_id, nix::request_code_none!(NVME_TYPE, 0x40));
nix::ioctl_readwrite!(nvme_admin_cmd, NVME_TYPE, 0x41, NvmePassthruCmd);
nix::ioctl_readwrite!(nvme_io_cmd, NVME_TYPE, 0x43, NvmePassthruCmd);

/// A namespace's node.
#[derive(Debug)]
pub(in crate::linux) struct NamespaceNode {
    file: File,
}

impl NamespaceNode {
    /// This node, opened (read-only will do for a privileged process).
    pub(in crate::linux) fn new(file: File) -> Self {
        Self { file }
    }
}

impl Calls for NamespaceNode {
    fn namespace_id(&mut self) -> Result<u32, Errno> {
        // SAFETY: NVME_IOCTL_ID takes no argument.
        let id = unsafe { nvme_id(self.file.as_raw_fd()) }?;
        u32::try_from(id).map_err(|_| Errno::EINVAL)
    }

    fn io(&mut self, command: NvmePassthruCmd, data: Transfer<'_>) -> Result<i32, Errno> {
        let mut command = with_data(command, data)?;
        // SAFETY: the number says a pointer to `struct nvme_passthru_cmd`, which this is; its data pointer
        // leads to `data_len` bytes that outlive the call. The commands sent here either take data out
        // (the kernel only reads them) or bring data in (they came as `&mut`).
        unsafe { nvme_io_cmd(self.file.as_raw_fd(), &raw mut command) }
    }

    fn admin(&mut self, command: NvmePassthruCmd, data: Transfer<'_>) -> Result<i32, Errno> {
        let mut command = with_data(command, data)?;
        // SAFETY: as for `io`.
        unsafe { nvme_admin_cmd(self.file.as_raw_fd(), &raw mut command) }
    }
}

fn with_data(command: NvmePassthruCmd, data: Transfer<'_>) -> Result<NvmePassthruCmd, Errno> {
    let (address, length) = match data {
        Transfer::In(buffer) => (buffer.as_mut_ptr().expose_provenance(), buffer.len()),
        Transfer::Out(bytes) => (bytes.as_ptr().expose_provenance(), bytes.len()),
    };
    Ok(NvmePassthruCmd {
        addr: address as u64,
        data_len: u32::try_from(length).map_err(|_| Errno::EINVAL)?,
        ..command
    })
}

//! `emu:FILE`, a logical unit kept in a file between processes: a disk that stays powered.
//!
//! ```text
//!   emu:FILE?nexus=NAME[&behaviour=standard|lio|tgt|hostile][&size=64M]
//!
//!   execute:  lock FILE ─► read state ─► run the command ─► write the next state ─► unlock
//! ```
//!
//! Any number of processes, each with a nexus of its own, share the unit as hosts share a disk. A file that
//! is not there, or is empty, becomes a new unit, of 64 MiB unless `size` says otherwise (512 bytes at least,
//! in bytes or with K, M, G, T). `behaviour` and `size` are fixed when the unit is made; naming another
//! later is an error, leaving them out is not.
//!
//! A nexus belongs to its name and not to a process, as that of `/dev/sdX` belongs to the host: an SPC-2
//! reservation stays when the process ends. [`EmulatedDevice::nexus_loss`] and [`EmulatedDevice::power_cycle`]
//! end what a logout or a power cut would.
//!
//! Invariants:
//! * a command is performed whole or not at all, but for the blocks of a WRITE, which a kill may tear as it
//!   does on a disk: SIGKILL at any point leaves the state before or after it (see [`store`]);
//! * waiting for the lock counts against the caller's bound: when it runs out nothing was executed;
//! * a file that is not one of ours, or is damaged, is refused and never written.

mod device;
mod disk;
mod media;
mod name;
mod store;

pub use device::EmulatedDevice;
pub(crate) use disk::open_disk;
pub use name::{Name, NameError, initiator, nexus_name};
pub use store::StoreError;

use crate::logical_unit::LogicalUnit;
use std::path::PathBuf;
use std::time::Duration;

/// Why an emulated disk could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum EmulatedError {
    /// The name breaks the rules of names.
    #[error("{name}: {why}")]
    Name {
        /// As given.
        name: String,
        /// What is wrong with it.
        #[source]
        why: NameError,
    },
    /// The file cannot be used.
    #[error("{}: {why}", file.display())]
    Store {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        #[source]
        why: StoreError,
    },
}

/// Opens the emulated disk with this name, and makes it if its file is not there. Sends no command.
///
/// # Errors
/// [`EmulatedError`].
pub fn open(name: &str, bound: Duration) -> Result<EmulatedDevice, EmulatedError> {
    let parsed = Name::parse(name).map_err(|why| EmulatedError::Name {
        name: name.to_owned(),
        why,
    })?;
    let file = parsed.file.clone();
    EmulatedDevice::open(parsed, bound).map_err(|why| EmulatedError::Store { file, why })
}

/// The state of the unit behind this name: what no command tells, for tests and demonstrations.
///
/// # Errors
/// [`EmulatedError`].
pub fn look(name: &str, bound: Duration) -> Result<LogicalUnit, EmulatedError> {
    let mut device = open(name, bound)?;
    device.look(bound).map_err(|why| EmulatedError::Store {
        file: device.name().file.clone(),
        why,
    })
}

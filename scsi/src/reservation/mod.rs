//! Reservations as values: what is registered, who holds what, what may be asked, what may come back.
//!
//! Everything above the seam (the arbitration machines, `qctl`) speaks these values and nothing else;
//! everything below it (SG_IO, IOC_PR, NVMe, iSCSI, the emulated unit) is a translation of them.
//! The values are the same for SCSI and NVMe; what a disk cannot say is an `Option` or a capability,
//! never a guess.

mod answer;
mod attention;
mod capabilities;
mod key;
mod kind;
mod nexus;
mod state;
mod verb;

pub use answer::{Answer, Exchange, Refusal, Reply, Uncertainty, Unsent};
pub use attention::{Attention, AttentionKind};
pub use capabilities::{Capabilities, ResetSupport, Support, TypeMask};
pub use key::Key;
pub use kind::ReservationType;
pub use nexus::{HostId, NexusId};
pub use state::{PersistentState, Registration, Reservation};
pub use verb::{RegisterOptions, ResetScope, Verb};

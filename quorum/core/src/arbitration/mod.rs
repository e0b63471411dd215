//! Who may own the quorum disk.

mod config;
mod event;
mod guards;
mod io;
mod keys;

pub use config::{Config, Mode, ParkedMark, Policy};
pub use event::{Event, Refused, Stopped};
pub use guards::{Guard, Guards};
pub use io::{BarrierKind, CommandId, Input, Output, PathId};
pub use keys::{ClusterTag, KeyOwner, KeyParts, NodeNumber};

use crate::Instant;

/// An arbitration machine of either protocol.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Arbitration {
    config: Config,
}

impl Arbitration {
    /// A machine that has not begun.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    /// One change; then drain [`Self::poll_output`].
    pub fn handle(&mut self, now: Instant, input: Input) {
        let _ = (now, input);
    }

    /// What is to be done next; `None` when all is.
    pub fn poll_output(&mut self) -> Option<Output> {
        None
    }

    /// When [`Input::Tick`] is due, if nothing else comes before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        None
    }
}

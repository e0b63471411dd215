//! Who may own the quorum disk.

mod config;
mod event;
mod io;

pub use config::{ClusterTag, Config, Mode, NodeNumber, ParkedMark, Policy};
pub use event::{Event, Refused, Stopped};
pub use io::{BarrierKind, CommandId, Input, Output, PathId};

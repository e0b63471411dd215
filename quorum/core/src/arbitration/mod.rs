//! Who may own the quorum disk: the machines, and what goes into them and comes out.
//!
//! | question | answer |
//! |---|---|
//! | what a challenger does | `persistent::challenge`, `spc2::contention` |
//! | when a take is a win | `persistent::win`, `spc2::win` |
//! | what a defender does, on a reset too | `persistent::defence`, `spc2::defence` |
//! | what "I hold it" means | `persistent::verdict` |
//! | how old ownership may be | `tenure`, with [`crate::times`] |
//! | what happens when the disk loses power | `persistent::power_loss` |
//! | what a loser, a refused and a released node leave behind | `persistent::leave` |
//! | which conditions keep all that, and which script and which checker notices each | [`Guard`], `tests/arbitration/guards.rs`, `quorum/sim/tests/guards.rs` |
//!
//! Every behaviour is a script under `testscripts/arbitration`, named after what happens; those that replay a
//! counterexample of the model of the first design say which trace it was. The checkers of
//! `tests/arbitration` run over them and over random schedules.
//!
//! What a driver owes: to answer each [`Output::Perform`] once, within its bound; to send [`Input::Start`]
//! only when no write of an earlier life of this node is under way; to send [`Input::Fed`] while whoever it
//! serves is alive, also before it owns the disk; to stop everything that writes when the point of the last
//! [`Output::ProvedUntil`] has come, without asking the machine; and to let nothing write before `Held`.

mod config;
mod desk;
mod event;
mod guards;
mod io;
mod keys;
mod persistent;
mod spc2;
mod stage;
mod tenure;

pub use config::{Config, Mode, ParkedMark, Policy};
pub use event::{Event, Refused, Stopped};
pub use guards::{Guard, Guards};
pub use io::{BarrierKind, CommandId, Input, Output, PathId};
pub use keys::{ClusterTag, KeyOwner, KeyParts, NodeNumber};
pub use stage::Stage;

use crate::Instant;
use persistent::Persistent;
use spc2::Spc2;

/// An arbitration machine of either protocol.
///
/// Its state is a value: it can be cloned, compared and hashed, and [`Self::normalized`] moves its clock
/// to one fixed point, so that a model checker can close its world.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Arbitration(Machine);

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Machine {
    Persistent(Box<Persistent>),
    Spc2(Box<Spc2>),
}

/// Where a machine stands, in one word.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Status {
    /// Not begun.
    Idle,
    /// Looking, registering, waiting, taking, or waiting for its turn.
    Contending,
    /// The disk refuses everybody else.
    Held,
    /// Whatever the disk cannot fence may run.
    Owner,
    /// An owner that lost its reservation in a power loss, and takes it again.
    Retaking,
    /// Taking away what is its own.
    Leaving,
    /// Standing still for good.
    Stopped(Stopped),
}

impl Arbitration {
    /// A machine that has not begun.
    ///
    /// # Panics
    /// When `config` has no path.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self(match config.mode {
            Mode::Persistent => Machine::Persistent(Box::new(Persistent::new(config))),
            Mode::Spc2 => Machine::Spc2(Box::new(Spc2::new(config))),
        })
    }

    /// One change; then drain [`Self::poll_output`].
    pub fn handle(&mut self, now: Instant, input: Input) {
        match &mut self.0 {
            Machine::Persistent(machine) => machine.handle(now, input),
            Machine::Spc2(machine) => machine.handle(now, input),
        }
    }

    /// What is to be done next; `None` when all is.
    pub fn poll_output(&mut self) -> Option<Output> {
        match &mut self.0 {
            Machine::Persistent(machine) => machine.poll_output(),
            Machine::Spc2(machine) => machine.poll_output(),
        }
    }

    /// When [`Input::Tick`] is due, if nothing else comes before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        match &self.0 {
            Machine::Persistent(machine) => machine.next_deadline(),
            Machine::Spc2(machine) => machine.next_deadline(),
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        match &self.0 {
            Machine::Persistent(machine) => machine.status(),
            Machine::Spc2(machine) => machine.status(),
        }
    }

    /// Where exactly it stands.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match &self.0 {
            Machine::Persistent(machine) => machine.stage(),
            Machine::Spc2(machine) => machine.stage(),
        }
    }

    /// The same machine under other guards: what it would do next without one of them is how a simulation
    /// finds out whether that one was needed.
    #[must_use]
    pub fn with_guards(&self, guards: Guards) -> Self {
        let mut machine = self.clone();
        match &mut machine.0 {
            Machine::Persistent(machine) => machine.set_guards(guards),
            Machine::Spc2(machine) => machine.set_guards(guards),
        }
        machine
    }

    /// The same machine on a clock that shows [`Self::NORMAL_NOW`], with the commands that are out
    /// numbered from 1; the pairs are their old and new ids. Two machines that would act alike from now on
    /// are equal after it, but for the serials of their keys. All outputs must have been drained.
    #[must_use]
    pub fn normalized(&self) -> (Self, Vec<(CommandId, CommandId)>) {
        match &self.0 {
            Machine::Persistent(machine) => {
                let (machine, renamed) = machine.normalized();
                (Self(Machine::Persistent(Box::new(machine))), renamed)
            }
            Machine::Spc2(machine) => {
                let (machine, renamed) = machine.normalized();
                (Self(Machine::Spc2(Box::new(machine))), renamed)
            }
        }
    }

    /// What the clock of a normalised machine shows.
    pub const NORMAL_NOW: Instant = desk::NORMAL_NOW;
}

//! One unit in memory and many [`Device`]s on it, one for each nexus: for tests and simulation.

use super::{Config, LogicalUnit, MemoryMedia, Nexus, Outcome};
use crate::device::{Completion, Data, Device, DeviceError, ResetError};
use crate::reservation::ResetScope;
use crate::wire::cdb::Cdb;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A unit and its medium, shared.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Mutex<(LogicalUnit, MemoryMedia)>>);

impl Shared {
    /// A new unit with an empty medium.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self(Arc::new(Mutex::new((
            LogicalUnit::new(config),
            MemoryMedia::new(),
        ))))
    }

    /// This nexus to the unit. Nothing is sent before its first command.
    #[must_use]
    pub fn device(&self, nexus: Nexus) -> SharedDevice {
        SharedDevice {
            shared: self.clone(),
            nexus,
        }
    }

    /// Looks at the unit, or does to it what no command can: nexus loss, power cycle.
    pub fn with<T>(&self, act: impl FnOnce(&mut LogicalUnit, &mut MemoryMedia) -> T) -> T {
        // A unit is sound between commands, also when another thread panicked: it asserts so itself.
        let mut locked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (unit, media) = &mut *locked;
        act(unit, media)
    }

    /// The power goes and comes back: unsynchronised blocks are lost too.
    pub fn power_cycle(&self) {
        self.with(|unit, media| {
            media.power_loss();
            unit.power_cycle();
        });
    }
}

/// One nexus to a [`Shared`] unit.
#[derive(Clone, Debug)]
pub struct SharedDevice {
    shared: Shared,
    nexus: Nexus,
}

impl SharedDevice {
    /// Which nexus it is.
    #[must_use]
    pub const fn nexus(&self) -> &Nexus {
        &self.nexus
    }
}

/// A command that waits for nobody: the bound is kept by being fast.
impl Device for SharedDevice {
    fn execute(
        &mut self,
        cdb: &Cdb,
        data: Data<'_>,
        _bound: Duration,
    ) -> Result<Completion, DeviceError> {
        let data_out = match &data {
            Data::Out(bytes) => bytes,
            Data::None | Data::In(_) => &[][..],
        };
        let outcome = self
            .shared
            .with(|unit, media| unit.execute(&self.nexus, cdb, data_out, media));
        Ok(outcome.deliver(data))
    }

    fn reset(
        &mut self,
        scope: ResetScope,
        _escalate: bool,
        _bound: Duration,
    ) -> Result<(), ResetError> {
        self.shared.with(|unit, _| unit.reset(scope));
        Ok(())
    }

    fn clear_task_set(&mut self, _bound: Duration) -> Result<(), ResetError> {
        self.shared.with(|unit, _| unit.clear_task_set(&self.nexus));
        Ok(())
    }
}

impl Outcome {
    /// Moves the data phase: as much as the host has room for.
    #[must_use]
    pub fn deliver(self, data: Data<'_>) -> Completion {
        let transferred = match data {
            Data::None => 0,
            Data::In(room) => {
                let length = room.len().min(self.data_in.len());
                room[..length].copy_from_slice(&self.data_in[..length]);
                length
            }
            // Refused commands take no data.
            Data::Out(bytes) if self.status == crate::wire::status::Status::GOOD => bytes.len(),
            Data::Out(_) => 0,
        };
        Completion {
            status: self.status,
            sense: self.sense,
            transferred,
        }
    }
}

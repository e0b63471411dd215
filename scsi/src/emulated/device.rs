//! One nexus to an emulated disk.

use super::media::FileMedia;
use super::name::Name;
use super::store::{Loaded, Locked, Store, StoreError};
use crate::device::{Completion, Data, Device, DeviceError, ResetError};
use crate::logical_unit::{LogicalUnit, Nexus};
use crate::reservation::{ResetScope, Unsent};
use crate::wire::cdb::Cdb;
use std::time::Duration;

/// One nexus to an emulated disk. Cheap to open: nothing is kept between commands but the open file.
#[derive(Debug)]
pub struct EmulatedDevice {
    name: Name,
    nexus: Nexus,
    store: Store,
}

impl EmulatedDevice {
    pub(super) fn open(name: Name, bound: Duration) -> Result<Self, StoreError> {
        let store = Store::open(&name, bound)?;
        Ok(Self {
            nexus: name.nexus(),
            name,
            store,
        })
    }

    /// The name that it was opened by.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// This nexus.
    #[must_use]
    pub const fn nexus(&self) -> &Nexus {
        &self.nexus
    }

    /// The unit as it is now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn look(&mut self, bound: Duration) -> Result<LogicalUnit, StoreError> {
        Ok(self.store.lock(bound)?.load()?.unit)
    }

    /// This nexus is lost, as by the death of its host: its SPC-2 reservation goes, registrations stay.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn nexus_loss(&mut self, bound: Duration) -> Result<(), StoreError> {
        let nexus = self.nexus.clone();
        self.change(bound, |unit| unit.nexus_loss(&nexus))
    }

    /// The power of the unit goes and comes back. The blocks stay: they have no cache of their own.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn power_cycle(&mut self, bound: Duration) -> Result<(), StoreError> {
        self.change(bound, LogicalUnit::power_cycle)
    }

    fn change(
        &mut self,
        bound: Duration,
        change: impl FnOnce(&mut LogicalUnit),
    ) -> Result<(), StoreError> {
        let locked = self.store.lock(bound)?;
        let mut loaded = locked.load()?;
        change(&mut loaded.unit);
        locked.save(&loaded)
    }

    fn locked(&self, bound: Duration) -> Result<(Locked<'_>, Loaded), DeviceError> {
        let locked = self.store.lock(bound).map_err(not_sent)?;
        let loaded = locked.load().map_err(not_sent)?;
        Ok((locked, loaded))
    }
}

impl Device for EmulatedDevice {
    fn execute(
        &mut self,
        cdb: &Cdb,
        data: Data<'_>,
        bound: Duration,
    ) -> Result<Completion, DeviceError> {
        let (locked, mut loaded) = self.locked(bound)?;
        let mut media = FileMedia {
            file: locked.file(),
            offset: locked.media_offset(),
        };
        let data_out = match &data {
            Data::Out(bytes) => bytes,
            Data::None | Data::In(_) => &[][..],
        };
        let outcome = loaded.unit.execute(&self.nexus, cdb, data_out, &mut media);
        locked.save(&loaded).map_err(outcome_unknown)?;
        Ok(outcome.deliver(data))
    }

    fn reset(
        &mut self,
        scope: ResetScope,
        _escalate: bool,
        bound: Duration,
    ) -> Result<(), ResetError> {
        let (locked, mut loaded) = self.locked(bound)?;
        loaded.unit.reset(scope);
        locked
            .save(&loaded)
            .map_err(|why| ResetError::Device(outcome_unknown(why)))
    }

    fn clear_task_set(&mut self, bound: Duration) -> Result<(), ResetError> {
        let (locked, mut loaded) = self.locked(bound)?;
        loaded.unit.clear_task_set(&self.nexus);
        locked
            .save(&loaded)
            .map_err(|why| ResetError::Device(outcome_unknown(why)))
    }
}

/// Nothing was executed: the lock or the state was not to be had.
fn not_sent(why: StoreError) -> DeviceError {
    DeviceError::NotSent(match why {
        StoreError::Busy { .. } => Unsent::Busy,
        StoreError::Io { .. }
        | StoreError::Foreign
        | StoreError::Newer { .. }
        | StoreError::Damaged { .. }
        | StoreError::OtherBehaviour { .. }
        | StoreError::OtherSize { .. } => Unsent::NoPath(why.to_string()),
    })
}

/// The state was not written whole: the next command finds the one before, or this one.
fn outcome_unknown(why: StoreError) -> DeviceError {
    DeviceError::Transport(why.to_string())
}

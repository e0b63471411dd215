//! Writing superblocks: over the one before the last, both copies, flushed, and looked up again.

use super::{Log, Roots};
use crate::buffer::Aligned;
use crate::error::WriteError;
use crate::guards::{Guard, Guards};
use crate::ids::Epoch;
use crate::layout::{BANKS, COPIES, Layout};
use crate::recover::roots;
use crate::storage::Storage;
use crate::superblock::Superblock;
use std::io;

/// Writes both copies, flushes them, and reads each back: a copy that did not arrive would leave the root of
/// the log on one leg without a word.
pub(super) fn write<S: Storage>(
    storage: &S,
    layout: &Layout,
    superblock: &Superblock,
    guards: Guards,
) -> Result<(), (u64, io::Error)> {
    let slot = if guards.on(Guard::SlotByEpoch) {
        Layout::slot_of(superblock.epoch)
    } else {
        0
    };
    let bank = if guards.on(Guard::SuperblockBanks) {
        superblock.number % BANKS
    } else {
        0
    };
    let place = usize::try_from(layout.format().superblock_place()).expect("at most 64 KiB");
    let mut buffer = Aligned::zeroed(place);
    let mut at = 0;
    for copy in 0..COPIES {
        at = layout.superblock(slot, bank, copy);
        let bytes = superblock.emit(at, guards);
        buffer[..bytes.len()].copy_from_slice(&bytes);
        storage.write_at(at, &buffer).map_err(|error| (at, error))?;
    }
    storage.flush().map_err(|error| (at, error))?;
    if !guards.on(Guard::ReadBack) {
        return Ok(());
    }
    for copy in 0..COPIES {
        at = layout.superblock(slot, bank, copy);
        let bytes = superblock.emit(at, guards);
        storage
            .read_at(at, &mut buffer)
            .map_err(|error| (at, error))?;
        if buffer[..bytes.len()] != bytes[..] {
            return Err((at, io::Error::other("it does not read back as written")));
        }
    }
    Ok(())
}

/// The newest one on the medium, if it can be told.
pub(super) fn on_medium<S: Storage>(
    storage: &S,
    layout: &Layout,
    guards: Guards,
) -> Result<Superblock, String> {
    let places = roots::read_of(
        storage,
        layout.format().superblock_place(),
        layout.region_bytes(),
        guards,
    );
    let newest = roots::choose(&places).map_err(|error| error.to_string())?;
    let newest = newest.ok_or_else(|| "no superblock can be read".to_owned())?;
    if newest.other.is_some() {
        return Err(format!(
            "another claim of epoch {} is there as well",
            newest.superblock.epoch
        ));
    }
    Ok(newest.superblock)
}

impl<S: Storage> Log<S> {
    /// The next superblock takes the place of the last; an error ends the handle.
    pub(super) fn replace_superblock(
        &self,
        roots: &mut Roots,
        mut superblock: Superblock,
    ) -> Result<(), WriteError> {
        superblock.number = roots.superblock.number + 1;
        superblock.durable = self.position().durable;
        self.prove()?;
        let written = write(
            &self.storage,
            self.layout(),
            &superblock,
            self.shared.guards,
        );
        written.map_err(|(at, error)| {
            self.fail(format!("writing a superblock at byte {at}: {error}"), false)
        })?;
        roots.superblock = superblock;
        self.prove()
    }

    /// Is the newest superblock still this handle's?
    pub(super) fn recheck_owner(&self, roots: &Roots) -> Result<(), WriteError> {
        if !self.shared.guards.on(Guard::OwnerRecheck) {
            return Ok(());
        }
        let found = on_medium(&self.storage, self.layout(), self.shared.guards)
            .map_err(|why| self.fail(why, false))?;
        if found.incarnation == self.incarnation && found.number == roots.superblock.number {
            return Ok(());
        }
        let Epoch(epoch) = found.epoch;
        let who = found.owner.node;
        Err(self.fail(
            format!("node {who} has claimed epoch {epoch}: this owner is fenced"),
            true,
        ))
    }

    pub(super) fn prove(&self) -> Result<(), WriteError> {
        self.fencing.check().map_err(|why| self.fail(why, true))
    }

    /// Ends the handle.
    pub(super) fn fail(&self, cause: String, fenced: bool) -> WriteError {
        let mut state = self.lock();
        self.poison(&mut state, cause, fenced).into()
    }
}

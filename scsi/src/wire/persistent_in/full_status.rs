//! READ FULL STATUS (SPC-4 6.15.5): which nexus is registered with which key, and which one holds.

use super::{emit_header, generation, header, holder, parse_scope_type, whole_list};
use crate::reservation::{
    Key, NexusId, PersistentState, Registration, Reservation, ReservationType,
};
use crate::wire::ParameterError;
use crate::wire::bytes::{be16, be32, be64, bit, byte, flag, length, put};
use crate::wire::transport_id::TransportId;

/// Offsets in a full status descriptor (SPC-4 6.15.5).
mod field {
    pub(super) const KEY: usize = 0;
    pub(super) const FLAGS: usize = 12;
    pub(super) const ALL_TG_PT: u8 = 1;
    pub(super) const R_HOLDER: u8 = 0;
    pub(super) const SCOPE_TYPE: usize = 13;
    pub(super) const RELATIVE_TARGET_PORT: usize = 18;
    pub(super) const ADDITIONAL_LENGTH: usize = 20;
    pub(super) const TRANSPORT_ID: usize = 24;
    /// The fixed part, and the longest TransportID: an iSCSI port with a name of 223 bytes.
    pub(super) const LENGTH_MAX: usize = 24 + 248;
}

/// One registration.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct FullStatusEntry {
    /// Its key.
    pub key: Key,
    /// The type that it holds (R_HOLDER); `None` when it holds nothing.
    pub holds: Option<ReservationType>,
    /// RELATIVE TARGET PORT IDENTIFIER; `None` under ALL_TG_PT.
    pub relative_target_port: Option<u16>,
    /// The initiator port.
    pub initiator: TransportId,
}

/// Every registration with its nexus.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct FullStatus {
    /// PRGENERATION.
    pub generation: u32,
    /// The registrations, in the disk's order.
    pub entries: Vec<FullStatusEntry>,
}

impl FullStatus {
    /// Parses what arrived in answer to a question with this allocation length.
    ///
    /// # Errors
    /// [`ParameterError::Incomplete`]: ask again (see the [module](super)); else the answer is broken.
    pub fn parse(arrived: &[u8], allocation_length: u16) -> Result<Self, ParameterError> {
        let list = whole_list(arrived, allocation_length, field::LENGTH_MAX)?;
        let mut entries = Vec::new();
        let mut at = 0;
        while at < list.len() {
            let (entry, length) = parse_entry(&list[at..], header::LENGTH + at)?;
            entries.push(entry);
            at += length;
        }
        Ok(Self {
            generation: generation(arrived),
            entries,
        })
    }

    /// The whole answer; a device server sends as much of it as was asked for.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut list = Vec::new();
        for entry in &self.entries {
            emit_entry(entry, &mut list);
        }
        emit_header(self.generation, &list)
    }

    /// The reservation in force, as the holder's entry tells it.
    #[must_use]
    pub fn reservation(&self) -> Option<Reservation> {
        let held = self.entries.iter().find_map(|entry| {
            let kind = entry.holds?;
            Some((entry.key, kind))
        });
        held.map(|(key, kind)| Reservation {
            key: (!kind.all_registrants()).then_some(key),
            kind,
        })
    }

    /// The same as the values that the verbs speak.
    #[must_use]
    pub fn into_state(self) -> PersistentState {
        let reservation = self.reservation();
        let registrations = self.entries.into_iter().map(|entry| Registration {
            key: entry.key,
            holder: Some(entry.holds.is_some()),
            all_target_ports: entry.relative_target_port.is_none(),
            nexus: Some(NexusId::Scsi {
                initiator: entry.initiator,
                relative_target_port: entry.relative_target_port,
            }),
        });
        PersistentState {
            generation: self.generation,
            registrations: registrations.collect(),
            reservation,
        }
    }
}

/// The descriptor at the start of `list`, which starts at `at` in the answer, and its length.
fn parse_entry(list: &[u8], at: usize) -> Result<(FullStatusEntry, usize), ParameterError> {
    let cut = |expected: usize| ParameterError::Length {
        expected: expected.saturating_add(at),
        arrived: list.len() + at,
    };
    let id_length = length(be32(list, field::ADDITIONAL_LENGTH));
    let end = id_length.saturating_add(field::TRANSPORT_ID);
    let id = list.get(field::TRANSPORT_ID..end).ok_or_else(|| cut(end))?;
    let key = Key::new(be64(list, field::KEY)).ok_or(ParameterError::Field {
        at: at + field::KEY,
        what: "a registered key is zero",
    })?;
    let holds = if bit(list, field::FLAGS, field::R_HOLDER) {
        let value = byte(list, field::SCOPE_TYPE);
        let kind = parse_scope_type(value, at + field::SCOPE_TYPE)?;
        Some(holder(Some(key), kind, at)?.kind)
    } else {
        None
    };
    let all_target_ports = bit(list, field::FLAGS, field::ALL_TG_PT);
    let entry = FullStatusEntry {
        key,
        holds,
        relative_target_port: (!all_target_ports).then(|| be16(list, field::RELATIVE_TARGET_PORT)),
        initiator: TransportId::parse_area(id),
    };
    Ok((entry, end))
}

fn emit_entry(entry: &FullStatusEntry, list: &mut Vec<u8>) {
    let id = entry.initiator.emit();
    let id_length = u32::try_from(id.len()).unwrap_or(u32::MAX);
    let mut fixed = [0; field::TRANSPORT_ID];
    put(&mut fixed, field::KEY, &entry.key.get().to_be_bytes());
    fixed[field::FLAGS] = flag(entry.relative_target_port.is_none(), field::ALL_TG_PT)
        | flag(entry.holds.is_some(), field::R_HOLDER);
    fixed[field::SCOPE_TYPE] = entry.holds.map_or(0, ReservationType::scsi_code);
    let port = entry.relative_target_port.unwrap_or(0);
    put(&mut fixed, field::RELATIVE_TARGET_PORT, &port.to_be_bytes());
    put(
        &mut fixed,
        field::ADDITIONAL_LENGTH,
        &id_length.to_be_bytes(),
    );
    list.extend(fixed);
    list.extend(id);
}

//! Reservation Status data (NVMe Base 2.0, Reservation Report command).
//!
//! ```text
//! header                          registrant, 24 bytes        registrant, extended, 64 bytes
//!  0  GEN (4)                      0  CNTLID (2)               0  CNTLID (2)
//!  4  RTYPE                        2  RCSTS, holder (0)        2  RCSTS, holder (0)
//!  5  REGSTRNT (2, unaligned)      8  HOSTID (8)               8  RKEY (8)
//!  9  PTPLS                       16  RKEY (8)                16  HOSTID (16)
//! 24, or 64 when extended: registrants
//! ```
//!
//! Invariants: never more registrants than arrived; a report is whole or an error; a zero key or an
//! unknown type is an error.

use super::{le16, le32, le64};
use crate::reservation::{
    HostId, Key, NexusId, PersistentState, Registration, Reservation, ReservationType,
};
use crate::wire::ParameterError;
use crate::wire::bytes::{array, bit, byte, flag, put};

/// Offsets in the header.
mod header {
    pub(super) const GENERATION: usize = 0;
    pub(super) const KIND: usize = 4;
    pub(super) const REGISTRANTS: usize = 5;
    pub(super) const PERSISTS: usize = 9;
}

/// Offsets in a registrant.
mod registrant {
    pub(super) const CONTROLLER: usize = 0;
    pub(super) const STATUS: usize = 2;
    pub(super) const HOLDER: u8 = 0;
}

/// Which form of the report: EDS of CDW11. A controller that knows 128-bit host identifiers refuses the
/// wrong one with Host Identifier Inconsistent Format; ask again with the other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ReportForm {
    /// 64-bit host identifiers.
    Short,
    /// 128-bit host identifiers.
    Extended,
}

impl ReportForm {
    const fn header_length(self) -> usize {
        match self {
            Self::Short => 24,
            Self::Extended => 64,
        }
    }

    const fn registrant_length(self) -> usize {
        match self {
            Self::Short => 24,
            Self::Extended => 64,
        }
    }

    const fn key_at(self) -> usize {
        match self {
            Self::Short => 16,
            Self::Extended => 8,
        }
    }

    const fn host_at(self) -> usize {
        match self {
            Self::Short => 8,
            Self::Extended => 16,
        }
    }

    /// How many bytes a report of `registrants` has.
    #[must_use]
    pub const fn length(self, registrants: u16) -> usize {
        self.header_length() + self.registrant_length() * registrants as usize
    }
}

/// A controller of a registered host. A host with several controllers has as many entries.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Registrant {
    /// CNTLID; FFFFh: not one of this subsystem, or not known.
    pub controller: u16,
    /// RCSTS bit 0: the host holds the reservation.
    pub holder: bool,
    /// HOSTID; 64-bit ones are extended with zeros.
    pub host: HostId,
    /// RKEY.
    pub key: Key,
}

/// What Reservation Report brings back.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct ReservationReport {
    /// GEN.
    pub generation: u32,
    /// RTYPE; `None` when nothing is held.
    pub kind: Option<ReservationType>,
    /// PTPLS: reservations survive a power loss.
    pub persists: bool,
    /// The registrants, in the disk's order.
    pub registrants: Vec<Registrant>,
}

impl ReservationReport {
    /// Parses what was read. NVMe reports no residual: bytes that the controller did not write are what
    /// they were, so the caller zeroes its buffer first.
    ///
    /// # Errors
    /// [`ParameterError::Incomplete`]: there are more registrants, ask again; else it is broken.
    pub fn parse(form: ReportForm, arrived: &[u8]) -> Result<Self, ParameterError> {
        ParameterError::at_least(form.header_length(), arrived)?;
        let needed = form.length(le16(arrived, header::REGISTRANTS));
        let list = arrived
            .get(form.header_length()..needed)
            .ok_or(ParameterError::Incomplete { needed })?;
        let kind = match byte(arrived, header::KIND) {
            0 => None,
            code => Some(
                ReservationType::from_nvme_code(code).ok_or(ParameterError::Field {
                    at: header::KIND,
                    what: "the reservation type is not known",
                })?,
            ),
        };
        let registrants =
            list.chunks_exact(form.registrant_length())
                .enumerate()
                .map(|(index, entry)| {
                    let at = form.header_length() + index * form.registrant_length();
                    parse_registrant(form, entry, at)
                });
        Ok(Self {
            generation: le32(arrived, header::GENERATION),
            kind,
            persists: byte(arrived, header::PERSISTS) & 1 == 1,
            registrants: registrants.collect::<Result<_, _>>()?,
        })
    }

    /// The whole report. The short form has no room for the upper half of a host identifier.
    #[must_use]
    pub fn emit(&self, form: ReportForm) -> Vec<u8> {
        // REGSTRNT has 16 bits, and so has CNTLID: a subsystem has no more controllers.
        let count = u16::try_from(self.registrants.len()).unwrap_or(u16::MAX);
        let mut report = vec![0; form.header_length()];
        put(
            &mut report,
            header::GENERATION,
            &self.generation.to_le_bytes(),
        );
        report[header::KIND] = self.kind.map_or(0, ReservationType::nvme_code);
        put(&mut report, header::REGISTRANTS, &count.to_le_bytes());
        report[header::PERSISTS] = flag(self.persists, 0);
        for one in self.registrants.iter().take(usize::from(count)) {
            let mut entry = vec![0; form.registrant_length()];
            put(
                &mut entry,
                registrant::CONTROLLER,
                &one.controller.to_le_bytes(),
            );
            entry[registrant::STATUS] = flag(one.holder, registrant::HOLDER);
            put(&mut entry, form.key_at(), &one.key.get().to_le_bytes());
            let host = match form {
                ReportForm::Short => &one.host.0[..8],
                ReportForm::Extended => &one.host.0[..],
            };
            put(&mut entry, form.host_at(), host);
            report.extend(entry);
        }
        report
    }

    /// The same as the values that the verbs speak: one registration for each host, for that is what is
    /// registered.
    #[must_use]
    pub fn into_state(self) -> PersistentState {
        let mut registrations: Vec<Registration> = Vec::new();
        let holder = self.registrants.iter().find(|one| one.holder);
        let reservation = self.kind.map(|kind| Reservation {
            key: holder
                .filter(|_| !kind.all_registrants())
                .map(|holder| holder.key),
            kind,
        });
        for one in self.registrants {
            let nexus = Some(NexusId::Nvme { host: one.host });
            let same = |known: &&mut Registration| known.nexus == nexus && known.key == one.key;
            if let Some(known) = registrations.iter_mut().find(same) {
                known.holder = Some(known.holder == Some(true) || one.holder);
                continue;
            }
            registrations.push(Registration {
                key: one.key,
                nexus,
                holder: Some(one.holder),
                all_target_ports: true,
            });
        }
        PersistentState {
            generation: self.generation,
            registrations,
            reservation,
        }
    }
}

fn parse_registrant(
    form: ReportForm,
    entry: &[u8],
    at: usize,
) -> Result<Registrant, ParameterError> {
    let key = Key::new(le64(entry, form.key_at())).ok_or(ParameterError::Field {
        at: at + form.key_at(),
        what: "a registered key is zero",
    })?;
    let host = match form {
        ReportForm::Short => {
            let short: [u8; 8] = array(entry, form.host_at());
            array(&short, 0)
        }
        ReportForm::Extended => array(entry, form.host_at()),
    };
    Ok(Registrant {
        controller: le16(entry, registrant::CONTROLLER),
        holder: bit(entry, registrant::STATUS, registrant::HOLDER),
        host: HostId(host),
        key,
    })
}

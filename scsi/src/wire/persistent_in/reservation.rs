//! READ RESERVATION (SPC-4 6.15.3).

use super::{emit_header, generation, header, holder, parse_scope_type, whole_list};
use crate::reservation::{Key, Reservation};
use crate::wire::ParameterError;
use crate::wire::bytes::{be64, byte, put};

/// Offsets behind the header (SPC-4 6.15.3).
mod field {
    pub(super) const KEY: usize = 0;
    pub(super) const SCOPE_TYPE: usize = 13;
    pub(super) const LENGTH: usize = 16;
}

/// The reservation in force, if any.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct HeldReservation {
    /// PRGENERATION.
    pub generation: u32,
    /// The reservation; its key is `None` under the All Registrants types.
    pub reservation: Option<Reservation>,
}

impl HeldReservation {
    /// Bytes of the longest answer.
    pub const LENGTH_MAX: usize = header::LENGTH + field::LENGTH;

    /// Parses what arrived in answer to a question with this allocation length.
    ///
    /// # Errors
    /// [`ParameterError::Incomplete`] when less than [`Self::LENGTH_MAX`] was asked for; else the answer
    /// is broken.
    pub fn parse(arrived: &[u8], allocation_length: u16) -> Result<Self, ParameterError> {
        let list = whole_list(arrived, allocation_length, 0)?;
        let generation = generation(arrived);
        if list.is_empty() {
            return Ok(Self {
                generation,
                reservation: None,
            });
        }
        if list.len() < field::LENGTH {
            return Err(ParameterError::Length {
                expected: Self::LENGTH_MAX,
                arrived: header::LENGTH + list.len(),
            });
        }
        let kind = parse_scope_type(
            byte(list, field::SCOPE_TYPE),
            header::LENGTH + field::SCOPE_TYPE,
        )?;
        let key = Key::new(be64(list, field::KEY));
        Ok(Self {
            generation,
            reservation: Some(holder(key, kind, header::LENGTH + field::KEY)?),
        })
    }

    /// The whole answer.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let Some(reservation) = self.reservation else {
            return emit_header(self.generation, &[]);
        };
        let mut list = [0; field::LENGTH];
        let key = Key::to_wire(reservation.key);
        put(&mut list, field::KEY, &key.to_be_bytes());
        list[field::SCOPE_TYPE] = reservation.kind.scsi_code();
        emit_header(self.generation, &list)
    }
}

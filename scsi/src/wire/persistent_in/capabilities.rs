//! REPORT CAPABILITIES (SPC-4 6.15.4).

use crate::reservation::{Capabilities, ReservationType, Support, TypeMask};
use crate::wire::ParameterError;
use crate::wire::bytes::{be16, bit, byte, flag, put};

/// Offsets and bits (SPC-4 6.15.4).
mod field {
    pub(super) const LENGTH_FIELD: usize = 0;
    pub(super) const FLAGS: usize = 2;
    pub(super) const RLR_C: u8 = 7;
    pub(super) const CRH: u8 = 4;
    pub(super) const SIP_C: u8 = 3;
    pub(super) const ATP_C: u8 = 2;
    pub(super) const PTPL_C: u8 = 0;
    pub(super) const MORE_FLAGS: usize = 3;
    pub(super) const TMV: u8 = 7;
    pub(super) const PTPL_A: u8 = 0;
    pub(super) const TYPE_MASK: usize = 4;
    pub(super) const LENGTH: usize = 8;
}

/// Where each type stands in the two bytes of the PERSISTENT RESERVATION TYPE MASK (SPC-4 6.15.4).
const fn mask_bit(kind: ReservationType) -> (usize, u8) {
    match kind {
        ReservationType::WriteExclusive => (field::TYPE_MASK, 1),
        ReservationType::ExclusiveAccess => (field::TYPE_MASK, 3),
        ReservationType::WriteExclusiveRegistrantsOnly => (field::TYPE_MASK, 5),
        ReservationType::ExclusiveAccessRegistrantsOnly => (field::TYPE_MASK, 6),
        ReservationType::WriteExclusiveAllRegistrants => (field::TYPE_MASK, 7),
        ReservationType::ExclusiveAccessAllRegistrants => (field::TYPE_MASK + 1, 0),
    }
}

/// What the disk says about its persistent reservations.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ReportedCapabilities {
    /// RLR_C: REPLACE LOST RESERVATION.
    pub replace_lost: bool,
    /// CRH: compatible reservation handling.
    pub compatible_handling: bool,
    /// SIP_C: SPEC_I_PT.
    pub specify_initiator_ports: bool,
    /// ATP_C: ALL_TG_PT.
    pub all_target_ports: bool,
    /// PTPL_C: can persist through power loss.
    pub aptpl_capable: bool,
    /// PTPL_A: persists now.
    pub aptpl_active: bool,
    /// ALLOW COMMANDS, three bits: which commands pass some reservations.
    pub allow_commands: u8,
    /// The types; `None` when the mask is not valid (TMV=0).
    pub types: Option<TypeMask>,
}

impl ReportedCapabilities {
    /// Bytes of the answer.
    pub const LENGTH: usize = field::LENGTH;

    /// Parses what arrived. The answer has a fixed length, so it can be asked for whole.
    ///
    /// # Errors
    /// [`ParameterError`] when it is shorter than its format, or says that it is.
    pub fn parse(arrived: &[u8]) -> Result<Self, ParameterError> {
        ParameterError::at_least(field::LENGTH, arrived)?;
        if usize::from(be16(arrived, field::LENGTH_FIELD)) < field::LENGTH {
            return Err(ParameterError::Field {
                at: field::LENGTH_FIELD,
                what: "LENGTH is below eight",
            });
        }
        let types = ReservationType::ALL.into_iter().filter(|&kind| {
            let (at, position) = mask_bit(kind);
            bit(arrived, at, position)
        });
        let types = types.fold(TypeMask::default(), TypeMask::with);
        Ok(Self {
            replace_lost: bit(arrived, field::FLAGS, field::RLR_C),
            compatible_handling: bit(arrived, field::FLAGS, field::CRH),
            specify_initiator_ports: bit(arrived, field::FLAGS, field::SIP_C),
            all_target_ports: bit(arrived, field::FLAGS, field::ATP_C),
            aptpl_capable: bit(arrived, field::FLAGS, field::PTPL_C),
            aptpl_active: bit(arrived, field::MORE_FLAGS, field::PTPL_A),
            allow_commands: byte(arrived, field::MORE_FLAGS) >> 4 & 0x07,
            types: bit(arrived, field::MORE_FLAGS, field::TMV).then_some(types),
        })
    }

    /// The whole answer.
    #[must_use]
    pub fn emit(&self) -> [u8; field::LENGTH] {
        let mut bytes = [0; field::LENGTH];
        put(&mut bytes, field::LENGTH_FIELD, &8u16.to_be_bytes());
        bytes[field::FLAGS] = flag(self.replace_lost, field::RLR_C)
            | flag(self.compatible_handling, field::CRH)
            | flag(self.specify_initiator_ports, field::SIP_C)
            | flag(self.all_target_ports, field::ATP_C)
            | flag(self.aptpl_capable, field::PTPL_C);
        bytes[field::MORE_FLAGS] = flag(self.types.is_some(), field::TMV)
            | (self.allow_commands & 0x07) << 4
            | flag(self.aptpl_active, field::PTPL_A);
        let types = self.types.unwrap_or_default();
        for kind in ReservationType::ALL {
            let (at, position) = mask_bit(kind);
            bytes[at] |= flag(types.contains(kind), position);
        }
        bytes
    }

    /// Puts what the disk says into what is known of it; the rest is left as it is.
    pub fn tell(&self, known: &mut Capabilities) {
        let support = |yes| if yes { Support::Yes } else { Support::No };
        known.persistent = Support::Yes;
        known.types = self.types;
        known.aptpl_capable = support(self.aptpl_capable);
        known.aptpl_active = support(self.aptpl_active);
        known.all_target_ports = support(self.all_target_ports);
        known.specify_initiator_ports = support(self.specify_initiator_ports);
        known.compatible_handling = support(self.compatible_handling);
        known.replace_lost = support(self.replace_lost);
    }
}

//! Identify data (NVMe Base 2.0 and NVM Command Set 1.0, Identify command): what tells a namespace from
//! its neighbour, its size, and whether it can reserve.
//!
//! Invariants: text is what can be printed; a block size that no namespace can have is an error.

use super::{le16, le32, le64};
use crate::reservation::{Capabilities, ReservationType, Support, TypeMask};
use crate::wire::ParameterError;
use crate::wire::bytes::{array, bit, byte, flag, padded, put, text};

/// Bytes of either structure.
pub const IDENTIFY_LENGTH: usize = 4096;

/// Offsets in Identify Namespace (CNS 00h).
mod namespace {
    pub(super) const NSZE: usize = 0;
    pub(super) const NLBAF: usize = 25;
    pub(super) const FLBAS: usize = 26;
    pub(super) const NMIC: (usize, u8) = (30, 0);
    pub(super) const RESCAP: usize = 31;
    pub(super) const NGUID: usize = 104;
    pub(super) const EUI64: usize = 120;
    pub(super) const LBAF: usize = 128;
    pub(super) const LBAF_COUNT_MAX: usize = 64;
}

/// Bits of RESCAP.
mod rescap {
    pub(super) const PTPL: u8 = 0;
    pub(super) const IEKEY: u8 = 7;
}

/// Offsets in Identify Controller (CNS 01h).
mod controller {
    pub(super) const SERIAL: usize = 4;
    pub(super) const MODEL: usize = 24;
    pub(super) const FIRMWARE: usize = 64;
    pub(super) const CNTLID: usize = 78;
    pub(super) const CTRATT: (usize, u8) = (96, 0);
    pub(super) const ONCS_COMPARE: (usize, u8) = (520, 0);
    pub(super) const ONCS_RESERVATIONS: (usize, u8) = (520, 5);
}

/// RESCAP bit of a type: 1 to 6, in the order of the codes.
const fn rescap_bit(kind: ReservationType) -> u8 {
    kind.nvme_code()
}

/// Identify Namespace, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct IdentifyNamespace {
    /// NSZE: how many logical blocks.
    pub blocks: u64,
    /// Bytes of a logical block (LBADS of the format in use).
    pub block_bytes: u32,
    /// NMIC bit 0: may be attached to several controllers at once.
    pub shared: bool,
    /// RESCAP bit 0: reservations can survive a power loss.
    pub persists_capable: bool,
    /// RESCAP bits 1 to 6: the types.
    pub types: TypeMask,
    /// RESCAP bit 7: Ignore Existing Key as of NVMe 1.3.
    pub ignore_existing_key: bool,
    /// NGUID; zeros: none.
    pub nguid: [u8; 16],
    /// EUI64; zeros: none.
    pub eui64: [u8; 8],
}

impl IdentifyNamespace {
    /// Parses the structure.
    ///
    /// # Errors
    /// [`ParameterError`] when it is too short, or the format in use is not one.
    pub fn parse(data: &[u8]) -> Result<Self, ParameterError> {
        ParameterError::at_least(IDENTIFY_LENGTH, data)?;
        let types = ReservationType::ALL
            .into_iter()
            .filter(|&kind| bit(data, namespace::RESCAP, rescap_bit(kind)));
        Ok(Self {
            blocks: le64(data, namespace::NSZE),
            block_bytes: block_bytes(data)?,
            shared: bit(data, namespace::NMIC.0, namespace::NMIC.1),
            persists_capable: bit(data, namespace::RESCAP, rescap::PTPL),
            types: types.fold(TypeMask::default(), TypeMask::with),
            ignore_existing_key: bit(data, namespace::RESCAP, rescap::IEKEY),
            nguid: array(data, namespace::NGUID),
            eui64: array(data, namespace::EUI64),
        })
    }

    /// The structure, with one format.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut data = vec![0; IDENTIFY_LENGTH];
        put(&mut data, namespace::NSZE, &self.blocks.to_le_bytes());
        data[namespace::NMIC.0] = flag(self.shared, namespace::NMIC.1);
        data[namespace::RESCAP] = flag(self.persists_capable, rescap::PTPL)
            | flag(self.ignore_existing_key, rescap::IEKEY);
        for kind in ReservationType::ALL {
            data[namespace::RESCAP] |= flag(self.types.contains(kind), rescap_bit(kind));
        }
        put(&mut data, namespace::NGUID, &self.nguid);
        put(&mut data, namespace::EUI64, &self.eui64);
        let format = self.block_bytes.trailing_zeros() << 16;
        put(&mut data, namespace::LBAF, &format.to_le_bytes());
        data
    }

    /// The world-wide name as Linux spells it in `wwid`: `eui.` and the NGUID, else the EUI-64. The
    /// UUID, which Linux prefers, is in another structure.
    #[must_use]
    pub fn wwid(&self) -> Option<String> {
        let hex = |bytes: &[u8]| {
            let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
            format!("eui.{}", digits.collect::<String>())
        };
        if self.nguid != [0; 16] {
            return Some(hex(&self.nguid));
        }
        (self.eui64 != [0; 8]).then(|| hex(&self.eui64))
    }

    /// Puts what the namespace says into what is known of the disk.
    pub fn tell(&self, known: &mut Capabilities) {
        known.types = Some(self.types);
        known.aptpl_capable = if self.persists_capable {
            Support::Yes
        } else {
            Support::No
        };
    }
}

/// LBADS of the format in use. FLBAS bits 3 to 0, and 6 to 5 above them when there are more than 16.
fn block_bytes(data: &[u8]) -> Result<u32, ParameterError> {
    let flbas = byte(data, namespace::FLBAS);
    let more = byte(data, namespace::NLBAF) >= 16;
    let high = if more { flbas >> 5 & 0x03 } else { 0 };
    let index = usize::from(high << 4 | flbas & 0x0f);
    assert!(index < namespace::LBAF_COUNT_MAX, "six bits count to 63");
    let at = namespace::LBAF + 4 * index;
    let [_, _, shift, _] = le32(data, at).to_le_bytes();
    // LBADS: 9 (512 bytes) is the least; beyond 64 KiB there is no such device.
    if !(9..=16).contains(&shift) {
        return Err(ParameterError::Field {
            at,
            what: "the LBA format in use has no possible block size",
        });
    }
    Ok(1 << shift)
}

/// Identify Controller, as far as it matters here.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct IdentifyController {
    /// SN, without padding.
    pub serial: String,
    /// MN, without padding.
    pub model: String,
    /// FR, without padding.
    pub firmware: String,
    /// CNTLID.
    pub controller: u16,
    /// CTRATT bit 0: 128-bit host identifiers.
    pub extended_host_id: bool,
    /// ONCS bit 0: Compare.
    pub compare: bool,
    /// ONCS bit 5: reservations.
    pub reservations: bool,
}

impl IdentifyController {
    /// Parses the structure.
    ///
    /// # Errors
    /// [`ParameterError::Length`] when it is too short.
    pub fn parse(data: &[u8]) -> Result<Self, ParameterError> {
        ParameterError::at_least(IDENTIFY_LENGTH, data)?;
        let flagged = |(at, position): (usize, u8)| bit(data, at, position);
        Ok(Self {
            serial: text(&data[controller::SERIAL..controller::MODEL]),
            model: text(&data[controller::MODEL..controller::FIRMWARE]),
            firmware: text(&data[controller::FIRMWARE..controller::FIRMWARE + 8]),
            controller: le16(data, controller::CNTLID),
            extended_host_id: flagged(controller::CTRATT),
            compare: flagged(controller::ONCS_COMPARE),
            reservations: flagged(controller::ONCS_RESERVATIONS),
        })
    }

    /// The structure.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut data = vec![0; IDENTIFY_LENGTH];
        put(&mut data, controller::SERIAL, &padded::<20>(&self.serial));
        put(&mut data, controller::MODEL, &padded::<40>(&self.model));
        put(
            &mut data,
            controller::FIRMWARE,
            &padded::<8>(&self.firmware),
        );
        put(
            &mut data,
            controller::CNTLID,
            &self.controller.to_le_bytes(),
        );
        let mut set = |(at, position): (usize, u8), value| data[at] |= flag(value, position);
        set(controller::CTRATT, self.extended_host_id);
        set(controller::ONCS_COMPARE, self.compare);
        set(controller::ONCS_RESERVATIONS, self.reservations);
        data
    }

    /// Puts what the controller says into what is known of the disk.
    pub fn tell(&self, known: &mut Capabilities) {
        known.persistent = if self.reservations {
            Support::Yes
        } else {
            Support::No
        };
    }
}

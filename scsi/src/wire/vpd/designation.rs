//! Page 83h, Device Identification (SPC-4 7.8.6): who the unit, its port and its target are.
//!
//! ```text
//! a designation descriptor
//!  0  PROTOCOL IDENTIFIER (7-4), CODE SET (3-0)     3  DESIGNATOR LENGTH
//!  1  PIV (7), ASSOCIATION (5-4), TYPE (3-0)        4  DESIGNATOR
//! ```
//!
//! Invariant: a designator whose length is not that of its type is kept as it stands, and never makes a
//! name.

use super::{DEVICE_IDENTIFICATION, body, emit, header};
use crate::wire::ParameterError;
use crate::wire::bytes::{be16, bit, byte, flag, padded, text};

/// Offsets in a designation descriptor.
mod field {
    pub(super) const CODE_SET: usize = 0;
    pub(super) const TYPE: usize = 1;
    pub(super) const PIV: u8 = 7;
    pub(super) const LENGTH: usize = 3;
    pub(super) const DESIGNATOR: usize = 4;
}

/// DESIGNATOR TYPE codes (SPC-4 7.8.6.1).
mod kind {
    pub(super) const T10: u8 = 0x1;
    pub(super) const EUI64: u8 = 0x2;
    pub(super) const NAA: u8 = 0x3;
    pub(super) const RELATIVE_TARGET_PORT: u8 = 0x4;
    pub(super) const TARGET_PORT_GROUP: u8 = 0x5;
    pub(super) const LOGICAL_UNIT_GROUP: u8 = 0x6;
    pub(super) const MD5: u8 = 0x7;
    pub(super) const NAME: u8 = 0x8;
    pub(super) const UUID: u8 = 0xa;
}

/// CODE SET: binary.
const BINARY: u8 = 1;
/// CODE SET: ASCII.
const ASCII: u8 = 2;
/// CODE SET: UTF-8.
const UTF_8: u8 = 3;

/// What a designator names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Association {
    /// The logical unit.
    Unit,
    /// The target port that the command came through.
    Port,
    /// The target device.
    Target,
    /// A reserved value.
    Reserved,
}

impl Association {
    const ALL: [Self; 4] = [Self::Unit, Self::Port, Self::Target, Self::Reserved];

    const fn code(self) -> u8 {
        match self {
            Self::Unit => 0,
            Self::Port => 1,
            Self::Target => 2,
            Self::Reserved => 3,
        }
    }
}

/// A name, by its type.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum DesignatorValue {
    /// 1: T10 vendor identification, and an identifier that is unique to the vendor.
    T10 {
        /// The vendor, at most 8 characters.
        vendor: String,
        /// The vendor's identifier.
        id: Vec<u8>,
    },
    /// 2: EUI-64 based, of 8 bytes.
    Eui8([u8; 8]),
    /// 2: EUI-64 based, of 12 bytes.
    Eui12([u8; 12]),
    /// 2: EUI-64 based, of 16 bytes.
    Eui16([u8; 16]),
    /// 3: NAA of 8 bytes (formats 2, 3 and 5).
    Naa8([u8; 8]),
    /// 3: NAA of 16 bytes (format 6).
    Naa16([u8; 16]),
    /// 4: RELATIVE TARGET PORT IDENTIFIER.
    RelativeTargetPort(u16),
    /// 5: TARGET PORT GROUP.
    TargetPortGroup(u16),
    /// 6: LOGICAL UNIT GROUP.
    LogicalUnitGroup(u16),
    /// 7: MD5 of other designators.
    Md5([u8; 16]),
    /// 8: SCSI name string (`naa.…`, `eui.…`, `iqn.…`), without padding.
    Name(String),
    /// A: UUID.
    Uuid([u8; 16]),
    /// Vendor specific (0), protocol-specific port (9), a reserved type, or a length that does not fit
    /// the type.
    Other {
        /// DESIGNATOR TYPE, four bits.
        kind: u8,
        /// The designator as it stands.
        designator: Vec<u8>,
    },
}

/// One designation descriptor.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Designator {
    /// What it names.
    pub association: Association,
    /// CODE SET, four bits.
    pub code_set: u8,
    /// PROTOCOL IDENTIFIER where PIV says that it is valid.
    pub protocol: Option<u8>,
    /// The name.
    pub value: DesignatorValue,
}

impl Designator {
    /// A designator with the CODE SET that its type asks for, and no protocol.
    #[must_use]
    pub const fn new(association: Association, value: DesignatorValue) -> Self {
        let code_set = match &value {
            DesignatorValue::T10 { .. } => ASCII,
            DesignatorValue::Name(_) => UTF_8,
            DesignatorValue::Eui8(_)
            | DesignatorValue::Eui12(_)
            | DesignatorValue::Eui16(_)
            | DesignatorValue::Naa8(_)
            | DesignatorValue::Naa16(_)
            | DesignatorValue::RelativeTargetPort(_)
            | DesignatorValue::TargetPortGroup(_)
            | DesignatorValue::LogicalUnitGroup(_)
            | DesignatorValue::Md5(_)
            | DesignatorValue::Uuid(_)
            | DesignatorValue::Other { .. } => BINARY,
        };
        Self {
            association,
            code_set,
            protocol: None,
            value,
        }
    }

    /// Its text as a world-wide name, and how Linux ranks it; 0: Linux does not look at it. `None` when
    /// it does not name the unit.
    fn wwid(&self) -> Option<(u8, String)> {
        if self.association != Association::Unit {
            return None;
        }
        Some(match &self.value {
            DesignatorValue::Name(name) if !name.is_empty() => (9, name.clone()),
            DesignatorValue::Naa16(naa) if naa[0] >> 4 == 6 => (8, named("naa.", naa)),
            DesignatorValue::Eui16(eui) => (7, named("eui.", eui)),
            DesignatorValue::Eui12(eui) => (6, named("eui.", eui)),
            DesignatorValue::Naa8(naa) => match naa[0] >> 4 {
                5 => (5, named("naa.", naa)),
                4 => (4, named("naa.", naa)),
                3 => (1, named("naa.", naa)),
                2 => (0, named("naa.", naa)),
                _ => return None,
            },
            DesignatorValue::Eui8(eui) => (3, named("eui.", eui)),
            DesignatorValue::T10 { vendor, id } => (1, t10_name(vendor, id)),
            DesignatorValue::Uuid(uuid) => (0, named("uuid.", uuid)),
            DesignatorValue::Name(_)
            | DesignatorValue::Naa16(_)
            | DesignatorValue::RelativeTargetPort(_)
            | DesignatorValue::TargetPortGroup(_)
            | DesignatorValue::LogicalUnitGroup(_)
            | DesignatorValue::Md5(_)
            | DesignatorValue::Other { .. } => return None,
        })
    }

    /// DESIGNATOR LENGTH.
    fn length(&self) -> usize {
        emit_designator(self).len() - field::DESIGNATOR
    }

    /// A text, whose length tells how much of a name it is.
    const fn is_text(&self) -> bool {
        matches!(
            self.value,
            DesignatorValue::T10 { .. } | DesignatorValue::Name(_)
        )
    }
}

/// Page 83h.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct DeviceIdentification {
    /// The designators, in the disk's order.
    pub designators: Vec<Designator>,
}

impl DeviceIdentification {
    /// Parses what arrived.
    ///
    /// # Errors
    /// [`ParameterError`]: see the [module](super).
    pub fn parse(arrived: &[u8]) -> Result<Self, ParameterError> {
        let mut rest = body(arrived, DEVICE_IDENTIFICATION)?;
        let mut designators = Vec::new();
        while !rest.is_empty() {
            let at = arrived.len() - rest.len();
            let length = field::DESIGNATOR + usize::from(byte(rest, field::LENGTH));
            let Some(one) = rest.get(..length) else {
                return Err(ParameterError::Field {
                    at: header::LENGTH.max(at),
                    what: "a designator goes beyond its page",
                });
            };
            designators.push(parse_designator(one));
            rest = &rest[length..];
        }
        Ok(Self { designators })
    }

    /// The whole page.
    ///
    /// # Panics
    /// When a designator is longer than the 255 bytes that its length field can say.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let descriptors = self.designators.iter().flat_map(emit_designator);
        emit(DEVICE_IDENTIFICATION, &descriptors.collect::<Vec<u8>>())
    }

    /// The unit's world-wide name: `naa.…`, `eui.…`, `t10.…` or a SCSI name string; `uuid.…` where there
    /// is nothing else. Without the spaces that pad it.
    ///
    /// The choice and the text are those of the `wwid` attribute that Linux (5.15 and later) shows, so
    /// that a name read over a session of our own equals the one of the same disk attached to the host:
    /// the highest rank, among equals the last, but a text never after a longer designator.
    #[must_use]
    pub fn wwid(&self) -> Option<String> {
        let (mut best, mut best_length, mut name) = (1, 0, None);
        for designator in &self.designators {
            let Some((rank, text)) = designator.wwid() else {
                continue;
            };
            let length = designator.length();
            if rank >= best && !(designator.is_text() && length < best_length) {
                (best, best_length, name) = (rank, length, Some(text));
            }
        }
        let unranked = || self.designators.iter().find_map(Designator::wwid);
        let name = name.or_else(|| unranked().map(|(_, text)| text))?;
        Some(name.trim_end().to_owned())
    }

    /// Every world-wide name of the unit, in the disk's order, as [`Self::wwid`] writes the one that it chooses.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.designators
            .iter()
            .filter_map(|one| Some(one.wwid()?.1.trim_end().to_owned()))
            .collect()
    }

    /// The target port that the command came through.
    #[must_use]
    pub fn relative_target_port(&self) -> Option<u16> {
        let of_port = |one: &&Designator| one.association == Association::Port;
        self.designators.iter().filter(of_port).find_map(|one| {
            if let DesignatorValue::RelativeTargetPort(port) = one.value {
                return Some(port);
            }
            None
        })
    }
}

fn parse_designator(descriptor: &[u8]) -> Designator {
    let designator = &descriptor[field::DESIGNATOR..];
    let kind = byte(descriptor, field::TYPE) & 0x0f;
    let association = usize::from(byte(descriptor, field::TYPE) >> 4 & 0x03);
    let piv = bit(descriptor, field::TYPE, field::PIV);
    let value = parse_value(kind, designator).unwrap_or_else(|| DesignatorValue::Other {
        kind,
        designator: designator.to_vec(),
    });
    Designator {
        association: Association::ALL[association],
        code_set: byte(descriptor, field::CODE_SET) & 0x0f,
        protocol: piv.then_some(byte(descriptor, field::CODE_SET) >> 4),
        value,
    }
}

/// `None` when the type is not read here, or the length is not the type's.
fn parse_value(kind: u8, designator: &[u8]) -> Option<DesignatorValue> {
    let port = || (designator.len() == 4).then(|| be16(designator, 2));
    Some(match (kind, designator.len()) {
        (kind::T10, 8..) => DesignatorValue::T10 {
            vendor: text(&designator[..8]),
            id: designator[8..].to_vec(),
        },
        (kind::EUI64, 8) => DesignatorValue::Eui8(designator.try_into().ok()?),
        (kind::EUI64, 12) => DesignatorValue::Eui12(designator.try_into().ok()?),
        (kind::EUI64, 16) => DesignatorValue::Eui16(designator.try_into().ok()?),
        (kind::NAA, 8) => DesignatorValue::Naa8(designator.try_into().ok()?),
        (kind::NAA, 16) => DesignatorValue::Naa16(designator.try_into().ok()?),
        (kind::RELATIVE_TARGET_PORT, _) => DesignatorValue::RelativeTargetPort(port()?),
        (kind::TARGET_PORT_GROUP, _) => DesignatorValue::TargetPortGroup(port()?),
        (kind::LOGICAL_UNIT_GROUP, _) => DesignatorValue::LogicalUnitGroup(port()?),
        (kind::MD5, 16) => DesignatorValue::Md5(designator.try_into().ok()?),
        (kind::NAME, _) => {
            let name = std::str::from_utf8(designator).ok()?;
            let name = name.trim_end_matches('\0');
            // A NUL inside or control characters: not a name, and not to be printed.
            let printable = !name.contains(char::is_control);
            printable.then(|| DesignatorValue::Name(name.to_owned()))?
        }
        // SPC-5, UUID identifier: type 1h in the first byte's upper half, a reserved byte, then the UUID.
        (kind::UUID, 18) if designator[0] >> 4 == 1 => {
            DesignatorValue::Uuid(designator[2..].try_into().ok()?)
        }
        _ => return None,
    })
}

fn emit_designator(designator: &Designator) -> Vec<u8> {
    let port = |value: u16| [[0, 0], value.to_be_bytes()].concat();
    let (kind, bytes) = match &designator.value {
        DesignatorValue::T10 { vendor, id } => {
            (kind::T10, [&padded::<8>(vendor)[..], &id[..]].concat())
        }
        DesignatorValue::Eui8(eui) => (kind::EUI64, eui.to_vec()),
        DesignatorValue::Eui12(eui) => (kind::EUI64, eui.to_vec()),
        DesignatorValue::Eui16(eui) => (kind::EUI64, eui.to_vec()),
        DesignatorValue::Naa8(naa) => (kind::NAA, naa.to_vec()),
        DesignatorValue::Naa16(naa) => (kind::NAA, naa.to_vec()),
        DesignatorValue::RelativeTargetPort(value) => (kind::RELATIVE_TARGET_PORT, port(*value)),
        DesignatorValue::TargetPortGroup(value) => (kind::TARGET_PORT_GROUP, port(*value)),
        DesignatorValue::LogicalUnitGroup(value) => (kind::LOGICAL_UNIT_GROUP, port(*value)),
        DesignatorValue::Md5(md5) => (kind::MD5, md5.to_vec()),
        DesignatorValue::Name(name) => {
            // SPC-4 7.8.6.11: null-terminated, null-padded to a multiple of four.
            let mut bytes = name.as_bytes().to_vec();
            bytes.resize((name.len() + 1).next_multiple_of(4), 0);
            // A name that fills the field to its last byte came without the NUL and goes without it.
            bytes.truncate(usize::from(u8::MAX).max(name.len()));
            (kind::NAME, bytes)
        }
        DesignatorValue::Uuid(uuid) => (kind::UUID, [&[0x10, 0], &uuid[..]].concat()),
        DesignatorValue::Other { kind, designator } => (*kind & 0x0f, designator.clone()),
    };
    let length = u8::try_from(bytes.len());
    assert!(
        length.is_ok(),
        "a designator of {} bytes was built; 255 is the most",
        bytes.len()
    );
    let protocol = designator.protocol.unwrap_or(0);
    let mut descriptor = vec![
        protocol << 4 | designator.code_set & 0x0f,
        flag(designator.protocol.is_some(), field::PIV) | designator.association.code() << 4 | kind,
        0,
        length.unwrap_or(u8::MAX),
    ];
    descriptor.extend(bytes);
    descriptor
}

fn named(prefix: &str, bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    std::iter::once(prefix.to_owned()).chain(digits).collect()
}

/// Vendor and identifier with their padding; bytes that are not printable as Linux escapes them.
fn t10_name(vendor: &str, id: &[u8]) -> String {
    let mut name = String::from("t10.");
    for &byte in padded::<8>(vendor).iter().chain(id) {
        match byte {
            0x20..=0x7e => name.push(char::from(byte)),
            0x00 => name.push_str("\\0"),
            0x07 => name.push_str("\\a"),
            0x09 => name.push_str("\\t"),
            0x0a => name.push_str("\\n"),
            0x0b => name.push_str("\\v"),
            0x0c => name.push_str("\\f"),
            0x0d => name.push_str("\\r"),
            0x1b => name.push_str("\\e"),
            _ => name.push_str(&format!("\\{byte:03o}")),
        }
    }
    name
}

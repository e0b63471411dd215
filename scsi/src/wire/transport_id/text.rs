//! TransportIDs as operators read and type them.
//!
//! ```text
//! iqn.2026-01.org.example:a                     iSCSI device; eui. and naa. names alike
//! iqn.2026-01.org.example:a,i,0x80123456789a    iSCSI port
//! iscsi:NAME                                    an iSCSI name that has none of the three prefixes
//! fc:500…  sas:500…  1394:…  srp:…  spi:7.1  sop:00a0  other:HEX
//! ```

use super::{ISCSI_NAME_LENGTH_MAX, ISID_SEPARATOR, TransportId};
use std::fmt;
use std::str::FromStr;

/// The text is not a TransportID.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "not an initiator port: expected iqn.…, iqn.…,i,0xISID, or fc:, sas:, srp:, spi:, 1394:, sop:, other: and {0}"
)]
pub struct ParseTransportIdError(&'static str);

/// Prefix that tells an unusual iSCSI name from the other forms.
const ISCSI_PREFIX: &str = "iscsi:";

/// May this stand as an iSCSI name? Commas separate the ISID; the rest could not be printed or typed.
pub(super) fn is_iscsi_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= ISCSI_NAME_LENGTH_MAX
        && !name.contains(|c: char| c == ',' || c.is_whitespace() || c.is_control())
}

/// Does the name start as RFC 7143 4.2.7 wants it?
fn is_standard_name(name: &str) -> bool {
    ["iqn.", "eui.", "naa."]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// `NAME,i,0xISID` with all twelve digits.
pub(super) fn parse_iscsi_port(text: &str) -> Option<TransportId> {
    let (name, isid) = text.split_once(ISID_SEPARATOR)?;
    let isid = unhex(isid)?;
    is_iscsi_name(name).then(|| TransportId::Iscsi {
        name: name.to_owned(),
        isid: Some(isid),
    })
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Exactly `N` bytes from hexadecimal digits of either case.
fn unhex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    unhex_all(digits)?.try_into().ok()
}

fn unhex_all(digits: &str) -> Option<Vec<u8>> {
    let nibbles: Option<Vec<u8>> = digits
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|value| u8::try_from(value).ok())
        })
        .collect();
    let nibbles = nibbles.filter(|nibbles| nibbles.len() % 2 == 0)?;
    Some(
        nibbles
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect(),
    )
}

impl fmt::Display for TransportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FibreChannel(name) => write!(f, "fc:{}", hex(name)),
            Self::ParallelScsi {
                address,
                relative_port,
            } => write!(f, "spi:{address}.{relative_port}"),
            Self::Ieee1394(eui) => write!(f, "1394:{}", hex(eui)),
            Self::Rdma(id) => write!(f, "srp:{}", hex(id)),
            Self::Iscsi { name, isid } => {
                if !is_standard_name(name) {
                    f.write_str(ISCSI_PREFIX)?;
                }
                f.write_str(name)?;
                match isid {
                    Some(isid) => write!(f, "{ISID_SEPARATOR}{}", hex(isid)),
                    None => Ok(()),
                }
            }
            Self::Sas(address) => write!(f, "sas:{}", hex(address)),
            Self::Sop(id) => write!(f, "sop:{id:04x}"),
            Self::Other(bytes) => write!(f, "other:{}", hex(bytes)),
        }
    }
}

impl FromStr for TransportId {
    type Err = ParseTransportIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_standard_name(text) {
            return parse_iscsi(text);
        }
        let (prefix, rest) = text
            .split_once(':')
            .ok_or(ParseTransportIdError("hexadecimal digits"))?;
        match prefix {
            "iscsi" => parse_iscsi(rest),
            "fc" => fixed(rest, Self::FibreChannel, "16 hexadecimal digits"),
            "1394" => fixed(rest, Self::Ieee1394, "16 hexadecimal digits"),
            "sas" => fixed(rest, Self::Sas, "16 hexadecimal digits"),
            "srp" => fixed(rest, Self::Rdma, "32 hexadecimal digits"),
            "sop" => fixed(
                rest,
                |id| Self::Sop(u16::from_be_bytes(id)),
                "4 hexadecimal digits",
            ),
            "spi" => rest
                .split_once('.')
                .and_then(|(address, port)| {
                    Some(Self::ParallelScsi {
                        address: address.parse().ok()?,
                        relative_port: port.parse().ok()?,
                    })
                })
                .ok_or(ParseTransportIdError("ADDRESS.PORT")),
            "other" => unhex_all(rest)
                .map(Self::Other)
                .ok_or(ParseTransportIdError("hexadecimal digits")),
            _ => Err(ParseTransportIdError("hexadecimal digits")),
        }
    }
}

fn parse_iscsi(text: &str) -> Result<TransportId, ParseTransportIdError> {
    let id = if text.contains(ISID_SEPARATOR) {
        parse_iscsi_port(text)
    } else {
        is_iscsi_name(text).then(|| TransportId::Iscsi {
            name: text.to_owned(),
            isid: None,
        })
    };
    id.ok_or(ParseTransportIdError(
        "an iSCSI name, and an ISID of 12 hexadecimal digits if any",
    ))
}

fn fixed<const N: usize>(
    digits: &str,
    make: impl FnOnce([u8; N]) -> TransportId,
    expected: &'static str,
) -> Result<TransportId, ParseTransportIdError> {
    unhex(digits)
        .map(make)
        .ok_or(ParseTransportIdError(expected))
}

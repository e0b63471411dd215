//! The name of an emulated disk: `emu:FILE?nexus=NAME&behaviour=…&size=…`.

use crate::logical_unit::{BLOCK_BYTES, Behaviour, Nexus};
use crate::wire::transport_id::TransportId;
use std::path::PathBuf;

/// What stands before the name of the nexus in the initiator's name. `.invalid`: nobody's (RFC 2606).
const INITIATOR_PREFIX: &str = "iqn.2026-01.invalid.emulated:";

/// The session identifier of every emulated initiator port: type 10b, random by no one.
const ISID: [u8; 6] = [0x80, 0, 0, 0, 0, 1];

/// The longest name of a nexus: with the prefix it stays within an iSCSI name.
const NEXUS_NAME_MAX: usize = 64;

/// A name, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name {
    /// The file.
    pub file: PathBuf,
    /// The name of the nexus.
    pub nexus: String,
    /// What the unit shall be, where the name says.
    pub behaviour: Option<Behaviour>,
    /// How many blocks it shall have, where the name says.
    pub blocks: Option<u64>,
}

/// What is wrong with a name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameError {
    /// It has another form.
    #[error("an emulated disk is named emu:FILE?nexus=NAME[&behaviour=NAME][&size=64M]")]
    Form,
    /// No nexus.
    #[error("which host is asking? add ?nexus=NAME (any name; each host has its own)")]
    NoNexus,
    /// A nexus name with other characters, or too long.
    #[error("the nexus name {0:?} may have 1 to {NEXUS_NAME_MAX} of a-z, 0-9, '-', '.' and ':'")]
    NexusName(String),
    /// A parameter that there is not.
    #[error("there is no parameter {0:?}; there are nexus, behaviour and size")]
    Parameter(String),
    /// A behaviour that there is not.
    #[error("there is no behaviour {0:?}; there are standard, lio, tgt and hostile")]
    Behaviour(String),
    /// A size that is not one.
    #[error(
        "the size {0:?} is not a multiple of {BLOCK_BYTES} bytes, in bytes or with K, M, G or T"
    )]
    Size(String),
}

impl Name {
    /// Takes a name apart. A `?` in the file's own name cannot be said.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn parse(name: &str) -> Result<Self, NameError> {
        let rest = name.strip_prefix("emu:").ok_or(NameError::Form)?;
        let (file, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        if file.is_empty() {
            return Err(NameError::Form);
        }
        let (mut nexus, mut behaviour, mut blocks) = (None, None, None);
        for parameter in parameters.split('&').filter(|part| !part.is_empty()) {
            match parameter.split_once('=') {
                Some(("nexus", value)) => nexus = Some(parse_nexus(value)?),
                Some(("behaviour", value)) => {
                    behaviour = Some(
                        Behaviour::from_name(value)
                            .ok_or_else(|| NameError::Behaviour(value.to_owned()))?,
                    );
                }
                Some(("size", value)) => {
                    blocks =
                        Some(parse_blocks(value).ok_or_else(|| NameError::Size(value.to_owned()))?);
                }
                Some((other, _)) => return Err(NameError::Parameter(other.to_owned())),
                None => return Err(NameError::Parameter(parameter.to_owned())),
            }
        }
        Ok(Self {
            file: PathBuf::from(file),
            nexus: nexus.ok_or(NameError::NoNexus)?,
            behaviour,
            blocks,
        })
    }

    /// The nexus of this name: through target port 1.
    #[must_use]
    pub fn nexus(&self) -> Nexus {
        Nexus::new(initiator(&self.nexus), 1)
    }
}

/// The initiator port of the nexus with this name, as READ FULL STATUS shows it.
#[must_use]
pub fn initiator(nexus_name: &str) -> TransportId {
    TransportId::Iscsi {
        name: format!("{INITIATOR_PREFIX}{nexus_name}"),
        isid: Some(ISID),
    }
}

/// The name of the nexus behind an initiator port, if it is an emulated one.
#[must_use]
pub fn nexus_name(initiator: &TransportId) -> Option<&str> {
    match initiator {
        TransportId::Iscsi {
            name,
            isid: Some(ISID),
        } => name.strip_prefix(INITIATOR_PREFIX),
        TransportId::Iscsi { .. }
        | TransportId::FibreChannel(_)
        | TransportId::ParallelScsi { .. }
        | TransportId::Ieee1394(_)
        | TransportId::Rdma(_)
        | TransportId::Sas(_)
        | TransportId::Sop(_)
        | TransportId::Other(_) => None,
    }
}

fn parse_nexus(value: &str) -> Result<String, NameError> {
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b':')
    };
    if (1..=NEXUS_NAME_MAX).contains(&value.len()) && value.bytes().all(allowed) {
        Ok(value.to_owned())
    } else {
        Err(NameError::NexusName(value.to_owned()))
    }
}

fn parse_blocks(value: &str) -> Option<u64> {
    let (digits, unit) = match value.bytes().last()? {
        b'K' => (&value[..value.len() - 1], 1 << 10),
        b'M' => (&value[..value.len() - 1], 1 << 20),
        b'G' => (&value[..value.len() - 1], 1 << 30),
        b'T' => (&value[..value.len() - 1], 1 << 40),
        _ => (value, 1),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let bytes = digits.parse::<u64>().ok()?.checked_mul(unit)?;
    // A file offset is a signed number, and the state stands before the medium.
    let fits = bytes < 1 << 62;
    (bytes > 0 && bytes.is_multiple_of(u64::from(BLOCK_BYTES)) && fits)
        .then(|| bytes / u64::from(BLOCK_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_apart() {
        let name = Name::parse("emu:/tmp/disk?nexus=node-a&behaviour=lio&size=8M").unwrap();
        assert_eq!(name.file, PathBuf::from("/tmp/disk"));
        assert_eq!(name.behaviour, Some(Behaviour::Lio));
        assert_eq!(name.blocks, Some(16384));
        let initiator = name.nexus().initiator;
        assert_eq!(nexus_name(&initiator), Some("node-a"));
        assert_eq!(
            initiator.to_string(),
            "iqn.2026-01.invalid.emulated:node-a,i,0x800000000001"
        );
    }

    #[test]
    fn what_is_wrong_with_a_name_is_said() {
        for (bad, why) in [
            ("emu:", NameError::Form),
            ("/dev/sda", NameError::Form),
            ("emu:x", NameError::NoNexus),
            ("emu:x?size=1M", NameError::NoNexus),
            ("emu:x?nexus=", NameError::NexusName(String::new())),
            ("emu:x?nexus=A", NameError::NexusName("A".to_owned())),
            (
                "emu:x?nexus=a&colour=red",
                NameError::Parameter("colour".to_owned()),
            ),
            (
                "emu:x?nexus=a&behaviour=odd",
                NameError::Behaviour("odd".to_owned()),
            ),
            ("emu:x?nexus=a&size=0", NameError::Size("0".to_owned())),
            ("emu:x?nexus=a&size=513", NameError::Size("513".to_owned())),
            (
                "emu:x?nexus=a&size=9999999T",
                NameError::Size("9999999T".to_owned()),
            ),
        ] {
            assert_eq!(Name::parse(bad), Err(why), "{bad}");
        }
    }
}

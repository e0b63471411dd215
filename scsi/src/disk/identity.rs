//! What a disk is: the words by which a person tells it from its neighbour.

use std::fmt;

/// The SCSI address on this host: `host:channel:target:lun`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Address {
    /// Host adapter.
    pub host: u32,
    /// Channel (bus).
    pub channel: u32,
    /// Target.
    pub target: u32,
    /// Logical unit, as Linux numbers it.
    pub lun: u64,
}

impl Address {
    /// Parses `H:C:T:L`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let address = Self {
            host: parts.next()?.parse().ok()?,
            channel: parts.next()?.parse().ok()?,
            target: parts.next()?.parse().ok()?,
            lun: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}:{}",
            self.host, self.channel, self.target, self.lun
        )
    }
}

/// What a disk is. What nobody tells is `None`, never made up.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Identity {
    /// VENDOR IDENTIFICATION, without padding.
    pub vendor: Option<String>,
    /// PRODUCT IDENTIFICATION, or NVMe's model.
    pub model: Option<String>,
    /// PRODUCT REVISION LEVEL, or NVMe's firmware.
    pub revision: Option<String>,
    /// Unit serial number (VPD 80h), or NVMe's serial.
    pub serial: Option<String>,
    /// The world-wide name: `naa.…`, `eui.…`, `t10.…`, `uuid.…`. Equal for every path to the disk.
    pub wwid: Option<String>,
    /// Every world-wide name that the unit has, the one above among them; none where only that one is known.
    pub names: Vec<String>,
    /// How it is attached: `iscsi`, `fc`, `sas`, `loop`, `tcp`, `emulated`, …
    pub transport: Option<String>,
    /// Where it is attached.
    pub address: Option<Address>,
    /// Number of logical blocks.
    pub block_count: Option<u64>,
    /// Size of a logical block in bytes.
    pub block_bytes: Option<u32>,
}

impl Identity {
    /// Size in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> Option<u64> {
        self.block_count?.checked_mul(u64::from(self.block_bytes?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_four_numbers_and_nothing_else() {
        let address = Address::parse("2:0:1:16384").unwrap();
        assert_eq!(address.lun, 16384);
        assert_eq!(address.to_string(), "2:0:1:16384");
        for bad in ["", "2:0:1", "2:0:1:0:0", "a:0:0:0", "target2:0:1"] {
            assert_eq!(Address::parse(bad), None, "{bad}");
        }
    }
}

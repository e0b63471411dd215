//! What a unit is made as.

use super::behaviour::Behaviour;

/// What a unit is made as. It never changes afterwards.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Config {
    /// Whose rules it follows.
    pub behaviour: Behaviour,
    /// What `hostile` draws its whims from: the same seed and commands, the same whims.
    pub seed: u64,
    /// Logical blocks; at least one.
    pub blocks: u64,
    /// Target ports, numbered from 1.
    pub target_ports: u16,
    /// PRODUCT SERIAL NUMBER (VPD 80h), at most 36 characters of ASCII; the WWN is made of it.
    pub serial: String,
}

/// The size of a logical block. One size, for every initiator and file system knows it.
pub const BLOCK_BYTES: u32 = 512;

/// The longest serial number: what LIO has room for.
pub const SERIAL_MAX: usize = 36;

/// The most blocks that one READ or WRITE may move, and VPD B0h says so: 4 MiB. It bounds what one
/// command can make the unit allocate.
pub const TRANSFER_BLOCKS_MAX: u32 = 8192;

/// The most blocks that COMPARE AND WRITE compares. One, as most arrays have it.
pub const COMPARE_BLOCKS_MAX: u8 = 1;

impl Default for Config {
    /// 64 MiB that follow the standards, behind one target port.
    fn default() -> Self {
        Self {
            behaviour: Behaviour::Standard,
            seed: 0,
            blocks: 64 * 1024 * 1024 / u64::from(BLOCK_BYTES),
            target_ports: 1,
            serial: "EMU00000001".to_owned(),
        }
    }
}

impl Config {
    /// The NAA identifier (VPD 83h; locally assigned, SPC-4 7.8.6.6.3): 3h, then 60 bits of the serial number.
    #[must_use]
    pub fn naa(&self) -> u64 {
        // FNV-1a: stable for ever, for hosts remember disks by it.
        let hash = self
            .serial
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
        3 << 60 | hash >> 4
    }
}

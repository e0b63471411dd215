//! The keys that this cluster registers, and where fresh ones come from.
//!
//! ```text
//!  63     56 55                     32 31     24 23                      0
//! +---------+-------------------------+---------+-------------------------+
//! | magic   | cluster tag             | node    | serial                  |
//! +---------+-------------------------+---------+-------------------------+
//! ```
//!
//! * The **magic** says that the key is an arbiter's of this kind, and keeps it from being zero.
//! * The **cluster tag** is a checksum over the cluster's name and over the times in force: a cluster with
//!   another name, or a node with other times, looks *foreign*, and is refused before anything is changed.
//! * The **serial** makes every key that is ever sent different from every other, so that a REGISTER that
//!   takes effect late cannot look like a survivor, and a holder that came back cannot look like the one
//!   that was challenged.
//!
//! Invariants: a key is handed out once; a serial that would give a key seen on the disk is skipped.

use crate::times::Times;
use scsi::reservation::{Key, PersistentState};
use std::fmt;

/// The first byte of every key of ours.
const MAGIC: u8 = 0xA7;
/// Cluster tags and serials have 24 bits.
const BITS_24: u32 = 0x00ff_ffff;

/// A node's number in its cluster: 1 to 255.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeNumber(pub u8);

/// 24 bits of a checksum over the cluster's name and the times in force.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClusterTag(u32);

impl ClusterTag {
    /// The tag of the cluster with this name, while these times are in force.
    #[must_use]
    pub fn new(name: &str, times: &Times) -> Self {
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(name.as_bytes());
        checksum.update(&[0]); // ends the name: no name is a prefix of another with its times
        checksum.update(&times.to_bytes());
        Self(checksum.finalize() & BITS_24)
    }

    /// The tag with these 24 bits; higher bits are dropped.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & BITS_24)
    }

    /// The 24 bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

/// As it stands in a key: six hexadecimal digits.
impl fmt::Display for ClusterTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06x}", self.0)
    }
}

/// The parts of a key of this kind of arbiter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyParts {
    /// Whose.
    pub cluster: ClusterTag,
    /// Which node's.
    pub node: NodeNumber,
    /// Which of the node's; 24 bits.
    pub serial: u32,
}

impl KeyParts {
    /// The parts of this key; `None` when it is not of this kind.
    #[must_use]
    pub fn decode(key: Key) -> Option<Self> {
        let [magic, c2, c1, c0, node, s2, s1, s0] = key.get().to_be_bytes();
        (magic == MAGIC).then_some(Self {
            cluster: ClusterTag(u32::from_be_bytes([0, c2, c1, c0])),
            node: NodeNumber(node),
            serial: u32::from_be_bytes([0, s2, s1, s0]),
        })
    }

    /// The key; the serial's higher bits are dropped.
    #[must_use]
    pub fn encode(self) -> Key {
        let [_, c2, c1, c0] = self.cluster.0.to_be_bytes();
        let [_, s2, s1, s0] = (self.serial & BITS_24).to_be_bytes();
        let value = u64::from_be_bytes([MAGIC, c2, c1, c0, self.node.0, s2, s1, s0]);
        let Some(key) = Key::new(value) else {
            unreachable!("the magic is not zero")
        };
        key
    }
}

/// What a key means to this node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum KeyOwner {
    /// This node number, this cluster: an earlier process or term of ours, or a node with our number.
    OwnNode,
    /// Another node of this cluster.
    Peer(NodeNumber),
    /// Another cluster, other times, or no arbiter of this kind.
    Foreign,
}

impl KeyOwner {
    /// Whose key it is, as seen by `node` of `cluster`.
    #[must_use]
    pub fn of(key: Key, cluster: ClusterTag, node: NodeNumber) -> Self {
        match KeyParts::decode(key) {
            Some(parts) if parts.cluster != cluster => Self::Foreign,
            Some(parts) if parts.node == node => Self::OwnNode,
            Some(parts) => Self::Peer(parts.node),
            None => Self::Foreign,
        }
    }
}

/// How few unused serials are left when more are asked for: what one registration of many paths, after
/// a few refusals, may use up before the answer comes.
const LOW_WATER: u32 = 64;

/// The unused serials of this node.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Serials {
    next: u32,
    left: u32,
    /// More were asked for, and have not come.
    asked: bool,
}

impl Serials {
    /// Replaces what is left by a block of unused serials.
    pub(super) fn refill(&mut self, first: u32, count: u32) {
        *self = Self {
            next: first,
            left: count,
            asked: false,
        };
    }

    /// A key that was never handed out and is not among those `seen` on the disk; `None` when the block
    /// is used up.
    pub(super) fn take(
        &mut self,
        cluster: ClusterTag,
        node: NodeNumber,
        seen: Option<&PersistentState>,
    ) -> Option<Key> {
        while self.left > 0 {
            let key = KeyParts {
                cluster,
                node,
                serial: self.next,
            }
            .encode();
            self.next = (self.next + 1) & BITS_24;
            self.left -= 1;
            if !seen.is_some_and(|state| state.has_key(key)) {
                return Some(key);
            }
        }
        None
    }

    /// Should more be asked for now? True once for each refill.
    pub(super) fn should_ask(&mut self) -> bool {
        let ask = self.left < LOW_WATER && !self.asked;
        self.asked |= ask;
        ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arbitration::Mode;
    use crate::times::Profile;
    use scsi::reservation::Registration;

    #[test]
    fn a_key_lies_on_the_wire_as_the_picture_says() {
        let key = KeyParts {
            cluster: ClusterTag::from_bits(0x12_3456),
            node: NodeNumber(7),
            serial: 0xab_cdef,
        }
        .encode();
        assert_eq!(key.get(), 0xa712_3456_07ab_cdef);
        let parts = KeyParts::decode(key).unwrap();
        assert_eq!((parts.node.0, parts.serial), (7, 0xab_cdef));
        assert_eq!(KeyParts::decode(Key::new(0xa6_u64 << 56).unwrap()), None);
    }

    #[test]
    fn another_name_and_other_times_give_other_tags() {
        let times = Profile::Default.times(Mode::Persistent);
        let other = Profile::Fast.times(Mode::Persistent);
        let tag = ClusterTag::new("alpha", &times);
        assert_eq!(tag, ClusterTag::new("alpha", &times));
        assert_ne!(tag, ClusterTag::new("beta", &times));
        assert_ne!(tag, ClusterTag::new("alpha", &other));
    }

    #[test]
    fn a_serial_is_handed_out_once_and_never_one_that_is_registered() {
        let cluster = ClusterTag::from_bits(1);
        let node = NodeNumber(1);
        let key = |serial| {
            KeyParts {
                cluster,
                node,
                serial,
            }
            .encode()
        };
        let seen = PersistentState {
            registrations: vec![Registration {
                key: key(11),
                nexus: None,
                holder: None,
                all_target_ports: false,
            }],
            ..PersistentState::default()
        };
        let mut serials = Serials::default();
        serials.refill(10, 3);
        assert_eq!(serials.take(cluster, node, Some(&seen)), Some(key(10)));
        assert_eq!(serials.take(cluster, node, Some(&seen)), Some(key(12)));
        assert_eq!(serials.take(cluster, node, Some(&seen)), None);
        assert!(serials.should_ask());
        assert!(!serials.should_ask(), "asked once for each refill");
    }
}

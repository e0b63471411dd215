//! The parameter lists of PERSISTENT RESERVE OUT (SPC-4 6.16.3, 6.16.4).
//!
//! ```text
//! basic, 24 bytes                               REGISTER AND MOVE
//!  0  RESERVATION KEY (8)                        0  RESERVATION KEY (8)
//!  8  SERVICE ACTION RESERVATION KEY (8)         8  SERVICE ACTION RESERVATION KEY (8)
//! 16  obsolete (4)                              17  UNREG (1), APTPL (0)
//! 20  SPEC_I_PT (3) ALL_TG_PT (2) APTPL (0)     18  RELATIVE TARGET PORT IDENTIFIER (2)
//! 24  with SPEC_I_PT: TransportID length (4)    20  TransportID length (4)
//! 28  TransportIDs                              24  one TransportID
//! ```
//!
//! Invariants: every byte of the list is accounted for (a list that is longer or shorter than its own
//! lengths say is an error); a key of zero is `None`. What the keys mean to an action, and whether a bit
//! may stand with it, is the device server's to say.

use super::ParameterError;
use super::bytes::{be16, be32, be64, bit, flag, length, put};
use super::transport_id::{TransportId, moved};
use crate::reservation::Key;

/// Offsets and bits of the basic list (SPC-4 6.16.3).
mod basic {
    pub(super) const KEY: usize = 0;
    pub(super) const SERVICE_ACTION_KEY: usize = 8;
    pub(super) const FLAGS: usize = 20;
    pub(super) const SPEC_I_PT: u8 = 3;
    pub(super) const ALL_TG_PT: u8 = 2;
    pub(super) const APTPL: u8 = 0;
    pub(super) const LENGTH: usize = 24;
    pub(super) const IDS_LENGTH: usize = 24;
    pub(super) const IDS: usize = 28;
}

/// Offsets and bits of the REGISTER AND MOVE list (SPC-4 6.16.4).
mod register_and_move {
    pub(super) const KEY: usize = 0;
    pub(super) const SERVICE_ACTION_KEY: usize = 8;
    pub(super) const FLAGS: usize = 17;
    pub(super) const UNREG: u8 = 1;
    pub(super) const APTPL: u8 = 0;
    pub(super) const RELATIVE_TARGET_PORT: usize = 18;
    pub(super) const ID_LENGTH: usize = 20;
    pub(super) const ID: usize = 24;
}

/// The list of every action but REGISTER AND MOVE.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct BasicList {
    /// RESERVATION KEY: what this nexus has registered.
    pub key: Option<Key>,
    /// SERVICE ACTION RESERVATION KEY: the new key, or the victim's.
    pub service_action_key: Option<Key>,
    /// APTPL.
    pub aptpl: bool,
    /// ALL_TG_PT.
    pub all_target_ports: bool,
    /// SPEC_I_PT: these initiator ports too; `None` without the bit.
    pub initiator_ports: Option<Vec<TransportId>>,
}

impl BasicList {
    /// Parses all the bytes of a parameter list.
    ///
    /// # Errors
    /// [`ParameterError::Length`] when the list has not just the bytes that it says (a device server
    /// answers 1A/00); [`ParameterError::Field`] for a broken TransportID (26/00).
    pub fn parse(list: &[u8]) -> Result<Self, ParameterError> {
        ParameterError::at_least(basic::LENGTH, list)?;
        let initiator_ports = if bit(list, basic::FLAGS, basic::SPEC_I_PT) {
            ParameterError::at_least(basic::IDS, list)?;
            exactly(basic::IDS, be32(list, basic::IDS_LENGTH), list)?;
            let ids = TransportId::parse_list(&list[basic::IDS..]);
            Some(ids.map_err(|error| moved(error, basic::IDS))?)
        } else {
            exactly(basic::LENGTH, 0, list)?;
            None
        };
        Ok(Self {
            key: Key::new(be64(list, basic::KEY)),
            service_action_key: Key::new(be64(list, basic::SERVICE_ACTION_KEY)),
            aptpl: bit(list, basic::FLAGS, basic::APTPL),
            all_target_ports: bit(list, basic::FLAGS, basic::ALL_TG_PT),
            initiator_ports,
        })
    }

    /// The bytes as they travel: 24, and more with SPEC_I_PT only.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut list = vec![0; basic::LENGTH];
        put_keys(&mut list, self.key, self.service_action_key);
        list[basic::FLAGS] = flag(self.initiator_ports.is_some(), basic::SPEC_I_PT)
            | flag(self.all_target_ports, basic::ALL_TG_PT)
            | flag(self.aptpl, basic::APTPL);
        if let Some(ports) = &self.initiator_ports {
            let ids: Vec<u8> = ports.iter().flat_map(TransportId::emit).collect();
            list.extend(u32::try_from(ids.len()).unwrap_or(u32::MAX).to_be_bytes());
            list.extend(ids);
        }
        list
    }
}

/// The list of REGISTER AND MOVE.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct MoveList {
    /// RESERVATION KEY: what this nexus, the holder, has registered.
    pub key: Option<Key>,
    /// SERVICE ACTION RESERVATION KEY: what the destination shall have; zero is refused by the disk.
    pub service_action_key: Option<Key>,
    /// UNREG: unregister this nexus afterwards.
    pub unregister: bool,
    /// APTPL.
    pub aptpl: bool,
    /// RELATIVE TARGET PORT IDENTIFIER of the destination.
    pub relative_target_port: u16,
    /// The destination's initiator port.
    pub destination: TransportId,
}

impl MoveList {
    /// Parses all the bytes of a parameter list.
    ///
    /// # Errors
    /// As [`BasicList::parse`].
    pub fn parse(list: &[u8]) -> Result<Self, ParameterError> {
        ParameterError::at_least(register_and_move::ID, list)?;
        let told = be32(list, register_and_move::ID_LENGTH);
        exactly(register_and_move::ID, told, list)?;
        let id = &list[register_and_move::ID..];
        let (destination, used) =
            TransportId::parse(id).map_err(|error| moved(error, register_and_move::ID))?;
        if used != id.len() {
            return Err(ParameterError::Field {
                at: register_and_move::ID_LENGTH,
                what: "more than one TransportID",
            });
        }
        Ok(Self {
            key: Key::new(be64(list, register_and_move::KEY)),
            service_action_key: Key::new(be64(list, register_and_move::SERVICE_ACTION_KEY)),
            unregister: bit(list, register_and_move::FLAGS, register_and_move::UNREG),
            aptpl: bit(list, register_and_move::FLAGS, register_and_move::APTPL),
            relative_target_port: be16(list, register_and_move::RELATIVE_TARGET_PORT),
            destination,
        })
    }

    /// The bytes as they travel.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let id = self.destination.emit();
        let mut list = vec![0; register_and_move::ID];
        put_keys(&mut list, self.key, self.service_action_key);
        list[register_and_move::FLAGS] = flag(self.unregister, register_and_move::UNREG)
            | flag(self.aptpl, register_and_move::APTPL);
        let port = self.relative_target_port.to_be_bytes();
        put(&mut list, register_and_move::RELATIVE_TARGET_PORT, &port);
        let id_length = u32::try_from(id.len()).unwrap_or(u32::MAX).to_be_bytes();
        put(&mut list, register_and_move::ID_LENGTH, &id_length);
        list.extend(id);
        list
    }
}

/// Both lists start with the two keys.
fn put_keys(list: &mut [u8], key: Option<Key>, service_action_key: Option<Key>) {
    put(list, basic::KEY, &Key::to_wire(key).to_be_bytes());
    let service_action_key = Key::to_wire(service_action_key).to_be_bytes();
    put(list, basic::SERVICE_ACTION_KEY, &service_action_key);
}

/// The list has `fixed` bytes and as many more as it tells.
fn exactly(fixed: usize, told: u32, list: &[u8]) -> Result<(), ParameterError> {
    let expected = length(told).saturating_add(fixed);
    let arrived = list.len();
    if expected != arrived {
        return Err(ParameterError::Length { expected, arrived });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(value: u64) -> Option<Key> {
        Key::new(value)
    }

    #[test]
    fn the_basic_list_as_sg_persist_sends_it() {
        // sg_persist --out --register --param-rk=0x1 --param-sark=0x123abc --param-aptpl
        let list = [
            0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0x12, 0x3a, 0xbc, 0, 0, 0, 0, 1, 0, 0, 0,
        ];
        let value = BasicList {
            key: key(1),
            service_action_key: key(0x12_3abc),
            aptpl: true,
            ..BasicList::default()
        };
        assert_eq!(BasicList::parse(&list), Ok(value.clone()));
        assert_eq!(value.emit(), list);
    }

    #[test]
    fn specified_initiator_ports_follow_their_length() {
        let ports = vec![TransportId::Sas([0x50; 8]), TransportId::Sas([0x51; 8])];
        let value = BasicList {
            service_action_key: key(7),
            all_target_ports: true,
            initiator_ports: Some(ports),
            ..BasicList::default()
        };
        let list = value.emit();
        assert_eq!(list.len(), 28 + 48);
        assert_eq!(list[20], 0x0c);
        assert_eq!(list[24..28], [0, 0, 0, 48]);
        assert_eq!(list[28], 6);
        assert_eq!(BasicList::parse(&list), Ok(value));
    }

    #[test]
    fn a_list_that_is_not_as_long_as_it_says_is_refused() {
        let list = BasicList::default().emit();
        for bad in [&list[..23], &[&list[..], &[0]].concat()[..], &[]] {
            let error = BasicList::parse(bad).unwrap_err();
            assert!(matches!(error, ParameterError::Length { .. }), "{error:?}");
        }
        let mut list = list;
        list[20] = 0x08; // SPEC_I_PT without the length field
        let error = BasicList::parse(&list).unwrap_err();
        assert_eq!(
            error,
            ParameterError::Length {
                expected: 28,
                arrived: 24
            }
        );
        list.extend([0xff; 4]); // a length that nothing arrived for
        assert!(BasicList::parse(&list).is_err());
    }

    #[test]
    fn a_broken_transport_id_is_named_by_its_place_in_the_list() {
        let mut list = BasicList {
            initiator_ports: Some(vec![TransportId::Sop(1), TransportId::Sop(2)]),
            ..BasicList::default()
        }
        .emit();
        list[28 + 24] = 0x05; // iSCSI with an additional length of zero … two: below 20
        let error = BasicList::parse(&list).unwrap_err();
        assert!(
            matches!(error, ParameterError::Field { at: 54, .. }),
            "{error:?}"
        );
    }

    #[test]
    fn register_and_move_has_its_own_list() {
        let value = MoveList {
            key: key(1),
            service_action_key: key(2),
            unregister: true,
            aptpl: true,
            relative_target_port: 3,
            destination: TransportId::Iscsi {
                name: "iqn.2026-01.x:n".to_owned(),
                isid: Some([0x80, 0, 0, 0, 0, 9]),
            },
        };
        let list = value.emit();
        assert_eq!(list[..8], 1u64.to_be_bytes());
        assert_eq!(list[8..16], 2u64.to_be_bytes());
        assert_eq!(list[16..24], [0, 3, 0, 3, 0, 0, 0, 40]);
        assert_eq!(MoveList::parse(&list), Ok(value));
        for cut in 0..list.len() {
            assert!(MoveList::parse(&list[..cut]).is_err(), "cut at {cut}");
        }
        let mut two = list;
        two.extend(TransportId::Sop(1).emit());
        two[23] += 24;
        let error = MoveList::parse(&two).unwrap_err();
        assert!(matches!(error, ParameterError::Field { at: 20, .. }));
    }

    mod properties {
        use super::*;
        use proptest::prelude::*;

        proptest! {
            #[test]
            fn what_parses_is_emitted_to_the_same_value(
                bytes in proptest::collection::vec(any::<u8>(), 0..24),
                ids in proptest::collection::vec(any::<([u8; 24], u8)>(), 0..4),
                flags: u8,
            ) {
                let mut list = bytes;
                list.resize(24, 0);
                list[20] = flags;
                let ids: Vec<u8> = ids
                    .into_iter()
                    .flat_map(|(mut id, protocol)| { id[0] = protocol & 0x0f; id })
                    .collect();
                if flags & 8 != 0 {
                    list.extend(u32::try_from(ids.len()).unwrap().to_be_bytes());
                    list.extend(&ids);
                }
                if let Ok(value) = BasicList::parse(&list) {
                    prop_assert_eq!(BasicList::parse(&value.emit()), Ok(value));
                }
                list.truncate(24);
                list[20..24].copy_from_slice(&[0, 0, 0, 24]);
                list.extend(ids.iter().take(24));
                if let Ok(value) = MoveList::parse(&list) {
                    prop_assert_eq!(MoveList::parse(&value.emit()), Ok(value));
                }
            }

            #[test]
            fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
                drop(BasicList::parse(&bytes));
                drop(MoveList::parse(&bytes));
            }
        }
    }
}

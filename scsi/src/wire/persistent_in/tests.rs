use super::*;
use crate::reservation::{Capabilities, NexusId, Support, TypeMask};
use crate::wire::transport_id::TransportId;

fn key(value: u64) -> Key {
    Key::new(value).unwrap()
}

fn bytes(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn read_keys_as_a_disk_answers() {
    let answer = bytes(&[
        &[0, 0, 0, 5, 0, 0, 0, 16],
        &0x12_3abcu64.to_be_bytes(),
        &0xffff_ffff_ffff_ffffu64.to_be_bytes(),
    ]);
    let value = RegisteredKeys {
        generation: 5,
        keys: vec![key(0x12_3abc), key(u64::MAX)],
    };
    assert_eq!(RegisteredKeys::parse(&answer, 4096), Ok(value.clone()));
    assert_eq!(value.emit(), answer);
}

#[test]
fn a_list_that_goes_beyond_what_was_asked_is_asked_for_again() {
    let keys = RegisteredKeys {
        generation: 1,
        keys: (1..=1000).map(key).collect(),
    };
    let whole = keys.emit();
    let mut asked = FIRST_ALLOCATION;
    let mut questions = vec![asked];
    let parsed = loop {
        let arrived = &whole[..whole.len().min(asked.into())];
        match RegisteredKeys::parse(arrived, asked) {
            Err(ParameterError::Incomplete { needed }) => {
                asked = next_allocation(asked, needed).unwrap();
                questions.push(asked);
            }
            other => break other,
        }
    };
    assert_eq!(parsed, Ok(keys));
    assert_eq!(questions, [4096, 8192]);
}

#[test]
fn no_more_can_be_asked_for_than_sixteen_bits_say() {
    assert_eq!(next_allocation(4096, 4100), Some(8192));
    assert_eq!(next_allocation(4096, 20_001), Some(20_008));
    assert_eq!(next_allocation(4096, usize::MAX - 8), Some(LAST_ALLOCATION));
    assert_eq!(next_allocation(40_000, 50_000), Some(LAST_ALLOCATION));
    assert_eq!(next_allocation(LAST_ALLOCATION, 100_000), None);
    // The largest list that fits is taken, for no more can be asked for.
    let keys = RegisteredKeys {
        generation: 1,
        keys: vec![key(1); 8190],
    };
    assert_eq!(
        RegisteredKeys::parse(&keys.emit(), LAST_ALLOCATION),
        Ok(keys)
    );
}

#[test]
fn a_target_that_reports_the_truncated_length_is_asked_again() {
    // LIO before it was mended: 600 keys exist, 511 fit, ADDITIONAL LENGTH says 511 keys.
    let fitting = RegisteredKeys {
        generation: 1,
        keys: vec![key(1); 511],
    };
    let cut = RegisteredKeys::parse(&fitting.emit(), 4096);
    assert_eq!(cut, Err(ParameterError::Incomplete { needed: 4104 }));
    // With room for one more key it is surely whole.
    assert_eq!(RegisteredKeys::parse(&fitting.emit(), 4104), Ok(fitting));
}

#[test]
fn additional_length_is_believed_only_as_far_as_bytes_arrived() {
    let answer = bytes(&[&[0, 0, 0, 1, 0, 0, 0, 16], &key(1).get().to_be_bytes()]);
    assert_eq!(
        RegisteredKeys::parse(&answer, 4096),
        Err(ParameterError::Length {
            expected: 24,
            arrived: 16
        })
    );
    let huge = [0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff];
    let error = RegisteredKeys::parse(&huge, 4096).unwrap_err();
    assert!(matches!(error, ParameterError::Incomplete { .. }));
    assert!(RegisteredKeys::parse(&answer[..7], 4096).is_err());
    // Trailing bytes beyond ADDITIONAL LENGTH (a driver that knows no residual) are not keys.
    let padded = bytes(&[&[0, 0, 0, 1, 0, 0, 0, 0], &[0xff; 64]]);
    assert_eq!(RegisteredKeys::parse(&padded, 72).unwrap().keys, []);
}

#[test]
fn a_zero_key_and_a_broken_length_are_errors() {
    let zero = [0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    assert!(matches!(
        RegisteredKeys::parse(&zero, 4096),
        Err(ParameterError::Field { at: 8, .. })
    ));
    let odd = [0, 0, 0, 1, 0, 0, 0, 7, 1, 1, 1, 1, 1, 1, 1];
    assert!(matches!(
        RegisteredKeys::parse(&odd, 4096),
        Err(ParameterError::Field { at: 4, .. })
    ));
}

#[test]
fn read_reservation_held_and_free() {
    let free = [0, 0, 0, 9, 0, 0, 0, 0];
    let value = HeldReservation {
        generation: 9,
        reservation: None,
    };
    assert_eq!(HeldReservation::parse(&free, 24), Ok(value));
    assert_eq!(value.emit(), free);

    let held = bytes(&[
        &[0, 0, 0, 9, 0, 0, 0, 16],
        &key(0xabc).get().to_be_bytes(),
        &[0, 0, 0, 0, 0, 0x05, 0, 0],
    ]);
    let value = HeldReservation {
        generation: 9,
        reservation: Some(Reservation {
            key: Some(key(0xabc)),
            kind: ReservationType::WriteExclusiveRegistrantsOnly,
        }),
    };
    assert_eq!(HeldReservation::parse(&held, 24), Ok(value));
    assert_eq!(value.emit(), held);
    assert_eq!(
        HeldReservation::parse(&held[..8], 8),
        Err(ParameterError::Incomplete { needed: 24 })
    );
}

#[test]
fn all_registrants_hold_without_a_key() {
    let reservation = Some(Reservation {
        key: None,
        kind: ReservationType::ExclusiveAccessAllRegistrants,
    });
    let mut answer = HeldReservation {
        generation: 1,
        reservation,
    }
    .emit();
    assert_eq!(answer[8..16], [0; 8]);
    answer[15] = 7; // a target that names a key all the same
    let parsed = HeldReservation::parse(&answer, 24).unwrap();
    assert_eq!(parsed.reservation, reservation);
}

#[test]
fn an_unknown_type_scope_or_a_zero_holder_is_no_reservation() {
    let answer = |key: u64, scope_type: u8| {
        bytes(&[
            &[0, 0, 0, 9, 0, 0, 0, 16],
            &key.to_be_bytes(),
            &[0, 0, 0, 0, 0, scope_type, 0, 0],
        ])
    };
    for (key, scope_type, place) in [(1, 0x02, 21), (1, 0x0f, 21), (1, 0x15, 21), (0, 0x05, 8)] {
        let error = HeldReservation::parse(&answer(key, scope_type), 24).unwrap_err();
        assert!(
            matches!(error, ParameterError::Field { at, .. } if at == place),
            "{error:?}"
        );
    }
}

#[test]
fn capabilities_as_lio_reports_them() {
    // CRH, SIP_C, ATP_C, PTPL_C; TMV, ALLOW COMMANDS 001b; all six types.
    let answer = [0, 8, 0x1d, 0x90, 0xea, 0x01, 0, 0];
    let value = ReportedCapabilities::parse(&answer).unwrap();
    let all = ReservationType::ALL
        .into_iter()
        .fold(TypeMask::default(), TypeMask::with);
    let expected = ReportedCapabilities {
        replace_lost: false,
        compatible_handling: true,
        specify_initiator_ports: true,
        all_target_ports: true,
        aptpl_capable: true,
        aptpl_active: false,
        allow_commands: 1,
        types: Some(all),
    };
    assert_eq!(value, expected);
    assert_eq!(value.emit(), answer);
    let mut known = Capabilities::default();
    value.tell(&mut known);
    assert_eq!(known.aptpl_capable, Support::Yes);
    assert_eq!(known.aptpl_active, Support::No);
    assert_eq!(known.spc2, Support::Unknown, "not in this answer");
}

#[test]
fn a_type_mask_that_is_not_valid_tells_nothing() {
    let value = ReportedCapabilities::parse(&[0, 8, 0, 0, 0xff, 0xff, 0, 0]).unwrap();
    assert_eq!(value.types, None);
    assert!(ReportedCapabilities::parse(&[0, 8, 0, 0]).is_err());
    assert!(ReportedCapabilities::parse(&[0; 8]).is_err());
}

fn two_registrants() -> FullStatus {
    FullStatus {
        generation: 3,
        entries: vec![
            FullStatusEntry {
                key: key(0xa),
                holds: Some(ReservationType::WriteExclusive),
                relative_target_port: Some(1),
                initiator: TransportId::Sas([0x50, 1, 2, 3, 4, 5, 6, 7]),
            },
            FullStatusEntry {
                key: key(0xb),
                holds: None,
                relative_target_port: None,
                initiator: TransportId::Iscsi {
                    name: "iqn.2026-01.x:n".to_owned(),
                    isid: Some([0x80, 0, 0, 0, 0, 1]),
                },
            },
        ],
    }
}

#[test]
fn full_status_as_a_disk_answers() {
    let mut iscsi = vec![0x45, 0, 0, 36];
    iscsi.extend(b"iqn.2026-01.x:n,i,0x800000000001\0\0\0\0");
    let answer = bytes(&[
        &[0, 0, 0, 3, 0, 0, 0, 112],
        &key(0xa).get().to_be_bytes(),
        &[0, 0, 0, 0, 0x01, 0x01, 0, 0, 0, 0, 0, 1, 0, 0, 0, 24],
        &[6, 0, 0, 0, 0x50, 1, 2, 3, 4, 5, 6, 7],
        &[0; 12],
        &key(0xb).get().to_be_bytes(),
        &[0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40],
        &iscsi,
    ]);
    assert_eq!(FullStatus::parse(&answer, 4096), Ok(two_registrants()));
    assert_eq!(two_registrants().emit(), answer);
}

#[test]
fn full_status_tells_the_whole_state() {
    let state = two_registrants().into_state();
    assert_eq!(state.generation, 3);
    assert!(state.is_held_by(key(0xa)));
    assert_eq!(state.registrations[0].holder, Some(true));
    assert_eq!(
        state.registrations[1]
            .nexus
            .as_ref()
            .map(NexusId::to_string),
        Some("iqn.2026-01.x:n,i,0x800000000001".to_owned())
    );
    assert!(state.registrations[1].all_target_ports);
}

#[test]
fn a_full_status_that_is_cut_inside_a_descriptor_is_refused() {
    let whole = two_registrants().emit();
    // The length field says what arrived, as if the disk had cut the list itself.
    for cut in (8..whole.len()).filter(|&cut| cut != 8 && cut != 8 + 48) {
        let mut answer = whole[..cut].to_vec();
        answer[7] = u8::try_from(cut - 8).unwrap();
        let error = FullStatus::parse(&answer, 4096).unwrap_err();
        assert!(
            matches!(error, ParameterError::Length { .. }),
            "{cut}: {error:?}"
        );
    }
    // A descriptor that says it has four gigabytes.
    let mut answer = whole;
    answer[28..32].fill(0xff);
    assert!(FullStatus::parse(&answer, 4096).is_err());
}

#[test]
fn one_odd_registrant_does_not_hide_the_others() {
    let mut answer = two_registrants().emit();
    answer[8 + 24] = 0x0d; // a protocol that is not known
    let status = FullStatus::parse(&answer, 4096).unwrap();
    assert!(matches!(status.entries[0].initiator, TransportId::Other(_)));
    assert_eq!(status.entries[1], two_registrants().entries[1]);
    assert_eq!(FullStatus::parse(&status.emit(), 4096), Ok(status));
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    fn any_key() -> impl Strategy<Value = Key> {
        (1..=u64::MAX).prop_map(key)
    }

    fn any_kind() -> impl Strategy<Value = ReservationType> {
        (0..6usize).prop_map(|i| ReservationType::ALL[i])
    }

    proptest! {
        #[test]
        fn keys_come_back(generation: u32, keys in proptest::collection::vec(any_key(), 0..600)) {
            let value = RegisteredKeys { generation, keys };
            prop_assert_eq!(RegisteredKeys::parse(&value.emit(), LAST_ALLOCATION), Ok(value));
        }

        #[test]
        fn full_status_comes_back(
            generation: u32,
            entries in proptest::collection::vec(
                (any_key(), proptest::option::of(any_kind()), any::<Option<u16>>(), any::<[u8; 8]>()),
                0..40,
            ),
        ) {
            let entries = entries
                .into_iter()
                .map(|(key, holds, relative_target_port, address)| FullStatusEntry {
                    key, holds, relative_target_port, initiator: TransportId::Sas(address),
                })
                .collect();
            let value = FullStatus { generation, entries };
            prop_assert_eq!(FullStatus::parse(&value.emit(), LAST_ALLOCATION), Ok(value));
        }

        #[test]
        fn arbitrary_bytes_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
            told in 0u8..=255, allocation: u16,
        ) {
            let mut bytes = bytes;
            if bytes.len() > 8 { bytes[4..8].copy_from_slice(&[0, 0, 0, told]); }
            for allocation in [allocation, LAST_ALLOCATION] {
                if let Ok(value) = RegisteredKeys::parse(&bytes, allocation) {
                    prop_assert_eq!(RegisteredKeys::parse(&value.emit(), LAST_ALLOCATION), Ok(value));
                }
                if let Ok(value) = HeldReservation::parse(&bytes, allocation) {
                    prop_assert_eq!(HeldReservation::parse(&value.emit(), LAST_ALLOCATION), Ok(value));
                }
                if let Ok(value) = FullStatus::parse(&bytes, allocation) {
                    prop_assert_eq!(FullStatus::parse(&value.emit(), LAST_ALLOCATION), Ok(value));
                }
            }
            if let Ok(value) = ReportedCapabilities::parse(&bytes) {
                prop_assert_eq!(ReportedCapabilities::parse(&value.emit()), Ok(value));
            }
        }
    }
}

use super::*;
use crate::reservation::{Capabilities, HostId, Key, ReservationType, Support, TypeMask};
use crate::wire::ParameterError;

fn key(value: u64) -> Option<Key> {
    Key::new(value)
}

#[test]
fn the_commands_have_their_known_dwords_and_data() {
    let vectors = [
        (
            ReservationCommand::Register {
                action: RegisterAction::Replace,
                ignore_existing: true,
                persistence: PowerLossPersistence::Set,
                current: None,
                new: key(0x1122),
            },
            (0x0d, 0xc000_000a, 0),
            Some([[0; 8], [0x22, 0x11, 0, 0, 0, 0, 0, 0]].concat()),
        ),
        (
            ReservationCommand::Register {
                action: RegisterAction::Unregister,
                ignore_existing: false,
                persistence: PowerLossPersistence::Keep,
                current: key(7),
                new: None,
            },
            (0x0d, 1, 0),
            Some([[7, 0, 0, 0, 0, 0, 0, 0], [0; 8]].concat()),
        ),
        (
            ReservationCommand::Acquire {
                action: AcquireAction::PreemptAndAbort,
                kind: ReservationType::WriteExclusiveRegistrantsOnly,
                current: key(1),
                victim: key(2),
            },
            (0x11, 0x0000_0302, 0),
            Some([[1, 0, 0, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0, 0, 0]].concat()),
        ),
        (
            ReservationCommand::Release {
                action: ReleaseAction::Release(ReservationType::WriteExclusive),
                current: key(1),
            },
            (0x15, 0x0000_0100, 0),
            Some(vec![1, 0, 0, 0, 0, 0, 0, 0]),
        ),
        (
            ReservationCommand::Release {
                action: ReleaseAction::Clear,
                current: key(1),
            },
            (0x15, 1, 0),
            Some(vec![1, 0, 0, 0, 0, 0, 0, 0]),
        ),
        (
            ReservationCommand::Report {
                form: ReportForm::Extended,
                bytes: 4096,
            },
            (0x0e, 1023, 1),
            None,
        ),
    ];
    for (command, (opcode, cdw10, cdw11), data) in vectors {
        assert_eq!(
            (command.opcode(), command.cdw10(), command.cdw11()),
            (opcode, cdw10, cdw11),
            "{command:?}"
        );
        assert_eq!(command.data_out(), data);
        let data = data.unwrap_or_default();
        assert_eq!(
            ReservationCommand::parse(opcode, cdw10, cdw11, &data),
            Some(command)
        );
    }
}

#[test]
fn a_reserved_action_type_or_a_short_list_is_no_command() {
    let parse = ReservationCommand::parse;
    assert_eq!(parse(0x0d, 3, 0, &[0; 16]), None);
    assert_eq!(parse(0x0d, 1 << 30, 0, &[0; 16]), None);
    assert_eq!(parse(0x0d, 0, 0, &[0; 15]), None);
    assert_eq!(parse(0x11, 0x0700, 0, &[0; 16]), None);
    assert_eq!(parse(0x15, 0x0000, 0, &[0; 8]), None);
    assert_eq!(parse(0x0e, u32::MAX, 0, &[]), None);
    assert_eq!(parse(0x02, 0, 0, &[]), None);
}

fn report(form: ReportForm) -> ReservationReport {
    let host = |n: u8| {
        let mut id = [n; 16];
        if form == ReportForm::Short {
            id[8..].fill(0);
        }
        HostId(id)
    };
    let registrant = |controller, holder, n: u8| Registrant {
        controller,
        holder,
        host: host(n),
        key: Key::new(u64::from(n)).unwrap(),
    };
    ReservationReport {
        generation: 9,
        kind: Some(ReservationType::WriteExclusive),
        persists: true,
        registrants: vec![
            registrant(1, true, 0xa),
            registrant(2, true, 0xa),
            registrant(0xffff, false, 0xb),
        ],
    }
}

#[test]
fn the_short_report_as_a_controller_writes_it() {
    let mut data = vec![9, 0, 0, 0, 1, 3, 0, 0, 0, 1];
    data.resize(24, 0);
    for (controller, holder, n) in [([1, 0], 1, 0xa), ([2, 0], 1, 0xa), ([0xff, 0xff], 0, 0xb)] {
        data.extend(controller);
        data.extend([holder, 0, 0, 0, 0, 0]);
        data.extend([n; 8]);
        data.extend([n, 0, 0, 0, 0, 0, 0, 0]);
    }
    let value = report(ReportForm::Short);
    assert_eq!(
        ReservationReport::parse(ReportForm::Short, &data),
        Ok(value.clone())
    );
    assert_eq!(value.emit(ReportForm::Short), data);
}

#[test]
fn the_extended_report_has_key_before_host() {
    let value = report(ReportForm::Extended);
    let data = value.emit(ReportForm::Extended);
    assert_eq!(data.len(), ReportForm::Extended.length(3));
    assert_eq!(data[64..67], [1, 0, 1]);
    assert_eq!(data[72..80], [0xa, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(data[80..96], [0xa; 16]);
    assert_eq!(
        ReservationReport::parse(ReportForm::Extended, &data),
        Ok(value)
    );
}

#[test]
fn a_report_with_more_registrants_than_were_read_is_asked_for_again() {
    let data = report(ReportForm::Short).emit(ReportForm::Short);
    assert_eq!(
        ReservationReport::parse(ReportForm::Short, &data[..48]),
        Err(ParameterError::Incomplete { needed: 96 })
    );
    assert!(ReservationReport::parse(ReportForm::Short, &data[..23]).is_err());
    let mut bad = data.clone();
    bad[4] = 7; // a type that does not exist
    assert!(ReservationReport::parse(ReportForm::Short, &bad).is_err());
    let mut bad = data;
    bad[24 + 16] = 0; // a zero key
    assert!(matches!(
        ReservationReport::parse(ReportForm::Short, &bad),
        Err(ParameterError::Field { at: 40, .. })
    ));
}

#[test]
fn a_host_with_two_controllers_is_one_registration() {
    let state = report(ReportForm::Extended).into_state();
    assert_eq!(state.registrations.len(), 2);
    assert_eq!(state.registrations[0].holder, Some(true));
    assert!(state.is_held_by(Key::new(0xa).unwrap()));
    assert!(!state.is_held_by(Key::new(0xb).unwrap()));
}

#[test]
fn identify_namespace_names_size_and_reservations() {
    let mut data = vec![0; IDENTIFY_LENGTH];
    data[2] = 2; // NSZE 0x20000
    data[26] = 1; // the second format
    data[30] = 1;
    data[31] = 0x83; // PTPL, Write Exclusive, IEKEY
    data[120..128].copy_from_slice(&[0, 0xa0, 0x98, 1, 2, 3, 4, 5]);
    data[132 + 2] = 12;
    let value = IdentifyNamespace::parse(&data).unwrap();
    assert_eq!(
        (value.blocks, value.block_bytes, value.shared),
        (0x2_0000, 4096, true)
    );
    assert_eq!(
        value.types,
        TypeMask::default().with(ReservationType::WriteExclusive)
    );
    assert!(value.persists_capable && value.ignore_existing_key);
    assert_eq!(value.wwid().as_deref(), Some("eui.00a0980102030405"));
    let named = IdentifyNamespace {
        nguid: [0xab; 16],
        ..value
    };
    assert_eq!(
        named.wwid().as_deref(),
        Some("eui.abababababababababababababababab")
    );
    assert_eq!(IdentifyNamespace::parse(&named.emit()), Ok(named));
    let mut known = Capabilities::default();
    value.tell(&mut known);
    assert_eq!(known.aptpl_capable, Support::Yes);
}

#[test]
fn a_block_size_that_cannot_be_is_refused() {
    let mut data = vec![0; IDENTIFY_LENGTH];
    for shift in [0, 8, 17, 32, 255] {
        data[130] = shift;
        assert!(IdentifyNamespace::parse(&data).is_err(), "{shift}");
    }
    assert!(IdentifyNamespace::parse(&data[..4095]).is_err());
    // With more than 16 formats the index has two more bits.
    data[25] = 20;
    data[26] = 0x21;
    data[128 + 4 * 17 + 2] = 9;
    assert_eq!(IdentifyNamespace::parse(&data).unwrap().block_bytes, 512);
}

#[test]
fn identify_controller_names_model_and_reservations() {
    let mut data = vec![0; IDENTIFY_LENGTH];
    data[4..24].copy_from_slice(b"S1                  ");
    data[24..64].copy_from_slice(b"Linux                                   ");
    data[64..72].copy_from_slice(b"7.3     ");
    data[78] = 3;
    data[96] = 1;
    data[520] = 0x21;
    let value = IdentifyController::parse(&data).unwrap();
    let expected = IdentifyController {
        serial: "S1".to_owned(),
        model: "Linux".to_owned(),
        firmware: "7.3".to_owned(),
        controller: 3,
        extended_host_id: true,
        compare: true,
        reservations: true,
    };
    assert_eq!(value, expected);
    assert_eq!(value.emit(), data);
}

#[test]
fn status_in_words() {
    let conflict = NvmeStatus(0x4083);
    assert_eq!(conflict.code(), NvmeStatus::RESERVATION_CONFLICT);
    assert_eq!(
        conflict.to_string(),
        "reservation conflict (083h), do not retry"
    );
    assert_eq!(NvmeStatus(0x1ff).to_string(), "NVMe status (1ffh)");
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_parses_is_emitted_to_the_same_value(
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
            count in 0u8..5, kind in 0u8..8,
        ) {
            let mut bytes = bytes;
            if bytes.len() > 8 { bytes[4..7].copy_from_slice(&[kind, count, 0]); }
            for form in [ReportForm::Short, ReportForm::Extended] {
                if let Ok(value) = ReservationReport::parse(form, &bytes) {
                    prop_assert_eq!(ReservationReport::parse(form, &value.emit(form)), Ok(value));
                }
            }
        }

        #[test]
        fn dwords_come_back(opcode in proptest::sample::select(vec![0x0du8, 0x0e, 0x11, 0x15]), cdw10: u32, cdw11: u32, data: [u8; 16]) {
            if let Some(command) = ReservationCommand::parse(opcode, cdw10, cdw11, &data) {
                let data = command.data_out().unwrap_or_default();
                prop_assert_eq!(
                    ReservationCommand::parse(command.opcode(), command.cdw10(), command.cdw11(), &data),
                    Some(command)
                );
            }
        }

        #[test]
        fn identify_comes_back(start in proptest::collection::vec(any::<u8>(), 640), shift in 8u8..18) {
            let mut data = start;
            data.resize(IDENTIFY_LENGTH, 0);
            data[25..27].copy_from_slice(&[0, 0]);
            data[130] = shift;
            if let Ok(value) = IdentifyNamespace::parse(&data) {
                prop_assert_eq!(IdentifyNamespace::parse(&value.emit()), Ok(value));
            }
            let value = IdentifyController::parse(&data).unwrap();
            prop_assert_eq!(IdentifyController::parse(&value.emit()), Ok(value));
        }
    }
}

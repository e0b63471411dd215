use super::*;
use crate::wire::sense::{FieldPointer, Sense};

/// Command, and the bytes that the standards' tables (and `sg_persist -vv`, `sg_raw`) give for it.
fn vectors() -> Vec<(Command, Vec<u8>)> {
    let range10 = BlockRange::Ten {
        lba: 0x0102_0304,
        blocks: 0x0506,
    };
    let range16 = BlockRange::Sixteen {
        lba: 0x0102_0304_0506_0708,
        blocks: 0x090a_0b0c,
    };
    vec![
        (Command::TestUnitReady, vec![0; 6]),
        (
            Command::RequestSense {
                descriptor: true,
                allocation_length: 252,
            },
            vec![0x03, 1, 0, 0, 252, 0],
        ),
        (
            Command::Inquiry {
                vpd: None,
                allocation_length: 36,
            },
            vec![0x12, 0, 0, 0, 36, 0],
        ),
        (
            Command::Inquiry {
                vpd: Some(0x83),
                allocation_length: 0x1000,
            },
            vec![0x12, 1, 0x83, 0x10, 0, 0],
        ),
        (Command::Reserve6, vec![0x16, 0, 0, 0, 0, 0]),
        (Command::Release6, vec![0x17, 0, 0, 0, 0, 0]),
        (Command::Reserve10, vec![0x56, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (Command::Release10, vec![0x57, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (
            Command::PersistentReserveIn {
                action: PrInAction::ReadFullStatus,
                allocation_length: 8192,
            },
            vec![0x5e, 3, 0, 0, 0, 0, 0, 0x20, 0, 0],
        ),
        (
            Command::PersistentReserveOut {
                action: PrOutAction::PreemptAndAbort,
                scope: 0,
                kind: 5,
                parameter_list_length: 24,
            },
            vec![0x5f, 5, 5, 0, 0, 0, 0, 0, 0x18, 0],
        ),
        (
            Command::Read {
                range: range10,
                access: Access::FUA,
            },
            vec![0x28, 0x08, 1, 2, 3, 4, 0, 5, 6, 0],
        ),
        (
            Command::Read {
                range: range16,
                access: Access::default(),
            },
            vec![0x88, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0],
        ),
        (
            Command::Write {
                range: range10,
                access: Access {
                    protect: 1,
                    dpo: true,
                    fua: false,
                },
            },
            vec![0x2a, 0x30, 1, 2, 3, 4, 0, 5, 6, 0],
        ),
        (
            Command::Write {
                range: range16,
                access: Access::FUA,
            },
            vec![0x8a, 0x08, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0],
        ),
        (
            Command::SynchronizeCache {
                range: BlockRange::new(0, 0),
                immediate: false,
            },
            vec![0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ),
        (
            Command::SynchronizeCache {
                range: range16,
                immediate: true,
            },
            vec![0x91, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0],
        ),
        (
            Command::CompareAndWrite {
                lba: 0x10,
                blocks: 1,
                access: Access::FUA,
            },
            vec![0x89, 8, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 1, 0, 0],
        ),
        (
            Command::ReadCapacity10,
            vec![0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ),
        (
            Command::ReadCapacity16 {
                allocation_length: 32,
            },
            vec![0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0],
        ),
        (
            Command::ReportLuns {
                select_report: 2,
                allocation_length: 0x2000,
            },
            vec![0xa0, 0, 2, 0, 0, 0, 0, 0, 0x20, 0, 0, 0],
        ),
        (
            Command::ReportSupportedOperationCodes {
                query: OpcodeQuery::ServiceAction {
                    opcode: 0x5f,
                    service_action: 8,
                },
                timeouts: true,
                allocation_length: 0x40,
            },
            vec![0xa3, 0x0c, 0x82, 0x5f, 0, 8, 0, 0, 0, 0x40, 0, 0],
        ),
        (
            Command::ModeSense6 {
                pages: ModePages {
                    disable_block_descriptors: true,
                    control: 1,
                    page: 0x08,
                    subpage: 0,
                },
                allocation_length: 192,
            },
            vec![0x1a, 8, 0x48, 0, 192, 0],
        ),
        (
            Command::ModeSense10 {
                pages: ModePages {
                    page: 0x3f,
                    subpage: 0xff,
                    ..ModePages::default()
                },
                long_lba_accepted: true,
                allocation_length: 0x0102,
            },
            vec![0x5a, 0x10, 0x3f, 0xff, 0, 0, 0, 1, 2, 0],
        ),
        (
            Command::Unknown { opcode: 0x42 },
            vec![0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ),
    ]
}

#[test]
fn known_commands_have_their_known_bytes() {
    for (command, bytes) in vectors() {
        assert_eq!(command.cdb().as_bytes(), bytes, "{command:?}");
        assert_eq!(Command::parse(&bytes), Ok(command));
    }
}

#[test]
fn every_pr_action_has_its_code() {
    for (code, action) in (0u8..).zip(PrInAction::ALL) {
        assert_eq!(action.code(), code);
    }
    for (code, action) in (0u8..).zip(PrOutAction::ALL) {
        assert_eq!(action.code(), code);
    }
    assert_eq!(PrOutAction::ReplaceLostReservation.code(), 8);
}

#[test]
fn a_cdb_of_another_length_is_refused() {
    assert_eq!(
        Command::parse(&[0x5e, 0, 0, 0, 0, 0]),
        Err(CdbError::Length {
            expected: 10,
            actual: 6
        })
    );
    assert_eq!(
        Command::parse(&[0; 16]),
        Err(CdbError::Length {
            expected: 6,
            actual: 16
        })
    );
    assert!(Command::parse(&[]).is_err());
}

#[test]
fn a_padded_field_is_cut_to_the_cdb_in_it() {
    let mut field = [0; 16];
    field[0] = 0x5e;
    assert_eq!(Cdb::from_padded(&field).unwrap().as_bytes(), &field[..10]);
    assert_eq!(Cdb::from_padded(&[0x88; 15]), None);
    assert_eq!(Cdb::from_padded(&[]), None);
}

#[test]
fn what_is_not_understood_is_named_with_its_place() {
    let cases: [(&[u8], FieldPointer, &str); 9] = [
        (
            &[0x16, 0x10, 0, 0, 0, 0],
            FieldPointer::in_cdb(1, Some(4)),
            "3RDPTY",
        ),
        (
            &[0x17, 0x01, 0, 0, 0, 0],
            FieldPointer::in_cdb(1, Some(0)),
            "EXTENT",
        ),
        (
            &[0x16, 0, 0, 0, 8, 0],
            FieldPointer::in_cdb(3, Some(7)),
            "PARAMETER LIST LENGTH",
        ),
        (
            &[0x56, 2, 0, 0, 0, 0, 0, 0, 0, 0],
            FieldPointer::in_cdb(1, Some(1)),
            "LONGID",
        ),
        (
            &[0x57, 0, 0, 0, 0, 0, 0, 0, 8, 0],
            FieldPointer::in_cdb(7, Some(7)),
            "PARAMETER LIST LENGTH",
        ),
        (
            &[0x12, 0, 0x80, 0, 36, 0],
            FieldPointer::in_cdb(2, Some(7)),
            "PAGE CODE",
        ),
        (
            &[0x5e, 4, 0, 0, 0, 0, 0, 0, 8, 0],
            FieldPointer::in_cdb(1, Some(4)),
            "service action",
        ),
        (
            &[0xa3, 0x0c, 4, 0, 0, 0, 0, 0, 0, 8, 0, 0],
            FieldPointer::in_cdb(2, Some(2)),
            "REPORTING OPTIONS",
        ),
        (
            &[0, 0, 0, 0, 0, 4],
            FieldPointer::in_cdb(5, Some(2)),
            "NACA",
        ),
    ];
    for (bytes, pointer, name) in cases {
        let error = Command::parse(bytes).unwrap_err();
        assert_eq!(error.sense().field, Some(pointer), "{name}");
        assert!(error.sense().is(Sense::INVALID_FIELD_IN_CDB));
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn the_short_form_is_taken_where_it_fits() {
    assert_eq!(BlockRange::new(7, 8), BlockRange::Ten { lba: 7, blocks: 8 });
    let beyond = BlockRange::new(1 << 32, 8);
    assert_eq!((beyond.lba(), beyond.blocks()), (1 << 32, 8));
    assert!(matches!(
        BlockRange::new(0, 1 << 16),
        BlockRange::Sixteen { .. }
    ));
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_parses_is_emitted_to_the_same_command(
            vector in 0..vectors().len(),
            noise in proptest::collection::vec(any::<u8>(), 32),
        ) {
            // The operation code (and service action) of a known command with arbitrary fields.
            let (_, known) = vectors().swap_remove(vector);
            let mut cdb = noise[..known.len()].to_vec();
            cdb[0] = known[0];
            if known.len() > 6 { cdb[1] = cdb[1] & 0xe0 | known[1] & 0x1f; }
            let last = cdb.len() - 1;
            cdb[last] = 0;
            if let Ok(command) = Command::parse(&cdb) {
                prop_assert_eq!(Command::parse(command.cdb().as_bytes()), Ok(command));
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(command) = Command::parse(&bytes) {
                prop_assert_eq!(Command::parse(command.cdb().as_bytes()), Ok(command));
            }
        }
    }
}

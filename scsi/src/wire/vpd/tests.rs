use super::*;

#[test]
fn supported_pages_and_serial_number() {
    let answer = [0, 0, 0, 4, 0x00, 0x80, 0x83, 0xb0];
    let pages = SupportedPages {
        pages: vec![0x00, 0x80, 0x83, 0xb0],
    };
    assert_eq!(SupportedPages::parse(&answer), Ok(pages.clone()));
    assert_eq!(pages.emit(), answer);

    let answer = b"\x00\x80\x00\x04A-17";
    let serial = UnitSerial {
        serial: "A-17".to_owned(),
    };
    assert_eq!(UnitSerial::parse(answer), Ok(serial.clone()));
    assert_eq!(serial.emit(), answer);
}

#[test]
fn another_page_than_was_asked_for_is_refused() {
    // Standard INQUIRY data, from a device that does not know EVPD.
    let answer = [0, 0, 5, 2, 31, 0, 0, 0];
    assert!(matches!(
        UnitSerial::parse(&answer),
        Err(ParameterError::Field { at: 1, .. })
    ));
}

#[test]
fn a_page_that_did_not_arrive_whole_says_how_long_it_is() {
    let page = SupportedPages {
        pages: (0..100).collect(),
    };
    let answer = page.emit();
    assert_eq!(
        SupportedPages::parse(&answer[..96]),
        Err(ParameterError::Incomplete { needed: 104 })
    );
    assert!(matches!(
        SupportedPages::parse(&answer[..3]),
        Err(ParameterError::Length { .. })
    ));
}

#[test]
fn block_limits_with_the_compare_and_write_limit() {
    let mut answer = vec![0; 64];
    answer[1] = 0xb0;
    answer[3] = 60;
    answer[5] = 1;
    answer[6..16].copy_from_slice(&[0, 8, 0, 0, 0x20, 0, 0, 0, 1, 0]);
    let limits = BlockLimits {
        compare_and_write_blocks_max: 1,
        transfer_granularity_blocks: 8,
        transfer_blocks_max: 0x2000,
        transfer_blocks_optimal: 0x100,
    };
    assert_eq!(BlockLimits::parse(&answer), Ok(limits));
    assert_eq!(limits.emit(), answer);
    // SBC-2's page ends after 16 bytes.
    answer[3] = 12;
    assert_eq!(BlockLimits::parse(&answer[..16]), Ok(limits));
    answer[3] = 11;
    assert!(BlockLimits::parse(&answer[..15]).is_err());
}

/// LIO's page 83h: NAA 6 and T10 of the unit, relative port and port group of the port.
fn lio_page() -> Vec<u8> {
    let mut page = vec![0, 0x83, 0, 0];
    page.extend([1, 3, 0, 16]);
    page.extend([
        0x60, 0x01, 0x40, 0x51, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
    ]);
    page.extend([2, 1, 0, 16]);
    page.extend(b"LIO-ORG quorum:1");
    page.extend([0x61, 0x94, 0, 4, 0, 0, 0, 2]);
    page.extend([0x61, 0x95, 0, 4, 0, 0, 0, 0]);
    page[3] = u8::try_from(page.len() - 4).unwrap();
    page
}

#[test]
fn designators_of_unit_and_port() {
    let page = lio_page();
    let identification = DeviceIdentification::parse(&page).unwrap();
    assert_eq!(identification.emit(), page);
    assert_eq!(
        identification.wwid().as_deref(),
        Some("naa.6001405102030405060708090a0b0c0d")
    );
    assert_eq!(identification.relative_target_port(), Some(2));
    assert_eq!(
        identification.designators[1],
        Designator::new(
            Association::Unit,
            DesignatorValue::T10 {
                vendor: "LIO-ORG".to_owned(),
                id: b"quorum:1".to_vec()
            }
        )
    );
    assert_eq!(identification.designators[2].protocol, Some(6));
}

fn unit(value: DesignatorValue) -> Designator {
    Designator::new(Association::Unit, value)
}

fn wwid(designators: Vec<Designator>) -> Option<String> {
    let page = DeviceIdentification { designators };
    assert_eq!(DeviceIdentification::parse(&page.emit()), Ok(page.clone()));
    page.wwid()
}

fn naa8(first: u8) -> Designator {
    unit(DesignatorValue::Naa8([first, 2, 2, 2, 2, 2, 2, 2]))
}

fn t10(id: &[u8]) -> Designator {
    let vendor = "ACME".to_owned();
    let id = id.to_vec();
    unit(DesignatorValue::T10 { vendor, id })
}

#[test]
fn the_name_is_picked_in_the_order_of_linux() {
    let mut naa6 = [0x11; 16];
    naa6[0] = 0x60;
    let name = "iqn.2026-01.x:lun1";
    // Best first; each must win against all that follow it, wherever they stand.
    let ranked = [
        (unit(DesignatorValue::Name(name.to_owned())), name),
        (
            unit(DesignatorValue::Naa16(naa6)),
            "naa.60111111111111111111111111111111",
        ),
        (
            unit(DesignatorValue::Eui16([3; 16])),
            "eui.03030303030303030303030303030303",
        ),
        (
            unit(DesignatorValue::Eui12([4; 12])),
            "eui.040404040404040404040404",
        ),
        (naa8(0x50), "naa.5002020202020202"),
        (naa8(0x40), "naa.4002020202020202"),
        (unit(DesignatorValue::Eui8([5; 8])), "eui.0505050505050505"),
        (t10(b"disk 7\n "), "t10.ACME    disk 7\\n"),
        (
            unit(DesignatorValue::Uuid([6; 16])),
            "uuid.06060606060606060606060606060606",
        ),
    ];
    for (first, (_, expected)) in ranked.iter().enumerate() {
        let rest: Vec<_> = ranked[first..].iter().map(|(one, _)| one.clone()).collect();
        assert_eq!(wwid(rest.clone()).as_deref(), Some(*expected));
        let reversed = rest.into_iter().rev().collect();
        assert_eq!(wwid(reversed).as_deref(), Some(*expected));
    }
    assert_eq!(wwid(vec![]), None);
}

#[test]
fn among_equals_the_last_counts_but_no_text_after_a_longer_designator() {
    let text = Some("t10.ACME    longer".to_owned());
    assert_eq!(wwid(vec![t10(b"short"), t10(b"longer")]), text);
    assert_eq!(wwid(vec![t10(b"longer"), t10(b"short")]), text);
    // A locally assigned NAA ranks with T10.
    assert_eq!(wwid(vec![naa8(0x30), t10(b"longer")]), text);
    let naa = Some("naa.3002020202020202".to_owned());
    assert_eq!(wwid(vec![t10(b"longer"), naa8(0x30)]), naa);
    // A name string of eight bytes is less of a name than sixteen bytes of NAA.
    let name = unit(DesignatorValue::Name("naa.500".to_owned()));
    let naa6 = unit(DesignatorValue::Naa16([0x60; 16]));
    let long = Some(format!("naa.{}", "60".repeat(16)));
    assert_eq!(wwid(vec![naa6, name]), long);
}

#[test]
fn what_linux_does_not_look_at_names_the_unit_when_nothing_else_does() {
    let naa = Some("naa.2002020202020202".to_owned());
    assert_eq!(wwid(vec![naa8(0x20)]), naa);
    let text = Some("t10.ACME    x".to_owned());
    assert_eq!(wwid(vec![naa8(0x20), t10(b"x")]), text);
}

#[test]
fn what_names_a_port_does_not_name_the_unit() {
    let page = DeviceIdentification {
        designators: vec![Designator::new(
            Association::Port,
            DesignatorValue::Naa8([0x50; 8]),
        )],
    };
    assert_eq!(page.wwid(), None);
}

#[test]
fn a_designator_of_the_wrong_length_is_kept_and_names_nothing() {
    let page = [0, 0x83, 0, 7, 1, 3, 0, 3, 0x60, 1, 2];
    let identification = DeviceIdentification::parse(&page).unwrap();
    assert_eq!(identification.wwid(), None);
    assert_eq!(identification.emit(), page);
    // One that goes beyond the page.
    let page = [0, 0x83, 0, 7, 1, 3, 0, 4, 0x60, 1, 2];
    assert!(matches!(
        DeviceIdentification::parse(&page),
        Err(ParameterError::Field { at: 4, .. })
    ));
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_parses_is_emitted_to_the_same_value(
            bytes in proptest::collection::vec(any::<u8>(), 0..120),
            page in proptest::sample::select(vec![0x00u8, 0x80, 0x83, 0xb0]),
        ) {
            let mut bytes = bytes;
            if bytes.len() >= 4 {
                let length = u8::try_from(bytes.len() - 4).unwrap();
                bytes[1..4].copy_from_slice(&[page, 0, length]);
            }
            if let Ok(value) = SupportedPages::parse(&bytes) {
                prop_assert_eq!(SupportedPages::parse(&value.emit()), Ok(value));
            }
            if let Ok(value) = UnitSerial::parse(&bytes) {
                prop_assert_eq!(UnitSerial::parse(&value.emit()), Ok(value));
            }
            if let Ok(value) = BlockLimits::parse(&bytes) {
                prop_assert_eq!(BlockLimits::parse(&value.emit()), Ok(value));
            }
        }

        #[test]
        fn designators_come_back(
            descriptors in proptest::collection::vec(
                (any::<(u8, u8)>(), proptest::sample::select(vec![0usize, 4, 8, 12, 16, 18, 20, 255]), any::<u8>()),
                0..8,
            ),
        ) {
            let mut body = Vec::new();
            for ((first, second), length, fill) in descriptors {
                body.extend([first, second, 0, u8::try_from(length).unwrap()]);
                body.extend(std::iter::repeat_n(fill, length));
            }
            let page = emit(DEVICE_IDENTIFICATION, &body);
            let value = DeviceIdentification::parse(&page).unwrap();
            let _name = value.wwid();
            prop_assert_eq!(DeviceIdentification::parse(&value.emit()), Ok(value));
        }
    }
}

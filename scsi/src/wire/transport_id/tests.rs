use super::*;

fn iscsi(name: &str, isid: Option<[u8; 6]>) -> TransportId {
    TransportId::Iscsi {
        name: name.to_owned(),
        isid,
    }
}

/// 24 bytes: these at the start, zeros after.
fn padded(start: &[u8]) -> Vec<u8> {
    let mut bytes = start.to_vec();
    bytes.resize(24, 0);
    bytes
}

#[test]
fn each_protocol_has_its_known_bytes_and_its_text() {
    let name = [0x50, 0x06, 0x0b, 0x00, 0x00, 0xc2, 0x62, 0x01];
    let at = |first: u8, offset: usize, value: &[u8]| {
        let mut bytes = padded(&[first]);
        put(&mut bytes, offset, value);
        bytes
    };
    let port: [u8; 16] = *b"0123456789abcdef";
    let vectors = [
        (
            TransportId::FibreChannel(name),
            at(0, 8, &name),
            "fc:50060b0000c26201",
        ),
        (
            TransportId::ParallelScsi {
                address: 7,
                relative_port: 1,
            },
            padded(&[1, 0, 0, 7, 0, 0, 0, 1]),
            "spi:7.1",
        ),
        (
            TransportId::Ieee1394(name),
            at(3, 8, &name),
            "1394:50060b0000c26201",
        ),
        (
            TransportId::Rdma(port),
            at(4, 8, &port),
            "srp:30313233343536373839616263646566",
        ),
        (
            TransportId::Sas(name),
            at(6, 4, &name),
            "sas:50060b0000c26201",
        ),
        (
            TransportId::Sop(0xa0),
            padded(&[0x0a, 0, 0, 0xa0]),
            "sop:00a0",
        ),
        (
            TransportId::Other(padded(&[0x0c, 1])),
            padded(&[0x0c, 1]),
            "other:0c0100000000000000000000000000000000000000000000",
        ),
    ];
    for (id, bytes, text) in vectors {
        assert_eq!(id.emit(), bytes);
        assert_eq!(TransportId::parse(&bytes), Ok((id.clone(), 24)));
        assert_eq!(id.to_string(), text);
        assert_eq!(text.parse(), Ok(id));
    }
}

#[test]
fn an_iscsi_device_and_an_iscsi_port() {
    let device = iscsi("iqn.1993-08.org.debian:01:a", None);
    let mut bytes = vec![0x05, 0, 0, 28];
    bytes.extend(b"iqn.1993-08.org.debian:01:a\0");
    assert_eq!(device.emit(), bytes);
    assert_eq!(TransportId::parse(&bytes), Ok((device.clone(), 32)));
    assert_eq!(device.to_string(), "iqn.1993-08.org.debian:01:a");

    let port = iscsi(
        "iqn.2026-01.x:n",
        Some([0x80, 0x12, 0x34, 0x56, 0x78, 0x9a]),
    );
    let mut bytes = vec![0x45, 0, 0, 36];
    bytes.extend(b"iqn.2026-01.x:n,i,0x80123456789a\0\0\0\0");
    assert_eq!(port.emit(), bytes);
    assert_eq!(TransportId::parse(&bytes), Ok((port.clone(), 40)));
    assert_eq!(port.to_string(), "iqn.2026-01.x:n,i,0x80123456789a");
    assert_eq!("iqn.2026-01.x:n,i,0x80123456789A".parse(), Ok(port));
}

#[test]
fn a_short_name_is_padded_to_the_least_length() {
    let id = iscsi("naa.5", None);
    assert_eq!(id.emit().len(), 24);
    assert_eq!(TransportId::parse(&id.emit()), Ok((id, 24)));
}

#[test]
fn a_name_without_the_usual_prefix_is_marked_in_text() {
    let id = iscsi("fc:0011223344556677", None);
    assert_eq!(id.to_string(), "iscsi:fc:0011223344556677");
    assert_eq!("iscsi:fc:0011223344556677".parse(), Ok(id));
}

#[test]
fn text_that_is_no_initiator_port_is_refused() {
    for text in [
        "",
        "fc:",
        "fc:50060b0000c262",
        "sas:50060b0000c2620g",
        "spi:7",
        "sop:a0",
        "iqn.x,i,0x8012",
        "iqn.x y",
        "0x1234",
        "sda",
        "other:1",
        "sas:+0060b0000c26201",
    ] {
        assert!(text.parse::<TransportId>().is_err(), "{text}");
    }
}

#[test]
fn a_list_is_walked_by_each_identifiers_own_length() {
    let ids = [
        TransportId::Sas([1; 8]),
        iscsi("iqn.1993-08.org.debian:01:abcdef", Some([2; 6])),
        TransportId::Other(padded(&[0x8f, 7])),
        TransportId::FibreChannel([3; 8]),
    ];
    let list: Vec<u8> = ids.iter().flat_map(TransportId::emit).collect();
    assert_eq!(TransportId::parse_list(&list), Ok(ids.to_vec()));
    assert_eq!(TransportId::parse_list(&[]), Ok(vec![]));
    // Cut anywhere but between two identifiers it is an error, with the place counted from the start.
    let ends = [0, 24, 24 + 56, 24 + 56 + 24, list.len()];
    for cut in 0..list.len() {
        let parsed = TransportId::parse_list(&list[..cut]);
        assert_eq!(parsed.is_ok(), ends.contains(&cut), "cut at {cut}");
    }
    assert_eq!(
        TransportId::parse_list(&list[..30]),
        Err(ParameterError::Length {
            expected: 48,
            arrived: 30
        })
    );
}

#[test]
fn bad_iscsi_identifiers_are_refused_in_a_list_with_their_place() {
    let mut bytes = iscsi("iqn.2026-01.x:name-of-a", None).emit();
    bytes[3] = 19;
    let error = TransportId::parse_list(&[TransportId::Sop(1).emit(), bytes.clone()].concat());
    assert!(matches!(error, Err(ParameterError::Field { at: 26, .. })));
    bytes[3] = 24;
    bytes[0] = 0x45; // the port format without a port
    let error = TransportId::parse(&bytes);
    assert!(matches!(error, Err(ParameterError::Field { at: 4, .. })));
}

#[test]
fn an_area_keeps_what_it_cannot_read() {
    assert_eq!(TransportId::parse_area(&[]), TransportId::Other(vec![]));
    assert_eq!(
        TransportId::parse_area(&[6, 0, 1]),
        TransportId::Other(vec![6, 0, 1])
    );
    let reserved_format = padded(&[0x85, 0, 0, 20, b'x']);
    assert_eq!(
        TransportId::parse_area(&reserved_format),
        TransportId::Other(reserved_format.clone())
    );
}

#[test]
fn an_old_lio_port_identifier_still_names_its_initiator() {
    // Before Linux 5.9 LIO ends the name with a NUL and puts half an ISID, out of place, behind it.
    let mut bytes = vec![0x45, 0, 0, 40];
    bytes.extend(b"iqn.1993-08.org.debian:01:a\0\0\0\0\0\0,i,0x");
    bytes.resize(44, 0);
    assert_eq!(
        TransportId::parse_area(&bytes),
        iscsi("iqn.1993-08.org.debian:01:a", None)
    );
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn any_id() -> impl Strategy<Value = TransportId> {
        prop_oneof![
            any::<[u8; 8]>().prop_map(TransportId::FibreChannel),
            any::<(u16, u16)>().prop_map(|(address, relative_port)| TransportId::ParallelScsi {
                address,
                relative_port
            }),
            any::<[u8; 8]>().prop_map(TransportId::Ieee1394),
            any::<[u8; 16]>().prop_map(TransportId::Rdma),
            ("[!-+\\--~]{1,223}", any::<Option<[u8; 6]>>())
                .prop_map(|(name, isid)| TransportId::Iscsi { name, isid }),
            any::<[u8; 8]>().prop_map(TransportId::Sas),
            any::<u16>().prop_map(TransportId::Sop),
        ]
    }

    proptest! {
        #[test]
        fn bytes_and_text_bring_back_the_identifier(id in any_id()) {
            let bytes = id.emit();
            prop_assert_eq!(TransportId::parse(&bytes), Ok((id.clone(), bytes.len())));
            prop_assert_eq!(TransportId::parse_area(&bytes), id.clone());
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), first: u8) {
            let mut bytes = bytes;
            if let Some(byte) = bytes.first_mut() { *byte = first & 0xcf; }
            if let Ok((id, length)) = TransportId::parse(&bytes) {
                prop_assert!(length <= bytes.len());
                let emitted = id.emit();
                prop_assert_eq!(TransportId::parse(&emitted), Ok((id.clone(), emitted.len())));
            }
            let id = TransportId::parse_area(&bytes);
            prop_assert_eq!(TransportId::parse_area(&id.emit()), id.clone());
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn arbitrary_text_never_panics(text in "(fc|sas|spi|srp|sop|1394|iscsi|other|iqn)?[:.]?\\PC{0,40}") {
            if let Ok(id) = text.parse::<TransportId>() {
                prop_assert_eq!(id.to_string().parse(), Ok(id));
            }
        }
    }
}

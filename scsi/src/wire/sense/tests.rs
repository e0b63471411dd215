use super::*;

#[test]
fn fixed_form_as_a_disk_sends_it() {
    // Power-on attention, 18 bytes, as every disk answers the first TEST UNIT READY.
    let data = [
        0x70, 0, 0x06, 0, 0, 0, 0, 0x0a, 0, 0, 0, 0, 0x29, 0x01, 0, 0, 0, 0,
    ];
    let sense = Sense::parse(&data).unwrap();
    assert_eq!(sense, Sense::POWER_ON_OCCURRED);
    assert_eq!(sense.fixed(), data);
    assert_eq!(sense.attention(), Some(Attention::new(0x29, 0x01)));
    assert_eq!(
        sense.words(),
        "UNIT ATTENTION: power on occurred (06/29/01)"
    );
}

#[test]
fn descriptor_form_with_information_and_field_pointer() {
    // SPC-4 4.5.2: 05/24/00, information descriptor, sense key specific: CDB byte 1 bit 4.
    let data = [
        0x72, 0x05, 0x24, 0x00, 0, 0, 0, 0x14, // header, 20 bytes follow
        0x00, 0x0a, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 2, // INFORMATION
        0x02, 0x06, 0, 0, 0xcc, 0, 1, 0, // SKSV, C/D, BPV, bit 4, byte 1
    ];
    let sense = Sense::parse(&data).unwrap();
    assert_eq!(sense.information, Some(0x1_0000_0002));
    assert_eq!(sense.field, Some(FieldPointer::in_cdb(1, Some(4))));
    assert!(sense.is(Sense::INVALID_FIELD_IN_CDB));
    assert_eq!(sense.descriptor(), data);
    assert_eq!(
        sense.words(),
        "ILLEGAL REQUEST: invalid field in CDB (05/24/00), CDB byte 1 bit 4, information 0x100000002"
    );
}

#[test]
fn fixed_form_leaves_out_information_that_does_not_fit() {
    let sense = Sense {
        information: Some(1 << 32),
        ..Sense::MISCOMPARE
    };
    let data = sense.fixed();
    assert_eq!(data[0], 0x70, "VALID is zero");
    assert_eq!(Sense::parse(&data), Some(Sense::MISCOMPARE));
}

#[test]
fn deferred_sense_is_not_an_attention_of_this_command() {
    let mut data = Sense::RESET_OCCURRED.fixed();
    data[0] = 0x71;
    let sense = Sense::parse(&data).unwrap();
    assert!(sense.deferred);
    assert_eq!(sense.attention(), None);
    assert!(sense.words().starts_with("about an earlier command: "));
    data[0] = 0x73;
    assert!(Sense::parse(&data).unwrap().deferred);
}

#[test]
fn what_was_cut_off_reads_as_no_information() {
    let whole = Sense::INVALID_FIELD_IN_CDB.fixed();
    assert_eq!(Sense::parse(&whole[..2]), None);
    assert_eq!(Sense::parse(&whole[..8]), Some(Sense::new(5, 0, 0)));
    assert_eq!(Sense::parse(&whole[..13]), Some(Sense::new(5, 0x24, 0)));
    // An ADDITIONAL SENSE LENGTH that says less than arrived is believed.
    let mut short = whole;
    short[7] = 0;
    assert_eq!(Sense::parse(&short), Some(Sense::new(5, 0, 0)));
}

#[test]
fn a_form_that_is_not_known_is_no_sense_data() {
    assert_eq!(Sense::parse(&[]), None);
    assert_eq!(Sense::parse(&[0x7f; 18]), None);
    assert_eq!(Sense::parse(&[0x00; 18]), None);
}

#[test]
fn sense_key_specific_is_a_field_pointer_only_under_illegal_request() {
    let mut data = Sense::new(key::NOT_READY, 0x04, 0x04).fixed();
    data[15] = 0x80; // a progress indication
    data[17] = 0x40;
    assert_eq!(Sense::parse(&data).unwrap().field, None);
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn any_sense()(
            key in 0u8..16, asc: u8, ascq: u8, deferred: bool,
            information in proptest::option::of(any::<u32>()),
            field in proptest::option::of((any::<bool>(), any::<u16>(), proptest::option::of(0u8..8))),
        ) -> Sense {
            let field = field
                .filter(|_| key == key::ILLEGAL_REQUEST)
                .map(|(in_cdb, byte, bit)| FieldPointer { in_cdb, byte, bit });
            Sense { key, asc, ascq, deferred, information: information.map(u64::from), field }
        }
    }

    proptest! {
        #[test]
        fn both_forms_parse_to_what_was_emitted(sense in any_sense()) {
            prop_assert_eq!(Sense::parse(&sense.fixed()), Some(sense));
            prop_assert_eq!(Sense::parse(&sense.descriptor()), Some(sense));
        }

        #[test]
        fn arbitrary_bytes_never_panic(data in proptest::collection::vec(any::<u8>(), 0..300), code in 0x70u8..0x74) {
            let _ = Sense::parse(&data);
            let mut data = data;
            if let Some(first) = data.first_mut() { *first = code; }
            if let Some(sense) = Sense::parse(&data) {
                prop_assert_eq!(Sense::parse(&sense.descriptor()), Some(sense));
            }
        }
    }
}

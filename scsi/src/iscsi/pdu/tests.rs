//! Known bytes, and that every value comes back from its bytes.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn decode_one(bytes: &[u8], digests: Digests) -> Frame {
    let mut decoder = Decoder::new(1 << 20);
    decoder.agree(digests, 1 << 20);
    decoder.push(bytes);
    let frame = decoder.next_frame().unwrap().expect("a whole frame");
    assert_eq!(decoder.next_frame(), Ok(None));
    assert!(!decoder.is_within_frame());
    frame
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(|digit| u8::try_from(digit).unwrap())
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

const NONE: Digests = Digests {
    header: false,
    data: false,
};
const BOTH: Digests = Digests {
    header: true,
    data: true,
};

/// RFC 7143 appendix A (RFC 3720 B.4): an iSCSI SCSI Read(10) command PDU and its CRC.
#[test]
fn the_read_command_of_the_standard_and_its_digest() {
    let bytes = hex(
        "01c00000 00000000 00000000 00000000 14000000 00000400 00000014 00000018 \
         28000000 00000000 02000000 00000000 563a96d9",
    );
    let header_digest = Digests {
        header: true,
        data: false,
    };
    let Ok(Request::ScsiCommand(command)) = Request::parse(decode_one(&bytes, header_digest))
    else {
        panic!("a SCSI command");
    };
    assert!(command.is_final && command.read && !command.write && !command.immediate);
    assert_eq!(command.task_tag, 0x1400_0000);
    assert_eq!(command.expected_bytes, 0x400);
    assert_eq!(command.cmd_sn, Serial(0x14));
    assert_eq!(command.exp_stat_sn, Serial(0x18));
    assert_eq!(command.cdb[..10], [0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0]);
    let mut emitted = Vec::new();
    Request::ScsiCommand(command).emit(header_digest, &mut emitted);
    assert_eq!(emitted, bytes);
}

/// RFC 3720 B.4: 32 bytes of zeros, ones, counting up and counting down, as the data of a ping.
#[test]
fn the_digests_of_the_standard() {
    let up: Vec<u8> = (0..32).collect();
    let down: Vec<u8> = (0..32).rev().collect();
    for (data, digest) in [
        (vec![0; 32], "aa36918a"),
        (vec![0xff; 32], "43aba862"),
        (up, "4e79dd46"),
        (down, "5cdb3f11"),
    ] {
        let ping = Request::NopOut(NopOut {
            immediate: true,
            lun: Lun::default(),
            task_tag: 1,
            transfer_tag: NO_TAG,
            cmd_sn: Serial(1),
            exp_stat_sn: Serial(1),
            data,
        });
        let mut bytes = Vec::new();
        let data_digest = Digests {
            header: false,
            data: true,
        };
        ping.emit(data_digest, &mut bytes);
        assert_eq!(bytes[bytes.len() - 4..], hex(digest));
        assert_eq!(Request::parse(decode_one(&bytes, data_digest)), Ok(ping));
    }
}

#[test]
fn a_long_cdb_travels_in_an_additional_header() {
    let cdb: Vec<u8> = (0..32).collect();
    let command = Request::ScsiCommand(ScsiCommand {
        is_final: true,
        cdb,
        ..ScsiCommand::default()
    });
    let mut bytes = Vec::new();
    command.emit(NONE, &mut bytes);
    // 16 more bytes of CDB and one reserved; the length does not count itself and the type.
    assert_eq!(bytes[4], 5);
    assert_eq!(bytes[48..53], [0, 17, 1, 0, 16]);
    assert_eq!(Request::parse(decode_one(&bytes, NONE)), Ok(command));
}

#[test]
fn an_additional_header_that_breaks_its_own_length_is_refused() {
    let emit = |additional: &[u8]| {
        let mut bytes = Vec::new();
        Request::ScsiCommand(ScsiCommand {
            cdb: vec![0; 16],
            ..ScsiCommand::default()
        })
        .emit(NONE, &mut bytes);
        bytes[4] = u8::try_from(additional.len() / 4).unwrap();
        bytes.extend_from_slice(additional);
        Request::parse(decode_one(&bytes, NONE))
    };
    let refused = Err(PduError::Field {
        opcode: 1,
        offset: 4,
    });
    // No length, a length beyond the header, a bidirectional read length, two CDBs.
    assert_eq!(emit(&[0, 0, 1, 0]), refused);
    assert_eq!(emit(&[0, 9, 1, 0, 1, 2, 3, 4]), refused);
    assert_eq!(emit(&[0, 5, 2, 0, 0, 0, 2, 0]), refused);
    assert_eq!(
        emit(&[0, 5, 1, 0, 1, 2, 3, 4, 0, 5, 1, 0, 1, 2, 3, 4]),
        refused
    );
}

#[test]
fn frames_come_out_whole_however_the_bytes_arrive() {
    let pdu = Request::DataOut(DataOut {
        is_final: true,
        transfer_tag: 7,
        data: vec![1, 2, 3, 4, 5],
        ..DataOut::default()
    });
    let mut bytes = Vec::new();
    for _ in 0..3 {
        pdu.emit(BOTH, &mut bytes);
    }
    for size in 1..bytes.len() {
        let mut decoder = Decoder::new(8);
        decoder.agree(BOTH, 8);
        let mut count = 0;
        for part in bytes.chunks(size) {
            decoder.push(part);
            while let Some(frame) = decoder.next_frame().unwrap() {
                assert_eq!(Request::parse(frame), Ok(pdu.clone()));
                count += 1;
            }
        }
        assert_eq!(count, 3);
        assert!(!decoder.is_within_frame());
    }
}

#[test]
fn a_flipped_bit_is_found_by_its_digest_and_nothing_follows() {
    let mut bytes = Vec::new();
    Request::DataOut(DataOut {
        data: vec![1, 2, 3, 4, 5],
        ..DataOut::default()
    })
    .emit(BOTH, &mut bytes);
    for at in 0..bytes.len() {
        // Length fields may make the decoder wait for more, which a digest cannot help.
        if (4..8).contains(&at) {
            continue;
        }
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        let mut decoder = Decoder::new(64);
        decoder.agree(BOTH, 64);
        decoder.push(&damaged);
        let error = decoder.next_frame().unwrap_err();
        let expected = if at < HEADER_BYTES + 4 {
            FrameError::HeaderDigest
        } else {
            FrameError::DataDigest
        };
        assert_eq!(error, expected, "byte {at}");
        decoder.push(&bytes);
        assert_eq!(decoder.next_frame(), Err(expected));
    }
}

#[test]
fn more_data_than_agreed_is_refused_by_the_header_alone() {
    let mut header = [0; HEADER_BYTES];
    header[5..8].copy_from_slice(&[0xff, 0xff, 0xff]);
    let mut decoder = Decoder::new(8192);
    decoder.push(&header);
    assert_eq!(
        decoder.next_frame(),
        Err(FrameError::DataTooLong {
            announced: 0xff_ffff,
            bound: 8192
        })
    );
}

#[test]
fn a_lun_is_a_number_in_peripheral_or_flat_addressing() {
    assert_eq!(Lun::from_number(1), Some(Lun([0, 1, 0, 0, 0, 0, 0, 0])));
    assert_eq!(
        Lun::from_number(0x123),
        Some(Lun([0x41, 0x23, 0, 0, 0, 0, 0, 0]))
    );
    assert_eq!(Lun::from_number(0x4000), None);
    for number in 0..0x4000 {
        assert_eq!(Lun::from_number(number).unwrap().number(), Some(number));
    }
    // The same number by flat addressing; a second level; another bus; a well known LU.
    assert_eq!(Lun([0x40, 1, 0, 0, 0, 0, 0, 0]).number(), Some(1));
    assert_eq!(Lun([0, 1, 0, 1, 0, 0, 0, 0]).number(), None);
    assert_eq!(Lun([1, 1, 0, 0, 0, 0, 0, 0]).number(), None);
    assert_eq!(Lun([0xc1, 1, 0, 0, 0, 0, 0, 0]).number(), None);
}

#[test]
fn a_residual_cannot_be_both() {
    let mut bytes = Vec::new();
    Response::Scsi(ScsiResponse::default()).emit(NONE, &mut bytes);
    bytes[1] |= 0x06;
    let refused = Response::parse(decode_one(&bytes, NONE));
    assert_eq!(
        refused,
        Err(PduError::Field {
            opcode: 0x21,
            offset: 1
        })
    );
}

#[test]
fn sense_data_shorter_than_its_length_is_refused() {
    let mut bytes = Vec::new();
    Response::Scsi(ScsiResponse {
        sense: vec![0x70, 0, 6],
        ..ScsiResponse::default()
    })
    .emit(NONE, &mut bytes);
    bytes[49] = 200;
    let refused = Response::parse(decode_one(&bytes, NONE));
    assert_eq!(refused, Err(PduError::Data { opcode: 0x21 }));
}

fn serial() -> impl Strategy<Value = Serial> {
    any::<u32>().prop_map(Serial)
}

fn counters() -> impl Strategy<Value = Counters> {
    (serial(), serial(), serial()).prop_map(|(stat_sn, exp_cmd_sn, max_cmd_sn)| Counters {
        stat_sn,
        exp_cmd_sn,
        max_cmd_sn,
    })
}

fn lun() -> impl Strategy<Value = Lun> {
    any::<[u8; 8]>().prop_map(Lun)
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..40)
}

fn residual() -> impl Strategy<Value = Residual> {
    prop_oneof![
        Just(Residual::None),
        any::<u32>().prop_map(Residual::Underflow),
        any::<u32>().prop_map(Residual::Overflow),
    ]
}

fn login_stages() -> impl Strategy<Value = (Stage, Option<Stage>, bool)> {
    prop_oneof![
        Just((Stage::Security, None, false)),
        Just((Stage::Security, None, true)),
        Just((Stage::Security, Some(Stage::Operational), false)),
        Just((Stage::Security, Some(Stage::FullFeature), false)),
        Just((Stage::Operational, None, true)),
        Just((Stage::Operational, Some(Stage::FullFeature), false)),
    ]
}

fn function() -> impl Strategy<Value = TaskFunction> {
    prop_oneof![
        Just(TaskFunction::AbortTask),
        Just(TaskFunction::AbortTaskSet),
        Just(TaskFunction::ClearAca),
        Just(TaskFunction::ClearTaskSet),
        Just(TaskFunction::LogicalUnitReset),
        Just(TaskFunction::TargetWarmReset),
        Just(TaskFunction::TargetColdReset),
        (8_u8..0x80).prop_map(TaskFunction::Other),
    ]
}

fn command() -> impl Strategy<Value = Request> {
    let attribute = prop_oneof![
        Just(TaskAttribute::Untagged),
        Just(TaskAttribute::Simple),
        Just(TaskAttribute::Ordered),
        Just(TaskAttribute::HeadOfQueue),
        Just(TaskAttribute::Aca),
    ];
    (
        (any::<[bool; 2]>(), 0..3, attribute, lun()),
        (any::<[u32; 2]>(), serial(), serial()),
        (vec(any::<u8>(), 16..=260), data()),
    )
        .prop_map(
            |((flags, way, attribute, lun), (numbers, cmd_sn, exp_stat_sn), (cdb, data))| {
                Request::ScsiCommand(ScsiCommand {
                    immediate: flags[0],
                    is_final: flags[1],
                    read: way == 1,
                    write: way == 2,
                    attribute,
                    lun,
                    task_tag: numbers[0],
                    expected_bytes: numbers[1],
                    cmd_sn,
                    exp_stat_sn,
                    cdb,
                    data,
                })
            },
        )
}

fn request() -> impl Strategy<Value = Request> {
    let head = || (any::<bool>(), lun(), any::<[u32; 4]>(), serial(), serial());
    prop_oneof![
        command(),
        (head(), data()).prop_map(|((immediate, lun, tags, cmd_sn, exp_stat_sn), data)| {
            Request::NopOut(NopOut {
                immediate,
                lun,
                task_tag: tags[0],
                transfer_tag: tags[1],
                cmd_sn,
                exp_stat_sn,
                data,
            })
        }),
        (head(), function()).prop_map(|((immediate, lun, tags, cmd_sn, exp_stat_sn), function)| {
            Request::Task(TaskRequest {
                immediate,
                function,
                lun,
                task_tag: tags[0],
                referenced_task_tag: tags[1],
                cmd_sn,
                exp_stat_sn,
                ref_cmd_sn: Serial(tags[2]),
            })
        }),
        (
            login_stages(),
            any::<[u8; 8]>(),
            any::<[u16; 2]>(),
            head(),
            data()
        )
            .prop_map(
                |((current, next, more), b, w, (_, _, tags, cmd_sn, exp_stat_sn), text)| {
                    Request::Login(LoginRequest {
                        current,
                        next,
                        more,
                        version_max: b[6],
                        version_min: b[7],
                        isid: Isid([b[0], b[1], b[2], b[3], b[4], b[5]]),
                        tsih: w[0],
                        task_tag: tags[0],
                        connection: w[1],
                        cmd_sn,
                        exp_stat_sn,
                        text,
                    })
                }
            ),
        (head(), 0..3, data()).prop_map(
            |((immediate, lun, tags, cmd_sn, exp_stat_sn), end, text)| {
                Request::Text(TextRequest {
                    immediate,
                    is_final: end == 1,
                    more: end == 2,
                    lun,
                    task_tag: tags[0],
                    transfer_tag: tags[1],
                    cmd_sn,
                    exp_stat_sn,
                    text,
                })
            }
        ),
        (head(), data()).prop_map(|((is_final, lun, tags, _, exp_stat_sn), data)| {
            Request::DataOut(DataOut {
                is_final,
                lun,
                task_tag: tags[0],
                transfer_tag: tags[1],
                exp_stat_sn,
                data_sn: tags[2],
                offset: tags[3],
                data,
            })
        }),
        (head(), 0_u8..0x80).prop_map(|((immediate, _, tags, cmd_sn, exp_stat_sn), reason)| {
            Request::Logout(LogoutRequest {
                immediate,
                reason: match reason {
                    0 => LogoutReason::CloseSession,
                    1 => LogoutReason::CloseConnection,
                    other => LogoutReason::Other(other),
                },
                task_tag: tags[0],
                connection: 9,
                cmd_sn,
                exp_stat_sn,
            })
        }),
    ]
}

fn event() -> impl Strategy<Value = AsyncEvent> {
    prop_oneof![
        data().prop_map(AsyncEvent::Scsi),
        any::<u16>().prop_map(|within_seconds| AsyncEvent::LogoutRequest { within_seconds }),
        any::<u16>().prop_map(|connection| AsyncEvent::ConnectionDropped { connection }),
        Just(AsyncEvent::SessionDropped),
        Just(AsyncEvent::Negotiate),
        (5_u8..).prop_map(AsyncEvent::Other),
    ]
}

fn response() -> impl Strategy<Value = Response> {
    let head = || (lun(), any::<[u32; 3]>(), counters());
    prop_oneof![
        (head(), data()).prop_map(|((lun, tags, counters), data)| Response::NopIn(NopIn {
            lun,
            task_tag: tags[0],
            transfer_tag: tags[1],
            counters,
            data,
        })),
        (head(), any::<[u8; 2]>(), residual(), data()).prop_map(
            |((_, tags, counters), codes, residual, sense)| {
                Response::Scsi(ScsiResponse {
                    task_tag: tags[0],
                    response: codes[0],
                    status: codes[1],
                    sense,
                    residual,
                    exp_data_sn: tags[1],
                    counters,
                })
            }
        ),
        (head(), any::<u8>()).prop_map(|((_, tags, counters), answer)| Response::Task(
            TaskResponse {
                answer: TaskAnswer(answer),
                task_tag: tags[0],
                counters,
            }
        )),
        (head(), login_stages(), any::<[u8; 8]>(), data()).prop_map(
            |((_, tags, counters), (current, next, more), b, text)| {
                Response::Login(LoginResponse {
                    current,
                    next,
                    more,
                    version_max: 0,
                    version_active: 0,
                    isid: Isid([b[0], b[1], b[2], b[3], b[4], b[5]]),
                    tsih: 77,
                    task_tag: tags[0],
                    counters,
                    status: LoginStatus {
                        class: b[6],
                        detail: b[7],
                    },
                    text,
                })
            }
        ),
        (head(), 0..3, data()).prop_map(|((lun, tags, counters), end, text)| Response::Text(
            TextResponse {
                is_final: end == 1,
                more: end == 2,
                lun,
                task_tag: tags[0],
                transfer_tag: tags[1],
                counters,
                text,
            }
        )),
        (
            head(),
            any::<[u32; 2]>(),
            proptest::option::of((any::<u8>(), residual())),
            data()
        )
            .prop_map(
                |((lun, tags, counters), places, status, data)| Response::DataIn(DataIn {
                    is_final: status.is_some() || tags[2] % 2 == 0,
                    lun,
                    task_tag: tags[0],
                    transfer_tag: tags[1],
                    counters,
                    data_sn: places[0],
                    offset: places[1],
                    status: status.map(|(status, residual)| DataInStatus { status, residual }),
                    data,
                })
            ),
        (head(), any::<u8>()).prop_map(|((_, tags, counters), response)| Response::Logout(
            LogoutResponse {
                response,
                task_tag: tags[0],
                counters,
            }
        )),
        (head(), any::<[u32; 2]>(), 1_u32..).prop_map(
            |((lun, tags, counters), places, desired_bytes)| Response::R2t(R2t {
                lun,
                task_tag: tags[0],
                transfer_tag: tags[1],
                counters,
                r2t_sn: places[0],
                offset: places[1],
                desired_bytes,
            })
        ),
        (head(), event()).prop_map(|((lun, _, counters), event)| Response::Async(Async {
            lun,
            counters,
            event,
        })),
        (head(), any::<u8>(), vec(any::<u8>(), HEADER_BYTES)).prop_map(
            |((_, _, counters), reason, refused)| Response::Reject(Reject {
                reason: RejectReason(reason),
                counters,
                refused: refused.try_into().unwrap(),
            })
        ),
    ]
}

fn digests() -> impl Strategy<Value = Digests> {
    any::<[bool; 2]>().prop_map(|[header, data]| Digests { header, data })
}

proptest! {
    #[test]
    fn every_request_comes_back_from_its_bytes(pdu in request(), digests in digests()) {
        let mut bytes = Vec::new();
        pdu.emit(digests, &mut bytes);
        prop_assert_eq!(Request::parse(decode_one(&bytes, digests)), Ok(pdu));
    }

    #[test]
    fn every_response_comes_back_from_its_bytes(pdu in response(), digests in digests()) {
        let mut bytes = Vec::new();
        pdu.emit(digests, &mut bytes);
        prop_assert_eq!(Response::parse(decode_one(&bytes, digests)), Ok(pdu));
    }

    #[test]
    fn any_bytes_are_frames_or_an_error(bytes in vec(any::<u8>(), 0..400), digests in digests()) {
        let mut decoder = Decoder::new(100);
        decoder.agree(digests, 100);
        decoder.push(&bytes);
        while let Ok(Some(frame)) = decoder.next_frame() {
            if let Ok(pdu) = Request::parse(frame.clone()) {
                let mut again = Vec::new();
                pdu.emit(digests, &mut again);
                prop_assert_eq!(Request::parse(decode_one(&again, digests)), Ok(pdu));
            }
            if let Ok(pdu) = Response::parse(frame) {
                let mut again = Vec::new();
                pdu.emit(digests, &mut again);
                prop_assert_eq!(Response::parse(decode_one(&again, digests)), Ok(pdu));
            }
        }
    }
}

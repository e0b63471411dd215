//! A session against a target that the test plays, honestly and not.

use super::*;
use crate::iscsi::pdu::{Digests, HEADER_BYTES, LogoutResponse, TaskResponse};
use proptest::prelude::*;

const READ: [u8; 10] = [0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0];
const WRITE: [u8; 10] = [0x2a, 0, 0, 0, 0, 0, 0, 0, 2, 0];

fn session(parameters: Parameters) -> Session {
    let logged_in = LoggedIn {
        parameters,
        cmd_sn: Serial(u32::MAX),
        max_cmd_sn: Serial(3),
        exp_stat_sn: Serial(1),
    };
    Session::new(&logged_in, Lun::default())
}

/// Room for four more commands.
fn counters() -> Counters {
    Counters {
        stat_sn: Serial(1),
        exp_cmd_sn: Serial(0),
        max_cmd_sn: Serial(3),
    }
}

fn start(session: &mut Session, cdb: &[u8], direction: Direction, data: &[u8]) -> Vec<Request> {
    let mut sent = Vec::new();
    session.command(&Cdb::new(cdb).unwrap(), direction, data, |request| {
        sent.push(request);
    });
    sent
}

/// What comes of a response, and what is sent for it.
fn take(
    session: &mut Session,
    response: Response,
    data: &[u8],
) -> (Result<Event, Broken>, Vec<Request>) {
    let mut sent = Vec::new();
    let event = session.handle(response, data, |request| sent.push(request));
    (event, sent)
}

fn data_in(tag: u32, data_sn: u32, offset: u32, bytes: usize) -> Response {
    Response::DataIn(DataIn {
        task_tag: tag,
        counters: counters(),
        data_sn,
        offset,
        data: vec![7; bytes],
        ..DataIn::default()
    })
}

fn status(tag: u32, status: Status) -> Response {
    Response::Scsi(ScsiResponse {
        task_tag: tag,
        status: status.0,
        counters: counters(),
        ..ScsiResponse::default()
    })
}

fn r2t(tag: u32, offset: u32, desired_bytes: u32) -> Response {
    Response::R2t(R2t {
        task_tag: tag,
        transfer_tag: 55,
        counters: counters(),
        offset,
        desired_bytes,
        ..R2t::default()
    })
}

#[test]
fn data_are_taken_in_order_within_what_was_asked_for() {
    for (data_sn, offset, bytes) in [(1, 512, 512), (0, 512, 512), (0, 0, 1025), (0, u32::MAX, 1)] {
        let mut session = session(Parameters::default());
        start(&mut session, &READ, Direction::In(1024), &[]);
        let (event, _) = take(&mut session, data_in(1, data_sn, offset, bytes), &[]);
        assert!(event.is_err(), "{data_sn} {offset} {bytes}");
    }
    let mut session = session(Parameters::default());
    start(&mut session, &READ, Direction::In(1024), &[]);
    for (data_sn, offset) in [(0, 0), (1, 512)] {
        let (event, _) = take(&mut session, data_in(1, data_sn, offset, 512), &[]);
        assert!(matches!(event, Ok(Event::Data { last: None, .. })));
    }
    let (event, _) = take(&mut session, status(1, Status::GOOD), &[]);
    let ended = Event::Ended {
        status: Status::GOOD,
        sense: Vec::new(),
        transferred: 1024,
    };
    assert_eq!(event, Ok(ended));
}

#[test]
fn answers_to_what_was_not_asked_end_the_session() {
    let mut session = session(Parameters::default());
    start(&mut session, &READ, Direction::In(1024), &[]);
    for response in [
        status(2, Status::GOOD),
        data_in(2, 0, 0, 1),
        r2t(1, 0, 512),
        r2t(2, 0, 512),
        Response::Logout(LogoutResponse {
            response: 0,
            task_tag: 1,
            counters: counters(),
        }),
    ] {
        let (event, sent) = take(&mut session, response.clone(), &[]);
        assert!(event.is_err() && sent.is_empty(), "{response:?}");
    }
}

#[test]
fn a_target_gets_no_more_data_than_there_is_and_in_order() {
    let parameters = Parameters {
        immediate_data: false,
        send_bytes_max: 512,
        ..Parameters::default()
    };
    for (offset, bytes) in [
        (0, 1025),
        (512, 512),
        (1024, 1),
        (0, u32::MAX),
        (u32::MAX, 1),
    ] {
        let mut session = session(parameters);
        start(&mut session, &WRITE, Direction::Out(1024), &[3; 1024]);
        let (event, sent) = take(&mut session, r2t(1, offset, bytes), &[3; 1024]);
        assert!(event.is_err() && sent.is_empty(), "{offset} {bytes}");
    }
    let mut session = session(parameters);
    let sent = start(&mut session, &WRITE, Direction::Out(1024), &[3; 1024]);
    assert!(matches!(sent.as_slice(), [Request::ScsiCommand(command)] if command.data.is_empty()));
    let (event, sent) = take(&mut session, r2t(1, 0, 1024), &[3; 1024]);
    assert_eq!(event, Ok(Event::Nothing));
    let places: Vec<_> = sent
        .iter()
        .map(|request| {
            let Request::DataOut(data) = request else {
                panic!("{request:?}");
            };
            (data.data_sn, data.offset, data.data.len(), data.is_final)
        })
        .collect();
    assert_eq!(places, [(0, 0, 512, false), (1, 512, 512, true)]);
}

#[test]
fn unasked_data_go_as_far_as_the_first_burst() {
    let parameters = Parameters {
        initial_r2t: false,
        send_bytes_max: 512,
        first_burst_bytes: 1536,
        ..Parameters::default()
    };
    let mut session = session(parameters);
    let sent = start(&mut session, &WRITE, Direction::Out(2048), &[3; 2048]);
    let [
        Request::ScsiCommand(command),
        Request::DataOut(first),
        Request::DataOut(last),
    ] = sent.as_slice()
    else {
        panic!("{sent:?}");
    };
    assert!(!command.is_final && command.data.len() == 512);
    assert_eq!(
        (first.offset, first.is_final, first.transfer_tag),
        (512, false, NO_TAG)
    );
    assert_eq!(
        (last.offset, last.is_final, last.transfer_tag),
        (1024, true, NO_TAG)
    );
    let (event, sent) = take(&mut session, r2t(1, 1536, 512), &[3; 2048]);
    assert_eq!((event, sent.len()), (Ok(Event::Nothing), 1));
}

#[test]
fn the_window_closes_and_opens_as_the_target_says() {
    let mut session = session(Parameters::default());
    for tag in 1..=5 {
        assert!(session.is_window_open(), "{tag}");
        start(&mut session, &[0; 6], Direction::None, &[]);
        take(&mut session, status(tag, Status::GOOD), &[])
            .0
            .unwrap();
    }
    assert!(!session.is_window_open());
    let mut later = status(9, Status::GOOD);
    if let Response::Scsi(pdu) = &mut later {
        pdu.counters.exp_cmd_sn = Serial(4);
        pdu.counters.max_cmd_sn = Serial(4);
    }
    session.abandoned.push(Abandoned {
        tag: 9,
        aborted_by: None,
    });
    take(&mut session, later, &[]).0.unwrap();
    assert!(session.is_window_open());
}

#[test]
fn what_was_given_up_is_aborted_and_its_late_answers_touch_nobody() {
    let mut session = session(Parameters::default());
    start(&mut session, &READ, Direction::In(1024), &[]);
    let mut sent = Vec::new();
    session.abandon(|request| sent.push(request));
    let [Request::Task(abort)] = sent.as_slice() else {
        panic!("{sent:?}");
    };
    assert_eq!(
        (abort.function, abort.referenced_task_tag),
        (TaskFunction::AbortTask, 1)
    );
    assert_eq!(abort.ref_cmd_sn, Serial(u32::MAX));
    let abort_tag = abort.task_tag;
    start(&mut session, &READ, Direction::In(512), &[]);
    for late in [
        data_in(1, 0, 0, 512),
        r2t(1, 0, 512),
        data_in(1, 1, 512, 512),
    ] {
        assert_eq!(take(&mut session, late, &[]).0, Ok(Event::Nothing));
    }
    let aborted = Response::Task(TaskResponse {
        answer: TaskAnswer::COMPLETE,
        task_tag: abort_tag,
        counters: counters(),
    });
    assert_eq!(take(&mut session, aborted, &[]).0, Ok(Event::Nothing));
    assert!(session.abandoned.is_empty());
    let (event, _) = take(&mut session, data_in(3, 0, 0, 512), &[]);
    assert!(matches!(event, Ok(Event::Data { offset: 0, .. })));
}

#[test]
fn a_target_that_ends_nothing_is_as_good_as_gone() {
    let mut session = session(Parameters::default());
    session.max_cmd_sn = Serial(100);
    for _ in 0..ABANDONED_MAX {
        assert!(!session.is_clogged());
        start(&mut session, &[0; 6], Direction::None, &[]);
        session.abandon(|_| {});
    }
    assert!(session.is_clogged());
}

#[test]
fn pings_are_answered_and_ones_own_is_sent_once() {
    let mut session = session(Parameters::default());
    let ping = |task_tag, transfer_tag| {
        Response::NopIn(NopIn {
            lun: Lun::default(),
            task_tag,
            transfer_tag,
            counters: counters(),
            data: b"?".to_vec(),
        })
    };
    let (event, sent) = take(&mut session, ping(NO_TAG, 5), &[]);
    assert_eq!(event, Ok(Event::Nothing));
    assert!(matches!(
        sent.as_slice(),
        [Request::NopOut(answer)] if answer.transfer_tag == 5 && answer.task_tag == NO_TAG && answer.data == b"?"
    ));
    assert!(session.ping(|_| {}));
    assert!(!session.ping(|_| panic!("one is not answered yet")));
    assert_eq!(take(&mut session, ping(1, NO_TAG), &[]).0, Ok(Event::Pong));
    assert!(session.ping(|_| {}));
}

#[test]
fn a_rejected_command_is_said_to_be() {
    let mut session = session(Parameters::default());
    start(&mut session, &[0; 6], Direction::None, &[]);
    let mut refused = [0; HEADER_BYTES];
    refused[19] = 1;
    let reject = Response::Reject(Reject {
        reason: RejectReason::PROTOCOL_ERROR,
        counters: counters(),
        refused,
    });
    let (event, _) = take(&mut session, reject, &[]);
    assert_eq!(event, Ok(Event::Rejected(RejectReason::PROTOCOL_ERROR)));
}

proptest! {
    #[test]
    fn no_response_makes_it_panic_or_hands_out_data_beyond_the_buffer(
        frames in proptest::collection::vec((0_usize..10, any::<[u8; 48]>(), 0_usize..600), 1..30),
        write: bool,
    ) {
        const OPCODES: [u8; 10] = [0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x31, 0x32, 0x3f];
        let mut session = session(Parameters::default());
        let data = [3; 1024];
        if write {
            start(&mut session, &WRITE, Direction::Out(1024), &data);
        } else {
            start(&mut session, &READ, Direction::In(1024), &[]);
        }
        for (opcode, header, length) in frames {
            let mut bytes = header.to_vec();
            (bytes[0], bytes[4]) = (OPCODES[opcode], 0);
            bytes[5..8].copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes()[1..]);
            // Often the right task, the right place.
            if header[1] % 3 != 0 {
                bytes[16..20].copy_from_slice(&[0, 0, 0, 1]);
                bytes[36..44].fill(0);
            }
            bytes.resize(48 + length.next_multiple_of(4), 1);
            let mut decoder = crate::iscsi::pdu::Decoder::new(1024);
            decoder.agree(Digests::default(), 1024);
            decoder.push(&bytes);
            let Ok(response) = Response::parse(decoder.next_frame().unwrap().unwrap()) else {
                continue;
            };
            match take(&mut session, response, if write { &data } else { &[] }).0 {
                Ok(Event::Data { offset, data, .. }) => prop_assert!(offset + data.len() <= 1024),
                Ok(_) => {}
                Err(_) => return Ok(()),
            }
        }
    }
}

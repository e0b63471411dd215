//! The target as clients see it: PDUs in, PDUs out, on a clock that the test turns.

mod bounds;
mod commands;
mod faults;
mod login;
mod sessions;

use super::backend::{Backend, Store};
use super::portal::{ConnectionId, Settings, Target};
use crate::iscsi::keyring::Keyring;
use crate::iscsi::pdu::{
    DataOut, Decoder, Digests, Isid, LoginRequest, LoginResponse, Lun, NO_TAG, Request, Response,
    ScsiCommand, Stage, TaskFunction, TaskRequest,
};
use crate::iscsi::serial::Serial;
use crate::iscsi::text::Pairs;
use crate::logical_unit::{Config, LogicalUnit, Media, MediaError, MemoryMedia};
use crate::wire::sense::Sense;
use std::time::Duration;

const NAME: &str = "iqn.2026-01.test:disk";

/// Blocks in memory, and every state that was to be kept.
#[derive(Debug, Default)]
struct MemoryStore {
    media: MemoryMedia,
    kept: Vec<Vec<u8>>,
    cannot_keep: bool,
    synced: usize,
}

impl Media for MemoryStore {
    fn read(&mut self, lba: u64, into: &mut [u8]) -> Result<(), MediaError> {
        self.media.read(lba, into)
    }

    fn write(&mut self, lba: u64, data: &[u8], through: bool) -> Result<(), MediaError> {
        self.synced += usize::from(through);
        self.media.write(lba, data, through)
    }

    fn sync(&mut self) -> Result<(), MediaError> {
        self.synced += 1;
        self.media.sync()
    }
}

impl Store for MemoryStore {
    fn keep(&mut self, image: &[u8]) -> Result<(), MediaError> {
        if self.cannot_keep {
            return Err(MediaError);
        }
        self.kept.push(image.to_vec());
        Ok(())
    }
}

/// A target and its clock.
struct World {
    target: Target<MemoryStore>,
    now: Duration,
}

/// A client's end of a connection.
struct Client {
    id: ConnectionId,
    decoder: Decoder,
    tag: u32,
    cmd_sn: Serial,
}

fn settings() -> Settings {
    Settings {
        name: NAME.to_owned(),
        allowed: Vec::new(),
        keyring: Keyring::default(),
        wishes: Settings::wishes(),
    }
}

impl World {
    fn new() -> Self {
        Self::with(settings(), "", MemoryStore::default())
    }

    fn faulty(schedule: &str) -> Self {
        Self::with(settings(), schedule, MemoryStore::default())
    }

    fn with(settings: Settings, schedule: &str, store: MemoryStore) -> Self {
        let unit = LogicalUnit::new(Config::default());
        let backend = Backend::new(unit, store, schedule.parse().unwrap());
        Self {
            target: Target::new(settings, backend),
            now: Duration::ZERO,
        }
    }

    fn connect(&mut self) -> Client {
        let id = self
            .target
            .accept(
                self.now,
                vec!["127.0.0.1:3260".to_owned(), "127.0.0.2:3260".to_owned()],
                [7; 32],
            )
            .expect("room");
        Client {
            id,
            decoder: Decoder::new(1 << 24),
            tag: 0,
            cmd_sn: Serial(1),
        }
    }

    /// Sends bytes, and takes what is answered.
    fn bytes(&mut self, client: &mut Client, bytes: &[u8]) -> Vec<Response> {
        self.target.receive(self.now, client.id, bytes);
        self.take(client)
    }

    /// Takes what is to be sent to the client.
    fn take(&mut self, client: &mut Client) -> Vec<Response> {
        loop {
            let out = self.target.out(client.id).to_vec();
            if out.is_empty() {
                break;
            }
            client.decoder.push(&out);
            self.target.sent(self.now, client.id, out.len());
        }
        let mut responses = Vec::new();
        while let Some(frame) = client.decoder.next_frame().unwrap() {
            responses.push(Response::parse(frame).unwrap());
        }
        responses
    }

    fn send(&mut self, client: &mut Client, request: &Request) -> Vec<Response> {
        let mut bytes = Vec::new();
        request.emit(Digests::default(), &mut bytes);
        self.bytes(client, &bytes)
    }

    /// Does the target close the connection?
    fn closes(&self, client: &Client) -> bool {
        self.target
            .connections()
            .any(|(id, interest)| id == client.id && interest.close)
    }

    /// Lets time pass.
    fn pass(&mut self, span: Duration) {
        self.now += span;
        self.target.tick(self.now);
    }

    fn login_with(&mut self, client: &mut Client, isid: u8, text: &str) -> LoginResponse {
        let request = Request::Login(login_request(isid, Stage::Operational, text));
        let responses = self.send(client, &request);
        let [Response::Login(response)] = responses.as_slice() else {
            panic!("one login response, not {responses:?}");
        };
        response.clone()
    }

    /// A session of this initiator, its power-on attention taken.
    fn session(&mut self, initiator: &str, isid: u8) -> Client {
        let mut client = self.fresh_session(initiator, isid);
        assert_eq!(self.run(&mut client, &[0; 6]), "29/01");
        client
    }

    fn fresh_session(&mut self, initiator: &str, isid: u8) -> Client {
        let mut client = self.connect();
        let text = format!("InitiatorName=iqn.test:{initiator} TargetName={NAME} InitialR2T=No");
        let response = self.login_with(&mut client, isid, &text);
        assert!(response.status.is_success(), "{response:?}");
        assert_ne!(response.tsih, 0);
        client
    }

    /// A command without data out; its answer in a word.
    fn run(&mut self, client: &mut Client, cdb: &[u8]) -> String {
        let request = command(client, cdb, &[], 4096);
        word(&self.send(client, &request))
    }

    /// A command whose data travel with it.
    fn write(&mut self, client: &mut Client, cdb: &[u8], data: &[u8]) -> String {
        let request = command(client, cdb, data, 0);
        word(&self.send(client, &request))
    }

    fn register(&mut self, client: &mut Client, key: u8, aptpl: bool) -> String {
        let mut list = [0; 24];
        list[15] = key;
        list[20] = u8::from(aptpl);
        self.write(client, &PR_REGISTER_IGNORING, &list)
    }

    fn function(
        &mut self,
        client: &mut Client,
        function: TaskFunction,
        lun: u16,
        task: u32,
    ) -> String {
        client.tag += 1;
        let request = Request::Task(TaskRequest {
            immediate: true,
            function,
            lun: Lun::from_number(lun).unwrap(),
            task_tag: client.tag,
            referenced_task_tag: task,
            cmd_sn: client.cmd_sn,
            exp_stat_sn: Serial(0),
            ref_cmd_sn: Serial(0),
        });
        word(&self.send(client, &request))
    }

    fn block(&self, lba: u64) -> [u8; 512] {
        self.target.backend().store().media.block(lba)
    }
}

const READ_KEYS: [u8; 10] = [0x5e, 0, 0, 0, 0, 0, 0, 1, 0, 0];
const PR_REGISTER_IGNORING: [u8; 10] = [0x5f, 6, 0, 0, 0, 0, 0, 0, 24, 0];
const RESERVE6: [u8; 6] = [0x16, 0, 0, 0, 0, 0];

/// WRITE(10).
const fn write10(lba: u8, blocks: u8) -> [u8; 10] {
    [0x2a, 0, 0, 0, 0, lba, 0, 0, blocks, 0]
}

/// PREEMPT AND ABORT by this key of that one.
fn preempt_and_abort(key: u8, victim: u8) -> ([u8; 10], [u8; 24]) {
    let mut list = [0; 24];
    (list[7], list[15]) = (key, victim);
    ([0x5f, 5, 1, 0, 0, 0, 0, 0, 24, 0], list)
}

fn login_request(isid: u8, current: Stage, text: &str) -> LoginRequest {
    LoginRequest {
        current,
        next: Some(match current {
            Stage::Security => Stage::Operational,
            Stage::Operational | Stage::FullFeature => Stage::FullFeature,
        }),
        isid: Isid([0x80, 0, 0, 0, 0, isid]),
        cmd_sn: Serial(1),
        text: text.replace(' ', "\0").into_bytes(),
        ..LoginRequest::default()
    }
}

fn command(client: &mut Client, cdb: &[u8], data: &[u8], room: u32) -> Request {
    let expected = u32::try_from(data.len()).unwrap();
    partial(client, cdb, data, expected, room)
}

/// A command of which this data travel with it, and more follow if it expects more.
fn partial(client: &mut Client, cdb: &[u8], data: &[u8], expected: u32, room: u32) -> Request {
    let mut padded = cdb.to_vec();
    padded.resize(16, 0);
    client.tag += 1;
    let cmd_sn = client.cmd_sn;
    client.cmd_sn = cmd_sn.next();
    Request::ScsiCommand(ScsiCommand {
        is_final: true,
        read: expected == 0 && room > 0,
        write: expected > 0,
        task_tag: client.tag,
        expected_bytes: if expected > 0 { expected } else { room },
        cmd_sn,
        cdb: padded,
        data: data.to_vec(),
        ..ScsiCommand::default()
    })
}

fn data_out(client: &Client, transfer_tag: u32, offset: u32, data_sn: u32, data: &[u8]) -> Request {
    Request::DataOut(DataOut {
        is_final: true,
        task_tag: client.tag,
        transfer_tag,
        data_sn,
        offset,
        data: data.to_vec(),
        ..DataOut::default()
    })
}

/// What came back, in a word: a status, a sense code, a task answer, how much data.
fn word(responses: &[Response]) -> String {
    let words: Vec<String> = responses
        .iter()
        .map(|response| match response {
            Response::Scsi(pdu) => match Sense::parse(&pdu.sense) {
                Some(sense) => format!("{:02x}/{:02x}", sense.asc, sense.ascq),
                None => pdu.completed().unwrap().to_string(),
            },
            Response::DataIn(pdu) => format!("{} bytes", pdu.data.len()),
            Response::Task(pdu) => pdu.answer.to_string(),
            Response::R2t(pdu) => format!("wants {}+{}", pdu.offset, pdu.desired_bytes),
            Response::Reject(pdu) => format!("rejected: {}", pdu.reason),
            Response::Logout(pdu) => format!("logout {}", pdu.response),
            Response::NopIn(pdu) if pdu.task_tag == NO_TAG => "ping".to_owned(),
            Response::NopIn(_) => "pong".to_owned(),
            Response::Text(pdu) => format!("{:?}", Pairs::parse(&pdu.text).unwrap()),
            Response::Login(pdu) => format!("login {}", pdu.status),
            Response::Async(pdu) => format!("{:?}", pdu.event),
        })
        .collect();
    words.join(", ")
}

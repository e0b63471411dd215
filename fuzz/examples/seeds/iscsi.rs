//! iSCSI: units of the protocol, texts of a negotiation, a whole session.

use super::{Seeds, named};
use scsi::iscsi::pdu::{
    DataOut, Digests, Isid, LoginRequest, NO_TAG, R2t, Request, Response, ScsiCommand,
    ScsiResponse, Stage, TaskFunction, TaskRequest,
};
use scsi::iscsi::serial::Serial;
use scsi::wire::sense::Sense;

fn login_text() -> Vec<u8> {
    b"InitiatorName=iqn.a\0TargetName=iqn.t\0HeaderDigest=CRC32C,None\0InitialR2T=No\0MaxBurstLength=4096\0".to_vec()
}

fn login() -> Request {
    Request::Login(LoginRequest {
        current: Stage::Operational,
        next: Some(Stage::FullFeature),
        isid: Isid([0x80, 1, 2, 3, 4, 5]),
        cmd_sn: Serial(1),
        // Without digests, so that what a fuzzer makes of the rest still arrives.
        text: b"InitiatorName=iqn.a\0TargetName=iqn.t\0InitialR2T=No\0".to_vec(),
        ..LoginRequest::default()
    })
}

fn command(cmd_sn: u32, cdb: &[u8], data: &[u8], expected_bytes: u32) -> Request {
    let mut padded = cdb.to_vec();
    padded.resize(16, 0);
    Request::ScsiCommand(ScsiCommand {
        is_final: true,
        read: data.is_empty(),
        write: !data.is_empty(),
        task_tag: cmd_sn,
        expected_bytes,
        cmd_sn: Serial(cmd_sn),
        cdb: padded,
        data: data.to_vec(),
        ..ScsiCommand::default()
    })
}

fn session() -> Vec<Request> {
    let write = [0x2a, 0, 0, 0, 0, 0, 0, 0, 2, 0];
    let register = [0x5f, 6, 0, 0, 0, 0, 0, 0, 24, 0];
    vec![
        login(),
        command(1, &[0; 6], &[], 0),
        command(2, &[0x12, 0, 0, 0, 96, 0], &[], 96),
        command(3, &register, &[1; 24], 24),
        command(4, &write, &[3; 64], 1024),
        Request::DataOut(DataOut {
            is_final: true,
            task_tag: 4,
            transfer_tag: 0,
            offset: 64,
            data: vec![3; 960],
            ..DataOut::default()
        }),
        Request::Task(TaskRequest {
            immediate: true,
            function: TaskFunction::LogicalUnitReset,
            lun: scsi::iscsi::pdu::Lun::default(),
            task_tag: 5,
            referenced_task_tag: NO_TAG,
            cmd_sn: Serial(5),
            exp_stat_sn: Serial(1),
            ref_cmd_sn: Serial(0),
        }),
    ]
}

pub(crate) fn iscsi_target() -> Seeds {
    let mut bytes = Vec::new();
    for request in session() {
        request.emit(Digests::default(), &mut bytes);
    }
    named(vec![("session", bytes)])
}

pub(crate) fn iscsi_pdu() -> Seeds {
    let both = Digests {
        header: true,
        data: true,
    };
    let (mut plain, mut summed, mut answers) = (vec![0], vec![3], vec![0]);
    for request in session() {
        request.emit(Digests::default(), &mut plain);
        request.emit(both, &mut summed);
    }
    for response in [
        Response::Scsi(ScsiResponse {
            status: 2,
            sense: Sense::new(6, 0x29, 7).fixed().to_vec(),
            ..ScsiResponse::default()
        }),
        Response::R2t(R2t {
            desired_bytes: 512,
            ..R2t::default()
        }),
    ] {
        response.emit(Digests::default(), &mut answers);
    }
    named(vec![
        ("requests", plain),
        ("requests_with_digests", summed),
        ("responses", answers),
    ])
}

pub(crate) fn iscsi_text() -> Seeds {
    named(vec![
        ("login", login_text()),
        ("url", b"iscsi://me@[::1]:3260,host/iqn.t/0".to_vec()),
        (
            "keyring",
            b"initiator me secret-of-mine\ntarget disk another\n".to_vec(),
        ),
        ("challenge", b"0x00112233".to_vec()),
    ])
}

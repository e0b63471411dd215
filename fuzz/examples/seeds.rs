//! Writes the first corpus: the answers of ordinary disks, by the values they stand for; units that have
//! been used; schedules as they are written; logs at work.
//!
//! `cargo run -p fuzz --example seeds`, after a format was added; files that are there already and are
//! not among these are left alone.

use fuzz::{Picture, Rights};
use qlog::storage::MemoryStorage;
use qlog::{Claim, Cluster, Fencing, Format, Log, Owner};
use scsi::iscsi::pdu::{
    DataOut, Digests, Isid, LoginRequest, NO_TAG, R2t, Request, Response, ScsiCommand,
    ScsiResponse, Stage, TaskFunction, TaskRequest,
};
use scsi::iscsi::serial::Serial;
use scsi::logical_unit::{Behaviour, Config, LogicalUnit, MemoryMedia, Nexus};
use scsi::reservation::{HostId, Key, Reservation, ReservationType, ResetScope, TypeMask};
use scsi::wire::capacity::{Capacity10, Capacity16};
use scsi::wire::cdb::{
    Access, BlockRange, Cdb, Command, ModePages, OpcodeQuery, PrInAction, PrOutAction,
};
use scsi::wire::inquiry::StandardInquiry;
use scsi::wire::luns::{Lun, ReportedLuns};
use scsi::wire::mode::{BlockDescriptor, CachingPage, ControlPage, ModeData, ModeForm};
use scsi::wire::nvme::{
    AcquireAction, IdentifyController, IdentifyNamespace, PowerLossPersistence, RegisterAction,
    Registrant, ReleaseAction, ReportForm, ReservationCommand, ReservationReport,
};
use scsi::wire::opcodes::{CommandSupport, OneCommand, SupportedCommand, SupportedCommands};
use scsi::wire::persistent_in::{
    FullStatus, FullStatusEntry, HeldReservation, RegisteredKeys, ReportedCapabilities,
};
use scsi::wire::persistent_out::{BasicList, MoveList};
use scsi::wire::sense::{FieldPointer, Sense};
use scsi::wire::transport_id::TransportId;
use scsi::wire::vpd::{
    Association, BlockLimits, Designator, DesignatorValue, DeviceIdentification, SupportedPages,
    UnitSerial,
};
use std::path::Path;
use std::{fs, io};

fn main() -> io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (target, seeds) in seeds() {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder)?;
        for (name, bytes) in seeds {
            fs::write(folder.join(name), bytes)?;
        }
    }
    Ok(())
}

type Seeds = Vec<(String, Vec<u8>)>;

fn named(seeds: Vec<(&str, Vec<u8>)>) -> Seeds {
    let own = |(name, bytes): (&str, Vec<u8>)| (name.to_owned(), bytes);
    seeds.into_iter().map(own).collect()
}

fn seeds() -> Vec<(&'static str, Seeds)> {
    vec![
        ("capacity", capacity()),
        ("cdb", cdb()),
        ("inquiry", inquiry()),
        ("iscsi_pdu", iscsi_pdu()),
        ("iscsi_target", iscsi_target()),
        ("iscsi_text", iscsi_text()),
        ("log_image", log_image()),
        ("logical_unit", logical_unit()),
        ("luns", luns()),
        ("mode", mode()),
        ("nvme_command", nvme_command()),
        ("nvme_identify", nvme_identify()),
        ("nvme_report", nvme_report()),
        ("opcodes", opcodes()),
        ("persistent_in", persistent_in()),
        ("persistent_out", persistent_out()),
        ("schedule", schedule()),
        ("sense", sense()),
        ("transport_id", transport_id()),
        ("transport_id_text", transport_id_text()),
        ("vpd", vpd()),
    ]
}

fn capacity() -> Seeds {
    let short = |blocks| Capacity10 {
        blocks,
        block_bytes: 512,
    };
    let long = Capacity16 {
        blocks: 1 << 33,
        block_bytes: 4096,
        physical_block_exponent: 3,
        protection: true,
        thin: true,
        unmapped_reads_zeros: true,
    };
    named(vec![
        ("ten", short(Some(1 << 20)).emit().to_vec()),
        ("ten_too_large", short(None).emit().to_vec()),
        ("sixteen", long.emit().to_vec()),
    ])
}

fn cdb() -> Seeds {
    let range = BlockRange::new(1 << 33, 8);
    let access = Access::FUA;
    let pages = ModePages {
        page: 0x3f,
        ..ModePages::default()
    };
    let mut commands = vec![
        Command::TestUnitReady,
        Command::RequestSense {
            descriptor: true,
            allocation_length: 252,
        },
        Command::Inquiry {
            vpd: Some(0x83),
            allocation_length: 512,
        },
        Command::Reserve6,
        Command::Release6,
        Command::Reserve10,
        Command::Release10,
        Command::Read { range, access },
        Command::Write { range, access },
        Command::Read {
            range: BlockRange::new(1, 1),
            access,
        },
        Command::SynchronizeCache {
            range,
            immediate: true,
        },
        Command::CompareAndWrite {
            lba: 7,
            blocks: 1,
            access,
        },
        Command::ReadCapacity10,
        Command::ReadCapacity16 {
            allocation_length: 32,
        },
        Command::ReportLuns {
            select_report: 2,
            allocation_length: 4096,
        },
        Command::ReportSupportedOperationCodes {
            query: OpcodeQuery::Opcode(0x16),
            timeouts: true,
            allocation_length: 512,
        },
        Command::ModeSense6 {
            pages,
            allocation_length: 192,
        },
        Command::ModeSense10 {
            pages,
            long_lba_accepted: true,
            allocation_length: 192,
        },
    ];
    commands.extend(PrInAction::ALL.map(|action| Command::PersistentReserveIn {
        action,
        allocation_length: 4096,
    }));
    commands.extend(
        PrOutAction::ALL.map(|action| Command::PersistentReserveOut {
            action,
            scope: 0,
            kind: 5,
            parameter_list_length: 24,
        }),
    );
    let seed = |(index, command): (usize, Command)| {
        let words = command.name().to_lowercase().replace(['(', ')', ' '], "_");
        (
            format!("{index:02}_{}", words.trim_end_matches('_')),
            command.cdb().as_bytes().to_vec(),
        )
    };
    commands.into_iter().enumerate().map(seed).collect()
}

fn inquiry() -> Seeds {
    let plain = StandardInquiry {
        version: 5,
        target_port_groups: 1,
        command_queue: true,
        vendor: "LIO-ORG".to_owned(),
        product: "quorum".to_owned(),
        revision: "4.0".to_owned(),
        ..StandardInquiry::default()
    };
    let long = StandardInquiry {
        version: 6,
        version_descriptors: vec![0x0460, 0x04c0, 0x0960],
        ..plain.clone()
    };
    let nothing = StandardInquiry {
        qualifier: 3,
        device_type: 0x1f,
        ..StandardInquiry::default()
    };
    named(vec![
        ("plain", plain.emit()),
        ("long", long.emit()),
        ("nothing_there", nothing.emit()),
    ])
}

/// A command and its data.
type Sent = (Cdb, Vec<u8>);

/// Units on which something is registered, held, reserved, waiting or queued.
fn logical_unit() -> Seeds {
    let nexus = |n: u8| Nexus::new(TransportId::Sas([n; 8]), 1);
    let register = BasicList {
        service_action_key: Key::new(1),
        aptpl: true,
        ..BasicList::default()
    };
    let own = BasicList {
        key: Key::new(1),
        ..BasicList::default()
    };
    let out = |action, list: &BasicList| {
        let command = Command::PersistentReserveOut {
            action,
            scope: 0,
            kind: 5,
            parameter_list_length: 24,
        };
        (command.cdb(), list.emit())
    };
    let plain = |command: Command| (command.cdb(), Vec::new());
    let registered = [out(PrOutAction::Register, &register)];
    let held = [
        out(PrOutAction::Register, &register),
        out(PrOutAction::Reserve, &own),
    ];
    let spc2 = [plain(Command::Reserve6)];
    let used = |behaviour, by: &[(Nexus, &[Sent])]| {
        let mut unit = LogicalUnit::new(Config {
            behaviour,
            target_ports: 2,
            ..Config::default()
        });
        for (nexus, commands) in by {
            for (cdb, data_out) in *commands {
                unit.execute(nexus, cdb, data_out, &mut MemoryMedia::new());
            }
        }
        unit
    };
    let fresh = LogicalUnit::new(Config::default());
    let mut all = register.clone();
    all.all_target_ports = true;
    let all = [out(PrOutAction::Register, &all)];
    let mut waiting = used(
        Behaviour::Standard,
        &[(nexus(1), &held), (nexus(2), &registered)],
    );
    waiting.reset(ResetScope::Lun);
    let mut queued = used(Behaviour::Lio, &[(nexus(1), &held)]);
    let write = Command::Write {
        range: BlockRange::new(0, 1),
        access: Access::FUA,
    };
    queued.accept(&nexus(1), &write.cdb(), &[7; 512]);
    queued.accept(&nexus(1), &Command::TestUnitReady.cdb(), &[]);
    named(vec![
        ("fresh", fresh.to_image()),
        (
            "held",
            used(Behaviour::Standard, &[(nexus(1), &held)]).to_image(),
        ),
        (
            "for_all_ports",
            used(Behaviour::Hostile, &[(nexus(1), &all)]).to_image(),
        ),
        (
            "spc2_beside_a_registration",
            used(
                Behaviour::Tgt,
                &[(nexus(1), &registered[..]), (nexus(2), &spc2[..])],
            )
            .to_image(),
        ),
        ("attentions_waiting", waiting.to_image()),
        ("commands_queued", queued.to_image()),
    ])
}

/// Every word of the language.
fn schedule() -> Seeds {
    let text = |text: &str| text.as_bytes().to_vec();
    named(vec![
        (
            "whens",
            text("after 2 on WRITE: drop; first 3 READ: transport\nat 1 SYNC: hang; every 2: lie"),
        ),
        (
            "actions",
            text(
                "# all of them\non any: timeout-without-effect; CAW: timeout-with-effect\n\
                 TUR: late-effect 200ms; PR-IN: delay 3s; INQUIRY: truncate 4; SPC2: conflict\n\
                 RESET: nexus-loss; REGISTER: power-cycle",
            ),
        ),
        (
            "numbers",
            text("on opcode 5f/04: sense 06/29/00; opcode a0: status 18; PREEMPT: reset lun"),
        ),
    ])
}

fn luns() -> Seeds {
    let numbers = [0, 1, 255, 256, 0x3fff];
    let flat = numbers.into_iter().filter_map(Lun::from_number).collect();
    let odd = vec![Lun([0xc1, 1, 0, 0, 0, 0, 0, 0]), Lun([0xff; 8])];
    named(vec![
        ("flat", ReportedLuns { luns: flat }.emit()),
        ("well_known", ReportedLuns { luns: odd }.emit()),
        ("none", ReportedLuns::default().emit()),
    ])
}

fn mode() -> Seeds {
    let data = ModeData {
        write_protected: true,
        dpo_fua: true,
        descriptor: Some(BlockDescriptor {
            blocks: 1 << 20,
            block_bytes: 512,
        }),
        caching: Some(CachingPage {
            write_cache_enabled: true,
            read_cache_disabled: false,
        }),
        control: Some(ControlPage {
            descriptor_sense: true,
            task_aborted_status: true,
            ..ControlPage::default()
        }),
    };
    // A page with a subpage, which is stepped over.
    let subpage = vec![15, 0, 0, 0, 0x4a, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    named(vec![
        ("six", data.emit(ModeForm::Six)),
        ("ten", data.emit(ModeForm::Ten)),
        ("subpage", subpage),
        ("empty", ModeData::default().emit(ModeForm::Ten)),
    ])
}

fn nvme_command() -> Seeds {
    let current = Key::new(0x1122_3344_5566_7788);
    let kind = ReservationType::WriteExclusiveRegistrantsOnly;
    let commands = [
        (
            "register",
            ReservationCommand::Register {
                action: RegisterAction::Replace,
                ignore_existing: true,
                persistence: PowerLossPersistence::Set,
                current,
                new: Key::new(7),
            },
        ),
        (
            "report",
            ReservationCommand::Report {
                form: ReportForm::Extended,
                bytes: 4096,
            },
        ),
        (
            "acquire",
            ReservationCommand::Acquire {
                action: AcquireAction::PreemptAndAbort,
                kind,
                current,
                victim: Key::new(9),
            },
        ),
        (
            "release",
            ReservationCommand::Release {
                action: ReleaseAction::Release(kind),
                current,
            },
        ),
        (
            "clear",
            ReservationCommand::Release {
                action: ReleaseAction::Clear,
                current,
            },
        ),
    ];
    let seed = |(name, command): (&str, ReservationCommand)| {
        let mut bytes = vec![command.opcode()];
        bytes.extend(command.cdw10().to_le_bytes());
        bytes.push(u8::try_from(command.cdw11()).unwrap_or(u8::MAX));
        bytes.extend(command.data_out().unwrap_or_default());
        (name.to_owned(), bytes)
    };
    commands.into_iter().map(seed).collect()
}

/// The body extends what is cut off behind the last byte that is not zero.
fn shortened(mut structure: Vec<u8>) -> Vec<u8> {
    while structure.last() == Some(&0) {
        structure.pop();
    }
    structure
}

fn nvme_identify() -> Seeds {
    let namespace = IdentifyNamespace {
        blocks: 1 << 20,
        block_bytes: 4096,
        shared: true,
        persists_capable: true,
        types: all_types(),
        ignore_existing_key: true,
        nguid: [0xab; 16],
        eui64: [0xcd; 8],
    };
    let controller = IdentifyController {
        serial: "S1".to_owned(),
        model: "Linux".to_owned(),
        firmware: "7.3".to_owned(),
        controller: 1,
        extended_host_id: true,
        compare: true,
        reservations: true,
    };
    named(vec![
        ("namespace", shortened(namespace.emit())),
        ("controller", shortened(controller.emit())),
    ])
}

fn nvme_report() -> Seeds {
    let registrant = |controller, holder, n| Registrant {
        controller,
        holder,
        host: HostId([n, n, n, n, n, n, n, n, 0, 0, 0, 0, 0, 0, 0, 0]),
        key: key(n.into()),
    };
    let report = ReservationReport {
        generation: 9,
        kind: Some(ReservationType::WriteExclusive),
        persists: true,
        registrants: vec![
            registrant(1, true, 0xa),
            registrant(2, true, 0xa),
            registrant(0xffff, false, 0xb),
        ],
    };
    let free = ReservationReport::default();
    named(vec![
        ("short", report.emit(ReportForm::Short)),
        ("extended", report.emit(ReportForm::Extended)),
        ("free_short", free.emit(ReportForm::Short)),
        ("free_extended", free.emit(ReportForm::Extended)),
    ])
}

fn opcodes() -> Seeds {
    let command = |opcode, service_action, cdb_length| SupportedCommand {
        opcode,
        service_action,
        cdb_length,
    };
    let all = SupportedCommands {
        commands: vec![command(0x16, None, 6), command(0x5f, Some(8), 10)],
    };
    let mut timed = vec![0, 0, 0, 28, 0x16, 0, 0, 0, 0, 2, 0, 6];
    timed.extend([0, 10, 0, 0, 0, 0, 0, 1, 0, 0, 0, 30]);
    timed.extend([0x5f, 0, 0, 8, 0, 1, 0, 10]);
    let one = OneCommand {
        support: CommandSupport::Standard,
        usage: vec![0x5f, 0x1f, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff, 0],
    };
    named(vec![
        ("all", all.emit()),
        ("all_with_timeouts", timed),
        ("one", one.emit()),
        ("one_not_there", vec![0, 1, 0, 0]),
    ])
}

fn key(value: u64) -> Key {
    Key::new(value).unwrap_or_else(|| unreachable!("the keys of the seeds are not zero"))
}

fn all_types() -> TypeMask {
    let all = ReservationType::ALL.into_iter();
    all.fold(TypeMask::default(), TypeMask::with)
}

fn iscsi(isid: Option<[u8; 6]>) -> TransportId {
    TransportId::Iscsi {
        name: "iqn.2026-01.org.example:node-a".to_owned(),
        isid,
    }
}

fn persistent_in() -> Seeds {
    let held = |key, kind| HeldReservation {
        generation: 4,
        reservation: Some(Reservation { key, kind }),
    };
    let capabilities = ReportedCapabilities {
        compatible_handling: true,
        aptpl_capable: true,
        allow_commands: 1,
        types: Some(all_types()),
        ..ReportedCapabilities::default()
    };
    let entry = |n: u8, holds, initiator| FullStatusEntry {
        key: key(n.into()),
        holds,
        relative_target_port: (n != 3).then_some(n.into()),
        initiator,
    };
    let status = FullStatus {
        generation: 4,
        entries: vec![
            entry(
                1,
                Some(ReservationType::WriteExclusive),
                TransportId::Sas([0x50; 8]),
            ),
            entry(2, None, iscsi(Some([0x80, 0, 0, 0, 0, 1]))),
            entry(3, None, TransportId::Other(vec![0x0d; 24])),
        ],
    };
    let keys = RegisteredKeys {
        generation: 4,
        keys: (1..=9).map(key).collect(),
    };
    let mut old_lio = status.emit();
    old_lio[7] = 48;
    old_lio.truncate(56);
    named(vec![
        ("keys", keys.emit()),
        ("no_keys", RegisteredKeys::default().emit()),
        (
            "held",
            held(Some(key(1)), ReservationType::ExclusiveAccess).emit(),
        ),
        (
            "held_by_all",
            held(None, ReservationType::WriteExclusiveAllRegistrants).emit(),
        ),
        ("capabilities", capabilities.emit().to_vec()),
        ("full_status", status.emit()),
        ("full_status_truncated_by_the_target", old_lio),
    ])
}

fn persistent_out() -> Seeds {
    let basic = BasicList {
        key: Key::new(1),
        service_action_key: Key::new(2),
        aptpl: true,
        ..BasicList::default()
    };
    let ports = BasicList {
        all_target_ports: true,
        initiator_ports: Some(vec![TransportId::Sas([0x50; 8]), iscsi(None)]),
        ..basic.clone()
    };
    let moving = MoveList {
        key: Key::new(1),
        service_action_key: Key::new(2),
        unregister: true,
        aptpl: true,
        relative_target_port: 1,
        destination: iscsi(Some([0x80, 0, 0, 0, 0, 2])),
    };
    named(vec![
        ("basic", basic.emit()),
        ("specified_ports", ports.emit()),
        ("register_and_move", moving.emit()),
    ])
}

fn sense() -> Seeds {
    let pointed = Sense {
        field: Some(FieldPointer::in_cdb(1, Some(4))),
        ..Sense::INVALID_FIELD_IN_CDB
    };
    let compared = Sense {
        information: Some(1 << 33),
        ..Sense::MISCOMPARE
    };
    let deferred = Sense {
        deferred: true,
        ..Sense::WRITE_ERROR
    };
    named(vec![
        ("fixed", Sense::POWER_ON_OCCURRED.fixed().to_vec()),
        ("fixed_with_pointer", pointed.fixed().to_vec()),
        ("descriptor", Sense::REGISTRATIONS_PREEMPTED.descriptor()),
        ("descriptor_with_pointer", pointed.descriptor()),
        ("descriptor_with_information", compared.descriptor()),
        ("deferred", deferred.fixed().to_vec()),
    ])
}

fn transport_ids() -> Vec<(&'static str, TransportId)> {
    vec![
        ("fc", TransportId::FibreChannel([0x20; 8])),
        (
            "spi",
            TransportId::ParallelScsi {
                address: 7,
                relative_port: 1,
            },
        ),
        ("ieee1394", TransportId::Ieee1394([0x11; 8])),
        ("srp", TransportId::Rdma([0x22; 16])),
        ("iscsi_device", iscsi(None)),
        ("iscsi_port", iscsi(Some([0x80, 1, 2, 3, 4, 5]))),
        ("sas", TransportId::Sas([0x50; 8])),
        ("sop", TransportId::Sop(0xa0)),
        ("unknown", TransportId::Other(vec![0x0c; 24])),
    ]
}

fn transport_id() -> Seeds {
    let ids = transport_ids();
    let list = ids.iter().flat_map(|(_, id)| id.emit()).collect();
    let mut seeds: Vec<_> = ids.iter().map(|(name, id)| (*name, id.emit())).collect();
    let mut old_lio = vec![0x45, 0, 0, 40];
    old_lio.extend(b"iqn.1993-08.org.debian:01:a\0\0\0\0\0\0,i,0x");
    old_lio.resize(44, 0);
    seeds.push(("iscsi_port_of_old_lio", old_lio));
    seeds.push(("list", list));
    named(seeds)
}

fn transport_id_text() -> Seeds {
    let mut seeds: Vec<_> = transport_ids()
        .into_iter()
        .map(|(name, id)| (name, id.to_string().into_bytes()))
        .collect();
    seeds.push(("iscsi_unusual", b"iscsi:fc:0011223344556677".to_vec()));
    named(seeds)
}

fn vpd() -> Seeds {
    let designator = |association, value| Designator::new(association, value);
    let mut naa6 = [7; 16];
    naa6[0] = 0x60;
    let identification = DeviceIdentification {
        designators: vec![
            designator(Association::Unit, DesignatorValue::Naa16(naa6)),
            designator(
                Association::Unit,
                DesignatorValue::T10 {
                    vendor: "LIO-ORG".to_owned(),
                    id: b"quorum:1".to_vec(),
                },
            ),
            designator(Association::Unit, DesignatorValue::Uuid([6; 16])),
            designator(Association::Unit, DesignatorValue::Eui12([3; 12])),
            designator(
                Association::Unit,
                DesignatorValue::Name("naa.600".to_owned()),
            ),
            Designator {
                protocol: Some(5),
                ..designator(Association::Port, DesignatorValue::RelativeTargetPort(1))
            },
            designator(Association::Port, DesignatorValue::TargetPortGroup(0)),
        ],
    };
    let limits = BlockLimits {
        compare_and_write_blocks_max: 1,
        transfer_granularity_blocks: 8,
        transfer_blocks_max: 8192,
        transfer_blocks_optimal: 1024,
    };
    let pages = SupportedPages {
        pages: vec![0x00, 0x80, 0x83, 0xb0],
    };
    let serial = UnitSerial {
        serial: "A-17".to_owned(),
    };
    named(vec![
        ("supported_pages", pages.emit()),
        ("unit_serial", serial.emit()),
        ("device_identification", identification.emit()),
        ("block_limits", limits.emit()),
    ])
}

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

fn iscsi_target() -> Seeds {
    let mut bytes = Vec::new();
    for request in session() {
        request.emit(Digests::default(), &mut bytes);
    }
    named(vec![("session", bytes)])
}

fn iscsi_pdu() -> Seeds {
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

fn iscsi_text() -> Seeds {
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

/// The smallest blocks, and a ring that few records go round.
const LOG: Format = Format {
    block_bytes: 256,
    segments: 6,
    segment_bytes: 2048,
    catalogue_bytes: 512,
    chunk_bytes: 256,
    chunks: 8,
    region_bytes: 88 << 10,
};

type Region = std::sync::Arc<MemoryStorage>;

fn log_owner(region: &Region) -> Log<Region> {
    let found = qlog::open(Region::clone(region), &mut ()).expect("it opens");
    let owner = Owner {
        node: 3,
        key: 0xbeef,
    };
    let claim = Claim {
        incarnation: 11,
        ..Claim::new(owner, Fencing::Unfenced)
    };
    found.claim(claim).expect("a claim")
}

fn log_image() -> Seeds {
    let bytes = usize::try_from(LOG.region_bytes).expect("small");
    let region = Region::new(MemoryStorage::new(bytes, 256));
    let cluster = Cluster {
        name: "fuzz".into(),
        times: vec![1, 2, 3],
    };
    qlog::create(&*region, LOG, cluster, &mut |_| {}).expect("a log");
    let picture = |rights| Picture {
        rights,
        unreadable: None,
        image: region.image(),
    };
    let mut seeds = vec![("new", picture(Rights::ALL))];
    let log = log_owner(&region);
    let mut last = log.append_durable(b"first").expect("room");
    for length in [0, 40, 500, 30] {
        last = log.append_durable(&vec![7; length]).expect("room");
    }
    log.put_object("object", &[5; 300]).expect("room");
    log.checkpoint(last, &[6; 100]).expect("room");
    for length in [10, 20, 400] {
        last = log.append_durable(&vec![8; length]).expect("room");
    }
    seeds.push(("checkpoint", picture(Rights::ALL)));
    drop(log);
    let log = log_owner(&region);
    log.append_durable(b"second epoch").expect("room");
    log.checkpoint(last, &[9; 400]).expect("room");
    log.append_durable(b"behind both").expect("room");
    log.park().expect("the mark");
    seeds.push(("parked", picture(Rights::ALL)));
    // What a disk does to it by itself: a flipped bit, a page that is gone.
    let mut flipped = picture(Rights(0));
    let frame = flipped
        .image
        .windows(12)
        .position(|bytes| bytes == b"second epoch");
    flipped.image[frame.expect("the record")] ^= 4;
    seeds.push(("flipped", flipped));
    let mut bad_page = picture(Rights(0));
    bad_page.unreadable = Some(9);
    seeds.push(("bad_page", bad_page));
    // What it does not do by itself, but whoever forges the sums.
    let mut shadow = picture(Rights::ALL);
    let head = shadow
        .image
        .windows(4)
        .position(|bytes| bytes == b"QSHD")
        .expect("a slot");
    shadow.image[head + 16..head + 20].fill(0xff);
    seeds.push(("shadow_of_a_block_beyond_the_segment", shadow));
    let emit = |(name, picture): (&'static str, Picture)| (name, picture.emit());
    named(seeds.into_iter().map(emit).collect())
}

//! Answers of ordinary disks, and parameter lists, by the values they stand for.

use super::{Seeds, named};
use scsi::reservation::{Key, Reservation, ReservationType, TypeMask};
use scsi::wire::capacity::{Capacity10, Capacity16};
use scsi::wire::cdb::{
    Access, BlockRange, Command, ModePages, OpcodeQuery, PrInAction, PrOutAction,
};
use scsi::wire::inquiry::StandardInquiry;
use scsi::wire::luns::{Lun, ReportedLuns};
use scsi::wire::mode::{BlockDescriptor, CachingPage, ControlPage, ModeData, ModeForm};
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

pub(crate) fn capacity() -> Seeds {
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

pub(crate) fn cdb() -> Seeds {
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

pub(crate) fn inquiry() -> Seeds {
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

pub(crate) fn luns() -> Seeds {
    let numbers = [0, 1, 255, 256, 0x3fff];
    let flat = numbers.into_iter().filter_map(Lun::from_number).collect();
    let odd = vec![Lun([0xc1, 1, 0, 0, 0, 0, 0, 0]), Lun([0xff; 8])];
    named(vec![
        ("flat", ReportedLuns { luns: flat }.emit()),
        ("well_known", ReportedLuns { luns: odd }.emit()),
        ("none", ReportedLuns::default().emit()),
    ])
}

pub(crate) fn mode() -> Seeds {
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

pub(crate) fn opcodes() -> Seeds {
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

pub(crate) fn key(value: u64) -> Key {
    Key::new(value).unwrap_or_else(|| unreachable!("the keys of the seeds are not zero"))
}

pub(crate) fn all_types() -> TypeMask {
    let all = ReservationType::ALL.into_iter();
    all.fold(TypeMask::default(), TypeMask::with)
}

pub(crate) fn iscsi(isid: Option<[u8; 6]>) -> TransportId {
    TransportId::Iscsi {
        name: "iqn.2026-01.org.example:node-a".to_owned(),
        isid,
    }
}

pub(crate) fn persistent_in() -> Seeds {
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

pub(crate) fn persistent_out() -> Seeds {
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

pub(crate) fn sense() -> Seeds {
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

pub(crate) fn transport_ids() -> Vec<(&'static str, TransportId)> {
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

pub(crate) fn transport_id() -> Seeds {
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

pub(crate) fn transport_id_text() -> Seeds {
    let mut seeds: Vec<_> = transport_ids()
        .into_iter()
        .map(|(name, id)| (name, id.to_string().into_bytes()))
        .collect();
    seeds.push(("iscsi_unusual", b"iscsi:fc:0011223344556677".to_vec()));
    named(seeds)
}

pub(crate) fn vpd() -> Seeds {
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

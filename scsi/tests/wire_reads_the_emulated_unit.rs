//! Two independent writings of the same formats held to each other: what the emulated unit answers, the
//! parsers of `wire` read as what the unit is.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of a test: what does not parse fails it"
)]

use scsi::device::{Data, Device};
use scsi::logical_unit::{
    BLOCK_BYTES, COMPARE_BLOCKS_MAX, Config, Nexus, Shared, SharedDevice, TRANSFER_BLOCKS_MAX,
};
use scsi::reservation::{Key, Reservation, ReservationType};
use scsi::wire::capacity::{self, Capacity10, Capacity16};
use scsi::wire::cdb::{Command, ModePages, OpcodeQuery, PrInAction, PrOutAction, opcode};
use scsi::wire::inquiry::{self, BLOCK_DEVICE, StandardInquiry};
use scsi::wire::luns::ReportedLuns;
use scsi::wire::mode::{ModeData, ModeForm};
use scsi::wire::opcodes::{CommandSupport, OneCommand, SupportedCommands};
use scsi::wire::persistent_in::{
    FullStatus, HeldReservation, LAST_ALLOCATION, RegisteredKeys, ReportedCapabilities,
};
use scsi::wire::persistent_out::BasicList;
use scsi::wire::sense::Sense;
use scsi::wire::status::Status;
use scsi::wire::transport_id::TransportId;
use scsi::wire::vpd::{self, BlockLimits, DeviceIdentification, SupportedPages, UnitSerial};
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(1);

fn device() -> SharedDevice {
    let nexus = Nexus::new(TransportId::Sas([0x50, 0, 0, 0, 0, 0, 0, 1]), 1);
    Shared::new(Config::default()).device(nexus)
}

fn read(device: &mut SharedDevice, command: Command) -> Vec<u8> {
    let mut buffer = vec![0xee; usize::from(u16::MAX)];
    let done = device
        .execute(&command.cdb(), Data::In(&mut buffer), BOUND)
        .unwrap();
    assert_eq!(done.status, Status::GOOD, "{command:?}: {:?}", done.sense);
    buffer.truncate(done.transferred);
    buffer
}

fn write(device: &mut SharedDevice, action: PrOutAction, list: &BasicList) {
    let list = list.emit();
    let command = Command::PersistentReserveOut {
        action,
        scope: 0,
        kind: ReservationType::WriteExclusive.scsi_code(),
        parameter_list_length: u32::try_from(list.len()).unwrap(),
    };
    let done = device
        .execute(&command.cdb(), Data::Out(&list), BOUND)
        .unwrap();
    assert_eq!(done.status, Status::GOOD, "{action:?}: {:?}", done.sense);
}

fn page(device: &mut SharedDevice, page: u8) -> Vec<u8> {
    let command = Command::Inquiry {
        vpd: Some(page),
        allocation_length: vpd::FIRST_ALLOCATION,
    };
    read(device, command)
}

#[test]
fn who_it_is() {
    let device = &mut device();
    let standard = read(
        device,
        Command::Inquiry {
            vpd: None,
            allocation_length: inquiry::ALLOCATION_LENGTH,
        },
    );
    let standard = StandardInquiry::parse(&standard).unwrap();
    assert_eq!(
        (standard.device_type, standard.qualifier, standard.version),
        (BLOCK_DEVICE, 0, 6)
    );
    assert_eq!(
        (&standard.vendor[..], &standard.product[..]),
        ("QCTL", "EMULATED DISK")
    );
    let pages = SupportedPages::parse(&page(device, vpd::SUPPORTED_PAGES)).unwrap();
    for code in [
        vpd::UNIT_SERIAL,
        vpd::DEVICE_IDENTIFICATION,
        vpd::BLOCK_LIMITS,
    ] {
        assert!(pages.pages.contains(&code), "{code:02x}h");
    }
    let config = Config::default();
    let serial = UnitSerial::parse(&page(device, vpd::UNIT_SERIAL)).unwrap();
    assert_eq!(serial.serial, config.serial);
    let identification = page(device, vpd::DEVICE_IDENTIFICATION);
    let identification = DeviceIdentification::parse(&identification).unwrap();
    assert_eq!(
        identification.wwid(),
        Some(format!("naa.{:016x}", config.naa()))
    );
    assert_eq!(identification.relative_target_port(), Some(1));
    let limits = BlockLimits::parse(&page(device, vpd::BLOCK_LIMITS)).unwrap();
    assert_eq!(limits.compare_and_write_blocks_max, COMPARE_BLOCKS_MAX);
    assert_eq!(limits.transfer_blocks_max, TRANSFER_BLOCKS_MAX);
}

#[test]
fn how_large_it_is_and_how_it_caches() {
    let device = &mut device();
    let config = Config::default();
    let short = Capacity10::parse(&read(device, Command::ReadCapacity10)).unwrap();
    assert_eq!(
        (short.blocks, short.block_bytes),
        (Some(config.blocks), BLOCK_BYTES)
    );
    let allocation_length = capacity::ALLOCATION_LENGTH_16;
    let long = read(device, Command::ReadCapacity16 { allocation_length });
    let long = Capacity16::parse(&long).unwrap();
    assert_eq!(
        (long.blocks, long.block_bytes),
        (config.blocks, BLOCK_BYTES)
    );
    let pages = ModePages {
        page: 0x3f,
        ..ModePages::default()
    };
    let six = Command::ModeSense6 {
        pages,
        allocation_length: 192,
    };
    let six = ModeData::parse(ModeForm::Six, &read(device, six)).unwrap();
    let ten = Command::ModeSense10 {
        pages,
        long_lba_accepted: false,
        allocation_length: 192,
    };
    let ten = ModeData::parse(ModeForm::Ten, &read(device, ten)).unwrap();
    assert_eq!(six, ten);
    assert!(six.caching.is_some() && six.control.is_some());
    assert!(!six.write_protected);
    let luns = Command::ReportLuns {
        select_report: 0,
        allocation_length: 4096,
    };
    let luns = ReportedLuns::parse(&read(device, luns)).unwrap();
    let numbers: Vec<_> = luns.luns.iter().map(|lun| lun.number()).collect();
    assert_eq!(numbers, [Some(0)]);
}

#[test]
fn what_it_supports() {
    let device = &mut device();
    let ask = |query| Command::ReportSupportedOperationCodes {
        query,
        timeouts: false,
        allocation_length: 4096,
    };
    let all = SupportedCommands::parse(&read(device, ask(OpcodeQuery::All))).unwrap();
    let actions = all
        .commands
        .iter()
        .filter(|command| command.opcode == opcode::PERSISTENT_RESERVE_OUT)
        .map(|command| command.service_action);
    // All but REPLACE LOST RESERVATION, which the unit says it does not have (RLR_C=0).
    assert_eq!(
        actions.collect::<Vec<_>>(),
        (0..=7).map(Some).collect::<Vec<_>>()
    );
    for (query, support) in [
        (
            OpcodeQuery::Opcode(opcode::RESERVE_6),
            CommandSupport::Standard,
        ),
        (OpcodeQuery::Opcode(0xff), CommandSupport::No),
        (
            OpcodeQuery::ServiceAction {
                opcode: opcode::PERSISTENT_RESERVE_IN,
                service_action: 3,
            },
            CommandSupport::Standard,
        ),
    ] {
        let one = OneCommand::parse(&read(device, ask(query))).unwrap();
        assert_eq!(one.support, support, "{query:?}");
    }
}

#[test]
fn who_is_registered_and_who_holds() {
    let device = &mut device();
    let key = Key::new(0x1122_3344_5566_7788).unwrap();
    let list = BasicList {
        service_action_key: Some(key),
        ..BasicList::default()
    };
    write(device, PrOutAction::Register, &list);
    let list = BasicList {
        key: Some(key),
        ..BasicList::default()
    };
    write(device, PrOutAction::Reserve, &list);
    let mut pr_in = |action| {
        let allocation_length = LAST_ALLOCATION;
        read(
            device,
            Command::PersistentReserveIn {
                action,
                allocation_length,
            },
        )
    };
    let reservation = Some(Reservation {
        key: Some(key),
        kind: ReservationType::WriteExclusive,
    });
    let keys = pr_in(PrInAction::ReadKeys);
    let keys = RegisteredKeys::parse(&keys, LAST_ALLOCATION).unwrap();
    assert_eq!((keys.generation, keys.keys), (1, vec![key]));
    let held = pr_in(PrInAction::ReadReservation);
    let held = HeldReservation::parse(&held, LAST_ALLOCATION).unwrap();
    assert_eq!(held.reservation, reservation);
    let status = pr_in(PrInAction::ReadFullStatus);
    let status = FullStatus::parse(&status, LAST_ALLOCATION).unwrap();
    assert_eq!(status.reservation(), reservation);
    let [only] = &status.entries[..] else {
        panic!("{status:?}")
    };
    assert_eq!(
        only.initiator,
        TransportId::Sas([0x50, 0, 0, 0, 0, 0, 0, 1])
    );
    assert_eq!(only.relative_target_port, Some(1));
    let told = ReportedCapabilities::parse(&pr_in(PrInAction::ReportCapabilities)).unwrap();
    assert!(!told.replace_lost);
    let types = told.types.unwrap();
    assert!(
        ReservationType::ALL
            .iter()
            .all(|&kind| types.contains(kind))
    );
}

#[test]
fn what_it_answers_to_request_sense() {
    let device = &mut device();
    for descriptor in [false, true] {
        let command = Command::RequestSense {
            descriptor,
            allocation_length: 252,
        };
        let sense = Sense::parse(&read(device, command)).unwrap();
        assert!(sense.is(Sense::NO_SENSE), "{sense}");
    }
}

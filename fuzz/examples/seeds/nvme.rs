//! NVMe: reservation commands, identify data, reservation reports.

use super::wire::{all_types, key};
use super::{Seeds, named};
use scsi::reservation::{HostId, Key, ReservationType};
use scsi::wire::nvme::{
    AcquireAction, IdentifyController, IdentifyNamespace, PowerLossPersistence, RegisterAction,
    Registrant, ReleaseAction, ReportForm, ReservationCommand, ReservationReport,
};

pub(crate) fn nvme_command() -> Seeds {
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
pub(crate) fn shortened(mut structure: Vec<u8>) -> Vec<u8> {
    while structure.last() == Some(&0) {
        structure.pop();
    }
    structure
}

pub(crate) fn nvme_identify() -> Seeds {
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

pub(crate) fn nvme_report() -> Seeds {
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

//! Which commands the unit has, and REPORT SUPPORTED OPERATION CODES (SPC-4 6.35), from one table.

use crate::logical_unit::behaviour::{Behaviour, Difference};
use crate::logical_unit::refused::Refused;
use crate::wire::cdb::{Command, OpcodeQuery, PrInAction, PrOutAction};

/// A command of the unit: its service action where the operation code has any, and its CDB USAGE DATA:
/// which bits of the CDB it looks at.
struct Known {
    service_action: Option<u8>,
    usage: &'static [u8],
    absent: Option<Difference>,
}

const fn plain(usage: &'static [u8]) -> Known {
    Known {
        service_action: None,
        usage,
        absent: None,
    }
}

const fn action(service_action: u8, usage: &'static [u8]) -> Known {
    Known {
        service_action: Some(service_action),
        usage,
        absent: None,
    }
}

const fn unless(difference: Difference, known: Known) -> Known {
    Known {
        absent: Some(difference),
        ..known
    }
}

/// PERSISTENT RESERVE IN.
const PR_IN: u8 = 0x5e;
/// PERSISTENT RESERVE OUT.
const PR_OUT: u8 = 0x5f;
const PR_IN_USAGE: &[u8] = &[PR_IN, 0x1f, 0, 0, 0, 0, 0, 0xff, 0xff, 0];
const PR_OUT_USAGE: &[u8] = &[PR_OUT, 0x1f, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff, 0];

/// All commands, by operation code.
const TABLE: &[Known] = &[
    plain(&[0x00, 0, 0, 0, 0, 0]),
    plain(&[0x03, 0x01, 0, 0, 0xff, 0]),
    plain(&[0x12, 0x01, 0xff, 0xff, 0xff, 0]),
    plain(&[0x16, 0, 0, 0, 0, 0]),
    plain(&[0x17, 0, 0, 0, 0, 0]),
    plain(&[0x1a, 0x08, 0xff, 0xff, 0xff, 0]),
    plain(&[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    plain(&[0x28, 0x18, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0]),
    plain(&[0x2a, 0x18, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0]),
    plain(&[0x35, 0x02, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0]),
    unless(
        Difference::NoTenByteReserve,
        plain(&[0x56, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ),
    unless(
        Difference::NoTenByteReserve,
        plain(&[0x57, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ),
    plain(&[0x5a, 0x18, 0xff, 0xff, 0, 0, 0, 0xff, 0xff, 0]),
    action(PrInAction::ReadKeys.code(), PR_IN_USAGE),
    action(PrInAction::ReadReservation.code(), PR_IN_USAGE),
    action(PrInAction::ReportCapabilities.code(), PR_IN_USAGE),
    unless(
        Difference::NoFullStatus,
        action(PrInAction::ReadFullStatus.code(), PR_IN_USAGE),
    ),
    action(PrOutAction::Register.code(), PR_OUT_USAGE),
    action(PrOutAction::Reserve.code(), PR_OUT_USAGE),
    action(PrOutAction::Release.code(), PR_OUT_USAGE),
    action(PrOutAction::Clear.code(), PR_OUT_USAGE),
    action(PrOutAction::Preempt.code(), PR_OUT_USAGE),
    unless(
        Difference::NoPreemptAndAbort,
        action(PrOutAction::PreemptAndAbort.code(), PR_OUT_USAGE),
    ),
    action(
        PrOutAction::RegisterAndIgnoreExistingKey.code(),
        PR_OUT_USAGE,
    ),
    action(PrOutAction::RegisterAndMove.code(), PR_OUT_USAGE),
    plain(&[
        0x88, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0,
    ]),
    unless(
        Difference::NoCompareAndWrite,
        plain(&[
            0x89, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0xff, 0, 0,
        ]),
    ),
    plain(&[
        0x8a, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0,
    ]),
    plain(&[
        0x91, 0x02, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0,
    ]),
    action(
        0x10,
        &[
            0x9e, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0,
        ],
    ),
    plain(&[0xa0, 0, 0xff, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0]),
    action(
        0x0c,
        &[
            0xa3, 0x1f, 0x87, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0,
        ],
    ),
];

impl Known {
    const fn opcode(&self) -> u8 {
        self.usage[0]
    }
}

fn of(behaviour: Behaviour) -> impl Iterator<Item = &'static Known> {
    TABLE
        .iter()
        .filter(move |known| !known.absent.is_some_and(|absent| behaviour.has(absent)))
}

/// 05/20/00 for an operation code that the unit does not have, 05/24/00 for a service action.
pub(in crate::logical_unit) fn check_supported(
    behaviour: Behaviour,
    command: &Command,
) -> Result<(), Refused> {
    let service_action = match command {
        Command::PersistentReserveIn { action, .. } => Some(action.code()),
        Command::PersistentReserveOut { action, .. } => Some(action.code()),
        Command::TestUnitReady
        | Command::RequestSense { .. }
        | Command::Inquiry { .. }
        | Command::Reserve6
        | Command::Release6
        | Command::Reserve10
        | Command::Release10
        | Command::Read { .. }
        | Command::Write { .. }
        | Command::SynchronizeCache { .. }
        | Command::CompareAndWrite { .. }
        | Command::ReadCapacity10
        | Command::ReadCapacity16 { .. }
        | Command::ReportLuns { .. }
        | Command::ReportSupportedOperationCodes { .. }
        | Command::ModeSense6 { .. }
        | Command::ModeSense10 { .. }
        | Command::Unknown { .. } => None,
    };
    let mut same_code = of(behaviour)
        .filter(|known| known.opcode() == command.opcode())
        .peekable();
    if same_code.peek().is_none() {
        return Err(Refused::OPERATION_CODE);
    }
    if service_action.is_none() || same_code.any(|known| known.service_action == service_action) {
        Ok(())
    } else {
        Err(Refused::CDB_FIELD)
    }
}

/// The whole answer.
pub(in crate::logical_unit) fn data(
    behaviour: Behaviour,
    query: OpcodeQuery,
    timeouts: bool,
) -> Result<Vec<u8>, Refused> {
    let has_actions = |opcode: u8| {
        of(behaviour).any(|known| known.opcode() == opcode && known.service_action.is_some())
    };
    let find = |opcode: u8, service_action: Option<u16>| {
        of(behaviour).find(|known| {
            known.opcode() == opcode && known.service_action.map(u16::from) == service_action
        })
    };
    match query {
        OpcodeQuery::All => Ok(all(behaviour, timeouts)),
        OpcodeQuery::Opcode(opcode) if has_actions(opcode) => Err(Refused::CDB_FIELD),
        OpcodeQuery::Opcode(opcode) => Ok(one(find(opcode, None), timeouts)),
        OpcodeQuery::ServiceAction {
            opcode,
            service_action,
        } => {
            // SPC-4 6.35.1: an operation code without service actions is a field error here.
            if of(behaviour).any(|known| known.opcode() == opcode) && !has_actions(opcode) {
                return Err(Refused::CDB_FIELD);
            }
            Ok(one(find(opcode, Some(service_action)), timeouts))
        }
        OpcodeQuery::Either {
            opcode,
            service_action,
        } => {
            let service_action = has_actions(opcode).then_some(service_action);
            Ok(one(find(opcode, service_action), timeouts))
        }
    }
}

/// The command timeouts descriptor: nothing is said of any.
const TIMEOUTS: [u8; 12] = [0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn all(behaviour: Behaviour, timeouts: bool) -> Vec<u8> {
    let mut data = vec![0; 4];
    for known in of(behaviour) {
        let length = u8::try_from(known.usage.len()).unwrap_or(0);
        let flags = u8::from(timeouts) << 1 | u8::from(known.service_action.is_some());
        data.extend([
            known.opcode(),
            0,
            0,
            known.service_action.unwrap_or(0),
            0,
            flags,
            0,
            length,
        ]);
        if timeouts {
            data.extend(TIMEOUTS);
        }
    }
    let length = u32::try_from(data.len() - 4).unwrap_or(0);
    data[..4].copy_from_slice(&length.to_be_bytes());
    data
}

fn one(known: Option<&Known>, timeouts: bool) -> Vec<u8> {
    let Some(known) = known else {
        // SUPPORT 001b: not supported.
        return vec![0, 0x01, 0, 0];
    };
    let length = u8::try_from(known.usage.len()).unwrap_or(0);
    let mut data = vec![0, u8::from(timeouts) << 7 | 0x03, 0, length];
    data.extend(known.usage);
    if let Some(service_action) = known.service_action {
        // SPC-4 6.35.3: fields that were asked for hold what was asked for.
        data[5] = data[5] & 0xe0 | service_action;
    }
    if timeouts {
        data.extend(TIMEOUTS);
    }
    data
}

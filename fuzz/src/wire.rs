//! The bodies over [`scsi::wire`].

use scsi::wire::capacity::{Capacity10, Capacity16};
use scsi::wire::cdb::{Cdb, Command};
use scsi::wire::inquiry::StandardInquiry;
use scsi::wire::luns::ReportedLuns;
use scsi::wire::mode::{ModeData, ModeForm};
use scsi::wire::nvme::{
    IdentifyController, IdentifyNamespace, ReportForm, ReservationCommand, ReservationReport,
};
use scsi::wire::opcodes::{OneCommand, SupportedCommands};
use scsi::wire::persistent_in::{
    FullStatus, HeldReservation, LAST_ALLOCATION, RegisteredKeys, ReportedCapabilities,
    next_allocation,
};
use scsi::wire::persistent_out::{BasicList, MoveList};
use scsi::wire::sense::Sense;
use scsi::wire::transport_id::TransportId;
use scsi::wire::vpd::{BlockLimits, DeviceIdentification, SupportedPages, UnitSerial};
use scsi::wire::{ParameterError, nvme};
use std::fmt::Debug;

/// What was accepted must come back from what it emits. Says whether it was accepted.
fn again<T, E>(parsed: Result<T, E>, reparse: impl FnOnce(&T) -> Result<T, E>) -> bool
where
    T: PartialEq + Debug,
    E: PartialEq + Debug,
{
    let Ok(value) = parsed else { return false };
    let back = reparse(&value);
    assert_eq!(
        back.as_ref(),
        Ok(&value),
        "emitted bytes say something else"
    );
    true
}

/// CDBs, as they are and as the start of a padded field.
pub fn cdb(data: &[u8]) -> bool {
    let emit = |command: &Command| Command::parse(command.cdb().as_bytes());
    let whole = again(Command::parse(data), emit);
    let padded =
        Cdb::from_padded(data).is_some_and(|cdb| again(Command::parse(cdb.as_bytes()), emit));
    if let Err(error) = Command::parse(data) {
        assert!(!error.to_string().is_empty());
        assert_eq!(Sense::parse(&error.sense().fixed()), Some(error.sense()));
    }
    whole || padded
}

/// Sense data of both forms.
pub fn sense(data: &[u8]) -> bool {
    let Some(sense) = Sense::parse(data) else {
        return false;
    };
    assert_eq!(Sense::parse(&sense.descriptor()), Some(sense));
    let fits = sense
        .information
        .is_none_or(|value| value <= u32::MAX.into());
    assert!(!fits || Sense::parse(&sense.fixed()) == Some(sense));
    assert!(!sense.words().is_empty());
    true
}

/// READ KEYS, READ RESERVATION, REPORT CAPABILITIES and READ FULL STATUS.
pub fn persistent_in(data: &[u8]) -> bool {
    let arrived = u16::try_from(data.len()).unwrap_or(u16::MAX);
    let mut accepted = again(ReportedCapabilities::parse(data), |value| {
        ReportedCapabilities::parse(&value.emit())
    });
    for asked in [arrived, 4096, LAST_ALLOCATION] {
        let keys = RegisteredKeys::parse(data, asked);
        if let Ok(keys) = &keys {
            assert!(keys.keys.len() * 8 <= data.len(), "more keys than arrived");
        }
        asks_for_more(keys.as_ref().err(), asked);
        accepted |= again(keys, |value| {
            RegisteredKeys::parse(&value.emit(), LAST_ALLOCATION)
        });
        accepted |= again(HeldReservation::parse(data, asked), |value| {
            HeldReservation::parse(&value.emit(), LAST_ALLOCATION)
        });
        let status = FullStatus::parse(data, asked);
        asks_for_more(status.as_ref().err(), asked);
        accepted |= status.is_ok_and(|status| holds(status, data.len()));
    }
    accepted
}

/// A full status has no more entries than arrived, becomes a state, and comes back.
fn holds(status: FullStatus, arrived: usize) -> bool {
    let entries = status.entries.len();
    assert!(entries <= arrived / 24, "more entries than arrived");
    let bytes = status.emit();
    // Identifiers that came short are emitted padded, so the whole may be more than can be asked for.
    if bytes.len() <= usize::from(LAST_ALLOCATION) {
        let back = FullStatus::parse(&bytes, LAST_ALLOCATION);
        assert_eq!(back.as_ref(), Ok(&status));
    }
    assert_eq!(status.into_state().registrations.len(), entries);
    true
}

/// "Incomplete" always leads to a larger question, or to none.
fn asks_for_more(error: Option<&ParameterError>, asked: u16) {
    if let Some(&ParameterError::Incomplete { needed }) = error {
        assert!(needed > usize::from(asked));
        assert!(next_allocation(asked, needed).is_none_or(|next| next > asked));
    }
}

/// The parameter lists of PERSISTENT RESERVE OUT.
pub fn persistent_out(data: &[u8]) -> bool {
    let basic = again(BasicList::parse(data), |value| {
        BasicList::parse(&value.emit())
    });
    let moving = again(MoveList::parse(data), |value| {
        MoveList::parse(&value.emit())
    });
    basic || moving
}

/// One TransportID, a list of them, and an area that holds one.
pub fn transport_id(data: &[u8]) -> bool {
    let one = TransportId::parse(data).map(|(id, length)| {
        assert!(length <= data.len(), "longer than what arrived");
        id
    });
    let one = again(one, |id| {
        TransportId::parse(&id.emit()).map(|(back, _)| back)
    });
    let list = TransportId::parse_list(data);
    if let Ok(list) = &list {
        assert!(
            list.len() <= data.len() / 24,
            "more identifiers than arrived"
        );
    }
    let list = again(list, |ids| {
        let bytes: Vec<u8> = ids.iter().flat_map(TransportId::emit).collect();
        TransportId::parse_list(&bytes)
    });
    let id = TransportId::parse_area(data);
    assert_eq!(TransportId::parse_area(&id.emit()), id);
    assert_eq!(
        id.to_string().parse(),
        Ok(id),
        "its text says something else"
    );
    one || list
}

/// TransportIDs as operators type them.
pub fn transport_id_text(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    again(text.parse::<TransportId>(), |id| id.to_string().parse())
}

/// Standard INQUIRY data.
pub fn inquiry(data: &[u8]) -> bool {
    again(StandardInquiry::parse(data), |value| {
        StandardInquiry::parse(&value.emit())
    })
}

/// VPD pages 00h, 80h, 83h and B0h.
pub fn vpd(data: &[u8]) -> bool {
    if let Ok(page) = DeviceIdentification::parse(data) {
        assert!(page.designators.len() <= data.len() / 4);
        let name = page.wwid();
        assert!(name.is_none_or(|name| !name.contains(char::is_control)));
    }
    let pages = again(SupportedPages::parse(data), |value| {
        SupportedPages::parse(&value.emit())
    });
    let serial = again(UnitSerial::parse(data), |value| {
        UnitSerial::parse(&value.emit())
    });
    let identification = again(DeviceIdentification::parse(data), |value| {
        DeviceIdentification::parse(&value.emit())
    });
    let limits = again(BlockLimits::parse(data), |value| {
        BlockLimits::parse(&value.emit())
    });
    pages || serial || identification || limits
}

/// READ CAPACITY (10) and (16).
pub fn capacity(data: &[u8]) -> bool {
    let short = again(Capacity10::parse(data), |value| {
        Capacity10::parse(&value.emit())
    });
    let long = again(Capacity16::parse(data), |value| {
        Capacity16::parse(&value.emit())
    });
    short || long
}

/// REPORT LUNS.
pub fn luns(data: &[u8]) -> bool {
    if let Ok(list) = ReportedLuns::parse(data) {
        assert!(list.luns.len() * 8 <= data.len(), "more LUNs than arrived");
        for lun in list.luns {
            let number = lun.number();
            assert!(number.is_none_or(|number| number < 1 << 14));
            assert!(!lun.to_string().is_empty());
        }
    }
    again(ReportedLuns::parse(data), |value| {
        ReportedLuns::parse(&value.emit())
    })
}

/// REPORT SUPPORTED OPERATION CODES, all and one.
pub fn opcodes(data: &[u8]) -> bool {
    let all = again(SupportedCommands::parse(data), |value| {
        SupportedCommands::parse(&value.emit())
    });
    let one = again(OneCommand::parse(data), |value| {
        OneCommand::parse(&value.emit())
    });
    all || one
}

/// MODE SENSE (6) and (10).
pub fn mode(data: &[u8]) -> bool {
    let six = again(ModeData::parse(ModeForm::Six, data), |value| {
        ModeData::parse(ModeForm::Six, &value.emit(ModeForm::Six))
    });
    let ten = again(ModeData::parse(ModeForm::Ten, data), |value| {
        ModeData::parse(ModeForm::Ten, &value.emit(ModeForm::Ten))
    });
    six || ten
}

/// NVMe reservation commands: operation code, CDW10, CDW11, data.
pub fn nvme_command(data: &[u8]) -> bool {
    let [opcode, a, b, c, d, cdw11, data @ ..] = data else {
        return false;
    };
    let cdw10 = u32::from_le_bytes([*a, *b, *c, *d]);
    let parsed = ReservationCommand::parse(*opcode, cdw10, u32::from(*cdw11), data);
    again(parsed.ok_or(()), |command| {
        let data = command.data_out().unwrap_or_default();
        ReservationCommand::parse(command.opcode(), command.cdw10(), command.cdw11(), &data)
            .ok_or(())
    })
}

/// NVMe Reservation Status data, both forms.
pub fn nvme_report(data: &[u8]) -> bool {
    let mut accepted = false;
    for form in [ReportForm::Short, ReportForm::Extended] {
        let report = ReservationReport::parse(form, data);
        if let Ok(report) = &report {
            assert!(report.registrants.len() <= data.len() / 24);
            let state = report.clone().into_state();
            assert!(state.registrations.len() <= report.registrants.len());
        }
        accepted |= again(report, |value| {
            ReservationReport::parse(form, &value.emit(form))
        });
    }
    accepted
}

/// NVMe Identify Namespace and Controller; short inputs are the start of an otherwise empty structure.
pub fn nvme_identify(data: &[u8]) -> bool {
    let mut whole = data.to_vec();
    whole.resize(nvme::IDENTIFY_LENGTH, 0);
    let namespace = again(IdentifyNamespace::parse(&whole), |value| {
        IdentifyNamespace::parse(&value.emit())
    });
    let controller = again(IdentifyController::parse(&whole), |value| {
        IdentifyController::parse(&value.emit())
    });
    assert!(controller, "every structure of the right length is one");
    namespace
}

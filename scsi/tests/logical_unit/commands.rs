//! Commands as CDB and data, for scripts and properties alike.

use scsi::logical_unit::{Nexus, Outcome};
use scsi::reservation::{Key, ReservationType};
use scsi::wire::cdb::{Access, BlockRange, Cdb, Command, PrOutAction};
use scsi::wire::persistent_out::{BasicList, MoveList};
use scsi::wire::status::Status;
use scsi::wire::transport_id::TransportId;

/// A CDB and its data-out.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) cdb: Cdb,
    pub(crate) data_out: Vec<u8>,
}

pub(crate) fn plain(command: Command) -> Sent {
    Sent {
        cdb: command.cdb(),
        data_out: Vec::new(),
    }
}

pub(crate) fn write(lba: u64, fill: u8, fua: bool) -> Sent {
    let access = Access {
        fua,
        ..Access::default()
    };
    Sent {
        cdb: Command::Write {
            range: BlockRange::new(lba, 1),
            access,
        }
        .cdb(),
        data_out: vec![fill; 512],
    }
}

pub(crate) fn read(lba: u64) -> Sent {
    plain(Command::Read {
        range: BlockRange::new(lba, 1),
        access: Access::default(),
    })
}

pub(crate) fn compare_and_write(lba: u64, compare: u8, fill: u8) -> Sent {
    Sent {
        cdb: Command::CompareAndWrite {
            lba,
            blocks: 1,
            access: Access::default(),
        }
        .cdb(),
        data_out: [[compare; 512], [fill; 512]].concat(),
    }
}

pub(crate) fn synchronize() -> Sent {
    plain(Command::SynchronizeCache {
        range: BlockRange::new(0, 0),
        immediate: false,
    })
}

/// PERSISTENT RESERVE OUT with the basic list.
pub(crate) fn pr_out(action: PrOutAction, kind: Option<ReservationType>, list: &BasicList) -> Sent {
    let data_out = list.emit();
    Sent {
        cdb: pr_out_cdb(action, kind, data_out.len()),
        data_out,
    }
}

/// REGISTER AND MOVE.
pub(crate) fn pr_move(list: &MoveList) -> Sent {
    let data_out = list.emit();
    Sent {
        cdb: pr_out_cdb(PrOutAction::RegisterAndMove, None, data_out.len()),
        data_out,
    }
}

fn pr_out_cdb(action: PrOutAction, kind: Option<ReservationType>, length: usize) -> Cdb {
    Command::PersistentReserveOut {
        action,
        scope: 0,
        kind: kind.map_or(0, ReservationType::scsi_code),
        parameter_list_length: u32::try_from(length).unwrap(),
    }
    .cdb()
}

/// The basic list with two keys and nothing else.
pub(crate) fn keys(key: u64, service_action_key: u64) -> BasicList {
    BasicList {
        key: Key::new(key),
        service_action_key: Key::new(service_action_key),
        ..BasicList::default()
    }
}

/// `a` is initiator a through port 1, `a2` through port 2.
pub(crate) fn nexus(name: &str) -> Nexus {
    let (initiator, port) = name.split_at(1);
    Nexus::new(
        initiator_of(initiator),
        if port.is_empty() {
            1
        } else {
            port.parse().unwrap()
        },
    )
}

/// The initiator port of this letter.
pub(crate) fn initiator_of(letter: &str) -> TransportId {
    let byte = letter.as_bytes()[0];
    TransportId::Sas([0x50, 0, 0, 0, 0, 0, 0, byte])
}

/// The name of a nexus as scripts write it.
pub(crate) fn name_of(nexus: &Nexus) -> String {
    let letter = if let TransportId::Sas(address) = &nexus.initiator {
        char::from(address[7]).to_string()
    } else {
        nexus.initiator.to_string()
    };
    if nexus.target_port == 1 {
        letter
    } else {
        format!("{letter}{}", nexus.target_port)
    }
}

/// How a command ended, in words.
pub(crate) fn words(outcome: &Outcome) -> String {
    match outcome.sense {
        Some(sense) if outcome.status == Status::CHECK_CONDITION => sense.words(),
        Some(_) | None => outcome.status.to_string(),
    }
}

//! The body over the state image of [`scsi::logical_unit`]: the file that an emulated disk is.

use scsi::logical_unit::{Accepted, LogicalUnit, MemoryMedia, Nexus};
use scsi::reservation::ResetScope;
use scsi::wire::cdb::{Access, BlockRange, Cdb, Command, PrInAction, PrOutAction};
use scsi::wire::persistent_out::{BasicList, MoveList};
use scsi::wire::transport_id::TransportId;

/// A nexus that no image knows.
const STRANGER: TransportId = TransportId::Sop(0xfade);

/// The state of a unit. What was taken comes back from its own image, and is a unit that goes on working:
/// for everybody whom it knows and a stranger, and through a reset and a power cycle.
pub fn logical_unit(data: &[u8]) -> bool {
    let unit = match LogicalUnit::from_image(data) {
        Ok(unit) => unit,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return false;
        }
    };
    comes_back(&unit);
    let mut unit = works_on(unit);
    unit.reset(ResetScope::Lun);
    comes_back(&unit);
    unit.power_cycle();
    comes_back(&unit);
    true
}

fn comes_back(unit: &LogicalUnit) {
    let back = LogicalUnit::from_image(&unit.to_image());
    assert_eq!(back.as_ref(), Ok(unit), "the image says something else");
}

/// Runs what waits, then one command of each kind.
fn works_on(mut unit: LogicalUnit) -> LogicalUnit {
    let mut media = MemoryMedia::new();
    let waiting: Vec<_> = unit
        .waiting()
        .map(|(tag, nexus)| (tag, nexus.clone()))
        .collect();
    let mut actors = vec![Nexus::new(STRANGER, 1)];
    for (tag, nexus) in waiting {
        unit.run(tag, &mut media);
        actors.push(nexus);
    }
    // Bounded: a corpus of thousands of mutations runs this for each of them.
    actors.truncate(4);
    let last = unit.config().blocks - 1;
    for nexus in &actors {
        for (cdb, data_out) in commands(last) {
            unit.execute(nexus, &cdb, &data_out, &mut media);
            if let Accepted::Waits(tag) = unit.accept(nexus, &cdb, &data_out) {
                unit.run(tag, &mut media);
            }
        }
        comes_back(&unit);
    }
    unit
}

/// Commands that look at every part of the state, those that change it last.
fn commands(last: u64) -> Vec<(Cdb, Vec<u8>)> {
    let access = Access::FUA;
    let range = BlockRange::new(last, 1);
    let allocation_length = 512;
    let mut all: Vec<(Cdb, Vec<u8>)> = [
        Command::TestUnitReady,
        Command::Inquiry {
            vpd: Some(0x83),
            allocation_length,
        },
        Command::Inquiry {
            vpd: Some(0x80),
            allocation_length,
        },
        Command::ReadCapacity10,
        Command::ReadCapacity16 {
            allocation_length: 32,
        },
        Command::Reserve6,
        Command::Read { range, access },
        Command::Release6,
    ]
    .map(|command| (command.cdb(), Vec::new()))
    .into();
    let block = vec![7; 512];
    all.push((Command::Write { range, access }.cdb(), block));
    let basic = BasicList {
        service_action_key: scsi::reservation::Key::new(1),
        all_target_ports: true,
        ..BasicList::default()
    };
    let with_key = BasicList {
        key: scsi::reservation::Key::new(1),
        ..basic.clone()
    };
    let moving = MoveList {
        key: scsi::reservation::Key::new(1),
        service_action_key: scsi::reservation::Key::new(2),
        unregister: false,
        aptpl: true,
        relative_target_port: 1,
        destination: TransportId::Sop(0xfeed),
    };
    let out = |action, list: Vec<u8>| {
        let command = Command::PersistentReserveOut {
            action,
            scope: 0,
            kind: 7,
            parameter_list_length: u32::try_from(list.len()).unwrap_or(u32::MAX),
        };
        (command.cdb(), list)
    };
    all.push(out(PrOutAction::RegisterAndIgnoreExistingKey, basic.emit()));
    all.push(out(PrOutAction::Reserve, with_key.emit()));
    all.push(out(PrOutAction::RegisterAndMove, moving.emit()));
    all.push(out(PrOutAction::PreemptAndAbort, with_key.emit()));
    all.extend(PrInAction::ALL.map(|action| {
        let command = Command::PersistentReserveIn {
            action,
            allocation_length,
        };
        (command.cdb(), Vec::new())
    }));
    all
}

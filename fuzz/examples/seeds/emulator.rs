//! Units that have been used, and schedules of faults as they are written.

use super::{Seeds, named};
use scsi::logical_unit::{Behaviour, Config, LogicalUnit, MemoryMedia, Nexus};
use scsi::reservation::{Key, ResetScope};
use scsi::wire::cdb::{Access, BlockRange, Cdb, Command, PrOutAction};
use scsi::wire::persistent_out::BasicList;
use scsi::wire::transport_id::TransportId;

/// A command and its data.
type Sent = (Cdb, Vec<u8>);

/// Units on which something is registered, held, reserved, waiting or queued.
pub(crate) fn logical_unit() -> Seeds {
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
pub(crate) fn schedule() -> Seeds {
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

//! The emulated disk: what stays between processes, what a kill leaves, what is refused.
#![cfg(feature = "emulated")]
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests that start and kill processes, and helpers of tests that cannot go on"
)]

use scsi::device::{Completion, Data, Device, DeviceError};
use scsi::emulated::{self, EmulatedDevice, EmulatedError, StoreError};
use scsi::reservation::{Key, ReservationType, ResetScope, Unsent};
use scsi::wire::cdb::{Access, BlockRange, Command, PrOutAction};
use scsi::wire::persistent_out::BasicList;
use scsi::wire::status::Status;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(20);

/// A path for a unit of this test alone, where nothing is.
fn fresh(test: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("emulated-{test}"));
    if path.exists() {
        fs::remove_file(&path).unwrap();
    }
    path
}

fn open(path: &std::path::Path, nexus: &str) -> EmulatedDevice {
    emulated::open(&format!("emu:{}?nexus={nexus}", path.display()), BOUND).unwrap()
}

fn send(device: &mut EmulatedDevice, command: Command, data_out: &[u8]) -> Completion {
    let data = if data_out.is_empty() {
        Data::None
    } else {
        Data::Out(data_out)
    };
    device.execute(&command.cdb(), data, BOUND).unwrap()
}

fn pr_out(
    device: &mut EmulatedDevice,
    action: PrOutAction,
    kind: u8,
    key: u64,
    service_action_key: u64,
) -> Status {
    let list = BasicList {
        key: Key::new(key),
        service_action_key: Key::new(service_action_key),
        ..BasicList::default()
    }
    .emit();
    let command = Command::PersistentReserveOut {
        action,
        scope: 0,
        kind,
        parameter_list_length: u32::try_from(list.len()).unwrap(),
    };
    send(device, command, &list).status
}

fn write(device: &mut EmulatedDevice, lba: u64, fill: u8) -> Status {
    let command = Command::Write {
        range: BlockRange::new(lba, 1),
        access: Access::FUA,
    };
    send(device, command, &[fill; 512]).status
}

fn read(device: &mut EmulatedDevice, lba: u64) -> Vec<u8> {
    let mut block = vec![0xee; 512];
    let command = Command::Read {
        range: BlockRange::new(lba, 1),
        access: Access::default(),
    };
    let done = device
        .execute(&command.cdb(), Data::In(&mut block), BOUND)
        .unwrap();
    assert_eq!((done.status, done.transferred), (Status::GOOD, 512));
    block
}

#[test]
fn two_hosts_share_what_one_of_them_reserved_also_after_it_has_gone() {
    let path = fresh("shared");
    let mut a = open(&path, "a");
    assert_eq!(
        pr_out(&mut a, PrOutAction::Register, 0, 0, 0xa),
        Status::GOOD
    );
    assert_eq!(
        pr_out(&mut a, PrOutAction::Reserve, 5, 0xa, 0),
        Status::GOOD
    );
    assert_eq!(write(&mut a, 7, 0x77), Status::GOOD);
    drop(a);

    let mut b = open(&path, "b");
    assert_eq!(write(&mut b, 7, 0x11), Status::RESERVATION_CONFLICT);
    assert_eq!(read(&mut b, 7), [0x77; 512]);
    let state = b.look(BOUND).unwrap().persistent_state();
    assert!(state.is_held_by(Key::new(0xa).unwrap()));
    assert_eq!(
        state.reservation.unwrap().kind,
        ReservationType::WriteExclusiveRegistrantsOnly
    );
    let nexus = state.registrations[0].nexus.as_ref().unwrap().to_string();
    assert_eq!(nexus, "iqn.2026-01.invalid.emulated:a,i,0x800000000001>1");
}

#[test]
fn an_spc2_reservation_stays_with_the_name_until_the_nexus_is_lost_or_the_unit_reset() {
    let path = fresh("spc2");
    assert_eq!(
        send(&mut open(&path, "a"), Command::Reserve6, &[]).status,
        Status::GOOD
    );
    let mut b = open(&path, "b");
    let ready = |device: &mut EmulatedDevice| send(device, Command::TestUnitReady, &[]).status;
    assert_eq!(ready(&mut b), Status::RESERVATION_CONFLICT);
    assert_eq!(ready(&mut open(&path, "a")), Status::GOOD);

    open(&path, "a").nexus_loss(BOUND).unwrap();
    assert_eq!(ready(&mut b), Status::GOOD);

    assert_eq!(send(&mut b, Command::Reserve10, &[]).status, Status::GOOD);
    open(&path, "c")
        .reset(ResetScope::Lun, false, BOUND)
        .unwrap();
    assert!(b.look(BOUND).unwrap().spc2_holder().is_none());
    let attention = send(&mut b, Command::TestUnitReady, &[]).sense.unwrap();
    assert_eq!((attention.key, attention.asc, attention.ascq), (6, 0x29, 3));
}

#[test]
fn a_power_cycle_drops_registrations_that_were_made_without_aptpl() {
    let path = fresh("power");
    let mut a = open(&path, "a");
    assert_eq!(
        pr_out(&mut a, PrOutAction::Register, 0, 0, 0xa),
        Status::GOOD
    );
    assert_eq!(write(&mut a, 0, 0x33), Status::GOOD);
    a.power_cycle(BOUND).unwrap();
    let unit = a.look(BOUND).unwrap();
    assert!(unit.persistent_state().registrations.is_empty());
    assert_eq!(unit.persistent_state().generation, 0);
    assert_eq!(
        send(&mut a, Command::TestUnitReady, &[]).status,
        Status::CHECK_CONDITION
    );
    assert_eq!(read(&mut a, 0), [0x33; 512]);
}

#[test]
fn the_size_and_the_behaviour_are_those_that_it_was_made_with() {
    let path = fresh("made");
    let name = |rest: &str| format!("emu:{}?nexus=a{rest}", path.display());
    drop(emulated::open(&name("&size=1M&behaviour=tgt"), BOUND).unwrap());
    let store_error = |rest: &str| match emulated::open(&name(rest), BOUND).unwrap_err() {
        EmulatedError::Store { why, .. } => why,
        EmulatedError::Name { why, .. } => panic!("{why}"),
    };
    assert!(matches!(
        store_error("&size=2M"),
        StoreError::OtherSize {
            is: 2048,
            asked: 4096
        }
    ));
    assert!(matches!(
        store_error("&behaviour=lio"),
        StoreError::OtherBehaviour { .. }
    ));
    let mut again = emulated::open(&name(""), BOUND).unwrap();
    let mut capacity = [0; 8];
    let done = again
        .execute(
            &Command::ReadCapacity10.cdb(),
            Data::In(&mut capacity),
            BOUND,
        )
        .unwrap();
    assert_eq!(done.status, Status::GOOD);
    assert_eq!(capacity, [0, 0, 7, 0xff, 0, 0, 2, 0]);
}

#[test]
fn a_file_that_is_something_else_is_refused_and_left_as_it_is() {
    let path = fresh("foreign");
    fs::write(&path, b"dear diary").unwrap();
    let name = format!("emu:{}?nexus=a", path.display());
    let error = emulated::open(&name, BOUND).unwrap_err();
    assert!(
        error.to_string().contains("not an emulated disk"),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), b"dear diary");
}

/// The header, the slots and the blocks, as the format has them.
const SLOTS: [u64; 2] = [4096, 4096 + 272 * 1024];

#[test]
fn a_torn_state_leaves_the_one_before_and_two_torn_ones_are_damage() {
    let path = fresh("torn");
    let mut a = open(&path, "a");
    assert_eq!(pr_out(&mut a, PrOutAction::Register, 0, 0, 1), Status::GOOD);
    assert_eq!(pr_out(&mut a, PrOutAction::Register, 0, 1, 2), Status::GOOD);
    assert_eq!(pr_out(&mut a, PrOutAction::Register, 0, 2, 3), Status::GOOD);
    let key = |a: &mut EmulatedDevice| {
        a.look(BOUND)
            .map(|unit| unit.persistent_state().registrations[0].key.get())
    };
    assert_eq!(key(&mut a).unwrap(), 3);
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    // The third change went to slot 1.
    file.write_all_at(&[0xff; 8], SLOTS[1] + 40).unwrap();
    assert_eq!(key(&mut a).unwrap(), 2);
    // It goes on from there, over the torn one.
    assert_eq!(pr_out(&mut a, PrOutAction::Register, 0, 2, 4), Status::GOOD);
    assert_eq!(key(&mut a).unwrap(), 4);
    for slot in SLOTS {
        file.write_all_at(&[0xff; 8], slot + 40).unwrap();
    }
    assert!(matches!(key(&mut a), Err(StoreError::Damaged { .. })));
    let refused = a.execute(&Command::TestUnitReady.cdb(), Data::None, BOUND);
    assert!(matches!(
        refused,
        Err(DeviceError::NotSent(Unsent::NoPath(_)))
    ));
}

#[test]
fn every_byte_of_the_header_counts() {
    let path = fresh("header");
    drop(open(&path, "a"));
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(97) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x40;
        fs::write(&path, &damaged).unwrap();
        let name = format!("emu:{}?nexus=a", path.display());
        assert!(emulated::open(&name, BOUND).is_err(), "byte {at}");
        assert_eq!(fs::read(&path).unwrap(), damaged, "byte {at}");
    }
}

#[test]
fn while_another_process_holds_the_lock_a_command_is_not_sent() {
    let path = fresh("locked");
    let mut a = open(&path, "a");
    let other = fs::File::open(&path).unwrap();
    other.lock().unwrap();
    let refused = a.execute(
        &Command::TestUnitReady.cdb(),
        Data::None,
        Duration::from_millis(5),
    );
    assert_eq!(refused, Err(DeviceError::NotSent(Unsent::Busy)));
    other.unlock().unwrap();
    assert_eq!(
        send(&mut a, Command::TestUnitReady, &[]).status,
        Status::GOOD
    );
}

/// What the child of the kill test does for ever: register key n, write n everywhere, next.
const CHILD: &str = "SCSI_TEST_EMULATED_CHILD";

#[test]
fn child_that_never_ends_but_by_being_killed() {
    let Ok(path) = std::env::var(CHILD) else {
        return;
    };
    let mut a = open(&PathBuf::from(path), "a");
    let mut key = a
        .look(BOUND)
        .unwrap()
        .persistent_state()
        .registrations
        .first()
        .map_or(0, |one| one.key.get());
    loop {
        let done = pr_out(&mut a, PrOutAction::Register, 0, key, key + 1);
        assert_eq!(done, Status::GOOD);
        key += 1;
    }
}

#[test]
fn a_kill_at_any_point_leaves_a_state_that_was() {
    let path = fresh("killed");
    let mut seen = 0;
    for round in 0..40_u64 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_never_ends_but_by_being_killed"])
            .env(CHILD, &path)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Let it start its work (this waits for progress, not for time), then kill it wherever it is.
        loop {
            let unit = open(&path, "b").look(BOUND).unwrap();
            let state = unit.persistent_state();
            if state
                .registrations
                .first()
                .is_some_and(|one| one.key.get() > seen)
            {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(round * 37));
        child.kill().unwrap();
        child.wait().unwrap();

        let state = open(&path, "b").look(BOUND).unwrap().persistent_state();
        let key = state.registrations[0].key.get();
        assert!(key > seen, "an older state came back");
        // Each change counted the generation once: key and generation are of the same state.
        assert_eq!(u64::from(state.generation), key);
        seen = key;
    }
}

#[test]
fn it_opens_as_a_disk_whose_verbs_and_plain_commands_are_one_nexus() {
    use scsi::disk::{self, OpenError, Options};
    use scsi::reservation::{Answer, RegisterOptions, Reply, Verb};

    let path = fresh("disk");
    let name = format!("emu:{}?nexus=a&size=1M", path.display());
    let mut opened = disk::open(&name, &Options::default()).unwrap();
    assert_eq!(opened.identity.size_bytes(), Some(1 << 20));
    let way = &mut opened.paths[0];
    let key = Key::new(0xa);
    let register = Verb::Register {
        existing: None,
        new: key,
        options: RegisterOptions::default(),
    };
    let answer = way.reservations.perform(&register, BOUND).answer;
    assert_eq!(answer, Answer::Done(Reply::Good));
    let reserve = Verb::Reserve {
        key: key.unwrap(),
        kind: ReservationType::WriteExclusive,
    };
    assert_eq!(
        way.reservations.perform(&reserve, BOUND).answer,
        Answer::Done(Reply::Good)
    );
    let Answer::Done(Reply::State(state)) =
        way.reservations.perform(&Verb::ReadState, BOUND).answer
    else {
        panic!("the state is read");
    };
    assert_eq!(state.registrations[0].nexus, way.nexus);
    assert_eq!(state.registrations[0].holder, Some(true));
    let write = Command::Write {
        range: BlockRange::new(0, 1),
        access: Access::FUA,
    };
    let done = way
        .device
        .as_mut()
        .unwrap()
        .execute(&write.cdb(), Data::Out(&[1; 512]), BOUND)
        .unwrap();
    assert_eq!(done.status, Status::GOOD);

    let no_nexus = disk::open("emu:x", &Options::default()).unwrap_err();
    assert!(matches!(no_nexus, OpenError::BadName { .. }), "{no_nexus}");
}

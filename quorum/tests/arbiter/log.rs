//! An arbiter with a log on the very disk that it arbitrates.

use super::{BOUND, Capabilities, Exchange, Key, Owner, Reservations, World};
use qlog::{Cluster, Entry, Format, Log, Lsn, Replay, Storage, WriteError};
use quorum::arbiter::{Arbiter, Happening, Ownership};
use quorum::log::{Claimed, LogError, claim};
use quorum::lun::{Lun, LunStorage};
use quorum_core::arbitration::{Event, Stopped};
use scsi::device::{Completion, Data, Device, DeviceError, ResetError};
use scsi::emulated;
use scsi::reservation::{Answer, RegisterOptions, ReservationType, ResetScope, Verb};
use scsi::wire::cdb::Cdb;
use scsi::wire::sense::Sense;
use scsi::wire::status::Status;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// The records that a log holds, as text.
#[derive(Default, Debug)]
struct Told(Vec<String>);

impl Replay for Told {
    fn checkpoint(&mut self, _upto: Lsn, state: &[u8]) {
        self.0
            .push(format!("checkpoint {}", String::from_utf8_lossy(state)));
    }

    fn record(&mut self, entry: Entry<'_>) {
        self.0
            .push(String::from_utf8_lossy(entry.bytes).into_owned());
    }
}

impl World {
    fn lun(&self, nexus: &str) -> Lun {
        let name = format!("emu:{}?nexus={nexus}", self.0.join("disk").display());
        Lun::open(Box::new(emulated::open(&name, BOUND).unwrap()), BOUND).unwrap()
    }

    fn create_log(&self, cluster: &str) {
        let storage = self.lun("operator").unfenced();
        let format = Format::for_region(storage.region_bytes(), storage.block_bytes()).unwrap();
        let cluster = Cluster {
            name: cluster.into(),
            times: Vec::new(),
        };
        qlog::create(&storage, format, cluster, &mut |_| {}).unwrap();
    }

    fn start_with_log(&self, node: u8) -> Owner {
        let nexus = format!("n{node}");
        let log = Box::new(self.lun(&nexus).reader());
        let paths = vec![self.disk(&nexus)];
        Owner::of(Arbiter::start_with_log(paths, log, self.settings(node)).unwrap())
    }

    fn claim(
        &self,
        node: u8,
        ownership: &Ownership,
    ) -> Result<Claimed<LunStorage, Told>, LogError> {
        let lun = self.lun(&format!("n{node}"));
        let storage = || Ok(lun.owned_by(ownership.clone()));
        claim(storage, ownership, "alpha", u32::from(node), Told::default)
    }
}

impl Owner {
    /// Waits until the disk is held; the log may be claimed then.
    fn until_held(&mut self) -> Ownership {
        self.until("the disk is held", |what| {
            matches!(what, Happening::Arbitration(Event::Held { .. })).then_some(())
        });
        let ownership = self.ownership();
        ownership.check().unwrap();
        ownership
    }

    fn was_made_to_wait(&self) -> bool {
        self.seen.iter().any(|notice| {
            matches!(
                notice.what,
                Happening::Arbitration(Event::Taking { victim: None, .. })
            )
        })
    }
}

fn append(log: &Log<LunStorage>, text: &str) {
    log.append_durable(text.as_bytes()).unwrap();
}

#[test]
fn a_parked_disk_is_taken_without_a_wait_and_the_next_epoch_goes_on_in_its_log() {
    let world = World::new();
    world.create_log("alpha");
    let mut first = world.start_with_log(1);
    let ownership = first.until_held();
    let Claimed { log, replay, .. } = world.claim(1, &ownership).unwrap();
    assert_eq!((log.epoch().0, replay.0.len()), (1, 0));
    append(&log, "one");
    log.checkpoint(Lsn(1), b"so far").unwrap();
    append(&log, "two");
    let mark = log.park().unwrap();
    assert_eq!(mark.owner.key, ownership.key().unwrap().get());
    let arbiter = first.starve();
    arbiter.park();
    assert!(ownership.check().is_err(), "void from here on");
    assert_eq!(arbiter.join(), Some(Stopped::Parked));
    assert_eq!(
        world.state().registrations.len(),
        1,
        "the holder is still registered"
    );

    let mut second = world.start_with_log(2);
    let ownership = second.until_held();
    let taken = second.seen.iter().find_map(|notice| match notice.what {
        Happening::Arbitration(Event::Taking { victim, .. }) => Some((notice.at, victim)),
        _ => None,
    });
    let due = second.seen.iter().find_map(|notice| match notice.what {
        Happening::Arbitration(Event::Waiting { until, .. }) => Some(until),
        _ => None,
    });
    let (taken, victim) = taken.unwrap();
    assert_eq!(victim.map(|key| key.get()), Some(mark.owner.key));
    assert!(
        taken < due.unwrap(),
        "it did not wait for the end of the wait"
    );
    assert!(!second.was_made_to_wait());
    let Claimed { log, replay, .. } = world.claim(2, &ownership).unwrap();
    assert_eq!(log.epoch().0, 2);
    assert_eq!(replay.0, ["checkpoint so far", "two"]);
}

#[test]
fn a_deposed_owners_append_fails_and_its_log_has_ended() {
    let world = World::new();
    world.create_log("alpha");
    let mut owner = world.start_with_log(1);
    let ownership = owner.until_held();
    let Claimed { log, .. } = world.claim(1, &ownership).unwrap();
    append(&log, "acknowledged");
    // An operator takes the disk away: the disk refuses the write, whatever the proof says.
    let mut thief = world.disk("thief");
    let key = Key::new(0x7e1f).unwrap();
    let verbs = [
        Verb::Register {
            existing: None,
            new: Some(key),
            options: RegisterOptions {
                aptpl: true,
                ..RegisterOptions::default()
            },
        },
        Verb::Preempt {
            key,
            victim: ownership.key(),
            kind: ReservationType::WriteExclusive,
            abort: true,
        },
    ];
    for verb in verbs {
        let exchange = thief.perform(&verb, BOUND);
        assert!(
            matches!(exchange.answer, Answer::Done(_)),
            "{verb:?}: {exchange:?}"
        );
    }
    let refused = log.append_durable(b"too late").unwrap_err();
    let WriteError::Poisoned(poisoned) = refused else {
        panic!("{refused}")
    };
    assert_eq!(poisoned.indeterminate, Lsn(2)..Lsn(3));
    assert!(matches!(log.append(b"never"), Err(WriteError::Poisoned(_))));
    let mut told = Told::default();
    qlog::open(world.lun("thief").reader(), &mut told).unwrap();
    assert_eq!(told.0, ["acknowledged"]);
}

#[test]
fn a_log_of_another_cluster_is_not_claimed() {
    let world = World::new();
    world.create_log("beta");
    let mut owner = world.start_with_log(1);
    let ownership = owner.until_held();
    let refused = world.claim(1, &ownership).unwrap_err();
    assert!(matches!(refused, LogError::Foreign { .. }), "{refused}");
}

#[test]
fn a_storage_that_met_an_attention_sends_nothing_more_and_the_log_is_claimed_again() {
    let world = World::new();
    world.create_log("alpha");
    let mut owner = world.start_with_log(1);
    let ownership = owner.until_held();
    let Claimed { log, .. } = world.claim(1, &ownership).unwrap();
    append(&log, "before");
    // Another host resets the unit: the reservation stays, and this nexus gets an attention.
    let exchange = world.disk("onlooker").perform(
        &Verb::Reset {
            scope: ResetScope::Lun,
            escalate: false,
        },
        BOUND,
    );
    assert!(matches!(exchange.answer, Answer::Done(_)), "{exchange:?}");
    // Whoever of this nexus comes first gets it: the log, or the defender. Both are right.
    let met = log.append_durable(b"perhaps").is_err();
    let Claimed { log, replay, .. } = world.claim(1, &ownership).unwrap();
    assert_eq!(log.epoch().0, 2);
    assert_eq!(replay.0[0], "before");
    assert!(met || replay.0.len() == 2);
    append(&log, "after");
    drop(owner.starve());
}

/// A unit without FUA (DPOFUA is 0): it refuses the bit, and performs nothing.
struct WithoutFua {
    unit: Box<dyn Device>,
    refused: Arc<AtomicUsize>,
}

impl Device for WithoutFua {
    fn execute(
        &mut self,
        cdb: &Cdb,
        data: Data<'_>,
        bound: Duration,
    ) -> Result<Completion, DeviceError> {
        let (write_10, write_16, fua) = (0x2a, 0x8a, 0x08);
        let bytes = cdb.as_bytes();
        if [write_10, write_16].contains(&bytes[0]) && bytes[1] & fua != 0 {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Ok(Completion {
                status: Status::CHECK_CONDITION,
                sense: Some(Sense::INVALID_FIELD_IN_CDB),
                transferred: 0,
            });
        }
        self.unit.execute(cdb, data, bound)
    }

    fn reset(
        &mut self,
        scope: ResetScope,
        escalate: bool,
        bound: Duration,
    ) -> Result<(), ResetError> {
        self.unit.reset(scope, escalate, bound)
    }
}

#[test]
fn a_unit_without_fua_is_written_and_flushed_instead() {
    let world = World::new();
    let name = format!("emu:{}?nexus=n1", world.0.join("disk").display());
    let refused = Arc::new(AtomicUsize::new(0));
    let device = WithoutFua {
        unit: Box::new(emulated::open(&name, BOUND).unwrap()),
        refused: Arc::clone(&refused),
    };
    let lun = Lun::open(Box::new(device), BOUND).unwrap();
    let storage = lun.unfenced();
    for byte in [1, 2] {
        let block = [byte; 512];
        storage.write_durable(4096, &block).unwrap();
        let mut read = [0; 512];
        storage.read_at(4096, &mut read).unwrap();
        assert_eq!(read, block);
    }
    assert_eq!(refused.load(Ordering::Relaxed), 1, "it is asked once");
}

/// Tells when it is about to give back or to unregister, and waits until it may.
struct HeldUp {
    inner: Box<dyn Reservations>,
    leaving: Sender<()>,
    go_on: Receiver<()>,
}

impl Reservations for HeldUp {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn perform(&mut self, verb: &Verb, bound: Duration) -> Exchange {
        if matches!(verb, Verb::Release { .. }) && self.leaving.send(()).is_ok() {
            // Nobody holds it up any more once the test has seen enough.
            let _go_on = self.go_on.recv_timeout(BOUND / 2);
        }
        self.inner.perform(verb, bound)
    }
}

/// An owner takes the disk again after a power loss, and reads in the log that another has owned it meanwhile. Until it has
/// given the disk back it holds it; but it is no owner any more.
#[test]
fn an_owner_whose_epoch_is_another_s_acts_no_more_while_it_gives_the_disk_back() {
    let world = World::new();
    world.create_log("alpha");
    let (leaving_in, leaving) = channel();
    let (go_on, go_on_out) = channel();
    let path = HeldUp {
        inner: world.disk("n1"),
        leaving: leaving_in,
        go_on: go_on_out,
    };
    let log = Box::new(world.lun("n1").reader());
    let arbiter = Arbiter::start_with_log(vec![Box::new(path)], log, world.settings(1)).unwrap();
    let mut owner = Owner::of(arbiter);
    let ownership = owner.until_held();
    // The arbiter is not told of this claim: the epoch on the disk is another's.
    let Claimed { log, .. } = world.claim(1, &ownership).unwrap();
    append(&log, "before");
    // A program that registers without APTPL switches it off for everybody.
    let register = Verb::Register {
        existing: None,
        new: Key::new(0x77),
        options: RegisterOptions::default(),
    };
    let mut stranger = world.disk("stranger");
    while !matches!(stranger.perform(&register, BOUND).answer, Answer::Done(_)) {}
    let name = format!("emu:{}?nexus=stranger", world.0.join("disk").display());
    emulated::open(&name, BOUND)
        .unwrap()
        .power_cycle(BOUND)
        .unwrap();
    leaving.recv_timeout(BOUND).unwrap();
    assert!(ownership.check().is_err() && ownership.check_before_write().is_err());
    assert!(log.append_durable(b"nobody's").is_err());
    assert!(world.claim(1, &ownership).is_err());
    go_on.send(()).unwrap();
    assert!(matches!(owner.until_stopped(), Stopped::Deposed { .. }));
}

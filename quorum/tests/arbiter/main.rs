//! Arbiters over an emulated disk, with real threads and the real clock.
//!
//! No test asserts a time: each waits for events, and what it demands holds however slow the host is.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test waits for one event among many"
)]

mod log;

use quorum::arbiter::{
    Arbiter, Happening, LockError, Notice, Notices, SerialNotice, Settings, Stage, StartError,
};
use quorum_core::arbitration::{
    Config, Event, KeyParts, Mode, NodeNumber, PathId, Refused, Stopped,
};
use quorum_core::times::{Profile, Times};
use scsi::device::bounded::BoundedReservations;
use scsi::emulated;
use scsi::reservation::{
    Answer, Capabilities, Exchange, Key, RegisterOptions, Reply, ReservationType, Verb,
};
use scsi::reservations::{OverDevice, Reservations};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(30);

/// A disk, and the directories of a host, for one test.
struct World(PathBuf);

impl World {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("quorum-arbiter-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The disk as this nexus sees it.
    fn disk(&self, nexus: &str) -> Box<dyn Reservations> {
        let name = format!("emu:{}?nexus={nexus}", self.0.join("disk").display());
        Box::new(OverDevice::new(emulated::open(&name, BOUND).unwrap()))
    }

    fn settings(&self, node: u8) -> Settings {
        let times = patient();
        Settings {
            config: Config::new(Mode::Persistent, "test", NodeNumber(node), times),
            wwid: String::from("emulated"),
            nexuses: vec![format!("n{node}")],
            state_dir: self.0.join("state"),
            runtime_dir: self.0.join("run"),
            watchdog: None,
        }
    }

    fn start(&self, node: u8) -> Owner {
        self.start_with(node, |_| ())
    }

    fn start_with(&self, node: u8, change: impl FnOnce(&mut Settings)) -> Owner {
        let mut settings = self.settings(node);
        change(&mut settings);
        let path = self.disk(&format!("n{node}"));
        Owner::of(Arbiter::start(vec![path], settings).unwrap())
    }

    fn state(&self) -> scsi::reservation::PersistentState {
        let exchange = self.disk("onlooker").perform(&Verb::ReadState, BOUND);
        match exchange.answer {
            Answer::Done(Reply::State(state)) => state,
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}

/// The host of a test may be busy: with the interval as it is the defender may be a second and a half late, and a command
/// half a second, without losing the disk, although less is promised.
fn patient() -> Times {
    let ms = Duration::from_millis;
    let times = Times {
        defend_interval: ms(700),
        lateness: ms(100),
        command_bound: ms(490),
        challenge_wait: ms(3200),
        self_stop: ms(3100),
        ..Profile::Default.times(Mode::Persistent)
    };
    assert!(times.is_sound(Mode::Persistent));
    times
}

/// An arbiter that is fed by a thread until it is starved or ends.
struct Owner {
    notices: Notices,
    seen: Vec<Notice>,
    starve: Sender<()>,
    feeder: Option<JoinHandle<Arbiter>>,
    ownership: Receiver<quorum::arbiter::Ownership>,
}

impl Owner {
    fn of(arbiter: Arbiter) -> Self {
        let (starve, starved) = channel();
        let (ownership_in, ownership) = channel();
        let notices = arbiter.notices();
        let feeder = std::thread::spawn(move || {
            loop {
                arbiter.feed();
                if let Some(present) = arbiter.ownership() {
                    let _nobody_asks = ownership_in.send(present);
                }
                match starved.recv_timeout(Duration::from_millis(50)) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return arbiter,
                }
            }
        });
        Self {
            notices,
            seen: Vec::new(),
            starve,
            feeder: Some(feeder),
            ownership,
        }
    }

    /// Reads on until this happens; what it brings.
    fn until<T>(&mut self, what: &str, mut picks: impl FnMut(&Happening) -> Option<T>) -> T {
        loop {
            let Some(notice) = self.notices.next() else {
                panic!("ended before {what}: {:#?}", self.seen);
            };
            self.seen.push(notice.clone());
            if let Some(picked) = picks(&notice.what) {
                return picked;
            }
        }
    }

    fn until_owner(&mut self) -> Key {
        self.until("ownership", |what| match what {
            Happening::Arbitration(Event::Owner { key }) => Some(key.unwrap()),
            _ => None,
        })
    }

    fn until_stopped(&mut self) -> Stopped {
        self.until("the end", |what| match what {
            Happening::Arbitration(Event::Stopped(why)) => Some(why.clone()),
            _ => None,
        })
    }

    /// The present term.
    fn ownership(&self) -> quorum::arbiter::Ownership {
        let mut last = self.ownership.recv().unwrap();
        while let Ok(later) = self.ownership.try_recv() {
            last = later;
        }
        last
    }

    /// Feeds no more.
    fn starve(&mut self) -> Arbiter {
        let _it_may_have_ended = self.starve.send(());
        self.feeder.take().unwrap().join().unwrap()
    }
}

#[test]
fn takes_a_free_disk_proves_it_on_and_gives_it_back() {
    let world = World::new();
    let mut owner = world.start(1);
    let key = owner.until_owner();
    let ownership = owner.ownership();
    assert_eq!(ownership.check(), Ok(()));
    assert_eq!((ownership.term(), ownership.key()), (1, Some(key)));
    let proved = ownership.proved_until();
    ownership.wait_for_proof_beyond(proved).unwrap();
    assert!(world.state().is_held_by(key));

    let arbiter = owner.starve();
    arbiter.release();
    assert!(ownership.check().is_err(), "void from here on");
    assert_eq!(owner.until_stopped(), Stopped::Released { confirmed: true });
    assert_eq!(arbiter.join(), Some(Stopped::Released { confirmed: true }));
    assert_eq!(world.state().registrations, []);
    assert_eq!(world.state().reservation, None);
}

#[test]
fn held_comes_before_owner_and_the_ownership_says_which() {
    let world = World::new();
    let mut owner = world.start(1);
    owner.until("Held", |what| {
        matches!(what, Happening::Arbitration(Event::Held { .. })).then_some(())
    });
    owner.until_owner();
    assert_eq!(owner.ownership().stage(), Stage::Owner);
}

#[test]
fn an_owner_that_is_not_fed_stops_itself_and_the_next_one_takes_the_disk() {
    let world = World::new();
    let mut first = world.start(1);
    let old = first.until_owner();
    let ownership = first.ownership();
    let mut second = world.start_with(2, |settings| settings.config.policy.wait = true);
    let starved = first.starve();
    let new = second.until_owner();
    assert!(ownership.check().is_err(), "the old one is fenced by then");
    assert_ne!(old, new);
    assert!(matches!(
        first.until_stopped(),
        Stopped::SelfStop { .. } | Stopped::Deposed { .. }
    ));
    assert!(world.state().is_held_by(new));
    drop(starved);
}

#[test]
fn an_owner_that_crashes_is_replaced_and_finds_its_old_key_when_it_comes_back() {
    let world = World::new();
    let mut first = world.start(1);
    let old = first.until_owner();
    drop(first.starve());
    assert!(
        world.state().is_held_by(old),
        "a crash leaves the disk as it is"
    );

    let mut again = world.start(1);
    let found = again.until("Reborn", |what| match what {
        Happening::Arbitration(Event::Reborn { old, was_holder }) => Some((*old, *was_holder)),
        _ => None,
    });
    assert_eq!(found, (old, true));
    let new = again.until_owner();
    let serial = |key| KeyParts::decode(key).unwrap().serial;
    assert!(serial(new) > serial(old), "every key is a new one");
}

#[test]
fn a_contender_that_does_not_wait_leaves_a_living_owner_alone() {
    let world = World::new();
    let mut owner = world.start(1);
    let key = owner.until_owner();
    let mut contender = world.start(2);
    let stopped = contender.until_stopped();
    assert!(matches!(stopped, Stopped::NotTaken { .. }), "{stopped:?}");
    assert_eq!(owner.ownership().check(), Ok(()));
    assert!(world.state().is_held_by(key));
    assert_eq!(world.state().registrations.len(), 1);
}

#[test]
fn of_three_contenders_at_once_one_becomes_the_owner() {
    let world = World::new();
    let mut contenders: Vec<Owner> = (1..=3).map(|node| world.start(node)).collect();
    let mut owners = Vec::new();
    for contender in &mut contenders {
        owners.extend(contender.until("a verdict", |what| match what {
            Happening::Arbitration(Event::Owner { key }) => Some(*key),
            Happening::Arbitration(Event::Stopped(Stopped::NotTaken { .. })) => Some(None),
            _ => None,
        }));
    }
    assert_eq!(owners.len(), 1);
    assert!(world.state().is_held_by(owners[0]));
}

#[test]
fn the_disk_of_another_cluster_is_refused_and_left_as_it_is() {
    let world = World::new();
    let stranger = Key::new(0x5747).unwrap();
    let register = Verb::Register {
        existing: None,
        new: Some(stranger),
        options: RegisterOptions::default(),
    };
    let registered = world.disk("stranger").perform(&register, BOUND);
    // A new unit has a power-on attention for everybody: the second time is the one.
    let registered = match registered.answer {
        Answer::Attention(_) => world.disk("stranger").perform(&register, BOUND).answer,
        other => other,
    };
    assert_eq!(registered, Answer::Done(Reply::Good));

    let mut contender = world.start(1);
    let stopped = contender.until_stopped();
    assert!(
        matches!(stopped, Stopped::Refused(Refused::Foreign { .. })),
        "{stopped:?}"
    );
    let keys: Vec<Key> = world.state().registrations.iter().map(|r| r.key).collect();
    assert_eq!(keys, [stranger]);
}

#[test]
fn a_second_arbiter_on_the_nexus_is_refused_with_the_pid_of_the_first() {
    let world = World::new();
    let _first = world.start(1);
    let refused = Arbiter::start(vec![world.disk("n1")], world.settings(1)).unwrap_err();
    let StartError::Lock(LockError::Taken { pid, .. }) = refused else {
        panic!("{refused}");
    };
    assert_eq!(pid, Some(std::process::id()));
}

#[test]
fn serials_restored_from_a_backup_are_noticed_and_left_behind() {
    let world = World::new();
    let mut first = world.start(1);
    let old = first.until_owner();
    drop(first.starve());
    // The backup is from before the first start: it knows of none.
    let state = world.0.join("state");
    for entry in std::fs::read_dir(&state).unwrap() {
        std::fs::write(entry.unwrap().path(), "next 1 check 16777214\n").unwrap();
    }
    let mut again = world.start(1);
    let (registered, mark) = again.until("the notice", |what| match what {
        Happening::Serials(SerialNotice::Behind { registered, mark }) => Some((*registered, *mark)),
        _ => None,
    });
    let old = KeyParts::decode(old).unwrap().serial;
    assert_eq!((registered, mark), (old, 1));
    let new = KeyParts::decode(again.until_owner()).unwrap().serial;
    assert!(new > old);
}

/// A path whose verbs hang from the moment the test says so, whatever their bound.
struct Hanging {
    inner: Box<dyn Reservations>,
    hang: Receiver<()>,
    hung: bool,
}

impl Reservations for Hanging {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn perform(&mut self, verb: &Verb, bound: Duration) -> Exchange {
        if !self.hung && self.hang.try_recv().is_ok() {
            self.hung = true;
            // Until the test is over, as an ioctl that the kernel does not come back from.
            let _test_is_over = self.hang.recv();
        }
        self.inner.perform(verb, bound)
    }
}

#[test]
fn a_path_that_hangs_fences_the_owner_all_the_same() {
    let world = World::new();
    let (hang, hangs) = channel();
    let path = Hanging {
        inner: world.disk("n1"),
        hang: hangs,
        hung: false,
    };
    let mut owner = Owner::of(Arbiter::start(vec![Box::new(path)], world.settings(1)).unwrap());
    owner.until_owner();
    let ownership = owner.ownership();
    hang.send(()).unwrap();
    let path = owner.until("PathHung", |what| match what {
        Happening::PathHung { path, .. } => Some(*path),
        _ => None,
    });
    assert_eq!(path, PathId(0));
    let stopped = owner.until_stopped();
    assert!(matches!(stopped, Stopped::SelfStop { .. }), "{stopped:?}");
    assert!(ownership.check().is_err());
    // The nexus stays locked: its last command is still out.
    drop(owner.starve());
    let refused = Arbiter::start(vec![world.disk("n1")], world.settings(1));
    assert!(matches!(
        refused,
        Err(StartError::Lock(LockError::Taken { .. }))
    ));
}

#[test]
fn a_command_that_outlives_its_bound_keeps_the_nexus_locked_though_its_arbiter_has_ended() {
    let world = World::new();
    let (hang, hangs) = channel();
    let device = Hanging {
        inner: world.disk("n1"),
        hang: hangs,
        hung: false,
    };
    // Its own thread waits in the command; the path's thread has gone on at the bound.
    let path = BoundedReservations::start("test", Box::new(device)).unwrap();
    let mut owner = Owner::of(Arbiter::start(vec![Box::new(path)], world.settings(1)).unwrap());
    owner.until_owner();
    hang.send(()).unwrap();
    let stopped = owner.until_stopped();
    assert!(matches!(stopped, Stopped::SelfStop { .. }), "{stopped:?}");
    drop(owner.starve());
    let again = || Arbiter::start(vec![world.disk("n1")], world.settings(1));
    assert!(matches!(
        again(),
        Err(StartError::Lock(LockError::Taken { .. }))
    ));
    drop(hang);
    // It is free when the command has come back, and its thread has ended.
    let next = loop {
        match again() {
            Ok(next) => break next,
            Err(StartError::Lock(LockError::Taken { .. })) => std::thread::yield_now(),
            Err(other) => panic!("{other}"),
        }
    };
    drop(next);
}

#[test]
fn a_watchdog_that_is_not_there_gives_the_disk_back() {
    let world = World::new();
    let mut owner = world.start_with(1, |settings| {
        // No whole second fits into the times of the other tests.
        settings.config.times.stop_time = Duration::from_secs(2);
        settings.config.times.settle = Duration::from_secs(2);
        settings.watchdog = Some(quorum::arbiter::WatchdogOptions {
            path: world.0.join("watchdog"),
            accept_no_way_out: false,
        });
    });
    owner.until("WatchdogFailed", |what| {
        matches!(what, Happening::WatchdogFailed { .. }).then_some(())
    });
    assert_eq!(owner.until_stopped(), Stopped::Released { confirmed: true });
    assert_eq!(world.state().reservation, None);
}

#[test]
fn two_paths_of_one_node_are_registered_with_one_key() {
    let world = World::new();
    let mut settings = world.settings(1);
    settings.config.paths = 2;
    settings.nexuses = vec![String::from("n1a"), String::from("n1b")];
    let paths = vec![world.disk("n1a"), world.disk("n1b")];
    let mut owner = Owner::of(Arbiter::start(paths, settings).unwrap());
    let key = owner.until_owner();
    let state = world.state();
    let keys: Vec<Key> = state.registrations.iter().map(|r| r.key).collect();
    assert_eq!(keys, [key, key]);
    let kind = state.reservation.unwrap().kind;
    assert_eq!(kind, ReservationType::WriteExclusiveRegistrantsOnly);
}

//! Several portals: several nexuses, each registered; one of them may die.

use crate::lateness::in_time;
use crate::world::{Disk, Kind, Running, until};
use nix::sys::signal::Signal;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Rounds of defence that an owner makes after a portal has died: it stays owner for far longer than the age at
/// which it would stop itself.
const ROUNDS: usize = 8;

/// A second way to a portal, that can be cut.
struct Wire {
    address: SocketAddr,
    cut: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Wire {
    fn to(portal: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.2:0").unwrap();
        let address = listener.local_addr().unwrap();
        let cut = Arc::new(AtomicBool::new(false));
        let streams = Arc::new(Mutex::new(Vec::new()));
        let (is_cut, kept) = (Arc::clone(&cut), Arc::clone(&streams));
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if is_cut.load(Ordering::SeqCst) {
                    return;
                }
                let far = TcpStream::connect(portal).unwrap();
                for stream in [&near, &far] {
                    stream.set_nodelay(true).unwrap();
                    kept.lock().unwrap().push(stream.try_clone().unwrap());
                }
                carry(near.try_clone().unwrap(), far.try_clone().unwrap());
                carry(far, near);
            }
        });
        Self {
            address,
            cut,
            streams,
        }
    }

    /// Nothing passes any more, and nobody listens.
    fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        // Wakes the listener, which sees it and goes.
        drop(TcpStream::connect(self.address));
        until("the listener to go", || {
            TcpStream::connect(self.address).is_err().then_some(())
        });
        for stream in self.streams.lock().unwrap().drain(..) {
            let _already_gone = stream.shutdown(Shutdown::Both);
        }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        let _until_either_end_closes = io::copy(&mut from, &mut to);
        let _already_gone = to.shutdown(Shutdown::Both);
    });
}

/// The disk by its own portal, and by a wire to it.
fn with_wire(disk: &mut Disk) -> Wire {
    let (portal, rest) = disk.url["iscsi://".len()..].split_once('/').unwrap();
    let wire = Wire::to(portal.parse().unwrap());
    disk.url = format!("iscsi://{portal},{}/{rest}", wire.address);
    wire
}

/// How often the key of the owner is registered, as a stranger reads it.
fn registrations(disk: &Disk, owner: &Running) -> usize {
    let owned = owner.seen.iter().find(|value| value["event"] == "owner");
    let key = owned.unwrap()["key"].clone();
    let (code, document, said) = disk.folder.run(9, &["disk", "pr", "keys", &disk.url]);
    assert_eq!(code, Some(0), "{document} {said}");
    let keys = document["state"]["registrations"]
        .as_array()
        .or_else(|| document["keys"].as_array())
        .unwrap_or_else(|| panic!("{document}"));
    keys.iter()
        .filter(|entry| **entry == key || entry["key"] == key)
        .count()
}

fn an_owner_of_two_portals_survives_the_death_of_one(kind: Kind, which: usize) {
    in_time(|| survives_the_death_of_one(kind, which));
}

fn survives_the_death_of_one(kind: Kind, which: usize) {
    let mut disk = Disk::new(kind);
    let wire = with_wire(&mut disk);
    if which == 0 {
        swap_portals(&mut disk);
    }
    let mut owner = disk.arbitrate(1, "pr", &[]);
    assert_eq!(owner.until("started")["paths"], 2);
    owner.until("owner");
    assert_eq!(registrations(&disk, &owner), 2);

    wire.cut();
    for _ in 0..ROUNDS {
        owner.until("defended");
    }
    assert_eq!(owner.count("stopped"), 0, "{:#?}", owner.seen);

    // Who comes by the other portal alone loses against it.
    disk.url = surviving(&disk, &wire);
    let mut challenger = disk.arbitrate(2, "pr", &[]);
    assert_eq!(challenger.end().0, Some(24), "{:#?}", challenger.seen);
    owner.until("defended");
    owner.signal(Signal::SIGTERM);
    assert_eq!(owner.until("stopped")["reason"], "released");
    // Over the dead portal nothing can be taken back: then its registration stays, and that is said.
    let code = owner.end().0;
    assert!(matches!(code, Some(0 | 112)), "{code:?} {:#?}", owner.seen);
}

fn swap_portals(disk: &mut Disk) {
    let (portals, rest) = disk.url["iscsi://".len()..].split_once('/').unwrap();
    let (first, second) = portals.split_once(',').unwrap();
    disk.url = format!("iscsi://{second},{first}/{rest}");
}

fn surviving(disk: &Disk, wire: &Wire) -> String {
    let dead = wire.address.to_string();
    let url = disk.url.replace(&format!("{dead},"), "");
    url.replace(&format!(",{dead}"), "")
}

#[test]
fn an_owner_survives_the_death_of_its_first_portal() {
    an_owner_of_two_portals_survives_the_death_of_one(Kind::Ours, 0);
}

#[test]
fn an_owner_survives_the_death_of_its_second_portal() {
    an_owner_of_two_portals_survives_the_death_of_one(Kind::Ours, 1);
}

#[test]
#[ignore = "needs tgtd; `.ci/run` runs it"]
fn on_tgt_an_owner_survives_the_death_of_its_first_portal() {
    an_owner_of_two_portals_survives_the_death_of_one(Kind::Tgt, 0);
}

#[test]
#[ignore = "needs tgtd; `.ci/run` runs it"]
fn on_tgt_an_owner_survives_the_death_of_its_second_portal() {
    an_owner_of_two_portals_survives_the_death_of_one(Kind::Tgt, 1);
}

#[test]
fn a_target_listens_at_several_addresses_and_says_so() {
    let disk = Disk::ours(&["--listen=127.0.0.2:0"]);
    let (portals, _) = disk.url["iscsi://".len()..].split_once('/').unwrap();
    assert_eq!(portals.split(',').count(), 2, "{portals}");
    let (code, document, said) = disk.folder.run(1, &["disk", "show", &disk.url]);
    assert_eq!(code, Some(0), "{document} {said}");
    assert_eq!(document["paths"].as_array().unwrap().len(), 2);
}

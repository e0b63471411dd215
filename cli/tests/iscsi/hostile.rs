//! A target among clients that fill it, send garbage, stall, and open a thousand connections.

use crate::world::{Disk, until};
use nix::sys::signal::Signal;
use scsi::device::{Data, Device as _};
use scsi::iscsi::initiator::{IscsiDevice, Options, Url, own_isid};
use scsi::iscsi::negotiation::Wishes;
use scsi::iscsi::target::SESSIONS_MAX;
use scsi::wire::cdb::Command;
use scsi::wire::status::Status;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(30);

/// An idle target has 6 MB; what clients can make it keep is bounded by its connections.
const RESIDENT_KIB_MAX: u64 = 100 * 1024;

fn session(url: &str) -> Result<IscsiDevice, String> {
    let url = Url::parse(url).unwrap();
    let options = Options {
        portal: url.portals[0].clone(),
        target: url.target,
        lun: url.lun,
        initiator: "iqn.2026-01.test:many".to_owned(),
        isid: own_isid().unwrap(),
        credentials: None,
        target_credentials: None,
        wishes: Wishes::default(),
    };
    IscsiDevice::connect(options, BOUND).map_err(|error| error.to_string())
}

fn is_served(device: &mut IscsiDevice) -> bool {
    let ready = Command::TestUnitReady.cdb();
    // The first meets the attention of a new nexus.
    (0..2).any(|_| {
        let done = device.execute(&ready, Data::None, BOUND).unwrap();
        done.status == Status::GOOD
    })
}

fn connect(disk: &Disk) -> TcpStream {
    let (portal, _) = disk.url["iscsi://".len()..].split_once('/').unwrap();
    TcpStream::connect(portal).unwrap()
}

fn resident_kib(disk: &Disk) -> u64 {
    let id = disk.server().process.id();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse().unwrap()
}

#[test]
fn it_holds_its_sessions_refuses_one_more_and_has_room_again() {
    let disk = Disk::ours(&[]);
    let mut sessions: Vec<IscsiDevice> = (0..SESSIONS_MAX)
        .map(|_| session(&disk.url).unwrap())
        .collect();
    assert!(sessions.iter_mut().all(is_served));
    let refused = session(&disk.url).unwrap_err();
    assert!(refused.contains("resources"), "{refused}");
    let (code, document, said) = disk.folder.run(1, &["disk", "show", &disk.url]);
    assert_eq!(code, Some(15), "{document} {said}");
    drop(sessions.pop());
    until("the room that was left", || session(&disk.url).ok());
}

#[test]
fn garbage_stalls_and_a_thousand_connections_disturb_nobody_and_it_stops_when_told() {
    let mut disk = Disk::ours(&[]);
    let mut guest = session(&disk.url).unwrap();
    assert!(is_served(&mut guest));
    for _ in 0..2 {
        let crowd: Vec<TcpStream> = (0..500).map(|_| connect(&disk)).collect();
        assert!(is_served(&mut guest));
        drop(crowd);
    }
    for length in [1_usize, 47, 48, 49, 4096, 1 << 20] {
        for byte in [0_u8, 0x01, 0x03, 0x43, 0xff] {
            let mut client = connect(&disk);
            // It may be closed before all of it was taken.
            let _closed = client.write_all(&vec![byte; length]);
        }
    }
    // Half a header, and then nothing more.
    let stalled: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut client = connect(&disk);
            client.write_all(&[0x43; 20]).unwrap();
            client
        })
        .collect();
    assert!(is_served(&mut guest));
    assert!(session(&disk.url).is_ok_and(|mut other| is_served(&mut other)));
    let kib = resident_kib(&disk);
    assert!(kib < RESIDENT_KIB_MAX, "{kib} KiB");
    disk.server().signal(Signal::SIGTERM);
    assert_eq!(disk.server_mut().end().0, Some(0));
    drop(stalled);
}

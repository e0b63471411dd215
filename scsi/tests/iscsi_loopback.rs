//! The initiator and the target over real sockets on loopback.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "helpers of tests, on threads and the real clock"
)]

use scsi::device::{Completion, Data, Device, DeviceError, ResetError};
use scsi::iscsi::initiator::{ConnectError, IscsiDevice, Options, Portal, own_isid};
use scsi::iscsi::keyring::Keyring;
use scsi::iscsi::negotiation::{DigestWish, Wishes};
use scsi::iscsi::pdu::{Isid, Lun};
use scsi::iscsi::target::{Backend, FileStore, Server, Settings};
use scsi::logical_unit::{Config, LogicalUnit};
use scsi::reservation::{Attention, ResetScope, Unsent};
use scsi::wire::cdb::Cdb;
use scsi::wire::status::Status;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const NAME: &str = "iqn.2026-01.test:disk";
/// Long enough that only something that hangs meets it.
const BOUND: Duration = Duration::from_secs(20);
const TUR: [u8; 6] = [0; 6];
const RESERVE6: [u8; 6] = [0x16, 0, 0, 0, 0, 0];

static FILES: AtomicU32 = AtomicU32::new(0);

/// A target on a thread of its own.
struct Target {
    port: u16,
    file: PathBuf,
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Target {
    fn start(schedule: &str, secrets: &str) -> Self {
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let name = format!("qctl-loopback-{}-{number}", std::process::id());
        let file = std::env::temp_dir().join(name);
        let store = FileStore::open(&file, Some(8 << 20)).unwrap();
        let config = Config {
            blocks: store.blocks().unwrap(),
            ..Config::default()
        };
        let backend = Backend::new(LogicalUnit::new(config), store, schedule.parse().unwrap());
        let settings = Settings {
            name: NAME.to_owned(),
            allowed: Vec::new(),
            keyring: Keyring::parse(secrets).unwrap(),
            wishes: Settings::wishes(),
        };
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut server = Server::listen(&[any_port], settings, backend).unwrap();
        let port = server.addresses()[0].port();
        let (stop, stopped) = UnixStream::pair().unwrap();
        let thread = std::thread::spawn(move || server.serve(&stopped).unwrap());
        Self {
            port,
            file,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn options(&self) -> Options {
        Options {
            portal: Portal {
                host: "127.0.0.1".to_owned(),
                port: self.port,
            },
            target: NAME.to_owned(),
            lun: Lun::default(),
            initiator: "iqn.2026-01.test:host".to_owned(),
            isid: own_isid().unwrap(),
            credentials: None,
            target_credentials: None,
            wishes: Wishes::default(),
        }
    }

    /// A session, its power-on attention taken.
    fn connect(&self, options: Options) -> IscsiDevice {
        let mut device = IscsiDevice::connect(options, BOUND).unwrap();
        assert_eq!(run(&mut device, &TUR), Ok("29/01".to_owned()));
        device
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
        std::fs::remove_file(&self.file).unwrap();
    }
}

/// A command without data, its answer in a word.
fn run(device: &mut IscsiDevice, cdb: &[u8]) -> Result<String, DeviceError> {
    run_within(device, cdb, BOUND)
}

fn run_within(
    device: &mut IscsiDevice,
    cdb: &[u8],
    bound: Duration,
) -> Result<String, DeviceError> {
    let done = device.execute(&Cdb::new(cdb).unwrap(), Data::None, bound)?;
    Ok(match done.sense {
        Some(sense) => format!("{:02x}/{:02x}", sense.asc, sense.ascq),
        None => done.status.to_string(),
    })
}

fn write(device: &mut IscsiDevice, data: &[u8]) -> Result<Completion, DeviceError> {
    let blocks = u8::try_from(data.len() >> 17).unwrap();
    let cdb = Cdb::new(&[0x2a, 0, 0, 0, 0, 8, 0, blocks, 0, 0]).unwrap();
    device.execute(&cdb, Data::Out(data), BOUND)
}

#[test]
fn what_is_written_is_read_back_whatever_was_negotiated() {
    let target = Target::start("", "");
    let data: Vec<u8> = (0..512 * 1024_u32).map(|at| (at / 7 % 251) as u8).collect();
    for (at, digests) in [
        DigestWish::Unwanted,
        DigestWish::Preferred,
        DigestWish::Required,
    ]
    .into_iter()
    .enumerate()
    {
        for (initial_r2t, immediate_data) in
            [(true, true), (true, false), (false, true), (false, false)]
        {
            let wishes = Wishes {
                digests,
                initial_r2t,
                immediate_data,
                receive_bytes_max: [4096, 65_536, 262_144][at],
                ..Wishes::default()
            };
            let mut device = target.connect(Options {
                wishes,
                ..target.options()
            });
            let done = write(&mut device, &data).unwrap();
            assert_eq!((done.status, done.transferred), (Status::GOOD, data.len()));
            let mut back = vec![0; data.len()];
            let cdb = Cdb::new(&[0x28, 0, 0, 0, 0, 8, 0, 4, 0, 0]).unwrap();
            let done = device.execute(&cdb, Data::In(&mut back), BOUND).unwrap();
            assert_eq!((done.status, done.transferred), (Status::GOOD, data.len()));
            assert!(back == data, "{wishes:?}");
        }
    }
}

#[test]
fn resets_and_clear_task_set_reach_the_unit() {
    let target = Target::start("", "");
    let mut holder = target.connect(target.options());
    let mut other = target.connect(target.options());
    for scope in [ResetScope::Lun, ResetScope::Target] {
        assert_eq!(run(&mut holder, &RESERVE6), Ok("GOOD".to_owned()));
        assert_eq!(run(&mut other, &TUR), Ok("RESERVATION CONFLICT".to_owned()));
        assert_eq!(other.clear_task_set(BOUND), Ok(()));
        assert_eq!(run(&mut other, &TUR), Ok("RESERVATION CONFLICT".to_owned()));
        assert_eq!(other.reset(scope, false, BOUND), Ok(()));
        for device in [&mut holder, &mut other] {
            assert_eq!(run(device, &TUR), Ok("29/03".to_owned()));
            assert_eq!(run(device, &TUR), Ok("GOOD".to_owned()));
        }
    }
}

#[test]
fn a_reset_that_the_target_refuses_has_not_happened() {
    let target = Target::start("on RESET: conflict", "");
    let mut device = target.connect(target.options());
    assert_eq!(run(&mut device, &RESERVE6), Ok("GOOD".to_owned()));
    let refused = device.reset(ResetScope::Lun, false, BOUND);
    let expected = ResetError::Refused("function rejected".to_owned());
    assert_eq!(refused, Err(expected));
    assert_eq!(run(&mut device, &TUR), Ok("GOOD".to_owned()));
}

#[test]
fn the_same_port_takes_over_and_the_one_that_was_replaced_learns_it() {
    let target = Target::start("", "");
    let options = Options {
        isid: Isid([0x80, 1, 2, 3, 4, 5]),
        ..target.options()
    };
    let mut old = target.connect(options.clone());
    assert_eq!(run(&mut old, &RESERVE6), Ok("GOOD".to_owned()));
    let mut new = IscsiDevice::connect(options, BOUND).unwrap();
    assert_eq!(run(&mut new, &TUR), Ok("29/07".to_owned()));
    // Its session is gone: what becomes of the command is not known.
    assert!(matches!(
        run(&mut old, &TUR),
        Err(DeviceError::Transport(_))
    ));
    // One login a command, and it is reported, once by this end and once by the target.
    assert_eq!(run(&mut old, &TUR), Ok("29/07".to_owned()));
    assert_eq!(run(&mut old, &TUR), Ok("29/07".to_owned()));
    assert_eq!(run(&mut old, &TUR), Ok("GOOD".to_owned()));
}

#[test]
fn a_lost_session_is_reported_before_the_next_command_is_sent() {
    let target = Target::start("at 2 on TUR: drop", "");
    let mut device = target.connect(target.options());
    assert_eq!(run(&mut device, &RESERVE6), Ok("GOOD".to_owned()));
    assert!(matches!(
        run(&mut device, &TUR),
        Err(DeviceError::Transport(_))
    ));
    let mut other = target.connect(target.options());
    // The RESERVE is not performed: the caller is told first.
    let attention = device
        .execute(&Cdb::new(&RESERVE6).unwrap(), Data::None, BOUND)
        .unwrap()
        .sense
        .unwrap()
        .attention();
    assert_eq!(attention, Some(Attention::new(0x29, 0x07)));
    assert_eq!(run(&mut other, &TUR), Ok("GOOD".to_owned()));
}

#[test]
fn a_target_that_is_gone_is_no_path_and_nothing_was_sent() {
    let target = Target::start("", "");
    let mut device = target.connect(target.options());
    drop(target);
    assert!(matches!(
        run(&mut device, &TUR),
        Err(DeviceError::Transport(_))
    ));
    assert!(matches!(
        run(&mut device, &TUR),
        Err(DeviceError::NotSent(Unsent::NoPath(_)))
    ));
}

#[test]
fn a_command_without_an_answer_ends_at_its_bound_and_the_session_goes_on() {
    let target = Target::start("at 2 on TUR: timeout-without-effect", "");
    let mut device = target.connect(target.options());
    let bound = Duration::from_millis(50);
    assert_eq!(
        run_within(&mut device, &TUR, bound),
        Err(DeviceError::TimedOut)
    );
    assert_eq!(run(&mut device, &TUR), Ok("GOOD".to_owned()));
}

#[test]
fn a_late_answer_is_not_taken_for_that_of_the_next_command() {
    let target = Target::start("at 1 on READ: delay 200ms", "");
    let mut device = target.connect(target.options());
    let read = Cdb::new(&[0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0]).unwrap();
    let mut block = [9; 512];
    let bound = Duration::from_millis(50);
    let given_up = device.execute(&read, Data::In(&mut block), bound);
    assert_eq!(given_up, Err(DeviceError::TimedOut));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(run(&mut device, &TUR), Ok("GOOD".to_owned()));
    assert_eq!(block, [9; 512]);
    let done = device.execute(&read, Data::In(&mut block), BOUND).unwrap();
    assert_eq!((done.transferred, block), (512, [0; 512]));
}

#[test]
fn a_target_that_answers_nothing_is_given_up_and_logged_in_to_again() {
    let target = Target::start("after 1 on TUR: timeout-without-effect", "");
    let mut device = target.connect(target.options());
    let bound = Duration::from_millis(20);
    // Its aborts are answered, so the session lasts however many commands are not.
    for _ in 0..20 {
        assert_eq!(
            run_within(&mut device, &TUR, bound),
            Err(DeviceError::TimedOut)
        );
    }
    assert_eq!(run(&mut device, &RESERVE6), Ok("GOOD".to_owned()));
}

#[test]
fn handles_of_one_session_take_turns() {
    let target = Target::start("on RESERVE: delay 3s", "");
    let device = target.connect(target.options());
    let mut slow = device.clone();
    let mut hasty = device;
    let waits = std::thread::spawn(move || run(&mut slow, &RESERVE6));
    // Until the other one has begun, the session is free.
    let busy = loop {
        match run_within(&mut hasty, &TUR, Duration::from_millis(20)) {
            Ok(_) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => break error,
        }
    };
    assert_eq!(busy, DeviceError::NotSent(Unsent::Busy));
    assert_eq!(waits.join().unwrap(), Ok("GOOD".to_owned()));
    assert_eq!(run(&mut hasty, &TUR), Ok("GOOD".to_owned()));
}

#[test]
fn both_ends_prove_who_they_are() {
    const SECRETS: &str = "initiator me my-long-secret\ntarget disk its-own-secret";
    let target = Target::start("", SECRETS);
    let login = |secrets: &str| {
        let keyring = Keyring::parse(secrets).unwrap();
        let options = Options {
            credentials: keyring.choose(None).ok().cloned(),
            target_credentials: keyring.target,
            ..target.options()
        };
        IscsiDevice::connect(options, BOUND)
    };
    assert!(login(SECRETS).is_ok());
    assert!(login("initiator me my-long-secret").is_ok());
    for (secrets, word) in [
        ("", "it wants CHAP"),
        ("initiator me another-secret", "wrong CHAP name or secret"),
        ("initiator you my-long-secret", "wrong CHAP name or secret"),
        (
            "initiator me my-long-secret\ntarget disk not-its-secret",
            "may be another",
        ),
        (
            "initiator me my-long-secret\ntarget tape its-own-secret",
            "may be another",
        ),
    ] {
        let refused = login(secrets).unwrap_err();
        assert!(matches!(refused, ConnectError::Login(_)), "{refused:?}");
        assert!(refused.to_string().contains(word), "{refused}");
    }
    // An initiator that wants a proof does not go without.
    let open = Target::start("", "");
    let keyring = Keyring::parse(SECRETS).unwrap();
    let options = Options {
        credentials: keyring.choose(None).ok().cloned(),
        target_credentials: keyring.target,
        ..open.options()
    };
    assert!(IscsiDevice::connect(options, BOUND).is_err());
}

#[test]
fn a_refused_port_and_a_silent_one_are_told_apart() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    let target = Target::start("", "");
    let options = Options {
        portal: Portal {
            host: "127.0.0.1".to_owned(),
            port,
        },
        ..target.options()
    };
    // It listens, and never says a word.
    let silent = IscsiDevice::connect(options.clone(), Duration::from_millis(100));
    assert_eq!(silent.unwrap_err(), ConnectError::TimedOut);
    drop(free);
    let refused = IscsiDevice::connect(options, BOUND).unwrap_err();
    assert!(
        matches!(refused, ConnectError::Connection(_)),
        "{refused:?}"
    );
}

#[test]
fn a_thousand_connections_disturb_no_session() {
    let target = Target::start("", "");
    let mut device = target.connect(target.options());
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, target.port));
    let mut idle = Vec::new();
    for round in 0..10 {
        // At most a hundred descriptors at a time of our own.
        idle.clear();
        for _ in 0..100 {
            idle.push(std::net::TcpStream::connect(address).unwrap());
        }
        assert_eq!(
            run(&mut device, &TUR),
            Ok("GOOD".to_owned()),
            "round {round}"
        );
    }
}

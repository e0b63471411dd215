//! `qctl target serve`: a file as a shared disk over iSCSI, until SIGTERM or SIGINT.

use crate::Context;
use crate::exit::{Exit, Failure};
use crate::output::Report;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use scsi::device::schedule::Schedule;
use scsi::iscsi::keyring::Keyring;
use scsi::iscsi::name::check_name;
use scsi::iscsi::target::{Backend, FileStore, ServeError, Server, Settings, StoreError};
use scsi::logical_unit::{Behaviour, Config};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// The port that is assigned to iSCSI.
const PORT: u16 = 3260;

/// The target's name, where none is given. The domain is one that nobody can own (RFC 6762).
const NAME: &str = "iqn.2026-01.local.qctl:disk";

/// `qctl target serve`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Without --listen only this host can reach it. Who can reach it can take the disk: give it a --chap-file before
it listens on a network.

A CHAP file has lines of who, name and secret, and may be used by its owner only (chmod 600):
  initiator node-1 the-secret-of-node-1
  target    disk   the-secret-of-the-target
Initiators name theirs in the URL: iscsi://node-1@HOST/NAME/0. With a target line they also refuse a target that
does not know its secret.

Registrations made with APTPL are kept in FILE.aptpl and survive everything; the others survive until the
target stops, as on a disk that loses power.

Examples:
  qctl target serve --file /var/tmp/quorum.img --size 64MiB
  qctl target serve --file q.img --size 64MiB --listen 192.0.2.1 --chap-file /etc/qctl/chap")]
pub(crate) struct Args {
    /// The file with the disk's blocks; made, sparse, if it is not there
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// The size of the disk, with its unit (64MiB, 1GiB); needed when the file is made
    #[arg(long, value_name = "SIZE", value_parser = crate::args::size)]
    size: Option<u64>,
    /// Where to listen: an address, with a port if it is not 3260; may be repeated
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", value_parser = address)]
    listen: Vec<SocketAddr>,
    /// The target's name
    #[arg(long, value_name = "NAME", default_value = NAME, value_parser = iqn)]
    iqn: String,
    /// Whose behaviour the disk has: standard, lio, tgt or hostile
    #[arg(long, value_name = "NAME", default_value = "standard", value_parser = behaviour)]
    behaviour: Behaviour,
    /// What `hostile` draws its whims from
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,
    /// The unit's serial number; without it, one that follows from the file's path
    #[arg(long, value_name = "TEXT", value_parser = serial)]
    serial: Option<String>,
    /// At real-time priority, if this host lets it: load on this host slows no real disk down
    #[arg(long, hide = true)]
    urgent: bool,
    /// Let only this initiator in; may be repeated
    #[arg(long, value_name = "IQN", value_parser = iqn)]
    allow: Vec<String>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .or_else(|_| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, PORT)))
        .map_err(|_| "an address is 127.0.0.1, 127.0.0.1:3260, ::1 or [::1]:3260".to_owned())
}

fn iqn(text: &str) -> Result<String, String> {
    check_name(text).map(|()| text.to_owned())
}

fn behaviour(text: &str) -> Result<Behaviour, String> {
    Behaviour::from_name(text).ok_or_else(|| {
        let names = Behaviour::ALL.map(Behaviour::name);
        format!("one of {}", names.join(", "))
    })
}

fn serial(text: &str) -> Result<String, String> {
    let fits = (1..=scsi::logical_unit::SERIAL_MAX).contains(&text.len());
    if fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "a serial number has 1 to {} letters and digits",
            scsi::logical_unit::SERIAL_MAX
        ))
    }
}

/// Two files are two disks, also for a host that sees both.
fn serial_of(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    // FNV-1a: stable for ever, for hosts remember disks by it.
    let hash = path
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    format!("Q{hash:016X}")
}

impl Args {
    /// Serves until it is told to stop.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let stop = stop_signals()?;
        let schedule = schedule(context)?;
        let keyring = keyring(context)?;
        let backend = self.backend(schedule)?;
        let settings = Settings {
            name: self.iqn.clone(),
            allowed: self.allow.clone(),
            keyring,
            wishes: Settings::wishes(),
        };
        let open_to_all = settings.keyring.initiators.is_empty();
        let mut server = Server::listen(&self.listen, settings, backend).map_err(serve_failure)?;
        let listening = Listening {
            addresses: server.addresses().to_owned(),
            args: &self,
            chap: !open_to_all,
        };
        let beyond = self.listen.iter().find(|portal| !portal.ip().is_loopback());
        if let Some(portal) = beyond.filter(|_| open_to_all) {
            context.output.message(&format!(
                "warning: whoever can reach {portal} can take the disk: there is no --chap-file",
            ));
        }
        context.output.event(&listening)?;
        if self.urgent {
            // Whoever asks for it says so, and what it could not have shows in the figures.
            let _best_effort = quorum::arbiter::make_thread_urgent();
        }
        server.serve(&stop).map_err(serve_failure)?;
        Ok(Exit::Done)
    }

    fn backend(&self, schedule: Schedule) -> Result<Backend<FileStore>, Failure> {
        let store =
            FileStore::open(&self.file, self.size).map_err(|error| store_failure(&error))?;
        let config = Config {
            behaviour: self.behaviour,
            seed: self.seed,
            blocks: store.blocks().map_err(|error| store_failure(&error))?,
            target_ports: 1,
            serial: self.serial.clone().unwrap_or_else(|| serial_of(&self.file)),
        };
        let unit = store.unit(config).map_err(|error| store_failure(&error))?;
        Ok(Backend::new(unit, store, schedule))
    }
}

/// SIGTERM and SIGINT, as something to wait for. Comes before any thread.
fn stop_signals() -> Result<SignalFd, Failure> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals
        .thread_block()
        .and_then(|()| SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC))
        .map_err(|error| {
            Failure::new(
                Exit::CannotOpen,
                format!("cannot wait for signals: {error}"),
                "see `ulimit -n`",
            )
        })
}

fn schedule(context: &Context) -> Result<Schedule, Failure> {
    let text = context.global.fault.as_deref().unwrap_or_default();
    text.parse()
        .map_err(|error| Failure::usage(format!("--fault: {error}"), "correct the schedule"))
}

fn keyring(context: &Context) -> Result<Keyring, Failure> {
    let Some(path) = &context.global.chap_file else {
        return Ok(Keyring::default());
    };
    let keyring = scsi::iscsi::read_keyring(path)
        .map_err(|why| Failure::new(Exit::CannotOpen, why, "see `qctl target serve --help`"))?;
    if keyring.initiators.is_empty() {
        return Err(Failure::new(
            Exit::Usage,
            format!(
                "{}: there is no `initiator` line, so everybody would be let in",
                path.display()
            ),
            "see `qctl target serve --help`",
        ));
    }
    Ok(keyring)
}

fn store_failure(error: &StoreError) -> Failure {
    let (exit, next) = match error {
        StoreError::Io { .. } => (Exit::CannotOpen, "check the path and its permissions"),
        StoreError::InUse { .. } => (Exit::CannotOpen, "stop the other one, or name another file"),
        StoreError::Size { .. } | StoreError::NoSize { .. } => (Exit::Usage, "correct --size"),
        StoreError::State { .. } | StoreError::OtherUnit { .. } => (
            Exit::CannotOpen,
            "nothing was changed; keep a copy of the state before you remove it",
        ),
    };
    Failure::new(exit, error.to_string(), next)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn serve_failure(error: ServeError) -> Failure {
    let next = match error {
        ServeError::Listen { .. } => "choose another address or port with --listen",
        ServeError::System(_) => "see `ulimit -n` and the space on the disk",
    };
    Failure::new(Exit::CannotOpen, error.to_string(), next)
}

/// What is served, and where.
struct Listening<'a> {
    addresses: Vec<SocketAddr>,
    args: &'a Args,
    chap: bool,
}

impl Listening<'_> {
    fn url(&self) -> String {
        let portals: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        format!("iscsi://{}/{}/0", portals.join(","), self.args.iqn)
    }
}

impl Report for Listening<'_> {
    fn schema(&self) -> &'static str {
        "target-serve"
    }

    fn json(&self) -> Value {
        json!({
            "event": "listening",
            "url": self.url(),
            "file": self.args.file.display().to_string(),
            "behaviour": self.args.behaviour.name(),
            "chap": self.chap,
            "allowed": self.args.allow,
        })
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        writeln!(
            page,
            "serving {} (behaviour {}) at {}",
            self.args.file.display(),
            self.args.behaviour,
            self.url()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_leave_out_the_port() {
        assert_eq!(address("127.0.0.1").unwrap().port(), PORT);
        assert_eq!(address("[::1]:1").unwrap().port(), 1);
        assert_eq!(address("::1").unwrap().port(), PORT);
        assert!(address("localhost").is_err());
    }

    #[test]
    fn the_serial_number_of_a_path_stays_the_same() {
        assert_eq!(serial_of(Path::new("/nowhere/a")), "QAD42AC61061ACB94");
        assert_ne!(
            serial_of(Path::new("/nowhere/b")),
            serial_of(Path::new("/nowhere/a"))
        );
    }
}

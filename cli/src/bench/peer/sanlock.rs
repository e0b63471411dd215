//! One takeover of sanlock, by its own program: two daemons over one file of leases; one is killed, and the
//! other acquires the lease of the dead. As tight as it goes: io_timeout 1, and without its watchdog daemon.
//!
//! A host without CAP_SYS_RESOURCE cannot start it ("cannot set the limits for memlock").

use crate::arbitrate::command::leash::die_with_parent;
use crate::clock;
use crate::contest::folder::Folder;
use crate::exit::Failure;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PROGRAM: &str = "sanlock";

/// Room for the lockspace at 0 and one lease at 1 MiB.
const FILE_BYTES: u64 = 4 << 20;

/// At io_timeout 1 a dead host is taken for dead after 68 s.
const PATIENCE: Duration = Duration::from_secs(200);

/// Between two tries of whoever waits.
const RETRY: Duration = Duration::from_millis(100);

/// How long the two see each other live before one is killed: several renewals.
const LIVE: Duration = Duration::from_secs(4);

/// Waits, or says that the operator wants to stop.
pub(super) type Wait<'a> = &'a mut dyn FnMut(Duration) -> Result<(), Failure>;

/// Is it there?
pub(super) fn is_installed() -> bool {
    super::on_path(PROGRAM)
}

/// From SIGKILL of the owner's daemon until the other had the lease, in seconds; or why it could not be run.
pub(super) fn takeover(wait: Wait<'_>) -> Result<Result<f64, String>, Failure> {
    let folder = Folder::new("sanlock")?;
    match Pair::start(folder.path()) {
        Ok(mut pair) => pair.takeover(wait),
        Err(error) => Ok(Err(error.to_string())),
    }
}

struct Host {
    daemon: Child,
    run: PathBuf,
}

struct Pair {
    hosts: [Host; 2],
    lockspace: String,
    lease: String,
    holder: Option<Child>,
}

impl Pair {
    fn start(folder: &Path) -> io::Result<Self> {
        let file = folder.join("leases");
        std::fs::File::create(&file)?.set_len(FILE_BYTES)?;
        let file = file.display();
        Ok(Self {
            hosts: [Host::start(folder, "a")?, Host::start(folder, "b")?],
            lockspace: format!("bench:0:{file}:0"),
            lease: format!("bench:lease:{file}:1048576"),
            holder: None,
        })
    }

    fn takeover(&mut self, wait: Wait<'_>) -> Result<Result<f64, String>, Failure> {
        for host in &mut self.hosts {
            if !host.is_ready(wait)? {
                return Ok(Err("its daemon does not start".to_owned()));
            }
        }
        let [owner, other] = &self.hosts;
        let of = |id: u8| self.lockspace.replacen(":0:", &format!(":{id}:"), 1);
        let (first, second) = (of(1), of(2));
        let steps: [(&Host, &[&str]); 4] = [
            (owner, &["init", "-s", &self.lockspace, "-o", "1"]),
            (owner, &["init", "-r", &self.lease]),
            (owner, &["add_lockspace", "-s", &first, "-o", "1"]),
            (other, &["add_lockspace", "-s", &second, "-o", "1"]),
        ];
        for (host, args) in steps {
            if !host
                .client(args)
                .status()
                .is_ok_and(|status| status.success())
            {
                return Ok(Err(format!("{PROGRAM} client {} failed", args.join(" "))));
            }
        }
        let mut hold = owner.client(&["command", "-r", &self.lease, "-c", "/bin/sleep", "600"]);
        die_with_parent(&mut hold);
        match hold.spawn() {
            Ok(holder) => self.holder = Some(holder),
            Err(error) => return Ok(Err(error.to_string())),
        }
        wait(LIVE)?;
        if other.acquires(&self.lease) {
            return Ok(Err("its owner does not hold the lease".to_owned()));
        }
        let killed = clock::since_boot();
        owner.kill();
        loop {
            if other.acquires(&self.lease) {
                let took = clock::since_boot().saturating_sub(killed);
                return Ok(Ok(took.as_secs_f64()));
            }
            if clock::since_boot().saturating_sub(killed) > PATIENCE {
                return Ok(Err(format!("no takeover within {} s", PATIENCE.as_secs())));
            }
            wait(RETRY)?;
        }
    }
}

impl Host {
    fn start(folder: &Path, name: &str) -> io::Result<Self> {
        let run = folder.join(name);
        std::fs::create_dir(&run)?;
        let mut command = Command::new(PROGRAM);
        command
            .args(["daemon", "-D", "-w", "0", "-h", "0", "-l", "0"])
            .args(["-U", "root", "-G", "root", "-e", name])
            .env("SANLOCK_RUN_DIR", &run)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        die_with_parent(&mut command);
        Ok(Self {
            daemon: command.spawn()?,
            run,
        })
    }

    fn is_ready(&mut self, wait: Wait<'_>) -> Result<bool, Failure> {
        for _ in 0..50 {
            if !matches!(self.daemon.try_wait(), Ok(None)) {
                return Ok(false);
            }
            if self.run.join("sanlock.sock").exists() {
                return Ok(true);
            }
            wait(RETRY)?;
        }
        Ok(false)
    }

    fn client(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .arg("client")
            .args(args)
            .env("SANLOCK_RUN_DIR", &self.run)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn acquires(&self, lease: &str) -> bool {
        let mut command = self.client(&["command", "-r", lease, "-c", "/bin/true"]);
        command.status().is_ok_and(|status| status.success())
    }

    fn kill(&self) {
        // It may have ended by itself.
        let _gone = kill(
            Pid::from_raw(self.daemon.id().cast_signed()),
            Signal::SIGKILL,
        );
    }
}

/// A daemon that has a lockspace does not end when it is asked to.
impl Drop for Pair {
    fn drop(&mut self) {
        for process in self.holder.iter_mut() {
            let _gone = process.kill();
            let _ended = process.wait();
        }
        for host in &mut self.hosts {
            let _gone = host.daemon.kill();
            let _ended = host.daemon.wait();
        }
    }
}

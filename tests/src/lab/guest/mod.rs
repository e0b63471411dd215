//! A guest: booted, or restored from a saved state, and asked things through its agent.
//!
//! ```text
//! boot ── agent answers ── set up ── save to a file ── (ends)
//!                                        │
//!             for each case: restore ── play ── kill
//! ```
//!
//! A restored guest is the same in every byte: same empty disk, same clock, same process numbers, and the same
//! random numbers too.
//!
//! Invariants:
//! * every wait has a bound on this side, so a guest that hangs is an error and not a wait;
//! * a guest that goes out of scope is killed.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an answer of any other kind is the agent's mistake"
)]

mod lines;
mod machine;
mod qmp;
mod served;

pub(crate) use machine::Machine;
pub(crate) use served::Served;

use ::tests::protocol::{Answer, Ended, Request};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use lines::Lines;
use qmp::Qmp;
use std::io::Read as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a boot may take. 3 to 7 s when nothing else runs; a loaded machine needed 33 s once.
const BOOT: Duration = Duration::from_secs(120);
/// How long QEMU may take to connect to our sockets.
const CONNECT: Duration = Duration::from_secs(30);
/// How much longer than the bound that the agent was given its answer may take.
const MARGIN: Duration = Duration::from_secs(20);
/// Over which span its clock is compared with ours.
const CLOCK_CHECK: Duration = Duration::from_millis(700);
/// How often a guest that dies while it boots is booted again: the newer kernel was seen to panic once in 46 boots
/// under emulation.
const BOOTS_MAX: u32 = 3;

/// A running guest.
pub(crate) struct Guest {
    process: Child,
    agent: Lines,
    qmp: Qmp,
    console: PathBuf,
    /// The target that it uses; ends after it.
    served: Option<Served>,
}

impl Guest {
    /// Keeps the target as long as the guest.
    pub(crate) fn with(mut self, served: Option<Served>) -> Self {
        self.served = served;
        self
    }

    /// Boots, again when the guest dies while booting or its clock runs wrong; says why for each boot that failed.
    pub(crate) fn boot(
        machine: &Machine,
        folder: &Path,
        remarks: &mut Vec<String>,
    ) -> Result<Self> {
        for boot in 1.. {
            let attempt = Self::start(machine, folder, None).and_then(|mut guest| {
                let answered = guest.ask_within(&Request::Ping, BOOT);
                match answered.and_then(|_| guest.check_clock()) {
                    Ok(()) => Ok(guest),
                    Err(error) => Err(guest.explain(error)),
                }
            });
            match attempt {
                Ok(guest) => return Ok(guest),
                Err(error) if boot < BOOTS_MAX => {
                    remarks.push(format!("a guest was booted again: {error:#}"));
                }
                Err(error) => return Err(error.context(format!("{BOOTS_MAX} boots failed"))),
            }
        }
        unreachable!("the loop returns at the last boot")
    }

    /// Restores a saved state.
    pub(crate) fn restore(machine: &Machine, saved: &Path, folder: &Path) -> Result<Self> {
        let mut guest = Self::start(machine, folder, Some(saved))?;
        let answered = guest
            .qmp
            .resume()
            .and_then(|()| guest.ask_within(&Request::Ping, MARGIN));
        match answered {
            Ok(_) => Ok(guest),
            Err(error) => Err(guest.explain(error).context("restore a guest")),
        }
    }

    /// Saves the state; the guest is over then.
    pub(crate) fn save(mut self, to: &Path) -> Result<()> {
        self.qmp.save(to)
    }

    /// Asks the agent. The bound is that of the work; the answer may take a little longer.
    pub(crate) fn ask(&mut self, request: &Request, bound: Duration) -> Result<Answer> {
        self.ask_within(request, bound + MARGIN)
            .map_err(|error| self.explain(error))
    }

    /// Runs a program to its end.
    pub(crate) fn run(&mut self, argv: &[String], stdin: &str, bound: Duration) -> Result<Ended> {
        let request = Request::Run {
            argv: argv.to_vec(),
            stdin: stdin.to_owned(),
            bound_ms: u64::try_from(bound.as_millis())?,
        };
        let began = Instant::now();
        match self.ask(&request, bound)? {
            // Bounds are the guest's to count. One that was over long before it was over here says that the guest's
            // clock jumped, which is the machine's fault and nobody else's.
            Answer::Ended(ended) if ended.status.is_none() && began.elapsed() < bound / 2 => bail!(
                "the guest's clock jumped: {bound:?} of it went by in {:?}",
                began.elapsed()
            ),
            Answer::Ended(ended) => Ok(ended),
            other => bail!("{}: {other:?}", argv.join(" ")),
        }
    }

    /// Its clock has to run as ours does: every wait inside is counted by it.
    fn check_clock(&mut self) -> Result<()> {
        let (before, first, first_read) = self.uptime()?;
        sleep(CLOCK_CHECK);
        let (second_asked, second, after) = self.uptime()?;
        let here_at_least = second_asked - first_read;
        let here_at_most = after - before;
        let there = second.saturating_sub(first);
        // /proc/uptime counts hundredths of a second.
        let tolerated = here_at_most / 10 + Duration::from_millis(20);
        ensure!(
            there + tolerated >= here_at_least && there <= here_at_most + tolerated,
            "its clock runs wrong: {there:?} in {here_at_least:?} to {here_at_most:?}"
        );
        Ok(())
    }

    /// Its clock, between two looks at ours.
    fn uptime(&mut self) -> Result<(Instant, Duration, Instant)> {
        let asked = Instant::now();
        let ended = self.run(&["cat".into(), "/proc/uptime".into()], "", MARGIN)?;
        let text = ended.stdout.split_ascii_whitespace().next();
        let seconds: f64 = text.unwrap_or_default().parse().context("its uptime")?;
        Ok((asked, Duration::try_from_secs_f64(seconds)?, Instant::now()))
    }

    /// The machine as a whole stands still until [`Self::go_on`].
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.qmp.stop()
    }

    /// It goes on, as if no time had passed.
    pub(crate) fn go_on(&mut self) -> Result<()> {
        self.qmp.go_on()
    }

    /// The target of ours that it uses.
    pub(crate) fn served(&self) -> Result<&Served> {
        self.served
            .as_ref()
            .context("only a group with a target of ours has an outside")
    }

    /// Ends the machine without warning, as a power cut would.
    pub(crate) fn power_cut(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Waits until the machine is no more (a watchdog, a power-off).
    pub(crate) fn wait_for_end(&mut self, bound: Duration) -> Result<bool> {
        let deadline = Instant::now() + bound;
        while self.process.try_wait()?.is_none() {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            sleep(Duration::from_millis(20));
        }
        Ok(true)
    }

    /// The last lines of its console.
    pub(crate) fn console_tail(&self) -> String {
        let text = std::fs::read(&self.console).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).replace('\r', "");
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    fn ask_within(&mut self, request: &Request, bound: Duration) -> Result<Answer> {
        self.agent.write(&serde_json::to_string(request)?)?;
        let line = self.agent.read(bound)?;
        Ok(serde_json::from_str(&line)?)
    }

    /// Adds to an error what the machine itself said.
    fn explain(&mut self, error: anyhow::Error) -> anyhow::Error {
        let mut said = String::new();
        if matches!(self.process.try_wait(), Ok(Some(_)))
            && let Some(mut pipe) = self.process.stderr.take()
        {
            // Best effort: it is only to explain.
            drop(pipe.read_to_string(&mut said));
        }
        let console = self.console_tail();
        if console.is_empty() && said.is_empty() {
            return error;
        }
        anyhow!("{error:#}; the machine said: {}{console}", said.trim())
    }

    fn start(machine: &Machine, folder: &Path, saved: Option<&Path>) -> Result<Self> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        // Not in `target`: the path of a socket has room for 107 bytes only.
        let sockets = std::env::temp_dir().join(format!("lab-{}-{serial}", std::process::id()));
        std::fs::create_dir_all(&sockets)?;
        let started = Self::start_with_sockets(machine, folder, saved, &sockets, serial);
        // Connected or not, the names are of no more use.
        drop(std::fs::remove_dir_all(&sockets));
        started
    }

    fn start_with_sockets(
        machine: &Machine,
        folder: &Path,
        saved: Option<&Path>,
        sockets: &Path,
        serial: u64,
    ) -> Result<Self> {
        let agent = UnixListener::bind(sockets.join("agent"))?;
        let qmp = UnixListener::bind(sockets.join("qmp"))?;
        let console = folder.join(format!("console-{serial}"));
        let mut process = machine.start(
            &sockets.join("agent"),
            &sockets.join("qmp"),
            &console,
            saved,
        )?;
        let connected = accept(&agent, &mut process)
            .and_then(|agent| Ok((Lines::new(agent), Qmp::new(accept(&qmp, &mut process)?)?)));
        match connected {
            Ok((agent, qmp)) => Ok(Self {
                process,
                agent,
                qmp,
                console,
                served: None,
            }),
            Err(error) => {
                drop(process.kill());
                let output = process.wait_with_output()?;
                Err(error.context(format!(
                    "QEMU did not come up: {}",
                    String::from_utf8_lossy(&output.stderr).trim()
                )))
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Gone already is as good; and it has to be waited for, or it stays as a zombie.
        drop(self.process.kill());
        drop(self.process.wait());
        drop(std::fs::remove_file(&self.console));
    }
}

/// QEMU's connection, as long as QEMU lives.
fn accept(listener: &UnixListener, process: &mut Child) -> Result<UnixStream> {
    listener.set_nonblocking(true)?;
    let deadline = Instant::now() + CONNECT;
    loop {
        match listener.accept() {
            Ok((socket, _)) => {
                socket.set_nonblocking(false)?;
                return Ok(socket);
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("wait for QEMU"),
        }
        if let Some(status) = process.try_wait()? {
            bail!("QEMU ended with {status}");
        }
        if Instant::now() >= deadline {
            bail!("QEMU did not connect within {CONNECT:?}");
        }
        sleep(Duration::from_millis(5));
    }
}

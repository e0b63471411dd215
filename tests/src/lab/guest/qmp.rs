//! QEMU's control socket: just what saving and restoring a state, and stopping and continuing a machine, needs.

use super::lines::Lines;
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long QEMU may take for one answer.
const ANSWER: Duration = Duration::from_secs(20);
/// How long a state may take to be written or read.
const MOVE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// A connection in command mode.
pub(crate) struct Qmp(Lines);

impl Qmp {
    pub(crate) fn new(socket: UnixStream) -> Result<Self> {
        let mut qmp = Self(Lines::new(socket));
        qmp.0.read(ANSWER).context("QEMU did not greet")?;
        qmp.command("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Writes the machine's state to a file; the machine is stopped then.
    pub(crate) fn save(&mut self, to: &Path) -> Result<()> {
        self.command("stop", &json!({}))?;
        // Without this QEMU keeps to the bandwidth of a network.
        self.command(
            "migrate-set-parameters",
            &json!({ "max-bandwidth": 10_000_000_000_u64 }),
        )?;
        let uri = format!("exec:cat > '{}'", to.display());
        self.command("migrate", &json!({ "uri": uri }))?;
        let deadline = Instant::now() + MOVE;
        loop {
            let state = self.command("query-migrate", &json!({}))?;
            match state["status"].as_str() {
                Some("completed") => return Ok(()),
                Some("failed" | "cancelled") => bail!("the state could not be saved: {state}"),
                _ => ensure!(
                    Instant::now() < deadline,
                    "the state was not saved in {MOVE:?}"
                ),
            }
            sleep(POLL);
        }
    }

    /// The machine stands still, its clocks too.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.command("stop", &json!({})).map(drop)
    }

    /// It goes on, as if no time had passed.
    pub(crate) fn go_on(&mut self) -> Result<()> {
        self.command("cont", &json!({})).map(drop)
    }

    /// Waits until a state is read, and lets the machine run.
    pub(crate) fn resume(&mut self) -> Result<()> {
        let deadline = Instant::now() + MOVE;
        while self.command("query-status", &json!({}))?["status"] == "inmigrate" {
            ensure!(
                Instant::now() < deadline,
                "the state was not read in {MOVE:?}"
            );
            sleep(POLL);
        }
        self.command("cont", &json!({})).map(drop)
    }

    fn command(&mut self, name: &str, arguments: &Value) -> Result<Value> {
        self.0
            .write(&json!({ "execute": name, "arguments": arguments }).to_string())?;
        loop {
            let line = self
                .0
                .read(ANSWER)
                .with_context(|| format!("QEMU did not answer {name}"))?;
            let mut answer: Value = serde_json::from_str(&line)?;
            if let Some(error) = answer.get("error") {
                bail!("QEMU refused {name}: {error}");
            }
            // Events come in between.
            if answer.get("return").is_some() {
                return Ok(answer["return"].take());
            }
        }
    }
}

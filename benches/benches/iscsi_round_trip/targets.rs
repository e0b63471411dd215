//! Who answers: `qctl target serve` as it ships, and Debian's tgt with its default backing store.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const DISK_BYTES: usize = 64 << 20;
const START_BOUND: Duration = Duration::from_secs(20);

/// A target that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) url: String,
    process: Child,
}

impl Target {
    /// How much memory it has, in KiB.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .context("a process that has ended")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _ended = self.process.wait();
    }
}

/// A disk whose blocks are all there: reading a hole is another thing than reading a block.
fn disk(work: &Path, name: &str) -> Result<PathBuf> {
    let path = work.join(name);
    let mut file = File::create(&path)?;
    let mebibyte = vec![0xa5; 1 << 20];
    for _ in 0..DISK_BYTES / mebibyte.len() {
        file.write_all(&mebibyte)?;
    }
    file.sync_all()?;
    Ok(path)
}

/// Our target: the release build of the program, built now.
pub(crate) fn ours(folder: &Path, work: &Path) -> Result<Target> {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--package", "qctl"])
        .status()?;
    ensure!(built.success(), "qctl cannot be built");
    let mut process = Command::new(folder.join("qctl"))
        .args([
            "--json",
            "target",
            "serve",
            "--listen=127.0.0.1:0",
            "--file",
        ])
        .arg(disk(work, "ours")?)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let stdout = process.stdout.take().context("it was asked for")?;
    BufReader::new(stdout).read_line(&mut line)?;
    let listening: Value = serde_json::from_str(&line).context("qctl does not listen")?;
    let url = listening["url"].as_str().context("a URL")?.to_owned();
    Ok(Target {
        name: "ours",
        url,
        process,
    })
}

/// Debian's target, on a port that was free a moment ago.
pub(crate) fn tgt(work: &Path) -> Result<Target> {
    const TARGET: &str = "iqn.2026-01.bench:tgt";
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let socket = work.join("tgt-ipc");
    let process = Command::new("tgtd")
        .args(["-f", "-C", "0", "--iscsi"])
        .arg(format!("portal=127.0.0.1:{port}"))
        .env("TGT_IPC_SOCKET", &socket)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("tgt: there is no tgtd (Debian: tgt)")?;
    let target = Target {
        name: "tgt",
        url: format!("iscsi://127.0.0.1:{port}/{TARGET}/1"),
        process,
    };
    let admin = |args: &[&str]| -> Result<bool> {
        let status = Command::new("tgtadm")
            .args(["-C", "0", "--lld", "iscsi", "--tid", "1", "--op"])
            .args(args)
            .env("TGT_IPC_SOCKET", &socket)
            .stderr(Stdio::null())
            .status();
        Ok(status.context("tgt: there is no tgtadm")?.success())
    };
    let began = Instant::now();
    while !admin(&["new", "--mode", "target", "-T", TARGET])? {
        if began.elapsed() > START_BOUND {
            bail!("tgt: it does not start");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let image = disk(work, "tgt")?;
    let image = image.to_str().context("a path that is text")?;
    ensure!(
        admin(&["new", "--mode", "logicalunit", "--lun", "1", "-b", image])?
            && admin(&["bind", "--mode", "target", "-I", "ALL"])?,
        "tgt: it does not take a unit"
    );
    Ok(target)
}

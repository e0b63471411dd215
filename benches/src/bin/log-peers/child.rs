//! What runs in a process of its own: a writer that ends as a crash does, an open whose memory and caches nobody has
//! touched before, and appends whose system calls are counted.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};
use clap::Subcommand;
use serde::{Deserialize, Serialize};

use crate::{
    engine::{Engine, Tally, append_all},
    engines::{self, raw::RawFile},
    payload,
    rows::{RAW, quorum_log, recovery},
};

#[derive(Subcommand)]
pub(crate) enum Child {
    /// Writes a log and ends without closing it
    #[command(hide = true)]
    Write {
        engine: String,
        dir: PathBuf,
        shape: Shape,
        seed: u64,
    },
    /// Opens a log, reads all of it, and prints what that took
    #[command(hide = true)]
    Open { engine: String, dir: PathBuf },
    /// Appends so many records of 256 bytes, each durable
    #[command(hide = true)]
    Append {
        engine: String,
        dir: PathBuf,
        count: usize,
    },
}

/// Which log is written.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Shape {
    Recovery,
    QuorumLog,
}

/// What an open took.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Opened {
    pub(crate) nanoseconds: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) sum: u64,
    /// Resident memory with the log open, less what it was before.
    pub(crate) resident_kib: i64,
}

impl Opened {
    pub(crate) fn milliseconds(&self) -> f64 {
        self.nanoseconds as f64 / 1e6
    }

    pub(crate) fn tally(&self) -> Tally {
        Tally {
            records: self.records,
            bytes: self.bytes,
            sum: self.sum,
        }
    }
}

impl Child {
    pub(crate) fn run(&self) -> Result<()> {
        match self {
            Self::Write {
                engine,
                dir,
                shape,
                seed,
            } => write(engine, dir, *shape, *seed),
            Self::Open { engine, dir } => open(engine, dir),
            Self::Append { engine, dir, count } => append(engine, dir, *count),
        }
    }
}

/// Starts this program again as a writer, and waits for it.
pub(crate) fn start_write(engine: &str, dir: &Path, shape: Shape, seed: u64) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let shape = match shape {
        Shape::Recovery => "recovery",
        Shape::QuorumLog => "quorum-log",
    };
    let arguments = [
        "write".as_ref(),
        engine.as_ref(),
        dir.as_os_str(),
        shape.as_ref(),
    ];
    let mut command = Command::new(std::env::current_exe()?);
    let status = command.args(arguments).arg(seed.to_string()).status()?;
    ensure!(status.success(), "the writer ended with {status}");
    Ok(())
}

/// Starts this program again to open a log.
pub(crate) fn start_open(engine: &str, dir: &Path) -> Result<Opened> {
    let mut command = Command::new(std::env::current_exe()?);
    let output = command.arg("open").arg(engine).arg(dir).output()?;
    if !output.status.success() {
        bail!(
            "the open ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn write(engine: &str, dir: &Path, shape: Shape, seed: u64) -> Result<()> {
    let engine = find(engine)?;
    match shape {
        Shape::Recovery => {
            let log = engine.create(dir)?;
            append_all(log.as_ref(), &recovery::records(seed))?;
            std::mem::forget(log);
        }
        Shape::QuorumLog => {
            engine.create_quorum_log(dir, &quorum_log::image(seed), &quorum_log::records(seed))?;
        }
    }
    // Nothing is closed: what was acknowledged is all there is.
    std::process::exit(0)
}

#[expect(
    clippy::print_stdout,
    reason = "the answer to the process that started this one"
)]
fn open(engine: &str, dir: &Path) -> Result<()> {
    let engine = find(engine)?;
    let before = resident_kib()?;
    let start = Instant::now();
    let (log, tally) = engine.open(dir)?;
    let elapsed = start.elapsed();
    let opened = Opened {
        nanoseconds: u64::try_from(elapsed.as_nanos())?,
        records: tally.records,
        bytes: tally.bytes,
        sum: tally.sum,
        resident_kib: resident_kib()? - before,
    };
    drop(log);
    println!("{}", serde_json::to_string(&opened)?);
    Ok(())
}

fn append(engine: &str, dir: &Path, count: usize) -> Result<()> {
    let records = payload::records(1, count, 256);
    if engine == RAW {
        let mut raw = RawFile::create(&dir.join("raw"), 1 << 20)?;
        return records
            .iter()
            .try_for_each(|record| raw.write_and_flush(record));
    }
    let log = find(engine)?.create(dir)?;
    records.iter().try_for_each(|record| log.append(record))?;
    std::mem::forget(log);
    // A close would be counted too.
    std::process::exit(0)
}

fn find(name: &str) -> Result<Box<dyn Engine>> {
    let engine = engines::all()
        .into_iter()
        .find(|engine| engine.name() == name);
    engine.with_context(|| format!("no engine is named {name}"))
}

/// `VmRSS` of this process.
fn resident_kib() -> Result<i64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let value = line
        .and_then(|line| line.split_whitespace().next())
        .context("no VmRSS")?;
    Ok(value.parse()?)
}

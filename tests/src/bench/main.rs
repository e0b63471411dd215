//! How much `scsi::linux` costs beside the bare ioctl, and `qctl` beside `sg_persist`, on a kernel disk.
//!
//! Medians of interleaved rounds in one run: what one of a pair meets, the other meets too. Under emulation the
//! figures themselves say nothing; their ratios do. Printed as one document of JSON, and judged by nobody here.
#![expect(clippy::print_stdout, reason = "a program's result")]

use ::tests::bare_ioctl::{self, Data as BareData};
use anyhow::{Context as _, Result, ensure};
use scsi::device::{Data, Device};
use scsi::disk::Options;
use scsi::linux::SgIo;
use scsi::wire::cdb::Cdb;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Rounds of commands: enough that the median of a noisy guest is stable to a few percent.
const COMMAND_ROUNDS: usize = 4000;
/// Rounds of processes.
const PROCESS_ROUNDS: usize = 15;
const BOUND: Duration = Duration::from_secs(10);

const TEST_UNIT_READY: [u8; 6] = [0; 6];
const READ_KEYS: [u8; 10] = [0x5E, 0, 0, 0, 0, 0, 0, 2, 0, 0];

fn main() -> Result<()> {
    let disk = std::env::args().nth(1).context("lab-bench DISK")?;
    let bare = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&disk)
        .with_context(|| format!("open {disk}"))?;
    let mut direct: Box<dyn Device> = Box::new(SgIo::new(bare.try_clone()?, disk.clone()));
    let mut bounded = open_bounded(&disk)?;
    let document = json!({
        "command_rounds": COMMAND_ROUNDS,
        "process_rounds": PROCESS_ROUNDS,
        "pairs": [
            commands(DIRECT, "TEST UNIT READY", &mut direct, &bare, &TEST_UNIT_READY, 0)?,
            commands(DIRECT, "READ KEYS", &mut direct, &bare, &READ_KEYS, 512)?,
            commands(BOUNDED, "TEST UNIT READY", &mut bounded, &bare, &TEST_UNIT_READY, 0)?,
            commands(BOUNDED, "READ KEYS", &mut bounded, &bare, &READ_KEYS, 512)?,
            processes(&["qctl", "disk", "pr", "keys", &disk], &["sg_persist", "-n", "-i", "-k", &disk])?,
            processes(&["qctl", "--version"], &["sg_persist", "--version"])?,
        ],
    });
    println!("{}", serde_json::to_string_pretty(&document)?);
    Ok(())
}

/// The device itself, and the device on the thread that keeps the caller's bound: two hand-overs a command.
const DIRECT: &str = "scsi::linux::SgIo";
const BOUNDED: &str = "scsi::disk::open, bounded";

fn open_bounded(disk: &str) -> Result<Box<dyn Device>> {
    let opened = scsi::disk::open(disk, &Options::default())?;
    opened
        .paths
        .into_iter()
        .find_map(|path| path.device)
        .context("no way to send commands to this disk")
}

/// The same command through both, in turns.
fn commands(
    way: &str,
    name: &str,
    ours: &mut Box<dyn Device>,
    bare: &File,
    cdb: &[u8],
    room: usize,
) -> Result<Value> {
    let parsed = Cdb::new(cdb).context("a CDB of no length")?;
    let mut buffer = vec![0; room];
    let mut our_times = Vec::with_capacity(COMMAND_ROUNDS);
    let mut bare_times = Vec::with_capacity(COMMAND_ROUNDS);
    for round in 0..COMMAND_ROUNDS {
        // Whoever goes first in a round goes second in the next.
        for turn in [round % 2, (round + 1) % 2] {
            let began = Instant::now();
            if turn == 0 {
                let data = if room == 0 {
                    Data::None
                } else {
                    Data::In(&mut buffer)
                };
                let done = ours.execute(&parsed, data, BOUND)?;
                our_times.push(began.elapsed());
                ensure!(done.status.0 == 0, "{name}: {}", done.status);
            } else {
                let data = if room == 0 {
                    BareData::None
                } else {
                    BareData::In(&mut buffer)
                };
                let done = bare_ioctl::execute(bare, cdb, data)?;
                bare_times.push(began.elapsed());
                ensure!(done.status == 0, "{name}: status {:#04x}", done.status);
            }
        }
    }
    Ok(pair(name, way, our_times, "bare ioctl", bare_times))
}

/// Whole processes, in turns.
fn processes(ours: &[&str], theirs: &[&str]) -> Result<Value> {
    let time = |argv: &[&str]| -> Result<Duration> {
        let began = Instant::now();
        let status = Command::new(argv[0])
            .args(&argv[1..])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .with_context(|| format!("run {}", argv[0]))?;
        ensure!(status.success(), "{}: {status}", argv.join(" "));
        Ok(began.elapsed())
    };
    let mut our_times = Vec::new();
    let mut their_times = Vec::new();
    for _ in 0..PROCESS_ROUNDS {
        our_times.push(time(ours)?);
        their_times.push(time(theirs)?);
    }
    Ok(pair(
        "process",
        &ours.join(" "),
        our_times,
        &theirs.join(" "),
        their_times,
    ))
}

fn pair(
    name: &str,
    one: &str,
    one_times: Vec<Duration>,
    other: &str,
    other_times: Vec<Duration>,
) -> Value {
    let one_us = median_us(one_times);
    let other_us = median_us(other_times);
    json!({
        "what": name,
        "ours": one,
        "ours_median_us": one_us,
        "beside": other,
        "beside_median_us": other_us,
        "ratio": (one_us / other_us * 1000.0).round() / 1000.0,
    })
}

fn median_us(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    let middle = times[times.len() / 2].as_nanos();
    // Nanoseconds of one command or process: far below 2^53.
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    let nanos = middle as f64;
    (nanos / 100.0).round() / 10.0
}

//! Who sends the commands: our initiator in this process, libiscsi in a small program of its own.

use anyhow::{Context as _, Result, anyhow, ensure};
use scsi::device::{Data, Device};
use scsi::iscsi::initiator::{IscsiDevice, Options, Url, own_isid};
use scsi::iscsi::negotiation::Wishes;
use scsi::wire::cdb::Cdb;
use scsi::wire::status::Status;
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, Instant};

const BOUND: Duration = Duration::from_secs(10);
const NAME: &str = "iqn.2026-01.bench:initiator";
/// Commands before the first that is measured; they also meet the attentions of a new nexus.
const WARM_UP: usize = 200;

const TEST_UNIT_READY: [u8; 6] = [0; 6];
/// READ (10) of eight blocks at block 0.
const READ_4K: [u8; 10] = [0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0];
const READ_BYTES: usize = 4096;

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Command {
    TestUnitReady,
    Read4K,
}

impl Command {
    pub(crate) const ALL: [Self; 2] = [Self::TestUnitReady, Self::Read4K];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::TestUnitReady => "TEST UNIT READY",
            Self::Read4K => "READ (10), 4 KiB",
        }
    }
}

/// An initiator.
#[derive(Debug)]
pub(crate) enum Initiator {
    Ours,
    /// The program that was built.
    Libiscsi(PathBuf),
}

/// Builds the program around libiscsi.
pub(crate) fn libiscsi(work: &Path) -> Result<Initiator> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/iscsi_round_trip/libiscsi.c");
    let program = work.join("libiscsi");
    let built = process::Command::new("cc")
        .args(["-O2", "-Wall", "-o"])
        .arg(&program)
        .arg(source)
        .arg("-liscsi")
        .output()
        .context("libiscsi: there is no C compiler")?;
    ensure!(
        built.status.success(),
        "libiscsi cannot be built against (Debian: libiscsi-dev)"
    );
    Ok(Initiator::Libiscsi(program))
}

impl Initiator {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Libiscsi(_) => "libiscsi",
        }
    }

    /// One batch in a session of its own: how long each command took, in nanoseconds.
    pub(crate) fn run(&self, url: &str, command: Command, count: usize) -> Result<Vec<u64>> {
        match self {
            Self::Ours => ours(url, command, count),
            Self::Libiscsi(program) => theirs(program, url, command, count),
        }
    }
}

fn ours(url: &str, command: Command, count: usize) -> Result<Vec<u64>> {
    let url = Url::parse(url).map_err(|why| anyhow!(why))?;
    let options = Options {
        portal: url.portals[0].clone(),
        target: url.target,
        lun: url.lun,
        initiator: NAME.to_owned(),
        isid: own_isid()?,
        credentials: None,
        target_credentials: None,
        wishes: Wishes::default(),
    };
    let mut device = IscsiDevice::connect(options, BOUND)?;
    let cdb = match command {
        Command::TestUnitReady => Cdb::new(&TEST_UNIT_READY),
        Command::Read4K => Cdb::new(&READ_4K),
    };
    let cdb = cdb.context("a CDB of a length that there is")?;
    let mut buffer = vec![0; READ_BYTES];
    let mut took_ns = Vec::with_capacity(count);
    for number in 0..WARM_UP + count {
        let data = match command {
            Command::TestUnitReady => Data::None,
            Command::Read4K => Data::In(&mut buffer),
        };
        let began = Instant::now();
        let done = device.execute(&cdb, data, BOUND)?;
        let took = began.elapsed();
        if number < WARM_UP {
            continue;
        }
        ensure!(
            done.status == Status::GOOD,
            "command {number}: {}",
            done.status
        );
        ensure!(
            command == Command::TestUnitReady || done.transferred == READ_BYTES,
            "command {number}: {} bytes",
            done.transferred
        );
        took_ns.push(u64::try_from(took.as_nanos())?);
    }
    Ok(took_ns)
}

fn theirs(program: &Path, url: &str, command: Command, count: usize) -> Result<Vec<u64>> {
    let word = match command {
        Command::TestUnitReady => "tur",
        Command::Read4K => "read4k",
    };
    let output = process::Command::new(program)
        .args([url, NAME, word])
        .args([WARM_UP.to_string(), count.to_string()])
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    String::from_utf8(output.stdout)?
        .lines()
        .map(|line| Ok(line.parse()?))
        .collect()
}

//! A command that the disk does not answer holds up no other: the next goes over a further handle of the path,
//! which is opened only then.
//!
//! `lab-handles DISK OPTIONS EVERY_NTH`: the last two are the files with which scsi_debug is told to swallow
//! commands.
#![expect(clippy::print_stdout, reason = "a program's result")]

use anyhow::{Context as _, Result, ensure};
use scsi::disk::Options;
use scsi::reservation::{Answer, Uncertainty, Unsent, Verb};
use scsi::reservations::Reservations;
use std::path::Path;
use std::time::{Duration, Instant};

/// scsi_debug's bit for "swallow every nth command".
const SWALLOW: &str = "4";
/// Far below the kernel's own timeout of two seconds.
const SHORT: Duration = Duration::from_millis(300);
/// Within this the kernel has given up every command that was swallowed, and has recovered.
const RECOVERED: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [disk, options, every_nth] = &arguments[..] else {
        anyhow::bail!("lab-handles DISK OPTIONS EVERY_NTH");
    };
    let opened = scsi::disk::open(disk, &Options::default())?;
    let mut way = opened
        .paths
        .into_iter()
        .next()
        .context("a path")?
        .reservations;
    let ready =
        |way: &mut Box<dyn Reservations>, bound| way.perform(&Verb::TestUnitReady, bound).answer;
    ensure!(
        matches!(ready(&mut way, SHORT), Answer::Done(_)),
        "at first"
    );
    let handles = open_files()?;

    std::fs::write(options, SWALLOW)?;
    std::fs::write(every_nth, "1")?;
    let swallowed = ready(&mut way, SHORT);
    std::fs::write(every_nth, "0")?;
    let timed_out = Answer::OutcomeUnknown(Uncertainty::TimedOut);
    ensure!(
        swallowed == timed_out,
        "it was to be swallowed: {swallowed:?}"
    );
    ensure!(
        open_files()? == handles,
        "nothing is opened before it is needed"
    );

    let next = ready(&mut way, SHORT);
    ensure!(
        matches!(next, Answer::Done(_)),
        "over a further handle: {next:?}"
    );
    ensure!(open_files()? == handles + 1, "one further handle");
    println!("while the first command was out, the next one was answered over a further handle");

    let began = Instant::now();
    loop {
        match ready(&mut way, SHORT) {
            // Later than the kernel gives up.
            Answer::Done(_) if began.elapsed() > Duration::from_secs(5) => break,
            Answer::Done(_)
            | Answer::OutcomeUnknown(Uncertainty::TimedOut)
            | Answer::NotSent(Unsent::Busy) => {}
            other @ (Answer::Conflict { .. }
            | Answer::Attention(_)
            | Answer::Refused(_)
            | Answer::Unsupported
            | Answer::OutcomeUnknown(Uncertainty::Transport(_))
            | Answer::NotSent(_)) => anyhow::bail!("while the kernel recovers: {other:?}"),
        }
        ensure!(began.elapsed() < RECOVERED, "the way is not free again");
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("the kernel has given the lost command up, and the path is as before");
    Ok(())
}

/// How many files this process has open.
fn open_files() -> Result<usize> {
    let folder = Path::new("/proc/self/fd");
    Ok(std::fs::read_dir(folder)?.count())
}

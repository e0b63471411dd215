//! Fencing by fence_scsi, by its own program, on the disk of the bench: two nodes register, and the one cuts the other
//! off. What is measured begins where Corosync has found a node dead: the agent's `off`, from its start to its end, as
//! Pacemaker runs it.
//!
//! The agent always aborts the victim's commands, so it is not run where the target is said to hang in that
//! (`--no-abort`). It knows this host by files, one for all of its disks: a host that has them is fenced by it, and nothing
//! is run there. What a run leaves, files and keys, is removed.

use super::on_path;
use crate::arbitrate::command::leash::die_with_parent;
use crate::bench::site::Site;
use crate::clock;
use scsi::disk::{Options, Purpose, Way};
use scsi::reservation::{Key, RegisterOptions, Verb};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const PROGRAM: &str = "fence_scsi";

/// The agent's own, with its key and its disks. The watchdog's check resets a host that has lost its key.
const FILES: [&str; 2] = [
    "/var/run/cluster/fence_scsi.key",
    "/var/run/cluster/fence_scsi.dev",
];

/// The keys of the two nodes.
const VICTIM: &str = "be0c0001";
const WINNER: &str = "be0c0002";

/// How often the victim is cut off.
pub(super) const RUNS: u32 = 3;

/// The bound on each command that cleans up.
const BOUND: Duration = Duration::from_secs(10);

/// Is it there?
pub(super) fn is_installed() -> bool {
    on_path(PROGRAM)
}

/// The median of some fencings in seconds; or why it could not be run.
pub(super) fn fencing(site: &Site, no_abort: bool) -> Result<f64, String> {
    let (victim, winner) = (site.name_of(1), site.name_of(2));
    if site.way != Way::SgIo || victim == winner {
        return Err("it wants a SCSI disk of this kernel, named once for each node".to_owned());
    }
    if no_abort {
        return Err("it always aborts, and this target hangs in that (--no-abort)".to_owned());
    }
    if let Some(file) = FILES.iter().find(|file| Path::new(file).exists()) {
        return Err(format!("{file} is there: this host may be fenced by it"));
    }
    let _cleaning = Cleaning { victim, winner };
    let mut took = Vec::new();
    for _ in 0..RUNS {
        // Who was `on` last is whom the agent takes this host for.
        agent("on", victim, VICTIM)?;
        agent("on", winner, WINNER)?;
        let began = clock::since_boot();
        agent("off", winner, VICTIM)?;
        took.push(clock::since_boot().saturating_sub(began).as_secs_f64());
    }
    took.sort_by(f64::total_cmp);
    Ok(took[took.len() / 2])
}

/// Each of its commands the agent bounds by itself, by 20 s.
fn agent(action: &str, disk: &str, key: &str) -> Result<(), String> {
    let mut command = Command::new(PROGRAM);
    command
        .args(["--action", action, "--devices", disk, "--key", key])
        .stdin(Stdio::null());
    die_with_parent(&mut command);
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    Err(format!(
        "{action} on {disk} failed: {}",
        last.unwrap_or("it does not say why")
    ))
}

/// Takes back what the agent has left: its keys and its files.
struct Cleaning<'a> {
    victim: &'a str,
    winner: &'a str,
}

impl Drop for Cleaning<'_> {
    fn drop(&mut self) {
        for file in FILES {
            // It may not have come so far.
            let _gone = std::fs::remove_file(file);
        }
        for (disk, key) in [(self.victim, VICTIM), (self.winner, WINNER)] {
            unregister(disk, key);
        }
    }
}

/// The reservation goes with its holder's key. A key that is not registered is a conflict, and nothing to do.
fn unregister(disk: &str, key: &str) {
    let options = Options {
        bound: BOUND,
        purpose: Purpose::Verb,
        ..Options::default()
    };
    let Ok(mut disk) = scsi::disk::open(disk, &options) else {
        return;
    };
    let key = u64::from_str_radix(key, 16).ok().and_then(Key::new);
    let verb = Verb::Register {
        existing: key,
        new: None,
        options: RegisterOptions::default(),
    };
    for path in disk.paths.iter_mut().filter(|_| key.is_some()) {
        // The first tries may meet attentions.
        for _ in 0..3 {
            let _answer = path.reservations.perform(&verb, BOUND);
        }
    }
}

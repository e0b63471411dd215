//! What stands beside every figure: the target, the kernel, the load, the times in force.

use quorum_core::times::Times;
use scsi::disk::Identity;
use serde::{Deserialize, Serialize};

/// The conditions of a bench.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Conditions {
    /// The disk, as it was named.
    pub(super) disk: String,
    /// How commands travel.
    pub(super) way: String,
    /// The target's vendor.
    pub(super) vendor: Option<String>,
    /// The target's model.
    pub(super) model: Option<String>,
    /// Its revision.
    pub(super) revision: Option<String>,
    /// Its world-wide name.
    pub(super) wwid: Option<String>,
    /// This program.
    pub(super) qctl: String,
    /// The kernel's release.
    pub(super) kernel: String,
    /// How many CPUs this process may use.
    pub(super) cpus: usize,
    /// The load averages at the start.
    pub(super) load_start: [f64; 3],
    /// The load averages at the end.
    pub(super) load_end: [f64; 3],
    /// The contest; none where nobody contends.
    pub(super) contest: Option<Rules>,
}

/// What the contenders go by.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Rules {
    /// `pr` or `scsi2`.
    pub(super) mode: String,
    /// The profile's name.
    pub(super) profile: String,
    /// How many contend.
    pub(super) contenders: u8,
    /// d: between two defence rounds.
    pub(super) defend_interval_ms: f64,
    /// w: the challenge wait.
    pub(super) challenge_wait_ms: f64,
    /// g: from `Held` to `Owner`.
    pub(super) settle_ms: f64,
    /// j: a run is late when this host's timers were later than this.
    pub(super) lateness_ms: f64,
    /// What the solver promises: from the loss of the owner to the next `Owner`.
    pub(super) takeover_at_most_ms: f64,
}

impl Rules {
    /// The rules of these times.
    pub(super) fn of(mode: &str, profile: &str, contenders: u8, times: &Times) -> Self {
        let ms = crate::arbitrate::record::ms;
        Self {
            mode: mode.to_owned(),
            profile: profile.to_owned(),
            contenders,
            defend_interval_ms: ms(times.defend_interval),
            challenge_wait_ms: ms(times.challenge_wait),
            settle_ms: ms(times.settle),
            lateness_ms: ms(times.lateness),
            takeover_at_most_ms: ms(times.takeover_at_most(u32::from(contenders) - 1)),
        }
    }
}

impl Conditions {
    /// The conditions now.
    pub(super) fn now(disk: &str, way: &str, identity: &Identity, contest: Option<Rules>) -> Self {
        let load = load();
        Self {
            disk: disk.to_owned(),
            way: way.to_owned(),
            vendor: identity.vendor.clone(),
            model: identity.model.clone(),
            revision: identity.revision.clone(),
            wwid: identity.wwid.clone(),
            qctl: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: line("/proc/sys/kernel/osrelease"),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            load_start: load,
            load_end: load,
            contest,
        }
    }

    /// The bench is over.
    pub(super) fn end(&mut self) {
        self.load_end = load();
    }

    /// For people: one line.
    pub(super) fn words(&self) -> String {
        let name = |part: &Option<String>| part.clone().unwrap_or_default().trim().to_owned();
        let contest = self.contest.as_ref().map_or_else(String::new, |rules| {
            format!(
                ", {} contenders, mode {}, profile {}",
                rules.contenders, rules.mode, rules.profile
            )
        });
        format!(
            "{} ({} {} by {}){contest}; Linux {}, {} CPUs",
            self.disk,
            name(&self.vendor),
            name(&self.model),
            self.way,
            self.kernel,
            self.cpus
        )
    }
}

/// The load averages over 1, 5 and 15 minutes.
fn load() -> [f64; 3] {
    let text = line("/proc/loadavg");
    let mut words = text.split(' ').map(|word| word.parse().unwrap_or(0.0));
    std::array::from_fn(|_| words.next().unwrap_or(0.0))
}

fn line(path: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.trim().to_owned()
}

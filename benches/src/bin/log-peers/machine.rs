//! Where it ran: a figure without its machine says little.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde::Serialize;

#[derive(Serialize)]
pub(crate) struct Machine {
    pub(crate) directory: String,
    /// Type and source of the mount.
    pub(crate) file_system: String,
    pub(crate) kernel: String,
    pub(crate) processors: usize,
    /// Of the last minute, before the run.
    pub(crate) load_average: String,
    /// Of this process: its policy and nice value, or its real-time priority.
    pub(crate) scheduling: String,
}

pub(crate) fn describe(dir: &Path) -> Result<Machine> {
    let line = |file: &str| -> Result<String> {
        Ok(fs::read_to_string(file)
            .with_context(|| file.to_owned())?
            .trim()
            .to_owned())
    };
    Ok(Machine {
        directory: dir.parent().unwrap_or(dir).display().to_string(),
        file_system: file_system(dir, &line("/proc/self/mounts")?),
        kernel: line("/proc/sys/kernel/osrelease")?,
        processors: std::thread::available_parallelism()?.get(),
        load_average: line("/proc/loadavg")?
            .split(' ')
            .next()
            .unwrap_or("unknown")
            .to_owned(),
        scheduling: scheduling(&line("/proc/self/stat")?),
    })
}

impl Machine {
    /// Whether others kept the processors busy.
    pub(crate) fn is_busy(&self) -> bool {
        let load: f64 = self.load_average.parse().unwrap_or(0.0);
        load > self.processors as f64 / 2.0
    }

    /// Whether this process has precedence over them.
    pub(crate) fn has_precedence(&self) -> bool {
        !self.scheduling.starts_with("SCHED_OTHER")
    }
}

/// From the fields of proc(5)'s `stat`, counted after the name in parentheses, which may hold anything.
fn scheduling(stat: &str) -> String {
    let fields: Vec<_> = stat
        .rsplit_once(')')
        .map_or(vec![], |(_, fields)| fields.split_whitespace().collect());
    // The first of these is field 3, the state.
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or("unknown");
    let (nice, priority) = (field(19), field(40));
    match field(41) {
        "0" => format!("SCHED_OTHER, nice {nice}"),
        "1" => format!("SCHED_FIFO, priority {priority}"),
        "2" => format!("SCHED_RR, priority {priority}"),
        policy => format!("policy {policy}"),
    }
}

/// The last mount whose point is the longest that leads to `dir`.
fn file_system(dir: &Path, mounts: &str) -> String {
    let mut best = (0, "unknown".to_owned());
    for line in mounts.lines() {
        let mut words = line.split(' ');
        if let (Some(source), Some(point), Some(kind)) = (words.next(), words.next(), words.next())
            && dir.starts_with(point)
            && point.len() >= best.0
        {
            best = (point.len(), format!("{kind} ({source})"));
        }
    }
    best.1
}

/// The version of a dependency in the lock file that this program was built with.
pub(crate) fn locked_version(package: &str) -> &'static str {
    const LOCK: &str = include_str!("../../../../Cargo.lock");
    let name = format!("name = \"{package}\"");
    let mut lines = LOCK.lines().skip_while(|line| *line != name).skip(1);
    let version = lines
        .next()
        .and_then(|line| line.strip_prefix("version = "));
    version.map_or("unknown", |version| version.trim_matches('"'))
}

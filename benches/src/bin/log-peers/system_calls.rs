//! System calls per append, counted by strace in a child.

use std::{collections::BTreeMap, fmt, fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

/// Name of the call, and how many of it per append.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct SystemCalls(BTreeMap<String, f64>);

impl fmt::Display for SystemCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut calls: Vec<_> = self.0.iter().collect();
        calls.sort_by(|a, b| b.1.total_cmp(a.1));
        let calls: Vec<_> = calls
            .iter()
            .map(|(name, count)| format!("{count:.2} {name}"))
            .collect();
        f.write_str(&calls.join(" + "))
    }
}

/// Two children append these many; their difference has neither creation nor exit in it.
const APPENDS: [usize; 2] = [100, 500];

/// Fewer of a kind per append are somebody's timer.
const NEGLIGIBLE: f64 = 0.02;

/// How they are counted on this machine.
pub(crate) fn availability() -> String {
    if has_strace() {
        let [few, many] = APPENDS;
        format!("strace -c -f, {many} appends less {few}, of 256 B, one thread")
    } else {
        "not counted: strace is not installed".into()
    }
}

/// None without strace.
pub(crate) fn count(engine: &str, dir: &Path) -> Result<Option<SystemCalls>> {
    if !has_strace() {
        return Ok(None);
    }
    let [few, many] = APPENDS;
    let before = strace(engine, dir, few)?;
    let mut calls = strace(engine, dir, many)?;
    for (name, count) in &mut calls {
        *count = (*count - before.get(name).copied().unwrap_or(0.0)) / (many - few) as f64;
    }
    calls.retain(|_, count| *count > NEGLIGIBLE);
    Ok(Some(SystemCalls(calls)))
}

fn has_strace() -> bool {
    Command::new("strace")
        .arg("-V")
        .output()
        .is_ok_and(|output| output.status.success())
}

fn strace(engine: &str, dir: &Path, appends: usize) -> Result<BTreeMap<String, f64>> {
    let dir = dir.join(format!("{engine}.{appends}"));
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    let table = dir.with_extension("strace");
    let output = Command::new("strace")
        .args(["-c", "-f", "-U", "name,calls", "-o"])
        .arg(&table)
        .arg(std::env::current_exe()?)
        .arg("append")
        .arg(engine)
        .arg(&dir)
        .arg(appends.to_string())
        .output()?;
    let message = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "strace of {engine} ended with {}: {message}",
        output.status
    );
    let calls = parse(&fs::read_to_string(&table)?);
    ensure!(!calls.is_empty(), "strace counted nothing for {engine}");
    fs::remove_dir_all(&dir)?;
    Ok(calls)
}

/// Lines of a name and a number; the rest of the table is its frame and its total.
fn parse(table: &str) -> BTreeMap<String, f64> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let (name, calls) = (words.next()?, words.next()?.parse().ok()?);
        (name != "total").then(|| (name.to_owned(), calls))
    };
    table.lines().filter_map(line).collect()
}

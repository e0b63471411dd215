//! The command line, and the run as a whole.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::{
    child, engines, machine,
    report::{self, EngineUsed, Report},
    rounds::Rounds,
    rows::{self, Bench},
    system_calls,
};

/// Our log beside other engines, in one interleaved run, as medians and ratios
#[derive(Parser)]
struct Arguments {
    /// Measure on the file system of this directory; what is made there is removed at the end
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Write every sample, ratio and goal to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Rounds, in each of which every engine has one turn a row
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Seed of the order and of the payloads
    #[arg(long, value_name = "N", default_value_t = 4)]
    seed: u64,
    /// Only these rows
    #[arg(long, value_name = "ROW", value_delimiter = ',', value_parser = rows::names())]
    rows: Vec<String>,
    /// Only these engines, beside the raw write
    #[arg(long, value_name = "ENGINE", value_delimiter = ',')]
    engines: Vec<String>,
    #[command(subcommand)]
    child: Option<child::Child>,
}

pub(crate) fn run() -> Result<()> {
    let arguments = Arguments::parse();
    match &arguments.child {
        Some(child) => child.run(),
        None => measure(&arguments),
    }
}

fn measure(arguments: &Arguments) -> Result<()> {
    let all = engines::all();
    for name in &arguments.engines {
        let known = all.iter().any(|engine| engine.name() == name);
        ensure!(known, "no engine is named {name}");
    }
    let wanted =
        |name: &str| arguments.engines.is_empty() || arguments.engines.iter().any(|e| e == name);
    let engines: Vec<_> = all
        .into_iter()
        .filter(|engine| wanted(engine.name()))
        .collect();
    let scratch = Scratch::create(&arguments.dir)?;
    let mut bench = Bench {
        engines: &engines,
        dir: &scratch.0,
        seed: arguments.seed,
        rounds: Rounds::new(arguments.rounds, arguments.seed),
    };

    let mut report = Report {
        seed: arguments.seed,
        rounds: arguments.rounds,
        machine: machine::describe(&scratch.0)?,
        system_calls: system_calls::availability(),
        engines: EngineUsed::list(&engines),
        rows: Vec::new(),
    };
    report::print_head(&report);
    for row in rows::ALL {
        if arguments.rows.is_empty() || arguments.rows.iter().any(|name| name == row.name) {
            let measured =
                (row.measure)(&mut bench).with_context(|| format!("row {}", row.name))?;
            for row in measured {
                report::print_row(&row);
                report.rows.push(row);
            }
        }
    }
    report::print_end(&report);
    if let Some(file) = &arguments.json {
        let json = serde_json::to_string_pretty(&report)?;
        fs::write(file, json + "\n").with_context(|| file.display().to_string())?;
    }
    Ok(())
}

/// A directory of our own, gone when the run ends or fails.
struct Scratch(PathBuf);

impl Scratch {
    fn create(parent: &Path) -> Result<Self> {
        let parent = parent
            .canonicalize()
            .with_context(|| parent.display().to_string())?;
        let dir = parent.join(format!("log-peers.{}", std::process::id()));
        fs::create_dir(&dir).with_context(|| dir.display().to_string())?;
        Ok(Self(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing is lost when it stays, and the run's result is what counts.
        drop(fs::remove_dir_all(&self.0));
    }
}

//! The rows of the table, one file each.

mod durable_append;
mod group_commit;
mod pipelined;
pub(crate) mod quorum_log;
pub(crate) mod recovery;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::builder::PossibleValuesParser;

use crate::{
    engine::{Engine, Log},
    report::Row,
    rounds::Rounds,
};

/// The raw write's name in the tables.
pub(crate) const RAW: &str = "raw";

/// What every row works with.
pub(crate) struct Bench<'a> {
    pub(crate) engines: &'a [Box<dyn Engine>],
    pub(crate) dir: &'a Path,
    pub(crate) seed: u64,
    pub(crate) rounds: Rounds,
}

/// Gives one row, or several where one measurement shows several things.
type Measure = fn(&mut Bench<'_>) -> Result<Vec<Row>>;

pub(crate) struct RowKind {
    pub(crate) name: &'static str,
    pub(crate) measure: Measure,
}

pub(crate) const ALL: &[RowKind] = &[
    RowKind {
        name: "append-256",
        measure: |bench| durable_append::measure(bench, 256),
    },
    RowKind {
        name: "append-4096",
        measure: |bench| durable_append::measure(bench, 4096),
    },
    RowKind {
        name: "group-commit",
        measure: group_commit::measure,
    },
    RowKind {
        name: "pipelined",
        measure: pipelined::measure,
    },
    RowKind {
        name: "recovery",
        measure: recovery::measure,
    },
    RowKind {
        name: "quorum-log",
        measure: quorum_log::measure,
    },
];

pub(crate) fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(ALL.iter().map(|row| row.name))
}

impl Bench<'_> {
    /// A directory for a row; the last row's is gone.
    fn row_dir(&self, name: &str) -> Result<PathBuf> {
        for entry in fs::read_dir(self.dir)? {
            fs::remove_dir_all(entry?.path())?;
        }
        let dir = self.dir.join(name);
        fs::create_dir(&dir).with_context(|| dir.display().to_string())?;
        Ok(dir)
    }

    /// A new log of every engine.
    fn create_logs(&self, dir: &Path) -> Result<Vec<Subject>> {
        let mut logs = Vec::new();
        for engine in self.engines {
            let name = engine.name();
            let dir = dir.join(name);
            fs::create_dir(&dir).with_context(|| dir.display().to_string())?;
            logs.push(Subject {
                name,
                log: engine.create(&dir).context(name)?,
            });
        }
        Ok(logs)
    }
}

/// An engine's log that a row appends to.
struct Subject {
    name: &'static str,
    log: Box<dyn Log>,
}

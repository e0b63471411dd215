//! `cargo lab`: our programs on the disks of the real Linux kernel, in guests that need no hardware and no root.
//!
//! ```text
//! packages ─► image (kernel, archive) ─► guest, set up and saved, one for each group
//!                                               │
//! cases (tests/lab/cases/GROUP/NAME) ─► script ─► play in a restored guest ─► report
//! ```
//!
//! It decides what passed. It never installs anything, and never touches a disk of the host.

mod binaries;
mod compare;
mod disk;
mod group;
mod guest;
mod image;
mod jobs;
mod leash;
mod observe;
mod options;
mod outside;
mod packages;
mod paths;
mod play;
mod report;
mod script;
mod suite;

use anyhow::Result;
use options::{Options, USAGE};
use paths::Paths;
use report::say;
use std::process::ExitCode;
use suite::Suite;

fn main() -> ExitCode {
    // Not by returning the error: what went wrong is told in one line, without a backtrace.
    run().unwrap_or_else(|error| {
        say(&format!("the lab cannot work: {error:#}"));
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode> {
    let options = Options::parse(std::env::args().skip(1))?;
    if options.help {
        say(USAGE);
        return Ok(ExitCode::SUCCESS);
    }
    let paths = Paths::new();
    let suite = Suite::read(&paths)?;
    if options.list {
        for case in &suite.cases {
            say(&format!("{:<64} {}", case.full_name(), case.title));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let run = suite.run(&options, &paths)?;
    if let Some(file) = &options.json {
        report::write_json(&run.results, &run.remarks, file)?;
    }
    Ok(if report::say_end(&run.results, &run.remarks) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

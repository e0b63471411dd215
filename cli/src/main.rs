//! `qctl`: arbitrate and inspect quorum disks.
//!
//! The whole program on one page: parse, run one command, end with one code. A command asks the crates
//! and returns a value; [`output`] is the only place that prints it.
//!
//! | module | what it is |
//! |---|---|
//! | [`disk`] | the noun `disk` and its verbs |
//! | [`log`] | the noun `log` and its verbs |
//! | [`arbitrate`] | take a disk, keep it, run a command while it is ours |
//! | [`demo`] | the main job on an emulated disk |
//! | [`contest`] | contenders and a target as processes, for the demo and the benches |
//! | [`mod@bench`] | how long a disk takes, and arbitration on it |
//! | [`sim`] | the machines on a virtual clock, and their waiting times |
//! | [`target`] | serve an emulated shared disk over iSCSI |
//! | [`args`] | arguments as values: keys, types, durations, WWID prefixes |
//! | [`exit`] | the exit codes, and how an answer of a disk becomes one with a message and a next step |
//! | [`output`] | text or JSON: results on stdout, messages on stderr |
//! | [`content`] | what is on a disk, recognised by its signatures |
//! | [`audit`] | one event for every change |
//! | [`schema`], [`manual`] | what `qctl` says about itself |

mod arbitrate;
mod args;
mod audit;
mod bench;
mod clock;
mod content;
mod contest;
mod demo;
mod disk;
mod exit;
mod interrupt;
mod log;
mod manual;
mod output;
mod schema;
mod sim;
mod target;
mod words;

use clap::{Parser, Subcommand};
use exit::{Exit, Failure};
use output::Output;
use std::process::ExitCode;

/// Arbitrate and inspect quorum disks.
#[derive(Parser)]
#[command(name = "qctl", version, about, long_about = None, max_term_width = 100)]
#[command(propagate_version = true, after_help = manual::ROOT_EXAMPLES)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Global {
    /// Print JSON: one document, or one line for each event
    #[arg(long, global = true)]
    json: bool,
    /// Print every command that is sent, its data, status and time, to stderr
    #[arg(long, global = true)]
    trace: bool,
    /// Colours in text
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: output::Colour,
    /// The name of this iSCSI initiator, for iscsi://… disks
    #[arg(long, global = true, value_name = "IQN", env = "QCTL_INITIATOR")]
    initiator: Option<String>,
    /// The file with CHAP names and secrets, for iscsi://… disks (its format: `qctl target serve --help`)
    #[arg(long, global = true, value_name = "FILE", env = "QCTL_CHAP_FILE")]
    chap_file: Option<std::path::PathBuf>,
    /// Faults to inject between qctl and the disk, for tests
    #[arg(long, global = true, value_name = "SCHEDULE", hide = true)]
    fault: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// See the main job work on an emulated disk: no disk and no root needed
    Demo(demo::Args),
    /// Inspect a shared disk, reserve it, reset it
    Disk(disk::Args),
    /// Make, look into, verify and rescue the recovery log of a quorum disk
    Log(log::Args),
    /// Take a disk, keep it, and run a command while it is ours
    Arbitrate(Box<arbitrate::Args>),
    /// Measure a disk, arbitration on it, and failover
    Bench(bench::Args),
    /// Serve an emulated shared disk over iSCSI
    Target(target::Args),
    /// Simulate arbitration with everything that may go wrong, and solve its waiting times
    Sim(Box<sim::Args>),
    /// The keeper of a command, between qctl and it
    #[command(name = arbitrate::command::KEEPER, hide = true)]
    Keeper(arbitrate::command::keeper::Args),
    /// Print a JSON schema of this program's output
    Schema(schema::Args),
    /// Print completions for a shell
    Completions(manual::CompletionsArgs),
    /// Print the manual page, or write one for each command into a directory
    Man(manual::ManArgs),
}

impl Command {
    fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        match self {
            Self::Demo(args) => args.run(context),
            Self::Disk(args) => args.run(context),
            Self::Log(args) => args.run(context),
            Self::Arbitrate(args) => args.run(context),
            Self::Bench(args) => args.run(context),
            Self::Target(args) => args.run(context),
            Self::Sim(args) => args.run(context),
            Self::Keeper(args) => args.run(),
            Self::Schema(args) => args.run(context),
            Self::Completions(args) => args.run(context),
            Self::Man(args) => args.run(context),
        }
    }
}

/// What a command works with.
pub(crate) struct Context {
    /// Where it prints.
    pub(crate) output: Output,
    /// The options that every command understands.
    pub(crate) global: Global,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error),
    };
    let mut context = Context {
        output: Output::new(cli.global.json, cli.global.color),
        global: cli.global,
    };
    let ending = cli.command.run(&mut context);
    context.output.end(ending)
}

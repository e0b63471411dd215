//! `qctl sim`: the shipped machines on a virtual clock, and the waiting times that they live by. Touches no disk.
//!
//! | module | what it is |
//! |---|---|
//! | [`arbitration`] | many random worlds from one seed, every checker on |
//! | [`report`] | what was counted, as text and as a document |
//! | [`times`] | the waiting times for a profile or a takeover target, each inequality with its slack |

mod arbitration;
mod report;
mod times;

pub(crate) use times::solve;

use crate::Context;
use crate::exit::{Exit, Failure};
use clap::Subcommand;
use quorum_core::arbitration::Mode;

/// `qctl sim`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Simulate contenders for one disk, with everything that may go wrong
    Arbitration(arbitration::Args),
    /// The waiting times for a profile or a takeover target, each inequality with its slack
    Times(times::Args),
}

impl Args {
    /// Simulates, or solves.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        match self.what {
            What::Arbitration(args) => args.run(context),
            What::Times(args) => args.run(context),
        }
    }
}

/// A protocol by its name.
pub(crate) fn mode(name: &str) -> Result<Mode, String> {
    match name {
        "pr" => Ok(Mode::Persistent),
        "scsi2" => Ok(Mode::Spc2),
        _ => Err("a mode is pr or scsi2".to_owned()),
    }
}

const fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Persistent => "pr",
        Mode::Spc2 => "scsi2",
    }
}

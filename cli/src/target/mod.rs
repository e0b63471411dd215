//! The noun `target`: an emulated shared disk for every machine.

mod serve;

use crate::Context;
use crate::exit::{Exit, Failure};

/// `qctl target`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    /// Serve a file as a shared disk until SIGTERM
    Serve(Box<serve::Args>),
}

impl Args {
    /// Runs the verb.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        match self.verb {
            Verb::Serve(args) => args.run(context),
        }
    }
}

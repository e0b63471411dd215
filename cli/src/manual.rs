//! What `qctl` says about itself: completions, and manual pages with the exit codes, the privileges and
//! the lines of other tools.

use crate::exit::{Exit, Failure};
use crate::{Cli, Context};
use clap::CommandFactory;
use std::path::PathBuf;

/// Shown under `qctl --help`.
pub(crate) const ROOT_EXAMPLES: &str = "\
Exit codes: 0 done, 1 usage, 24 conflict, 33 and 112 outcome unknown, 107 wants --yes; `qctl man` has all.
Everything speaks JSON with --json; `qctl schema` lists the schemas.";

/// `qctl completions`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  qctl completions bash > /etc/bash_completion.d/qctl
  qctl completions zsh > /usr/share/zsh/vendor-completions/_qctl")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: clap_complete::Shell,
}

impl CompletionsArgs {
    /// Prints the completions.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "qctl", &mut script);
        context.output.raw(&script)?;
        Ok(Exit::Done)
    }
}

/// `qctl man`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  qctl man | man -l -                      read it now
  qctl man /usr/local/share/man/man1       install a page for each command")]
pub(crate) struct ManArgs {
    /// Write one page for each command there
    directory: Option<PathBuf>,
}

impl ManArgs {
    /// Prints the main page, or writes every page.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let Some(directory) = self.directory else {
            context.output.raw(&main_page())?;
            return Ok(Exit::Done);
        };
        let written = std::fs::create_dir_all(&directory)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), &directory))
            .and_then(|()| std::fs::write(directory.join("qctl.1"), main_page()));
        match written {
            Ok(()) => Ok(Exit::Done),
            Err(error) => Err(Failure::new(
                Exit::CannotOpen,
                format!(
                    "the pages could not be written to {}: {error}",
                    directory.display()
                ),
                "name a directory that can be written",
            )),
        }
    }
}

/// The page of `qctl` itself, with the tables.
fn main_page() -> Vec<u8> {
    let page = clap_mangen::Man::new(Cli::command());
    let mut text = Vec::new();
    // Writing to memory cannot fail.
    drop(page.render(&mut text));
    text.extend_from_slice(exit_codes().as_bytes());
    text
}

fn exit_codes() -> String {
    let rows = Exit::ALL.map(|exit| format!(".TP\n\\fB{}\\fR\n{}\n", exit.code(), exit.words()));
    format!(".SH EXIT STATUS\n{}", rows.concat())
}

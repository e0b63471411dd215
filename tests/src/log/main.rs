//! `lab-log`: an owner of a log that says what was acknowledged, and a check that all of it is still there.
//!
//! ```text
//! lab-log write LOG      claims, appends from several threads, takes checkpoints; a line for each acknowledged record
//! lab-log check LOG SAID opens the log, and looks that every record that was said to be acknowledged is there
//! ```
//!
//! Whoever kills the writer (a signal, the machine, the disk) keeps its lines and asks the check.
//!
//! A record is a seed and bytes that follow from it, so that each can be judged alone. The checkpoint's state is the
//! seeds of all records that it covers, so that nothing is ever forgotten by the check. An acknowledged record is a
//! line `A LSN SEED`, written with one system call after the commit; the owner's first line is `epoch E`. An owner whose
//! log has stopped says `S FROM TO`: the range that it does not know. Nothing from there on may be acknowledged by it.

mod check;
mod record;
mod write;

use std::process::ExitCode;

const USAGE: &str = "usage: lab-log write LOG [--threads N] [--count N] [--no-checkpoint]
       lab-log check LOG SAID";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match &words[..] {
        ["write", log, options @ ..] => {
            write::Options::parse(options).and_then(|options| write::write(log.as_ref(), &options))
        }
        ["check", log, said] => check::check(log.as_ref(), said.as_ref()),
        _ => Err(anyhow::anyhow!("{USAGE}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("lab-log: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Writes to stdout with one system call: a line is there whole, or not at all.
fn say(line: &str) {
    use std::io::Write as _;
    // Nobody reads any more: nothing that was said counts then.
    drop(std::io::stdout().lock().write_all(line.as_bytes()));
}

//! What `qctl` says about itself: completions, and manual pages with the exit codes, the privileges and
//! the lines of other tools.

use crate::exit::{Exit, Failure};
use crate::{Cli, Context};
use clap::CommandFactory;
use std::path::PathBuf;

/// Shown under `qctl --help`.
pub(crate) const ROOT_EXAMPLES: &str = "\
Exit codes: 0 done, 1 usage, 24 conflict, 33 and 112 outcome unknown, 107 wants --yes; `qctl man`
has them all. Everything speaks JSON with --json; `qctl schema` lists the schemas.";

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
    let codes = Exit::ALL.map(|exit| (exit.code().to_string(), exit.words().to_owned()));
    let with_command = (
        "other".to_owned(),
        "with a command behind --: its own status (128 and the signal), unless the disk was lost (106) \
         or never owned (24)"
            .to_owned(),
    );
    let codes: Vec<(String, String)> = codes.into_iter().chain([with_command]).collect();
    text.extend(section("EXIT STATUS", EXIT_WORDS, &codes));
    text.extend(section("PRIVILEGES", PRIVILEGES_WORDS, &PRIVILEGES));
    text.extend(section("COMING FROM OTHER TOOLS", OTHERS_WORDS, &OTHERS));
    text.extend(section("FILES", "", &FILES));
    text
}

const EXIT_WORDS: &str = "33 and 112 mean that a change may or may not have happened: qctl disk show \
                          tells what is true now.";

const PRIVILEGES_WORDS: &str =
    "No verb needs to be root; qctl disk list shows what this process lacks.";

const PRIVILEGES: [(&str, &str); 7] = [
    ("qctl disk list", "none (sysfs)"),
    (
        "SCSI reservations by SG_IO",
        "CAP_SYS_RAWIO, for reading them too",
    ),
    ("resets", "CAP_SYS_RAWIO and CAP_SYS_ADMIN"),
    (
        "IOC_PR calls",
        "reading (Linux 6.19 and later): the node opens for reading; changing: for writing",
    ),
    ("NVMe passthrough", "CAP_SYS_ADMIN"),
    (
        "locked memory, real-time priority",
        "CAP_IPC_LOCK, CAP_SYS_NICE; without them arbitrate says so and goes on",
    ),
    ("emu:FILE", "read and write access to FILE"),
];

const OTHERS_WORDS: &str = "The lines of other tools, and ours. Keys are 0x and hexadecimal digits, types \
                            are names.";

const OTHERS: [(&str, &str); 24] = [
    ("sg_persist -i -k DISK", "qctl disk pr keys DISK"),
    ("sg_persist -i -r DISK", "qctl disk pr holder DISK"),
    ("sg_persist -i -s DISK", "qctl disk pr status DISK"),
    ("sg_persist -i -c DISK", "qctl disk pr capabilities DISK"),
    (
        "sg_persist -o -G -S KEY DISK",
        "qctl disk pr register DISK --key KEY",
    ),
    (
        "sg_persist -o -G -K OLD -S KEY DISK",
        "qctl disk pr register DISK --key KEY --replace",
    ),
    (
        "sg_persist -o -G -K KEY -S 0 DISK",
        "qctl disk pr unregister DISK",
    ),
    (
        "sg_persist -o -I -S KEY DISK",
        "qctl disk pr register DISK --key KEY --ignore-existing",
    ),
    (
        "sg_persist -o -G -S KEY -Z DISK",
        "qctl disk pr register DISK --key KEY --aptpl",
    ),
    (
        "sg_persist -o -R -K KEY -T 5 DISK",
        "qctl disk pr reserve DISK --type we-ro",
    ),
    (
        "sg_persist -o -L -K KEY -T 5 DISK",
        "qctl disk pr release DISK",
    ),
    (
        "sg_persist -o -P -K KEY -S VICTIM -T 5 DISK",
        "qctl disk pr preempt DISK --victim VICTIM --no-abort --yes",
    ),
    (
        "sg_persist -o -A -K KEY -S VICTIM -T 5 DISK",
        "qctl disk pr preempt DISK --victim VICTIM --yes",
    ),
    (
        "sg_persist -o -C -K KEY DISK",
        "qctl disk pr clear DISK --yes",
    ),
    (
        "sg_persist -o -M -K KEY -S NEW -Q PORT -X ID DISK",
        "qctl disk pr move DISK --to ID --target-port PORT --new-key NEW --yes",
    ),
    (
        "sg_raw DISK 16 00 00 00 00 00",
        "qctl disk scsi2 reserve DISK",
    ),
    (
        "sg_raw DISK 17 00 00 00 00 00",
        "qctl disk scsi2 release DISK",
    ),
    (
        "sg_reset --no-esc --device DISK",
        "qctl disk reset DISK --lun --yes",
    ),
    (
        "sg_reset --target DISK",
        "qctl disk reset DISK --target --escalate --yes",
    ),
    ("nvme resv-report DISK", "qctl disk pr status DISK"),
    (
        "nvme resv-register DISK --nrkey=KEY --rrega=0",
        "qctl disk pr register DISK --key KEY",
    ),
    (
        "nvme resv-acquire DISK --crkey=KEY --prkey=VICTIM --rtype=1 --racqa=1",
        "qctl disk pr preempt DISK --victim VICTIM --no-abort --yes",
    ),
    (
        "blkpr -c register -k KEY DISK",
        "qctl disk pr register DISK --key KEY --via ioc-pr",
    ),
    (
        "blkpr -c reserve -k KEY -t write-exclusive DISK",
        "qctl disk pr reserve DISK --type we --via ioc-pr",
    ),
];

const FILES: [(&str, &str); 1] = [(
    "/dev/log",
    "takes one audit event for each change: user, disk, state before and after",
)];

/// A section of a manual page: a paragraph, and a list of what and what about it.
fn section<S: AsRef<str>>(title: &str, words: &str, rows: &[(S, S)]) -> Vec<u8> {
    let mut text = format!(".SH {title}\n{}\n", roff(words));
    for (what, about) in rows {
        let (what, about) = (roff(what.as_ref()), roff(about.as_ref()));
        text.push_str(&format!(".TP\n\\fB{what}\\fR\n{about}\n"));
    }
    text.into_bytes()
}

/// Text as roff takes it: no line begins a request, and dashes are the ASCII ones that shells know.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('-', "\\-");
    if text.starts_with(['.', '\'']) {
        format!("\\&{text}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_page_has_every_exit_code_and_is_roff() {
        let page = String::from_utf8(main_page()).unwrap();
        for exit in Exit::ALL {
            assert!(page.contains(&format!("\\fB{}\\fR\n", exit.code())));
        }
        assert!(page.contains(".SH PRIVILEGES"));
        assert!(page.contains("\\fBsg_persist \\-i \\-k DISK\\fR\nqctl disk pr keys DISK"));
        assert_eq!(roff(".x-\\"), "\\&.x\\-\\\\");
    }
}

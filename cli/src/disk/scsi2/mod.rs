//! `qctl disk scsi2`: SPC-2 RESERVE and RELEASE.
//!
//! Who holds an SPC-2 reservation is unknowable from outside; what can be known is whether this path is
//! shut out, and that is what is read back.

mod child;
mod hold;

use super::change::{self, Change, Step};
use super::condition::{Admission, Condition};
use super::session::{DiskArg, Session};
use crate::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::interrupt::Interrupts;
use hold::Ended;
use scsi::disk::Way;
use scsi::reservation::Verb;
use std::ffi::OsString;

/// `qctl disk scsi2`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  qctl disk scsi2 reserve /dev/sdb
  qctl disk scsi2 reserve /dev/sdb -- dd if=/dev/sdb of=copy     released when the command ends
  qctl disk scsi2 release /dev/sdb")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Scsi2,
}

#[derive(clap::Subcommand, Debug)]
enum Scsi2 {
    /// Reserve the whole disk for this path (24 when another has it)
    Reserve(ReserveArgs),
    /// Release this path's reservation
    Release(ReleaseArgs),
}

/// `qctl disk scsi2 reserve`, and `qctl disk reserve`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
The reservation ends with RELEASE, any reset, a power loss of the target, or the loss of the
session; over iscsi:// it ends with this program, so --hold or a command is needed there. Held, it
is looked after: when a reset or another host takes it away, the command is ended and the exit
code is 106.

Examples:
  qctl disk scsi2 reserve /dev/sdb
  qctl disk scsi2 reserve /dev/sdb --hold          until Ctrl-C
  qctl disk scsi2 reserve /dev/sdb -- fsck.ext4 -n /dev/sdb")]
pub(crate) struct ReserveArgs {
    #[command(flatten)]
    disk: DiskArg,
    /// Keep it until a signal comes, then release it
    #[arg(long, conflicts_with = "command")]
    hold: bool,
    /// Run this while it is reserved, then release it; its status is the exit code
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// `qctl disk scsi2 release`, and `qctl disk release`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
A disk answers GOOD to a RELEASE from a path that holds nothing, and does nothing.

Examples:
  qctl disk scsi2 release /dev/sdb")]
pub(crate) struct ReleaseArgs {
    #[command(flatten)]
    disk: DiskArg,
}

impl Args {
    /// Runs the verb.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        match self.verb {
            Scsi2::Reserve(args) => args.run(context),
            Scsi2::Release(args) => args.run(context),
        }
    }
}

/// The path that reserves: an SPC-2 reservation belongs to one nexus.
const PATH: usize = 0;

impl ReserveArgs {
    /// Reserves, and holds where that is asked.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let interrupts = Interrupts::catch(context.output.is_json());
        let mut session = Session::open(&self.disk, context)?;
        let stays = self.hold || !self.command.is_empty();
        if session.disk.paths[PATH].way == Way::Iscsi && !stays {
            return Err(Failure::usage(
                "over iscsi:// the reservation would end with this command's session",
                "add --hold, or the command to run behind --",
            ));
        }
        let before = Condition::with_admission(&mut session, PATH);
        let change = reserve(&session);
        let reserved = change::carry_out(&mut session, &interrupts, before, &change)?;
        if !stays {
            context.output.report(&reserved)?;
            return Ok(Exit::Done);
        }
        // With a command, stdout is the command's.
        if self.hold {
            context.output.event(&reserved)?;
        }
        let ended = hold::hold(&mut session, &interrupts, PATH, &self.command)?;
        if let Ended::Lost(why) = ended {
            return Err(Failure::new(
                Exit::Lost,
                format!("the reservation was lost: {why}"),
                format!("qctl disk show {}   (what is true now)", session.name()),
            ));
        }
        let before = Condition::with_admission(&mut session, PATH);
        let change = release(&session);
        let released = change::carry_out(&mut session, &interrupts, before, &change)?;
        if self.hold {
            context.output.event(&released)?;
        }
        Ok(match ended {
            Ended::Command(status) => Exit::Command(status),
            Ended::Signal | Ended::Lost(_) => Exit::Done,
        })
    }
}

impl ReleaseArgs {
    /// Releases.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let interrupts = Interrupts::catch(context.output.is_json());
        let mut session = Session::open(&self.disk, context)?;
        let before = Condition::with_admission(&mut session, PATH);
        let change = release(&session);
        change::make(&mut session, context, &interrupts, before, &change)?;
        Ok(Exit::Done)
    }
}

fn reserve(session: &Session) -> Change {
    let mut remarks = session.disk.remarks.clone();
    if session.disk.paths.len() > 1 {
        remarks.push(format!(
            "the reservation belongs to {} alone; the other paths of this host are shut out",
            session.disk.paths[PATH].name
        ));
    }
    let disk = session.name().to_owned();
    Change {
        name: "RESERVE",
        steps: vec![Step {
            path: PATH,
            verb: Verb::Spc2Reserve,
        }],
        expectation: Box::new(move |after| is_admitted(after, &disk)),
        spc2: true,
        remarks,
    }
}

fn release(session: &Session) -> Change {
    Change {
        name: "RELEASE",
        steps: vec![Step {
            path: PATH,
            verb: Verb::Spc2Release,
        }],
        // Whoever has it now is not this path's business; GOOD is all that a disk tells.
        expectation: Box::new(|_| Ok(())),
        spc2: true,
        remarks: session.disk.remarks.clone(),
    }
}

fn is_admitted(after: &Condition, disk: &str) -> Result<(), Failure> {
    match &after.admission {
        Some(Admission::Admitted) => Ok(()),
        Some(Admission::ShutOut) => Err(Failure::new(
            Exit::Conflict,
            "the disk answered GOOD to RESERVE, but this path is shut out now",
            format!("qctl disk show {disk}   (a reset and another host may have come between)"),
        )
        .outcome(Outcome::Done)),
        Some(Admission::Unclear(why)) => Err(unread(why, disk)),
        None => Err(unread("nobody asked", disk)),
    }
}

fn unread(why: &str, disk: &str) -> Failure {
    change::reads_otherwise(&format!("that could not be read back: {why}"), disk)
}

//! Holding an SPC-2 reservation for as long as a command runs, or until a signal comes.
//!
//! The reservation is looked after, not defended: a reset or another host may take it, and then whatever
//! relied on it must stop. `qctl arbitrate --mode scsi2` is what defends.

use super::child::Child;
use crate::disk::session::Session;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;
use crate::words;
use nix::sys::signal::Signal;
use scsi::reservation::{Answer, AttentionKind, Verb};
use std::ffi::OsString;
use std::time::Duration;

/// How often the reservation is looked after.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// How long a command may take to stop after TERM, before KILL.
const GRACE: Duration = Duration::from_secs(5);

/// How often the command is looked at.
const CHILD_INTERVAL: Duration = Duration::from_millis(20);

/// Why the hold ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Ended {
    /// A signal came.
    Signal,
    /// The command ended, with this status for the shell.
    Command(u8),
    /// The reservation is gone; why.
    Lost(String),
}

/// Holds until the command ends (or, without one, until a signal comes), or until the reservation is
/// gone.
pub(super) fn hold(
    session: &mut Session,
    interrupts: &Interrupts,
    path: usize,
    command: &[OsString],
) -> Result<Ended, Failure> {
    let mut child = match command.split_first() {
        None => None,
        Some((program, arguments)) => {
            let child = Child::start(program, arguments, session.name());
            Some(child.map_err(|why| not_started(session, path, program, &why))?)
        }
    };
    let ended = watch(session, interrupts, path, child.as_mut());
    if let Some(child) = &mut child {
        child.stop(GRACE);
    }
    Ok(ended)
}

/// The command could not be started: the reservation is given back.
fn not_started(
    session: &mut Session,
    path: usize,
    program: &OsString,
    why: &std::io::Error,
) -> Failure {
    let released = session.perform(path, &Verb::Spc2Release).answer;
    let then = match Failure::of_answer(&Verb::Spc2Release, &released, session.name()) {
        None => "the reservation was released".to_owned(),
        Some(failure) => failure.message,
    };
    Failure::new(
        Exit::CannotOpen,
        format!("{} cannot be run: {why}; {then}", program.display()),
        "check the command behind --",
    )
}

fn watch(
    session: &mut Session,
    interrupts: &Interrupts,
    path: usize,
    mut child: Option<&mut Child>,
) -> Ended {
    let mut next_look = crate::clock::since_boot() + LOOK_INTERVAL;
    loop {
        if let Some(status) = child.as_deref_mut().and_then(Child::ended) {
            return Ended::Command(status);
        }
        if interrupts.came() {
            match child.as_deref_mut() {
                None => return Ended::Signal,
                // The command is told, and its end is the end.
                Some(child) => {
                    child.tell(Signal::SIGTERM);
                    return Ended::Command(child.stop(GRACE));
                }
            }
        }
        if crate::clock::since_boot() >= next_look {
            if let Some(why) = look(session, path) {
                return Ended::Lost(why);
            }
            next_look = crate::clock::since_boot() + LOOK_INTERVAL;
        }
        interrupts.wait(CHILD_INTERVAL);
    }
}

/// Why the reservation is gone, if it is.
fn look(session: &mut Session, path: usize) -> Option<String> {
    let exchange = session.perform(path, &Verb::TestUnitReady);
    let ending = exchange
        .attentions
        .iter()
        .find(|attention| match attention.kind() {
            AttentionKind::PowerOn | AttentionKind::Reset | AttentionKind::NexusLoss => true,
            AttentionKind::ReservationsPreempted
            | AttentionKind::ReservationsReleased
            | AttentionKind::RegistrationsPreempted
            | AttentionKind::CommandsCleared
            | AttentionKind::Other => false,
        });
    if let Some(attention) = ending {
        return Some(words::attention(*attention).to_owned());
    }
    match &exchange.answer {
        Answer::Conflict { .. } => Some("another nexus has the disk".to_owned()),
        // Whether the reservation is there cannot be told, and was not told to be gone.
        Answer::Done(_)
        | Answer::Attention(_)
        | Answer::Refused(_)
        | Answer::Unsupported
        | Answer::OutcomeUnknown(_)
        | Answer::NotSent(_) => None,
    }
}

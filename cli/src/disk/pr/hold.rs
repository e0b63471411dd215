//! `reserve` and `release`.

use super::actor::{self, Actor};
use crate::Context;
use crate::args::{self, KeyArg};
use crate::disk::change::{self, Change, Step};
use crate::disk::condition::Condition;
use crate::disk::session::{DiskArg, Session};
use crate::disk::view;
use crate::exit::{Exit, Failure, Outcome};
use crate::interrupt::Interrupts;
use scsi::reservation::{Reservation, ReservationType, Verb};

/// `qctl disk pr reserve`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
This host must be registered. Ends with 24 when another holds a reservation.

Examples:
  qctl disk pr reserve /dev/sdb --type we-ro")]
pub(crate) struct ReserveArgs {
    #[command(flatten)]
    disk: DiskArg,
    /// we, ea, we-ro, ea-ro, we-ar or ea-ar
    #[arg(long = "type", value_name = "TYPE", value_parser = args::kind)]
    kind: ReservationType,
    /// This host's key; without it, what the disk tells
    #[arg(long, value_name = "KEY")]
    key: Option<KeyArg>,
}

/// `qctl disk pr release`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Only the holder can release. A disk answers GOOD to a registered nexus that does not hold, and
does nothing; qctl looks first, says so, and ends with 24.

Examples:
  qctl disk pr release /dev/sdb")]
pub(crate) struct ReleaseArgs {
    #[command(flatten)]
    disk: DiskArg,
    /// The type that is held; without it, what the disk tells
    #[arg(long = "type", value_name = "TYPE", value_parser = args::kind)]
    kind: Option<ReservationType>,
    /// This host's key; without it, what the disk tells
    #[arg(long, value_name = "KEY")]
    key: Option<KeyArg>,
}

impl ReserveArgs {
    /// Reserves.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let interrupts = Interrupts::catch(context.output.is_json());
        let mut session = Session::open_to_change(&self.disk, context)?;
        let reading = session.read()?;
        let actor = actor::find(&session, &reading, self.key.as_ref())?;
        let kind = self.kind;
        let disk = session.name().to_owned();
        let verb = Verb::Reserve {
            key: actor.key,
            kind,
        };
        let change = Change {
            name: "PR RESERVE",
            steps: vec![Step {
                path: actor.path,
                verb,
            }],
            expectation: Box::new(move |after| is_held(after, actor, kind, &disk)),
            spc2: false,
            remarks: session.disk.remarks.clone(),
        };
        let before = Condition::of_reading(reading);
        change::make(&mut session, context, &interrupts, before, &change)?;
        Ok(Exit::Done)
    }
}

/// Is this the reservation of this key and type?
pub(super) fn is_held(
    after: &Condition,
    actor: Actor,
    kind: ReservationType,
    disk: &str,
) -> Result<(), Failure> {
    let state = &change::read_back_of(after, disk)?.state;
    if state.reservation.is_some_and(|held| held.kind == kind) && state.is_held_by(actor.key) {
        return Ok(());
    }
    let Some(held) = state.reservation else {
        return Err(change::reads_otherwise("nobody holds a reservation", disk));
    };
    Err(Failure::new(
        Exit::Conflict,
        format!(
            "the disk answered GOOD, but the reservation reads: {}",
            view::reservation_words(Some(&held))
        ),
        format!("qctl disk show {disk}   (another may have taken it just now)"),
    )
    .outcome(Outcome::Done))
}

impl ReleaseArgs {
    /// Releases.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let interrupts = Interrupts::catch(context.output.is_json());
        let mut session = Session::open_to_change(&self.disk, context)?;
        let reading = session.read()?;
        let actor = actor::find(&session, &reading, self.key.as_ref())?;
        let held = match reading.state.reservation {
            Some(held) if reading.state.is_held_by(actor.key) => held,
            other => {
                return Err(Failure::new(
                    Exit::Conflict,
                    format!(
                        "this host ({}) holds no reservation on {}; in force: {}",
                        actor.key,
                        session.name(),
                        view::reservation_words(other.as_ref())
                    ),
                    "only the holder can release it; `qctl disk pr preempt` takes it over",
                ));
            }
        };
        let kind = self.kind.unwrap_or(held.kind);
        let disk = session.name().to_owned();
        let verb = Verb::Release {
            key: actor.key,
            kind,
        };
        let change = Change {
            name: "PR RELEASE",
            steps: vec![Step {
                path: actor.path,
                verb,
            }],
            expectation: Box::new(move |after| is_released(after, held, &disk)),
            spc2: false,
            remarks: session.disk.remarks.clone(),
        };
        let before = Condition::of_reading(reading);
        change::make(&mut session, context, &interrupts, before, &change)?;
        Ok(Exit::Done)
    }
}

fn is_released(after: &Condition, held: Reservation, disk: &str) -> Result<(), Failure> {
    let reading = change::read_back_of(after, disk)?;
    // Another may hold it by now: then it was released all the same.
    if reading.state.reservation == Some(held) {
        return Err(change::reads_otherwise(
            "the reservation is still there",
            disk,
        ));
    }
    Ok(())
}

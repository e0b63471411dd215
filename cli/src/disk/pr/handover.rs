//! `move` and `replace-lost`: a reservation gets another holder without anybody's being preempted.

use super::actor::{self, Actor};
use super::hold;
use crate::Context;
use crate::args::{self, KeyArg};
use crate::disk::change::{self, Change, Step};
use crate::disk::condition::Condition;
use crate::disk::guard;
use crate::disk::plan::{Consent, Plan};
use crate::disk::session::{DiskArg, Session};
use crate::disk::view;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;
use scsi::reservation::{Key, ReservationType, Verb};
use scsi::wire::transport_id::TransportId;

/// `qctl disk pr move`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
REGISTER AND MOVE: this host, the holder, hands its reservation to another nexus, which is
registered under the new key. It cannot be done with the types of all registrants.

Examples:
  qctl disk pr move DISK --to iqn.2026-01.example:node2 --target-port 1 --new-key 0x1a2c --dry-run")]
pub(crate) struct MoveArgs {
    #[command(flatten)]
    disk: DiskArg,
    /// The initiator port that shall hold, as `qctl disk show` prints it
    #[arg(long, value_name = "INITIATOR", value_parser = args::initiator)]
    to: TransportId,
    /// The relative identifier of the target port that it uses
    #[arg(long, value_name = "NUMBER")]
    target_port: u16,
    /// The key that it shall have
    #[arg(long, value_name = "KEY")]
    new_key: KeyArg,
    /// Unregister this host afterwards
    #[arg(long)]
    unregister: bool,
    /// APTPL: registrations and reservation survive a power loss of the target
    #[arg(long)]
    aptpl: bool,
    /// This host's key; without it, what the disk tells
    #[arg(long, value_name = "KEY")]
    key: Option<KeyArg>,
    #[command(flatten)]
    consent: Consent,
}

/// `qctl disk pr replace-lost`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
REPLACE LOST RESERVATION, for a disk that says that it lost its reservations. Every registration
that is left goes; this host is registered under the new key and holds.

Examples:
  qctl disk pr replace-lost DISK --new-key 0x1a2c --type we --dry-run")]
pub(crate) struct ReplaceLostArgs {
    #[command(flatten)]
    disk: DiskArg,
    /// The key that this host shall have
    #[arg(long, value_name = "KEY")]
    new_key: KeyArg,
    /// we, ea, we-ro, ea-ro, we-ar or ea-ar
    #[arg(long = "type", value_name = "TYPE", value_parser = args::kind)]
    kind: ReservationType,
    #[command(flatten)]
    consent: Consent,
}

impl MoveArgs {
    /// Moves the reservation.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let interrupts = Interrupts::catch(context.output.is_json());
        let mut session = Session::open_to_change(&self.disk, context)?;
        let reading = session.read()?;
        let actor = actor::find(&session, &reading, self.key.as_ref())?;
        let new = self.new_key.resolve(&reading.state, session.name())?;
        let held = view::reservation_words(reading.state.reservation.as_ref());
        if !reading.state.is_held_by(actor.key) {
            return Err(Failure::new(
                Exit::Conflict,
                format!(
                    "this host ({}) does not hold the reservation: {held}",
                    actor.key
                ),
                "only the holder can move it",
            ));
        }
        let mut losses = vec![format!(
            "this host ({}) loses the reservation: {held}",
            actor.key
        )];
        if self.unregister {
            losses.push(format!("this host ({}) loses its registration", actor.key));
        }
        let disk = session.name().to_owned();
        let change = Change {
            name: "PR REGISTER AND MOVE",
            steps: vec![Step {
                path: actor.path,
                verb: Verb::Move {
                    key: actor.key,
                    new,
                    unregister: self.unregister,
                    aptpl: self.aptpl,
                    to: self.to,
                    relative_target_port: self.target_port,
                },
            }],
            expectation: Box::new(move |after| is_moved(after, new, &disk)),
            spc2: false,
            remarks: session.disk.remarks.clone(),
        };
        let before = Condition::of_reading(reading);
        let plan = Plan::new(
            &session,
            &before,
            &change,
            losses,
            guard::in_use(&session.disk),
        );
        if self.consent.given(&session, context, plan)? {
            change::make(&mut session, context, &interrupts, before, &change)?;
        }
        Ok(Exit::Done)
    }
}

fn is_moved(after: &Condition, new: Key, disk: &str) -> Result<(), Failure> {
    let state = &change::read_back_of(after, disk)?.state;
    if state.is_held_by(new) {
        return Ok(());
    }
    let held = view::reservation_words(state.reservation.as_ref());
    let what = format!("{new} does not hold; in force: {held}");
    Err(change::reads_otherwise(&what, disk))
}

impl ReplaceLostArgs {
    /// Replaces the lost reservation.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let interrupts = Interrupts::catch(context.output.is_json());
        let mut session = Session::open_to_change(&self.disk, context)?;
        let reading = session.read()?;
        let new = self.new_key.resolve(&reading.state, session.name())?;
        let losses = reading
            .entries()
            .map(|(entry, _)| {
                let nexus = view::nexus_words(entry);
                format!("{} at {nexus} loses its registration", entry.key)
            })
            .collect();
        let kind = self.kind;
        let disk = session.name().to_owned();
        let actor = Actor { path: 0, key: new };
        let change = Change {
            name: "PR REPLACE LOST RESERVATION",
            steps: vec![Step {
                path: 0,
                verb: Verb::ReplaceLost { new, kind },
            }],
            expectation: Box::new(move |after| hold::is_held(after, actor, kind, &disk)),
            spc2: false,
            remarks: session.disk.remarks.clone(),
        };
        let before = Condition::of_reading(reading);
        let plan = Plan::new(
            &session,
            &before,
            &change,
            losses,
            guard::in_use(&session.disk),
        );
        if self.consent.given(&session, context, plan)? {
            change::make(&mut session, context, &interrupts, before, &change)?;
        }
        Ok(Exit::Done)
    }
}

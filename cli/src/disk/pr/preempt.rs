//! `clear` and `preempt`: what takes something from others, with what it takes.
//!
//! GOOD from PREEMPT is not "I hold it": it takes over only when the victim is the holder, so the state
//! is read back and judged by that (SPC-4 5.13.11.2.5).

use super::actor::{self, Actor};
use super::hold;
use crate::Context;
use crate::args::{self, KeyArg};
use crate::disk::change::{self, Change, Step};
use crate::disk::condition::Condition;
use crate::disk::guard;
use crate::disk::own::Own;
use crate::disk::plan::{Consent, Plan};
use crate::disk::session::{DiskArg, Reading, Session};
use crate::disk::view;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;
use scsi::reservation::{Key, ReservationType, Verb};

/// `qctl disk pr clear`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
This host must be registered. Every other host loses its registration, and is told so by an
attention.

Examples:
  qctl disk pr clear DISK                       prints what would happen, and a token
  qctl disk pr clear DISK --yes --if TOKEN")]
pub(crate) struct ClearArgs {
    #[command(flatten)]
    disk: DiskArg,
    /// This host's key; without it, what the disk tells
    #[arg(long, value_name = "KEY")]
    key: Option<KeyArg>,
    #[command(flatten)]
    consent: Consent,
}

/// `qctl disk pr preempt`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
This host must be registered. Preempting the holder takes its reservation over; preempting
anybody else removes its registrations and takes nothing. Without --no-abort its queued commands
are aborted too.

Examples:
  qctl disk pr preempt DISK --victim 0x1a2b     prints what would happen, and a token
  qctl disk pr preempt DISK --victim 0x1a2b --yes --if TOKEN
  qctl disk pr preempt DISK --victim nexus:iqn.2026-01.example:node2 --no-abort --dry-run")]
pub(crate) struct PreemptArgs {
    #[command(flatten)]
    disk: DiskArg,
    /// Whose registrations go
    #[arg(long, value_name = "KEY")]
    victim: KeyArg,
    /// PREEMPT, not PREEMPT AND ABORT
    #[arg(long)]
    no_abort: bool,
    /// The type to hold when the victim is the holder; without it, the type in force
    #[arg(long = "type", value_name = "TYPE", value_parser = args::kind)]
    kind: Option<ReservationType>,
    /// This host's key; without it, what the disk tells
    #[arg(long, value_name = "KEY")]
    key: Option<KeyArg>,
    #[command(flatten)]
    consent: Consent,
}

impl ClearArgs {
    /// Clears.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let interrupts = Interrupts::catch(context.output.is_json());
        let mut session = Session::open_to_change(&self.disk, context)?;
        let reading = session.read()?;
        let actor = actor::find(&session, &reading, self.key.as_ref())?;
        let losses = losses_of_clear(&reading);
        let disk = session.name().to_owned();
        let change = Change {
            name: "PR CLEAR",
            steps: vec![Step {
                path: actor.path,
                verb: Verb::Clear { key: actor.key },
            }],
            expectation: Box::new(move |after| is_cleared(after, &disk)),
            spc2: false,
            remarks: session.disk.remarks.clone(),
        };
        let before = Condition::of_reading(reading);
        let refusals = guard::in_use(&session.disk);
        let plan = Plan::new(&session, &before, &change, losses, refusals);
        if self.consent.given(&session, context, plan)? {
            change::make(&mut session, context, &interrupts, before, &change)?;
        }
        Ok(Exit::Done)
    }
}

fn losses_of_clear(reading: &Reading) -> Vec<String> {
    let held = reading.state.reservation.as_ref();
    let mut losses: Vec<String> = reading
        .entries()
        .map(|(entry, own)| {
            let whose = match own {
                Own::Path(_) => " (this host)",
                Own::Other | Own::Unknown => "",
            };
            let nexus = view::nexus_words(entry);
            format!("{} at {nexus}{whose} loses its registration", entry.key)
        })
        .collect();
    if held.is_some() {
        let held = view::reservation_words(held);
        losses.push(format!(
            "the reservation is gone: {held}; anybody may write"
        ));
    }
    losses
}

fn is_cleared(after: &Condition, disk: &str) -> Result<(), Failure> {
    let state = &change::read_back_of(after, disk)?.state;
    // Others may register again within the moment; what must be gone is the reservation.
    if state.reservation.is_none() {
        return Ok(());
    }
    let held = view::reservation_words(state.reservation.as_ref());
    let what = format!("a reservation is there (another may have taken it just now): {held}");
    Err(change::reads_otherwise(&what, disk))
}

impl PreemptArgs {
    /// Preempts.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let interrupts = Interrupts::catch(context.output.is_json());
        let mut session = Session::open_to_change(&self.disk, context)?;
        let reading = session.read()?;
        let actor = actor::find(&session, &reading, self.key.as_ref())?;
        let victim = self.victim.resolve(&reading.state, session.name())?;
        let kind = self.kind_to_hold(&reading);
        let effect = effect_of_preempt(&reading, victim, !self.no_abort);
        if !reading.state.has_key(victim) {
            return Err(Failure::new(
                Exit::NoSuch,
                format!("{victim} is not registered on {}", session.name()),
                format!("qctl disk show {}   (who is registered)", session.name()),
            ));
        }
        let takes = effect.takes;
        let disk = session.name().to_owned();
        let verb = Verb::Preempt {
            key: actor.key,
            victim: Some(victim),
            kind,
            abort: !self.no_abort,
        };
        let change = Change {
            name: verb.name(),
            steps: vec![Step {
                path: actor.path,
                verb,
            }],
            expectation: Box::new(move |after| {
                is_preempted(after, actor, victim, takes, kind, &disk)
            }),
            spc2: false,
            remarks: session.disk.remarks.clone(),
        };
        let mut refusals = guard::in_use(&session.disk);
        let own_keys = reading.entries().filter_map(|(entry, own)| match own {
            Own::Path(_) => Some(entry.key),
            Own::Other | Own::Unknown => None,
        });
        refusals.extend(
            own_keys
                .chain([actor.key])
                .find_map(|own| guard::own_key(victim, own)),
        );
        let before = Condition::of_reading(reading);
        let plan = Plan::new(&session, &before, &change, effect.words, refusals);
        if self.consent.given(&session, context, plan)? {
            change::make(&mut session, context, &interrupts, before, &change)?;
        }
        Ok(Exit::Done)
    }

    /// The type of the command; it counts only when the victim is the holder, and then stays the same
    /// unless the user says otherwise.
    fn kind_to_hold(&self, reading: &Reading) -> ReservationType {
        let in_force = reading.state.reservation.map(|held| held.kind);
        self.kind
            .or(in_force)
            .unwrap_or(ReservationType::WriteExclusive)
    }
}

/// What a PREEMPT of this key would do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Effect {
    /// Who loses what, a line each.
    pub(crate) words: Vec<String>,
    /// The reservation would be taken over.
    pub(crate) takes: bool,
}

/// What a PREEMPT of this key would do to the disk as it was read (SPC-4 5.13.11.2).
pub(crate) fn effect_of_preempt(reading: &Reading, victim: Key, abort: bool) -> Effect {
    let held = reading.state.reservation;
    let takes = held.is_some_and(|held| held.key == Some(victim));
    let mut words = Vec::new();
    for (entry, own) in reading.entries().filter(|(entry, _)| entry.key == victim) {
        let nexus = view::nexus_words(entry);
        let whose = match own {
            Own::Path(_) => " (this host!)",
            Own::Other | Own::Unknown => "",
        };
        let abort = if abort {
            ", and its queued commands are aborted"
        } else {
            ""
        };
        words.push(format!(
            "{victim} at {nexus}{whose} loses its registration{abort}"
        ));
    }
    words.push(match held {
        None => "nobody holds a reservation: none is taken".to_owned(),
        Some(held) if takes => format!("{victim} loses its {} reservation", held.kind.words()),
        Some(held) if held.kind.all_registrants() => {
            "every registrant holds: the reservation stays with those that are left".to_owned()
        }
        Some(held) => format!(
            "the reservation stays: {}; nothing is taken over",
            view::reservation_words(Some(&held))
        ),
    });
    Effect { words, takes }
}

fn is_preempted(
    after: &Condition,
    actor: Actor,
    victim: Key,
    takes: bool,
    kind: ReservationType,
    disk: &str,
) -> Result<(), Failure> {
    let state = &change::read_back_of(after, disk)?.state;
    if state.has_key(victim) {
        let what = format!("{victim} is registered (still, or again)");
        return Err(change::reads_otherwise(&what, disk));
    }
    if takes {
        hold::is_held(after, actor, kind, disk)
    } else {
        Ok(())
    }
}

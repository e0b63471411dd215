//! `qctl disk reset`: no wider than asked, and no escalation unless asked.

use super::change::{self, Change, Step};
use super::condition::Condition;
use super::plan::{Consent, Plan};
use super::session::{DiskArg, Session};
use super::{guard, list};
use crate::Context;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;
use scsi::reservation::{ResetScope, Verb};

/// `qctl disk reset`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
A reset ends an SPC-2 reservation and aborts every queued command; persistent reservations
survive it.

Examples:
  qctl disk reset DISK --lun                     prints what would happen, and a token
  qctl disk reset DISK --lun --yes --if TOKEN")]
pub(crate) struct Args {
    #[command(flatten)]
    disk: DiskArg,
    #[command(flatten)]
    scope: Scope,
    /// Let the host go on to a wider reset when this one fails
    #[arg(long)]
    escalate: bool,
    #[command(flatten)]
    consent: Consent,
}

/// How far the reset reaches.
#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
struct Scope {
    /// Reset the logical unit
    #[arg(long)]
    lun: bool,
    /// Reset the target: all its logical units
    #[arg(long)]
    target: bool,
    /// Reset the bus: all its targets
    #[arg(long)]
    bus: bool,
    /// Reset the host adapter
    #[arg(long)]
    host: bool,
}

impl Scope {
    const fn get(&self) -> ResetScope {
        if self.lun {
            ResetScope::Lun
        } else if self.target {
            ResetScope::Target
        } else if self.bus {
            ResetScope::Bus
        } else {
            ResetScope::Host
        }
    }
}

impl Args {
    /// Resets.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let interrupts = Interrupts::catch(context.output.is_json());
        let mut session = Session::open(&self.disk, context)?;
        let scope = self.scope.get();
        let verb = Verb::Reset {
            scope,
            escalate: self.escalate,
        };
        let before = Condition::with_admission(&mut session, 0);
        let change = Change {
            name: verb.name(),
            steps: vec![Step { path: 0, verb }],
            // A reset leaves no state by which it could be told; its attention may have gone to others.
            expectation: Box::new(|_| Ok(())),
            spc2: true,
            remarks: session.disk.remarks.clone(),
        };
        let (losses, refusals) = self.consequences(&session, scope);
        let plan = Plan::new(&session, &before, &change, losses, refusals);
        if self.consent.given(&session, context, plan)? {
            change::make(&mut session, context, &interrupts, before, &change)?;
        }
        Ok(Exit::Done)
    }

    /// Who loses what, and what forbids it.
    fn consequences(&self, session: &Session, scope: ResetScope) -> (Vec<String>, Vec<String>) {
        let what = match scope {
            ResetScope::Lun => "this disk",
            ResetScope::Target => "every disk of this target",
            ResetScope::Bus => "every disk on this bus",
            ResetScope::Host => "every disk of this host adapter",
        };
        let mut losses = vec![
            format!("whoever has an SPC-2 reservation on {what} loses it"),
            format!("every host's queued commands on {what} are aborted"),
        ];
        let mut refusals = guard::in_use(&session.disk);
        // An escalation may go as far as the host adapter.
        let reach = if self.escalate {
            ResetScope::Host
        } else {
            scope
        };
        for neighbour in list::neighbours(&session.disk.identity, reach) {
            losses.push(format!("{} is reset too", neighbour.name));
            refusals.extend(
                neighbour
                    .uses
                    .iter()
                    .map(|used| format!("{} would be reset too, and {used}", neighbour.name)),
            );
        }
        (losses, refusals)
    }
}

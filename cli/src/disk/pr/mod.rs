//! `qctl disk pr`: persistent reservations, verb by verb.

mod actor;
mod audit;
mod handover;
mod hold;
mod preempt;
mod read;
mod register;
mod repair;

use crate::Context;
use crate::exit::{Exit, Failure};

pub(crate) use preempt::effect_of_preempt;

/// `qctl disk pr`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Keys are 0x and hexadecimal digits, node:N, or nexus:NAME as `qctl disk show` prints it.
Types: we, ea (the holder alone), we-ro, ea-ro (every registrant), we-ar, ea-ar (every registrant
holds). Dangerous verbs (clear, preempt, move, replace-lost, repair) print their plan and end
with 107 without --yes.

Examples:
  qctl disk pr register DISK --key 0x1          this host registers
  qctl disk pr reserve DISK --type we-ro        and takes the reservation
  qctl disk pr preempt DISK --victim node:2     prints what it would do, and a token
  qctl disk pr preempt DISK --victim node:2 --yes --if TOKEN")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    /// Who is registered: the keys
    Keys(read::KeysArgs),
    /// Who holds the reservation; 36 when nobody does
    Holder(read::HolderArgs),
    /// Who is registered by which nexus, and who holds what
    Status(read::StatusArgs),
    /// What the disk, and this way to it, can do
    Capabilities(read::CapabilitiesArgs),
    /// Whether this host's paths are registered as they should be; 36 when not
    Audit(audit::Args),
    /// Register this host's paths
    Register(register::RegisterArgs),
    /// Remove this host's registration (a reservation that it holds goes with it)
    Unregister(register::UnregisterArgs),
    /// Take the reservation
    Reserve(hold::ReserveArgs),
    /// Give the reservation back, and stay registered
    Release(hold::ReleaseArgs),
    /// Remove the reservation and every registration (dangerous)
    Clear(preempt::ClearArgs),
    /// Remove another's registrations, and take over its reservation (dangerous)
    Preempt(preempt::PreemptArgs),
    /// Hand the reservation to another nexus (dangerous)
    Move(handover::MoveArgs),
    /// Replace a reservation that the disk lost (dangerous)
    ReplaceLost(handover::ReplaceLostArgs),
    /// Register those of this host's paths that `audit` finds wrong (dangerous)
    Repair(repair::Args),
}

impl Args {
    /// Runs the verb.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        match self.verb {
            Verb::Keys(args) => args.run(context),
            Verb::Holder(args) => args.run(context),
            Verb::Status(args) => args.run(context),
            Verb::Capabilities(args) => args.run(context),
            Verb::Audit(args) => args.run(context),
            Verb::Register(args) => args.run(context),
            Verb::Unregister(args) => args.run(context),
            Verb::Reserve(args) => args.run(context),
            Verb::Release(args) => args.run(context),
            Verb::Clear(args) => args.run(context),
            Verb::Preempt(args) => args.run(context),
            Verb::Move(args) => args.run(context),
            Verb::ReplaceLost(args) => args.run(context),
            Verb::Repair(args) => args.run(context),
        }
    }
}

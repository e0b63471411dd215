//! `qctl disk`: what an operator asks of one shared disk, and does to it.
//!
//! | file | what it is |
//! |---|---|
//! | [`opening`], [`session`] | a disk that was opened by name; each command bounded, each attention told |
//! | [`own`] | which registrations are this host's |
//! | [`turn`] | whose turn it is to be this host's one iSCSI nexus for changes |
//! | [`condition`], [`diff`], [`view`] | what a disk looks like, what changed, in JSON and in words |
//! | [`recorded`] | what a log on the disk says |
//! | [`guard`], [`plan`], [`change`] | what is never done, what takes consent, and how a change is made |
//! | the rest | one file, or folder, for each verb |

pub(crate) mod capabilities;
mod capacity;
pub(crate) mod change;
mod check;
pub(crate) mod condition;
pub(crate) mod diff;
pub(crate) mod guard;
pub(crate) mod list;
pub(crate) mod opening;
pub(crate) mod own;
pub(crate) mod plan;
pub(crate) mod pr;
mod recorded;
mod reset;
mod scsi2;
pub(crate) mod session;
mod show;
mod turn;
pub(crate) mod view;
mod watch;

use crate::Context;
use crate::exit::{Exit, Failure};

/// `qctl disk`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
A disk is named as its users name it: /dev/sdX, /dev/sgN, /dev/disk/by-id/..., /dev/mapper/NAME,
/dev/nvmeXnY. emu:FILE?nexus=NAME is an emulated disk, for trying verbs without one.

Examples:
  qctl disk list                                   what this host has
  qctl disk show emu:/tmp/quorum?nexus=a           who is registered, who holds what
  qctl disk pr register emu:/tmp/quorum?nexus=a --key 0xa
  qctl disk watch /dev/sdb                         what changes")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    /// The disks of this host, and what this process may do with them
    List(list::Args),
    /// Explain a disk: what it is, who is registered, who holds what
    Show(show::Args),
    /// Can it be trusted as a quorum disk? Reads only, unless told otherwise
    Check(check::Args),
    /// Stream what changes
    Watch(watch::Args),
    /// Persistent reservations (SCSI-3, NVMe)
    Pr(pr::Args),
    /// SCSI-2 reservations
    Scsi2(scsi2::Args),
    /// Short for `scsi2 reserve`
    Reserve(scsi2::ReserveArgs),
    /// Short for `scsi2 release`
    Release(scsi2::ReleaseArgs),
    /// Reset the logical unit, target, bus or host adapter (dangerous)
    Reset(reset::Args),
}

impl Args {
    /// Runs the verb.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        match self.verb {
            Verb::List(args) => args.run(context),
            Verb::Show(args) => args.run(context),
            Verb::Check(args) => args.run(context),
            Verb::Watch(args) => args.run(context),
            Verb::Pr(args) => args.run(context),
            Verb::Scsi2(args) => args.run(context),
            Verb::Reserve(args) => args.run(context),
            Verb::Release(args) => args.run(context),
            Verb::Reset(args) => args.run(context),
        }
    }
}

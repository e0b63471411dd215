//! `qctl log`: the recovery log and checkpoint store of a quorum disk, in a file or on a block device.
//!
//! | file | what it is |
//! |---|---|
//! | [`place`] | a log that is read: opened without disturbing anybody |
//! | [`unit`](mod@unit) | a log on a unit that is reached past the kernel (`iscsi://…`, `emu:…`) |
//! | [`destination`] | a place that is about to be written over: what is there, who uses it, and the consent |
//! | [`failure`] | what can go wrong with a log, as a message, a next step and an exit code |
//! | [`view`] | an inspection in JSON and in words |
//! | [`times`] | the times in force |
//! | [`progress`] | a bar for whoever watches |
//! | the rest | one file for each verb |
//!
//! Only `create` and `salvage` write, each to a place of its own; nothing here claims an epoch on a log that somebody
//! may own.

mod checkpoint;
mod create;
pub(crate) mod destination;
mod dump;
mod failure;
mod place;
mod progress;
mod salvage;
mod show;
pub(crate) mod times;
mod unit;
mod verify;
pub(crate) mod view;

use crate::Context;
use crate::exit::{Exit, Failure};

/// `qctl log`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
A log lives in a file of fixed size on any file system, on a block device (a partition, a whole LUN, a mapped
device), or on a unit that is reached past the kernel (iscsi://..., emu:...). Reading verbs disturb nobody and need no more than read access; they may run while an owner writes, and then
show a moment that may be half over: ask again.

Exit codes: 3 the log is damaged, 36 verify found damage, 105 there is no log, 9 a newer version made it,
107 create and salvage refuse to write over something.

Examples:
  qctl log create /var/lib/quorum.log --size 64MiB --cluster alpha
  qctl log show /var/lib/quorum.log
  qctl log dump /var/lib/quorum.log --from 1200 --to 1300
  qctl log verify /dev/disk/by-id/wwn-0x5000c500a1b2c3d4-part1
  qctl log salvage damaged.log rescued.log")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    /// Make a log, in a new file or on a device
    Create(create::Args),
    /// Explain a log: layout, owner, epoch, records, the health of every copy
    Show(show::Args),
    /// Print what a log holds, record by record
    Dump(dump::Args),
    /// Walk through everything, and give a verdict for each part
    Verify(verify::Args),
    /// List the checkpoints and objects of a log, or take the bytes of one out
    Checkpoint(checkpoint::Args),
    /// Copy what is good of a damaged log to a new one
    Salvage(salvage::Args),
}

impl Args {
    /// Runs the verb.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        match self.verb {
            Verb::Create(args) => args.run(context),
            Verb::Show(args) => args.run(context),
            Verb::Dump(args) => args.run(context),
            Verb::Verify(args) => args.run(context),
            Verb::Checkpoint(args) => args.run(context),
            Verb::Salvage(args) => args.run(context),
        }
    }
}

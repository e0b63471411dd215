//! `qctl demo`: the main job in one command. An emulated target is served on the loopback, and three nodes
//! contend for its disk over iSCSI; the owner is killed, the next one gives the disk back, the one after that
//! is paused and comes back too late.
//!
//! The target and the nodes are real processes, and what is printed is what they print; the demo itself sends
//! signals, writes as a stranger and as the dead, and judges in the end.
//!
//! | module | what it is |
//! |---|---|
//! | [`play`] | the acts, in order |
//! | [`stage`] | the nodes, and what is heard of them, in the order in which it happened |
//! | [`told`] | what the demo itself says |
//! | [`verdict`] | what is checked of what happened |

mod play;
mod stage;
mod told;
mod verdict;

use crate::Context;
use crate::exit::{Exit, Failure};
use quorum_core::times::Profile;
use told::Told;

/// `qctl demo`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  qctl demo                     needs no disk and no root, and takes about fifteen seconds
  qctl demo --profile fast      the same with takeovers in well under a second
  qctl --json demo              the nodes' events (schema arbitrate) and the demo's own (schema demo)

Ends with 0 when every check passed, else with 36.")]
pub(crate) struct Args {
    /// The times: default or fast
    #[arg(long, default_value = "default", value_parser = profile)]
    profile: Profile,
}

/// `classic` waits 17 seconds for each owner: too long to watch.
fn profile(name: &str) -> Result<Profile, String> {
    match Profile::from_name(name) {
        Some(profile @ (Profile::Default | Profile::Fast)) => Ok(profile),
        Some(Profile::Classic) | None => Err("here a profile is default or fast".to_owned()),
    }
}

impl Args {
    /// Plays, and judges.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let played = play::play(self.profile, context)?;
        let verdict = verdict::judge(&played);
        let passed = verdict.failed() == 0;
        let told = Told::now(told::What::Verdict(verdict));
        context.output.event(&told.line(played.began_ns))?;
        if passed { Ok(Exit::Done) } else { Ok(Exit::No) }
    }
}

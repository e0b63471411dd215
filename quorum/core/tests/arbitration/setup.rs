//! What a script says about a machine.

use crate::words::CLUSTER;
use goldenscript::{Argument, Command};
use quorum_core::arbitration::{Config, Guards, Mode, NodeNumber, Policy};
use quorum_core::times::Profile;

/// A configuration from a command's arguments; those that it does not know are handed back.
pub(crate) fn config(command: &Command, guards: Guards) -> Result<(Config, Vec<Argument>), String> {
    let mut mode = Mode::Persistent;
    let mut profile = Profile::Default;
    let mut node = 1;
    let mut paths = 1;
    let mut policy = Policy::default();
    let mut rest = Vec::new();
    for argument in &command.args {
        match argument {
            Argument::KeyValue(name, value) => match name.as_str() {
                "mode" if value == "spc2" => mode = Mode::Spc2,
                "profile" => {
                    profile =
                        Profile::from_name(value).ok_or_else(|| format!("profile {value}"))?;
                }
                "node" => node = value.parse().map_err(|_| format!("node {value}"))?,
                "paths" => paths = value.parse().map_err(|_| format!("paths {value}"))?,
                _ => rest.push(argument.clone()),
            },
            Argument::Positional(word) => match word.as_str() {
                "spc2" => mode = Mode::Spc2,
                "wait" => policy.wait = true,
                "no-preempt" => policy.no_preempt = true,
                "no-abort" => policy.no_abort = true,
                "accept-no-aptpl" => policy.accept_no_aptpl = true,
                "evict-foreign" => policy.evict_foreign = true,
                "others-are-down" => policy.others_are_down = true,
                "log" => policy.has_log = true,
                _ => rest.push(argument.clone()),
            },
            _ => rest.push(argument.clone()),
        }
    }
    let config = Config {
        mode,
        cluster: CLUSTER,
        node: NodeNumber(node),
        paths,
        times: profile.times(mode),
        policy,
        guards,
    };
    Ok((config, rest))
}

//! The times that a cluster goes by, as its log's superblock has them.

use crate::arbitrate::record::ms;
use qlog::Cluster;
use quorum_core::arbitration::Mode;
use quorum_core::times::{Profile, Times};
use serde_json::{Value, json};

/// The profile that has these times in one of the modes, and that mode.
fn profile_of(times: &Times) -> Option<(Profile, Mode)> {
    let modes = [Mode::Persistent, Mode::Spc2];
    let all = Profile::ALL
        .into_iter()
        .flat_map(|profile| modes.map(|mode| (profile, mode)));
    all.into_iter()
        .find(|(profile, mode)| profile.times(*mode) == *times)
}

/// As `--mode` has it.
const fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Persistent => "pr",
        Mode::Spc2 => "scsi2",
    }
}

/// For programs; null where the log does not say, or another version of qctl said it.
pub(crate) fn json(cluster: &Cluster) -> Value {
    let Some(times) = Times::from_bytes(&cluster.times) else {
        return Value::Null;
    };
    let profile = profile_of(&times);
    json!({
        "profile": profile.map(|(profile, _)| profile.name()),
        "mode": profile.map(|(_, mode)| mode_name(mode)),
        "defend_interval_ms": ms(times.defend_interval),
        "challenge_wait_ms": ms(times.challenge_wait),
        "self_stop_ms": ms(times.self_stop),
        "settle_ms": ms(times.settle),
        "stop_time_ms": ms(times.stop_time),
    })
}

/// For people; none where the log does not say.
pub(crate) fn words(cluster: &Cluster) -> Option<String> {
    if cluster.times.is_empty() {
        return None;
    }
    let Some(times) = Times::from_bytes(&cluster.times) else {
        return Some("of another version of qctl".to_owned());
    };
    let name = profile_of(&times).map_or_else(
        || "solved for a takeover".to_owned(),
        |(profile, mode)| format!("profile {} of mode {}", profile.name(), mode_name(mode)),
    );
    Some(format!(
        "{name}: defence every {} ms, challenge wait {} ms, self-stop after {} ms, settle {} ms",
        ms(times.defend_interval),
        ms(times.challenge_wait),
        ms(times.self_stop),
        ms(times.settle)
    ))
}

//! The timeline: each event as one line in plain words.
//!
//! ```text
//!    0.812s  held        the disk refuses everybody else (key 0xa7…)
//!    1.115s  OWNER       what the disk cannot fence may start (key 0xa7…)
//! ```

use super::record::{Holder, Record, Registration, What};
use crate::output::{BAD, FAINT, GOOD, Report, STRONG, WARN};
use anstyle::Style;
use serde_json::Value;
use std::io::{self, Write};

/// A record, and the point that its offset counts from.
pub(crate) struct Line<'a> {
    /// What happened.
    pub(crate) record: &'a Record,
    /// The start of the timeline, on CLOCK_BOOTTIME.
    pub(crate) began_ns: u64,
    /// Whose event it is, where several share a timeline.
    pub(crate) who: Option<(&'a str, Style)>,
}

impl Report for Line<'_> {
    fn schema(&self) -> &'static str {
        "arbitrate"
    }

    fn json(&self) -> Value {
        serde_json::to_value(self.record).unwrap_or_default()
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        let Some((label, style, words)) = line(&self.record.what) else {
            return Ok(());
        };
        let offset = offset(self.record.monotonic_ns, self.began_ns);
        write!(page, "{FAINT}{offset:>9}{FAINT:#}  ")?;
        if let Some((who, colour)) = self.who {
            write!(page, "{colour}{who:<7}{colour:#} ")?;
        }
        let (first, rest) = words.split_once('\n').unwrap_or((&words, ""));
        writeln!(page, "{style}{label:<11}{style:#} {first}")?;
        let indent = if self.who.is_some() { 31 } else { 23 };
        for line in rest.lines() {
            writeln!(page, "{:indent$}{line}", "")?;
        }
        Ok(())
    }
}

/// `1.234s` since the beginning.
pub(crate) fn offset(at_ns: u64, began_ns: u64) -> String {
    let ms = at_ns.saturating_sub(began_ns) / 1_000_000;
    format!("{}.{:03}s", ms / 1000, ms % 1000)
}

const PLAIN: Style = Style::new();

/// Label, its style, and the words; nothing for what only programs want to know.
fn line(what: &What) -> Option<(&'static str, Style, String)> {
    let (label, style) = label(what)?;
    Some((label, style, words(what)))
}

fn label(what: &What) -> Option<(&'static str, Style)> {
    Some(match what {
        What::Defended { .. } => return None,
        What::Started { .. } => ("start", STRONG),
        What::Remark { .. } | What::Unprivileged { .. } => ("note", FAINT),
        What::Serials { .. } => ("keys", FAINT),
        What::Found { .. } => ("found", PLAIN),
        What::Reborn { .. } => ("reborn", WARN),
        What::Registered { .. } => ("registered", PLAIN),
        What::ResetSent => ("challenge", PLAIN),
        What::Waiting { .. } => ("waiting", PLAIN),
        What::WaitRestarted { .. } => ("waiting", WARN),
        What::Lost { .. } => ("lost", WARN),
        What::Taking { .. } => ("taking", STRONG),
        What::Taken => ("taken", PLAIN),
        What::Barrier { .. } => ("barrier", PLAIN),
        What::Held { .. } => ("held", GOOD),
        What::Owner { .. } => ("OWNER", GOOD.bold()),
        What::Mounted { .. } => ("mounted", PLAIN),
        What::Unmounted { error, .. } => ("unmounted", if error.is_none() { PLAIN } else { BAD }),
        What::LogClaimed { .. } => ("log", GOOD),
        What::LogParking { .. } => ("parking", PLAIN),
        What::LogParked { error, .. } => ("parked", if error.is_none() { GOOD } else { WARN }),
        What::Removed { foreign, .. } => ("removed", if *foreign { WARN } else { PLAIN }),
        What::Contested { .. } => ("CONTESTED", BAD),
        What::Crowded { .. } => ("crowded", WARN),
        What::KeyShared { .. } => ("SHARED", BAD),
        What::Aptpl { active } => ("aptpl", if *active { PLAIN } else { WARN }),
        What::RoundFailed { .. } => ("unproved", WARN),
        What::Late { .. } => ("late", WARN),
        What::Slow { .. } => ("slow", WARN),
        What::Stalled { .. } => ("STALLED", WARN),
        What::Trouble { .. } => ("trouble", WARN),
        What::Attention { .. } => ("attention", FAINT),
        What::Exposed { .. } => ("EXPOSED", BAD),
        What::Retaken { .. } => ("retaken", WARN),
        What::Path { usable, .. } => ("path", if *usable { PLAIN } else { WARN }),
        What::PathHung { .. } => ("hung", WARN),
        What::PathBack { .. } => ("path", PLAIN),
        What::Fenced { .. } => ("FENCED", BAD),
        What::WatchdogArmed { .. } | What::WatchdogDisarmed => ("watchdog", PLAIN),
        What::WatchdogFailed { .. } => ("watchdog", BAD),
        What::CommandStarted { .. } => ("command", STRONG),
        What::CommandEnded { status: 0 } => ("command", GOOD),
        What::CommandTerminating { .. }
        | What::CommandKilled { .. }
        | What::CommandEnded { .. } => ("command", WARN),
        What::Signal { .. } => ("signal", STRONG),
        What::Missed { .. } => ("missed", WARN),
        What::Stopped { reason, .. } => match reason.as_str() {
            "released" | "withdrawn" | "parked" => ("released", GOOD),
            "not-taken" => ("not taken", WARN),
            "refused" => ("REFUSED", BAD),
            _ => ("LOST", BAD),
        },
        What::Ended { .. } => ("end", STRONG),
    })
}

fn words(what: &What) -> String {
    match what {
        What::Remark { text } | What::Serials { text } => text.clone(),
        What::Unprivileged { what, why } => format!("without {what}: {why}"),
        What::Started {
            disk,
            mode,
            why,
            cluster,
            profile,
            takeover_ms,
            challenge_wait_ms,
            self_stop_ms,
            ..
        } => {
            let mode = match mode.as_str() {
                "pr" => "persistent reservations",
                _ => "SCSI-2 reservations",
            };
            let (wait, stop) = (span(*challenge_wait_ms), span(*self_stop_ms));
            let times = match (profile, takeover_ms) {
                (Some(profile), _) => format!("profile {profile}"),
                (None, Some(takeover)) => format!("takeover within {}", span(*takeover)),
                (None, None) => "times of its own".to_owned(),
            };
            format!(
                "{disk} for cluster {cluster}, with {mode} ({why})\n\
                 {times}: a holder has {wait} to defend, an owner stops after {stop} without proof"
            )
        }
        What::Found {
            holder,
            registrations,
        } => found(holder.as_ref(), registrations),
        What::Reborn {
            old_key,
            was_holder,
        } => {
            let held = if *was_holder {
                ", which holds the disk"
            } else {
                ""
            };
            format!("an earlier process of this node left key {old_key} registered{held}")
        }
        What::Registered { path, key } => format!("key {key} on path {path}"),
        What::ResetSent => "a LUN reset breaks the reservation".to_owned(),
        What::Waiting { holder, for_ms } => {
            let whom = holder.as_ref().map_or_else(
                || "for an owner that may only look gone".to_owned(),
                |holder| format!("for {} to defend", by(holder)),
            );
            format!("{} {whom}", span(*for_ms))
        }
        What::WaitRestarted { attention } => {
            format!("from the start again: somebody reset the disk ({attention})")
        }
        What::Lost {
            holder,
            again_in_ms,
        } => {
            let to = holder.as_ref().map_or_else(
                || "to another".to_owned(),
                |holder| format!("to {}", by(holder)),
            );
            match again_in_ms {
                Some(ms) if *ms >= 1.0 => format!("{to}; contends again in {}", span(*ms)),
                Some(_) => format!("{to}; contends again at once"),
                None => to,
            }
        }
        What::Taking {
            victim: Some(key),
            handed_over: true,
        } => format!("it was handed over: preempting {key}, which has parked"),
        What::Taking {
            victim: Some(key), ..
        } => format!("nobody defended: preempting {key}"),
        What::Taking { victim: None, .. } => "nobody holds the disk: reserving it".to_owned(),
        What::Taken => "GOOD, and now to be read back".to_owned(),
        What::Barrier { by } => barrier(by),
        What::Held { key } => format!("the disk refuses everybody else{}", with(key.as_deref())),
        What::Owner { key } => {
            format!(
                "what the disk cannot fence may start{}",
                with(key.as_deref())
            )
        }
        What::Defended { age_ms } => format!("a clean round, {} old", span(*age_ms)),
        What::Removed {
            registration,
            foreign: false,
        } => format!("a challenger's key: {}", one(registration)),
        What::Removed {
            registration,
            foreign: true,
        } => format!("a foreign key: {}", one(registration)),
        What::Contested { registration } => format!(
            "three foreign registrations within a minute, the last {}: somebody else arbitrates over this \
             disk; its nexus tells who",
            one(registration)
        ),
        What::Crowded { keys, covered } => format!(
            "{keys} keys to remove in one round, the times cover {covered}: with so many challengers at once \
             a live owner may be late with one of them"
        ),
        What::KeyShared { key, nexuses, sent } => format!(
            "{key} is this node's key, sent {sent} times, and {nexuses} initiator ports have it: a copy of this \
             host is at work (give it a --node of its own, and remove its state directory), or somebody has \
             registered the key by hand"
        ),
        What::Aptpl { active: false } => {
            "another's REGISTER has switched off that the reservation outlasts a power \
                                          loss: it is being switched on again"
                .to_owned()
        }
        What::Aptpl { active: true } => "the reservation outlasts a power loss again".to_owned(),
        What::RoundFailed { why, age_ms } => {
            format!("{why}; the last proof is {} old", span(*age_ms))
        }
        What::Late { by_ms } => {
            format!(
                "a round started {} late: this host is too busy",
                span(*by_ms)
            )
        }
        What::Slow {
            path,
            took_ms,
            allowed_ms,
        } => format!(
            "path {path} took {} for an answer, the times allow for {}: `qctl disk check` tells which profile this disk \
             carries",
            span(*took_ms),
            span(*allowed_ms)
        ),
        What::Stalled { cause, by_ms } => stalled(cause, *by_ms),
        What::Trouble { path, verb, why } => format!("{verb} on path {path}: {why}"),
        What::Attention {
            path,
            attention,
            words,
        } => format!("{attention} on path {path}: {words}"),
        What::Exposed { at_most_ms } => {
            format!(
                "the disk was open to everybody for at most {}",
                span(*at_most_ms)
            )
        }
        What::LogClaimed {
            epoch,
            records,
            notes,
            ..
        } => {
            let mut words =
                format!("epoch {epoch} begins; {records} records behind the checkpoint");
            for note in notes {
                words.push('\n');
                words.push_str(note);
            }
            words
        }
        What::Mounted { what, kind } => format!("{what} ({kind})"),
        What::Unmounted { what, error: None } => what.clone(),
        What::Unmounted {
            what,
            error: Some(why),
        } => format!("NOT {what}: {why}"),
        What::LogParking { epoch } => {
            format!(
                "epoch {epoch} ends: nothing of this node runs any more, and the log is told so"
            )
        }
        What::LogParked { epoch, error: None } => {
            format!("epoch {epoch} is over; the next node takes the disk without a wait")
        }
        What::LogParked {
            epoch,
            error: Some(why),
        } => format!("epoch {epoch} is over; the mark may be in the log or not: {why}"),
        What::Retaken { key } => format!("the disk lost power; it is ours again under key {key}"),
        What::Path { path, usable: true } => format!("path {path} can be used"),
        What::Path {
            path,
            usable: false,
        } => format!("path {path} cannot be used"),
        What::PathHung { path, verb } => format!("path {path} does not come back from {verb}"),
        What::PathBack { path, late_by_ms } => {
            format!("path {path} came back {} late", span(*late_by_ms))
        }
        What::Fenced { .. } => {
            "the proof of ownership ran out: nothing here is believed any more".to_owned()
        }
        What::WatchdogArmed { path, timeout_ms } => {
            let timeout = span(*timeout_ms);
            format!("{path} resets this machine {timeout} after the last clean round")
        }
        What::WatchdogFailed { path, why } => format!("{path}: {why}"),
        What::WatchdogDisarmed => "disarmed".to_owned(),
        What::CommandStarted { pid, command } => format!("process {pid}: {command}"),
        What::CommandTerminating { why } => format!("TERM: {why}"),
        What::CommandKilled { processes } => format!("KILL to {processes} of its processes"),
        What::CommandEnded { status } => {
            format!("ended with {status}, and nothing of it is left")
        }
        What::Signal { name } => format!("{name}: stopping in good order"),
        What::Missed { events } => format!("{events} events came faster than they were read"),
        What::Stopped { words, holder, .. } => {
            let by = holder.as_ref().map(|holder| format!(": {}", by(holder)));
            format!("{words}{}", by.unwrap_or_default())
        }
        What::Ended {
            code,
            clean_rounds: 0,
            ..
        } => format!("never the owner; exit code {code}"),
        What::Ended {
            code,
            owned_ms,
            clean_rounds,
        } => {
            let owned = span(*owned_ms);
            format!("owner for {owned}, {clean_rounds} clean rounds; exit code {code}")
        }
    }
}

fn found(holder: Option<&Holder>, registrations: &[Registration]) -> String {
    let held = match holder {
        Some(holder) => format!("held by {}", by(holder)),
        None => "nobody holds the disk".to_owned(),
    };
    match registrations {
        [] => format!("{held}, nobody is registered"),
        [only] => format!("{held}; registered: {}", one(only)),
        several => {
            let list: Vec<String> = several.iter().map(one).collect();
            format!("{held}; registered: {}", list.join(", "))
        }
    }
}

fn by(holder: &Holder) -> String {
    match (&holder.key, holder.node) {
        (Some(key), Some(node)) => format!("node {node} ({key})"),
        (Some(key), None) => format!("{key} ({})", holder.kind),
        (None, _) => format!("a {} reservation", holder.kind),
    }
}

/// A key of our cluster by its node, anybody else's by its nexus.
fn one(registration: &Registration) -> String {
    match (registration.node, &registration.nexus) {
        (Some(node), _) => format!("node {node} ({})", registration.key),
        (None, Some(nexus)) => format!("{} (foreign, {nexus})", registration.key),
        (None, None) => format!("{} (foreign)", registration.key),
    }
}

/// Its own fault, and no peer's.
fn stalled(cause: &str, by_ms: f64) -> String {
    let what = match cause {
        "suspended" => format!("this host was suspended for {}", span(by_ms)),
        "late" => format!(
            "this process did not run for {}: the host is too busy, or it was stopped",
            span(by_ms)
        ),
        _ => format!(
            "the wall clock was set {} by {}: a paused virtual machine shows itself like this",
            if by_ms < 0.0 { "back" } else { "forward" },
            span(by_ms.abs())
        ),
    };
    format!("{what}; what is owned is proved again before anything is written")
}

fn barrier(by: &str) -> String {
    let how = match by {
        "abort" => "was aborted with its key",
        "lun-reset" => "was aborted by a LUN reset",
        "clear-task-set" => "was aborted by CLEAR TASK SET",
        "nvme" => "was aborted with its key (NVMe)",
        _ => "cannot be aborted here: only time stands between (best effort)",
    };
    format!("what an earlier owner still had queued {how}")
}

fn with(key: Option<&str>) -> String {
    key.map(|key| format!(" (key {key})")).unwrap_or_default()
}

/// Milliseconds as people read them.
fn span(ms: f64) -> String {
    if ms < 10.0 {
        format!("{ms:.1} ms")
    } else if ms < 1000.0 {
        format!("{ms:.0} ms")
    } else {
        format!("{:.1} s", ms / 1000.0)
    }
}

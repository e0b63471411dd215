//! One event of an arbitration as a value: what `--json` prints, a line each, and what the timeline puts
//! into words. `qctl demo` reads it back from its contenders.
//!
//! The fields are the contract (`qctl schema arbitrate`): keys and world-wide names are strings, spans end
//! in `_ms`.

use crate::clock::Moment;
use scsi::reservation::{Attention, Key};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Something that happened, when, and to which node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Wall clock, UTC, RFC 3339.
    pub(crate) time: String,
    /// CLOCK_BOOTTIME.
    pub(crate) monotonic_ns: u64,
    /// The node's number.
    pub(crate) node: u8,
    /// What happened.
    #[serde(flatten)]
    pub(crate) what: What,
}

impl Record {
    /// An event of this moment.
    pub(crate) fn new(at: Moment, node: u8, what: What) -> Self {
        Self {
            time: at.time,
            monotonic_ns: at.monotonic_ns,
            node,
            what,
        }
    }
}

/// A reservation in force.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Holder {
    /// The holder's key; null when the disk does not tell, or every registrant holds.
    pub(crate) key: Option<String>,
    /// The type's short name.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The node of our cluster that holds; null for anybody else.
    pub(crate) node: Option<u8>,
}

/// One registration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Registration {
    /// Its key.
    pub(crate) key: String,
    /// The registrant, where the disk tells.
    pub(crate) nexus: Option<String>,
    /// The node of our cluster; null for a key of anybody else.
    pub(crate) node: Option<u8>,
}

/// What happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum What {
    /// The arbiter starts.
    Started {
        /// The disk, as the user named it.
        disk: String,
        /// Its world-wide name.
        wwid: String,
        /// `pr` or `scsi2`.
        mode: String,
        /// Why this mode.
        why: String,
        /// The cluster's name.
        cluster: String,
        /// The profile's name; none where the times were solved for a takeover.
        profile: Option<String>,
        /// The takeover that the times were solved for.
        takeover_ms: Option<f64>,
        /// How many paths.
        paths: u16,
        /// d: between two defence rounds.
        defend_interval_ms: f64,
        /// w: what a holder is given to defend.
        challenge_wait_ms: f64,
        /// s: the age of a proof at which an owner stops.
        self_stop_ms: f64,
        /// q: how long stopping may take.
        stop_time_ms: f64,
    },
    /// Something to know that changes nothing.
    Remark {
        /// It.
        text: String,
    },
    /// The first look at the disk.
    Found {
        /// The reservation in force.
        holder: Option<Holder>,
        /// Who is registered.
        registrations: Vec<Registration>,
    },
    /// A registration of an earlier process of this node was found and replaced.
    Reborn {
        /// The key that was found.
        old_key: String,
        /// Its nexus was the holder.
        was_holder: bool,
    },
    /// Registered on a path.
    Registered {
        /// The path.
        path: u16,
        /// The key.
        key: String,
    },
    /// SCSI-2: a LUN reset was sent to challenge the owner.
    ResetSent,
    /// The challenge wait runs.
    Waiting {
        /// Who is challenged.
        holder: Option<Holder>,
        /// For how long from now.
        for_ms: f64,
    },
    /// The wait starts over: a reset was seen.
    WaitRestarted {
        /// The attention's codes, `asc/ascq`.
        attention: String,
    },
    /// The race was lost.
    Lost {
        /// To whom.
        holder: Option<Holder>,
        /// When the next try comes; null when none does.
        again_in_ms: Option<f64>,
    },
    /// The holder did not defend, or has parked.
    Taking {
        /// The key that is preempted; null when nobody holds.
        victim: Option<String>,
        /// It has parked the disk.
        handed_over: bool,
    },
    /// The disk has answered that with GOOD, which is not a win yet.
    Taken,
    /// The old owner's writes are out of the way.
    Barrier {
        /// How: `abort`, `lun-reset`, `clear-task-set`, `settle-only`, `nvme`.
        by: String,
    },
    /// The disk refuses everybody else.
    Held {
        /// The key of this term.
        key: Option<String>,
    },
    /// Whatever the disk cannot fence may start.
    Owner {
        /// The key of this term.
        key: Option<String>,
    },
    /// A clean round.
    Defended {
        /// How old the proof is.
        age_ms: f64,
    },
    /// An epoch was begun on the quorum log.
    LogClaimed {
        /// It.
        epoch: u64,
        /// The last record that the log's checkpoint covers.
        checkpoint_lsn: String,
        /// Records behind it.
        records: u64,
        /// The record that comes next.
        next_lsn: String,
        /// What was found and did no harm.
        notes: Vec<String>,
    },
    /// The file system is mounted.
    Mounted {
        /// What, and where.
        what: String,
        /// As which file system.
        kind: String,
    },
    /// The file system is unmounted, or was detached after a loss.
    Unmounted {
        /// What, and where.
        what: String,
        /// Why it is not.
        error: Option<String>,
    },
    /// Everything of this owner has ended, and the mark of a hand-over is on its way to the log: whoever reads it takes the
    /// disk at once.
    LogParking {
        /// The epoch that it ends.
        epoch: u64,
    },
    /// The mark of a hand-over was sent to the log.
    LogParked {
        /// The epoch that it ends.
        epoch: u64,
        /// Why nobody knows whether it arrived.
        error: Option<String>,
    },
    /// A registration was removed.
    Removed {
        /// It.
        registration: Registration,
        /// Not of this cluster, or of other times.
        foreign: bool,
    },
    /// Three foreign registrations within a minute.
    Contested {
        /// The last one.
        registration: Registration,
    },
    /// One round met more keys to remove than the times cover.
    Crowded {
        /// How many so far in the round.
        keys: u32,
        /// How many the times cover.
        covered: u32,
    },
    /// Nexuses have this node's key that this node did not send it to.
    KeyShared {
        /// The key.
        key: String,
        /// How many initiator ports have it.
        nexuses: u32,
        /// How often this node sent it.
        sent: u32,
    },
    /// Under the owner, APTPL was found off, or is on again.
    Aptpl {
        /// It is on.
        active: bool,
    },
    /// A round was voided or could not be finished.
    RoundFailed {
        /// Why.
        why: String,
        /// How old the proof is.
        age_ms: f64,
    },
    /// A round started late.
    Late {
        /// By how much.
        by_ms: f64,
    },
    /// The disk took longer for an answer than the times allow for.
    Slow {
        /// Over which path.
        path: u16,
        /// How long.
        took_ms: f64,
        /// What they allow for.
        allowed_ms: f64,
    },
    /// This host stood still, or its clock was set: ownership is proved again before the next write.
    Stalled {
        /// `suspended`, `late`, `clock-set`.
        cause: String,
        /// For so long, or by so much; negative when the clock was set back.
        by_ms: f64,
    },
    /// A command did not come to a definite end, or was refused.
    Trouble {
        /// On which path.
        path: u16,
        /// Which.
        verb: String,
        /// What came back.
        why: String,
    },
    /// A unit attention was met.
    Attention {
        /// On which path.
        path: u16,
        /// Its codes, `asc/ascq`.
        attention: String,
        /// In words.
        words: String,
    },
    /// The disk may have been open.
    Exposed {
        /// For how long at most.
        at_most_ms: f64,
    },
    /// Taken again after a power loss.
    Retaken {
        /// The new key.
        key: String,
    },
    /// A path failed or is back.
    Path {
        /// Which.
        path: u16,
        /// Registered and usable.
        usable: bool,
    },
    /// A path does not come back within its bound.
    PathHung {
        /// Which.
        path: u16,
        /// In which verb.
        verb: String,
    },
    /// It came back.
    PathBack {
        /// Which.
        path: u16,
        /// How late.
        late_by_ms: f64,
    },
    /// The self-stop timer fenced the owner.
    Fenced {
        /// How late the timer was.
        late_by_ms: f64,
    },
    /// Where the serials of keys come from, when that is out of the ordinary.
    Serials {
        /// In words.
        text: String,
    },
    /// The host refused something that makes the defender punctual.
    Unprivileged {
        /// What.
        what: String,
        /// Why.
        why: String,
    },
    /// The watchdog is armed.
    WatchdogArmed {
        /// Its device.
        path: String,
        /// Its timeout.
        timeout_ms: f64,
    },
    /// The watchdog could not be used.
    WatchdogFailed {
        /// Its device.
        path: String,
        /// Why.
        why: String,
    },
    /// The watchdog is disarmed.
    WatchdogDisarmed,
    /// The command runs.
    CommandStarted {
        /// Its process.
        pid: i32,
        /// It.
        command: String,
    },
    /// TERM was sent to the command.
    CommandTerminating {
        /// Why.
        why: String,
    },
    /// KILL was sent to the command, or to what it left behind.
    CommandKilled {
        /// How many processes.
        processes: u32,
    },
    /// The command and all that it had started have ended.
    CommandEnded {
        /// Its status.
        status: u8,
    },
    /// A signal asks for the end.
    Signal {
        /// Its name.
        name: String,
    },
    /// The reader was too slow: so many events are not here.
    Missed {
        /// How many.
        events: u64,
    },
    /// The arbitration stands still.
    Stopped {
        /// `released`, `withdrawn`, `not-taken`, `refused`, `deposed`, `self-stop`, `parked`.
        reason: String,
        /// In words.
        words: String,
        /// Who holds the disk now, where that is known.
        holder: Option<Holder>,
    },
    /// The last line.
    Ended {
        /// The exit code.
        code: u8,
        /// How long this node was the owner.
        owned_ms: f64,
        /// How many rounds were clean.
        clean_rounds: u64,
    },
}

/// A key as a string.
pub(crate) fn text(key: Key) -> String {
    key.to_string()
}

/// An attention's codes as the standards print them.
pub(crate) fn codes(attention: Attention) -> String {
    format!("{:02X}/{:02X}", attention.asc, attention.ascq)
}

/// A span in milliseconds, to the microsecond.
pub(crate) fn ms(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::{Holder, Record, Registration, What};
    use crate::arbitrate::timeline::Line;
    use crate::output::Report;
    use serde_json::{Value, json};
    use std::collections::BTreeSet;

    /// One of each event.
    fn samples() -> Vec<What> {
        let key = || "0xa712345607abcdef".to_owned();
        let text = || "words".to_owned();
        let holder = || {
            Some(Holder {
                key: Some(key()),
                kind: "we".to_owned(),
                node: Some(1),
            })
        };
        let registration = || Registration {
            key: key(),
            nexus: Some("emu:a".to_owned()),
            node: Some(7),
        };
        vec![
            What::Started {
                disk: text(),
                wwid: text(),
                mode: "pr".to_owned(),
                why: text(),
                cluster: text(),
                profile: Some("default".to_owned()),
                takeover_ms: Some(2500.0),
                paths: 1,
                defend_interval_ms: 300.0,
                challenge_wait_ms: 800.0,
                self_stop_ms: 780.0,
                stop_time_ms: 300.0,
            },
            What::Remark { text: text() },
            What::Found {
                holder: holder(),
                registrations: vec![registration()],
            },
            What::Reborn {
                old_key: key(),
                was_holder: true,
            },
            What::Registered {
                path: 0,
                key: key(),
            },
            What::ResetSent,
            What::Waiting {
                holder: None,
                for_ms: 800.5,
            },
            What::WaitRestarted { attention: text() },
            What::Lost {
                holder: holder(),
                again_in_ms: None,
            },
            What::Taking {
                victim: Some(key()),
                handed_over: true,
            },
            What::Taken,
            What::Barrier {
                by: "abort".to_owned(),
            },
            What::Held { key: Some(key()) },
            What::Owner { key: None },
            What::Defended { age_ms: 1.25 },
            What::LogClaimed {
                epoch: 7,
                checkpoint_lsn: "12".to_owned(),
                records: 3,
                next_lsn: "16".to_owned(),
                notes: vec![text()],
            },
            What::Mounted {
                what: text(),
                kind: "ext4".to_owned(),
            },
            What::Unmounted {
                what: text(),
                error: Some(text()),
            },
            What::LogParking { epoch: 7 },
            What::LogParked {
                epoch: 7,
                error: Some(text()),
            },
            What::LogParked {
                epoch: 7,
                error: None,
            },
            What::Removed {
                registration: registration(),
                foreign: false,
            },
            What::Contested {
                registration: registration(),
            },
            What::Crowded {
                keys: 5,
                covered: 4,
            },
            What::KeyShared {
                key: key(),
                nexuses: 2,
                sent: 1,
            },
            What::Aptpl { active: false },
            What::RoundFailed {
                why: text(),
                age_ms: 3.0,
            },
            What::Late { by_ms: 3.0 },
            What::Slow {
                path: 0,
                took_ms: 80.0,
                allowed_ms: 60.0,
            },
            What::Stalled {
                cause: "suspended".to_owned(),
                by_ms: 3000.0,
            },
            What::Trouble {
                path: 0,
                verb: text(),
                why: text(),
            },
            What::Attention {
                path: 0,
                attention: "29/00".to_owned(),
                words: text(),
            },
            What::Exposed { at_most_ms: 3.0 },
            What::Retaken { key: key() },
            What::Path {
                path: 1,
                usable: false,
            },
            What::PathHung {
                path: 0,
                verb: text(),
            },
            What::PathBack {
                path: 0,
                late_by_ms: 3.0,
            },
            What::Fenced { late_by_ms: 0.1 },
            What::Serials { text: text() },
            What::Unprivileged {
                what: text(),
                why: text(),
            },
            What::WatchdogArmed {
                path: text(),
                timeout_ms: 9000.0,
            },
            What::WatchdogFailed {
                path: text(),
                why: text(),
            },
            What::WatchdogDisarmed,
            What::CommandStarted {
                pid: 12,
                command: text(),
            },
            What::CommandTerminating { why: text() },
            What::CommandKilled { processes: 2 },
            What::CommandEnded { status: 143 },
            What::Signal {
                name: "SIGTERM".to_owned(),
            },
            What::Missed { events: 3 },
            What::Stopped {
                reason: "deposed".to_owned(),
                words: text(),
                holder: holder(),
            },
            What::Ended {
                code: 106,
                owned_ms: 12.5,
                clean_rounds: 3,
            },
        ]
    }

    fn printed(what: What) -> Value {
        let record = Record::new(crate::clock::now(), 7, what);
        let line = Line {
            record: &record,
            began_ns: 0,
            who: None,
        };
        let mut document = json!({ "schema": "arbitrate/1" });
        let fields = line.json();
        for (name, value) in fields.as_object().unwrap() {
            document[name] = value.clone();
        }
        document
    }

    #[test]
    fn every_event_is_as_the_schema_says_and_the_schema_knows_no_other() {
        let schema: Value =
            serde_json::from_str(include_str!("../../schemas/arbitrate.json")).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let mut seen = BTreeSet::new();
        for what in samples() {
            let document = printed(what);
            if let Err(error) = validator.validate(&document) {
                panic!("{document}: {error}");
            }
            seen.insert(document["event"].as_str().unwrap().to_owned());
        }
        let known = schema["oneOf"].as_array().unwrap().iter();
        let known: BTreeSet<String> = known
            .map(|event| {
                event["properties"]["event"]["const"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert_eq!(seen, known);
        let stray = json!({ "schema": "arbitrate/1", "time": "", "monotonic_ns": 1, "node": 1, "event": "x" });
        assert!(!validator.is_valid(&stray));
    }

    #[test]
    fn every_event_reads_back_as_it_was_printed() {
        for what in samples() {
            let read: Record = serde_json::from_value(printed(what.clone())).unwrap();
            assert_eq!(read.what, what);
        }
    }
}

//! From what the arbiter tells to what is printed.

use super::record::{Holder, Registration, What, codes, ms, text};
use quorum::arbiter::{Happening, Notice, SerialNotice, Stall};
use quorum_core::Instant;
use quorum_core::arbitration::{BarrierKind, ClusterTag, Event, KeyParts, Refused, Stopped};
use scsi::reservation::{self, Key};

/// Puts a notice of the arbiter of `cluster` into a value to print.
pub(super) fn what(notice: &Notice, cluster: ClusterTag) -> What {
    match &notice.what {
        Happening::Arbitration(event) => arbitration(event, notice.at, cluster),
        Happening::Serials(told) => What::Serials {
            text: serials(told),
        },
        Happening::Unprivileged { what, why } => What::Unprivileged {
            what: (*what).to_owned(),
            why: why.clone(),
        },
        Happening::Stalled(stall) => stalled(*stall),
        Happening::Slow {
            path,
            took,
            allowed,
        } => What::Slow {
            path: path.0,
            took_ms: ms(*took),
            allowed_ms: ms(*allowed),
        },
        Happening::PathHung { path, verb } => What::PathHung {
            path: path.0,
            verb: (*verb).to_owned(),
        },
        Happening::PathBack { path, late_by } => What::PathBack {
            path: path.0,
            late_by_ms: ms(*late_by),
        },
        Happening::SelfStopTimer { late_by } => What::Fenced {
            late_by_ms: ms(*late_by),
        },
        Happening::WatchdogArmed { path, timeout, .. } => What::WatchdogArmed {
            path: path.display().to_string(),
            timeout_ms: ms(*timeout),
        },
        Happening::WatchdogFailed { path, why } => What::WatchdogFailed {
            path: path.display().to_string(),
            why: why.clone(),
        },
        Happening::WatchdogDisarmed => What::WatchdogDisarmed,
        Happening::Missed(events) => What::Missed { events: *events },
    }
}

fn arbitration(event: &Event, at: Instant, cluster: ClusterTag) -> What {
    let age = |proved_at: &Instant| ms(at.saturating_since(*proved_at));
    let by =
        |held: &Option<reservation::Reservation>| held.as_ref().map(|held| holder(held, cluster));
    match event {
        Event::Found {
            reservation,
            registrations,
        } => What::Found {
            holder: by(reservation),
            registrations: registrations
                .iter()
                .map(|entry| registration(entry, cluster))
                .collect(),
        },
        Event::Reborn { old, was_holder } => What::Reborn {
            old_key: text(*old),
            was_holder: *was_holder,
        },
        Event::Registered { path, key } => What::Registered {
            path: path.0,
            key: text(*key),
        },
        Event::ResetSent => What::ResetSent,
        Event::Waiting {
            holder: held,
            until,
        } => What::Waiting {
            holder: by(held),
            for_ms: ms(until.saturating_since(at)),
        },
        Event::WaitRestarted { attention } => What::WaitRestarted {
            attention: codes(*attention),
        },
        Event::Lost {
            holder: held,
            again_at,
        } => What::Lost {
            holder: by(held),
            again_in_ms: again_at.map(|again| ms(again.saturating_since(at))),
        },
        Event::Taking {
            victim,
            handed_over,
        } => What::Taking {
            victim: victim.map(text),
            handed_over: *handed_over,
        },
        Event::Taken => What::Taken,
        Event::Barrier(kind) => What::Barrier {
            by: barrier(*kind).to_owned(),
        },
        Event::Held { key, .. } => What::Held { key: key.map(text) },
        Event::Owner { key } => What::Owner { key: key.map(text) },
        Event::Defended { proved_at } => What::Defended {
            age_ms: age(proved_at),
        },
        Event::Removed {
            registration: removed,
            foreign,
        } => What::Removed {
            registration: registration(removed, cluster),
            foreign: *foreign,
        },
        Event::Contested { registration: last } => What::Contested {
            registration: registration(last, cluster),
        },
        Event::Crowded { keys, covered } => What::Crowded {
            keys: *keys,
            covered: *covered,
        },
        Event::KeyShared { key, nexuses, sent } => What::KeyShared {
            key: key.to_string(),
            nexuses: *nexuses,
            sent: *sent,
        },
        Event::Aptpl { active } => What::Aptpl { active: *active },
        Event::RoundFailed { why, age } => What::RoundFailed {
            why: why.clone(),
            age_ms: ms(*age),
        },
        Event::Late { by } => What::Late { by_ms: ms(*by) },
        Event::Trouble { path, verb, why } => What::Trouble {
            path: path.0,
            verb: (*verb).to_owned(),
            why: why.clone(),
        },
        Event::Attention { path, attention } => What::Attention {
            path: path.0,
            attention: codes(*attention),
            words: crate::words::attention(*attention).to_owned(),
        },
        Event::Exposed { at_most } => What::Exposed {
            at_most_ms: ms(*at_most),
        },
        Event::Retaken { key } => What::Retaken { key: text(*key) },
        Event::Path { path, usable } => What::Path {
            path: path.0,
            usable: *usable,
        },
        Event::Stopped(why) => stopped(why, cluster),
    }
}

fn registration(entry: &reservation::Registration, cluster: ClusterTag) -> Registration {
    Registration {
        key: text(entry.key),
        nexus: entry.nexus.as_ref().map(ToString::to_string),
        node: node_of(entry.key, cluster),
    }
}

fn holder(held: &reservation::Reservation, cluster: ClusterTag) -> Holder {
    Holder {
        key: held.key.map(text),
        kind: held.kind.to_string(),
        node: held.key.and_then(|key| node_of(key, cluster)),
    }
}

/// Whose key this is, if it is one of our cluster.
fn node_of(key: Key, cluster: ClusterTag) -> Option<u8> {
    let parts = KeyParts::decode(key).filter(|parts| parts.cluster == cluster);
    parts.map(|parts| parts.node.0)
}

const fn barrier(kind: BarrierKind) -> &'static str {
    match kind {
        BarrierKind::Abort => "abort",
        BarrierKind::LunReset => "lun-reset",
        BarrierKind::ClearTaskSet => "clear-task-set",
        BarrierKind::SettleOnly => "settle-only",
        BarrierKind::Nvme => "nvme",
    }
}

fn stopped(why: &Stopped, cluster: ClusterTag) -> What {
    let (reason, words, held) = match why {
        Stopped::NotTaken { holder } => (
            "not-taken",
            "another holds the disk".to_owned(),
            holder.as_ref(),
        ),
        Stopped::Refused(refused) => ("refused", refusal(refused), None),
        Stopped::Deposed { holder } => (
            "deposed",
            "the disk was lost to another".to_owned(),
            holder.as_ref(),
        ),
        Stopped::SelfStop { age } => (
            "self-stop",
            format!("ownership was not proved for {:.0} ms", ms(*age)),
            None,
        ),
        Stopped::Parked => (
            "parked",
            "handed over; it is still the holder".to_owned(),
            None,
        ),
        Stopped::Released { confirmed: true } => (
            "released",
            "the disk was given back: nothing of this node is left on it".to_owned(),
            None,
        ),
        Stopped::Released { confirmed: false } => (
            "released",
            "the disk was to be given back; whether anything of this node is left on it, nobody could read back"
                .to_owned(),
            None,
        ),
        Stopped::Withdrawn => (
            "withdrawn",
            "it no longer contends, and nothing of it is left on the disk".to_owned(),
            None,
        ),
    };
    What::Stopped {
        reason: reason.to_owned(),
        words,
        holder: held.map(|held| holder(held, cluster)),
    }
}

/// Why the machine does not contend at all.
pub(super) fn refusal(refused: &Refused) -> String {
    match refused {
        Refused::Foreign { registrations } => {
            let whose = registrations.iter().map(|entry| match &entry.nexus {
                Some(nexus) => format!("{} of {nexus}", entry.key),
                None => entry.key.to_string(),
            });
            let whose: Vec<String> = whose.collect();
            format!(
                "keys of another cluster, or of other times, are registered: {}",
                whose.join(", ")
            )
        }
        Refused::NoAptpl => {
            "the target does not keep reservations through a power loss (PTPL_A reads 0)".to_owned()
        }
        Refused::Unsupported(what) => format!("the disk lacks what this mode needs: {what}"),
        Refused::OtherProtocol => {
            "the disk is reserved by the other protocol (SCSI-2 against persistent)".to_owned()
        }
        Refused::NoPath(why) => format!("no path to the disk can be used: {why}"),
        Refused::CannotRegister(why) => format!("the disk does not register this nexus: {why}"),
        Refused::DuplicateNode { key } => {
            format!("another host is at work with this node's number, under key {key}")
        }
    }
}

fn serials(told: &SerialNotice) -> String {
    match told {
        SerialNotice::BegunAtRandom { path, first } => format!(
            "no record of earlier keys for this disk: begun at random with serial {first}, kept in {}",
            path.display()
        ),
        SerialNotice::Unreadable { path, why, first } => format!(
            "the record of earlier keys in {} cannot be read ({why}): begun at random with serial {first}",
            path.display()
        ),
        SerialNotice::NotSaved { path, why, first } => format!(
            "the record of used keys cannot be kept in {} ({why}): serials from {first} are random",
            path.display()
        ),
        SerialNotice::Behind { registered, mark } => format!(
            "serial {registered} of this node is registered, but {mark} was to be the next: the record was \
             restored from a backup, or another host has this node's number; gone on above"
        ),
        SerialNotice::WrappedAround { first } => {
            format!("all serials were used once: begun anew at random with {first}")
        }
    }
}

fn stalled(stall: Stall) -> What {
    let (cause, by_ms) = match stall {
        Stall::Suspended { span } => ("suspended", ms(span)),
        Stall::Late { by } => ("late", ms(by)),
        Stall::ClockSet { by, forward: true } => ("clock-set", ms(by)),
        Stall::ClockSet { by, forward: false } => ("clock-set", -ms(by)),
    };
    What::Stalled {
        cause: cause.to_owned(),
        by_ms,
    }
}

/// The disk was lost behind the mark of a hand-over: to whoever had read it, or to silence.
pub(super) fn handed_over(lost: &Stopped, cluster: ClusterTag) -> What {
    let (words, held) = match lost {
        Stopped::Deposed { holder } => {
            ("handed over; the next node has it already", holder.as_ref())
        }
        Stopped::SelfStop { .. }
        | Stopped::NotTaken { .. }
        | Stopped::Refused(_)
        | Stopped::Parked
        | Stopped::Released { .. }
        | Stopped::Withdrawn => ("handed over; the disk has been silent since", None),
    };
    What::Stopped {
        reason: "parked".to_owned(),
        words: words.to_owned(),
        holder: held.map(|held| holder(held, cluster)),
    }
}

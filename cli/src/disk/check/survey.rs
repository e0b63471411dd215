//! The read-only tier: what the disk says of itself.

use super::point::{Answer, Point};
use crate::disk::session::Session;
use scsi::reservation::{Capabilities, ReservationType, Support};

/// What is known of APTPL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Aptpl {
    /// The disk cannot persist registrations.
    Absent,
    /// It does not tell.
    Unknown,
    /// It says that it can.
    Declared,
    /// A mark has been found after a power cycle.
    Proven,
}

impl Aptpl {
    /// What the disk declares.
    pub(super) const fn declared(can: &Capabilities) -> Self {
        match can.aptpl_capable {
            Support::Yes => Self::Declared,
            Support::No => Self::Absent,
            Support::Unknown => Self::Unknown,
        }
    }

    /// As JSON spells it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Unknown => "unknown",
            Self::Declared => "declared",
            Self::Proven => "proven",
        }
    }
}

/// The points that need nothing but what the disk says.
pub(super) fn points(session: &Session, can: &Capabilities) -> Vec<Point> {
    let told = session.disk.identity.wwid.is_some();
    let mut points = vec![
        Point::new(
            "wwid",
            "the disk tells a world-wide name, by which two hosts know that it is the same one",
            if told {
                Answer::Passed
            } else {
                Answer::NotProven
            },
        ),
        Point::new(
            "reservations",
            "the disk has persistent reservations",
            match (can.persistent, can.spc2) {
                (Support::Yes, _) => Answer::Passed,
                (Support::No, Support::Yes) | (Support::Unknown, _) => Answer::NotProven,
                (Support::No, Support::No | Support::Unknown) => Answer::Failed,
            },
        ),
    ];
    if can.persistent == Support::Yes {
        points.push(types(session, can));
        points.push(aptpl(can));
    }
    points
}

/// The type that an arbiter would hold (one path: the holder alone; several: every registrant).
fn types(session: &Session, can: &Capabilities) -> Point {
    let needed = if session.disk.paths.len() > 1 {
        ReservationType::WriteExclusiveRegistrantsOnly
    } else {
        ReservationType::WriteExclusive
    };
    let answer = match can.types {
        Some(types) if types.contains(needed) => Answer::Passed,
        Some(_) => Answer::Failed,
        None => Answer::NotProven,
    };
    Point::new("types", "the type that arbitration holds is there", answer)
        .because(format!("{} ({needed})", needed.words()))
}

fn aptpl(can: &Capabilities) -> Point {
    let claim = "registrations can survive a power loss of the target (APTPL)";
    match Aptpl::declared(can) {
        Aptpl::Absent => Point::new("aptpl-declared", claim, Answer::Failed).because(
            "PTPL_C is 0: after a power loss the disk is open to everybody; `arbitrate` refuses it \
             without --accept-no-aptpl",
        ),
        Aptpl::Unknown => Point::new("aptpl-declared", claim, Answer::NotProven),
        Aptpl::Declared | Aptpl::Proven => Point::new("aptpl-declared", claim, Answer::Passed),
    }
}

/// What is odd about this disk, and does not forbid it.
pub(super) fn quirks(can: &Capabilities) -> Vec<String> {
    let mut quirks = Vec::new();
    let mut quirk = |support: Support, text: &str| {
        if support == Support::No {
            quirks.push(text.to_owned());
        }
    };
    quirk(
        can.full_status,
        "no READ FULL STATUS: it does not tell which nexus registered which key",
    );
    quirk(
        can.preempt_and_abort,
        "no PREEMPT AND ABORT: arbitrate with --no-abort (a LUN reset is the barrier)",
    );
    quirk(
        can.attentions,
        "no unit attentions: a loss is seen at the next reading",
    );
    quirk(can.resets.lun, "no LUN reset on this way to it");
    quirk(can.spc2, "no SPC-2 reservations");
    quirks
}

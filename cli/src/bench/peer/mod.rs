//! Other systems beside ours: run here where they are installed, else their stored figures, which say that they
//! are stored and when they were measured.
//!
//! sanlock is what a shared disk without reservations is arbitrated with: leases on the disk itself. Of its
//! takeover 60 s are a watchdog's time by design, whatever its io_timeout. fence_scsi is what Pacemaker cuts a
//! node off with: the disk refuses the victim, and Corosync has to find it dead before.

mod fence_scsi;
mod sanlock;

use super::arbitration::PARKED_TOLD;
use super::series::Series;
use super::site::{Site, interrupted};
use super::told::short;
use crate::Context;
use crate::contest::{Contest, Heard};
use crate::exit::Failure;
use serde::{Deserialize, Serialize};

/// Another system.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(super) enum Peer {
    /// Leases on the disk, by time alone
    Sanlock,
    /// The fence agent of Pacemaker that preempts by persistent reservations
    FenceScsi,
}

/// A figure of another system.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Figure {
    /// The system, and how it was set up.
    pub(super) system: String,
    /// `takeover`: from the death of the owner to the next one; `hand-over`: from asking the owner to the next one;
    /// `fencing`: from the moment when somebody knows of the death until the disk refuses the dead.
    pub(super) what: String,
    /// How long that took.
    pub(super) seconds: f64,
    /// How often it was measured.
    pub(super) n: u32,
    /// `here`, or `stored`.
    pub(super) measured: String,
    /// The day of a stored figure.
    pub(super) date: Option<String>,
    /// How many times as long as the median of ours.
    pub(super) ratio: Option<f64>,
    /// What has to be known about it.
    pub(super) note: String,
}

/// What was measured.
const TAKEOVER: &str = "takeover";
const HAND_OVER: &str = "hand-over";
const FENCING: &str = "fencing";

/// The day of all stored figures.
const STORED_ON: &str = "2026-11-22";

/// Where the most of sanlock's time goes.
const WATCHDOG: &str = "60 s of it are a watchdog's time, by design";

impl Figure {
    /// For people: one line.
    pub(super) fn words(&self) -> String {
        let when = match &self.date {
            Some(date) => format!("stored, of {date}"),
            None => "measured here, in this run".to_owned(),
        };
        let ratio = self
            .ratio
            .map(|ratio| format!(", {} times ours", short((ratio * 10.0).round() / 10.0)));
        let took = match self.what.as_str() {
            HAND_OVER => format!("{} ms for a hand-over", short(self.seconds * 1e3)),
            FENCING => format!(
                "{} s to cut off a node that is known to be dead",
                short(self.seconds)
            ),
            _ => format!("{} s from a killed owner to the next", short(self.seconds)),
        };
        format!(
            "{}: {took} ({when}, n = {}){}; {}",
            self.system,
            self.n,
            ratio.unwrap_or_default(),
            self.note
        )
    }
}

/// The figures of these systems, beside these series.
pub(super) fn figures(
    peers: &[Peer],
    ours: &[Series],
    contest: &Contest,
    site: &Site,
    no_abort: bool,
    context: &mut Context,
) -> Result<Vec<Figure>, Failure> {
    let takeover_s = median_s(ours, "owner killed: next owner");
    let fencing_s = median_s(ours, "owner killed: beyond the wait");
    let mut figures = Vec::new();
    for peer in peers {
        match peer {
            Peer::Sanlock => figures.extend(sanlock_figures(contest, context)?),
            Peer::FenceScsi => figures.extend(fence_scsi_figures(site, no_abort, context)),
        }
    }
    for figure in &mut figures {
        let ours = if figure.what == FENCING {
            fencing_s
        } else {
            takeover_s
        };
        figure.ratio = ours.map(|ours| figure.seconds / ours);
    }
    Ok(figures)
}

/// Hand-overs of these systems, beside ours.
pub(super) fn hand_overs(peers: &[Peer], ours: &[Series]) -> Vec<Figure> {
    let ours_s = median_s(ours, &format!("{PARKED_TOLD}: next held"));
    let sanlock = peers.contains(&Peer::Sanlock).then(|| Figure {
        ratio: ours_s.map(|ours| 0.0109 / ours),
        ..stored(
            HAND_OVER,
            "sanlock, release by one and acquire by the other",
            0.0109,
            90,
            "over a file on a local disk, by its library; its lease is held then, as our disk is: the claim of our log, \
             which it has not, comes on top",
        )
    });
    // Pacemaker's is a move of a resource, and no hand-over of a disk.
    sanlock.into_iter().collect()
}

fn median_s(series: &[Series], name: &str) -> Option<f64> {
    let found = series.iter().find(|series| series.name == name);
    found
        .and_then(Series::summary)
        .map(|summary| summary.p50 / 1e3)
}

fn fence_scsi_figures(site: &Site, no_abort: bool, context: &mut Context) -> Vec<Figure> {
    let pacemaker = |note| {
        stored(
            TAKEOVER,
            "Pacemaker and Corosync (token 1 s), 2 nodes, with a fence agent that says success at once",
            2.33,
            5,
            note,
        )
    };
    let fenced = if fence_scsi::is_installed() {
        fence_scsi::fencing(site, no_abort)
    } else {
        Err("it is not installed".to_owned())
    };
    match fenced {
        Ok(seconds) => vec![
            Figure {
                system: "fence_scsi, `off` by the other node".to_owned(),
                what: FENCING.to_owned(),
                seconds,
                n: fence_scsi::RUNS,
                measured: "here".to_owned(),
                date: None,
                ratio: None,
                note: "compared with ours beyond the wait: look, PREEMPT, barrier, look, and the claim of a log if there \
                       is one"
                    .to_owned(),
            },
            pacemaker("fence_scsi's own time comes on top"),
        ],
        Err(why) => {
            context
                .output
                .message(&format!("fence_scsi was not run: {why}"));
            vec![pacemaker(
                "fence_scsi's own time comes on top; it is measured where it is installed and the bench is given a SCSI \
                 disk of this kernel",
            )]
        }
    }
}

/// Is this program to be had?
fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

fn sanlock_figures(contest: &Contest, context: &mut Context) -> Result<Vec<Figure>, Failure> {
    let tightest = "sanlock, io_timeout 1 (its tightest)";
    let stored_tightest = || stored(TAKEOVER, tightest, 69.5, 5, WATCHDOG);
    let by_default = stored(
        TAKEOVER,
        "sanlock, io_timeout 10 (its default)",
        130.0,
        5,
        WATCHDOG,
    );
    if !sanlock::is_installed() {
        return Ok(vec![stored_tightest(), by_default]);
    }
    context
        .output
        .message("sanlock is installed: one takeover of it takes more than a minute");
    let mut wait = |span| match contest.hear(span) {
        Some(Heard::Interrupted) => Err(interrupted()),
        Some(Heard::Event(_) | Heard::Sent(..) | Heard::Silent(..)) | None => Ok(()),
    };
    let figure = match sanlock::takeover(&mut wait)? {
        Ok(seconds) => Figure {
            system: tightest.to_owned(),
            what: TAKEOVER.to_owned(),
            seconds,
            n: 1,
            measured: "here".to_owned(),
            date: None,
            ratio: None,
            note: WATCHDOG.to_owned(),
        },
        Err(why) => {
            context
                .output
                .message(&format!("sanlock could not be run: {why}"));
            stored_tightest()
        }
    };
    Ok(vec![figure, by_default])
}

fn stored(what: &str, system: &str, seconds: f64, n: u32, note: &str) -> Figure {
    Figure {
        what: what.to_owned(),
        system: system.to_owned(),
        seconds,
        n,
        measured: "stored".to_owned(),
        date: Some(STORED_ON.to_owned()),
        ratio: None,
        note: note.to_owned(),
    }
}

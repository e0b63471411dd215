//! Other systems beside ours: run here where they are installed, else their stored figures, which say that they
//! are stored and when they were measured.
//!
//! sanlock is what a shared disk without reservations is arbitrated with: leases on the disk itself. Of its
//! takeover 60 s are a watchdog's time by design, whatever its io_timeout. fence_scsi is what Pacemaker cuts a
//! node off with: the disk refuses the victim, and Corosync has to find it dead before.

mod sanlock;

use super::series::Series;
use super::site::interrupted;
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
    /// From the death of the owner to the next one, in seconds.
    pub(super) takeover_s: f64,
    /// How often it was measured.
    pub(super) n: u32,
    /// `here`, or `stored`.
    pub(super) measured: String,
    /// The day of a stored figure.
    pub(super) date: Option<String>,
    /// How many times as long as ours: the median of a killed owner to the next one.
    pub(super) ratio: Option<f64>,
    /// What has to be known about it.
    pub(super) note: String,
}

/// The day of all stored figures.
const STORED_ON: &str = "2026-11-22";

/// Where the most of sanlock's time goes.
/// Its program was seen to go by an io_timeout of 10 s although it was asked for 1 s.
const AS_SET_UP: &str =
    "8 times the io_timeout in force and 60 s, by design; 140 s are its default of 10 s";

/// The same of the stored figures.
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
        format!(
            "{}: {} s from a killed owner to the next ({when}, n = {}){}; {}",
            self.system,
            short(self.takeover_s),
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
    context: &mut Context,
) -> Result<Vec<Figure>, Failure> {
    let ours_s = ours
        .iter()
        .find(|series| series.name == "owner killed: next owner")
        .and_then(Series::summary)
        .map(|summary| summary.p50 / 1e3);
    let mut figures = Vec::new();
    for peer in peers {
        match peer {
            Peer::Sanlock => figures.extend(sanlock_figures(contest, context)?),
            Peer::FenceScsi => figures.push(stored(
                "Pacemaker and Corosync (token 1 s), 2 nodes, with a fence agent that says success at once",
                2.33,
                5,
                "fence_scsi's own time comes on top: it was not measured, as it wants a kernel SCSI disk",
            )),
        }
    }
    for figure in &mut figures {
        figure.ratio = ours_s.map(|ours| figure.takeover_s / ours);
    }
    Ok(figures)
}

fn sanlock_figures(contest: &Contest, context: &mut Context) -> Result<Vec<Figure>, Failure> {
    let stored_figures = || {
        vec![
            stored("sanlock, io_timeout 1 (its tightest)", 69.5, 5, WATCHDOG),
            stored("sanlock, io_timeout 10 (its default)", 130.0, 5, WATCHDOG),
        ]
    };
    if !sanlock::is_installed() {
        return Ok(stored_figures());
    }
    context
        .output
        .message("sanlock is installed: one takeover of it takes more than a minute");
    let mut wait = |span| match contest.hear(span) {
        Some(Heard::Interrupted) => Err(interrupted()),
        Some(Heard::Event(_) | Heard::Sent(..) | Heard::Silent(..)) | None => Ok(()),
    };
    Ok(match sanlock::takeover(&mut wait)? {
        Ok(takeover_s) => {
            let here = Figure {
                system: "sanlock, set up by its own program".to_owned(),
                takeover_s,
                n: 1,
                measured: "here".to_owned(),
                date: None,
                ratio: None,
                note: AS_SET_UP.to_owned(),
            };
            // What it takes at its tightest stands beside it.
            std::iter::once(here).chain(stored_figures()).collect()
        }
        Err(why) => {
            context
                .output
                .message(&format!("sanlock could not be run: {why}"));
            stored_figures()
        }
    })
}

fn stored(system: &str, takeover_s: f64, n: u32, note: &str) -> Figure {
    Figure {
        system: system.to_owned(),
        takeover_s,
        n,
        measured: "stored".to_owned(),
        date: Some(STORED_ON.to_owned()),
        ratio: None,
        note: note.to_owned(),
    }
}

//! What the owner has on the disk: its file system (`--mount`), and its log (`--log`).
//!
//! ```text
//!   Held ── mount ── claim the log ── Owner ── CMD ── unmount ── release      the log is a file in the file system
//!   Held ────────── claim the log ── Owner ── CMD ── park the log            the log is on the disk, or elsewhere
//! ```
//!
//! The work is done on threads of its own ([`crate::arbitrate::mount`], [`crate::arbitrate::quorum_log`]); here is what each
//! news of it means.
//!
//! Invariants: nothing is mounted or claimed before `Held`; the disk is given back only when nothing is mounted; no mark of a
//! hand-over is sent but by whoever has the disk.

use super::{Heard, KEEPER_LATE, Phase, Session};
use crate::arbitrate::mount::Mount;
use crate::arbitrate::quorum_log::{self, Claim, Place};
use crate::arbitrate::record::What;
use crate::arbitrate::setup::STILL_IN_USE_HINT;
use crate::clock;
use crate::exit::{Exit, Failure, Outcome};
use qlog::ClaimError;
use quorum::log::{LogError, ParkError};
use std::io;

impl Session<'_> {
    /// From `Held` on no other node can write, and nothing that one had sent is still on its way.
    pub(super) fn mount(&mut self) {
        let Some(mount) = self.args.mount.clone() else {
            return;
        };
        self.mounting = true;
        let heard = self.heard_in.clone();
        std::thread::spawn(move || {
            let _loop_is_over = heard.send(Heard::Mounted(mount.mount()));
        });
    }

    pub(super) fn mounted(&mut self, mounted: io::Result<String>) {
        let Some(mount) = &self.args.mount else {
            return;
        };
        let what = mount.words();
        self.mounting = false;
        match mounted {
            Ok(kind) => {
                self.print(What::Mounted { what, kind });
                self.mounted = true;
                match self.phase {
                    // It was lost, or asked to stop, meanwhile.
                    Phase::Losing => self.detach(),
                    Phase::Releasing => self.give_back(),
                    Phase::Contending | Phase::Owning | Phase::Stopping => self.claim_log(),
                }
                if self.is_owner {
                    self.owner();
                }
            }
            Err(error) => {
                self.past.log = Some(Failure::new(
                    Exit::CannotOpen,
                    format!("{what} could not be mounted: {error}"),
                    "see that the directory is there, and what `blkid` finds on the device",
                ));
                match self.phase {
                    Phase::Releasing => self.give_back(),
                    Phase::Contending | Phase::Owning | Phase::Stopping | Phase::Losing => {
                        self.release();
                    }
                }
            }
        }
    }

    /// The disk is still ours: everything is written.
    pub(super) fn unmount(&mut self) {
        let Some(mount) = self.args.mount.clone() else {
            return;
        };
        let (heard, log) = (self.heard_in.clone(), self.claimed.take());
        self.unmounting = true;
        std::thread::spawn(move || {
            // Without a close the next owner only reads a little more.
            let _closed = log.map(|log| log.close());
            let _loop_is_over = heard.send(Heard::Unmounted(mount.unmount()));
        });
    }

    /// The disk is another's: what the kernel still has of it is of no use, and its writes are refused.
    pub(super) fn detach(&mut self) {
        self.claimed = None;
        let is_mounted = std::mem::take(&mut self.mounted);
        let Some(mount) = self.args.mount.clone().filter(|_| is_mounted) else {
            return;
        };
        self.unmounting = true;
        let heard = self.heard_in.clone();
        std::thread::spawn(move || {
            let _loop_is_over = heard.send(Heard::Detached(mount.detach()));
        });
    }

    pub(super) fn detached(&mut self, done: io::Result<()>) {
        self.unmounting = false;
        let error = done.err().map(|error| error.to_string());
        if let Some(mount) = &self.args.mount {
            let what = mount.words();
            self.print(What::Unmounted { what, error });
        }
    }

    pub(super) fn unmounted(&mut self, done: io::Result<()>) {
        let what = self
            .args
            .mount
            .as_ref()
            .map_or_else(String::new, Mount::words);
        let error = done.err().map(|error| error.to_string());
        let failed = error.clone();
        self.unmounting = false;
        if failed.is_some() && (self.arbiter_over || self.is_lost()) {
            return self.detach();
        }
        self.print(What::Unmounted {
            what: what.clone(),
            error,
        });
        if let Some(error) = failed {
            // Given back it would be written by two. It is left as it is, held by this node's key.
            self.past.log = Some(
                Failure::new(
                    Exit::Unknown,
                    format!(
                        "{what} could not be unmounted, so the disk was not given back: {error}"
                    ),
                    format!("{STILL_IN_USE_HINT}, and start and stop this node's qctl once more"),
                )
                .outcome(Outcome::Unknown),
            );
            self.past.left = true;
            return;
        }
        self.mounted = false;
        self.arbiter.release();
    }

    /// From `Held` on the log may be read, and is the owner's.
    pub(super) fn claim_log(&mut self) {
        self.claimed = None;
        let (Some(log), Some(ownership)) = (&self.log, self.arbiter.ownership()) else {
            return;
        };
        let heard = self.heard_in.clone();
        self.claiming += 1;
        log.claim(ownership, move |claimed| {
            let _loop_is_over = heard.send(Heard::Log(claimed));
        });
    }

    pub(super) fn log_claimed(&mut self, claim: Claim) {
        self.print(What::LogClaimed {
            epoch: claim.log.epoch().0,
            checkpoint_lsn: claim.checkpoint.to_string(),
            records: claim.records,
            next_lsn: claim.next.to_string(),
            notes: claim.notes,
        });
        self.claiming = self.claiming.saturating_sub(1);
        if self.phase == Phase::Losing {
            return;
        }
        self.arbiter.claimed(claim.log.incarnation());
        self.claimed = Some(claim.log);
        match self.phase {
            // It was asked to stop meanwhile.
            Phase::Releasing => self.give_back(),
            Phase::Contending | Phase::Owning | Phase::Stopping | Phase::Losing
                if self.is_owner =>
            {
                self.owner();
            }
            Phase::Contending | Phase::Owning | Phase::Stopping | Phase::Losing => {}
        }
    }

    /// An owner that was told to have a log does not run without one.
    pub(super) fn log_failed(&mut self, error: &LogError) {
        self.claiming = self.claiming.saturating_sub(1);
        let is_fenced = matches!(
            error,
            LogError::Fenced(_) | LogError::Claim(ClaimError::Fenced(_))
        );
        if is_fenced || !self.is_proved() {
            // The arbiter says what became of the disk; one that was taken again is claimed again.
            if self.phase == Phase::Releasing && !self.is_lost() {
                self.give_back();
            }
            return;
        }
        if let Some(place) = &self.args.log {
            self.past.log = Some(quorum_log::failure(place, &self.args.disk, error));
        }
        self.print(What::Remark {
            text: format!("the quorum log cannot be used: {error}"),
        });
        match &self.command {
            Some(command) => {
                command.stop(self.grace);
                self.phase = Phase::Stopping;
                self.kill_keeper_at = Some(clock::since_boot() + self.grace + KEEPER_LATE);
            }
            // Asked to stop before: there is no log any more that could be parked.
            None if self.phase == Phase::Releasing => {
                self.park_when_proved = None;
                self.give_back();
            }
            None => self.release(),
        }
    }

    /// The mark tells the next node to take the disk from this one at once: it is sent only by whoever has the disk. One
    /// on the disk itself is refused to everybody else; one elsewhere follows a clean round that was sent after the
    /// command's end.
    pub(super) fn park_log(&mut self) {
        let (Some(log), Some(ownership)) = (self.claimed.clone(), self.arbiter.ownership()) else {
            return;
        };
        self.park_when_proved = None;
        let epoch = log.epoch().0;
        self.print(What::LogParking { epoch });
        self.mark_under_way = true;
        self.wait_no_longer();
        let heard = self.heard_in.clone();
        quorum_log::park(log, ownership, move |sent| {
            let _loop_is_over = heard.send(Heard::Parked(sent));
        });
    }

    /// Sending the mark was the point of no return. One whose write failed may be there or not: the disk is given back as
    /// without a log, and the last look before that tells whether it was ours still.
    pub(super) fn log_parked(&mut self, sent: Result<(), ParkError>) {
        if !std::mem::take(&mut self.mark_under_way) {
            return; // Nobody waits for it any more.
        }
        self.wait_is_over();
        let lost = self.lost_under_the_mark.take();
        if let Err(ParkError::NotOwner) = sent {
            return match lost {
                Some(lost) => self.noticed(&lost),
                None => self.arbiter.release(),
            };
        }
        let epoch = self.claimed.take().map_or(0, |log| log.epoch().0);
        let error = sent.err().map(|error| error.to_string());
        // Whoever reads the mark may have the disk before its writer has read it back.
        let written = self.log.as_ref().is_some_and(Place::only_a_read_failed);
        self.past.mark_sent = error.is_none() || written;
        self.print(What::LogParked { epoch, error });
        if let Some(lost) = lost {
            return self.noticed(&lost);
        }
        if self.past.mark_sent {
            self.arbiter.park();
        } else {
            self.arbiter.release();
        }
    }
}

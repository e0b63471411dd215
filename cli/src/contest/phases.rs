//! Where the time of a takeover went, from the winner's own events.
//!
//! ```text
//!   loss of the owner                                                            Held   log claimed   Owner
//!     |── detect ──|──────── wait ────────|─ preempt ─|── barrier ──|── verify ──|─ claim ─|─ settle ─|
//!                  registered, or reset   taking      taken         old writes aborted
//! ```
//!
//! The settle time runs from `Held` on, while the log is claimed: what is left of it after the claim is its phase. Where
//! there is a log, a service starts when both are over.
//!
//! A challenge may have been under way when the owner was lost: then there is nothing to detect, and only the
//! rest of its wait is counted.

use crate::arbitrate::record::{Record, What};
use serde::{Deserialize, Serialize};

/// The names of the phases, in order.
pub(crate) const NAMES: [&str; 7] = [
    "detect", "wait", "preempt", "barrier", "verify", "claim", "settle",
];

/// A takeover by its phases, in milliseconds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Phases {
    /// Until the winner's challenge began.
    pub(crate) detect_ms: f64,
    /// Until its wait was over and it took.
    pub(crate) wait_ms: f64,
    /// Until the disk had answered with GOOD.
    pub(crate) preempt_ms: f64,
    /// Until other challengers were swept and what an earlier owner had queued was aborted.
    pub(crate) barrier_ms: f64,
    /// Until a read had shown that the disk is held: `Held`.
    pub(crate) verify_ms: f64,
    /// Until the quorum log was claimed; 0 where there is none.
    #[serde(default)]
    pub(crate) claim_ms: f64,
    /// Until whatever the disk cannot fence may start: `Owner`, and the log is claimed.
    pub(crate) settle_ms: f64,
    /// From the loss to `Held`.
    pub(crate) held_ms: f64,
    /// From the loss to `Owner`, and to the claim of the log where there is one.
    pub(crate) owner_ms: f64,
    /// From the beginning of the winner's challenge to `Held`, without the times' challenge wait: what the
    /// commands and the wake-ups took.
    pub(crate) beyond_wait_ms: f64,
}

impl Phases {
    /// Each phase's length, as [`NAMES`] has them.
    pub(crate) const fn lengths(&self) -> [f64; NAMES.len()] {
        [
            self.detect_ms,
            self.wait_ms,
            self.preempt_ms,
            self.barrier_ms,
            self.verify_ms,
            self.claim_ms,
            self.settle_ms,
        ]
    }

    /// Of the takeover by this node, whose events these are, in order, after an owner was lost at that time.
    /// None when they do not show one.
    pub(crate) fn of(records: &[Record], node: u8, lost_ns: u64) -> Option<Self> {
        let own: Vec<&Record> = records
            .iter()
            .filter(|record| record.node == node)
            .collect();
        let after = |index: usize, wanted: fn(&What) -> bool| {
            own[index..]
                .iter()
                .position(|record| record.monotonic_ns >= lost_ns && wanted(&record.what))
                .map(|at| at + index)
        };
        let held = after(0, |what| matches!(what, What::Held { .. }))?;
        let owner = after(held, |what| matches!(what, What::Owner { .. }))?;
        let claimed = after(held, |what| matches!(what, What::LogClaimed { .. })).unwrap_or(held);
        let before = |end: usize, wanted: fn(&What) -> bool| {
            own[..end].iter().rposition(|record| wanted(&record.what))
        };
        let barrier = before(held, |what| matches!(what, What::Barrier { .. }))?;
        let taken = before(barrier, |what| matches!(what, What::Taken))?;
        let taking = before(taken, |what| matches!(what, What::Taking { .. }))?;
        // The challenge began with the registration; in SCSI-2 with the wait after the last reset.
        let began =
            before(taking, |what| matches!(what, What::Registered { .. })).or_else(|| {
                before(taking, |what| {
                    matches!(what, What::Waiting { .. } | What::WaitRestarted { .. })
                })
            })?;
        let wait_ms = own.iter().find_map(|record| {
            if let What::Started {
                challenge_wait_ms, ..
            } = record.what
            {
                Some(challenge_wait_ms)
            } else {
                None
            }
        })?;
        let at = |index: usize| own[index].monotonic_ns.max(lost_ns);
        let span = |from: u64, to: u64| ms(to.saturating_sub(from));
        let ready = at(owner).max(at(claimed));
        Some(Self {
            detect_ms: span(lost_ns, at(began)),
            wait_ms: span(at(began), at(taking)),
            preempt_ms: span(at(taking), at(taken)),
            barrier_ms: span(at(taken), at(barrier)),
            verify_ms: span(at(barrier), at(held)),
            claim_ms: span(at(held), at(claimed)),
            settle_ms: span(at(claimed), ready),
            held_ms: span(lost_ns, at(held)),
            owner_ms: span(lost_ns, ready),
            beyond_wait_ms: ms(own[held]
                .monotonic_ns
                .saturating_sub(own[began].monotonic_ns))
                - wait_ms,
        })
    }
}

/// Nanoseconds in milliseconds, to the microsecond.
pub(crate) fn ms(nanoseconds: u64) -> f64 {
    crate::arbitrate::record::ms(std::time::Duration::from_nanos(nanoseconds))
}

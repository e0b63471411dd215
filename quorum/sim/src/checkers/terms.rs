//! What is told of a term is true: it begins with a disk that is held, behind a barrier, and ends when its owner has seen
//! that it is over, or when nobody feeds it any more.
//!
//! Each function is told what is true of the world, and what a node has just said or done.

use quorum_core::Instant;
use quorum_core::arbitration::BarrierKind;
use std::time::Duration;

/// What stood between a take and its term.
#[derive(Clone, Copy, Default, Debug)]
pub struct Win {
    /// The barrier that was told last, and when, by the node's clock.
    pub barrier: Option<(BarrierKind, Instant)>,
    /// A registration was removed since; SCSI-2: a reset was met since, or a command came to no definite end.
    pub swept: bool,
    /// SCSI-2: when the last RESERVE was sent that was answered GOOD.
    pub reserved_at: Option<Instant>,
    /// When `Held` was told.
    pub held_at: Option<Instant>,
}

/// A node is told `Held`, in persistent mode.
///
/// # Errors
/// When the disk is not held by a nexus of this node under this term's key, or its persistence is off.
pub fn held(holds: bool, persists: bool) -> Result<(), String> {
    if !holds {
        return Err("was told Held, and does not hold the disk".into());
    }
    if !persists {
        return Err("was told Held, and the next power loss would open the disk".into());
    }
    Ok(())
}

/// A node is told `Held` at this point of its clock: was the barrier one?
///
/// # Errors
/// When registrations were removed behind it, or it was none and the settle time is not over.
pub fn barrier(win: &Win, now: Instant, settle: Duration) -> Result<(), String> {
    match win.barrier {
        Some((BarrierKind::SettleOnly, at)) if now.saturating_since(at) < settle => {
            Err("was told Held without a barrier, and before the settle time was over".into())
        }
        Some((BarrierKind::LunReset, _)) if win.swept => {
            Err("removed a registration behind the barrier, and was told Held".into())
        }
        Some((BarrierKind::ClearTaskSet, _)) if win.swept => {
            Err("met a reset behind the barrier, or may have, and was told Held".into())
        }
        Some(_) | None => Ok(()),
    }
}

/// SCSI-2: a command of a win is sent.
///
/// # Errors
/// When the RESERVE that it rests on is as old as the self-stop age.
pub fn win_goes_on(win: &Win, now: Instant, self_stop: Duration) -> Result<(), String> {
    match win.reserved_at {
        Some(at) if now.saturating_since(at) >= self_stop => {
            Err("goes on with a win that is older than the self-stop age".into())
        }
        Some(_) | None => Ok(()),
    }
}

/// SCSI-2: a node is told `Owner`; its last proof was sent then.
///
/// # Errors
/// When that was before the settle time was over.
pub fn owner(win: &Win, proof_sent_at: Instant, settle: Duration) -> Result<(), String> {
    match win.held_at {
        Some(at) if proof_sent_at.saturating_since(at) < settle => {
            Err("was told Owner without a round behind the settle time".into())
        }
        Some(_) | None => Ok(()),
    }
}

/// An owner goes on at this point; whoever it serves said then that it is alive. `longest`: a round that begins just
/// within the self-stop age proves for that long once more.
///
/// # Errors
/// When it has defended for somebody who has been silent for longer.
pub fn fed(now: Instant, fed_at: Instant, longest: Duration) -> Result<(), String> {
    let silent = now.saturating_since(fed_at);
    if silent > longest {
        return Err(format!("goes on, and has not been fed for {silent:?}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Instant {
        Instant::since_zero(Duration::from_millis(millis))
    }

    #[test]
    fn held_is_true_behind_a_barrier() {
        assert!(held(true, true).is_ok());
        assert!(held(false, true).is_err());
        assert!(held(true, false).is_err());
        let settle = Duration::from_millis(100);
        let mut win = Win {
            barrier: Some((BarrierKind::SettleOnly, at(0))),
            ..Win::default()
        };
        assert!(barrier(&win, at(99), settle).is_err());
        assert!(barrier(&win, at(100), settle).is_ok());
        win.barrier = Some((BarrierKind::LunReset, at(0)));
        assert!(barrier(&win, at(1), settle).is_ok());
        win.swept = true;
        assert!(barrier(&win, at(1), settle).is_err());
    }

    #[test]
    fn a_win_a_settle_time_and_a_silence_have_an_end() {
        let span = Duration::from_millis(100);
        let win = Win {
            reserved_at: Some(at(0)),
            held_at: Some(at(10)),
            ..Win::default()
        };
        assert!(win_goes_on(&win, at(99), span).is_ok());
        assert!(win_goes_on(&win, at(100), span).is_err());
        assert!(owner(&win, at(109), span).is_err());
        assert!(owner(&win, at(110), span).is_ok());
        assert!(fed(at(100), at(0), span).is_ok());
        assert!(fed(at(101), at(0), span).is_err());
    }
}

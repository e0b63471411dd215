//! After healing somebody owns the disk, within the bound that the solver predicted (L1).
//!
//! The bound counts from the moment at which nothing goes wrong any more and every node contends: an owner that
//! cannot prove its ownership stops itself within s, and then the takeover of [`Times::takeover_at_most`] begins, all of it by
//! clocks that may run too slowly.

use quorum_core::Instant;
use quorum_core::times::Times;
use std::time::Duration;

/// How long healing takes at most.
#[must_use]
pub fn bound(times: &Times, nodes: u32) -> Duration {
    let predicted = times.self_stop + times.takeover_at_most(nodes.saturating_sub(1));
    predicted + predicted * times.drift_ppm / 1_000_000 * 2
}

/// # Errors
/// When nobody has been `Owner` by then, or it took longer than the bound.
pub fn check(
    healed_at: Instant,
    owner_at: Option<Instant>,
    bound: Duration,
) -> Result<Duration, String> {
    let Some(owner_at) = owner_at else {
        return Err(format!("nobody is Owner {bound:?} after everything healed"));
    };
    let took = owner_at.saturating_since(healed_at);
    if took > bound {
        return Err(format!(
            "Owner {took:?} after everything healed, and not within {bound:?}"
        ));
    }
    Ok(took)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_and_too_late_are_both_seen() {
        let at = |millis| Instant::since_zero(Duration::from_millis(millis));
        let bound = Duration::from_millis(100);
        assert_eq!(check(at(0), Some(at(100)), bound), Ok(bound));
        assert!(check(at(0), Some(at(101)), bound).is_err());
        assert!(check(at(0), None, bound).is_err());
    }
}

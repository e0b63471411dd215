//! One `Owner` at a time among nodes whose clock runs (S5).
//!
//! A node *acts* as owner from `Owner` until it has stopped what the disk cannot fence: at the latest the stop time
//! after its proof ran out, which it knows by itself. When a node is told `Owner`, nobody else may act any more.
//!
//! A node whose clock stood still is left out until it has proved its ownership by a read that was sent after its
//! clock went on: nothing in the node can know that the time passed, and there only the disk fences.

use super::NodeNo;
use quorum_core::Instant;
use std::collections::BTreeMap;

/// The checker.
#[derive(Default, Debug)]
pub struct OneOwner {
    acting: BTreeMap<NodeNo, Acting>,
}

#[derive(Clone, Copy, Debug)]
struct Acting {
    /// When all that it started is stopped, if it proves nothing more.
    until: Instant,
    /// Its clock stood since its last proof.
    clock_stood: bool,
}

impl OneOwner {
    /// A node is told `Owner`; unless it proves its ownership anew, all that it starts is stopped at `until`.
    /// `fresh`: its clock has not stood since that proof.
    ///
    /// # Errors
    /// When another one acts still.
    pub fn told_owner(
        &mut self,
        now: Instant,
        node: NodeNo,
        until: Instant,
        fresh: bool,
    ) -> Result<(), String> {
        let acting = Acting {
            until,
            clock_stood: !fresh,
        };
        self.acting.insert(node, acting);
        if fresh { self.alone(now, node) } else { Ok(()) }
    }

    /// An acting owner has proved its ownership. `fresh`: by a read that was sent while its clock ran without a
    /// break.
    ///
    /// # Errors
    /// When another one acts too.
    pub fn proved(
        &mut self,
        now: Instant,
        node: NodeNo,
        until: Instant,
        fresh: bool,
    ) -> Result<(), String> {
        let Some(acting) = self.acting.get_mut(&node) else {
            return Ok(());
        };
        acting.until = until;
        acting.clock_stood &= !fresh;
        if acting.clock_stood {
            return Ok(());
        }
        self.alone(now, node)
    }

    /// Its clock has stopped: what it knows of time is void.
    pub fn clock_stops(&mut self, node: NodeNo) {
        if let Some(acting) = self.acting.get_mut(&node) {
            acting.clock_stood = true;
        }
    }

    /// It stops; all that it started has ended at `until`.
    pub fn stops(&mut self, node: NodeNo, until: Instant) {
        if let Some(acting) = self.acting.get_mut(&node) {
            acting.until = acting.until.min(until);
        }
    }

    /// It is dead, and all that it started with it.
    pub fn dies(&mut self, node: NodeNo) {
        self.acting.remove(&node);
    }

    fn alone(&mut self, now: Instant, node: NodeNo) -> Result<(), String> {
        self.acting
            .retain(|number, acting| *number == node || acting.until > now || acting.clock_stood);
        let other = |(number, acting): &(&NodeNo, &Acting)| **number != node && !acting.clock_stood;
        match self.acting.iter().find(other) {
            None => Ok(()),
            Some((number, acting)) => Err(format!(
                "n{node} is Owner at {now} while n{number} acts until {}",
                acting.until
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const fn at(millis: u64) -> Instant {
        Instant::since_zero(Duration::from_millis(millis))
    }

    #[test]
    fn a_second_owner_is_seen_until_the_first_has_stopped() {
        let mut checker = OneOwner::default();
        assert!(checker.told_owner(at(0), 1, at(100), true).is_ok());
        assert!(checker.told_owner(at(99), 2, at(300), true).is_err());
        checker.dies(2);
        assert!(checker.told_owner(at(100), 2, at(300), true).is_ok());
        checker.stops(2, at(150));
        assert!(checker.told_owner(at(150), 1, at(900), true).is_ok());
        assert!(
            checker.proved(at(200), 2, at(900), true).is_ok(),
            "it does not act"
        );
    }

    #[test]
    fn a_node_whose_clock_stood_counts_again_with_a_fresh_proof() {
        let mut checker = OneOwner::default();
        assert!(checker.told_owner(at(0), 1, at(100), true).is_ok());
        checker.clock_stops(1);
        assert!(checker.told_owner(at(50), 2, at(500), true).is_ok());
        assert!(checker.proved(at(60), 1, at(160), false).is_ok());
        assert!(checker.proved(at(70), 1, at(170), true).is_err());
    }
}

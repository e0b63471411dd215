//! A live owner that reaches the disk is never deposed by challengers (S3).
//!
//! *Live, and reaches the disk*: for as long as a challenge lasts nothing went wrong with it that the inequalities
//! do not cover. One command may be lost in that time; a second one, a pause, a late timer, a path that is
//! gone, a disk that lost power or was cleared excuse the loss of the disk.
use super::NodeNo;
use quorum_core::Instant;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How many lost commands the inequalities cover in one challenge.
const LOST_COVERED: usize = 1;

/// The checker.
#[derive(Default, Debug)]
pub struct LiveOwner {
    /// For how long trouble excuses.
    window: Duration,
    troubles: BTreeMap<NodeNo, Trouble>,
    /// The last time that something befell the disk.
    disk: Option<Instant>,
    /// SCSI-2: resets within one challenge.
    resets: VecDeque<Instant>,
    /// This node must stay owner, whatever happens.
    pub protected: Option<NodeNo>,
    /// It is not claimed on such a disk.
    pub void: bool,
}

#[derive(Clone, Default, Debug)]
struct Trouble {
    last: Option<Instant>,
    lost: VecDeque<Instant>,
}

impl LiveOwner {
    /// How long a trouble excuses: as long as a challenge can last that it helped.
    pub const fn set_window(&mut self, window: Duration) {
        self.window = window;
    }

    /// Something befell a node that the inequalities do not cover.
    pub fn trouble(&mut self, now: Instant, node: NodeNo) {
        let trouble = self.troubles.entry(node).or_default();
        trouble.last = trouble.last.max(Some(now));
    }

    /// One of its commands is lost, or answered later than in good times.
    pub fn lost_command(&mut self, now: Instant, node: NodeNo) {
        let lost = &mut self.troubles.entry(node).or_default().lost;
        lost.push_back(now);
        if lost.len() > LOST_COVERED + 1 {
            lost.pop_front();
        }
    }

    /// Something befell the disk, and so every node.
    pub fn disk_trouble(&mut self, now: Instant) {
        self.disk = self.disk.max(Some(now));
    }

    /// SCSI-2: the logical unit was reset; more than so many in one challenge are not covered.
    pub fn reset(&mut self, now: Instant, covered: usize) {
        self.resets.push_back(now);
        let recent = |at: &Instant| now.saturating_since(*at) <= self.window;
        while self.resets.front().is_some_and(|at| !recent(at)) {
            self.resets.pop_front();
        }
        if self.resets.len() > covered {
            self.disk_trouble(now);
        }
    }

    /// Has everything been well with this node, and with the disk, for as long as a challenge lasts?
    #[must_use]
    pub fn is_well(&self, now: Instant, node: NodeNo) -> bool {
        if self.void {
            return false;
        }
        let recent = |at: Instant| now.saturating_since(at) <= self.window;
        if self.disk.is_some_and(recent) {
            return false;
        }
        self.troubles.get(&node).is_none_or(|trouble| {
            let lost = trouble.lost.iter().filter(|at| recent(**at)).count();
            !trouble.last.is_some_and(recent) && lost <= LOST_COVERED
        })
    }

    /// Has anything befallen the disk lately?
    #[must_use]
    pub fn disk_was_troubled(&self, now: Instant) -> bool {
        self.disk
            .is_some_and(|at| now.saturating_since(at) <= self.window)
    }

    /// An owner has lost the disk, or stopped itself.
    ///
    /// # Errors
    /// When it was alive and well.
    pub fn lost_the_disk(&self, now: Instant, node: NodeNo, how: &str) -> Result<(), String> {
        if self.protected == Some(node) || self.is_well(now, node) {
            Err(format!(
                "n{node}, alive and well, was stopped at {now}: {how}"
            ))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Instant {
        Instant::since_zero(Duration::from_millis(millis))
    }

    #[test]
    fn one_lost_command_is_no_excuse_and_a_second_one_is() {
        let mut checker = LiveOwner::default();
        checker.set_window(Duration::from_millis(100));
        checker.lost_command(at(1000), 1);
        assert!(checker.lost_the_disk(at(1050), 1, "deposed").is_err());
        checker.lost_command(at(1050), 1);
        assert!(checker.lost_the_disk(at(1060), 1, "deposed").is_ok());
        assert!(
            checker.lost_the_disk(at(1101), 1, "deposed").is_err(),
            "the first is long ago"
        );
    }

    #[test]
    fn trouble_excuses_for_as_long_as_a_challenge_lasts() {
        let mut checker = LiveOwner::default();
        checker.set_window(Duration::from_millis(100));
        checker.trouble(at(1000), 1);
        assert!(checker.lost_the_disk(at(1100), 1, "deposed").is_ok());
        assert!(checker.lost_the_disk(at(1101), 1, "deposed").is_err());
        checker.disk_trouble(at(1101));
        assert!(checker.lost_the_disk(at(1102), 1, "deposed").is_ok());
        checker.protected = Some(1);
        assert!(checker.lost_the_disk(at(1102), 1, "deposed").is_err());
    }
}

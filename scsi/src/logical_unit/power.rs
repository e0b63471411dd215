//! Power loss: everything volatile goes; registrations and reservation stay if the last registration had
//! APTPL (SPC-4 5.13.5.1), the generation starts at zero (SPC-4 6.15.2).
//!
//! The medium is the caller's: [`super::MemoryMedia::power_loss`] drops its cache.

use super::LogicalUnit;
use super::attention::{Attentions, Order, POWER_ON};
use super::tasks::TaskSet;

impl LogicalUnit {
    /// The power goes and comes back. Every nexus meets 29/01, also those that come for the first time.
    pub fn power_cycle(&mut self) {
        self.tasks = TaskSet {
            next: self.tasks.next,
            ..TaskSet::default()
        };
        self.spc2 = None;
        self.persistent.power_loss();
        self.power_cycled = true;
        for attentions in self.nexuses.values_mut() {
            *attentions = Attentions::default();
            attentions.establish(POWER_ON, Order::Precedence);
        }
    }
}

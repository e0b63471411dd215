//! The key of a live owner is never absent, and holds (S4).
//!
//! Two rules, both looked at after each command that took effect:
//! * a command of the owner itself, however late it takes effect, never takes away its own key;
//! * nobody's command takes away the key of an owner with whom everything is well.

use super::NodeNo;

/// The checker.
#[derive(Default, Debug)]
pub struct OwnKey;

impl OwnKey {
    /// A command of `by` has taken effect; before it the key of the owner was there and held. `well`: as
    /// [`super::live_owner::LiveOwner::is_well`] says of the owner.
    ///
    /// # Errors
    /// When the key is gone, and must not be.
    pub fn after_effect(
        &self,
        by: NodeNo,
        owner: NodeNo,
        well: bool,
        verb: &str,
        still_holds: bool,
    ) -> Result<(), String> {
        if still_holds || !(well || by == owner) {
            return Ok(());
        }
        Err(format!(
            "{verb} of n{by} took the key of n{owner} away, a live owner's"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_a_live_owners_key_and_it_least_of_all() {
        let checker = OwnKey;
        assert!(checker.after_effect(2, 1, true, "PREEMPT", true).is_ok());
        assert!(checker.after_effect(2, 1, true, "PREEMPT", false).is_err());
        assert!(checker.after_effect(2, 1, false, "PREEMPT", false).is_ok());
        assert!(
            checker
                .after_effect(1, 1, false, "REGISTER", false)
                .is_err()
        );
    }
}

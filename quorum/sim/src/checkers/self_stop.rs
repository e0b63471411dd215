//! Nobody goes on past its proof: an owner whose last clean round is as old as the self-stop age has stopped
//! itself before it does anything else.

use super::NodeNo;
use quorum_core::Instant;

/// The checker.
#[derive(Default, Debug)]
pub struct SelfStop;

impl SelfStop {
    /// A machine has been driven; `owns`: it says that it owns the disk, by its own clock at `shows`, with its
    /// ownership proved until then.
    ///
    /// # Errors
    /// When its proof is over.
    pub fn after_input(
        &self,
        node: NodeNo,
        owns: bool,
        shows: Instant,
        proved_until: Instant,
    ) -> Result<(), String> {
        if owns && shows >= proved_until {
            return Err(format!(
                "n{node} goes on at {shows}, proved until {proved_until}"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_end_of_the_proof_is_the_end() {
        let at = |millis| Instant::since_zero(Duration::from_millis(millis));
        assert!(SelfStop.after_input(1, true, at(9), at(10)).is_ok());
        assert!(SelfStop.after_input(1, true, at(10), at(10)).is_err());
        assert!(SelfStop.after_input(1, false, at(10), at(10)).is_ok());
    }
}

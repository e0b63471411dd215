//! Why a parameter list was not accepted.

/// Why a parameter list (or a data-in answer) was not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum ParameterError {
    /// There is more of it than was asked for, or there may be: ask again with at least this much room.
    #[error("the list has {needed} bytes, more than was asked for")]
    Incomplete {
        /// The bytes that the whole list takes.
        needed: usize,
    },
    /// It is shorter (or, where the length is fixed, longer) than its format.
    #[error("{arrived} bytes arrived where the format has {expected}")]
    Length {
        /// What the format, or the list's own length field, says.
        expected: usize,
        /// What arrived.
        arrived: usize,
    },
    /// A field holds what the format does not allow.
    #[error("byte {at}: {what}")]
    Field {
        /// The offset of the field's first byte in the list.
        at: usize,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl ParameterError {
    /// Checks that at least `expected` bytes arrived.
    pub(super) fn at_least(expected: usize, bytes: &[u8]) -> Result<(), Self> {
        if bytes.len() < expected {
            let arrived = bytes.len();
            return Err(Self::Length { expected, arrived });
        }
        Ok(())
    }
}

//! READ KEYS (SPC-4 6.15.2).

use super::{emit_header, generation, header, whole_list};
use crate::reservation::Key;
use crate::wire::ParameterError;
use crate::wire::bytes::be64;

/// Bytes of one key.
const KEY_LENGTH: usize = 8;

/// The keys that are registered: one entry for each registered nexus, so a key may come more than once.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct RegisteredKeys {
    /// PRGENERATION.
    pub generation: u32,
    /// The keys, in the disk's order.
    pub keys: Vec<Key>,
}

impl RegisteredKeys {
    /// Parses what arrived in answer to a question with this allocation length.
    ///
    /// # Errors
    /// [`ParameterError::Incomplete`]: ask again (see the [module](super)); else the answer is broken.
    pub fn parse(arrived: &[u8], allocation_length: u16) -> Result<Self, ParameterError> {
        let list = whole_list(arrived, allocation_length, KEY_LENGTH)?;
        if !list.len().is_multiple_of(KEY_LENGTH) {
            return Err(ParameterError::Field {
                at: header::ADDITIONAL_LENGTH,
                what: "the list of keys is not a multiple of eight bytes",
            });
        }
        let keys = (0..list.len()).step_by(KEY_LENGTH).map(|at| {
            Key::new(be64(list, at)).ok_or(ParameterError::Field {
                at: header::LENGTH + at,
                what: "a registered key is zero",
            })
        });
        Ok(Self {
            generation: generation(arrived),
            keys: keys.collect::<Result<_, _>>()?,
        })
    }

    /// The whole answer; a device server sends as much of it as was asked for.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let keys = self.keys.iter().flat_map(|key| key.get().to_be_bytes());
        emit_header(self.generation, &keys.collect::<Vec<u8>>())
    }
}

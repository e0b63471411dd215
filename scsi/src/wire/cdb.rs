//! Command descriptor blocks.

/// A command descriptor block: 6, 10, 12, 16 or up to 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cdb {
    bytes: [u8; Self::LENGTH_MAX],
    length: u8,
}

impl Cdb {
    /// The longest CDB that a host passes through.
    pub const LENGTH_MAX: usize = 32;

    /// A CDB of these bytes; `None` when there are fewer than 6 or more than [`Self::LENGTH_MAX`].
    #[must_use]
    pub fn new(cdb: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::LENGTH_MAX];
        let length = u8::try_from(cdb.len()).ok().filter(|&n| n >= 6)?;
        bytes.get_mut(..cdb.len())?.copy_from_slice(cdb);
        Some(Self { bytes, length })
    }

    /// The bytes as they travel.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl std::fmt::Debug for Cdb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut separator = "";
        self.as_bytes().iter().try_for_each(|byte| {
            let done = write!(f, "{separator}{byte:02x}");
            separator = " ";
            done
        })
    }
}

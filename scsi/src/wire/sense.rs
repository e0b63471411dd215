//! Sense data (SPC-4 4.5), fixed and descriptor form.

/// What sense data says: the key, the additional codes, and the INFORMATION field where it is valid.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Sense {
    /// SENSE KEY, four bits.
    pub key: u8,
    /// ADDITIONAL SENSE CODE.
    pub asc: u8,
    /// ADDITIONAL SENSE CODE QUALIFIER.
    pub ascq: u8,
    /// Not about this command but an earlier one (response codes 71h, 73h).
    pub deferred: bool,
    /// INFORMATION, where VALID.
    pub information: Option<u64>,
}

//! Little-endian numbers as bytes, so that an on-disk struct has neither alignment nor a host's byte order.

use bytemuck::{Pod, Zeroable};

macro_rules! word {
    ($name:ident, $number:ty) => {
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Pod, Zeroable)]
        #[repr(transparent)]
        pub(crate) struct $name([u8; size_of::<$number>()]);

        impl $name {
            pub(crate) const fn new(value: $number) -> Self {
                Self(value.to_le_bytes())
            }

            pub(crate) const fn get(self) -> $number {
                <$number>::from_le_bytes(self.0)
            }
        }
    };
}

word!(Le16, u16);
word!(Le32, u32);
word!(Le64, u64);

/// A length or an offset inside something that is bounded far below 4 GiB.
///
/// # Panics
/// When it is not: a broken invariant.
pub(crate) fn small(length: usize) -> u32 {
    u32::try_from(length).expect("bounded below 4 GiB")
}

/// `value` up to the next multiple of `unit`.
pub(crate) const fn round_up(value: u64, unit: u64) -> u64 {
    value.div_ceil(unit) * unit
}

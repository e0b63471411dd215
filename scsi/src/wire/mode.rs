//! MODE SENSE data (SPC-4 7.5): the headers, the block descriptor, and the two pages that say how a
//! disk treats writes and attentions.
//!
//! ```text
//! (6)  0 DATA LENGTH          (10)  0 DATA LENGTH (2)
//!      1 MEDIUM TYPE                2 MEDIUM TYPE
//!      2 WP (7), DPOFUA (4)         3 WP (7), DPOFUA (4)
//!      3 DESCRIPTOR LENGTH          4 LONGLBA (0)
//!      4 descriptor, pages          6 DESCRIPTOR LENGTH (2)
//!                                   8 descriptor, pages
//! a page: PS (7) SPF (6) PAGE CODE (5-0), PAGE LENGTH, then by page
//! ```
//!
//! Invariants: pages that are not known are stepped over by their own length; nothing is read beyond
//! what arrived. Only short block descriptors are understood and sent (SBC-3); a long one is
//! stepped over.

use super::ParameterError;
use super::bytes::{be16, be32, bit, byte, flag, put};

/// Offsets, bits and codes.
mod field {
    pub(super) const HEADER_LENGTH_6: usize = 4;
    pub(super) const HEADER_LENGTH_10: usize = 8;
    pub(super) const WP: u8 = 7;
    pub(super) const DPOFUA: u8 = 4;
    pub(super) const LONG_LBA: (usize, u8) = (4, 0);
    pub(super) const DESCRIPTOR_BLOCKS: usize = 0;
    /// DENSITY CODE (or the count's highest byte) and BLOCK LENGTH share four bytes.
    pub(super) const DESCRIPTOR_BLOCK_BYTES: usize = 4;
    pub(super) const DESCRIPTOR_LENGTH: usize = 8;
    pub(super) const PAGE_CODE: usize = 0;
    pub(super) const SPF: u8 = 6;
    pub(super) const PAGE_LENGTH: usize = 1;
    pub(super) const SUBPAGE_LENGTH: usize = 2;
    pub(super) const PAGE: usize = 2;
    pub(super) const SUBPAGE: usize = 4;
    pub(super) const CACHING_LENGTH: usize = 20;
    pub(super) const WCE: (usize, u8) = (2, 2);
    pub(super) const RCD: (usize, u8) = (2, 0);
    pub(super) const CONTROL_LENGTH: usize = 12;
    pub(super) const TST: usize = 2;
    pub(super) const D_SENSE: (usize, u8) = (2, 2);
    pub(super) const QUEUE_ALGORITHM: usize = 3;
    pub(super) const SWP: (usize, u8) = (4, 3);
    pub(super) const UA_INTLCK: usize = 4;
    pub(super) const TAS: (usize, u8) = (5, 6);
}

/// PAGE CODE of the Caching mode page (SBC-3).
pub const CACHING: u8 = 0x08;
/// PAGE CODE of the Control page (SPC-4 7.5.8).
pub const CONTROL: u8 = 0x0a;
/// PAGE CODE that asks for all pages.
pub const ALL_PAGES: u8 = 0x3f;

/// Which header stands in front.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ModeForm {
    /// MODE SENSE (6).
    Six,
    /// MODE SENSE (10).
    Ten,
}

/// The Caching page.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct CachingPage {
    /// WCE: a write may be answered from a volatile cache.
    pub write_cache_enabled: bool,
    /// RCD: reads do not come from a cache.
    pub read_cache_disabled: bool,
}

/// The Control page.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ControlPage {
    /// TST, three bits: 0 one task set for all nexuses, 1 one for each.
    pub task_set_type: u8,
    /// D_SENSE: sense data come in descriptor form.
    pub descriptor_sense: bool,
    /// QUEUE ALGORITHM MODIFIER, four bits: 1 commands may be reordered without restriction.
    pub queue_algorithm: u8,
    /// SWP: the software write protection is on.
    pub software_write_protect: bool,
    /// UA_INTLCK_CTRL, two bits: 0 an attention is gone once it was reported.
    pub attention_interlock: u8,
    /// TAS: a command that another nexus aborts ends with TASK ABORTED, not in silence.
    pub task_aborted_status: bool,
}

/// The short block descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BlockDescriptor {
    /// NUMBER OF LOGICAL BLOCKS; FFFFFFFFh when there are more.
    pub blocks: u32,
    /// LOGICAL BLOCK LENGTH, 24 bits, in bytes.
    pub block_bytes: u32,
}

/// What MODE SENSE brings back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ModeData {
    /// WP: the medium cannot be written now.
    pub write_protected: bool,
    /// DPOFUA: the DPO and FUA bits of READ and WRITE are understood.
    pub dpo_fua: bool,
    /// The block descriptor, where there is a short one.
    pub descriptor: Option<BlockDescriptor>,
    /// The Caching page, where it is among what was asked for.
    pub caching: Option<CachingPage>,
    /// The Control page, where it is among what was asked for.
    pub control: Option<ControlPage>,
}

impl ModeData {
    /// Parses what arrived.
    ///
    /// # Errors
    /// [`ParameterError::Incomplete`]: there is more, ask again; else the answer is broken.
    pub fn parse(form: ModeForm, arrived: &[u8]) -> Result<Self, ParameterError> {
        let (header, told, specific, descriptor_length, long) = match form {
            ModeForm::Six => (
                field::HEADER_LENGTH_6,
                usize::from(byte(arrived, 0)) + 1,
                2,
                usize::from(byte(arrived, 3)),
                false,
            ),
            ModeForm::Ten => (
                field::HEADER_LENGTH_10,
                usize::from(be16(arrived, 0)) + 2,
                3,
                usize::from(be16(arrived, 6)),
                bit(arrived, field::LONG_LBA.0, field::LONG_LBA.1),
            ),
        };
        ParameterError::at_least(header, arrived)?;
        let data = arrived
            .get(..told)
            .ok_or(ParameterError::Incomplete { needed: told })?;
        let pages_at = header + descriptor_length;
        let descriptor = data.get(header..pages_at).ok_or(ParameterError::Length {
            expected: pages_at,
            arrived: data.len(),
        })?;
        let mut mode = Self {
            write_protected: bit(data, specific, field::WP),
            dpo_fua: bit(data, specific, field::DPOFUA),
            descriptor: (!long && descriptor.len() >= field::DESCRIPTOR_LENGTH)
                .then(|| parse_descriptor(descriptor)),
            ..Self::default()
        };
        mode.parse_pages(data, pages_at)?;
        Ok(mode)
    }

    fn parse_pages(&mut self, data: &[u8], mut at: usize) -> Result<(), ParameterError> {
        while at < data.len() {
            let rest = &data[at..];
            let subpage = bit(rest, field::PAGE_CODE, field::SPF);
            let length = if subpage {
                field::SUBPAGE + usize::from(be16(rest, field::SUBPAGE_LENGTH))
            } else {
                field::PAGE + usize::from(byte(rest, field::PAGE_LENGTH))
            };
            let page = rest.get(..length).ok_or(ParameterError::Field {
                at,
                what: "a mode page goes beyond its list",
            })?;
            match (subpage, byte(page, field::PAGE_CODE) & 0x3f) {
                (false, CACHING) => self.caching = Some(parse_caching(page)),
                (false, CONTROL) => self.control = Some(parse_control(page)),
                _ => {}
            }
            at += length;
        }
        Ok(())
    }

    /// The whole answer: header, descriptor if any, and the pages that are there.
    #[must_use]
    pub fn emit(&self, form: ModeForm) -> Vec<u8> {
        let mut body = Vec::new();
        if let Some(descriptor) = self.descriptor {
            body.extend(emit_descriptor(descriptor));
        }
        let descriptor_length = body.len();
        if let Some(caching) = self.caching {
            body.extend(emit_caching(caching));
        }
        if let Some(control) = self.control {
            body.extend(emit_control(control));
        }
        let specific = flag(self.write_protected, field::WP) | flag(self.dpo_fua, field::DPOFUA);
        // At most 8 + 20 + 12 bytes follow the header, so each length fits its field.
        let short = |length: usize| u8::try_from(length).unwrap_or(u8::MAX);
        let mut data = match form {
            ModeForm::Six => vec![
                short(field::HEADER_LENGTH_6 - 1 + body.len()),
                0,
                specific,
                short(descriptor_length),
            ],
            ModeForm::Ten => vec![
                0,
                short(field::HEADER_LENGTH_10 - 2 + body.len()),
                0,
                specific,
                0,
                0,
                0,
                short(descriptor_length),
            ],
        };
        data.extend(body);
        data
    }
}

fn parse_descriptor(descriptor: &[u8]) -> BlockDescriptor {
    BlockDescriptor {
        blocks: be32(descriptor, field::DESCRIPTOR_BLOCKS),
        block_bytes: be32(descriptor, field::DESCRIPTOR_BLOCK_BYTES) & 0x00ff_ffff,
    }
}

fn emit_descriptor(descriptor: BlockDescriptor) -> [u8; field::DESCRIPTOR_LENGTH] {
    let mut bytes = [0; field::DESCRIPTOR_LENGTH];
    let blocks = descriptor.blocks.to_be_bytes();
    put(&mut bytes, field::DESCRIPTOR_BLOCKS, &blocks);
    let block_bytes = (descriptor.block_bytes & 0x00ff_ffff).to_be_bytes();
    put(&mut bytes, field::DESCRIPTOR_BLOCK_BYTES, &block_bytes);
    bytes
}

fn parse_caching(page: &[u8]) -> CachingPage {
    CachingPage {
        write_cache_enabled: bit(page, field::WCE.0, field::WCE.1),
        read_cache_disabled: bit(page, field::RCD.0, field::RCD.1),
    }
}

fn emit_caching(caching: CachingPage) -> [u8; field::CACHING_LENGTH] {
    let mut page = [0; field::CACHING_LENGTH];
    page[field::PAGE_CODE] = CACHING;
    page[field::PAGE_LENGTH] = 0x12;
    page[field::WCE.0] = flag(caching.write_cache_enabled, field::WCE.1)
        | flag(caching.read_cache_disabled, field::RCD.1);
    page
}

fn parse_control(page: &[u8]) -> ControlPage {
    ControlPage {
        task_set_type: byte(page, field::TST) >> 5,
        descriptor_sense: bit(page, field::D_SENSE.0, field::D_SENSE.1),
        queue_algorithm: byte(page, field::QUEUE_ALGORITHM) >> 4,
        software_write_protect: bit(page, field::SWP.0, field::SWP.1),
        attention_interlock: byte(page, field::UA_INTLCK) >> 4 & 0x03,
        task_aborted_status: bit(page, field::TAS.0, field::TAS.1),
    }
}

fn emit_control(control: ControlPage) -> [u8; field::CONTROL_LENGTH] {
    let mut page = [0; field::CONTROL_LENGTH];
    page[field::PAGE_CODE] = CONTROL;
    page[field::PAGE_LENGTH] = 0x0a;
    page[field::TST] =
        control.task_set_type << 5 | flag(control.descriptor_sense, field::D_SENSE.1);
    page[field::QUEUE_ALGORITHM] = control.queue_algorithm << 4;
    page[field::UA_INTLCK] = (control.attention_interlock & 0x03) << 4
        | flag(control.software_write_protect, field::SWP.1);
    page[field::TAS.0] = flag(control.task_aborted_status, field::TAS.1);
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everything() -> ModeData {
        ModeData {
            write_protected: true,
            dpo_fua: true,
            descriptor: Some(BlockDescriptor {
                blocks: 0x2_0000,
                block_bytes: 512,
            }),
            caching: Some(CachingPage {
                write_cache_enabled: true,
                read_cache_disabled: false,
            }),
            control: Some(ControlPage {
                task_set_type: 1,
                descriptor_sense: true,
                queue_algorithm: 1,
                software_write_protect: true,
                attention_interlock: 2,
                task_aborted_status: true,
            }),
        }
    }

    fn pages() -> Vec<u8> {
        let mut pages = vec![0, 2, 0, 0, 0, 0, 2, 0]; // 2 * 64 Ki blocks of 512
        pages.extend([0x08, 0x12, 0x04, 0, 0, 0, 0, 0, 0, 0]);
        pages.extend([0; 10]);
        pages.extend([0x0a, 0x0a, 0x24, 0x10, 0x28, 0x40, 0, 0, 0, 0, 0, 0]);
        pages
    }

    #[test]
    fn both_headers_with_the_same_pages() {
        let six = [&[43, 0, 0x90, 8][..], &pages()].concat();
        assert_eq!(ModeData::parse(ModeForm::Six, &six), Ok(everything()));
        assert_eq!(everything().emit(ModeForm::Six), six);
        let ten = [&[0, 46, 0, 0x90, 0, 0, 0, 8][..], &pages()].concat();
        assert_eq!(ModeData::parse(ModeForm::Ten, &ten), Ok(everything()));
        assert_eq!(everything().emit(ModeForm::Ten), ten);
    }

    #[test]
    fn pages_that_are_not_known_are_stepped_over() {
        let mut data = vec![0, 0, 0, 0];
        data.extend([0x81, 2, 9, 9]); // PS set, page 1
        data.extend([0x4a, 1, 0, 2, 9, 9]); // a subpage of the Control page
        data.extend(&pages()[28..]);
        data[0] = u8::try_from(data.len() - 1).unwrap();
        let mode = ModeData::parse(ModeForm::Six, &data).unwrap();
        assert_eq!((mode.control, mode.caching), (everything().control, None));
    }

    #[test]
    fn a_long_descriptor_is_stepped_over() {
        let mut data = vec![0, 0, 0, 0, 1, 0, 0, 16];
        data.extend([7; 16]);
        data.extend(&pages()[28..]);
        data[1] = u8::try_from(data.len() - 2).unwrap();
        let mode = ModeData::parse(ModeForm::Ten, &data).unwrap();
        assert_eq!(
            (mode.descriptor, mode.control),
            (None, everything().control)
        );
    }

    #[test]
    fn cut_or_lying_lengths_are_errors() {
        let six = everything().emit(ModeForm::Six);
        assert_eq!(
            ModeData::parse(ModeForm::Six, &six[..20]),
            Err(ParameterError::Incomplete { needed: 44 })
        );
        let mut bad = six.clone();
        bad[3] = 200;
        assert!(ModeData::parse(ModeForm::Six, &bad).is_err());
        let mut bad = six;
        bad[13] = 0xff; // the Caching page's length
        assert!(ModeData::parse(ModeForm::Six, &bad).is_err());
        assert!(ModeData::parse(ModeForm::Ten, &[0; 7]).is_err());
        assert!(ModeData::parse(ModeForm::Six, &[]).is_err());
    }

    mod properties {
        use super::*;
        use proptest::prelude::*;

        proptest! {
            #[test]
            fn what_parses_is_emitted_to_the_same_value(
                bytes in proptest::collection::vec(any::<u8>(), 0..80),
                descriptor in 0u8..3,
            ) {
                let mut bytes = bytes;
                for form in [ModeForm::Six, ModeForm::Ten] {
                    if bytes.len() >= 8 {
                        let told = u8::try_from(bytes.len() - 1).unwrap();
                        match form {
                            ModeForm::Six => { bytes[0] = told; bytes[3] = descriptor * 8; }
                            ModeForm::Ten => { bytes[..2].copy_from_slice(&[0, told - 1]); bytes[6..8].copy_from_slice(&[0, descriptor * 8]); }
                        }
                    }
                    if let Ok(value) = ModeData::parse(form, &bytes) {
                        prop_assert_eq!(ModeData::parse(form, &value.emit(form)), Ok(value));
                    }
                }
            }
        }
    }
}

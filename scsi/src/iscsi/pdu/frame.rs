//! Frames: where one PDU ends and the next begins in the bytes of a connection, and digests.
//!
//! Invariants:
//! * a frame is given out whole or not at all, and only after its digests were found right;
//! * a header that announces more data than the bound is an error before any of that data is kept, so a
//!   decoder holds at most one frame and what one push brought;
//! * after an error nothing more comes out: where the next PDU begins is no longer known.

use super::Lun;
use crate::iscsi::serial::Serial;

/// Length of the basic header segment.
pub const HEADER_BYTES: usize = 48;

/// The final bit, in byte 1 of every header.
const FINAL: u8 = 0x80;
/// The immediate bit, in byte 0 of an initiator's header.
const IMMEDIATE: u8 = 0x40;
const DIGEST_BYTES: usize = 4;
/// A data segment's length has 24 bits.
const DATA_BYTES_MAX: usize = 0xff_ffff;

/// Which parts of a PDU carry a CRC32C (RFC 7143 13.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Digests {
    /// After the header segments.
    pub header: bool,
    /// After the data segment, where there is one.
    pub data: bool,
}

/// Why the bytes of a connection cannot be followed further.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum FrameError {
    /// More data than this end has said that it takes.
    #[error("a data segment of {announced} bytes, where at most {bound} were agreed")]
    DataTooLong {
        /// The header's DataSegmentLength.
        announced: usize,
        /// The bound.
        bound: usize,
    },
    /// The header is damaged, so its length fields cannot be believed.
    #[error("header digest error")]
    HeaderDigest,
    /// The data is damaged.
    #[error("data digest error")]
    DataDigest,
}

/// One PDU as bytes, without digests and padding.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Frame {
    /// The basic header segment.
    pub header: [u8; HEADER_BYTES],
    /// The additional header segments, a whole number of words.
    pub additional: Vec<u8>,
    /// The data segment.
    pub data: Vec<u8>,
}

impl Frame {
    /// A header of this opcode, all else zero, with this data segment.
    ///
    /// # Panics
    /// When the data does not fit 24 bits of length: nothing that is built here comes near.
    #[must_use]
    pub(super) fn new(opcode: u8, data: Vec<u8>) -> Self {
        assert!(
            data.len() <= DATA_BYTES_MAX,
            "a data segment's length has 24 bits"
        );
        let mut header = [0; HEADER_BYTES];
        header[0] = opcode;
        Self {
            header,
            additional: Vec::new(),
            data,
        }
    }

    /// As [`Frame::new`], with the final bit that most PDUs have set.
    pub(super) fn closed(opcode: u8, data: Vec<u8>) -> Self {
        let mut frame = Self::new(opcode, data);
        frame.header[1] = FINAL;
        frame
    }

    /// Opcode, without the immediate bit.
    #[must_use]
    pub const fn opcode(&self) -> u8 {
        self.header[0] & 0x3f
    }

    /// The immediate bit.
    pub(super) const fn is_immediate(&self) -> bool {
        self.header[0] & IMMEDIATE != 0
    }

    pub(super) const fn set_immediate(&mut self, immediate: bool) {
        if immediate {
            self.header[0] |= IMMEDIATE;
        }
    }

    /// Are these bits of byte 1 set?
    pub(super) const fn has_flag(&self, flag: u8) -> bool {
        self.header[1] & flag != 0
    }

    pub(super) const fn set_flag(&mut self, flag: u8, on: bool) {
        if on {
            self.header[1] |= flag;
        }
    }

    /// The final bit.
    pub(super) const fn is_final(&self) -> bool {
        self.has_flag(FINAL)
    }

    pub(super) const fn set_final(&mut self, on: bool) {
        self.set_flag(FINAL, on);
    }

    pub(super) const fn u16_at(&self, offset: usize) -> u16 {
        u16::from_be_bytes([self.header[offset], self.header[offset + 1]])
    }

    pub(super) const fn u32_at(&self, offset: usize) -> u32 {
        let h = &self.header;
        u32::from_be_bytes([h[offset], h[offset + 1], h[offset + 2], h[offset + 3]])
    }

    pub(super) const fn serial_at(&self, offset: usize) -> Serial {
        Serial(self.u32_at(offset))
    }

    pub(super) fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.header[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    pub(super) fn put_u16(&mut self, offset: usize, value: u16) {
        self.put(offset, &value.to_be_bytes());
    }

    pub(super) fn put_u32(&mut self, offset: usize, value: u32) {
        self.put(offset, &value.to_be_bytes());
    }

    pub(super) fn lun(&self) -> Lun {
        let mut lun = Lun::default();
        lun.0.copy_from_slice(&self.header[8..16]);
        lun
    }

    /// Initiator Task Tag.
    #[must_use]
    pub const fn task_tag(&self) -> u32 {
        self.u32_at(16)
    }

    /// Appends the PDU as it travels.
    ///
    /// # Panics
    /// When the additional headers are no whole words or more than 255 of them: none of ours are.
    pub(super) fn emit(&self, digests: Digests, out: &mut Vec<u8>) {
        let words = self.additional.len() / 4;
        assert!(self.additional.len().is_multiple_of(4), "whole words");
        let start = out.len();
        out.extend_from_slice(&self.header);
        out[start + 4] = u8::try_from(words).expect("at most 255 words of additional headers");
        let length = u32::try_from(self.data.len())
            .expect("24 bits")
            .to_be_bytes();
        out[start + 5..start + 8].copy_from_slice(&length[1..]);
        out.extend_from_slice(&self.additional);
        if digests.header {
            let sum = crc32c::crc32c(&out[start..]);
            out.extend_from_slice(&sum.to_le_bytes());
        }
        if self.data.is_empty() {
            return;
        }
        let start = out.len();
        out.extend_from_slice(&self.data);
        out.resize(start + padded(self.data.len()), 0);
        if digests.data {
            let sum = crc32c::crc32c(&out[start..]);
            out.extend_from_slice(&sum.to_le_bytes());
        }
    }
}

const fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// Cuts frames out of a byte stream.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Decoder {
    /// What has arrived and is not given out; consumed from `at` on.
    buffer: Vec<u8>,
    at: usize,
    digests: Digests,
    data_bytes_max: usize,
    broken: Option<FrameError>,
}

impl Decoder {
    /// A decoder at the start of a connection: no digests, data segments up to this bound.
    #[must_use]
    pub const fn new(data_bytes_max: usize) -> Self {
        Self {
            buffer: Vec::new(),
            at: 0,
            digests: Digests {
                header: false,
                data: false,
            },
            data_bytes_max,
            broken: None,
        }
    }

    /// What was agreed in the login; holds from the next frame on.
    pub const fn agree(&mut self, digests: Digests, data_bytes_max: usize) {
        self.digests = digests;
        self.data_bytes_max = data_bytes_max;
    }

    /// Takes bytes that have arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken.is_some() {
            return;
        }
        if self.at == self.buffer.len() {
            self.buffer.clear();
        } else if self.at > 0 {
            self.buffer.drain(..self.at);
        }
        self.at = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Is a PDU under way, of which the rest has not arrived?
    #[must_use]
    pub const fn is_within_frame(&self) -> bool {
        self.at < self.buffer.len()
    }

    /// The next whole frame, if all of it has arrived.
    ///
    /// # Errors
    /// [`FrameError`], from then on always.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        match self.broken {
            Some(error) => Err(error),
            None => self.cut().inspect_err(|&error| {
                self.broken = Some(error);
                self.buffer = Vec::new();
                self.at = 0;
            }),
        }
    }

    fn cut(&mut self) -> Result<Option<Frame>, FrameError> {
        let bytes = &self.buffer[self.at..];
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let header_end = HEADER_BYTES + usize::from(header[4]) * 4;
        let digest_end = header_end + if self.digests.header { DIGEST_BYTES } else { 0 };
        if bytes.len() < digest_end {
            return Ok(None);
        }
        if self.digests.header && !sum_matches(&bytes[..header_end], &bytes[header_end..]) {
            return Err(FrameError::HeaderDigest);
        }
        let data_bytes =
            usize::from(header[5]) << 16 | usize::from(header[6]) << 8 | usize::from(header[7]);
        if data_bytes > self.data_bytes_max {
            return Err(FrameError::DataTooLong {
                announced: data_bytes,
                bound: self.data_bytes_max,
            });
        }
        let data_end = digest_end + padded(data_bytes);
        let has_data_digest = self.digests.data && data_bytes > 0;
        let end = data_end + if has_data_digest { DIGEST_BYTES } else { 0 };
        if bytes.len() < end {
            return Ok(None);
        }
        if has_data_digest && !sum_matches(&bytes[digest_end..data_end], &bytes[data_end..]) {
            return Err(FrameError::DataDigest);
        }
        let frame = Frame {
            header: *header,
            additional: bytes[HEADER_BYTES..header_end].to_vec(),
            data: bytes[digest_end..digest_end + data_bytes].to_vec(),
        };
        self.at += end;
        Ok(Some(frame))
    }
}

/// Do the first four bytes of `after` hold the CRC32C of `covered`? On the wire its bytes stand low first
/// (RFC 7143 13.1 and its example B.4).
fn sum_matches(covered: &[u8], after: &[u8]) -> bool {
    after.first_chunk() == Some(&crc32c::crc32c(covered).to_le_bytes())
}

//! What a frame is made of, for benches that measure the pieces one by one. Not part of the interface: it may change
//! with any release.

use crate::frame::{HEADER_BYTES, Header, Kind, Records, push_record};
use crate::ids::{Epoch, Generation, LogId, Lsn};
use crate::sum::{Seed, Sums};
use crate::words::small;

const SEED: Seed = Seed {
    log: LogId([7; 16]),
    generation: Generation(3),
    offset: 4096,
};

/// Both checksums of a body.
#[must_use]
pub fn sums(body: &[u8]) -> (u32, u32) {
    let Sums { crc32, crc32c } = Sums::of(SEED, body);
    (crc32, crc32c)
}

/// A frame of these records, in `out`.
///
/// # Panics
/// With more records than a frame takes.
pub fn encode(records: &[Vec<u8>], out: &mut Vec<u8>) {
    out.clear();
    out.resize(HEADER_BYTES, 0);
    for record in records {
        push_record(out, record);
    }
    let body = &out[HEADER_BYTES..];
    let header = Header {
        kind: Kind::Data,
        generation: SEED.generation,
        epoch: Epoch(1),
        incarnation: 1,
        number: 1,
        previous: 1,
        first_lsn: Lsn(1),
        records: u16::try_from(records.len()).expect("at most 65535 records"),
        body_bytes: small(body.len()),
        body: Sums::of(SEED, body),
        sum: 0,
    };
    out[..HEADER_BYTES].copy_from_slice(&header.emit(SEED));
}

/// Verifies a frame as recovery does and counts its bytes of records; `None` when it is damaged.
pub fn decode(frame: &mut [u8]) -> Option<usize> {
    let header = Header::parse(frame, SEED, false)?;
    let body = frame
        .get_mut(HEADER_BYTES..)?
        .get_mut(..header.body_bytes as usize)?;
    header.check_body(body, SEED, false)?;
    Records::are_well_formed(body, header.records)
        .then(|| Records::new(body).map(<[u8]>::len).sum())
}

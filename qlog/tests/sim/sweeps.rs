//! Damage to every byte of a small log: each truncation, each flipped bit, each sector zeroed and garbled.
//!
//! A flipped bit is mended or an error. A sector may cost the frame that was acknowledged last and that nothing
//! follows; everything else is served from a second copy, or is an error.

use crate::oracle::{Found, Oracle, Tolerance};
use crate::overlay::{Over, Overlay, Patch, SECTOR};
use crate::rng::Rng;
use crate::world::{Shared, claim_of, image};
use qlog::storage::MemoryStorage;
use qlog::{Format, Guards, Lsn, open};
use std::sync::Arc;

fn format() -> Format {
    let mut format = Format {
        block_bytes: 256,
        segments: 4,
        segment_bytes: 2048,
        catalogue_bytes: 256 * 4,
        chunk_bytes: 256,
        chunks: 9,
        region_bytes: 0,
    };
    format.region_bytes = format.used_bytes().next_multiple_of(4096);
    format
}

/// How the last owner left it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Open,
    Sealed,
    Closed,
}

/// Three owners, two checkpoints, an object, frames at home and in shadow slots, two segments of the last epoch.
fn small_log(end: End) -> (Vec<u8>, Oracle) {
    let storage = Arc::new(MemoryStorage::from_image(image(format()), 256));
    let mut oracle = Oracle::default();
    for owner in 1..=3_u32 {
        let (found, opened) = Found::open(Arc::clone(&storage), Guards::ALL_ON).unwrap();
        oracle.judge(&found, Tolerance::Nothing).unwrap();
        let log = opened.claim(claim_of(owner, u64::from(owner) + 7)).unwrap();
        oracle.settle(&found);
        for length in [10, 90, 200, 0, 33] {
            let record = vec![owner.to_le_bytes()[0] ^ 0x5a; length];
            let ticket = log.append(&record).unwrap();
            oracle.submit(ticket.lsn, &record);
            log.commit(ticket).unwrap();
            oracle.acknowledge(ticket.lsn);
            if length == 90 && owner > 1 {
                let upto = ticket.lsn.0;
                log.checkpoint(Lsn(upto), &oracle.state(upto, 300)).unwrap();
                oracle.checkpointed(upto);
            }
        }
        oracle.submit_object("disk", Some(vec![owner.to_le_bytes()[0]; 300]));
        log.put_object("disk", &vec![owner.to_le_bytes()[0]; 300])
            .unwrap();
        oracle.acknowledge_object("disk");
        match end {
            End::Sealed if owner == 3 => log.seal().unwrap(),
            End::Closed if owner == 3 => log.close().unwrap(),
            End::Open | End::Sealed | End::Closed => {}
        }
    }
    if end != End::Open {
        oracle.sealed();
    }
    (storage.image(), oracle)
}

/// What a damaged image must be: served, or an error.
fn judge(
    image: &Arc<Vec<u8>>,
    damage: Patch,
    oracle: &Oracle,
    tolerance: Tolerance,
) -> Result<bool, String> {
    let over = Over {
        patches: vec![damage],
        flushed: 1,
        ..Over::default()
    };
    let storage = Overlay::new(image, 256, over, &Shared::default());
    match Found::open(Arc::clone(&storage), Guards::ALL_ON) {
        Err(_) => Ok(false),
        Ok((found, opened)) => {
            oracle.judge(&found, tolerance)?;
            // What serves can be claimed, and is the same for the next owner.
            let next = opened.next_lsn();
            let Ok(_log) = opened.claim(claim_of(9, 99)) else {
                return Ok(true);
            };
            let again =
                open(storage, &mut ()).map_err(|error| format!("after a claim: {error}"))?;
            if again.next_lsn() != next {
                return Err(format!("after a claim: {} was {next}", again.next_lsn()));
            }
            Ok(true)
        }
    }
}

const ENDS: [End; 3] = [End::Open, End::Sealed, End::Closed];

#[test]
fn every_flipped_bit_is_mended_or_told() {
    let layout = format().layout().unwrap();
    let ends = layout.scratch()..layout.superblock(0, 0, 1);
    let is_superblock = |offset: usize| !ends.contains(&(offset as u64));
    for end in ENDS {
        let (image, oracle) = small_log(end);
        let image = Arc::new(image);
        let mut refused = 0;
        for bit in 0..image.len() * 8 {
            let sector = &image[bit / 8 / SECTOR * SECTOR..][..SECTOR];
            let step = match end {
                _ if sector.iter().all(|byte| *byte == 0) => 512, // It was never written.
                // Every bit of a superblock makes the whole copy void; a test of its own sees to that.
                _ if is_superblock(bit / 8) => 29,
                End::Open => 1,
                End::Sealed | End::Closed => 7,
            };
            if bit % step != 0 {
                continue;
            }
            let flipped = Patch {
                offset: bit / 8,
                bytes: [image[bit / 8] ^ (1 << (bit % 8))].into(),
            };
            match judge(&image, flipped, &oracle, Tolerance::Nothing) {
                Ok(served) => refused += u32::from(!served),
                Err(why) => panic!("{end:?}, bit {} of byte {}: {why}", bit % 8, bit / 8),
            }
        }
        println!(
            "{end:?}: {refused} of {} flipped bits were refused",
            image.len() * 8
        );
    }
}

#[test]
fn every_sector_zeroed_or_garbled_costs_the_last_frame_at_most() {
    let mut rng = Rng::new(5);
    for end in ENDS {
        let (image, oracle) = small_log(end);
        let image = Arc::new(image);
        for at in (0..image.len()).step_by(SECTOR) {
            for zero in [true, false] {
                let mut sector = [0; SECTOR];
                if !zero {
                    rng.fill(&mut sector);
                }
                let damage = Patch {
                    offset: at,
                    bytes: sector.into(),
                };
                if let Err(why) = judge(&image, damage, &oracle, Tolerance::LastFrame) {
                    panic!("{end:?}, sector at {at}, zeroed {zero}: {why}");
                }
            }
        }
    }
}

#[test]
fn a_region_that_was_cut_off_is_refused() {
    let (image, _) = small_log(End::Open);
    for length in (0..image.len()).step_by(SECTOR) {
        let storage = MemoryStorage::from_image(image[..length].to_vec(), 256);
        assert!(open(storage, &mut ()).is_err(), "cut at {length}");
    }
}

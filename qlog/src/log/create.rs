//! A new log in a region: zeros written through all of it, then the first superblock.

use super::superblocks;
use crate::buffer::Aligned;
use crate::error::CreateError;
use crate::guards::Guards;
use crate::ids::{Epoch, Generation, LogId, Lsn};
use crate::layout::{Format, RingSet, SUPERBLOCK_BYTES};
use crate::recover::roots;
use crate::storage::Storage;
use crate::superblock::{Cluster, Superblock};
use std::hash::{BuildHasher, RandomState};

/// Written at once.
const STEP: u64 = 1 << 20;

/// Makes a log in a region, whatever was there. Every block is written, so that no later commit can meet a lack of
/// space; `progress` is told how many bytes are done.
///
/// # Errors
/// [`CreateError`]; the region may be partly zeros then.
pub fn create<S: Storage>(
    storage: &S,
    format: Format,
    cluster: Cluster,
    progress: &mut dyn FnMut(u64),
) -> Result<LogId, CreateError> {
    create_from(storage, format, cluster, Lsn(1), Guards::ALL_ON, progress)
}

/// As [`create`], with guards switched off: for the test that each is noticed.
///
/// # Errors
/// [`CreateError`].
pub fn create_with<S: Storage>(
    storage: &S,
    format: Format,
    cluster: Cluster,
    guards: Guards,
) -> Result<LogId, CreateError> {
    create_from(storage, format, cluster, Lsn(1), guards, &mut |_| {})
}

/// As [`create`], of a log whose first record has this number.
pub(crate) fn create_from<S: Storage>(
    storage: &S,
    format: Format,
    cluster: Cluster,
    first: Lsn,
    guards: Guards,
    progress: &mut dyn FnMut(u64),
) -> Result<LogId, CreateError> {
    let layout = format.layout()?;
    let place = format.superblock_place();
    if !cluster.fits() {
        return Err(CreateError::Region(
            "the cluster's name or times are too long".into(),
        ));
    }
    if storage.region_bytes() / place * place != format.region_bytes {
        return Err(CreateError::Region(format!(
            "the region has {} bytes, the log is to have {}",
            storage.region_bytes(),
            format.region_bytes
        )));
    }
    if storage.block_bytes() > format.block_bytes {
        return Err(CreateError::Region(format!(
            "the device writes blocks of {} bytes, the log is to have blocks of {}",
            storage.block_bytes(),
            format.block_bytes
        )));
    }
    let failed = |offset| move |source| CreateError::Write { offset, source };
    let zeros = Aligned::zeroed(usize::try_from(STEP.min(format.region_bytes)).expect("1 MiB"));
    // A log that was here before must not be there without its records, nor as it was some time ago, when a crash comes
    // now: its newest superblock goes last, and before anything else.
    let of_one = SUPERBLOCK_BYTES.max(storage.block_bytes() as usize);
    for offset in roots::any(storage) {
        storage
            .write_at(offset, &zeros[..of_one])
            .map_err(failed(offset))?;
        storage.flush().map_err(failed(offset))?;
    }
    let mut offset = 0;
    while offset < format.region_bytes {
        let step = STEP.min(format.region_bytes - offset);
        let bytes = &zeros[..usize::try_from(step).expect("1 MiB")];
        storage.write_at(offset, bytes).map_err(failed(offset))?;
        offset += step;
        progress(offset);
    }
    storage.flush().map_err(failed(0))?;
    let id = LogId(random_bytes());
    let superblock = Superblock {
        id,
        format,
        cluster,
        number: 1,
        epoch: Epoch(0),
        owner: crate::Owner::default(),
        incarnation: 0,
        start: Generation(0),
        start_lsn: first,
        avoid: RingSet::default(),
        freed: RingSet::default(),
        objects: 0,
        durable: first,
        sealed: Vec::new(),
        catalogues: [None, None],
        clean: None,
        parked: false,
    };
    superblocks::write(storage, &layout, &superblock, guards)
        .map_err(|(offset, source)| CreateError::Write { offset, source })?;
    Ok(id)
}

fn random_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&random().to_le_bytes());
    bytes[8..].copy_from_slice(&random().to_le_bytes());
    bytes
}

/// 64 bits that nobody else has: the keys of a hash map are random and different each time.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(std::time::SystemTime::now())
}

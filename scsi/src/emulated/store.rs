//! The file: a header that is written once, two places for the state, the blocks.
//!
//! ```text
//!        0  header, 4 KiB   magic, format, place and size of everything, the unit as it was made, checksum
//!     4096  state slot 0, 272 KiB: magic, sequence number, length, checksum, state image
//!   282624  state slot 1
//!  1048576  blocks
//! ```
//!
//! The newest state is that of the whole slot with the higher sequence number; with no slot written it is the
//! unit of the header. A new state goes to the *other* slot.
//!
//! Crash argument (SIGKILL at any point; the lock goes with the process):
//! * header: one write of one page into an empty file. Killed before it, the file is empty and the next
//!   opener makes the unit; after it, the unit is whole, for slots that were never written are empty;
//! * state: while it is written the other slot is untouched. Torn, its checksum does not match and the state
//!   before it stands; whole, it is the next state. A process that finds a torn slot overwrites it, for it is
//!   not the newest;
//! * blocks are written before the state, by one command at a time.
//!
//! Nothing is synchronised for the state: it outlives processes, as memory of a disk outlives hosts. After a
//! crash of the machine itself the state is one of the last ones, or the file is refused as damaged.

use super::name::Name;
use crate::logical_unit::{Behaviour, Config, IMAGE_BYTES_MAX, ImageError, LogicalUnit};
use crc32fast::hash as crc32;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

const MAGIC: &[u8; 8] = b"QCTLEMU\n";
const SLOT_MAGIC: &[u8; 8] = b"QCTLEMUs";
const FORMAT: u32 = 1;
const HEADER_BYTES: usize = 4096;
/// Magic, sequence, length, checksum.
const SLOT_HEADER_BYTES: usize = 8 + 8 + 4 + 4;
const SLOT_BYTES: u64 = 272 * 1024;
const MEDIA_OFFSET: u64 = 1024 * 1024;

const _: () = assert!((IMAGE_BYTES_MAX + SLOT_HEADER_BYTES) as u64 <= SLOT_BYTES);
const _: () = assert!(HEADER_BYTES as u64 + 2 * SLOT_BYTES <= MEDIA_OFFSET);

/// How long a process that waits for the lock sleeps between two tries. The kernel has no bounded wait for
/// a file lock; a command takes some tens of microseconds.
const LOCK_RETRY: Duration = Duration::from_micros(200);

/// Why the file of an emulated disk cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system says so.
    #[error("{doing}: {why}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The system's words.
        #[source]
        why: io::Error,
    },
    /// Others hold the lock.
    #[error("it was in use by other processes for the whole bound of {} ms", bound.as_millis())]
    Busy {
        /// The bound.
        bound: Duration,
    },
    /// Something else.
    #[error("it is not an emulated disk, and is left as it is; name a file that does not exist")]
    Foreign,
    /// A newer program made it.
    #[error("it has format {found}; this program knows format {FORMAT}")]
    Newer {
        /// Its format.
        found: u32,
    },
    /// It was one.
    #[error("it is damaged ({what}); remove it, or restore it from a copy")]
    Damaged {
        /// What does not match.
        what: String,
    },
    /// The name asks for another behaviour than the unit has.
    #[error("its behaviour is {is}, not {asked}; leave `behaviour` out, or name another file")]
    OtherBehaviour {
        /// What it has.
        is: Behaviour,
        /// What the name says.
        asked: Behaviour,
    },
    /// The name asks for another size than the unit has.
    #[error("it has {is} blocks, not {asked}; leave `size` out, or name another file")]
    OtherSize {
        /// What it has.
        is: u64,
        /// What the name says.
        asked: u64,
    },
}

impl From<ImageError> for StoreError {
    fn from(error: ImageError) -> Self {
        Self::Damaged {
            what: error.to_string(),
        }
    }
}

fn io_error(doing: &'static str) -> impl FnOnce(io::Error) -> StoreError {
    move |why| StoreError::Io { doing, why }
}

/// An open file.
#[derive(Debug)]
pub(super) struct Store {
    file: File,
}

/// The newest state, and where the next one goes. Valid while the lock is held.
pub(super) struct Loaded {
    pub(super) unit: LogicalUnit,
    /// The image that `unit` was parsed from, if a slot holds it.
    image: Option<Vec<u8>>,
    sequence: u64,
}

/// The lock, given back when it is dropped.
pub(super) struct Locked<'a> {
    store: &'a Store,
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // A lock that cannot be given back goes with the process.
        drop(self.store.file.unlock());
    }
}

impl Store {
    /// Opens the file, makes the unit if it is empty, and holds the name against what the unit is.
    pub(super) fn open(name: &Name, bound: Duration) -> Result<Self, StoreError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&name.file)
            .map_err(io_error("cannot open it"))?;
        if !file
            .metadata()
            .map_err(io_error("cannot look at it"))?
            .is_file()
        {
            return Err(StoreError::Foreign);
        }
        let store = Self { file };
        let locked = store.lock(bound)?;
        let config = locked.config_or_make(name)?;
        drop(locked);
        match (name.behaviour, name.blocks) {
            (Some(asked), _) if asked != config.behaviour => Err(StoreError::OtherBehaviour {
                is: config.behaviour,
                asked,
            }),
            (_, Some(asked)) if asked != config.blocks => Err(StoreError::OtherSize {
                is: config.blocks,
                asked,
            }),
            _ => Ok(store),
        }
    }

    /// Waits for the file to be nobody else's.
    #[expect(
        clippy::disallowed_methods,
        reason = "the lock of a file has no bounded wait: this driver keeps the caller's bound itself"
    )]
    pub(super) fn lock(&self, bound: Duration) -> Result<Locked<'_>, StoreError> {
        let start = Instant::now();
        loop {
            match self.file.try_lock() {
                Ok(()) => return Ok(Locked { store: self }),
                Err(std::fs::TryLockError::Error(why)) => {
                    return Err(StoreError::Io {
                        doing: "cannot lock it",
                        why,
                    });
                }
                Err(std::fs::TryLockError::WouldBlock) if start.elapsed() >= bound => {
                    return Err(StoreError::Busy { bound });
                }
                Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(LOCK_RETRY),
            }
        }
    }
}

impl Locked<'_> {
    pub(super) fn file(&self) -> &File {
        &self.store.file
    }

    /// Where the blocks start.
    pub(super) const fn media_offset(&self) -> u64 {
        MEDIA_OFFSET
    }

    /// What the unit was made as; an empty file becomes one.
    fn config_or_make(&self, name: &Name) -> Result<Config, StoreError> {
        let length = self
            .file()
            .metadata()
            .map_err(io_error("cannot look at it"))?
            .len();
        if length == 0 {
            let config = Config {
                behaviour: name.behaviour.unwrap_or_default(),
                blocks: name.blocks.unwrap_or(Config::default().blocks),
                serial: serial(name)?,
                ..Config::default()
            };
            self.file()
                .write_all_at(&emit_header(&config), 0)
                .map_err(io_error("cannot write it"))?;
        }
        self.header().map(|unit| unit.config().clone())
    }

    /// The unit as it was made.
    fn header(&self) -> Result<LogicalUnit, StoreError> {
        let header = self.read(0, HEADER_BYTES)?;
        if !header.starts_with(MAGIC) {
            return Err(StoreError::Foreign);
        }
        let found = be32(&header, 8);
        if found != FORMAT {
            return Err(StoreError::Newer { found });
        }
        let damaged = |what: &str| StoreError::Damaged {
            what: what.to_owned(),
        };
        if header.len() < HEADER_BYTES {
            return Err(damaged("the header is cut short"));
        }
        let (body, checksum) = header.split_at(HEADER_BYTES - 4);
        if crc32(body) != be32(checksum, 0) {
            return Err(damaged("the checksum of the header does not match"));
        }
        let length = usize::try_from(be32(body, 12)).unwrap_or(usize::MAX);
        let image = body
            .get(16..)
            .and_then(|rest| rest.get(..length))
            .ok_or_else(|| damaged("the header says more than it holds"))?;
        Ok(LogicalUnit::from_image(image)?)
    }

    /// The newest state.
    pub(super) fn load(&self) -> Result<Loaded, StoreError> {
        let newest = match (self.slot(0)?, self.slot(1)?) {
            (Slot::Whole(first, image), Slot::Whole(second, _)) if first > second => {
                Some((first, image))
            }
            (_, Slot::Whole(sequence, image)) | (Slot::Whole(sequence, image), _) => {
                Some((sequence, image))
            }
            // The first state ever goes to slot 1: torn there, the unit is still as it was made.
            (Slot::Empty, Slot::Empty | Slot::Torn) => None,
            (Slot::Torn, Slot::Empty | Slot::Torn) => {
                return Err(StoreError::Damaged {
                    what: "neither of its two states is whole".to_owned(),
                });
            }
        };
        Ok(match newest {
            None => Loaded {
                unit: self.header()?,
                image: None,
                sequence: 0,
            },
            Some((sequence, image)) => Loaded {
                unit: LogicalUnit::from_image(&image)?,
                image: Some(image),
                sequence,
            },
        })
    }

    /// Writes the state, if it is another than was loaded.
    pub(super) fn save(&self, loaded: &Loaded) -> Result<(), StoreError> {
        let image = loaded.unit.to_image();
        if loaded.image.as_ref() == Some(&image) {
            return Ok(());
        }
        if image.len() > IMAGE_BYTES_MAX {
            return Err(StoreError::Damaged {
                what: "the state outgrew its place".to_owned(),
            });
        }
        let sequence = loaded.sequence + 1;
        self.file()
            .write_all_at(&emit_slot(sequence, &image), slot_offset(sequence % 2))
            .map_err(io_error("cannot write its state"))
    }

    fn slot(&self, slot: u64) -> Result<Slot, StoreError> {
        let header = self.read(slot_offset(slot), SLOT_HEADER_BYTES)?;
        if header.iter().all(|&byte| byte == 0) {
            return Ok(Slot::Empty);
        }
        let sequence = be64(&header, 8);
        let length = usize::try_from(be32(&header, 16)).unwrap_or(usize::MAX);
        if !header.starts_with(SLOT_MAGIC) || length > IMAGE_BYTES_MAX {
            return Ok(Slot::Torn);
        }
        let at = slot_offset(slot) + u64::try_from(SLOT_HEADER_BYTES).unwrap_or(0);
        let image = self.read(at, length)?;
        if image.len() == length && slot_checksum(sequence, &image) == be32(&header, 20) {
            Ok(Slot::Whole(sequence, image))
        } else {
            Ok(Slot::Torn)
        }
    }

    /// Up to `length` bytes: fewer at the end of the file. `length` is bounded by the callers.
    fn read(&self, at: u64, length: usize) -> Result<Vec<u8>, StoreError> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            let next = at + u64::try_from(filled).unwrap_or(0);
            match self.file().read_at(&mut bytes[filled..], next) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io_error("cannot read it")(error)),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}

/// A serial number by the place where the unit was made: two units side by side must not look like one.
fn serial(name: &Name) -> Result<String, StoreError> {
    let place = std::fs::canonicalize(&name.file).map_err(io_error("cannot find its place"))?;
    let bytes = place.as_os_str().as_encoded_bytes();
    Ok(format!("EMU{:08X}", crc32(bytes)))
}

/// What a slot holds.
enum Slot {
    /// It was never written.
    Empty,
    /// It was not written to its end, or is damaged.
    Torn,
    /// A state, with its sequence number.
    Whole(u64, Vec<u8>),
}

const fn slot_offset(slot: u64) -> u64 {
    HEADER_BYTES as u64 + slot * SLOT_BYTES
}

fn emit_header(config: &Config) -> Vec<u8> {
    let image = LogicalUnit::new(config.clone()).to_image();
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend(MAGIC);
    header.extend(FORMAT.to_be_bytes());
    header.extend(u32::try_from(image.len()).unwrap_or(0).to_be_bytes());
    header.extend(image);
    assert!(
        header.len() <= HEADER_BYTES - 4,
        "a new unit fits into the header"
    );
    header.resize(HEADER_BYTES - 4, 0);
    let checksum = crc32(&header);
    header.extend(checksum.to_be_bytes());
    header
}

fn emit_slot(sequence: u64, image: &[u8]) -> Vec<u8> {
    let length = u32::try_from(image.len()).unwrap_or(0);
    let mut slot = Vec::with_capacity(SLOT_HEADER_BYTES + image.len());
    slot.extend(SLOT_MAGIC);
    slot.extend(sequence.to_be_bytes());
    slot.extend(length.to_be_bytes());
    slot.extend(slot_checksum(sequence, image).to_be_bytes());
    slot.extend(image);
    slot
}

/// The sequence number counts too: a header of one state before the image of another is not whole.
fn slot_checksum(sequence: u64, image: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&sequence.to_be_bytes());
    hasher.update(image);
    hasher.finalize()
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    let mut field = [0; 4];
    if let Some(from) = bytes.get(at..at + 4) {
        field.copy_from_slice(from);
    }
    u32::from_be_bytes(field)
}

fn be64(bytes: &[u8], at: usize) -> u64 {
    u64::from(be32(bytes, at)) << 32 | u64::from(be32(bytes, at + 4))
}

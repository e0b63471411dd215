//! A log on a raw logical unit, written through the very nexus that holds the reservation.
//!
//! ```text
//!   qlog ──► LunStorage ── ownership.check() ──► Device ──► the disk, which refuses everybody else
//!            LunReader  ── reads only
//! ```
//!
//! Invariants:
//! * a [`LunStorage`] is made from an [`Ownership`] only, and each write asks it first: after its deadline a write
//!   fails, whatever the disk would do;
//! * no command outlives the proof: its bound is what is left of it, at most the command bound;
//! * what an owner sends and is answered by an attention, an abort or nothing is an error, and the last thing that this
//!   storage does: it may be a sign that the reservation is gone. Whoever owns the disk makes a new storage after a clean
//!   round, and verifies the log's tail again (design: "a write that meets an attention").
//!
//! Reads tell nothing about ownership, so a [`LunReader`] needs none: a contender looks for a parked mark.

use crate::arbiter::{Fenced, Ownership, now};
use qlog::Storage;
use scsi::device::{Companion, Completion, Data, Device};
use scsi::wire::capacity::{ALLOCATION_LENGTH_16, Capacity16};
use scsi::wire::cdb::{Access, BlockRange, Command};
use scsi::wire::sense::Sense;
use scsi::wire::status::Status;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The most that one command moves: what every host adapter takes.
const TRANSFER_BYTES_MAX: usize = 256 << 10;
/// SENSE KEY of an attention (SPC-4 4.5.6).
const UNIT_ATTENTION: u8 = 6;
/// What the unit has at least to say how large it is: nobody's ownership hangs on it.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// Attentions that may stand before an answer: one for each kind of reset, and the change of a reservation.
const ATTENTIONS_MAX: usize = 8;

/// A logical unit that blocks are read from and written to.
#[derive(Clone)]
pub struct Lun {
    shared: Arc<Shared>,
}

struct Shared {
    device: Mutex<Box<dyn Device>>,
    block_bytes: u32,
    blocks: u64,
    bound: Duration,
    /// The unit has refused FUA.
    no_fua: AtomicBool,
    /// What went wrong first under the present owner was a read.
    read_failed: AtomicBool,
}

impl std::fmt::Debug for Lun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} blocks of {} bytes",
            self.shared.blocks, self.shared.block_bytes
        )
    }
}

impl Lun {
    /// Asks the unit for its size, which may take a little longer. `bound` is for each command from then on.
    ///
    /// # Errors
    /// When it does not say, or says what no log can use.
    pub fn open(mut device: Box<dyn Device>, bound: Duration) -> io::Result<Self> {
        let command = Command::ReadCapacity16 {
            allocation_length: ALLOCATION_LENGTH_16,
        };
        let mut answer = [0; ALLOCATION_LENGTH_16 as usize];
        // Attentions are told to whoever comes first; here that is nobody who could be misled by them.
        let mut tries = ATTENTIONS_MAX;
        let moved = loop {
            let data = Data::In(&mut answer);
            let completion = send(&mut *device, &command, data, bound.max(FIRST_LOOK))?;
            if completion.status == Status::GOOD {
                break completion.transferred;
            }
            tries -= 1;
            if tries == 0 || !is_attention(&completion) {
                return Err(refused(&command, &completion));
            }
        };
        let size = Capacity16::parse(&answer[..moved])
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        if !size.block_bytes.is_power_of_two() || size.block_bytes > 1 << 16 {
            let why = format!(
                "blocks of {} bytes: no log can be on this unit",
                size.block_bytes
            );
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
        let shared = Shared {
            device: Mutex::new(device),
            block_bytes: size.block_bytes,
            blocks: size.blocks,
            bound,
            no_fua: AtomicBool::new(false),
            read_failed: AtomicBool::new(false),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Every thread that sends its commands has this with it until the last one is back: for a log on the nexus of an
    /// arbiter, [`crate::arbiter::Arbiter::companion`], so that no other arbiter has the nexus while a write of this
    /// one is under way.
    pub fn accompany(&self, with: Companion) {
        let mut device = (self.shared.device.lock()).unwrap_or_else(PoisonError::into_inner);
        device.accompany(with);
    }

    /// For looking, by anybody.
    #[must_use]
    pub fn reader(&self) -> LunReader {
        LunReader(self.clone())
    }

    /// For writing, by the owner.
    #[must_use]
    pub fn owned_by(&self, ownership: Ownership) -> LunStorage {
        self.shared.read_failed.store(false, Ordering::Release);
        LunStorage::new(self.clone(), Right::Owned(ownership))
    }

    /// Since it was last [`Self::owned_by`] somebody every write was answered with GOOD, and what went wrong first was a read:
    /// the writes before it have reached the unit.
    #[must_use]
    pub fn only_a_read_failed(&self) -> bool {
        self.shared.read_failed.load(Ordering::Acquire)
    }

    /// For writing on the word of an operator that nobody else does: to make a log on a disk that no cluster uses yet.
    #[must_use]
    pub fn unfenced(&self) -> LunStorage {
        LunStorage::new(self.clone(), Right::Unfenced)
    }

    fn bytes(&self) -> u64 {
        self.shared.blocks * u64::from(self.shared.block_bytes)
    }

    /// One command for each transfer that host adapters take.
    fn transfer(
        &self,
        offset: u64,
        length: usize,
        mut one: impl FnMut(&mut dyn Device, BlockRange, usize, usize) -> io::Result<()>,
    ) -> io::Result<()> {
        let block = u64::from(self.shared.block_bytes);
        let end = offset.checked_add(length as u64);
        let whole = offset.is_multiple_of(block) && (length as u64).is_multiple_of(block);
        if !whole || end.is_none_or(|end| end > self.bytes()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut device = self
            .shared
            .device
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut at = 0;
        while at < length {
            let step = TRANSFER_BYTES_MAX.min(length - at);
            let lba = (offset + at as u64) / block;
            let blocks = u32::try_from(step as u64 / block).expect("a transfer");
            one(&mut **device, BlockRange::new(lba, blocks), at, step)?;
            at += step;
        }
        Ok(())
    }

    fn read(&self, offset: u64, buffer: &mut [u8], mut tries: usize) -> io::Result<()> {
        let length = buffer.len();
        self.transfer(offset, length, |device, range, at, step| {
            let command = Command::Read {
                range,
                access: Access::default(),
            };
            loop {
                let part = &mut buffer[at..at + step];
                let completion = send(device, &command, Data::In(part), self.shared.bound)?;
                if completion.status == Status::GOOD && completion.transferred == step {
                    return Ok(());
                }
                tries -= 1;
                if tries == 0 || !is_attention(&completion) {
                    return Err(refused(&command, &completion));
                }
            }
        })
    }
}

/// A logical unit, read only.
#[derive(Clone, Debug)]
pub struct LunReader(Lun);

/// A logical unit in its owner's hand.
#[derive(Clone, Debug)]
pub struct LunStorage {
    lun: Lun,
    right: Right,
    /// A command went wrong: nothing more is sent.
    ended: Arc<AtomicBool>,
}

#[derive(Clone, Debug)]
enum Right {
    Owned(Ownership),
    Unfenced,
}

impl Right {
    /// How long a command may take.
    fn bound(&self, bound: Duration) -> io::Result<Duration> {
        let Self::Owned(ownership) = self else {
            return Ok(bound);
        };
        ownership.check_before_write().map_err(fenced)?;
        Ok(bound.min(ownership.proved_until().saturating_since(now())))
    }
}

fn fenced(why: Fenced) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

impl LunStorage {
    fn new(lun: Lun, right: Right) -> Self {
        Self {
            lun,
            right,
            ended: Arc::default(),
        }
    }

    /// Does it unless something went wrong before, and remembers whether it does now.
    fn once_whole<T>(&self, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if self.ended.load(Ordering::Acquire) {
            let why = "a command before met an attention or an error: ownership and log are to be verified first";
            return Err(io::Error::other(why));
        }
        let done = act();
        if done.is_err() {
            self.ended.store(true, Ordering::Release);
        }
        done
    }

    fn flush_all(&self) -> io::Result<()> {
        let bound = self.right.bound(self.lun.shared.bound)?;
        let command = Command::SynchronizeCache {
            range: BlockRange::new(0, 0),
            immediate: false,
        };
        let mut device = self
            .lun
            .shared
            .device
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        good(&command, &send(&mut **device, &command, Data::None, bound)?)
    }

    fn write(&self, offset: u64, bytes: &[u8], access: Access) -> io::Result<()> {
        self.lun
            .transfer(offset, bytes.len(), |device, range, at, step| {
                let bound = self.right.bound(self.lun.shared.bound)?;
                let command = Command::Write { range, access };
                good(
                    &command,
                    &send(device, &command, Data::Out(&bytes[at..at + step]), bound)?,
                )
            })
    }
}

impl Storage for LunStorage {
    fn region_bytes(&self) -> u64 {
        self.lun.bytes()
    }

    fn block_bytes(&self) -> u32 {
        self.lun.shared.block_bytes
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let ended = self.ended.load(Ordering::Acquire);
        let read = self.once_whole(|| self.lun.read(offset, buffer, 1));
        if read.is_err() && !ended {
            self.lun.shared.read_failed.store(true, Ordering::Release);
        }
        read
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.once_whole(|| self.write(offset, bytes, Access::default()))
    }

    fn flush(&self) -> io::Result<()> {
        self.once_whole(|| self.flush_all())
    }

    /// FUA: the write is on the medium when it is answered, in one command. A unit that has none (DPOFUA is 0; LIO over
    /// a file without a write cache) refuses the bit, and nothing was written: then WRITE and SYNCHRONIZE CACHE.
    fn write_durable(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.once_whole(|| {
            let no_fua = &self.lun.shared.no_fua;
            if !no_fua.load(Ordering::Acquire) {
                match self.write(offset, bytes, Access::FUA) {
                    Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                        no_fua.store(true, Ordering::Release);
                    }
                    written => return written,
                }
            }
            self.write(offset, bytes, Access::default())?;
            self.flush_all()
        })
    }
}

impl Storage for LunReader {
    fn region_bytes(&self) -> u64 {
        self.0.bytes()
    }

    fn block_bytes(&self) -> u32 {
        self.0.shared.block_bytes
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, buffer, ATTENTIONS_MAX)
    }

    fn write_at(&self, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&self) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

fn send(
    device: &mut dyn Device,
    command: &Command,
    data: Data<'_>,
    bound: Duration,
) -> io::Result<Completion> {
    let sent = device.execute(&command.cdb(), data, bound);
    sent.map_err(|error| io::Error::other(format!("{}: {error}", command.name())))
}

fn good(command: &Command, completion: &Completion) -> io::Result<()> {
    if completion.status == Status::GOOD {
        Ok(())
    } else {
        Err(refused(command, completion))
    }
}

fn is_attention(completion: &Completion) -> bool {
    completion
        .sense
        .as_ref()
        .is_some_and(|sense| sense.key == UNIT_ATTENTION)
}

fn refused(command: &Command, completion: &Completion) -> io::Error {
    let sense = completion
        .sense
        .as_ref()
        .map_or_else(String::new, |sense| format!(", {sense}"));
    let kind = if completion.status == Status::RESERVATION_CONFLICT {
        io::ErrorKind::PermissionDenied
    } else if (completion.sense.as_ref()).is_some_and(Sense::is_invalid_field) {
        io::ErrorKind::Unsupported
    } else {
        io::ErrorKind::Other
    };
    io::Error::new(
        kind,
        format!("{}: {}{sense}", command.name(), completion.status),
    )
}

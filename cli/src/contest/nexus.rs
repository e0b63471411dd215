//! Plain reads and writes of one block through one nexus: a stranger's, or that of a node whose process
//! has ended.
//!
//! A session under an arbiter's own identifier ends the arbiter's session (RFC 7143 6.3.5), so the nexus of a
//! living contender is never borrowed.

use qlog::Root;
use quorum::lun::Lun;
use scsi::device::{Completion, Data, Device, DeviceError};
use scsi::disk::{Options, Purpose};
use scsi::reservation::{Answer, PersistentState, Reply, Verb};
use scsi::reservations::Reservations;
use scsi::wire::cdb::{Access, BlockRange, Cdb, Command};
use scsi::wire::status::Status;
use std::io;
use std::time::Duration;

/// The bound on one command.
const BOUND: Duration = Duration::from_secs(5);

/// A unit attention may precede each command; no nexus has more waiting.
const ATTENTIONS_MAX: usize = 8;

/// In the place that a quorum log on the disk leaves free (qlog/FORMAT.md, "scratch").
const LBA: u64 = 64;

/// The emulated target's blocks.
const BLOCK_BYTES: usize = 512;

/// An initiator port's way to the disk.
pub(crate) struct Nexus {
    device: Box<dyn Device>,
    verbs: Box<dyn Reservations>,
}

impl Nexus {
    /// The nexus that this initiator's arbiter had.
    pub(crate) fn of_the_dead(disk: &str, initiator: &str) -> io::Result<Self> {
        Self::open(disk, initiator, Purpose::Arbitrate)
    }

    /// A nexus of its own, that nobody knows.
    pub(crate) fn of_a_stranger(disk: &str, initiator: &str) -> io::Result<Self> {
        Self::open(disk, initiator, Purpose::Verb)
    }

    fn open(disk: &str, initiator: &str, purpose: Purpose) -> io::Result<Self> {
        let options = Options {
            bound: BOUND,
            purpose,
            initiator: Some(initiator),
            ..Options::default()
        };
        let disk = scsi::disk::open(disk, &options).map_err(io::Error::other)?;
        let path = disk.paths.into_iter().next();
        let (device, verbs) = path
            .and_then(|path| Some((path.device?, path.reservations)))
            .ok_or_else(|| io::Error::other("no plain commands this way"))?;
        Ok(Self { device, verbs })
    }

    /// Writes the block; how the disk answered.
    pub(crate) fn write(&mut self, text: &str) -> io::Result<Status> {
        let mut block = [0; BLOCK_BYTES];
        let length = text.len().min(block.len());
        block[..length].copy_from_slice(&text.as_bytes()[..length]);
        let command = Command::Write {
            range: BlockRange::new(LBA, 1),
            access: Access::FUA,
        };
        self.execute(command, |device, cdb| {
            device.execute(cdb, Data::Out(&block), BOUND)
        })
    }

    /// Reads the text in the block.
    pub(crate) fn read(&mut self) -> io::Result<String> {
        let mut block = [0; BLOCK_BYTES];
        let command = Command::Read {
            range: BlockRange::new(LBA, 1),
            access: Access::FUA,
        };
        let status = self.execute(command, |device, cdb| {
            device.execute(cdb, Data::In(&mut block), BOUND)
        })?;
        if status != Status::GOOD {
            return Err(io::Error::other(format!("READ ended with {status}")));
        }
        let text = block.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    /// Who is registered, and who holds the disk.
    pub(crate) fn state(&mut self) -> io::Result<PersistentState> {
        let answer = self.verbs.perform(&Verb::ReadState, BOUND).answer;
        if let Answer::Done(Reply::State(state)) = answer {
            return Ok(state);
        }
        Err(io::Error::other(format!("READ STATE: {answer:?}")))
    }

    /// What the newest superblock of the log on the disk says. The nexus is of no use for plain commands afterwards.
    pub(crate) fn log(self) -> io::Result<Root> {
        let lun = Lun::open(self.device, BOUND)?;
        qlog::peek(&lun.reader()).map_err(io::Error::other)
    }

    fn execute(
        &mut self,
        command: Command,
        mut send: impl FnMut(&mut dyn Device, &Cdb) -> Result<Completion, DeviceError>,
    ) -> io::Result<Status> {
        let cdb = command.cdb();
        for _ in 0..ATTENTIONS_MAX {
            let completion = send(&mut *self.device, &cdb).map_err(io::Error::other)?;
            let attention = completion.sense.is_some_and(|sense| sense.key == 0x6);
            if !attention {
                return Ok(completion.status);
            }
        }
        Err(io::Error::other("unit attentions without end"))
    }
}

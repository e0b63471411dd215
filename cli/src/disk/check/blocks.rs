//! Reading and writing blocks over the nexus that is tested.

use crate::disk::session::{Met, Session};
use crate::exit::{Exit, Failure};
use scsi::device::Data;
use scsi::reservation::Verb;
use scsi::wire::cdb::{Access, BlockRange, Command};
use scsi::wire::sense::Sense;
use scsi::wire::status::Status;

/// The most that one read moves: what every adapter takes.
const TRANSFER_BYTES_MAX: usize = 64 * 1024;

/// How a read or write of blocks ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Moved {
    /// All of it.
    Done,
    /// RESERVATION CONFLICT.
    Refused,
    /// ILLEGAL REQUEST, INVALID FIELD IN CDB: nothing was moved.
    InvalidField,
    /// Something else.
    Failed(String),
}

/// Reads the beginning of the disk, as much of `bytes` as it has.
pub(super) fn read_head(
    session: &mut Session,
    bytes: usize,
    met: &mut Vec<Met>,
) -> Result<Vec<u8>, Moved> {
    let block_bytes = block_bytes(session)?;
    let at_once = u64::try_from(TRANSFER_BYTES_MAX / block_bytes).unwrap_or(1);
    let end = u64::try_from(bytes.div_ceil(block_bytes)).unwrap_or(u64::MAX);
    let end = end.min(session.disk.identity.block_count.unwrap_or(0));
    let mut head = Vec::new();
    let mut lba = 0;
    while lba < end {
        let blocks = u32::try_from((end - lba).min(at_once)).unwrap_or(1);
        head.append(&mut read(session, 0, lba, blocks, met)?);
        lba += u64::from(blocks);
    }
    Ok(head)
}

/// Reads whole blocks.
pub(super) fn read(
    session: &mut Session,
    path: usize,
    lba: u64,
    blocks: u32,
    met: &mut Vec<Met>,
) -> Result<Vec<u8>, Moved> {
    drain(session, path, met);
    let block_bytes = block_bytes(session)?;
    let wanted = usize::try_from(blocks)
        .ok()
        .and_then(|blocks| blocks.checked_mul(block_bytes))
        .filter(|bytes| *bytes <= TRANSFER_BYTES_MAX)
        .ok_or_else(|| Moved::Failed("more than one read moves".to_owned()))?;
    let mut buffer = vec![0; wanted];
    let command = Command::Read {
        range: BlockRange::new(lba, blocks),
        access: Access::default(),
    };
    let moved = execute(session, path, &command, Data::In(&mut buffer), wanted);
    match moved {
        Moved::Done => Ok(buffer),
        Moved::Refused | Moved::InvalidField | Moved::Failed(_) => Err(moved),
    }
}

/// Writes whole blocks, onto the medium.
pub(super) fn write(
    session: &mut Session,
    path: usize,
    lba: u64,
    bytes: &[u8],
    met: &mut Vec<Met>,
) -> Moved {
    drain(session, path, met);
    let block_bytes = match block_bytes(session) {
        Ok(block_bytes) => block_bytes,
        Err(moved) => return moved,
    };
    let Ok(blocks) = u32::try_from(bytes.len() / block_bytes) else {
        return Moved::Failed("more than one write moves".to_owned());
    };
    let range = BlockRange::new(lba, blocks);
    let access = Access::FUA;
    let durable = Command::Write { range, access };
    let moved = execute(session, path, &durable, Data::Out(bytes), bytes.len());
    if moved != Moved::InvalidField {
        return moved;
    }
    // It has no FUA (DPOFUA is 0), and has written nothing.
    let access = Access::default();
    let plain = Command::Write { range, access };
    match execute(session, path, &plain, Data::Out(bytes), bytes.len()) {
        Moved::Done => {
            let immediate = false;
            let flush = Command::SynchronizeCache { range, immediate };
            execute(session, path, &flush, Data::None, 0)
        }
        other @ (Moved::Refused | Moved::InvalidField | Moved::Failed(_)) => other,
    }
}

fn block_bytes(session: &Session) -> Result<usize, Moved> {
    let told = session.disk.identity.block_bytes;
    told.and_then(|bytes| usize::try_from(bytes).ok())
        .filter(|bytes| *bytes > 0 && *bytes <= TRANSFER_BYTES_MAX)
        .ok_or_else(|| Moved::Failed("the size of a block is not known".to_owned()))
}

fn execute(
    session: &mut Session,
    path: usize,
    command: &Command,
    data: Data<'_>,
    wanted: usize,
) -> Moved {
    let bound = session.bound();
    let Some(device) = &mut session.disk.paths[path].device else {
        return Moved::Failed("this way to the disk moves no blocks".to_owned());
    };
    match device.execute(&command.cdb(), data, bound) {
        Ok(done) if done.status == Status::RESERVATION_CONFLICT => Moved::Refused,
        Ok(done) if done.status == Status::GOOD && done.transferred == wanted => Moved::Done,
        Ok(done) if done.sense.as_ref().is_some_and(Sense::is_invalid_field) => Moved::InvalidField,
        Ok(done) => {
            let sense = done
                .sense
                .map_or_else(String::new, |sense| format!(", {sense}"));
            Moved::Failed(format!(
                "{} ended with {}{sense}, {} of {wanted} bytes",
                command.name(),
                done.status,
                done.transferred
            ))
        }
        Err(error) => Moved::Failed(error.to_string()),
    }
}

/// A pending attention would answer in the command's place: it is drained, and noted.
fn drain(session: &mut Session, path: usize, met: &mut Vec<Met>) {
    let exchange = session.perform(path, &Verb::TestUnitReady);
    session.note(path, &exchange, met);
}

impl Moved {
    /// What happened, for a point's reason.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Done => "it was done".to_owned(),
            Self::Refused => "it was refused with a reservation conflict".to_owned(),
            Self::InvalidField => "it was refused with an invalid field".to_owned(),
            Self::Failed(why) => why.clone(),
        }
    }

    /// The failure that it is where nothing else can be said of the disk.
    pub(super) fn failure(&self, disk: &str) -> Failure {
        let exit = match self {
            Self::Refused => Exit::Conflict,
            Self::Done | Self::InvalidField | Self::Failed(_) => Exit::Medium,
        };
        Failure::new(
            exit,
            format!("the blocks of {disk} cannot be read: {}", self.words()),
            format!("qctl disk show {disk}   (what is true now)"),
        )
    }
}

//! The size of a disk that no kernel tells (`iscsi://`): by READ CAPACITY, where it may be asked.
//!
//! Under another nexus's SPC-2 reservation it is refused; then the size stays unknown, which is no error.

use super::session::Session;
use scsi::device::{Data, Device};
use scsi::wire::capacity::{ALLOCATION_LENGTH_16, Capacity10, Capacity16};
use scsi::wire::cdb::Command;
use scsi::wire::status::Status;
use std::time::Duration;

/// An attention that came up since the last command takes the place of the answer once.
const ATTEMPTS: usize = 2;

/// Asks for the size if it is not known, over the first path that tells it.
pub(crate) fn complete(session: &mut Session) {
    let bound = session.bound();
    let identity = &mut session.disk.identity;
    if identity.block_count.is_some() {
        return;
    }
    let devices = session.disk.paths.iter_mut();
    let size = devices
        .filter_map(|path| path.device.as_mut())
        .find_map(|device| size(device, bound));
    if let Some((count, bytes)) = size {
        identity.block_count = Some(count);
        identity.block_bytes = Some(bytes);
    }
}

/// Number and size of the blocks.
fn size(device: &mut Box<dyn Device>, bound: Duration) -> Option<(u64, u32)> {
    let short = ask(device, Command::ReadCapacity10, Capacity10::LENGTH, bound)?;
    let short = Capacity10::parse(&short).ok()?;
    if let Some(blocks) = short.blocks {
        return Some((blocks, short.block_bytes));
    }
    let command = Command::ReadCapacity16 {
        allocation_length: ALLOCATION_LENGTH_16,
    };
    let long = ask(device, command, ALLOCATION_LENGTH_16 as usize, bound)?;
    let long = Capacity16::parse(&long).ok()?;
    Some((long.blocks, long.block_bytes))
}

fn ask(
    device: &mut Box<dyn Device>,
    command: Command,
    room: usize,
    bound: Duration,
) -> Option<Vec<u8>> {
    let cdb = command.cdb();
    (0..ATTEMPTS).find_map(|_| {
        let mut data = vec![0; room];
        let done = device.execute(&cdb, Data::In(&mut data), bound).ok()?;
        data.truncate(done.transferred);
        (done.status == Status::GOOD).then_some(data)
    })
}

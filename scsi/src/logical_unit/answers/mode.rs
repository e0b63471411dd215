//! MODE SENSE(6) and (10): the caching and the control page (SPC-4 6.13, 6.14, 7.5.8; SBC-3, Caching mode page). Nothing can be changed.

use crate::logical_unit::behaviour::Difference;
use crate::logical_unit::config::{BLOCK_BYTES, Config};
use crate::logical_unit::refused::Refused;
use crate::wire::cdb::ModePages;

/// DEVICE-SPECIFIC PARAMETER of a disk: DPO and FUA are understood.
const DPOFUA: u8 = 0x10;

const CACHING: u8 = 0x08;
const CONTROL: u8 = 0x0a;
const ALL: u8 = 0x3f;

/// The whole answer to MODE SENSE(6).
pub(in crate::logical_unit) fn data_6(
    config: &Config,
    pages: ModePages,
) -> Result<Vec<u8>, Refused> {
    let body = body(config, pages)?;
    let block = if pages.disable_block_descriptors {
        Vec::new()
    } else {
        short_block_descriptor(config)
    };
    let length = u8::try_from(3 + block.len() + body.len()).unwrap_or(u8::MAX);
    let block_length = u8::try_from(block.len()).unwrap_or(0);
    Ok([&[length, 0, DPOFUA, block_length], &block[..], &body].concat())
}

/// The whole answer to MODE SENSE(10).
pub(in crate::logical_unit) fn data_10(
    config: &Config,
    pages: ModePages,
    long_lba_accepted: bool,
) -> Result<Vec<u8>, Refused> {
    let body = body(config, pages)?;
    let block = if pages.disable_block_descriptors {
        Vec::new()
    } else if long_lba_accepted {
        long_block_descriptor(config)
    } else {
        short_block_descriptor(config)
    };
    let length = u16::try_from(6 + block.len() + body.len())
        .unwrap_or(u16::MAX)
        .to_be_bytes();
    let block_length = u16::try_from(block.len()).unwrap_or(0).to_be_bytes();
    let long = u8::from(block.len() == 16);
    let header = [
        length[0],
        length[1],
        0,
        DPOFUA,
        long,
        0,
        block_length[0],
        block_length[1],
    ];
    Ok([&header, &block[..], &body].concat())
}

fn body(config: &Config, pages: ModePages) -> Result<Vec<u8>, Refused> {
    let changeable = match pages.control {
        0 | 2 => false,
        1 => true,
        _ => return Err(Refused::NO_SAVED_PAGES),
    };
    if pages.subpage != 0 && !(pages.page == ALL && pages.subpage == 0xff) {
        return Err(Refused::CDB_FIELD);
    }
    match pages.page {
        CACHING => Ok(caching(changeable)),
        CONTROL => Ok(control(config, changeable)),
        ALL => Ok([caching(changeable), control(config, changeable)].concat()),
        _ => Err(Refused::CDB_FIELD),
    }
}

/// WCE: a write without FUA may sit in a cache.
fn caching(changeable: bool) -> Vec<u8> {
    let mut page = vec![0; 20];
    page[0] = CACHING;
    page[1] = 18;
    if !changeable {
        page[2] = 0x04;
    }
    page
}

/// One task set for all nexuses (TST 000b); fixed sense; TAS where aborted commands end with a status.
fn control(config: &Config, changeable: bool) -> Vec<u8> {
    let mut page = vec![0; 12];
    page[0] = CONTROL;
    page[1] = 10;
    if !changeable {
        // QUEUE ALGORITHM MODIFIER 1: commands may be run in any order.
        page[3] = 0x10;
        if config.behaviour.has(Difference::AbortedEndWithStatus) {
            page[5] = 0x40;
        }
        page[8..10].copy_from_slice(&[0xff, 0xff]); // BUSY TIMEOUT PERIOD: unlimited
    }
    page
}

fn short_block_descriptor(config: &Config) -> Vec<u8> {
    let blocks = u32::try_from(config.blocks).unwrap_or(u32::MAX);
    [blocks.to_be_bytes(), BLOCK_BYTES.to_be_bytes()].concat()
}

fn long_block_descriptor(config: &Config) -> Vec<u8> {
    let mut descriptor = vec![0; 16];
    descriptor[..8].copy_from_slice(&config.blocks.to_be_bytes());
    descriptor[12..].copy_from_slice(&BLOCK_BYTES.to_be_bytes());
    descriptor
}

//! INQUIRY: the standard data and the vital product data pages 00h, 80h, 83h, B0h and B1h
//! (SPC-4 6.6 and 7.8, SBC-3, Block Limits VPD page).

use crate::logical_unit::config::{
    BLOCK_BYTES, COMPARE_BLOCKS_MAX, Config, SERIAL_MAX, TRANSFER_BLOCKS_MAX,
};
use crate::logical_unit::nexus::Nexus;
use crate::logical_unit::refused::Refused;

/// T10 VENDOR IDENTIFICATION; eight bytes, padded with spaces.
pub const VENDOR: &[u8; 8] = b"QCTL    ";
/// PRODUCT IDENTIFICATION; sixteen bytes, padded with spaces.
pub const PRODUCT: &[u8; 16] = b"EMULATED DISK   ";
/// PRODUCT REVISION LEVEL.
pub const REVISION: &[u8; 4] = b"0001";

/// The pages, in ascending order.
const PAGES: [u8; 5] = [0x00, 0x80, 0x83, 0xb0, 0xb1];

/// The answer, whole.
pub(in crate::logical_unit) fn data(
    config: &Config,
    nexus: &Nexus,
    page: Option<u8>,
) -> Result<Vec<u8>, Refused> {
    match page {
        None => Ok(standard()),
        Some(0x00) => Ok(with_header(0x00, &PAGES)),
        Some(0x80) => Ok(with_header(0x80, serial(config))),
        Some(0x83) => Ok(with_header(0x83, &identification(config, nexus))),
        Some(0xb0) => Ok(with_header(0xb0, &block_limits())),
        // Not a rotating medium; form factor not reported.
        Some(0xb1) => Ok(with_header(0xb1, &{
            let mut page = [0; 60];
            page[1] = 1;
            page
        })),
        Some(_) => Err(Refused::CDB_FIELD),
    }
}

/// A direct access device, connected, that follows SPC-4 and queues commands.
fn standard() -> Vec<u8> {
    let mut data = vec![0; 74];
    data[2] = 0x06; // VERSION: SPC-4
    data[3] = 0x02; // RESPONSE DATA FORMAT
    data[4] = 69; // ADDITIONAL LENGTH
    data[7] = 0x02; // CMDQUE
    data[8..16].copy_from_slice(VENDOR);
    data[16..32].copy_from_slice(PRODUCT);
    data[32..36].copy_from_slice(REVISION);
    // SAM-5, SPC-4, SBC-3, iSCSI: no version claimed.
    for (at, standard) in [0x00a0_u16, 0x0460, 0x04c0, 0x0960].into_iter().enumerate() {
        data[58 + 2 * at..60 + 2 * at].copy_from_slice(&standard.to_be_bytes());
    }
    data
}

fn serial(config: &Config) -> &[u8] {
    let serial = config.serial.as_bytes();
    &serial[..serial.len().min(SERIAL_MAX)]
}

/// Designators: T10 and NAA of the unit, and the relative number of the port that the command came through.
/// NAA comes last because Linux takes the last of those two as the unit's name, and that is ours, too.
fn identification(config: &Config, nexus: &Nexus) -> Vec<u8> {
    let t10 = [VENDOR.as_slice(), serial(config)].concat();
    let mut page = vec![0x02, 0x01, 0, u8::try_from(t10.len()).unwrap_or(0)];
    page.extend(t10);
    page.extend([0x01, 0x03, 0, 8]);
    page.extend(config.naa().to_be_bytes());
    page.extend([0x01, 0x14, 0, 4, 0, 0]);
    page.extend(nexus.target_port.to_be_bytes());
    page
}

/// What a transfer may be.
fn block_limits() -> [u8; 60] {
    let mut page = [0; 60];
    page[1] = COMPARE_BLOCKS_MAX;
    page[4..8].copy_from_slice(&TRANSFER_BLOCKS_MAX.to_be_bytes());
    // OPTIMAL TRANSFER LENGTH: 64 KiB.
    page[8..12].copy_from_slice(&(64 * 1024 / BLOCK_BYTES).to_be_bytes());
    page
}

/// A page behind its header.
fn with_header(page: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[0, page, length[0], length[1]], body].concat()
}

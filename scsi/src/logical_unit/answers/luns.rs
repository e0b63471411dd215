//! REPORT LUNS (SPC-4 6.33): this unit is logical unit 0, and there is no other.

use crate::logical_unit::refused::Refused;

pub(in crate::logical_unit) fn data(select_report: u8) -> Result<Vec<u8>, Refused> {
    match select_report {
        // 00h: addressed as usual; 02h: all.
        0x00 | 0x02 => Ok(vec![0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        // Well-known logical units, of which there are none.
        0x01 => Ok(vec![0; 8]),
        _ => Err(Refused::CDB_FIELD),
    }
}

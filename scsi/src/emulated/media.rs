//! The blocks of the unit: a region of its file. What was never written reads as zeros, and takes no room.

use crate::logical_unit::{BLOCK_BYTES, Media, MediaError};
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;

/// Blocks from `offset` on.
pub(super) struct FileMedia<'a> {
    pub(super) file: &'a File,
    pub(super) offset: u64,
}

impl FileMedia<'_> {
    fn at(&self, lba: u64) -> Result<u64, MediaError> {
        lba.checked_mul(u64::from(BLOCK_BYTES))
            .and_then(|bytes| bytes.checked_add(self.offset))
            .ok_or(MediaError)
    }
}

impl Media for FileMedia<'_> {
    fn read(&mut self, lba: u64, into: &mut [u8]) -> Result<(), MediaError> {
        let mut at = self.at(lba)?;
        let mut left = into;
        while !left.is_empty() {
            match self.file.read_at(left, at) {
                // Behind the end of the file nothing was written yet.
                Ok(0) => {
                    left.fill(0);
                    break;
                }
                Ok(read) => {
                    at += u64::try_from(read).map_err(|_| MediaError)?;
                    left = &mut left[read..];
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(MediaError),
            }
        }
        Ok(())
    }

    fn write(&mut self, lba: u64, data: &[u8], through: bool) -> Result<(), MediaError> {
        self.file
            .write_all_at(data, self.at(lba)?)
            .map_err(|_| MediaError)?;
        if through { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<(), MediaError> {
        self.file.sync_data().map_err(|_| MediaError)
    }
}

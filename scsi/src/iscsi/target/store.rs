//! The file: blocks in `FILE`, the state that survives a power loss in `FILE.aptpl`.
//!
//! Crash argument: a new state is written to `FILE.aptpl.new` and synchronised, then renamed over the old one,
//! then the directory is synchronised. Killed before the rename, the old state stands; after it, the new one
//! does; and a command is answered only after all three.

use super::backend::Store;
use crate::logical_unit::{
    BLOCK_BYTES, Config, IMAGE_BYTES_MAX, ImageError, LogicalUnit, Media, MediaError,
};
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Why a file cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system says so.
    #[error("{path}: {why}")]
    Io {
        /// Which file.
        path: String,
        /// The system's words.
        why: io::Error,
    },
    /// Another process serves it.
    #[error("{path}: another process serves it")]
    InUse {
        /// Which file.
        path: String,
    },
    /// It has another size.
    #[error("{path} has {is} bytes, not {asked}; leave --size out, or name another file")]
    Size {
        /// Which file.
        path: String,
        /// Its size.
        is: u64,
        /// What was asked for.
        asked: u64,
    },
    /// Neither is it there nor was a size given, or the size is none.
    #[error("{path}: a size is wanted, a multiple of {BLOCK_BYTES} bytes")]
    NoSize {
        /// Which file.
        path: String,
    },
    /// The state beside it is damaged.
    #[error("{path}: {why}; restore it, or remove it: then all registrations are gone")]
    State {
        /// Which file.
        path: String,
        /// What is wrong.
        why: ImageError,
    },
    /// The state beside it belongs to a unit that was made otherwise.
    #[error(
        "{path} was kept by a unit of another size, behaviour or serial number; remove it: then all registrations are gone"
    )]
    OtherUnit {
        /// Which file.
        path: String,
    },
}

/// A file that is served.
#[derive(Debug)]
pub struct FileStore {
    file: File,
    state: PathBuf,
}

impl FileStore {
    /// Opens the file for this process alone; makes it when it is not there, sparse, if a size is given.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(path: &Path, size: Option<u64>) -> Result<Self, StoreError> {
        let io = |why| io_error(path, why);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(size.is_some())
            .truncate(false)
            .open(path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse {
                    path: path.display().to_string(),
                });
            }
            Err(TryLockError::Error(why)) => return Err(io(why)),
        }
        let is = file.metadata().map_err(io)?.len();
        match (is, size) {
            (0, Some(asked)) if is_size(asked) => file.set_len(asked).map_err(io)?,
            (is, Some(asked)) if is != 0 && is != asked => {
                return Err(StoreError::Size {
                    path: path.display().to_string(),
                    is,
                    asked,
                });
            }
            (is, _) if is_size(is) => {}
            _ => {
                return Err(StoreError::NoSize {
                    path: path.display().to_string(),
                });
            }
        }
        let mut state = OsString::from(path);
        state.push(".aptpl");
        Ok(Self {
            file,
            state: state.into(),
        })
    }

    /// How many blocks it has.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn blocks(&self) -> Result<u64, StoreError> {
        let metadata = self.file.metadata();
        let bytes = metadata.map_err(|why| io_error(&self.state, why))?.len();
        Ok(bytes / u64::from(BLOCK_BYTES))
    }

    /// The unit that is kept beside it, or a new one.
    ///
    /// # Errors
    /// [`StoreError`] for a state that is damaged, or another unit's.
    pub fn unit(&self, config: Config) -> Result<LogicalUnit, StoreError> {
        let io = |why| io_error(&self.state, why);
        let file = match File::open(&self.state) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(LogicalUnit::new(config));
            }
            Err(error) => return Err(io(error)),
        };
        let mut image = Vec::new();
        file.take(IMAGE_BYTES_MAX as u64 * 2)
            .read_to_end(&mut image)
            .map_err(io)?;
        let unit = LogicalUnit::from_image(&image).map_err(|why| StoreError::State {
            path: self.state.display().to_string(),
            why,
        })?;
        if *unit.config() == config {
            Ok(unit)
        } else {
            Err(StoreError::OtherUnit {
                path: self.state.display().to_string(),
            })
        }
    }

    fn replace_state(&self, image: &[u8]) -> io::Result<()> {
        let mut new = self.state.clone().into_os_string();
        new.push(".new");
        let mut file = File::create(&new)?;
        file.write_all(image)?;
        file.sync_all()?;
        std::fs::rename(&new, &self.state)?;
        let directory = match self.state.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            Some(_) | None => Path::new("."),
        };
        File::open(directory)?.sync_all()
    }
}

const fn is_size(bytes: u64) -> bool {
    bytes > 0 && bytes.is_multiple_of(BLOCK_BYTES as u64)
}

fn io_error(path: &Path, why: io::Error) -> StoreError {
    StoreError::Io {
        path: path.display().to_string(),
        why,
    }
}

impl Store for FileStore {
    fn keep(&mut self, image: &[u8]) -> Result<(), MediaError> {
        self.replace_state(image).map_err(|_| MediaError)
    }
}

impl Media for FileStore {
    fn read(&mut self, lba: u64, into: &mut [u8]) -> Result<(), MediaError> {
        self.file
            .read_exact_at(into, lba * u64::from(BLOCK_BYTES))
            .map_err(|_| MediaError)
    }

    fn write(&mut self, lba: u64, data: &[u8], through: bool) -> Result<(), MediaError> {
        self.file
            .write_all_at(data, lba * u64::from(BLOCK_BYTES))
            .map_err(|_| MediaError)?;
        if through { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<(), MediaError> {
        self.file.sync_data().map_err(|_| MediaError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> PathBuf {
        let place = std::env::temp_dir().join(format!("qctl-store-{}-{name}", std::process::id()));
        drop(std::fs::remove_file(&place));
        place
    }

    #[test]
    fn a_file_is_made_with_its_size_and_served_by_one_process() {
        let path = place("made");
        assert!(matches!(
            FileStore::open(&path, None),
            Err(StoreError::Io { .. })
        ));
        for wrong in [0, 511, 513] {
            let refused = FileStore::open(&path, Some(wrong));
            assert!(matches!(refused, Err(StoreError::NoSize { .. })), "{wrong}");
        }
        let store = FileStore::open(&path, Some(4096)).unwrap();
        assert_eq!(store.blocks().unwrap(), 8);
        assert!(matches!(
            FileStore::open(&path, None),
            Err(StoreError::InUse { .. })
        ));
        drop(store);
        assert!(matches!(
            FileStore::open(&path, Some(8192)),
            Err(StoreError::Size { is: 4096, .. })
        ));
        assert_eq!(FileStore::open(&path, None).unwrap().blocks().unwrap(), 8);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn blocks_are_read_as_they_were_written_and_beyond_the_end_is_an_error() {
        let path = place("blocks");
        let mut store = FileStore::open(&path, Some(4096)).unwrap();
        store.write(7, &[7; 512], true).unwrap();
        let mut block = [0; 512];
        store.read(7, &mut block).unwrap();
        assert_eq!(block, [7; 512]);
        assert_eq!(store.read(8, &mut block), Err(MediaError));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_damaged_or_foreign_state_is_refused() {
        let path = place("state");
        let mut store = FileStore::open(&path, Some(4096)).unwrap();
        let config = Config {
            blocks: 8,
            ..Config::default()
        };
        let unit = LogicalUnit::new(config.clone());
        assert_eq!(store.unit(config.clone()).unwrap(), unit);
        store.keep(&unit.to_image()).unwrap();
        assert_eq!(store.unit(config.clone()).unwrap(), unit);
        let other = Config {
            blocks: 9,
            ..config.clone()
        };
        assert!(matches!(
            store.unit(other),
            Err(StoreError::OtherUnit { .. })
        ));
        let image = unit.to_image();
        store.keep(&image[..image.len() / 2]).unwrap();
        assert!(matches!(store.unit(config), Err(StoreError::State { .. })));
        std::fs::remove_file(&store.state).unwrap();
        std::fs::remove_file(path).unwrap();
    }
}

//! A region that is a file or a block device, past the page cache where the file system allows it.
//!
//! What is fastest differs: on ext4 one write with O_DSYNC, on a raw device without FUA a write and an fdatasync, on
//! a file system in user space the page cache and an fdatasync. So the way is measured, not assumed.
//!
//! A handle for writing locks the file against another writer of this host. Between hosts nothing here helps: that is
//! the reservation's task.

use super::Storage;
use crate::buffer::Aligned;
use nix::fcntl::{Flock, FlockArg, OFlag, PosixFadviseAdvice, posix_fadvise};
use nix::sys::stat::SFlag;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Writes of each way that a measurement takes: every open for writing pays for them.
const PROBES: usize = 5;
/// A way that is within this of the fastest and more robust is preferred to it, in percent.
const CLOSE_PERCENT: u32 = 110;

/// A way to make a write durable.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Method {
    /// One write past the page cache, which the kernel makes durable (O_DIRECT, O_DSYNC).
    DirectSync,
    /// A write past the page cache, then fdatasync.
    DirectFlush,
    /// A write through the page cache, then fdatasync.
    Buffered,
}

impl Method {
    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DirectSync => "O_DIRECT|O_DSYNC",
            Self::DirectFlush => "O_DIRECT + fdatasync",
            Self::Buffered => "buffered + fdatasync",
        }
    }
}

/// What the ways took, as medians.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probed {
    /// The way that is used.
    pub method: Method,
    /// The ways that work, and how long each took.
    pub times: Vec<(Method, Duration)>,
}

/// A file or a block device.
#[derive(Debug)]
pub struct FileStorage {
    path: PathBuf,
    len: u64,
    block_bytes: u32,
    /// Reads, and writes that are flushed later; past the page cache if `is_direct`.
    file: Lock,
    is_direct: bool,
    /// Opened again for writes that are durable in one call.
    synced: Option<File>,
    probed: OnceLock<Probed>,
}

#[derive(Debug)]
enum Lock {
    Reader(File),
    Writer(Flock<File>),
}

impl FileStorage {
    /// Makes a file of this length, which must not be there, and opens it for writing.
    ///
    /// # Errors
    /// The operating system's.
    pub fn create(path: &Path, len: u64) -> io::Result<Self> {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?
            .set_len(len)?;
        let new = Self::open_for_writing(path)?;
        // The name itself is durable too.
        if let Some(parent) = path.parent() {
            let parent = if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            };
            File::open(parent)?.sync_all()?;
        }
        Ok(new)
    }

    /// Opens for reading; disturbs nobody.
    ///
    /// # Errors
    /// The operating system's.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::open_as(path, false)
    }

    /// Opens for reading and writing, and keeps other writers of this host out.
    ///
    /// # Errors
    /// The operating system's; `WouldBlock` when another process writes it.
    pub fn open_for_writing(path: &Path) -> io::Result<Self> {
        Self::open_as(path, true)
    }

    fn open_as(path: &Path, write: bool) -> io::Result<Self> {
        let open = |flags: OFlag| {
            let flags = flags | OFlag::O_CLOEXEC;
            OpenOptions::new()
                .read(true)
                .write(write)
                .custom_flags(flags.bits())
                .open(path)
        };
        let (file, is_direct) = match open(OFlag::O_DIRECT) {
            Ok(file) => (file, true),
            // A file system without direct I/O says EINVAL.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                (open(OFlag::empty())?, false)
            }
            Err(error) => return Err(error),
        };
        let synced = (write && is_direct)
            .then(|| open(OFlag::O_DIRECT | OFlag::O_DSYNC))
            .transpose()?;
        let (len, block_bytes) = measures(&file)?;
        let file = if write {
            let locked = Flock::lock(file, FlockArg::LockExclusiveNonblock);
            Lock::Writer(locked.map_err(|(_file, error)| io::Error::from(error))?)
        } else {
            Lock::Reader(file)
        };
        let probed = OnceLock::new();
        Ok(Self {
            path: path.to_owned(),
            len,
            block_bytes,
            file,
            is_direct,
            synced,
            probed,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How writes are made durable; `None` before a writer has begun.
    #[must_use]
    pub fn probed(&self) -> Option<&Probed> {
        self.probed.get()
    }

    /// Uses this way without measuring.
    ///
    /// # Errors
    /// The file system does not know direct I/O.
    pub fn force_method(&self, method: Method) -> io::Result<()> {
        if method != Method::Buffered && !self.is_direct {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let _first_one_stays = self.probed.set(Probed {
            method,
            times: Vec::new(),
        });
        Ok(())
    }

    fn file(&self) -> &File {
        match &self.file {
            Lock::Reader(file) => file,
            Lock::Writer(file) => file,
        }
    }

    fn write_by(&self, method: Method, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match (method, &self.synced) {
            (Method::DirectSync, Some(synced)) => whole(synced.write_at(bytes, offset)?, bytes),
            _ => {
                whole(self.file().write_at(bytes, offset)?, bytes)?;
                self.file().sync_data()
            }
        }
    }

    fn median(&self, method: Method, scratch: u64, bytes: &[u8]) -> io::Result<Duration> {
        let mut times = [Duration::ZERO; PROBES];
        for time in &mut times {
            let begun = Instant::now();
            self.write_by(method, scratch, bytes)?;
            *time = begun.elapsed();
        }
        times.sort_unstable();
        Ok(times[PROBES / 2])
    }
}

/// A short write is not continued: what of it reached the medium nobody knows.
fn whole(written: usize, bytes: &[u8]) -> io::Result<()> {
    if written == bytes.len() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::WriteZero,
        format!("{written} of {} bytes were written", bytes.len()),
    ))
}

/// Length and block size: what the device says, never below 4096, since a device behind a virtual machine or a SAN
/// says 512 and tears 4096.
fn measures(mut file: &File) -> io::Result<(u64, u32)> {
    let metadata = file.metadata()?;
    let kind = SFlag::from_bits_truncate(metadata.mode() & SFlag::S_IFMT.bits());
    if kind == SFlag::S_IFBLK {
        let len = file.seek(SeekFrom::End(0))?;
        let block = block_device::block_bytes(file)?;
        return Ok((len, block.max(4096)));
    }
    if kind != SFlag::S_IFREG {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "neither a file nor a block device",
        ));
    }
    Ok((metadata.len(), 4096))
}

mod block_device {
    #![expect(unsafe_code, reason = "ioctls that tell a block device's sizes")]

    use std::fs::File;
    use std::io;
    use std::os::fd::AsRawFd;

    nix::ioctl_read_bad!(logical, libc::BLKSSZGET, libc::c_int);
    nix::ioctl_read_bad!(physical, libc::BLKPBSZGET, libc::c_uint);

    /// The larger of the logical and the physical block size.
    pub(super) fn block_bytes(file: &File) -> io::Result<u32> {
        let (mut small, mut large) = (0, 0);
        // SAFETY: BLKSSZGET writes one int to the address, which is that of an int.
        unsafe { logical(file.as_raw_fd(), &raw mut small) }?;
        // SAFETY: BLKPBSZGET writes one unsigned int to the address, which is that of one.
        unsafe { physical(file.as_raw_fd(), &raw mut large) }?;
        Ok(large.max(u32::try_from(small).unwrap_or(4096)))
    }
}

impl Storage for FileStorage {
    fn region_bytes(&self) -> u64 {
        self.len
    }

    fn block_bytes(&self) -> u32 {
        self.block_bytes
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if !self.is_direct {
            // Another node may have written since: what the cache has is not what the medium has.
            let range = (i64::try_from(offset), i64::try_from(buffer.len()));
            if let (Ok(offset), Ok(length)) = range {
                let advice = PosixFadviseAdvice::POSIX_FADV_DONTNEED;
                posix_fadvise(self.file(), offset, length, advice)?;
            }
        }
        self.file().read_exact_at(buffer, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        whole(self.file().write_at(bytes, offset)?, bytes)
    }

    fn flush(&self) -> io::Result<()> {
        self.file().sync_data()
    }

    fn write_durable(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let method = self
            .probed
            .get()
            .map_or(Method::Buffered, |probed| probed.method);
        self.write_by(method, offset, bytes)
    }

    fn tune(&self, scratch: u64) -> io::Result<()> {
        if self.probed.get().is_some() {
            return Ok(());
        }
        let bytes = Aligned::zeroed(self.block_bytes as usize);
        let mut times = Vec::new();
        let ways: &[Method] = if self.is_direct {
            &[Method::DirectSync, Method::DirectFlush]
        } else {
            &[Method::Buffered]
        };
        for method in ways {
            times.push((*method, self.median(*method, scratch, &bytes)?));
        }
        let fastest = times
            .iter()
            .map(|(_, time)| *time)
            .min()
            .unwrap_or_default();
        let close = |time: Duration| time * 100 <= fastest * CLOSE_PERCENT;
        let method = times
            .iter()
            .find(|(_, time)| close(*time))
            .map_or(Method::Buffered, |(method, _)| *method);
        let _first_one_stays = self.probed.set(Probed { method, times });
        Ok(())
    }
}

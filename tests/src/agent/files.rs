//! Block devices, files and kernel modules.
//!
//! A block device is read and written past the page cache: what a case sees is what the medium has and what the
//! device answers, not what the cache kept.

use ::tests::protocol::{Answer, IO_BYTES_MAX, runs_of};
use nix::fcntl::OFlag;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, OpenOptionsExt as _};

/// What O_DIRECT wants of a buffer's address on every device of the lab.
const ALIGNMENT: usize = 4096;

pub(crate) fn read(path: &str, offset: u64, length: u32) -> Answer {
    answer(
        path,
        "read",
        |file, buffer| {
            file.read_exact_at(buffer, offset)?;
            Ok(Answer::Bytes {
                runs: runs_of(buffer),
            })
        },
        false,
        length,
    )
}

pub(crate) fn write(path: &str, offset: u64, byte: u8, length: u32) -> Answer {
    answer(
        path,
        "write",
        |file, buffer| {
            buffer.fill(byte);
            file.write_all_at(buffer, offset)?;
            file.sync_data()?;
            Ok(Answer::Done)
        },
        true,
        length,
    )
}

pub(crate) fn put(path: &str, text: &str) -> Answer {
    std::fs::write(path, text).map_or_else(
        |error| refused(&format!("write {path}"), &error),
        |()| Answer::Done,
    )
}

pub(crate) fn load_module(path: &str, parameters: &str) -> Answer {
    let load = || -> io::Result<()> {
        let file = File::open(path)?;
        let parameters = std::ffi::CString::new(parameters)?;
        match nix::kmod::finit_module(&file, &parameters, nix::kmod::ModuleInitFlags::empty()) {
            // Two groups of modules may overlap.
            Ok(()) | Err(nix::errno::Errno::EEXIST) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    };
    load().map_or_else(
        |error| refused(&format!("load {path}"), &error),
        |()| Answer::Done,
    )
}

fn answer(
    path: &str,
    verb: &str,
    transfer: impl FnOnce(&File, &mut [u8]) -> io::Result<Answer>,
    for_writing: bool,
    length: u32,
) -> Answer {
    if length == 0 || length > IO_BYTES_MAX {
        return Answer::Misunderstood {
            why: format!("a length of {length} bytes"),
        };
    }
    let work = || -> io::Result<Answer> {
        let is_block = std::fs::metadata(path)?.file_type().is_block_device();
        let mut options = OpenOptions::new();
        options.read(true).write(for_writing);
        if is_block {
            options.custom_flags(OFlag::O_DIRECT.bits());
        }
        let file = options.open(path)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        // A vector with room to begin at an aligned address inside it: no unsafe allocation.
        let mut room = vec![0_u8; length + ALIGNMENT];
        let start = room.as_ptr().align_offset(ALIGNMENT);
        transfer(&file, &mut room[start..start + length])
    };
    work().unwrap_or_else(|error| refused(&format!("{verb} {path}"), &error))
}

fn refused(what: &str, error: &io::Error) -> Answer {
    let name = error.raw_os_error().map_or_else(
        || error.kind().to_string(),
        |number| format!("{:?}", nix::errno::Errno::from_raw(number)),
    );
    Answer::Errno {
        name,
        what: format!("{what}: {error}"),
    }
}

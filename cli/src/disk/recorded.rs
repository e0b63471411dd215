//! What a raw quorum log on the disk records in its superblocks: whose disk it is, and the times in force.
//!
//! Reads a few blocks by the way that everything else of the disk is asked, and writes nothing. A log in a partition or in a
//! file system on the disk is not looked for: `qctl log show` is told where that is.

use super::session::Session;
use crate::log::{destination, times, view};
use crate::output::FAINT;
use qlog::storage::FileStorage;
use qlog::{Aligned, OpenError, Root, Storage};
use quorum::lun::Lun;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::Path;

/// Is there a log on the disk itself?
#[derive(Debug)]
pub(super) enum Recorded {
    /// No.
    Nothing,
    /// Yes.
    Log(Box<Root>),
    /// That could not be found out, or what is there does not open; why.
    Unknown(String),
}

impl Recorded {
    /// Looks, over the first path. Nothing else reads blocks by this session afterwards.
    pub(super) fn look(session: &mut Session) -> Self {
        let bound = session.bound();
        let first = session.disk.paths.first_mut();
        match first.and_then(|path| path.device.take()) {
            Some(device) => match Lun::open(device, bound) {
                Ok(lun) => Self::of(&lun.reader()),
                Err(error) => Self::Unknown(error.to_string()),
            },
            // Ways that carry verbs only; the kernel reads these disks' blocks.
            None => match FileStorage::open(Path::new(&session.disk.name)) {
                Ok(storage) => Self::of(&storage),
                Err(error) => Self::Unknown(error.to_string()),
            },
        }
    }

    fn of(storage: &impl Storage) -> Self {
        // Of a disk that lets nobody read it `peek` would say that every superblock is damaged.
        let mut first = Aligned::zeroed(storage.block_bytes() as usize);
        if let Err(error) = storage.read_at(0, &mut first) {
            return Self::Unknown(error.to_string());
        }
        match qlog::peek(storage) {
            Ok(root) => Self::Log(Box::new(root)),
            Err(OpenError::NotALog) => Self::Nothing,
            Err(error) => Self::Unknown(error.to_string()),
        }
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let Self::Log(root) = self else {
            return Value::Null;
        };
        json!({
            "id": root.id.to_string(),
            "cluster": root.cluster.name,
            "epoch": root.epoch.to_string(),
            "owner": if root.epoch.0 == 0 { Value::Null } else { view::owner_json(root.owner) },
            "parked": root.parked.is_some(),
            "times": times::json(&root.cluster),
        })
    }

    /// Why it is not known, for programs.
    pub(super) fn unknown(&self) -> Option<&str> {
        match self {
            Self::Unknown(why) => Some(why),
            Self::Nothing | Self::Log(_) => None,
        }
    }

    /// For people: nothing where there is none.
    pub(super) fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        let root = match self {
            Self::Nothing => return Ok(()),
            Self::Unknown(why) => {
                return writeln!(page, "{FAINT}log         not known: {why}{FAINT:#}");
            }
            Self::Log(root) => root,
        };
        let cluster = destination::cluster(&root.cluster.name);
        let owner = if root.epoch.0 == 0 {
            "nobody has claimed it yet".to_owned()
        } else {
            format!("epoch {} of {}", root.epoch, view::owner_words(root.owner))
        };
        let parked = root.parked.map_or("", |_| "; parked");
        writeln!(page, "log         {}{cluster}; {owner}{parked}", root.id)?;
        match times::words(&root.cluster) {
            Some(words) => writeln!(page, "times       {words}"),
            None => Ok(()),
        }
    }
}

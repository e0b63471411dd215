//! A directory with a log in it, and `qctl` to run there.

use crate::folder::Folder;
use crate::shown::Shown;
use qlog::inspect::{Description, inspect};
use qlog::storage::FileStorage;
use qlog::{Claim, Fencing, Log, Lsn, Owner, open};
use std::path::{Path, PathBuf};

/// A folder of a test's own.
pub(crate) struct World {
    folder: Folder,
}

impl Shown for World {
    fn directory(&self) -> &Path {
        &self.folder.0
    }

    fn stable(&self, text: &str) -> String {
        stable(text)
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            folder: Folder::new(),
        }
    }

    /// A world with a new log `q`.
    pub(crate) fn with_log() -> Self {
        let world = Self::new();
        let made = world.output("log create q --size 1MiB --segments 8 --cluster alpha");
        assert!(made.status.success(), "{}", world.show(&made));
        world
    }

    /// Two owners: records 1 to 20 and a checkpoint up to 15, then records 21 to 30 and an object.
    pub(crate) fn with_used_log() -> Self {
        let world = Self::with_log();
        let log = world.claim(1);
        for number in 1..=20 {
            log.append_durable(format!("record {number}").as_bytes())
                .unwrap();
        }
        log.checkpoint(Lsn(15), b"the state up to 15").unwrap();
        drop(log);
        let log = world.claim(2);
        for number in 21..=30 {
            log.append_durable(format!("record {number}").as_bytes())
                .unwrap();
        }
        log.put_object("disk-1", b"an object").unwrap();
        world
    }

    /// The log `q`, claimed by this node.
    pub(crate) fn claim(&self, node: u32) -> Log<FileStorage> {
        let storage = FileStorage::open_for_writing(&self.path("q")).unwrap();
        storage
            .force_method(qlog::storage::Method::Buffered)
            .unwrap();
        let owner = Owner { node, key: 0xa7 };
        open(storage, &mut ())
            .unwrap()
            .claim(Claim::new(owner, Fencing::Unfenced))
            .unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.file(name)
    }

    /// What the log `q` is.
    pub(crate) fn description(&self) -> Description {
        let storage = FileStorage::open(&self.path("q")).unwrap();
        inspect(&storage, &mut |_, _| {}).log.unwrap()
    }

    /// Inverts bytes of the log `q`.
    pub(crate) fn damage(&self, offset: u64, count: usize) {
        let mut bytes = std::fs::read(self.path("q")).unwrap();
        let offset = usize::try_from(offset).unwrap();
        for byte in &mut bytes[offset..offset + count] {
            *byte = !*byte;
        }
        std::fs::write(self.path("q"), bytes).unwrap();
    }
}

/// The text without what differs from run to run: ids of logs, and tokens.
fn stable(text: &str) -> String {
    let is_hex = |word: &str, length: usize| {
        word.len() == length && word.chars().all(|c| c.is_ascii_hexdigit())
    };
    let mut out = String::new();
    for word in text.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || c == '-')) {
        let bare = word.trim_end_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        let is_token = bare
            .strip_prefix('l')
            .and_then(|token| token.split_once('-'))
            .is_some_and(|(_, hash)| is_hex(hash, 8));
        let by = match bare {
            bare if is_hex(bare, 32) => "ID",
            _ if is_token => "TOKEN",
            bare => bare,
        };
        out.push_str(by);
        out.push_str(&word[bare.len()..]);
    }
    out
}

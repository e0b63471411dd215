//! Key serials that were never used before, across restarts and crashes.
//!
//! ```text
//!   state_dir/serials+CLUSTER+NODE+WWID:   "next 4711 check 16772504\n"
//!   take a block:  lock ─► read ─► write NAME.new, fsync ─► rename ─► fsync directory ─► use the block
//! ```
//!
//! The file is a high-water mark: everything below was handed out to somebody, used or not. `check` is
//! the mark's complement in 24 bits.
//!
//! Invariants:
//! * a block is used only after the mark above it is durable;
//! * a mark that is missing, damaged or cannot be saved is replaced by a random one from the OS, and said;
//! * a mark below a serial of this node that is registered on the disk was restored from a backup: the
//!   next block starts above it; where no whole block fits above it, at random, once a process.

use super::names::file_name;
use super::random::random_u32;
use nix::fcntl::{Flock, FlockArg};
use quorum_core::arbitration::{ClusterTag, NodeNumber};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// A key has 24 bits for its serial.
pub(super) const SERIAL_MAX: u32 = 0x00ff_ffff;

/// One block: twice what a machine wants in reserve. 131,000 starts use each serial once.
const BLOCK: u32 = 128;

/// Something out of the ordinary about the serials.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SerialNotice {
    /// There was no mark: the first start for this disk, or the file was lost. Begun at random.
    BegunAtRandom {
        /// Where the mark is kept now.
        path: PathBuf,
        /// The first serial.
        first: u32,
    },
    /// The mark could not be read. Begun anew at random.
    Unreadable {
        /// Where.
        path: PathBuf,
        /// Why.
        why: String,
        /// The first serial.
        first: u32,
    },
    /// The mark could not be saved: serials are random, in this process only.
    NotSaved {
        /// Where.
        path: PathBuf,
        /// Why.
        why: String,
        /// The first serial.
        first: u32,
    },
    /// A key of this node with a serial not yet handed out is registered: the mark was restored from a
    /// backup, or the node's number is used twice.
    Behind {
        /// The serial that is registered.
        registered: u32,
        /// The mark that was found.
        mark: u32,
    },
    /// All serials have been used once; begun anew at random.
    WrappedAround {
        /// The first serial.
        first: u32,
    },
}

/// The store of one (cluster, node, disk).
#[derive(Debug)]
pub(super) struct Serials {
    dir: PathBuf,
    name: String,
    /// Nothing below was handed out by this process; the only mark when none can be saved.
    next_here: Option<u32>,
}

/// A block of serials: first and count.
pub(super) type Block = (u32, u32);

impl Serials {
    pub(super) fn new(dir: &Path, cluster: ClusterTag, node: NodeNumber, wwid: &str) -> Self {
        let cluster = cluster.to_string();
        let name = file_name("serials", &[&cluster, &node.0.to_string(), wwid]);
        Self {
            dir: dir.to_owned(),
            name,
            next_here: None,
        }
    }

    /// A block that was never handed out, above `registered`, the highest serial of this node on the disk.
    ///
    /// # Errors
    /// Only when not even the OS has random numbers to give.
    pub(super) fn take(
        &mut self,
        registered: Option<u32>,
    ) -> io::Result<(Block, Vec<SerialNotice>)> {
        let mut notices = Vec::new();
        match self.take_saved(registered, &mut notices) {
            Ok(block) => Ok((block, notices)),
            Err(SaveError::Random(error)) => Err(error),
            Err(SaveError::File(error)) => {
                let first = match self.next_here {
                    Some(next) if next + BLOCK <= SERIAL_MAX => next,
                    Some(_) | None => random_serial().map_err(SaveError::into_io)?,
                };
                // Without a mark nothing is known of the past but what is registered.
                let first = above(first, registered).unwrap_or(first);
                notices.push(SerialNotice::NotSaved {
                    path: self.path(),
                    why: error.to_string(),
                    first,
                });
                Ok((self.hand_out(first), notices))
            }
        }
    }

    fn take_saved(
        &mut self,
        registered: Option<u32>,
        notices: &mut Vec<SerialNotice>,
    ) -> Result<Block, SaveError> {
        std::fs::create_dir_all(&self.dir)?;
        // Two arbiters of one node over two nexuses share the mark: one at a time.
        let _turn = self.lock()?;
        let mut first = self.mark(notices)?;
        if let Some(next) = self.next_here {
            first = first.max(next);
        }
        // A process that has begun anew at random since, stays below what is registered at the end of the range.
        let is_above = |next: u32| registered.is_some_and(|registered| registered >= next);
        if let (Some(registered), true) = (registered, is_above(first)) {
            match above(first, Some(registered)) {
                Some(next) => {
                    let mark = first;
                    notices.push(SerialNotice::Behind { registered, mark });
                    first = next;
                }
                None if self.next_here.is_some() => {}
                None => first = SERIAL_MAX,
            }
        }
        if first + BLOCK > SERIAL_MAX {
            first = random_serial()?;
            notices.push(SerialNotice::WrappedAround { first });
        }
        self.save(first + BLOCK)?;
        Ok(self.hand_out(first))
    }

    /// The mark in the file, or a random one.
    fn mark(&self, notices: &mut Vec<SerialNotice>) -> Result<u32, SaveError> {
        let path = self.path();
        let mut text = String::new();
        let read = File::open(&path).and_then(|file| file.take(256).read_to_string(&mut text));
        match read {
            Ok(_) => match parse_mark(&text) {
                Some(mark) => Ok(mark),
                None => {
                    let first = random_serial()?;
                    let why = format!("it reads {:?}", text.trim_end());
                    notices.push(SerialNotice::Unreadable { path, why, first });
                    Ok(first)
                }
            },
            Err(error) => {
                let first = random_serial()?;
                notices.push(if error.kind() == io::ErrorKind::NotFound {
                    SerialNotice::BegunAtRandom { path, first }
                } else {
                    let why = error.to_string();
                    SerialNotice::Unreadable { path, why, first }
                });
                Ok(first)
            }
        }
    }

    fn save(&self, mark: u32) -> Result<(), SaveError> {
        let new = self.dir.join(format!("{}.new", self.name));
        let mut file = File::create(&new)?;
        file.write_all(mark_text(mark).as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, self.path())?;
        File::open(&self.dir)?.sync_all()?;
        Ok(())
    }

    fn hand_out(&mut self, first: u32) -> Block {
        assert!(
            (1..=SERIAL_MAX - BLOCK).contains(&first),
            "the block fits into 24 bits"
        );
        self.next_here = Some(first + BLOCK);
        (first, BLOCK)
    }

    fn lock(&self) -> io::Result<Flock<File>> {
        let path = self.dir.join(format!("{}.lock", self.name));
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno.into())
    }

    fn path(&self) -> PathBuf {
        self.dir.join(&self.name)
    }
}

/// Why a mark was not saved; without randomness there is nothing to fall back to.
enum SaveError {
    File(io::Error),
    Random(io::Error),
}

impl From<io::Error> for SaveError {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

impl SaveError {
    fn into_io(self) -> io::Error {
        match self {
            Self::File(error) | Self::Random(error) => error,
        }
    }
}

/// `first`, or the serial after `registered`; none where no whole block follows it.
fn above(first: u32, registered: Option<u32>) -> Option<u32> {
    let wanted = registered.map_or(first, |registered| first.max(registered + 1));
    (wanted + BLOCK <= SERIAL_MAX).then_some(wanted)
}

fn mark_text(mark: u32) -> String {
    format!("next {mark} check {}\n", !mark & SERIAL_MAX)
}

fn parse_mark(text: &str) -> Option<u32> {
    let mut words = text.split_ascii_whitespace();
    let (Some("next"), Some(mark), Some("check"), Some(_), None) = (
        words.next(),
        words.next(),
        words.next(),
        words.next(),
        words.next(),
    ) else {
        return None;
    };
    let mark: u32 = mark.parse().ok()?;
    ((1..=SERIAL_MAX).contains(&mark) && mark_text(mark) == text).then_some(mark)
}

/// A serial from the OS that leaves room above it.
fn random_serial() -> Result<u32, SaveError> {
    let random = random_u32().map_err(SaveError::Random)?;
    // In the lower half, so that millions of serials follow before it wraps.
    Ok(1 + random % (SERIAL_MAX / 2))
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, SERIAL_MAX, SerialNotice, Serials, mark_text, parse_mark};
    use crate::arbiter::test_dir::TestDir;
    use quorum_core::arbitration::{ClusterTag, NodeNumber};

    fn store(dir: &TestDir) -> Serials {
        Serials::new(
            dir.path(),
            ClusterTag::from_bits(0xab),
            NodeNumber(3),
            "naa.1",
        )
    }

    #[test]
    fn blocks_go_on_where_the_last_process_ended() {
        let dir = TestDir::new("serials");
        let ((first, count), notices) = store(&dir).take(None).unwrap();
        assert!(matches!(notices[..], [SerialNotice::BegunAtRandom { .. }]));
        let mut second_process = store(&dir);
        let (second, notices) = second_process.take(None).unwrap();
        assert_eq!((second, notices), ((first + count, BLOCK), Vec::new()));
        assert_eq!(second_process.take(None).unwrap().0.0, first + 2 * count);
    }

    #[test]
    fn a_damaged_mark_is_replaced_by_a_random_one_and_reported() {
        let dir = TestDir::new("damaged");
        let mut serials = store(&dir);
        serials.take(None).unwrap();
        std::fs::write(serials.path(), "next 5 check 6\n").unwrap();
        let (_, notices) = store(&dir).take(None).unwrap();
        assert!(matches!(notices[..], [SerialNotice::Unreadable { .. }]));
        let (_, notices) = store(&dir).take(None).unwrap();
        assert_eq!(notices, Vec::new(), "it is whole again");
    }

    #[test]
    fn a_mark_restored_from_a_backup_is_noticed_by_a_registered_serial() {
        let dir = TestDir::new("restored");
        let serials = store(&dir);
        std::fs::write(serials.path(), mark_text(100)).unwrap();
        let (block, notices) = store(&dir).take(Some(300)).unwrap();
        assert_eq!(block, (301, BLOCK));
        let (registered, mark) = (300, 100);
        assert_eq!(notices, [SerialNotice::Behind { registered, mark }]);
        assert_eq!(store(&dir).take(Some(300)).unwrap().1, []);
    }

    #[test]
    fn the_last_serial_registered_wraps_around_instead_of_overflowing() {
        let dir = TestDir::new("wrap");
        let serials = store(&dir);
        std::fs::write(serials.path(), mark_text(SERIAL_MAX)).unwrap();
        let ((first, _), notices) = store(&dir).take(Some(SERIAL_MAX)).unwrap();
        assert!(first + BLOCK <= SERIAL_MAX);
        assert!(!notices.is_empty());
    }

    #[test]
    fn a_serial_registered_at_the_end_of_the_range_never_makes_a_block_come_twice() {
        let dir = TestDir::new("end");
        std::fs::write(store(&dir).path(), mark_text(100)).unwrap();
        // The registration may be a stranger's, and stay: every process begins at random, once.
        for registered in [SERIAL_MAX, SERIAL_MAX - BLOCK + 1] {
            let mut process = store(&dir);
            let ((first, count), notices) = process.take(Some(registered)).unwrap();
            assert_eq!(notices, [SerialNotice::WrappedAround { first }]);
            let ((second, _), notices) = process.take(Some(registered)).unwrap();
            assert_eq!((second, notices), (first + count, Vec::new()));
        }
    }

    #[test]
    fn without_a_place_to_save_serials_are_random_and_still_never_repeated() {
        let dir = TestDir::new("nowhere");
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let mut serials = Serials::new(&file, ClusterTag::from_bits(1), NodeNumber(1), "naa.1");
        let ((first, count), notices) = serials.take(None).unwrap();
        assert!(matches!(notices[..], [SerialNotice::NotSaved { .. }]));
        assert_eq!(serials.take(None).unwrap().0.0, first + count);
    }

    #[test]
    fn a_mark_is_refused_unless_every_byte_is_right() {
        assert_eq!(parse_mark(&mark_text(77)), Some(77));
        for damaged in [
            "",
            "next 77",
            "next 78 check 16777138\n",
            "next 0 check 16777215\n",
            "next 77 check 16777138",
            "next 77 check 16777138\nnext",
            "next 99999999999 check 1\n",
        ] {
            assert_eq!(parse_mark(damaged), None, "{damaged:?}");
        }
    }
}

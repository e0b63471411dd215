//! The owner: it appends for as long as it is let.

use crate::record::{Seeds, next, record};
use crate::say;
use anyhow::{Context as _, Result, bail, ensure};
use qlog::storage::FileStorage;
use qlog::{Claim, Fencing, Log, Lsn, Owner, WriteError};
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Records after which a checkpoint is taken, also when there is room for more.
const CHECKPOINT_EVERY: u64 = 400;

/// How it writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    threads: u32,
    /// It ends after so many records.
    count: u64,
    checkpoints: bool,
}

impl Options {
    pub(crate) fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self {
            threads: 4,
            count: u64::MAX,
            checkpoints: true,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut number = || {
                let value = words
                    .next()
                    .with_context(|| format!("{word} wants a number"))?;
                Ok::<u64, anyhow::Error>(value.parse()?)
            };
            match *word {
                "--threads" => options.threads = u32::try_from(number()?)?,
                "--count" => options.count = number()?,
                "--no-checkpoint" => options.checkpoints = false,
                other => bail!("{other} means nothing here"),
            }
        }
        Ok(options)
    }
}

struct Writer {
    log: Log<FileStorage>,
    options: Options,
    /// Records that were begun.
    begun: AtomicU64,
    known: Mutex<Known>,
}

/// Seeds in the order of the log, and those that came out of order.
struct Known {
    seeds: Seeds,
    early: BTreeMap<u64, u64>,
    checkpoint: u64,
}

/// Claims the log and appends to it.
pub(crate) fn write(path: &Path, options: &Options) -> Result<()> {
    let storage = FileStorage::open_for_writing(path).context("open for writing")?;
    let mut seeds = Seeds::default();
    let found = qlog::open(storage, &mut seeds).context("open the log")?;
    ensure!(seeds.wrong.is_none(), "{:?}", seeds.wrong);
    let checkpoint = found.checkpoint_lsn().0;
    let owner = Owner {
        node: std::process::id() % 255,
        key: 0,
    };
    let log = found.claim(Claim::new(owner, Fencing::Unfenced))?;
    say(&format!("epoch {}\n", log.epoch()));
    let writer = Writer {
        log,
        options: *options,
        begun: AtomicU64::new(0),
        known: Mutex::new(Known {
            seeds,
            early: BTreeMap::new(),
            checkpoint,
        }),
    };
    let ended = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..options.threads)
            .map(|_| scope.spawn(|| writer.append_for_ever()))
            .collect();
        let ends = threads.into_iter().map(|thread| thread.join());
        ends.map(|end| end.unwrap_or_else(|_| bail!("a thread panicked")))
            .collect::<Result<Vec<()>>>()
    });
    if let Err(error) = ended {
        if let Some(WriteError::Poisoned(stopped)) = error.downcast_ref() {
            let unknown = &stopped.indeterminate;
            say(&format!("S {} {}\n", unknown.start, unknown.end));
        }
        return Err(error);
    }
    writer.log.close().context("close the log")
}

impl Writer {
    fn append_for_ever(&self) -> Result<()> {
        let mut seed = RandomState::new().hash_one(std::process::id());
        while self.begun.fetch_add(1, Ordering::Relaxed) < self.options.count {
            seed = next(seed);
            match self.append(seed) {
                Ok(lsn) => say(&format!("A {lsn} {seed}\n")),
                Err(WriteError::Full { .. }) if self.options.checkpoints => self.checkpoint(0)?,
                Err(WriteError::Full { .. }) => return Ok(()),
                Err(error) => return Err(error).context("append"),
            }
            if self.options.checkpoints {
                self.checkpoint(CHECKPOINT_EVERY)?;
            }
        }
        Ok(())
    }

    fn append(&self, seed: u64) -> Result<Lsn, WriteError> {
        let ticket = {
            let mut known = self.lock();
            let ticket = self.log.append(&record(seed))?;
            known.early.insert(ticket.lsn.0, seed);
            known.settle();
            ticket
        };
        self.log.commit(ticket)?;
        Ok(ticket.lsn)
    }

    /// Takes a checkpoint, when there are at least so many records behind the last one.
    fn checkpoint(&self, least: u64) -> Result<()> {
        let durable = self.log.position().durable.0 - 1;
        let (upto, state) = {
            let mut known = self.lock();
            let upto = durable.min(known.seeds.seeds.len() as u64);
            if upto < known.checkpoint + least.max(1) {
                return Ok(());
            }
            known.checkpoint = upto;
            (Lsn(upto), known.seeds.state(Lsn(upto)))
        };
        match self.log.checkpoint(upto, &state) {
            // Another thread's, of more records, was there first.
            Ok(()) | Err(WriteError::Upto { .. }) => Ok(()),
            Err(error) => Err(error).context("take a checkpoint"),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Known {
    fn settle(&mut self) {
        while let Some(seed) = self.early.remove(&(self.seeds.seeds.len() as u64 + 1)) {
            self.seeds.seeds.push(seed);
        }
    }
}

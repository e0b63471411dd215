//! A storage that counts what is read of it, for a progress bar.

use super::Progress;
use crate::storage::Storage;
use std::io;
use std::sync::{Mutex, PoisonError};

pub(super) struct Watched<'a, S> {
    storage: &'a S,
    state: Mutex<State<'a>>,
}

struct State<'a> {
    done: u64,
    total: u64,
    progress: Progress<'a>,
}

impl State<'_> {
    fn tell(&mut self) {
        self.total = self.total.max(self.done);
        (self.progress)(self.done, self.total);
    }
}

impl<'a, S> Watched<'a, S> {
    pub(super) const fn new(storage: &'a S, progress: Progress<'a>) -> Self {
        Self {
            storage,
            state: Mutex::new(State {
                done: 0,
                total: 0,
                progress,
            }),
        }
    }

    fn with(&self, change: impl FnOnce(&mut State<'_>)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        state.tell();
    }

    /// So many bytes are to be read from now on.
    pub(super) fn expect(&self, bytes: u64) {
        self.with(|state| state.total = state.done.saturating_add(bytes));
    }

    /// Nothing more is read.
    pub(super) fn done(&self) {
        self.with(|state| state.total = state.done);
    }
}

impl<S: Storage> Storage for &Watched<'_, S> {
    fn region_bytes(&self) -> u64 {
        self.storage.region_bytes()
    }

    fn block_bytes(&self) -> u32 {
        self.storage.block_bytes()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let read = self.storage.read_at(offset, buffer);
        self.with(|state| state.done += buffer.len() as u64);
        read
    }

    fn write_at(&self, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&self) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

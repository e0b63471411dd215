//! Sockets, the clock, the end: one thread, one poll.

#![expect(
    clippy::disallowed_methods,
    reason = "the driver of the target: it reads the clock"
)]

use super::backend::{Backend, Store};
use super::portal::{ConnectionId, Interest, Settings, Target};
use crate::iscsi::chap::CHALLENGE_BYTES;
use crate::iscsi::world;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// How much one read takes.
const READ_BYTES: usize = 128 * 1024;

/// How many connections are taken before those that are there have their turn.
const ACCEPTS_MAX: usize = 16;

/// Why a target stopped that was not asked to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It cannot listen there.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The system's words.
        why: io::Error,
    },
    /// The system failed it.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// A target and its sockets.
#[derive(Debug)]
pub struct Server<S> {
    target: Target<S>,
    listener: TcpListener,
    streams: BTreeMap<ConnectionId, TcpStream>,
    start: Instant,
    buffer: Box<[u8]>,
}

impl<S: Store> Server<S> {
    /// Listens.
    ///
    /// # Errors
    /// [`ServeError::Listen`].
    pub fn listen(
        address: SocketAddr,
        settings: Settings,
        backend: Backend<S>,
    ) -> Result<Self, ServeError> {
        let listen = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        Ok(Self {
            target: Target::new(settings, backend),
            listener: listen().map_err(|why| ServeError::Listen { address, why })?,
            streams: BTreeMap::new(),
            start: Instant::now(),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// [`ServeError::System`].
    pub fn address(&self) -> Result<SocketAddr, ServeError> {
        Ok(self.listener.local_addr()?)
    }

    /// Serves until `stop` becomes readable; then everything that was written is brought onto the disk.
    ///
    /// # Errors
    /// [`ServeError::System`].
    pub fn serve(&mut self, stop: impl AsFd) -> Result<(), ServeError> {
        while !self.turn(stop.as_fd())? {}
        self.target
            .stop()
            .map_err(|error| ServeError::System(io::Error::other(error)))
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Waits for something and does it. True: it is time to stop.
    fn turn(&mut self, stop: BorrowedFd<'_>) -> Result<bool, ServeError> {
        let (interests, events) = {
            let interests: Vec<(ConnectionId, Interest)> = self.target.connections().collect();
            let mut fds = vec![
                PollFd::new(stop, PollFlags::POLLIN),
                PollFd::new(self.listener.as_fd(), PollFlags::POLLIN),
            ];
            fds.extend(
                interests
                    .iter()
                    .map(|(id, interest)| PollFd::new(self.streams[id].as_fd(), flags(*interest))),
            );
            let timeout = match self.target.next_deadline() {
                None => PollTimeout::NONE,
                // A millisecond more, so that the deadline has passed.
                Some(due) => (due.saturating_sub(self.now()) + Duration::from_millis(1))
                    .min(Duration::from_secs(60))
                    .try_into()
                    .unwrap_or(PollTimeout::MAX),
            };
            match poll(&mut fds, timeout) {
                Ok(_) => {}
                Err(nix::errno::Errno::EINTR) => return Ok(false),
                Err(error) => return Err(ServeError::System(error.into())),
            }
            let events: Vec<PollFlags> = fds
                .iter()
                .map(|fd| fd.revents().unwrap_or(PollFlags::empty()))
                .collect();
            (interests, events)
        };
        if !events[0].is_empty() {
            return Ok(true);
        }
        for ((id, _), event) in interests.iter().zip(&events[2..]) {
            if event.intersects(PollFlags::POLLOUT) {
                self.write(*id);
            }
            if event.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR) {
                self.read(*id);
            }
        }
        if !events[1].is_empty() {
            self.accept();
        }
        let now = self.now();
        if self.target.next_deadline().is_some_and(|due| due <= now) {
            self.target.tick(now);
        }
        self.settle();
        Ok(false)
    }

    fn accept(&mut self) {
        for _ in 0..ACCEPTS_MAX {
            // An error is this connection's (gone already) or passes (no descriptors).
            let Ok((stream, _)) = self.listener.accept() else {
                return;
            };
            let ready = stream
                .set_nonblocking(true)
                .and_then(|()| stream.set_nodelay(true))
                .and_then(|()| stream.local_addr());
            let (Ok(address), Ok(challenge)) = (ready, world::random::<CHALLENGE_BYTES>()) else {
                continue;
            };
            let now = self.now();
            // Without room the stream closes here.
            if let Some(id) = self.target.accept(now, address.to_string(), challenge) {
                self.streams.insert(id, stream);
            }
        }
    }

    fn read(&mut self, id: ConnectionId) {
        let now = self.now();
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        match stream.read(&mut self.buffer) {
            Ok(0) => self.gone(id),
            Ok(count) => {
                self.target.receive(now, id, &self.buffer[..count]);
                self.write(id);
            }
            Err(error) if is_passing(&error) => {}
            Err(_) => self.gone(id),
        }
    }

    fn write(&mut self, id: ConnectionId) {
        let now = self.now();
        loop {
            let out = self.target.out(id);
            let Some(stream) = self.streams.get_mut(&id) else {
                return;
            };
            if out.is_empty() {
                return;
            }
            match stream.write(out) {
                Ok(count) => self.target.sent(now, id, count),
                Err(error) if is_passing(&error) => return,
                Err(_) => return self.gone(id),
            }
        }
    }

    fn gone(&mut self, id: ConnectionId) {
        self.streams.remove(&id);
        self.target.closed(id);
    }

    /// Sends what there is to send to anybody, and closes what is to be closed.
    fn settle(&mut self) {
        let interests: Vec<(ConnectionId, Interest)> = self.target.connections().collect();
        for (id, interest) in interests {
            if interest.write {
                self.write(id);
            }
            if interest.close {
                self.gone(id);
            }
        }
        // What a write finished may be closed now.
        let closing: Vec<ConnectionId> = self
            .target
            .connections()
            .filter_map(|(id, interest)| interest.close.then_some(id))
            .collect();
        for id in closing {
            self.gone(id);
        }
    }
}

fn flags(interest: Interest) -> PollFlags {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::POLLIN, interest.read);
    flags.set(PollFlags::POLLOUT, interest.write);
    flags
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

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
    listeners: Vec<TcpListener>,
    /// Where they listen.
    addresses: Vec<SocketAddr>,
    streams: BTreeMap<ConnectionId, TcpStream>,
    start: Instant,
    buffer: Box<[u8]>,
}

impl<S: Store> Server<S> {
    /// Listens at every one of these addresses: the portals of one target port.
    ///
    /// # Errors
    /// [`ServeError::Listen`].
    pub fn listen(
        addresses: &[SocketAddr],
        settings: Settings,
        backend: Backend<S>,
    ) -> Result<Self, ServeError> {
        let listen = |address: SocketAddr| {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let bound = listener.local_addr()?;
            Ok((listener, bound))
        };
        let bound = addresses
            .iter()
            .map(|&address| listen(address).map_err(|why| ServeError::Listen { address, why }));
        let (listeners, addresses) = bound.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        Ok(Self {
            target: Target::new(settings, backend),
            listeners,
            addresses,
            streams: BTreeMap::new(),
            start: Instant::now(),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
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
            let mut fds = vec![PollFd::new(stop, PollFlags::POLLIN)];
            let listeners = self.listeners.iter();
            fds.extend(listeners.map(|one| PollFd::new(one.as_fd(), PollFlags::POLLIN)));
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
        let (knocks, events) = events[1..].split_at(self.listeners.len());
        for ((id, _), event) in interests.iter().zip(events) {
            if event.intersects(PollFlags::POLLOUT) {
                self.write(*id);
            }
            if event.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR) {
                self.read(*id);
            }
        }
        for (listener, knock) in knocks.iter().enumerate() {
            if !knock.is_empty() {
                self.accept(listener);
            }
        }
        let now = self.now();
        if self.target.next_deadline().is_some_and(|due| due <= now) {
            self.target.tick(now);
        }
        self.settle();
        Ok(false)
    }

    fn accept(&mut self, listener: usize) {
        for _ in 0..ACCEPTS_MAX {
            // An error is this connection's (gone already) or passes (no descriptors).
            let Ok((stream, _)) = self.listeners[listener].accept() else {
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
            let portals = self.portals(address);
            // Without room the stream closes here.
            if let Some(id) = self.target.accept(now, portals, challenge) {
                self.streams.insert(id, stream);
            }
        }
    }

    /// What a client that came in at this address is told of where we are. An address that stands for all of
    /// this host's is known only by who came in through it.
    fn portals(&self, reached: SocketAddr) -> Vec<String> {
        let others = self.addresses.iter().copied();
        let others = others.filter(|other| *other != reached && !other.ip().is_unspecified());
        std::iter::once(reached)
            .chain(others)
            .map(|address| address.to_string())
            .collect()
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

//! Bytes over TCP, each wait with a deadline.

#![expect(
    clippy::disallowed_methods,
    reason = "the driver of a session: it reads the clock and resolves names on a thread"
)]

use super::url::Portal;
use crate::iscsi::pdu::{Decoder, Digests, FrameError, PduError, Request, Response};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How much one read takes from the socket.
const READ_BYTES: usize = 128 * 1024;

/// A write waits only when the socket's buffer is full, that is when the target takes nothing. It looks at its
/// deadline so often.
const WRITE_LOOK: Duration = Duration::from_millis(20);

/// The longest data segment before anything was negotiated (RFC 7143 13.12).
const LOGIN_BYTES_MAX: usize = 8192;

/// Why a wait ended without what was waited for.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// The deadline.
    #[error("no answer in time")]
    TimedOut,
    /// The connection is gone, or cannot be followed further.
    #[error("{0}")]
    Lost(String),
}

impl From<FrameError> for LinkError {
    fn from(error: FrameError) -> Self {
        Self::Lost(error.to_string())
    }
}

impl From<PduError> for LinkError {
    fn from(error: PduError) -> Self {
        Self::Lost(error.to_string())
    }
}

/// The addresses of a portal, within the time. The system's resolver cannot be bounded, so a thread waits
/// for it and is given up.
pub(super) fn resolve(portal: &Portal, bound: Duration) -> Result<Vec<SocketAddr>, LinkError> {
    if let Ok(address) = portal.host.parse() {
        return Ok(vec![SocketAddr::new(address, portal.port)]);
    }
    let (answer, answered) = mpsc::sync_channel(1);
    let (host, port) = (portal.host.clone(), portal.port);
    std::thread::Builder::new()
        .name("resolve".to_owned())
        .spawn(move || {
            let found = (host.as_str(), port)
                .to_socket_addrs()
                .map(Iterator::collect::<Vec<_>>)
                .map_err(|error| error.to_string());
            // Nobody listens any more when the bound has passed.
            drop(answer.send(found));
        })
        .map_err(|error| LinkError::Lost(error.to_string()))?;
    match answered.recv_timeout(bound) {
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => Err(LinkError::Lost(format!("{}: {error}", portal.host))),
        Err(_) => Err(LinkError::TimedOut),
    }
}

/// A TCP connection that carries PDUs.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    decoder: Decoder,
    digests: Digests,
    /// What is to be sent.
    out: Vec<u8>,
    buffer: Box<[u8]>,
    /// The read time-out that the socket has.
    read_timeout: Duration,
}

impl Connection {
    /// Connects to the first address that answers, until the deadline.
    pub(super) fn open(addresses: &[SocketAddr], deadline: Instant) -> Result<Self, LinkError> {
        let mut error = LinkError::Lost("the name has no address".to_owned());
        for address in addresses {
            match TcpStream::connect_timeout(address, left(deadline)?) {
                Ok(stream) => return Self::over(stream),
                Err(refused) if refused.kind() == ErrorKind::TimedOut => {
                    error = LinkError::TimedOut;
                }
                Err(refused) => error = LinkError::Lost(format!("{address}: {refused}")),
            }
        }
        Err(error)
    }

    fn over(stream: TcpStream) -> Result<Self, LinkError> {
        stream.set_nodelay(true).map_err(lost)?;
        stream.set_write_timeout(Some(WRITE_LOOK)).map_err(lost)?;
        Ok(Self {
            stream,
            decoder: Decoder::new(LOGIN_BYTES_MAX),
            digests: Digests::default(),
            out: Vec::new(),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            read_timeout: Duration::ZERO,
        })
    }

    /// What was agreed; holds from the next PDU on.
    pub(super) fn agree(&mut self, digests: Digests, receive_bytes_max: u32) {
        self.digests = digests;
        self.decoder.agree(digests, receive_bytes_max as usize);
    }

    /// Puts a PDU with what is to be sent.
    pub(super) fn queue(&mut self, request: &Request) {
        request.emit(self.digests, &mut self.out);
    }

    /// Sends what was queued. An error says whether some of it had left by then.
    pub(super) fn flush(&mut self, deadline: Instant) -> Result<(), (LinkError, bool)> {
        let out = std::mem::take(&mut self.out);
        let mut sent = 0;
        while sent < out.len() {
            let failed = |error| (error, sent > 0);
            match self.stream.write(&out[sent..]) {
                Ok(0) => {
                    return Err(failed(LinkError::Lost(
                        "the connection is closed".to_owned(),
                    )));
                }
                Ok(count) => sent += count,
                Err(error) if is_passing(&error) => {
                    left(deadline).map_err(failed)?;
                }
                Err(error) => return Err(failed(lost(error))),
            }
        }
        self.out = out;
        self.out.clear();
        Ok(())
    }

    /// The next PDU, at the deadline at the latest.
    pub(super) fn receive(&mut self, deadline: Instant) -> Result<Response, LinkError> {
        loop {
            if let Some(response) = self.received()? {
                return Ok(response);
            }
            self.read(deadline)?;
        }
    }

    /// The next PDU of those that have arrived.
    fn received(&mut self) -> Result<Option<Response>, LinkError> {
        Ok(match self.decoder.next_frame()? {
            Some(frame) => Some(Response::parse(frame)?),
            None => None,
        })
    }

    fn read(&mut self, deadline: Instant) -> Result<(), LinkError> {
        let wait = left(deadline)?;
        // Setting the time-out is a system call. One that is a little long is used again: the deadline
        // is looked at after each wait.
        if wait.abs_diff(self.read_timeout) > wait / 64 {
            self.stream.set_read_timeout(Some(wait)).map_err(lost)?;
            self.read_timeout = wait;
        }
        match self.stream.read(&mut self.buffer) {
            Ok(0) => Err(closed()),
            Ok(count) => {
                self.decoder.push(&self.buffer[..count]);
                Ok(())
            }
            Err(error) if is_passing(&error) => left(deadline).map(drop),
            Err(error) => Err(lost(error)),
        }
    }

    /// The next PDU of those that have arrived or arrive without waiting.
    pub(super) fn poll(&mut self) -> Result<Option<Response>, LinkError> {
        if let Some(response) = self.received()? {
            return Ok(Some(response));
        }
        self.stream.set_nonblocking(true).map_err(lost)?;
        let read = self.stream.read(&mut self.buffer);
        self.stream.set_nonblocking(false).map_err(lost)?;
        match read {
            Ok(0) => Err(closed()),
            Ok(count) => {
                self.decoder.push(&self.buffer[..count]);
                self.received()
            }
            Err(error) if is_passing(&error) => Ok(None),
            Err(error) => Err(lost(error)),
        }
    }
}

/// Nothing is wrong: it would have had to wait, or waited as long as it may at a time.
fn is_passing(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut
    )
}

fn closed() -> LinkError {
    LinkError::Lost("the target closed the connection".to_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn lost(error: std::io::Error) -> LinkError {
    LinkError::Lost(error.to_string())
}

/// What is left of the time.
fn left(deadline: Instant) -> Result<Duration, LinkError> {
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(LinkError::TimedOut),
        left => Ok(left),
    }
}

//! Lines over a socket, each wait with its bound.

use ::tests::protocol::LINE_BYTES_MAX;
use anyhow::{Result, bail, ensure};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// A socket that carries lines.
pub(crate) struct Lines {
    socket: UnixStream,
    pending: Vec<u8>,
}

impl Lines {
    pub(crate) const fn new(socket: UnixStream) -> Self {
        Self {
            socket,
            pending: Vec::new(),
        }
    }

    pub(crate) fn write(&mut self, line: &str) -> Result<()> {
        // A guest that does not read for this long does not live.
        self.socket
            .set_write_timeout(Some(Duration::from_secs(20)))?;
        self.socket.write_all(line.as_bytes())?;
        self.socket.write_all(b"\n")?;
        Ok(())
    }

    /// The next line.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "ErrorKind is foreign and open"
    )]
    pub(crate) fn read(&mut self, bound: Duration) -> Result<String> {
        let deadline = Instant::now() + bound;
        let mut looked_at = 0;
        loop {
            if let Some(end) = self.pending[looked_at..]
                .iter()
                .position(|&byte| byte == b'\n')
            {
                let line: Vec<u8> = self.pending.drain(..=looked_at + end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            looked_at = self.pending.len();
            ensure!(looked_at <= LINE_BYTES_MAX, "a line that does not end");
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("no answer within {} s", bound.as_secs());
            }
            self.socket.set_read_timeout(Some(left))?;
            let mut chunk = [0; 1 << 16];
            match self.socket.read(&mut chunk) {
                Ok(0) => bail!("the machine is gone"),
                Ok(read) => self.pending.extend_from_slice(&chunk[..read]),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                    _ => return Err(error.into()),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_one_at_a_time_and_a_silent_peer_is_not_waited_for_for_ever() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut lines = Lines::new(ours);
        theirs.write_all(b"one\ntwo\nthr").unwrap();
        let bound = Duration::from_millis(20);
        assert_eq!(lines.read(bound).unwrap(), "one");
        assert_eq!(lines.read(bound).unwrap(), "two");
        assert!(
            lines
                .read(bound)
                .unwrap_err()
                .to_string()
                .contains("no answer")
        );
        theirs.write_all(b"ee\n").unwrap();
        assert_eq!(lines.read(bound).unwrap(), "three");
        drop(theirs);
        assert!(lines.read(bound).unwrap_err().to_string().contains("gone"));
    }
}

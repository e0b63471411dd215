//! One audit event for every change that an operator's verb made, or may have made: who, on which disk,
//! what it was before and what it is after.
//!
//! The event goes to the system's log (the datagram socket that syslog daemons and journald both listen
//! on) and into the JSON result. A system without a log is no reason to refuse a change; the result says
//! that the event was not logged.

use crate::clock::{self, Moment};
use crate::disk::session::About;
use serde::Serialize;
use serde_json::{Value, json};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

/// Where every Linux system log listens.
pub(crate) const SYSTEM_LOG: &str = "/dev/log";

/// What the log is told.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Event {
    /// When the change had ended.
    #[serde(flatten)]
    pub(crate) at: Moment,
    /// Who asked: the real user id.
    pub(crate) uid: u32,
    /// The disk, as the user named it.
    pub(crate) disk: String,
    /// The disk itself.
    pub(crate) wwid: Option<String>,
    /// The verb, as the standards spell it.
    pub(crate) verb: String,
    /// `done`, `unknown`, or `none` (it was refused).
    pub(crate) outcome: &'static str,
    /// The state before.
    pub(crate) before: Value,
    /// The state after; null when it could not be read.
    pub(crate) after: Value,
    /// The system's log took the event.
    pub(crate) logged: bool,
}

impl Event {
    /// An event that has happened just now, by this user.
    pub(crate) fn now(
        about: &About,
        verb: &str,
        outcome: &'static str,
        before: Value,
        after: Value,
    ) -> Self {
        Self {
            at: clock::now(),
            uid: nix::unistd::getuid().as_raw(),
            disk: about.name.clone(),
            wwid: about.identity.wwid.clone(),
            verb: verb.to_owned(),
            outcome,
            before,
            after,
            logged: false,
        }
    }

    /// Tells the system's log, and notes whether it took it.
    #[must_use]
    pub(crate) fn logged_to(mut self, log: &Path) -> Self {
        self.logged = send(log, &self.line()).is_ok();
        self
    }

    /// What a result says of it, beside the states that it has anyway.
    pub(crate) fn summary(&self) -> Value {
        json!({
            "time": self.at.time,
            "monotonic_ns": self.at.monotonic_ns,
            "uid": self.uid,
            "logged": self.logged,
        })
    }

    /// RFC 3164: facility authpriv (10), severity notice (5); the text is the event as JSON.
    fn line(&self) -> String {
        let mut fields = serde_json::to_value(self).unwrap_or_default();
        if let Some(fields) = fields.as_object_mut() {
            fields.remove("logged");
        }
        format!(
            "<{}>qctl[{}]: audit {fields}",
            10 * 8 + 5,
            std::process::id()
        )
    }
}

/// Sends one line without waiting: a log that does not read must not hold up an operator.
fn send(log: &Path, line: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to(line.as_bytes(), log)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use scsi::disk::Identity;

    #[test]
    fn the_log_is_told_who_changed_what() {
        let directory = std::env::temp_dir().join(format!("qctl-audit-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("log");
        let log = UnixDatagram::bind(&path).unwrap();
        let event = Event::now(
            &About {
                name: "/dev/sdb".to_owned(),
                identity: Identity {
                    wwid: Some("naa.5000".to_owned()),
                    ..Identity::default()
                },
            },
            "PR CLEAR",
            "done",
            json!({"generation": 1}),
            json!({"generation": 2}),
        );

        assert!(event.clone().logged_to(&path).logged);
        let mut bytes = [0; 4096];
        let length = log.recv(&mut bytes).unwrap();
        let line = std::str::from_utf8(&bytes[..length]).unwrap();
        let (head, body) = line.split_once(" audit ").unwrap();
        assert!(head.starts_with("<85>qctl["), "{head}");
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["wwid"], "naa.5000");
        assert_eq!(body["uid"], nix::unistd::getuid().as_raw());
        assert_eq!(body["before"]["generation"], 1);
        assert_eq!(body["after"]["generation"], 2);

        drop(log);
        std::fs::remove_dir_all(&directory).unwrap();
        assert!(!event.logged_to(&path).logged);
    }
}

//! What can go wrong with a log, as a message, a next step and an exit code.

use crate::exit::{Exit, Failure, Outcome};
use qlog::{CreateError, OpenError, SalvageError};
use std::io;
use std::path::Path;

/// A file or a device that cannot be opened, read or written.
pub(super) fn of_io(path: &Path, what: &str, error: &io::Error) -> Failure {
    let message = format!("{}: cannot {what}: {error}", path.display());
    let (exit, next) = of_kind(error);
    Failure::new(exit, message, next)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kinds of other errors are the system's"
)]
fn of_kind(error: &io::Error) -> (Exit, &'static str) {
    match error.kind() {
        io::ErrorKind::NotFound => (
            Exit::NoSuch,
            "check the name; `qctl log create` makes a log in a folder that is there",
        ),
        io::ErrorKind::PermissionDenied => (
            Exit::CannotOpen,
            "run it as root, or as a member of the group that the file or device belongs to",
        ),
        io::ErrorKind::WouldBlock => (
            Exit::NotReady,
            "another process writes this log; stop it first",
        ),
        io::ErrorKind::ResourceBusy => (
            Exit::NotReady,
            "something on this host has claimed the device; stop that use first",
        ),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (
            Exit::CannotOpen,
            "a log takes all its room at once, so that no later write can meet a full disk; make room, or give a \
             smaller --size",
        ),
        io::ErrorKind::ReadOnlyFilesystem => (
            Exit::CannotOpen,
            "remount it read-write, or name another place",
        ),
        io::ErrorKind::InvalidInput => (Exit::Usage, "name a file or a block device"),
        _ => (
            Exit::CannotOpen,
            "look at the path, and at the kernel's log (dmesg)",
        ),
    }
}

/// Why a region does not open.
pub(super) fn of_open(path: &Path, error: &OpenError) -> Failure {
    let name = path.display();
    let (exit, next) = match error {
        OpenError::NotALog => (
            Exit::NoSuch,
            "check the name; `qctl log create` makes a log".to_owned(),
        ),
        OpenError::NewerFormat { .. } => (
            Exit::Unsupported,
            "use the version of qctl that this cluster runs".to_owned(),
        ),
        OpenError::TwoOwners { .. } => (
            Exit::Medium,
            format!(
                "qctl log show {name}   (which copies differ); find out what fenced nobody before anything else"
            ),
        ),
        OpenError::Corrupt(_) => (
            Exit::Medium,
            format!("qctl log verify {name}; qctl log salvage {name} NEW"),
        ),
        OpenError::Read { .. } | OpenError::NoSuperblock { .. } | OpenError::Region(_) => (
            Exit::Medium,
            format!("qctl log show {name}   (what is still there)"),
        ),
    };
    Failure::new(exit, format!("{name}: {error}"), next)
}

/// Why no log was made.
pub(super) fn of_create(path: &Path, error: &CreateError) -> Failure {
    let name = path.display();
    match error {
        CreateError::Format(_) | CreateError::Region(_) => Failure::usage(
            format!("{name}: {error}"),
            "correct --size, --segments or --segment-size",
        ),
        CreateError::Write { source, .. } => {
            let (exit, next) = of_kind(source);
            Failure::new(exit, format!("{name}: {error}"), next).outcome(Outcome::Unknown)
        }
    }
}

/// Why nothing was copied, or not all that is good.
pub(super) fn of_salvage(from: &Path, to: &Path, error: &SalvageError) -> Failure {
    match error {
        SalvageError::Source(error) => of_open(from, error),
        SalvageError::Create(error) => of_create(to, error),
        SalvageError::Open(_) | SalvageError::Claim(_) | SalvageError::Write(_) => Failure::new(
            Exit::CannotOpen,
            format!("{}: {error}", to.display()),
            "the old log is as it was; give the new one more room with --size, or another place",
        )
        .outcome(Outcome::Unknown),
    }
}

//! What time it is: the one place where `qctl` reads a clock for what it prints.

use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment as programs read it: RFC 3339 for people, monotonic nanoseconds for arithmetic.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Moment {
    /// Wall clock, UTC, RFC 3339.
    pub(crate) time: String,
    /// `CLOCK_BOOTTIME`: never steps, and counts a suspend.
    pub(crate) monotonic_ns: u64,
}

/// Now.
pub(crate) fn now() -> Moment {
    at(since_boot())
}

/// A moment of the recent past, told by its time since the machine was started.
pub(crate) fn at(booted: Duration) -> Moment {
    let ago = since_boot().saturating_sub(booted);
    let utc = OffsetDateTime::now_utc() - ago;
    Moment {
        time: utc.format(&Rfc3339).unwrap_or_else(|_| utc.to_string()),
        monotonic_ns: u64::try_from(booted.as_nanos()).unwrap_or(u64::MAX),
    }
}

/// The time since the machine was started, suspends included.
pub(crate) fn since_boot() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME)
        .map(Duration::from)
        .unwrap_or_default()
}

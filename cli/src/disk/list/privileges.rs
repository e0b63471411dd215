//! Which privilege each kind of verb takes, and which of them this process lacks.

use crate::output::{BAD, GOOD, STRONG};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::Path;

/// A verb, and the capabilities that it takes, by number (capability.h) and name.
struct Need {
    what: &'static str,
    capabilities: &'static [(u8, &'static str)],
    also: &'static str,
}

const RAWIO: (u8, &str) = (17, "CAP_SYS_RAWIO");
const ADMIN: (u8, &str) = (21, "CAP_SYS_ADMIN");
const LOCK: (u8, &str) = (14, "CAP_IPC_LOCK");
const NICE: (u8, &str) = (23, "CAP_SYS_NICE");

/// In the order in which people need them.
const NEEDS: [Need; 7] = [
    Need {
        what: "listing disks",
        capabilities: &[],
        also: "nothing",
    },
    Need {
        what: "SCSI reservations by SG_IO, reading them too",
        capabilities: &[RAWIO],
        also: "the node opens for reading",
    },
    Need {
        what: "resets",
        capabilities: &[RAWIO, ADMIN],
        also: "the node opens for reading",
    },
    Need {
        what: "NVMe reservations by passthrough",
        capabilities: &[ADMIN],
        also: "the node opens for reading",
    },
    Need {
        what: "reading reservations by IOC_PR (Linux 6.19 and later)",
        capabilities: &[],
        also: "the node opens for reading",
    },
    Need {
        what: "changing reservations by IOC_PR",
        capabilities: &[],
        also: "the node opens for writing",
    },
    Need {
        what: "locked memory and real-time priority (arbitrate)",
        capabilities: &[LOCK, NICE],
        also: "else it goes on without",
    },
];

/// What this process may do.
pub(super) struct Privileges {
    /// The effective capabilities; `None` where they cannot be read.
    effective: Option<u64>,
}

impl Privileges {
    /// Reads `CapEff` of a `/proc/PID/status`.
    pub(super) fn of_this_process(status: &Path) -> Self {
        let text = std::fs::read_to_string(status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("CapEff:"));
        Self {
            effective: line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()),
        }
    }

    fn missing(&self, need: &Need) -> Vec<&'static str> {
        let has = |bit: u8| {
            self.effective
                .is_some_and(|effective| effective >> bit & 1 == 1)
        };
        need.capabilities
            .iter()
            .filter(|(bit, _)| !has(*bit))
            .map(|(_, name)| *name)
            .collect()
    }

    /// As a document has it.
    pub(super) fn json(&self) -> Value {
        NEEDS
            .iter()
            .map(|need| {
                let names: Vec<&str> = need.capabilities.iter().map(|(_, name)| *name).collect();
                json!({
                    "what": need.what,
                    "capabilities": names,
                    "also": need.also,
                    "missing": self.missing(need),
                })
            })
            .collect()
    }

    /// As a person reads it.
    pub(super) fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        writeln!(page, "{STRONG}privileges of this process{STRONG:#}")?;
        for need in &NEEDS {
            let missing = self.missing(need);
            if missing.is_empty() {
                writeln!(page, "  {GOOD}yes{GOOD:#}  {} ({})", need.what, need.also)?;
            } else {
                let missing = missing.join(" and ");
                writeln!(page, "  {BAD}no{BAD:#}   {}: missing {missing}", need.what)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let rawio_only = Privileges {
            effective: Some(1 << 17),
        };
        assert_eq!(rawio_only.missing(&NEEDS[1]), [""; 0]);
        assert_eq!(rawio_only.missing(&NEEDS[2]), ["CAP_SYS_ADMIN"]);
        let unreadable = Privileges { effective: None };
        assert_eq!(unreadable.missing(&NEEDS[1]), ["CAP_SYS_RAWIO"]);
        assert_eq!(unreadable.missing(&NEEDS[0]), [""; 0]);
    }
}

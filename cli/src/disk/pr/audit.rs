//! `audit`: are this host's paths registered as they should be?
//!
//! The findings are values; `repair` acts on the same ones.

use crate::Context;
use crate::disk::own::Own;
use crate::disk::session::{About, DiskArg, Reading, Session};
use crate::disk::view;
use crate::exit::{Exit, Failure};
use crate::output::{GOOD, Report, WARN};
use scsi::reservation::{Key, NexusId};
use scsi::wire::transport_id::TransportId;
use serde_json::{Value, json};
use std::io::{self, Write};

/// `qctl disk pr audit`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Ends with 0 when nothing is wrong, with 36 when something is.

Examples:
  qctl disk pr audit /dev/mapper/quorum")]
pub(crate) struct Args {
    #[command(flatten)]
    disk: DiskArg,
}

/// Something about the registrations that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Finding {
    /// This path is not registered although another one of this host is: its I/O will fail.
    PathUnregistered {
        /// The path's index.
        path: usize,
    },
    /// This path has another key than the first one of this host.
    PathDiffers {
        /// The path's index.
        path: usize,
        /// The key that it has.
        has: Key,
        /// The key of this host.
        wanted: Key,
    },
    /// A nexus that is no path of this host has this host's key.
    KeyElsewhere {
        /// The key.
        key: Key,
        /// The nexus.
        nexus: String,
        /// The same initiator with another session: this host before a re-login or a reboot.
        earlier_session: bool,
    },
    /// The disk does not tell which nexus registered which key.
    CannotTell,
}

impl Args {
    /// Prints the findings.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let mut session = Session::open_to_look(&self.disk, context)?;
        let reading = session.read()?;
        let findings = findings(&session, &reading);
        let exit = if findings.is_empty() {
            Exit::Done
        } else {
            Exit::No
        };
        context.output.report(&AuditReport {
            about: session.about(),
            paths: reading.paths.clone(),
            key: own_key(&reading),
            findings,
            reading,
        })?;
        Ok(exit)
    }
}

/// The key of this host: the holder's path's, else the first registered path's.
pub(super) fn own_key(reading: &Reading) -> Option<Key> {
    let mine = |(entry, own): (&scsi::reservation::Registration, Own)| match own {
        Own::Path(_) => Some((entry.key, entry.holder == Some(true))),
        Own::Other | Own::Unknown => None,
    };
    let keys: Vec<(Key, bool)> = reading.entries().filter_map(mine).collect();
    let holder = keys.iter().find(|(_, holds)| *holds);
    holder.or_else(|| keys.first()).map(|(key, _)| *key)
}

/// Everything that is wrong, in the order of paths, then of the disk's registrations.
pub(super) fn findings(session: &Session, reading: &Reading) -> Vec<Finding> {
    if reading.own.contains(&Own::Unknown) {
        return vec![Finding::CannotTell];
    }
    let Some(key) = own_key(reading) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    let everywhere = reading
        .entries()
        .any(|(entry, own)| entry.all_target_ports && matches!(own, Own::Path(_)));
    for path in 0..session.disk.paths.len() {
        let has = reading
            .entries()
            .find(|(_, own)| *own == Own::Path(path))
            .map(|(entry, _)| entry.key);
        match has {
            Some(has) if has != key => findings.push(Finding::PathDiffers {
                path,
                has,
                wanted: key,
            }),
            None if !everywhere => findings.push(Finding::PathUnregistered { path }),
            Some(_) | None => {}
        }
    }
    let elsewhere = reading
        .entries()
        .filter(|(entry, own)| entry.key == key && *own == Own::Other);
    findings.extend(elsewhere.map(|(entry, _)| {
        Finding::KeyElsewhere {
            key,
            nexus: view::nexus_words(entry),
            earlier_session: entry
                .nexus
                .as_ref()
                .is_some_and(|nexus| is_earlier_session(session, nexus)),
        }
    }));
    findings
}

/// The same iSCSI initiator under another session identifier.
fn is_earlier_session(session: &Session, nexus: &NexusId) -> bool {
    let NexusId::Scsi {
        initiator: TransportId::Iscsi { name: theirs, .. },
        ..
    } = nexus
    else {
        return false;
    };
    session.disk.paths.iter().any(|path| match &path.nexus {
        Some(NexusId::Scsi {
            initiator: TransportId::Iscsi { name, .. },
            ..
        }) => name == theirs,
        Some(NexusId::Scsi { .. } | NexusId::Nvme { .. }) | None => false,
    })
}

impl Finding {
    const fn name(&self) -> &'static str {
        match self {
            Self::PathUnregistered { .. } => "path-unregistered",
            Self::PathDiffers { .. } => "path-differs",
            Self::KeyElsewhere { .. } => "key-elsewhere",
            Self::CannotTell => "cannot-tell",
        }
    }

    /// As a person reads it.
    pub(super) fn words(&self, paths: &[String]) -> String {
        match self {
            Self::PathUnregistered { path } => format!(
                "{} is not registered: writes over it fail; `repair` registers it",
                paths[*path]
            ),
            Self::PathDiffers { path, has, wanted } => format!(
                "{} has {has} registered, this host's other path has {wanted}; `repair` replaces it",
                paths[*path]
            ),
            Self::KeyElsewhere {
                key,
                nexus,
                earlier_session: true,
            } => format!(
                "{key} is registered at {nexus} too: an earlier session of this host (its ISID changed)"
            ),
            Self::KeyElsewhere {
                key,
                nexus,
                earlier_session: false,
            } => format!("{key} is registered at {nexus} too: two nodes share a key"),
            Self::CannotTell => {
                "the disk or this way to it does not tell which nexus registered which key"
                    .to_owned()
            }
        }
    }
}

struct AuditReport {
    about: About,
    paths: Vec<String>,
    key: Option<Key>,
    findings: Vec<Finding>,
    reading: Reading,
}

impl Report for AuditReport {
    fn schema(&self) -> &'static str {
        "disk-pr-audit"
    }

    fn json(&self) -> Value {
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|finding| json!({ "finding": finding.name(), "text": finding.words(&self.paths) }))
            .collect();
        json!({
            "disk": view::about_json(&self.about),
            "paths": self.paths,
            "key": self.key.map(|key| key.to_string()),
            "findings": findings,
            "state": view::state_json(&self.reading),
            "attentions": view::met_json(&self.reading.met),
        })
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        view::about_text(page, &self.about)?;
        view::met_text(page, &self.reading.met)?;
        view::state_text(page, &self.reading)?;
        if self.findings.is_empty() {
            let verdict = match self.key {
                Some(key) => format!("each path of this host has {key} registered"),
                None => "this host is not registered".to_owned(),
            };
            return writeln!(page, "{GOOD}in order{GOOD:#}    {verdict}");
        }
        for finding in &self.findings {
            writeln!(
                page,
                "{WARN}finding{WARN:#}     {}",
                finding.words(&self.paths)
            )?;
        }
        Ok(())
    }
}

//! `qctl disk list`: the disks of this host that can have reservations, from sysfs, unprivileged; and what
//! this process lacks for which verb.
//!
//! Nothing is opened and nothing is sent.

mod privileges;

use super::view;
use crate::Context;
use crate::exit::{Exit, Failure};
use crate::output::{BAD, FAINT, GOOD, Report, STRONG, WARN};
use nix::unistd::AccessFlags;
use privileges::Privileges;
use scsi::disk::{Identity, Usage};
use scsi::linux::{Listed, ListedKind, Roots};
use scsi::reservation::ResetScope;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::Path;

/// `qctl disk list`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  qctl disk list
  qctl --json disk list | jq -r '.disks[] | select(.uses == []) | .name'")]
pub(crate) struct Args {}

/// One disk of this host.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// `/dev/sdb`.
    pub(crate) name: String,
    /// Its generic node, `/dev/sg2`.
    generic: Option<String>,
    /// What it is.
    identity: Identity,
    /// `scsi`, `nvme` or `multipath`.
    kind: &'static str,
    /// The paths of a map.
    paths: Vec<String>,
    /// What on this host uses it.
    pub(crate) uses: Vec<Usage>,
    /// How this process may open it.
    access: Access,
}

/// How a node may be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// Not at all.
    None,
    /// To read.
    Read,
    /// To read and write.
    Write,
}

impl Access {
    const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl Args {
    /// Prints the disks.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let disks = disks();
        let privileges = Privileges::of_this_process(Path::new("/proc/self/status"));
        context.output.report(&List { disks, privileges })?;
        Ok(Exit::Done)
    }
}

/// The disks of this host, by the kernel's names.
fn disks() -> Vec<Entry> {
    let listed = scsi::linux::list(&Roots::default());
    listed.into_iter().map(Entry::of).collect()
}

impl Entry {
    fn of(disk: Listed) -> Self {
        let may = |flag| nix::unistd::access(Path::new(&disk.node), flag).is_ok();
        let access = match (may(AccessFlags::R_OK), may(AccessFlags::W_OK)) {
            (true, true) => Access::Write,
            (true, false) => Access::Read,
            (false, _) => Access::None,
        };
        Self {
            kind: match disk.kind {
                ListedKind::Scsi => "scsi",
                ListedKind::Multipath => "multipath",
                ListedKind::Nvme => "nvme",
            },
            name: disk.node,
            generic: disk.generic,
            identity: disk.identity,
            paths: disk.paths,
            uses: disk.usages,
            access,
        }
    }
}

/// The WWIDs of all disks of this host, each once.
pub(crate) fn wwids() -> Vec<String> {
    let mut wwids: Vec<String> = disks()
        .into_iter()
        .filter_map(|disk| disk.identity.wwid)
        .collect();
    wwids.sort();
    wwids.dedup();
    wwids
}

/// The other disks that a reset of this scope reaches, as far as this host sees them.
pub(crate) fn neighbours(identity: &Identity, scope: ResetScope) -> Vec<Entry> {
    let Some(here) = identity.address else {
        return Vec::new();
    };
    let reached = |entry: &Entry| {
        entry.identity.address.is_some_and(|there| {
            let target = (there.host, there.channel, there.target);
            there != here
                && match scope {
                    ResetScope::Lun => false,
                    ResetScope::Target => target == (here.host, here.channel, here.target),
                    ResetScope::Bus => (there.host, there.channel) == (here.host, here.channel),
                    ResetScope::Host => there.host == here.host,
                }
        })
    };
    disks().into_iter().filter(reached).collect()
}

struct List {
    disks: Vec<Entry>,
    privileges: Privileges,
}

impl Report for List {
    fn schema(&self) -> &'static str {
        "disk-list"
    }

    fn json(&self) -> Value {
        let disks: Vec<Value> = self.disks.iter().map(entry_json).collect();
        json!({ "disks": disks, "privileges": self.privileges.json() })
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        if self.disks.is_empty() {
            writeln!(
                page,
                "no disk of this host can have reservations (no SCSI, NVMe or multipath)"
            )?;
        }
        for disk in &self.disks {
            entry_text(page, disk)?;
        }
        self.privileges.text(page)
    }
}

fn entry_json(disk: &Entry) -> Value {
    let about = super::session::About {
        name: disk.name.clone(),
        identity: disk.identity.clone(),
    };
    let mut value = view::about_json(&about);
    value["kind"] = json!(disk.kind);
    value["generic"] = json!(disk.generic);
    value["paths"] = json!(disk.paths);
    value["uses"] = view::usages_json(&disk.uses);
    value["access"] = json!(disk.access.name());
    value
}

fn entry_text(page: &mut dyn Write, disk: &Entry) -> io::Result<()> {
    let identity = &disk.identity;
    write!(page, "{STRONG}{}{STRONG:#}", disk.name)?;
    if let Some(generic) = &disk.generic {
        write!(page, " {generic}")?;
    }
    let size = identity
        .size_bytes()
        .map_or_else(|| "size unknown".to_owned(), view::bytes_words);
    write!(page, "  {size}")?;
    if let Some(transport) = &identity.transport {
        write!(page, "  {transport}")?;
    }
    if let Some(address) = &identity.address {
        write!(page, " {address}")?;
    }
    writeln!(page)?;
    writeln!(page, "  {}", view::identity_line(identity))?;
    if !disk.paths.is_empty() {
        writeln!(page, "  paths  {}", disk.paths.join(" "))?;
    }
    for used in &disk.uses {
        writeln!(page, "  {WARN}in use{WARN:#}  {used}")?;
    }
    match disk.access {
        Access::None => writeln!(page, "  {BAD}may not be opened{BAD:#} by this process"),
        Access::Read => writeln!(page, "  {FAINT}may be opened to read{FAINT:#}"),
        Access::Write => writeln!(page, "  {GOOD}may be opened to read and write{GOOD:#}"),
    }
}

//! A disk, the files of the hosts around it, and `qctl arbitrate` as a process whose events a test reads.

use crate::folder::Folder;
pub(crate) use crate::running::{PATIENCE, Running, until};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A disk and the files of the hosts around it.
pub(crate) struct World(Folder);

impl World {
    pub(crate) fn new() -> Self {
        Self(Folder::new())
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.0.0
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.file(name)
    }

    pub(crate) fn disk(&self, node: u8) -> String {
        format!("emu:{}?nexus=n{node}", self.file("disk").display())
    }

    /// `qctl --json arbitrate OPTIONS DISK` on this node.
    pub(crate) fn qctl(&self, node: u8, options: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qctl"));
        command
            .args(["--json", "arbitrate", &format!("--node={node}")])
            .args(options)
            .arg("--host-files")
            .arg(self.directory())
            .arg(self.disk(node))
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn start(&self, node: u8, options: &[&str], command: &[&str]) -> Running {
        let mut qctl = self.qctl(node, options);
        if !command.is_empty() {
            qctl.arg("--").args(command);
        }
        Running::of(qctl)
    }

    /// Who is registered, as `qctl disk pr keys` of a stranger sees it.
    pub(crate) fn registrations(&self) -> usize {
        let name = format!("emu:{}?nexus=stranger", self.file("disk").display());
        let unit = scsi::emulated::look(&name, PATIENCE).unwrap();
        unit.persistent_state().registrations.len()
    }

    /// A number that a process has written there.
    pub(crate) fn number_in(&self, name: &str) -> i32 {
        let file = self.file(name);
        until("a process to say who it is", || {
            std::fs::read_to_string(&file).ok()?.trim().parse().ok()
        })
    }
}

/// Gone, or a zombie that nobody has waited for yet.
pub(crate) fn until_dead(pid: i32) {
    until("a process to die", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").map(|(_, rest)| rest.as_bytes()[0]);
        matches!(state, None | Some(b'Z' | b'X')).then_some(())
    });
}

pub(crate) fn is_alive(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

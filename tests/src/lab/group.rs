//! A group of cases: the guest that they run in.
//!
//! ```text
//! # What this guest is, and why.
//! kernel debian12                     one of those that `image::kernel` knows
//! cpus 1                              processors of the guest (default 1)
//! disk 64                             /dev/vda of so many MiB, zeros at a case's start; it outlives a `power-cut`
//! only all                            left out of the core set
//! modules sd_mod sg tcm_loop          loaded first, with what they depend on; `name(parameters)` where needed
//! node a sd=/dev/sda id=naa.60..1     a nexus: its nodes by name, and what tells it in READ FULL STATUS
//! fence_scsi                          that agent is in the guest too, and the Python that runs it
//! served                              beside each guest a target of ours runs on the host (`guest::served`); such
//!                                     a guest is booted for each case
//! drive iqn.2026-01.lab:q1            QEMU's own iSCSI driver logs in to that target: the guest's next disk
//! setup                               the rest is a shell script, run once; its end is what every case begins with
//! ```

use anyhow::{Context as _, Result, bail, ensure};
use std::collections::BTreeMap;
use std::path::Path;

/// A nexus of a group's guest.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Node {
    /// Device nodes and other words, by name: `sd`, `sg`, `id`, ...
    pub(crate) words: BTreeMap<String, String>,
}

/// A group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    /// What the guest is, in its file's words.
    pub(crate) about: String,
    pub(crate) kernel: String,
    pub(crate) cpus: u32,
    pub(crate) only_all: bool,
    /// Names with their parameters.
    pub(crate) modules: Vec<(String, String)>,
    pub(crate) nodes: BTreeMap<String, Node>,
    /// A target of ours on the host is part of it.
    pub(crate) served: bool,
    /// fence_scsi is in its guest.
    pub(crate) fence_scsi: bool,
    /// The names of QEMU's own initiators, one for each disk.
    pub(crate) drives: Vec<String>,
    /// Mebibytes of a disk of the case's own (/dev/vda) that outlives its machine; 0 for none.
    pub(crate) disk_mib: u64,
    pub(crate) setup: String,
}

impl Group {
    /// Every group, by name.
    pub(crate) fn read_all(folder: &Path) -> Result<BTreeMap<String, Self>> {
        let mut groups = BTreeMap::new();
        for entry in
            std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?
        {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(entry.path())?;
            let group = Self::parse(&name, &text).with_context(|| format!("group {name}"))?;
            groups.insert(name, group);
        }
        Ok(groups)
    }

    /// The name of its guest's archive: one for all groups of a kernel, but for what only some need.
    pub(crate) fn image(&self) -> String {
        if self.fence_scsi {
            format!("{}-fence_scsi", self.kernel)
        } else {
            self.kernel.clone()
        }
    }

    pub(crate) fn parse(name: &str, text: &str) -> Result<Self> {
        let mut group = Self {
            name: name.to_owned(),
            about: String::new(),
            kernel: String::new(),
            cpus: 1,
            only_all: false,
            modules: Vec::new(),
            nodes: BTreeMap::new(),
            served: false,
            fence_scsi: false,
            drives: Vec::new(),
            disk_mib: 0,
            setup: String::new(),
        };
        let mut rest = text;
        while let Some((line, behind)) = rest.split_once('\n') {
            rest = behind;
            if line == "setup" {
                rest.clone_into(&mut group.setup);
                break;
            }
            group.line(line).with_context(|| format!("line {line:?}"))?;
        }
        ensure!(
            !group.about.is_empty(),
            "it does not begin with what the guest is"
        );
        ensure!(
            crate::image::is_optional(&group.kernel).is_some(),
            "no kernel is called {:?}",
            group.kernel
        );
        ensure!(!group.setup.is_empty(), "it has no setup");
        ensure!(
            group.served || group.drives.is_empty(),
            "a drive wants a target: say `served`"
        );
        Ok(group)
    }

    fn line(&mut self, line: &str) -> Result<()> {
        if let Some(comment) = line.strip_prefix('#') {
            if !self.about.is_empty() {
                self.about.push(' ');
            }
            self.about.push_str(comment.trim());
            return Ok(());
        }
        let mut words = line.split_whitespace();
        match words.next() {
            None => {}
            Some("kernel") => self.kernel = words.next().context("which kernel?")?.to_owned(),
            Some("cpus") => self.cpus = words.next().context("how many?")?.parse()?,
            Some("disk") => self.disk_mib = words.next().context("how many MiB?")?.parse()?,
            Some("only") => {
                ensure!(words.next() == Some("all"), "only `all` can be meant");
                self.only_all = true;
            }
            Some("served") => self.served = true,
            Some("fence_scsi") => self.fence_scsi = true,
            Some("drive") => {
                let name = words.next().context("whose name?")?;
                self.drives.push(name.to_owned());
            }
            Some("modules") => self.modules.extend(words.map(module)),
            Some("node") => {
                let name = words.next().context("which node?")?;
                let mut node = Node::default();
                for word in words {
                    let (key, value) = word.split_once('=').context("not NAME=VALUE")?;
                    node.words.insert(key.to_owned(), value.to_owned());
                }
                self.nodes.insert(name.to_owned(), node);
            }
            Some(other) => bail!("{other} means nothing here"),
        }
        Ok(())
    }

    /// Puts the group's words in the place of `{sd}` (of this node) and `{b.sd}` (of node b).
    pub(crate) fn fill_in(&self, node: &str, text: &str) -> Result<String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            out.push_str(&rest[..at]);
            let behind = &rest[at + 1..];
            let end = behind.find('}').unwrap_or(0);
            let name = &behind[..end];
            let (of, word) = name.split_once('.').unwrap_or((node, name));
            // Braces of JSON and of shells pass through: only names are ours.
            if name.is_empty()
                || !name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
            {
                out.push('{');
                rest = behind;
                continue;
            }
            let value = self
                .nodes
                .get(of)
                .and_then(|node| node.words.get(word))
                .with_context(|| format!("{{{name}}}: node {of:?} has no such word"))?;
            out.push_str(value);
            rest = &behind[end + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }
}

/// `name` or `name(parameters)`.
fn module(word: &str) -> (String, String) {
    match word.split_once('(') {
        Some((name, parameters)) => (
            name.to_owned(),
            parameters.trim_end_matches(')').replace(',', " "),
        ),
        None => (word.to_owned(), String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# One LUN,\n# two nexuses.\nkernel debian12\ncpus 2\nmodules sg brd(rd_nr=1,rd_size=4)\n\
                        node a sd=/dev/sda id=x1\nnode b sd=/dev/sdb\nsetup\necho hello\n";

    #[test]
    fn a_group_reads_as_it_is_written() {
        let group = Group::parse("lio", TEXT).unwrap();
        assert_eq!(group.about, "One LUN, two nexuses.");
        assert_eq!((group.cpus, group.only_all), (2, false));
        assert_eq!(group.modules[1], ("brd".into(), "rd_nr=1 rd_size=4".into()));
        assert_eq!(group.setup, "echo hello\n");
    }

    #[test]
    fn words_of_a_node_are_filled_in_and_other_braces_stay() {
        let group = Group::parse("lio", TEXT).unwrap();
        assert_eq!(
            group.fill_in("a", "x {sd} {b.sd} {\"k\": 1}").unwrap(),
            "x /dev/sda /dev/sdb {\"k\": 1}"
        );
        assert!(group.fill_in("b", "{id}").is_err());
    }

    #[test]
    fn a_group_of_a_kernel_that_there_is_not_is_refused() {
        assert!(Group::parse("x", "# A.\nkernel vms\nsetup\ntrue\n").is_err());
        assert!(Group::parse("x", "kernel debian12\nsetup\ntrue\n").is_err());
    }
}

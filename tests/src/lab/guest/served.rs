//! A target of ours on the host, beside one guest: who logs in to it is not ours.
//!
//! ```text
//!   guest: open-iscsi ── virtio-net ── QEMU's user network, 10.0.2.2 ──► 127.0.0.1 ┐
//!   guest: sd ── virtio-scsi ── scsi-block ── QEMU's own iSCSI driver ─────────────┴─► qctl target serve
//! ```
//!
//! It listens at two ports: open-iscsi takes a second session to one address and port for a double.

use crate::leash::leash;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

/// The target's name.
const NAME: &str = "iqn.2026-01.lab:ours";

/// It runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Served {
    process: Child,
    file: PathBuf,
    portals: Vec<String>,
}

impl Served {
    /// Starts it on a new file in this folder.
    pub(crate) fn start(qctl: &Path, folder: &Path) -> Result<Self> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let file = folder.join(format!("served-{}-{serial}", std::process::id()));
        let mut command = Command::new(qctl);
        command
            .args(["--json", "target", "serve", "--size=64MiB", "--iqn", NAME])
            .args(["--listen=127.0.0.1:0", "--listen=127.0.0.1:0"])
            // One disk for all guests: what a kernel remembers by it, it remembers right.
            .args(["--serial=LAB0002", "--file"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        leash(&mut command);
        let mut process = command.spawn().context("start qctl target serve")?;
        let mut line = String::new();
        let stdout = process.stdout.take().context("it was asked for")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let mut served = Self {
            process,
            file,
            portals: Vec::new(),
        };
        let listening: Value = serde_json::from_str(&line).context("our target does not listen")?;
        let url = listening["url"].as_str().context("it tells no URL")?;
        let portals = url.trim_start_matches("iscsi://").split('/').next();
        let portals = portals.unwrap_or_default().split(',');
        served.portals = portals.map(str::to_owned).collect();
        Ok(served)
    }

    /// What it is for a node outside of the guest.
    pub(crate) fn url(&self) -> String {
        format!("iscsi://{}/{NAME}/0", self.portals[0])
    }

    /// Where a node outside of the guest keeps its files: no other case's nodes are on its host.
    pub(crate) fn host_files(&self) -> PathBuf {
        self.file.with_extension("host")
    }

    /// Writes to its medium, past every reservation.
    pub(crate) fn write(&self, offset: u64, byte: u8, length: u32) -> Result<()> {
        let file = std::fs::OpenOptions::new().write(true).open(&self.file)?;
        Ok(file.write_all_at(&vec![byte; length as usize], offset)?)
    }

    /// QEMU's devices: a network, and a disk for each of these initiators.
    pub(crate) fn devices(&self, drives: &[String]) -> Vec<String> {
        let mut words = vec![
            "-netdev".to_owned(),
            "user,id=net".to_owned(),
            "-device".to_owned(),
            // No ROM: nobody boots from it.
            "virtio-net-pci,netdev=net,romfile=".to_owned(),
            "-device".to_owned(),
            "virtio-scsi-pci,id=scsi".to_owned(),
        ];
        let portal = &self.portals[0];
        for (index, name) in drives.iter().enumerate() {
            words.extend([
                "-blockdev".to_owned(),
                format!(
                    "driver=iscsi,node-name=drive{index},transport=tcp,portal={portal},target={NAME},lun=0,\
                     initiator-name={name},cache.direct=on"
                ),
                "-device".to_owned(),
                format!("scsi-block,drive=drive{index},bus=scsi.0,share-rw=on"),
            ]);
        }
        words
    }

    /// What the set-up of its guest begins with: how the guest reaches it.
    pub(crate) fn prologue(&self) -> String {
        let mut text = format!("target={NAME}\n");
        for (index, portal) in self.portals.iter().enumerate() {
            let port = portal.rsplit(':').next().unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "port{}={port}", index + 1);
        }
        text
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _ended = self.process.wait();
        let _best_effort = std::fs::remove_file(&self.file);
        let _where_it_was_made = std::fs::remove_file(self.file.with_extension("aptpl"));
        let _where_it_was_made = std::fs::remove_dir_all(self.host_files());
    }
}

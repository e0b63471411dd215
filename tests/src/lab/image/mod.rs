//! What a guest is made of: a kernel, and one archive that is its whole file system.
//!
//! One image serves every group of a kernel: it has the modules of all of them, and the group says which are loaded.

mod cpio;
mod elf;
mod fencing;
mod kernel;
mod modinfo;
mod tools;
mod vmlinux;

pub(crate) use kernel::{Kernel, is_optional};
pub(crate) use tools::Tools;

use crate::paths::Paths;
use anyhow::{Context as _, Result, ensure};
use cpio::Cpio;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What must be loaded before the agent can be heard.
const BASE_MODULES: [&str; 2] = ["virtio_pci", "virtio_console"];

/// Root, and somebody with no privilege at all.
const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n";

/// Builds a kernel's archive and writes it to `to`.
///
/// `modules` are those of every group, `programs` our own, and the scripts of the cases: path here, and name in the
/// guest. With `fence_scsi` that agent is in it too.
pub(crate) fn build(
    paths: &Paths,
    fence_scsi: bool,
    kernel: &Kernel,
    tools: &Tools,
    modules: &[String],
    programs: &[(PathBuf, String)],
    to: &Path,
) -> Result<()> {
    let mut cpio = Cpio::default();
    for folder in [
        "proc",
        "sys",
        "dev",
        "tmp",
        "run",
        "etc",
        "root",
        "mnt",
        "var/target/pr",
        "var/target/alua",
        "m",
    ] {
        cpio.folder(folder);
    }
    add_busybox(&mut cpio, tools)?;
    for (inside, file) in tools.guest_files()? {
        cpio.file(&inside, read(&file)?);
    }
    if fence_scsi {
        for (inside, file) in fencing::files(paths, tools)? {
            cpio.file(&inside, read(&file)?);
        }
    }
    for (file, name) in programs {
        cpio.file(&format!("usr/bin/{name}"), read(file)?);
    }
    cpio.link("etc/mtab", "/proc/mounts");
    cpio.file("etc/passwd", PASSWD.to_vec());
    cpio.file("init", include_bytes!("init.sh").to_vec());

    let base = kernel.load_order(tools, &BASE_MODULES.map(str::to_owned))?;
    cpio.file("m/base", base.join("\n").into_bytes());
    let all = kernel.load_order(tools, modules)?;
    for name in base.iter().chain(&all) {
        if let Some(bytes) = kernel.module(tools, name)? {
            cpio.file(&module_path(name), bytes);
        }
    }
    std::fs::write(to, cpio.finish()).with_context(|| format!("write {}", to.display()))
}

/// Where a module's file is in the guest.
pub(crate) fn module_path(name: &str) -> String {
    format!("/m/{name}.ko")
}

/// Busybox and its applets as links; those that the image has as real programs are left out.
fn add_busybox(cpio: &mut Cpio, tools: &Tools) -> Result<()> {
    let busybox = tools.busybox()?;
    let output = Command::new(&busybox)
        .arg("--list")
        .output()
        .context("ask busybox for its applets")?;
    ensure!(output.status.success(), "busybox --list failed");
    for applet in String::from_utf8_lossy(&output.stdout).lines() {
        // Linking it over itself would leave nothing to run.
        if applet != "busybox" {
            cpio.link(&format!("bin/{applet}"), "busybox");
        }
    }
    cpio.file("bin/busybox", read(&busybox)?);
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("read {}", file.display()))
}

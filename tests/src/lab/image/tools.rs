//! Userland packages: what goes into a guest, and the decompressors that the host itself needs.
//!
//! All of Debian 12, whatever the host runs: programs come with the libraries of the same packages. The decompressors
//! are run on the host through those packages' own loader, so they need not be installed either.

use super::elf;
use super::vmlinux::Packing;
use crate::packages::Suite;
use crate::paths::Paths;
use anyhow::{Context as _, Result, bail, ensure};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The packages: for what they are there, or whose libraries.
const PACKAGES: [&str; 37] = [
    "busybox-static",
    "sg3-utils",
    "libsgutils2-1.46-2",
    "open-iscsi",
    "libopeniscsiusr",
    "libisns0",
    "libkmod2",
    "libmount1",
    "libblkid1",
    "libssl3",
    "libdbus-1-3",
    "libsystemd0",
    "libcap2",
    "libgcrypt20",
    "libgpg-error0",
    "dmsetup",
    "libdevmapper1.02.1",
    "libselinux1",
    "libudev1",
    "libpcre2-8-0",
    "e2fsprogs",
    "libext2fs2",
    "libcom-err2",
    "libss2",
    "ntfs-3g",
    "libntfs-3g89",
    "nvme-cli",
    "libnvme1",
    "libjson-c5",
    "libuuid1",
    "zlib1g",
    "xz-utils",
    "zstd",
    "liblzma5",
    "libzstd1",
    "liblz4-1",
    "libc6",
];

/// The C++ library that zstd's packaging asks for.
const MORE_LIBRARIES: [&str; 2] = ["libstdc++6", "libgcc-s1"];

/// Programs that every guest has.
const PROGRAMS: [&str; 18] = [
    "sg_persist",
    "sg_raw",
    "sg_reset",
    "sg_turs",
    "sg_inq",
    "sg_requests",
    "sg_readcap",
    "sg_luns",
    "sg_opcodes",
    "sg_vpd",
    "sg_compare_and_write",
    "iscsistart",
    "mkfs.ext4",
    "e2fsck",
    "mkntfs",
    "ntfsfix",
    "dmsetup",
    "nvme",
];

const LIBRARY_FOLDERS: [&str; 2] = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"];
const PROGRAM_FOLDERS: [&str; 4] = ["usr/bin", "usr/sbin", "bin", "sbin"];

/// The unpacked userland.
#[derive(Debug)]
pub(crate) struct Tools {
    folders: Vec<PathBuf>,
    /// What was done without, to be said.
    pub(crate) remarks: Vec<String>,
}

impl Tools {
    pub(crate) fn get(paths: &Paths) -> Result<Self> {
        let suite = Suite::open(paths, "bookworm")?;
        let packages: Vec<&str> = PACKAGES.iter().chain(&MORE_LIBRARIES).copied().collect();
        Ok(Self {
            folders: suite.unpack(&packages)?,
            remarks: suite.remarks,
        })
    }

    /// The busybox that is the guest's shell.
    pub(crate) fn busybox(&self) -> Result<PathBuf> {
        self.program("busybox")
    }

    /// Every program of a guest with every library that it needs: path in the guest, and file here.
    pub(crate) fn guest_files(&self) -> Result<BTreeMap<String, PathBuf>> {
        let mut files = BTreeMap::new();
        for name in PROGRAMS {
            let program = self.program(name)?;
            self.add_libraries(&program, &mut files)?;
            files.insert(format!("usr/bin/{name}"), program);
        }
        Ok(files)
    }

    /// These packages' files too, for programs that want their libraries.
    pub(super) fn with(&self, folders: &[PathBuf]) -> Self {
        Self {
            folders: self.folders.iter().chain(folders).cloned().collect(),
            remarks: Vec::new(),
        }
    }

    pub(super) fn add_libraries(
        &self,
        elf_file: &Path,
        files: &mut BTreeMap<String, PathBuf>,
    ) -> Result<()> {
        for name in elf::needed(&std::fs::read(elf_file)?) {
            // The loader is named by its path, libraries by their bare names.
            let (inside, name) = match name.strip_prefix('/') {
                Some(path) => (path.to_owned(), path.rsplit('/').next().unwrap_or(path)),
                None => (format!("usr/lib/x86_64-linux-gnu/{name}"), name.as_str()),
            };
            if files.contains_key(&inside) {
                continue;
            }
            let library = self.library(name).with_context(|| {
                format!("{} needs {name}, which no package has", elf_file.display())
            })?;
            files.insert(inside, library.clone());
            self.add_libraries(&library, files)?;
        }
        Ok(())
    }

    /// Undoes a compression.
    pub(crate) fn decompress(&self, packing: Packing, bytes: &[u8]) -> Result<Vec<u8>> {
        let program = self.program(match packing {
            Packing::Xz => "xz",
            Packing::Zstd => "zstd",
        })?;
        let loader = self
            .library("ld-linux-x86-64.so.2")
            .context("libc6 has no loader")?;
        let library_path: Vec<String> = self
            .folders
            .iter()
            .flat_map(|folder| LIBRARY_FOLDERS.map(|name| folder.join(name)))
            .filter(|folder| folder.is_dir())
            .map(|folder| folder.display().to_string())
            .collect();
        let mut child = Command::new(loader)
            .args(["--library-path", &library_path.join(":")])
            .arg(&program)
            .args(["-d", "-c", "-q"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("run {}", program.display()))?;
        let mut input = child.stdin.take().context("no pipe")?;
        let output = std::thread::scope(|scope| {
            // An error here is one of the program, which says it itself.
            scope.spawn(move || drop(input.write_all(bytes)));
            child.wait_with_output()
        })?;
        ensure!(
            output.status.success(),
            "{} ended with {}",
            program.display(),
            output.status
        );
        Ok(output.stdout)
    }

    fn program(&self, name: &str) -> Result<PathBuf> {
        for folder in &self.folders {
            for inside in PROGRAM_FOLDERS {
                let file = folder.join(inside).join(name);
                if file.is_file() {
                    return Ok(file);
                }
            }
        }
        bail!("no package of the lab has the program {name}")
    }

    fn library(&self, name: &str) -> Option<PathBuf> {
        self.folders
            .iter()
            .flat_map(|folder| LIBRARY_FOLDERS.map(|inside| folder.join(inside).join(name)))
            .find(|file| file.is_file())
    }
}

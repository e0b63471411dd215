//! A kernel: the packages it is in, its ELF, and its modules.

use super::modinfo;
use super::tools::Tools;
use super::vmlinux::{self, Packing};
use crate::packages::Suite;
use crate::paths::Paths;
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The kernels that groups can ask for: name, suite, and why a lab without it is still a lab (none: it is not).
const KERNELS: [(&str, &str, Option<&str>); 2] = [
    ("debian12", "bookworm", None),
    (
        "newer",
        "trixie-backports",
        Some("a kernel that Debian 12 itself does not have"),
    ),
];

/// A kernel, ready to boot.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// As Debian calls it, such as `6.1.0-56-amd64`.
    pub(crate) version: String,
    /// The ELF that QEMU boots.
    pub(crate) vmlinux: PathBuf,
    /// Module files by plain name.
    modules: BTreeMap<String, PathBuf>,
    /// Where modules go that had to be decompressed.
    decompressed: PathBuf,
    /// What was done without, to be said.
    pub(crate) remarks: Vec<String>,
}

/// May the lab go on without this kernel? And is there such a kernel at all?
pub(crate) fn is_optional(name: &str) -> Option<bool> {
    KERNELS
        .iter()
        .find(|(known, _, _)| *known == name)
        .map(|(_, _, optional)| optional.is_some())
}

impl Kernel {
    /// Gets a kernel: the newest that its suite serves.
    pub(crate) fn get(paths: &Paths, tools: &Tools, name: &str) -> Result<Self> {
        let &(_, suite, _) = KERNELS
            .iter()
            .find(|(known, _, _)| *known == name)
            .with_context(|| format!("no kernel is called {name}"))?;
        let suite = Suite::open(paths, suite)?;
        let image = suite
            .depends("linux-image-amd64")?
            .into_iter()
            .find(|package| package.starts_with("linux-image-"))
            .context("linux-image-amd64 depends on no kernel")?;
        // From 7.x on the kernel's package is empty and depends on those with the files.
        let mut packages: Vec<String> = suite
            .depends(&image)?
            .into_iter()
            .filter(|package| {
                package.starts_with("linux-binary-") || package.starts_with("linux-modules-")
            })
            .collect();
        if packages.is_empty() {
            packages.push(image.clone());
        }
        let asked: Vec<&str> = packages.iter().map(String::as_str).collect();
        let folders = suite.unpack(&asked)?;
        let version = image.trim_start_matches("linux-image-").to_owned();

        let key = folders
            .iter()
            .find_map(|folder| folder.file_name())
            .context("a package without a name")?;
        let place = paths.kernels().join(key);
        let decompressed = place.join("modules");
        std::fs::create_dir_all(&decompressed)?;
        let vmlinux = place.join("vmlinux");
        if !vmlinux.exists() {
            extract(tools, &find_image(&folders, &version)?, &vmlinux)?;
        }
        let mut modules = BTreeMap::new();
        for folder in &folders {
            for root in ["lib/modules", "usr/lib/modules"] {
                index(&folder.join(root), &mut modules)?;
            }
        }
        Ok(Self {
            version,
            vmlinux,
            modules,
            decompressed,
            remarks: suite.remarks,
        })
    }

    /// The modules to load for these, in order.
    pub(crate) fn load_order(&self, tools: &Tools, wanted: &[String]) -> Result<Vec<String>> {
        modinfo::load_order(wanted, &mut |name| {
            Ok(self
                .module(tools, name)?
                .map(|bytes| modinfo::dependencies(&bytes)))
        })
    }

    /// A module's bytes; none when the kernel has it built in, or not at all.
    pub(crate) fn module(&self, tools: &Tools, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.modules.get(name) else {
            return Ok(None);
        };
        if file.extension().is_none_or(|extension| extension != "xz") {
            return Ok(Some(std::fs::read(file)?));
        }
        let plain = self.decompressed.join(format!("{name}.ko"));
        if !plain.exists() {
            let bytes = tools.decompress(Packing::Xz, &std::fs::read(file)?)?;
            write_whole(&plain, &bytes)?;
        }
        Ok(Some(std::fs::read(plain)?))
    }
}

fn find_image(folders: &[PathBuf], version: &str) -> Result<PathBuf> {
    folders
        .iter()
        .flat_map(|folder| {
            [
                folder.join(format!("boot/vmlinuz-{version}")),
                folder.join(format!("usr/lib/modules/{version}/vmlinuz")),
            ]
        })
        .find(|file| file.is_file())
        .with_context(|| format!("no vmlinuz in the packages of {version}"))
}

fn extract(tools: &Tools, image: &Path, to: &Path) -> Result<()> {
    let bytes = std::fs::read(image)?;
    let (packing, payload) =
        vmlinux::payload(&bytes).with_context(|| format!("read {}", image.display()))?;
    let elf = tools.decompress(packing, payload)?;
    anyhow::ensure!(
        elf.starts_with(b"\x7fELF"),
        "the payload of {} is no ELF",
        image.display()
    );
    write_whole(to, &elf)
}

/// A file that is there is whole: written beside its place, then renamed.
fn write_whole(to: &Path, bytes: &[u8]) -> Result<()> {
    let beside = to.with_extension(format!("part{}", std::process::id()));
    std::fs::write(&beside, bytes)?;
    std::fs::rename(&beside, to)?;
    Ok(())
}

fn index(folder: &Path, modules: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry?.path();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            index(&path, modules)?;
        } else if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
            let name = name.strip_suffix(".xz").unwrap_or(name);
            if let Some(name) = name.strip_suffix(".ko") {
                modules.insert(modinfo::plain(name), path.clone());
            }
        }
    }
    Ok(())
}

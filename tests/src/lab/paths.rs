//! Where the lab keeps things: all of it under `target/lab`, all of it can be deleted.
//!
//! ```text
//! target/lab/apt/SUITE/      lists of what a suite serves (private: the machine's own lists stay as they are)
//!            debs/           packages as downloaded; their names have their versions
//!            unpacked/NAME/  a package's files
//!            kernels/NAME/   vmlinux, and modules decompressed
//!            build/          our own programs, static
//!            run/            initramfs images, saved states, consoles
//! ```

use std::path::{Path, PathBuf};

/// The folders of the lab.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    /// The workspace's root.
    pub(crate) workspace: PathBuf,
    /// `target/lab`.
    pub(crate) lab: PathBuf,
}

impl Paths {
    pub(crate) fn new() -> Self {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .unwrap_or(Path::new("/"))
            .to_path_buf();
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| workspace.join("target"), |given| workspace.join(given));
        Self {
            lab: target.join("lab"),
            workspace,
        }
    }

    /// The groups' descriptions.
    pub(crate) fn groups(&self) -> PathBuf {
        self.workspace.join("tests/lab/groups")
    }

    /// The cases, a folder for each group.
    pub(crate) fn cases(&self) -> PathBuf {
        self.workspace.join("tests/lab/cases")
    }

    /// Scripts that cases run in a guest.
    pub(crate) fn scripts(&self) -> PathBuf {
        self.workspace.join("tests/lab/guest")
    }

    pub(crate) fn apt(&self, suite: &str) -> PathBuf {
        self.lab.join("apt").join(suite)
    }

    pub(crate) fn debs(&self) -> PathBuf {
        self.lab.join("debs")
    }

    pub(crate) fn unpacked(&self) -> PathBuf {
        self.lab.join("unpacked")
    }

    pub(crate) fn kernels(&self) -> PathBuf {
        self.lab.join("kernels")
    }

    pub(crate) fn build(&self) -> PathBuf {
        self.lab.join("build")
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.lab.join("run")
    }
}

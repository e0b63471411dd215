//! A file system on a loop device, gone with the test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Which.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Ext4,
    /// By ntfs-3g, a process in user space.
    Ntfs,
}

/// A folder of a test's own, and in it a mounted file system.
pub(crate) struct Volume {
    folder: PathBuf,
    node: String,
    kind: Kind,
}

/// Runs a program to its end.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("{program} {}: {said}", arguments.join(" ")))
}

/// A folder for one test.
pub(crate) fn folder() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("log-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

impl Volume {
    /// Makes and mounts one; says why it cannot.
    pub(crate) fn new(kind: Kind) -> Result<Self, String> {
        if !nix::unistd::geteuid().is_root() {
            return Err("a loop device and a mount need root".to_owned());
        }
        let folder = folder();
        let image = folder.join("image");
        std::fs::File::create(&image)
            .and_then(|file| file.set_len(32 << 20))
            .unwrap();
        let image = image.display().to_string();
        let node = run("losetup", &["--find", "--show", &image]);
        let node = match node {
            Ok(node) => node,
            Err(why) => {
                drop(std::fs::remove_dir_all(&folder));
                return Err(why);
            }
        };
        let volume = Self { folder, node, kind };
        std::fs::create_dir_all(volume.root()).unwrap();
        match kind {
            Kind::Ext4 => run("mkfs.ext4", &["-q", "-F", &volume.node])?,
            Kind::Ntfs => run("mkntfs", &["-q", "-Q", "-F", &volume.node])?,
        };
        volume.mount()?;
        Ok(volume)
    }

    /// Where it is mounted.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// A folder that is not on it.
    pub(crate) fn elsewhere(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn mount(&self) -> Result<(), String> {
        let root = self.root().display().to_string();
        match self.kind {
            Kind::Ext4 => run("mount", &["-t", "ext4", &self.node, &root])?,
            Kind::Ntfs => run("ntfs-3g", &[&self.node, &root])?,
        };
        Ok(())
    }

    pub(crate) fn unmount(&self) -> Result<(), String> {
        run("umount", &[&self.root().display().to_string()]).map(|_| ())
    }

    /// Fills it to the last block.
    pub(crate) fn fill(&self) {
        let block = vec![0x5a; 1 << 16];
        let mut file = std::fs::File::create(self.root().join("rest")).unwrap();
        while std::io::Write::write_all(&mut file, &block).is_ok() {}
        drop(file.sync_all());
        assert!(
            std::fs::write(self.root().join("more"), &block).is_err(),
            "it is full"
        );
    }

    /// Ends the process that serves it, where there is one.
    pub(crate) fn kill_server(&self) -> Result<(), String> {
        // By its arguments: the device is this test's own.
        for entry in std::fs::read_dir("/proc").map_err(|error| error.to_string())? {
            let Ok(entry) = entry else { continue };
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
            if words
                .first()
                .is_some_and(|program| program.ends_with(b"ntfs-3g"))
                && words.get(1) == Some(&self.node.as_bytes())
            {
                let number = entry.file_name().to_string_lossy().parse::<i32>();
                let process = nix::unistd::Pid::from_raw(number.map_err(|e| e.to_string())?);
                return nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGKILL)
                    .map_err(|error| error.to_string());
            }
        }
        Err(format!("no ntfs-3g serves {}", self.node))
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Whatever of it is there.
        drop(run("umount", &["-l", &self.root().display().to_string()]));
        drop(run("losetup", &["--detach", &self.node]));
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

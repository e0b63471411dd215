//! Debian packages: resolved, downloaded and unpacked, never installed, and without root.
//!
//! Invariants:
//! * the machine's own package state is not touched: lists, caches and sources are private to the lab;
//! * a download is keyed by the file name that the mirror gives it, which has the version; a newer version is
//!   another file, and an older one stays usable when the mirror cannot be reached (which is said);
//! * a package is unpacked beside its place and then renamed to it: a folder that is there is whole.

mod source;

use crate::paths::Paths;
use anyhow::{Context as _, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What the host must have; the rest is downloaded.
pub(crate) const HOST_PROGRAMS: [(&str, &str); 4] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("apt-get", "apt"),
    ("dpkg-deb", "dpkg"),
    ("cc", "gcc libc6-dev"),
];

/// How old a suite's lists may be before they are fetched again.
const LISTS_AGE: Duration = Duration::from_secs(24 * 3600);

/// One suite of Debian, with the lab's own lists of it.
pub(crate) struct Suite {
    root: PathBuf,
    paths: Paths,
    /// What could not be done, and was done without.
    pub(crate) remarks: Vec<String>,
}

/// What is missing on this host, in words that can be followed.
pub(crate) fn check_host() -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        |program: &str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let missing: Vec<&str> = HOST_PROGRAMS
        .iter()
        .filter(|(program, _)| !found(program))
        .map(|&(_, package)| package)
        .collect();
    ensure!(
        missing.is_empty(),
        "the lab needs these Debian packages on the host: {0}\n  get them with: apt-get install {0}\n\
         Everything else (kernels, sg3-utils, busybox, open-iscsi, ...) it downloads and unpacks under target/lab \
         itself, which needs apt and a Debian mirror but no root.",
        missing.join(" ")
    );
    Ok(())
}

impl Suite {
    /// Opens a suite, fetching its lists when they are missing or old.
    pub(crate) fn open(paths: &Paths, suite: &str) -> Result<Self> {
        let root = paths.apt(suite);
        for folder in ["lists/partial", "cache/archives/partial"] {
            std::fs::create_dir_all(root.join(folder))?;
        }
        std::fs::write(root.join("status"), "")?;
        let mut suite_lists = Self {
            root: root.clone(),
            paths: paths.clone(),
            remarks: Vec::new(),
        };
        let sources = sources_text(suite);
        let stamp = root.join("fetched");
        let is_fresh = std::fs::read_to_string(root.join("sources.list"))
            .is_ok_and(|written| written == sources)
            && std::fs::metadata(&stamp)
                .and_then(|meta| meta.modified())
                .is_ok_and(|time| time.elapsed().is_ok_and(|age| age < LISTS_AGE));
        if !is_fresh {
            std::fs::write(root.join("sources.list"), &sources)?;
            match suite_lists.apt("apt-get", &["--error-on=any", "update"]) {
                Ok(_) => std::fs::write(&stamp, "")?,
                Err(error) if stamp.exists() => suite_lists.remarks.push(format!(
                    "the lists of {suite} could not be fetched anew, yesterday's are used: {error:#}"
                )),
                Err(error) => {
                    return Err(error).with_context(|| format!("fetch the package lists of {suite}"));
                }
            }
        }
        Ok(suite_lists)
    }

    /// The packages that a package depends on, by name.
    pub(crate) fn depends(&self, package: &str) -> Result<Vec<String>> {
        let text = self.apt("apt-cache", &["depends", package])?;
        Ok(text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Depends: "))
            .map(str::to_owned)
            .collect())
    }

    /// Downloads and unpacks packages; gives the folders, in the same order.
    pub(crate) fn unpack(&self, packages: &[&str]) -> Result<Vec<PathBuf>> {
        let mut arguments = vec!["download", "--print-uris"];
        arguments.extend(packages);
        let uris = self.apt("apt-get", &arguments)?;
        let mut folders = vec![None; packages.len()];
        for (file, bytes) in uris.lines().filter_map(parse_uri_line) {
            let deb = self.paths.debs().join(&file);
            let package = file.split('_').next().unwrap_or_default();
            if std::fs::metadata(&deb).map(|meta| meta.len()).ok() != Some(bytes) {
                self.download(package)?;
            }
            let index = packages
                .iter()
                .position(|&asked| asked == package)
                .with_context(|| format!("apt offers {file}, which nobody asked for"))?;
            folders[index] = Some(self.unpack_file(&deb)?);
        }
        folders
            .into_iter()
            .zip(packages)
            .map(|(folder, package)| {
                folder.with_context(|| format!("the mirror does not serve {package}"))
            })
            .collect()
    }

    fn download(&self, package: &str) -> Result<()> {
        std::fs::create_dir_all(self.paths.debs())?;
        self.apt_in(
            &self.paths.debs(),
            "apt-get",
            &["--quiet=2", "download", package],
        )?;
        Ok(())
    }

    fn unpack_file(&self, deb: &Path) -> Result<PathBuf> {
        let name = deb.file_stem().context("a package without a name")?;
        let place = self.paths.unpacked().join(name);
        if place.is_dir() {
            return Ok(place);
        }
        let beside = place.with_extension("part");
        drop(std::fs::remove_dir_all(&beside));
        std::fs::create_dir_all(&beside)?;
        let status = Command::new("dpkg-deb")
            .arg("-x")
            .arg(deb)
            .arg(&beside)
            .status()
            .context("run dpkg-deb")?;
        ensure!(
            status.success(),
            "dpkg-deb could not unpack {}",
            deb.display()
        );
        std::fs::rename(&beside, &place)?;
        Ok(place)
    }

    fn apt(&self, program: &str, arguments: &[&str]) -> Result<String> {
        self.apt_in(&self.root, program, arguments)
    }

    /// Runs apt on the lab's own lists.
    fn apt_in(&self, folder: &Path, program: &str, arguments: &[&str]) -> Result<String> {
        let option = |name: &str, value: &Path| format!("{name}={}", value.display());
        let output = Command::new(program)
            .current_dir(folder)
            .env("LC_ALL", "C")
            .arg("-o")
            .arg(option(
                "Dir::Etc::sourcelist",
                &self.root.join("sources.list"),
            ))
            .args(["-o", "Dir::Etc::sourceparts=/dev/null"])
            .arg("-o")
            .arg(option("Dir::State::lists", &self.root.join("lists")))
            // What is installed here must not sway which version is taken.
            .arg("-o")
            .arg(option("Dir::State::status", &self.root.join("status")))
            .arg("-o")
            .arg(option("Dir::Cache", &self.root.join("cache")))
            // The folders are ours and hold nothing secret: no need of apt's own user, who may not reach them.
            .args(["-o", "APT::Sandbox::User=root"])
            .args([
                "-o",
                "Acquire::Retries=3",
                "-o",
                "Acquire::http::Timeout=60",
            ])
            .args(arguments)
            .output()
            .with_context(|| format!("run {program}"))?;
        if !output.status.success() {
            bail!(
                "{program} {}: {}\n  (the same by hand: apt-get download PACKAGE, from a Debian mirror that this \
                 machine can reach)",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// `'URI' FILE BYTES HASH` of `apt-get download --print-uris`.
fn parse_uri_line(line: &str) -> Option<(String, u64)> {
    let mut words = line.strip_prefix('\'')?.split_whitespace();
    let _uri = words.next()?;
    let file = words.next()?;
    let bytes = words.next()?.parse().ok()?;
    Some((file.to_owned(), bytes))
}

fn sources_text(suite: &str) -> String {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(parts) = std::fs::read_dir("/etc/apt/sources.list.d") {
        let mut parts: Vec<PathBuf> = parts.flatten().map(|entry| entry.path()).collect();
        parts.sort();
        files.extend(parts);
    }
    let mirror = |archive: &str| {
        files
            .iter()
            .filter_map(|file| std::fs::read_to_string(file).ok())
            .find_map(|text| source::debian_mirror(&text, archive))
    };
    let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let signed_by = if Path::new(keyring).exists() {
        format!("[signed-by={keyring}] ")
    } else {
        String::new()
    };
    let main = mirror(source::MAIN).unwrap_or_else(|| source::FALLBACK.to_owned());
    let mut text = format!("deb {signed_by}{main} {suite} main\n");
    // Backports have no security updates of their own.
    if !suite.contains('-')
        && let Some(security) = mirror(source::SECURITY)
    {
        text.push_str(&format!(
            "deb {signed_by}{security} {suite}-security main\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apt_would_download_is_read_from_its_own_words() {
        let line =
            "'http://m.example/debian/pool/b_1%2b1_amd64.deb' b_1+1_amd64.deb 1900 SHA256:00";
        assert_eq!(
            parse_uri_line(line).unwrap(),
            ("b_1+1_amd64.deb".to_owned(), 1900)
        );
        assert_eq!(parse_uri_line("W: something"), None);
    }
}

//! Our own programs for the guests: built once more, static, so that a guest needs no library of the host.

use crate::paths::Paths;
use anyhow::{Context as _, Result, ensure};
use std::path::PathBuf;
use std::process::Command;

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Package and program.
const PROGRAMS: [(&str, &str); 6] = [
    ("tests", "lab-agent"),
    ("tests", "lab-unit"),
    ("tests", "lab-bench"),
    ("tests", "lab-handles"),
    ("tests", "lab-log"),
    ("qctl", "qctl"),
];

/// The daemon that the README shows, of package `quorum`.
const EXAMPLE: &str = "daemon";

/// Builds them; gives file and name of each.
pub(crate) fn build(paths: &Paths) -> Result<Vec<(PathBuf, String)>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command
        .current_dir(&paths.workspace)
        .args([
            "build",
            "--quiet",
            "--release",
            "--target",
            TARGET,
            "--target-dir",
        ])
        .arg(paths.build())
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        // Smaller and sooner: the guest keeps them in memory, and nobody debugs there.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
        .env_remove("CARGO_TARGET_DIR");
    for (package, program) in PROGRAMS {
        command.args(["--package", package, "--bin", program]);
    }
    command.args(["--package", "quorum", "--example", EXAMPLE]);
    let status = command.status().context("run cargo")?;
    ensure!(status.success(), "the programs for the guests do not build");
    let example = program_file(paths, "examples").join(EXAMPLE);
    let programs = PROGRAMS
        .iter()
        .map(|(_, program)| (program_file(paths, program), (*program).to_owned()));
    Ok(programs.chain([(example, EXAMPLE.to_owned())]).collect())
}

/// Our program, which runs on the host too.
pub(crate) fn qctl(paths: &Paths) -> PathBuf {
    program_file(paths, "qctl")
}

fn program_file(paths: &Paths, program: &str) -> PathBuf {
    paths.build().join(TARGET).join("release").join(program)
}

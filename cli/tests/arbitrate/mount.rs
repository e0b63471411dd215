//! `qctl arbitrate --mount`: a file system that is the owner's alone. Needs root, a loop device and mke2fs; where they
//! cannot be had it says so and passes.

use super::lateness::in_time;
use super::world::{Running, World};
use nix::sys::signal::Signal;
use std::path::Path;
use std::process::Command;

/// A loop device with ext4 on it.
struct Loop(String);

impl Loop {
    fn new(file: &Path) -> Option<Self> {
        let run = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).output().ok()?;
            let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            output.status.success().then_some(said)
        };
        let path = file.to_str()?;
        std::fs::File::create(file).ok()?.set_len(16 << 20).ok()?;
        run("mke2fs", &["-q", "-t", "ext4", path])?;
        run("losetup", &["--find", "--show", path]).map(Self)
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _gone = Command::new("losetup").args(["--detach", &self.0]).output();
    }
}

fn is_mounted(target: &Path) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    mounts
        .lines()
        .any(|line| line.split(' ').nth(1) == target.to_str())
}

/// Starts an owner whose command writes in the mounted file system until it is stopped.
fn start(world: &World, device: &Loop, target: &Path) -> Running {
    let mount = format!("--mount={}:{}", device.0, target.display());
    let line = format!(
        "while :; do date >> {}; sleep 0.05; done",
        target.join("log").display()
    );
    let mut qctl = world.start(1, &[&mount], &["sh", "-c", &line]);
    assert_eq!(qctl.until("mounted")["kind"], "ext4");
    qctl.until("command-started");
    qctl
}

#[test]
fn the_owner_mounts_after_the_win_and_unmounts_before_it_gives_the_disk_back_or_when_it_is_lost() {
    let world = World::new();
    let target = world.file("mnt");
    std::fs::create_dir(&target).unwrap();
    let Some(device) = Loop::new(&world.file("image")) else {
        skipped("no root, no loop device or no mke2fs");
        return;
    };
    in_time(|| {
        let mut qctl = start(&world, &device, &target);
        assert!(is_mounted(&target));
        qctl.signal(Signal::SIGTERM);
        assert!(qctl.until("unmounted")["error"].is_null());
        assert_eq!(qctl.until("stopped")["reason"], "released");
        assert!(!is_mounted(&target));

        let mut qctl = start(&world, &device, &target);
        let stranger = format!("emu:{}?nexus=stranger", world.file("disk").display());
        for verb in [
            &["register", "--key=0x77"][..],
            &["clear", "--key=0x77", "--yes"],
        ] {
            let pr = Command::new(env!("CARGO_BIN_EXE_qctl"))
                .args(["disk", "pr"])
                .args(verb)
                .arg(&stranger)
                .output()
                .unwrap();
            assert!(pr.status.success(), "{verb:?}: {pr:?}");
        }
        qctl.until("command-ended");
        assert!(qctl.until("unmounted")["error"].is_null());
        assert_eq!(qctl.end().0, Some(106));
        assert!(!is_mounted(&target));
    });
    let fsck = Command::new("e2fsck")
        .args(["-fn", &device.0])
        .output()
        .unwrap();
    let journal_only = fsck.status.code().is_some_and(|code| code <= 1);
    assert!(journal_only, "{}", String::from_utf8_lossy(&fsck.stdout));
}

#[expect(clippy::print_stderr, reason = "a test that does not run says so")]
fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}

/// The arbiter gives the disk back by itself, while the file system is being mounted.
#[test]
fn an_owner_without_the_watchdog_that_it_was_told_to_have_leaves_nothing_mounted() {
    in_time(|| {
        let world = World::new();
        let target = world.file("mnt");
        std::fs::create_dir(&target).unwrap();
        let Some(device) = Loop::new(&world.file("image")) else {
            skipped("no root, no loop device or no mke2fs");
            return;
        };
        let mount = format!("--mount={}:{}", device.0, target.display());
        let options = ["--takeover=8s", "--watchdog=/dev/null", &mount];
        let mut qctl = world.start(1, &options, &["true"]);
        qctl.until("watchdog-failed");
        let (code, said) = qctl.end();
        assert_eq!(code, Some(15), "{said}");
        assert!(!is_mounted(&target), "{said}");
        assert!(!said.contains("command-started"));
        assert_eq!(world.registrations(), 0);
    });
}

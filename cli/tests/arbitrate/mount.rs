//! `qctl arbitrate --mount`: a file system that is the owner's alone. Needs root, a loop device and mke2fs; where they
//! cannot be had it says so and passes.

use super::lateness::in_time;
use super::world::{Running, World, until};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// A loop device with ext4 on it, and a place to mount it.
struct Volume {
    device: String,
    target: PathBuf,
    /// Another test's namespace of mounts would be a copy of ours, with this mount in it.
    _alone: File,
}

impl Volume {
    fn new(world: &World) -> Option<Self> {
        let run = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).output().ok()?;
            let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            output.status.success().then_some(said)
        };
        let alone = File::create(std::env::temp_dir().join("qctl-test-mount.lock")).ok()?;
        alone.lock().ok()?;
        let (file, target) = (world.file("image"), world.file("mnt"));
        std::fs::create_dir(&target).unwrap();
        File::create(&file).ok()?.set_len(16 << 20).ok()?;
        run("mke2fs", &["-q", "-t", "ext4", file.to_str()?])?;
        Some(Self {
            device: run("losetup", &["--find", "--show", file.to_str()?])?,
            target,
            _alone: alone,
        })
    }

    fn option(&self) -> String {
        format!("--mount={}:{}", self.device, self.target.display())
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if is_mounted(&self.target) {
            let _gone = Command::new("umount").arg(&self.target).output();
        }
        let _gone = Command::new("losetup")
            .args(["--detach", &self.device])
            .output();
    }
}

/// Plays it with a world and a volume of its own.
fn with_volume(scenario: impl Fn(&World, &Volume)) {
    in_time(|| {
        let world = World::new();
        match Volume::new(&world) {
            Some(volume) => scenario(&world, &volume),
            None => skipped("no root, no loop device or no mke2fs"),
        }
    });
}

fn is_mounted(target: &Path) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    mounts
        .lines()
        .any(|line| line.split(' ').nth(1) == target.to_str())
}

/// Starts an owner whose command writes in the mounted file system until it is stopped.
fn start(world: &World, volume: &Volume) -> Running {
    let mount = volume.option();
    let line = format!(
        "while :; do date >> {}; sleep 0.05; done",
        volume.target.join("log").display()
    );
    let mut qctl = world.start(1, &[&mount], &["sh", "-c", &line]);
    assert_eq!(qctl.until("mounted")["kind"], "ext4");
    qctl.until("command-started");
    qctl
}

/// Starts an owner that is stopped at once, and ends as the command does.
fn start_and_stop(world: &World, volume: &Volume) {
    let mut qctl = start(world, volume);
    qctl.signal(Signal::SIGTERM);
    assert!(qctl.until("unmounted")["error"].is_null());
    assert_eq!(qctl.until("stopped")["reason"], "released");
    assert_eq!(qctl.end().0, Some(143));
    assert!(!is_mounted(&volume.target));
}

/// Somebody takes the owner's registration away.
fn take_away(world: &World) {
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
}

/// A process with a copy of every mount, as a container has.
struct Container(Child);

impl Container {
    fn start() -> Option<Self> {
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--propagation=private", "sleep", "600"]);
        let mut container = Self(unshare.spawn().ok()?);
        let process = &mut container.0;
        until("another namespace of mounts", || {
            let name = std::fs::read_to_string(format!("/proc/{}/comm", process.id())).ok()?;
            let over = process.try_wait().ok()?.is_some();
            (name.trim() == "sleep" || over).then_some(())
        });
        process.try_wait().ok()?.is_none().then_some(container)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _ended = self.0.wait();
    }
}

#[test]
fn the_owner_mounts_after_the_win_and_unmounts_before_it_gives_the_disk_back_or_when_it_is_lost() {
    with_volume(|world, volume| {
        start_and_stop(world, volume);

        let mut qctl = start(world, volume);
        assert!(is_mounted(&volume.target));
        take_away(world);
        qctl.until("command-ended");
        assert!(qctl.until("unmounted")["error"].is_null());
        assert_eq!(qctl.end().0, Some(106));
        assert!(!is_mounted(&volume.target));

        let fsck = Command::new("e2fsck")
            .args(["-fn", &volume.device])
            .output()
            .unwrap();
        let journal_only = fsck.status.code().is_some_and(|code| code <= 1);
        assert!(journal_only, "{}", String::from_utf8_lossy(&fsck.stdout));
    });
}

#[test]
fn a_disk_whose_file_system_another_namespace_still_has_is_not_given_back_and_that_process_is_named()
 {
    with_volume(|world, volume| {
        let mut qctl = start(world, volume);
        let Some(container) = Container::start() else {
            return skipped("no namespace of mounts");
        };
        let named = format!("process {} (sleep)", container.0.id());
        qctl.signal(Signal::SIGTERM);
        let error = qctl.until("unmounted")["error"].to_string();
        let (code, said) = qctl.end();
        assert!(error.contains(&named), "{error}");
        assert_eq!(code, Some(112), "{said}");
        assert!(said.contains(&named), "{said}");
        assert!(!said.contains("released"), "{said}");
        assert_eq!(world.registrations(), 1);
        drop(container);
        start_and_stop(world, volume);
        assert_eq!(world.registrations(), 0);
    });
}

#[test]
fn a_file_system_that_outlives_a_loss_writes_nothing_more_and_keeps_this_host_from_contending() {
    with_volume(|world, volume| {
        let mut qctl = start(world, volume);
        let mut file = File::create(volume.target.join("open")).unwrap();
        take_away(world);
        let error = qctl.until("unmounted")["error"].to_string();
        let me = format!("process {} ", std::process::id());
        assert!(error.contains(&me), "{error}");
        assert_eq!(qctl.end().0, Some(106));
        assert!(!is_mounted(&volume.target));
        let write = file.write_all(b"of an earlier term");
        assert_eq!(
            write.unwrap_err().raw_os_error(),
            Some(Errno::EIO as i32),
            "shut down"
        );

        let mount = volume.option();
        let (code, said) = world.start(1, &[&mount], &["true"]).end();
        assert_eq!(code, Some(107), "{said}");
        assert!(said.contains(&me), "{said}");
        assert_eq!(world.registrations(), 0);
        drop(file);
        start_and_stop(world, volume);
    });
}

#[test]
fn what_an_operator_has_unmounted_is_unmounted() {
    with_volume(|world, volume| {
        let mount = volume.option();
        let mut qctl = world.start(1, &[&mount], &["sleep", "600"]);
        qctl.until("command-started");
        let umount = Command::new("umount").arg(&volume.target).output().unwrap();
        assert!(umount.status.success(), "{umount:?}");
        qctl.signal(Signal::SIGTERM);
        assert!(qctl.until("unmounted")["error"].is_null());
        assert_eq!(qctl.until("stopped")["reason"], "released");
        assert_eq!(qctl.end().0, Some(143));
        assert_eq!(world.registrations(), 0);
    });
}

/// The arbiter gives the disk back by itself, while the file system is being mounted.
#[test]
fn an_owner_without_the_watchdog_that_it_was_told_to_have_leaves_nothing_mounted() {
    with_volume(|world, volume| {
        let mount = volume.option();
        let options = ["--takeover=8s", "--watchdog=/dev/null", &mount];
        let mut qctl = world.start(1, &options, &["true"]);
        qctl.until("watchdog-failed");
        let (code, said) = qctl.end();
        assert_eq!(code, Some(15), "{said}");
        assert!(!is_mounted(&volume.target), "{said}");
        assert!(!said.contains("command-started"));
        assert_eq!(world.registrations(), 0);
    });
}

#[expect(clippy::print_stderr, reason = "a test that does not run says so")]
fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}

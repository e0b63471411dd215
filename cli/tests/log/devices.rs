//! Logs on block devices. Needs root and a loop device; says `skipped: why` where it cannot have them.

use crate::shown::Shown as _;
use crate::world::World;
use std::process::Command;

/// A loop device over a file of the world's, detached with it.
struct Loop {
    node: String,
}

impl Loop {
    fn over(world: &World, name: &str, mebibytes: u64) -> Option<Self> {
        let file = std::fs::File::create(world.path(name)).unwrap();
        file.set_len(mebibytes << 20).unwrap();
        let output = Command::new("losetup")
            .args(["--find", "--show"])
            .arg(world.path(name))
            .output();
        match output {
            Ok(output) if output.status.success() => Some(Self {
                node: String::from_utf8(output.stdout).unwrap().trim().to_owned(),
            }),
            other => {
                eprintln!("skipped: no loop device: {other:?}");
                None
            }
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        // The kernel detaches it when its last user is gone.
        drop(
            Command::new("losetup")
                .args(["--detach", &self.node])
                .status(),
        );
    }
}

#[test]
fn a_log_takes_all_of_a_device() {
    let world = World::new();
    let Some(device) = Loop::over(&world, "disk", 4) else {
        return;
    };
    let node = &device.node;
    assert_eq!(world.code(&format!("log create {node} --size 2MiB")), 1);
    let (made, code) = world.document(&format!("log create {node} --cluster alpha"));
    assert_eq!((code, &made["place"]["kind"]), (0, &"block-device".into()));
    assert_eq!(made["device"]["node"], node.as_str());
    assert_eq!(world.document(&format!("log verify {node}")).1, 0);
    assert_eq!(
        world.document(&format!("log show {node}")).0["log"]["cluster"],
        "alpha"
    );
    assert_eq!(
        world.document(&format!("log create {node}")).1,
        107,
        "a log is there"
    );
    // The file below it is in use as long as the device stands on it.
    let (plan, code) = world.document("log create disk --yes");
    assert_eq!(code, 107);
    assert!(
        plan["refusals"][0]
            .as_str()
            .unwrap()
            .contains("stands on it"),
        "{plan:#}"
    );
}

#[test]
fn what_is_mounted_is_never_written_over() {
    let world = World::new();
    let Some(device) = Loop::over(&world, "disk", 8) else {
        return;
    };
    let node = &device.node;
    let made = Command::new("mkfs.ext4").args(["-q", "-F", node]).status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no mkfs.ext4");
        return;
    }
    let (plan, code) = world.document(&format!("log create {node}"));
    assert_eq!(
        (code, &plan["found"][0]),
        (107, &"an ext2, ext3 or ext4 file system".into())
    );
    std::fs::create_dir(world.path("root")).unwrap();
    let mount = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).arg(world.path("root"));
        command.status().unwrap().success()
    };
    assert!(mount("mount", &["-t", "ext4", node]));
    let (plan, code) = world.document(&format!("log create {node} --yes"));
    assert!(mount("umount", &[]));
    assert_eq!(code, 107, "{plan:#}");
    assert!(
        plan["refusals"][0]
            .as_str()
            .unwrap()
            .contains("is mounted on"),
        "{plan:#}"
    );
    assert_eq!(world.document(&format!("log create {node} --yes")).1, 0);
}

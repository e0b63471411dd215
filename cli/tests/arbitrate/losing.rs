//! A command that ends by itself on a disk that another has taken, before the owner's next round has noticed it: qctl says
//! what is so, and not that the disk was given back.

use super::lateness::in_time;
use super::world::{Running, World};
use std::path::Path;

/// A shell line that takes the disk from its owner as another host would, and ends at once. A round of the owner may come
/// in between and undo a step, so it tries until it has succeeded.
fn take_and_end(world: &World, steps: &[&str]) -> String {
    let disk = format!("'emu:{}?nexus=thief'", world.file("disk").display());
    let qctl = Path::new(env!("CARGO_BIN_EXE_qctl")).display().to_string();
    let steps: Vec<String> = steps
        .iter()
        .map(|step| {
            format!(
                "{qctl} disk {} >/dev/null 2>&1",
                step.replace("DISK", &disk)
            )
        })
        .collect();
    format!("until {}; do :; done; exit 5", steps.join(" && "))
}

fn ends_as_lost(mut qctl: Running) {
    assert_eq!(qctl.until("ended")["code"], 106);
    // A round may have noticed it while the command ended.
    let seen = |event: &str| qctl.seen.iter().find(|seen| seen["event"] == event);
    assert!(seen("command-ended").is_some());
    assert_eq!(seen("stopped").unwrap()["reason"], "deposed");
    assert_eq!(qctl.end().0, Some(106));
}

#[test]
fn a_disk_that_was_reset_and_reserved_by_another_is_not_given_back_but_lost() {
    in_time(|| {
        let world = World::new();
        let line = take_and_end(&world, &["reset --lun DISK --yes", "scsi2 reserve DISK"]);
        ends_as_lost(world.start(1, &["--mode=scsi2"], &["sh", "-c", &line]));
    });
}

#[test]
fn a_disk_whose_owner_was_preempted_is_not_given_back_but_lost() {
    in_time(|| {
        let world = World::new();
        let line = take_and_end(
            &world,
            &[
                "pr register DISK --key 0xbb --replace",
                "pr preempt DISK --key 0xbb --victim $QCTL_KEY --no-abort --yes",
            ],
        );
        ends_as_lost(world.start(1, &[], &["sh", "-c", &line]));
    });
}

#[test]
fn a_disk_that_was_lost_is_not_handed_over_by_a_mark_elsewhere() {
    in_time(|| {
        let world = World::new();
        let log = format!("--log={}", world.create_log_file());
        let line = take_and_end(
            &world,
            &[
                "pr register DISK --key 0xbb --replace",
                "pr preempt DISK --key 0xbb --victim $QCTL_KEY --no-abort --yes",
            ],
        );
        ends_as_lost(world.start(1, &[&log], &["sh", "-c", &line]));
    });
}

#[test]
fn a_disk_that_was_lost_is_not_handed_over_by_a_mark_on_itself() {
    in_time(|| {
        let world = World::new();
        world.create_log("qctl");
        let line = take_and_end(
            &world,
            &[
                "pr register DISK --key 0xbb --replace",
                "pr preempt DISK --key 0xbb --victim $QCTL_KEY --no-abort --yes",
            ],
        );
        ends_as_lost(world.start(1, &["--log=disk"], &["sh", "-c", &line]));
    });
}

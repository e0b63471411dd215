//! Everything that can be killed is, while an owner writes.

use crate::kills;
use crate::owner::Story;
use crate::volume::{Kind, Volume, folder, run};
use std::time::Duration;

/// A volume, or why the test cannot be had here.
macro_rules! volume_or_skip {
    ($kind:expr) => {
        match Volume::new($kind) {
            Ok(volume) => volume,
            Err(why) => {
                eprintln!("skipped: {why}");
                return;
            }
        }
    };
}

/// Kills owner after owner; each time everything acknowledged so far must be there.
fn kill_owners(story: &Story, times: u32) {
    for kill in 0..times {
        let owner = story.owner();
        story.more(20);
        std::thread::sleep(Duration::from_millis(u64::from(kill * 37 % 90)));
        owner.kill();
        story.check();
    }
    eprintln!("{times} owners killed: {}", story.check().trim_end());
}

#[test]
fn owners_killed_one_after_the_other() {
    let folder = folder();
    kill_owners(&Story::new(folder.join("q"), &folder), 2 * kills());
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_check_notices_what_is_not_there() {
    let folder = folder();
    let story = Story::new(folder.join("q"), &folder);
    let owner = story.owner();
    story.more(20);
    owner.kill();
    story.check();
    story.claim_that("A 1 12345\n");
    let refused = std::panic::catch_unwind(|| story.check());
    let said = refused.unwrap_err();
    assert!(
        said.downcast_ref::<String>()
            .unwrap()
            .contains("LOST: LSN 1")
    );
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn owners_killed_on_ext4() {
    let volume = volume_or_skip!(Kind::Ext4);
    kill_owners(
        &Story::new(volume.root().join("q"), volume.elsewhere()),
        kills(),
    );
}

#[test]
fn owners_killed_on_ntfs() {
    let volume = volume_or_skip!(Kind::Ntfs);
    kill_owners(
        &Story::new(volume.root().join("q"), volume.elsewhere()),
        kills(),
    );
}

/// A log has all its room from the beginning: a full file system is nothing to it.
fn goes_on_when_full(kind: Kind) {
    let volume = volume_or_skip!(kind);
    let story = Story::new(volume.root().join("q"), volume.elsewhere());
    let owner = story.owner();
    story.more(50);
    volume.fill();
    // More than the ring holds: checkpoints are taken too.
    story.more(3000);
    owner.kill();
    story.check();
}

#[test]
fn a_full_ext4_stops_nobody() {
    goes_on_when_full(Kind::Ext4);
}

#[test]
fn a_full_ntfs_stops_nobody() {
    goes_on_when_full(Kind::Ntfs);
}

#[test]
fn ext4_turns_read_only_under_load() {
    let volume = volume_or_skip!(Kind::Ext4);
    let story = Story::new(volume.root().join("q"), volume.elsewhere());
    let root = volume.root().display().to_string();
    for _ in 0..3 {
        let mut owner = story.owner();
        story.more(50);
        // The plain `remount,ro` is refused while files are open for writing; this is what an error of the disk does.
        run("mount", &["-o", "remount,abort", &root]).unwrap();
        let status = owner.end();
        assert_eq!(status.code(), Some(1), "{}", story.tail());
        let said = story.tail();
        assert!(said.contains("the log has stopped"), "{said}");
        story.check();
        volume.unmount().unwrap();
        volume.mount().unwrap();
        story.check();
    }
}

#[test]
fn ntfs_loses_its_server_under_load() {
    let volume = volume_or_skip!(Kind::Ntfs);
    let story = Story::new(volume.root().join("q"), volume.elsewhere());
    for _ in 0..3 {
        let mut owner = story.owner();
        story.more(50);
        volume.kill_server().unwrap();
        let status = owner.end();
        assert_eq!(status.code(), Some(1), "{}", story.tail());
        assert!(
            story.tail().contains("the log has stopped"),
            "{}",
            story.tail()
        );
        volume.unmount().unwrap();
        volume.mount().unwrap();
        story.check();
    }
}

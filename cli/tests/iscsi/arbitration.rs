//! `qctl arbitrate` over iSCSI: take, defend, challenge, lose, wait, in both modes, on both targets.

use crate::lateness::in_time;
use crate::world::{Disk, Kind, Running};
use nix::sys::signal::Signal;

/// Every way there is to arbitrate over this target.
fn each_mode(kind: Kind, scenario: impl Fn(&Disk, &str)) {
    for mode in ["pr", "scsi2"] {
        in_time(|| scenario(&Disk::new(kind), mode));
    }
}

fn owner(disk: &Disk, host: u8, mode: &str, options: &[&str]) -> Running {
    let mut owner = disk.arbitrate(host, mode, options);
    owner.until("owner");
    owner
}

/// Takes the disk, keeps it against a challenger, gives it back; the next one takes it.
fn take_defend_release(disk: &Disk, mode: &str) {
    let mut first = owner(disk, 1, mode, &[]);
    let mut challenger = disk.arbitrate(2, mode, &[]);
    assert_eq!(
        challenger.end().0,
        Some(24),
        "{mode}: {:#?}",
        challenger.seen
    );
    first.signal(Signal::SIGTERM);
    assert_eq!(first.until("stopped")["reason"], "released");
    assert_eq!(first.end().0, Some(0), "{mode}");
    let mut next = owner(disk, 2, mode, &[]);
    next.signal(Signal::SIGTERM);
    assert_eq!(next.end().0, Some(0));
}

/// Waits behind an owner, and takes the disk when that dies without a word.
fn wait_and_take_over(disk: &Disk, mode: &str) {
    let mut first = owner(disk, 1, mode, &[]);
    let mut second = disk.arbitrate(2, mode, &["--wait"]);
    second.until("waiting");
    assert_eq!(second.count("owner"), 0);
    first.signal(Signal::SIGKILL);
    second.until("owner");
    first.end();
    assert_eq!(second.count("owner"), 1, "{mode}");
}

/// An owner that was stopped is not owner when it goes on: another has taken the disk meanwhile.
fn lose(disk: &Disk, mode: &str) {
    let mut first = owner(disk, 1, mode, &[]);
    first.signal(Signal::SIGSTOP);
    let mut second = disk.arbitrate(2, mode, &["--wait"]);
    second.until("owner");
    first.signal(Signal::SIGCONT);
    assert_eq!(first.end().0, Some(106), "{mode}: {:#?}", first.seen);
    second.signal(Signal::SIGTERM);
    assert_eq!(second.end().0, Some(0), "{mode}: {:#?}", second.seen);
}

/// The same host looks at the disk beside its running arbiter, again and again.
fn look_beside(disk: &Disk, mode: &str) {
    let mut arbiter = owner(disk, 1, mode, &[]);
    let before = arbiter.seen.len();
    for _ in 0..5 {
        let (code, document, said) = disk.folder.run(1, &["disk", "show", &disk.url]);
        // Under another's SPC-2 reservation much of it is refused, which is an answer too.
        assert!(
            matches!(code, Some(0 | 24)),
            "{mode}: {code:?} {document} {said}"
        );
    }
    // Nothing has happened to the arbiter but that it defended.
    assert_ne!(arbiter.count("owner"), 0);
    for value in &arbiter.seen[before..] {
        assert_eq!(value["event"], "defended", "{mode}: {value}");
    }
    arbiter.signal(Signal::SIGTERM);
    assert_eq!(arbiter.until("stopped")["reason"], "released", "{mode}");
    assert_eq!(arbiter.end().0, Some(0));
}

#[test]
fn an_owner_defends_and_gives_back() {
    each_mode(Kind::Ours, take_defend_release);
}

#[test]
fn who_waits_takes_over_from_the_dead() {
    each_mode(Kind::Ours, wait_and_take_over);
}

#[test]
fn an_owner_that_slept_too_long_has_lost() {
    each_mode(Kind::Ours, lose);
}

#[test]
fn looking_beside_a_running_arbiter_leaves_it_undisturbed() {
    each_mode(Kind::Ours, look_beside);
}

#[test]
#[ignore = "needs tgtd; `.ci/run` runs it"]
fn on_tgt_an_owner_defends_and_gives_back() {
    each_mode(Kind::Tgt, take_defend_release);
}

#[test]
#[ignore = "needs tgtd; `.ci/run` runs it"]
fn on_tgt_who_waits_takes_over_from_the_dead() {
    each_mode(Kind::Tgt, wait_and_take_over);
}

#[test]
#[ignore = "needs tgtd; `.ci/run` runs it"]
fn on_tgt_an_owner_that_slept_too_long_has_lost() {
    each_mode(Kind::Tgt, lose);
}

#[test]
#[ignore = "needs tgtd; `.ci/run` runs it"]
fn on_tgt_looking_beside_a_running_arbiter_leaves_it_undisturbed() {
    each_mode(Kind::Tgt, look_beside);
}

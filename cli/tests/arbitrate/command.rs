//! The command that an owner runs, and the keeper that ends it: whatever happens to whom, nothing of the command outlasts
//! ownership.

use super::world::*;
use crate::lateness::in_time;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// Decades after any boot.
const FAR_NS: u64 = 1 << 60;

/// A shell line that runs for ever, with a grandchild that has left its session, group and parent.
fn tree(world: &World) -> String {
    let (child, deep) = (world.file("child"), world.file("deep"));
    let (child, deep) = (child.display(), deep.display());
    format!(
        "setsid sh -c 'setsid sh -c \"echo \\$\\$ > {deep}; exec sleep 1000\" & exit' & \
         echo $$ > {child}; exec sleep 1000"
    )
}

#[test]
fn the_command_gets_disk_and_key_and_its_status_is_ours() {
    in_time(|| {
        let world = World::new();
        let said = world.file("said");
        let line = format!("echo $QCTL_DISK $QCTL_KEY > {}; exit 7", said.display());
        let mut qctl = world.start(1, &[], &["sh", "-c", &line]);
        let key = qctl.until("owner")["key"].clone();
        assert_eq!(qctl.until("command-ended")["status"], 7);
        assert_eq!(qctl.until("stopped")["reason"], "released");
        assert_eq!(qctl.until("ended")["code"], 7);
        assert_eq!(qctl.end().0, Some(7));
        let said = std::fs::read_to_string(said).unwrap();
        assert_eq!(
            said.trim(),
            format!("{} {}", world.disk(1), key.as_str().unwrap())
        );
        assert_eq!(world.registrations(), 0);
    });
}

#[test]
fn asked_to_stop_the_command_gets_term_and_may_end_as_it_likes() {
    in_time(|| {
        let world = World::new();
        for (line, expected) in [
            ("exec sleep 1000", 128 + 15),
            ("while :; do sleep 0.05; done", 3),
        ] {
            let file = world.file("ready");
            let trap = if expected == 3 {
                "trap 'exit 3' TERM;"
            } else {
                ""
            };
            let line = format!("{trap} echo $$ > {}; {line}", file.display());
            let mut qctl = world.start(1, &[], &["sh", "-c", &line]);
            // From here on the shell is ready for the TERM.
            world.number_in("ready");
            std::fs::remove_file(file).unwrap();
            qctl.signal(Signal::SIGTERM);
            assert_eq!(qctl.until("command-ended")["status"], expected, "{line}");
            assert_eq!(qctl.until("stopped")["reason"], "released");
            assert_eq!(qctl.end().0, Some(expected));
        }
    });
}

#[test]
fn asked_to_stop_between_held_and_owner_the_command_never_ran_and_the_disk_is_given_back() {
    in_time(|| {
        let world = World::new();
        let mut first = world.start(1, &[], &[]);
        first.until("owner");
        first.signal(Signal::SIGKILL);
        // A disk that was wrested from somebody is held for a while before it is owned.
        let mut second = world.start(2, &[], &["sh", "-c", "exit 7"]);
        second.until("held");
        second.signal(Signal::SIGTERM);
        assert_eq!(second.until("stopped")["reason"], "released");
        let (code, said) = second.end();
        assert_eq!(code, Some(24), "{said}");
        assert!(said.contains("it never ran"), "{said}");
        assert_eq!(world.registrations(), 0);
    });
}

#[test]
fn asked_to_stop_before_its_keeper_was_ready_the_command_never_ran() {
    in_time(|| {
        let world = World::new();
        let mut early = 0;
        for _ in 0..20 {
            let mut qctl = world.start(1, &[], &["sh", "-c", "sleep 1000"]);
            qctl.until("owner");
            qctl.signal(Signal::SIGTERM);
            let (code, said) = qctl.end();
            let started = said.contains("command-started");
            assert_eq!(code, Some(if started { 143 } else { 24 }), "{said}");
            early += u32::from(!started);
            if early > 2 {
                return;
            }
        }
    });
}

#[test]
fn a_parent_that_ignores_its_children_does_not_hide_the_status() {
    in_time(|| {
        let world = World::new();
        let mut qctl = world.qctl(1, &[]);
        qctl.args(["--", "sh", "-c", "exit 3"]);
        let mut ignoring = Command::new("sh");
        ignoring
            .args(["-c", "trap '' CHLD; exec \"$0\" \"$@\""])
            .arg(qctl.get_program())
            .args(qctl.get_args())
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        assert_eq!(Running::of(ignoring).end().0, Some(3));
    });
}

#[test]
fn term_is_passed_on_and_a_command_that_ignores_it_is_killed_after_the_grace() {
    in_time(|| {
        let world = World::new();
        let line = format!("trap '' TERM; {}", tree(&world));
        let mut qctl = world.start(1, &["--grace=200ms"], &["sh", "-c", &line]);
        qctl.until("command-started");
        let deep = world.number_in("deep");
        qctl.signal(Signal::SIGTERM);
        qctl.until("command-terminating");
        qctl.until("command-killed");
        assert_eq!(qctl.until("ended")["code"], 128 + 9);
        assert_eq!(qctl.end().0, Some(128 + 9));
        until_dead(deep);
    });
}

#[test]
fn when_qctl_is_killed_its_command_and_all_descendants_die() {
    in_time(|| {
        let world = World::new();
        let mut qctl = world.start(1, &[], &["sh", "-c", &tree(&world)]);
        qctl.until("command-started");
        let (child, deep) = (world.number_in("child"), world.number_in("deep"));
        assert!(is_alive(child) && is_alive(deep));
        qctl.signal(Signal::SIGKILL);
        until_dead(child);
        until_dead(deep);
        assert_eq!(world.registrations(), 1, "the disk is as the crash left it");
    });
}

#[test]
fn when_the_keeper_is_killed_nothing_is_left_and_the_disk_is_released() {
    in_time(|| {
        let world = World::new();
        let mut qctl = world.start(1, &[], &["sh", "-c", &tree(&world)]);
        qctl.until("command-started");
        let (child, deep) = (world.number_in("child"), world.number_in("deep"));
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap();
        let keeper = stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap();
        kill(Pid::from_raw(keeper.parse().unwrap()), Signal::SIGKILL).unwrap();
        assert_eq!(qctl.until("stopped")["reason"], "released");
        assert_eq!(qctl.end().0, Some(128 + 9));
        until_dead(child);
        until_dead(deep);
        assert_eq!(world.registrations(), 0);
    });
}

/// The keeper of a command: its parent.
fn parent(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let parent = stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap();
    parent.parse().unwrap()
}

#[test]
fn while_anything_of_a_command_lives_the_nexus_stays_locked_though_qctl_and_keeper_were_killed() {
    in_time(|| {
        let world = World::new();
        let mut qctl = world.start(1, &[], &["sh", "-c", &tree(&world)]);
        qctl.until("command-started");
        let (child, deep) = (world.number_in("child"), world.number_in("deep"));
        let keeper = parent(child);
        // Stopped, it cannot end what its keeper leaves.
        qctl.signal(Signal::SIGSTOP);
        kill(Pid::from_raw(keeper), Signal::SIGKILL).unwrap();
        until_dead(child);
        qctl.signal(Signal::SIGKILL);
        qctl.process.wait().unwrap();
        assert!(is_alive(deep));
        let (code, said) = world.start(1, &[], &[]).end();
        assert_eq!(code, Some(24));
        assert!(said.contains("fuser"), "{said}");
        kill(Pid::from_raw(deep), Signal::SIGKILL).unwrap();
        until_dead(deep);
        let mut next = world.start(1, &["--wait"], &[]);
        next.until("owner");
    });
}

#[test]
fn a_keeper_that_is_stopped_is_killed_with_its_command_when_the_disk_is_lost() {
    in_time(|| {
        let world = World::new();
        let mut first = world.start(1, &[], &["sh", "-c", &tree(&world)]);
        first.until("command-started");
        let (child, deep) = (world.number_in("child"), world.number_in("deep"));
        kill(Pid::from_raw(parent(child)), Signal::SIGSTOP).unwrap();
        let mut second = world.start(2, &["--wait"], &[]);
        second.until("waiting");
        first.signal(Signal::SIGSTOP);
        second.until("owner");
        first.signal(Signal::SIGCONT);
        first.until("command-ended");
        until_dead(child);
        until_dead(deep);
        assert_eq!(first.end().0, Some(106));
    });
}

#[test]
fn a_keeper_that_is_stopped_does_not_outlast_an_ordinary_stop() {
    in_time(|| {
        let world = World::new();
        let mut qctl = world.start(1, &["--grace=100ms"], &["sh", "-c", &tree(&world)]);
        qctl.until("command-started");
        let (child, deep) = (world.number_in("child"), world.number_in("deep"));
        kill(Pid::from_raw(parent(child)), Signal::SIGSTOP).unwrap();
        qctl.signal(Signal::SIGTERM);
        assert_eq!(qctl.until("stopped")["reason"], "released");
        assert_eq!(qctl.end().0, Some(128 + 9));
        until_dead(child);
        until_dead(deep);
        assert_eq!(world.registrations(), 0);
    });
}

#[test]
fn a_command_that_is_started_from_a_terminal_can_be_typed_into_and_is_not_suspended() {
    let world = World::new();
    let qctl = format!(
        "{} arbitrate --node=1 --host-files={} '{}' -- sh -c 'read word; kill -TSTP $$; echo got $word'",
        env!("CARGO_BIN_EXE_qctl"),
        world.directory().display(),
        world.disk(1)
    );
    // util-linux's `script` runs it on a terminal of its own.
    let mut script = Command::new("script")
        .args(["--quiet", "--return", "--command", &qctl, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut typed = script.stdin.take().unwrap();
    typed.write_all(b"hello\n").unwrap();
    let mut said = String::new();
    let mut stdout = script.stdout.take().unwrap();
    stdout.read_to_string(&mut said).unwrap();
    assert!(said.contains("got hello"), "{said}");
    assert_eq!(script.wait().unwrap().code(), Some(0), "{said}");
    assert_eq!(world.registrations(), 0);
}

/// A keeper with a socket, as qctl starts it.
fn keeper(until_ns: u64, orders: &str, line: &str) -> String {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    (&ours).write_all(orders.as_bytes()).unwrap();
    // Every command has a standard input: the socket is the keeper's.
    let mut process = Command::new(env!("CARGO_BIN_EXE_qctl"))
        .args(["keep-command", "--channel=0"])
        .arg(format!("--until-ns={until_ns}"))
        .args(["--loss-grace-ns=150000000", "--", "sh", "-c", line])
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .spawn()
        .unwrap();
    let mut said = String::new();
    (&ours).read_to_string(&mut said).unwrap();
    process.wait().unwrap();
    said
}

#[test]
fn a_keeper_starts_nothing_without_a_proof_and_hears_a_further_one_before_it_judges() {
    let world = World::new();
    let ran = world.file("ran");
    let line = format!("echo > {}", ran.display());
    assert_eq!(
        keeper(1, "", &line),
        format!("not-started {}\n", libc::ECANCELED)
    );
    assert!(!ran.exists());
    assert!(keeper(FAR_NS, "fence\n", &line).starts_with("not-started"));
    assert!(!ran.exists());
    let said = keeper(1, &format!("until {FAR_NS}\n"), &line);
    assert!(
        said.starts_with("started ") && said.ends_with("ended 0\n"),
        "{said}"
    );
    assert!(!said.contains("terminating"), "{said}");
    assert!(ran.exists());
}

#[test]
fn an_owner_that_was_stopped_has_lost_its_command_before_another_starts_and_ends_with_106() {
    in_time(|| {
        let world = World::new();
        let mut first = world.start(1, &[], &["sh", "-c", &tree(&world)]);
        first.until("command-started");
        let (child, deep) = (world.number_in("child"), world.number_in("deep"));
        let mut second = world.start(2, &["--wait"], &[]);
        second.until("waiting");
        first.signal(Signal::SIGSTOP);
        // qctl itself cannot act now: its command ends all the same.
        until_dead(child);
        until_dead(deep);
        let new = second.until("owner")["key"].clone();
        first.signal(Signal::SIGCONT);
        assert_eq!(first.end().0, Some(106));
        second.until("defended");
        assert!(new.is_string());
    });
}

#[test]
fn then_runs_at_ownership_and_is_tied_to_nothing() {
    in_time(|| {
        let world = World::new();
        let file = world.file("then");
        // It must not hold the pipe that this test reads to its end.
        let line = format!("echo $$ > {}; exec sleep 1000 >&- 2>&-", file.display());
        let mut qctl = world.start(1, &["--then", &line], &[]);
        qctl.until("owner");
        let then = world.number_in("then");
        qctl.signal(Signal::SIGTERM);
        assert_eq!(qctl.end().0, Some(0));
        assert!(is_alive(then));
        kill(Pid::from_raw(then), Signal::SIGTERM).unwrap();
        until_dead(then);
    });
}

#[test]
fn a_command_that_is_not_there_gives_the_disk_back() {
    in_time(|| {
        let world = World::new();
        let mut qctl = world.start(1, &[], &["/no/such/command"]);
        assert_eq!(qctl.until("stopped")["reason"], "released");
        let (code, said) = qctl.end();
        assert_eq!(code, Some(127));
        assert!(said.contains("could not be started"), "{said}");
        assert_eq!(world.registrations(), 0);
    });
}

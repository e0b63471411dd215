//! `qctl arbitrate` and `qctl demo` as people run them: real processes over an emulated disk.
//!
//! No test asserts a time: each waits for events, or for processes to be gone, and gives up only when
//! nothing at all happens for a minute. A machine that is too late for an owner is told from a failure (see
//! [`lateness`]).

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "arbitrate/bad_input.rs"]
mod bad_input;
#[path = "support/lateness.rs"]
mod lateness;
#[path = "arbitrate/losing.rs"]
mod losing;
#[path = "arbitrate/mount.rs"]
mod mount;
#[path = "arbitrate/quorum_log.rs"]
mod quorum_log;

use lateness::{in_time, witness};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::cell::Cell;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Nothing that these tests wait for takes a tenth of it on an idle host.
const PATIENCE: Duration = Duration::from_secs(60);

/// A disk and the files of the hosts around it.
struct World(PathBuf);

impl World {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("qctl-arbitrate-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn disk(&self, node: u8) -> String {
        format!("emu:{}?nexus=n{node}", self.file("disk").display())
    }

    /// `qctl --json arbitrate OPTIONS DISK` on this node.
    fn qctl(&self, node: u8, options: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qctl"));
        command
            .args(["--json", "arbitrate", &format!("--node={node}")])
            .args(options)
            .arg("--host-files")
            .arg(&self.0)
            .arg(self.disk(node))
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn start(&self, node: u8, options: &[&str], command: &[&str]) -> Running {
        let mut qctl = self.qctl(node, options);
        if !command.is_empty() {
            qctl.arg("--").args(command);
        }
        Running::of(qctl)
    }

    /// Who is registered, as `qctl disk pr keys` of a stranger sees it.
    fn registrations(&self) -> usize {
        let name = format!("emu:{}?nexus=stranger", self.file("disk").display());
        let unit = scsi::emulated::look(&name, PATIENCE).unwrap();
        unit.persistent_state().registrations.len()
    }

    /// A number that a process has written there.
    fn number_in(&self, name: &str) -> i32 {
        let file = self.file(name);
        until("a process to say who it is", || {
            std::fs::read_to_string(&file).ok()?.trim().parse().ok()
        })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}

/// A `qctl` that runs, and what it has printed.
struct Running {
    process: Child,
    lines: Receiver<String>,
    seen: Vec<Value>,
    /// The test itself stopped or killed it: it is no witness of how punctual the machine is.
    struck: Cell<bool>,
}

impl Running {
    fn of(mut command: Command) -> Self {
        let mut process = command.spawn().unwrap();
        let stdout = process.stdout.take().unwrap();
        let (lines_in, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if lines_in.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            process,
            lines,
            seen: Vec::new(),
            struck: Cell::new(false),
        }
    }

    /// What a line says; none for what the command prints between the events.
    fn event(&self, line: &str) -> Option<Value> {
        let value: Value = serde_json::from_str(line).ok()?;
        if !self.struck.get() {
            witness(&value);
        }
        Some(value)
    }

    /// Reads on until this event.
    fn until(&mut self, event: &str) -> Value {
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("no {event} in {:#?}", self.seen);
            };
            let Some(value) = self.event(&line) else {
                continue;
            };
            self.seen.push(value.clone());
            if value["event"] == event {
                return value;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        if matches!(signal, Signal::SIGSTOP | Signal::SIGKILL) {
            self.struck.set(true);
        }
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).unwrap();
    }

    /// Its exit code, and everything that it has printed.
    fn end(&mut self) -> (Option<i32>, String) {
        let status = until("qctl to end", || self.process.try_wait().unwrap());
        let rest: Vec<String> = self.lines.iter().collect();
        for line in &rest {
            self.event(line);
        }
        (status.code(), rest.join("\n"))
    }
}

/// What is written before a dead process's pipe counts as empty: something of its command may still have it.
const REST: Duration = Duration::from_millis(200);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _ended = self.process.wait();
        if std::thread::panicking() {
            while let Ok(line) = self.lines.recv_timeout(REST) {
                self.event(&line);
            }
        }
    }
}

/// Looks until there is something to see.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "waited for {what} in vain");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Gone, or a zombie that nobody has waited for yet.
fn until_dead(pid: i32) {
    until("a process to die", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").map(|(_, rest)| rest.as_bytes()[0]);
        matches!(state, None | Some(b'Z' | b'X')).then_some(())
    });
}

fn is_alive(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

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
fn a_clean_stop_ends_with_0_and_leaves_nothing_on_the_disk() {
    in_time(|| {
        let world = World::new();
        let mut qctl = world.start(1, &[], &[]);
        qctl.until("owner");
        assert_eq!(world.registrations(), 1);
        qctl.signal(Signal::SIGTERM);
        assert_eq!(qctl.until("stopped")["reason"], "released");
        assert_eq!(qctl.end().0, Some(0));
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
fn a_disk_that_another_holds_ends_with_24_and_with_wait_only_when_that_is_over() {
    in_time(|| {
        let world = World::new();
        let mut owner = world.start(1, &[], &[]);
        owner.until("owner");
        let mut second = world.start(2, &[], &["sh", "-c", "exit 7"]);
        assert_eq!(second.until("stopped")["reason"], "not-taken");
        let (code, said) = second.end();
        assert_eq!(code, Some(24));
        assert!(said.contains("another holds the disk"), "{said}");

        let mut third = world.start(3, &["--wait=100ms"], &[]);
        assert_eq!(third.end().0, Some(24));
        let mut fourth = world.start(4, &["--wait"], &[]);
        fourth.until("waiting");
        owner.signal(Signal::SIGTERM);
        fourth.until("owner");
        assert_eq!(owner.end().0, Some(0));
    });
}

#[test]
fn of_three_contenders_one_wins_and_the_others_end_with_24() {
    in_time(|| {
        let world = World::new();
        let mut contenders: Vec<Running> =
            (1..=3).map(|node| world.start(node, &[], &[])).collect();
        let mut owners = 0;
        for contender in &mut contenders {
            let end = until("a verdict", || {
                let line = contender.lines.recv_timeout(PATIENCE).unwrap();
                let value = contender.event(&line)?;
                let event = value["event"].as_str()?.to_owned();
                matches!(event.as_str(), "owner" | "ended").then_some((event, value))
            });
            if end.0 == "owner" {
                owners += 1;
            } else {
                assert_eq!(end.1["code"], 24);
            }
        }
        assert_eq!(owners, 1);
    });
}

#[test]
fn another_clusters_disk_is_refused_with_113() {
    in_time(|| {
        let world = World::new();
        let mut owner = world.start(1, &["--cluster=theirs"], &[]);
        owner.until("owner");
        let mut ours = world.start(2, &["--cluster=ours"], &[]);
        assert_eq!(ours.until("stopped")["reason"], "refused");
        assert_eq!(ours.end().0, Some(113));
        // Other times are another cluster too.
        let mut slow = world.start(3, &["--cluster=theirs", "--profile=fast"], &[]);
        assert_eq!(slow.end().0, Some(113));
        assert_eq!(world.registrations(), 1);
    });
}

#[test]
fn a_second_arbiter_on_the_nexus_is_refused_with_the_pid_of_the_first() {
    in_time(|| {
        let world = World::new();
        let mut first = world.start(1, &["--wait"], &[]);
        first.until("started");
        let (code, said) = world.start(1, &[], &[]).end();
        assert_eq!(code, Some(24));
        let pid = format!("process {} ", first.process.id());
        assert!(said.contains(&pid), "{said}");
    });
}

#[test]
fn no_environment_gives_a_second_arbiter_a_lock_of_its_own() {
    in_time(|| {
        let world = World::new();
        let mut first = world.start(1, &[], &[]);
        first.until("owner");
        let mut second = world.qctl(1, &[]);
        second.env("RUNTIME_DIRECTORY", world.file("elsewhere"));
        second.env("STATE_DIRECTORY", world.file("elsewhere"));
        second.env("XDG_RUNTIME_DIR", world.file("elsewhere"));
        let (code, said) = Running::of(second).end();
        assert_eq!(code, Some(24), "{said}");
        assert!(!world.file("elsewhere").exists());
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
        world.0.display(),
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

/// Decades after any boot.
const FAR_NS: u64 = 1 << 60;

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

#[test]
fn the_service_manager_hears_of_readiness_at_ownership_only() {
    in_time(|| {
        let world = World::new();
        let socket = world.file("notify");
        let manager = UnixDatagram::bind(&socket).unwrap();
        manager.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut command = world.qctl(1, &[]);
        command.env("NOTIFY_SOCKET", &socket);
        let said = world.file("said");
        let line = format!("echo socket=$NOTIFY_SOCKET > {}", said.display());
        command.args(["--", "sh", "-c", &line]);
        let mut qctl = Running::of(command);
        let mut heard = Vec::new();
        loop {
            let mut bytes = [0; 4096];
            let count = manager.recv(&mut bytes).unwrap();
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            heard.push(text.clone());
            if text.contains("READY=1") {
                break;
            }
        }
        assert!(heard[0].contains("STATUS=contending"), "{heard:?}");
        assert_eq!(qctl.end().0, Some(0));
        // The command must not speak for us.
        assert_eq!(std::fs::read_to_string(said).unwrap().trim(), "socket=");
    });
}

#[test]
fn wrong_arguments_end_with_1_and_change_nothing() {
    let world = World::new();
    for wrong in [
        &["--node=0"][..],
        &["--grace=5"],
        &["--profile=slow"],
        &["--then=x", "--watchdog-nowayout-ok"],
        // Whole seconds do not fit into these times.
        &["--watchdog=/nonexistent", "--profile=fast"],
    ] {
        let output: Output = world.qctl(1, wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{wrong:?}");
    }
    assert_eq!(world.registrations(), 0);
}

#[test]
fn every_line_is_as_its_schema_says() {
    in_time(|| {
        let world = World::new();
        let mut qctl = world.start(1, &["--watchdog=/nonexistent", "--profile=fast"], &[]);
        let (_, refused) = qctl.end();
        check(&refused, &["error"]);
        let mut owner = world.start(1, &[], &["sh", "-c", "sleep 1"]);
        let (code, lines) = owner.end();
        assert_eq!(code, Some(0));
        check(&lines, &["arbitrate"]);
    });
}

#[test]
fn the_demo_passes_its_own_checks_and_leaves_nothing_behind() {
    in_time(|| {
        let world = World::new();
        let mut demo = Command::new(env!("CARGO_BIN_EXE_qctl"))
            .args(["--json", "demo"])
            .env("TMPDIR", &world.0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = String::new();
        demo.stdout
            .take()
            .unwrap()
            .read_to_string(&mut lines)
            .unwrap();
        let mut struck = Vec::new();
        for line in lines.lines() {
            let told: Value = serde_json::from_str(line).unwrap();
            // The demo itself stops and kills owners: what those say afterwards is no news.
            if told["signal"].is_string() {
                struck.push(told["node"].clone());
            } else if !struck.contains(&told["node"]) {
                witness(&told);
            }
        }
        assert_eq!(demo.wait().unwrap().code(), Some(0), "{lines}");
        check(&lines, &["arbitrate", "demo"]);
        let verdict: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        assert_eq!(verdict["event"], "verdict");
        assert_eq!(verdict["failed"], 0);
        assert!(verdict["passed"].as_u64().unwrap() >= 5);
        assert_eq!(std::fs::read_dir(&world.0).unwrap().count(), 0);
    });
}

/// Validates every document, and demands that these schemas, and no others, are there.
fn check(lines: &str, names: &[&str]) {
    let mut seen = Vec::new();
    for value in serde_json::Deserializer::from_str(lines).into_iter::<Value>() {
        let value = value.unwrap();
        let name = value["schema"]
            .as_str()
            .unwrap()
            .strip_suffix("/1")
            .unwrap();
        let file = format!("{}/schemas/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let schema = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        if let Err(error) = jsonschema::validate(&schema, &value) {
            panic!("{value}: {error}");
        }
        seen.push(name.to_owned());
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen, names);
}

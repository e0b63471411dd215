//! Programs: run to their end, or started, signalled and watched.
//!
//! Each program has threads of its own that read what it prints and wait for its end, so that nothing here waits
//! longer than it was told to, and a program that sits in the kernel for ever costs one thread.

use ::tests::protocol::{Answer, Ended, OUTPUT_BYTES_MAX, at_path};
use std::collections::BTreeMap;
use std::io::{Read, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::str::FromStr as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long after its end a program's pipes may stay open (a grandchild has them) before the answer goes without.
const LINGER: Duration = Duration::from_millis(300);

/// How long a killed program may take to be gone before it counts as stuck.
const REAP: Duration = Duration::from_secs(2);

/// What is known of a program; filled by its threads.
#[derive(Default)]
struct Seen {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    open_pipes: u8,
    ended: Option<(i32, Duration)>,
}

/// A started program.
struct Process {
    pid: Pid,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    /// How much of stdout the event waits have gone past.
    looked_at: usize,
}

/// The started programs, by the names that the lab gave them.
#[derive(Default)]
pub(crate) struct Processes(BTreeMap<String, Process>);

pub(crate) fn run(argv: &[String], stdin: &str, bound: Duration) -> Answer {
    let process = match Process::start(argv, stdin) {
        Ok(process) => process,
        Err(answer) => return answer,
    };
    let in_time = process.wait_for(bound, |seen| seen.ended.is_some());
    if !in_time {
        // Already gone is as good.
        let _ = kill(process.pid, Signal::SIGKILL);
        let stuck = !process.wait_for(REAP, |seen| seen.ended.is_some());
        let mut ended = process.ended();
        ended.status = None;
        ended.stuck = stuck;
        return Answer::Ended(ended);
    }
    Answer::Ended(process.ended())
}

impl Processes {
    pub(crate) fn start(&mut self, name: String, argv: &[String]) -> Answer {
        match Process::start(argv, "") {
            Ok(process) => {
                self.0.insert(name, process);
                Answer::Done
            }
            Err(answer) => answer,
        }
    }

    pub(crate) fn signal(&self, name: &str, signal: &str) -> Answer {
        self.with(name, |process| {
            let Ok(signal) = Signal::from_str(&format!("SIG{signal}")) else {
                return misunderstood(format!("no signal {signal}"));
            };
            match kill(process.pid, signal) {
                Ok(()) => Answer::Done,
                Err(errno) => Answer::Errno {
                    name: format!("{errno:?}"),
                    what: format!("signal {name}"),
                },
            }
        })
    }

    pub(crate) fn wait(&self, name: &str, bound: Duration) -> Answer {
        self.with(name, |process| {
            if process.wait_for(bound, |seen| seen.ended.is_some()) {
                Answer::Ended(process.ended())
            } else {
                Answer::Running
            }
        })
    }

    pub(crate) fn output(&self, name: &str) -> Answer {
        self.with(name, |process| Answer::Ended(process.printed()))
    }

    pub(crate) fn event(
        &mut self,
        name: &str,
        fields: &[(String, String)],
        bound: Duration,
    ) -> Answer {
        let Some(process) = self.0.get_mut(name) else {
            return misunderstood(format!("nothing was started as {name}"));
        };
        let mut from = process.looked_at;
        let mut found = None;
        process.wait_for(bound, |seen| {
            while let Some(end) = seen.stdout[from..].iter().position(|&byte| byte == b'\n') {
                let line = String::from_utf8_lossy(&seen.stdout[from..from + end]).into_owned();
                from += end + 1;
                if matches(&line, fields) {
                    found = Some(line);
                    return true;
                }
            }
            // What has ended prints no more: no need to wait for the bound.
            seen.ended.is_some() && seen.open_pipes == 0
        });
        process.looked_at = from;
        match found {
            Some(line) => Answer::Event { line },
            None => {
                let printed = process.printed();
                Answer::NoEvent {
                    printed: format!("{}{}", printed.stdout, printed.stderr),
                }
            }
        }
    }

    fn with(&self, name: &str, act: impl FnOnce(&Process) -> Answer) -> Answer {
        self.0.get(name).map_or_else(
            || misunderstood(format!("nothing was started as {name}")),
            act,
        )
    }
}

impl Process {
    fn start(argv: &[String], stdin: &str) -> Result<Self, Answer> {
        let Some((program, arguments)) = argv.split_first() else {
            return Err(misunderstood("no program".to_owned()));
        };
        let started = Instant::now();
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Answer::Errno {
                name: error.kind().to_string(),
                what: format!("start {program}: {error}"),
            })?;
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
        let seen: Arc<(Mutex<Seen>, Condvar)> = Arc::default();
        lock(&seen.0).open_pipes = 2;
        if let Some(mut input) = child.stdin.take() {
            // A program that reads nothing of it is no mistake. What the lab sends fits a pipe.
            drop(input.write_all(stdin.as_bytes()));
        }
        if let Some(pipe) = child.stdout.take() {
            collect(pipe, Arc::clone(&seen), |seen| &mut seen.stdout);
        }
        if let Some(pipe) = child.stderr.take() {
            collect(pipe, Arc::clone(&seen), |seen| &mut seen.stderr);
        }
        reap(child, started, Arc::clone(&seen));
        Ok(Self {
            pid,
            seen,
            looked_at: 0,
        })
    }

    /// Waits until the condition holds; says whether it came to hold within the bound.
    fn wait_for(&self, bound: Duration, mut holds: impl FnMut(&Seen) -> bool) -> bool {
        let deadline = Instant::now() + bound;
        let mut seen = lock(&self.seen.0);
        loop {
            if holds(&seen) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            seen = self
                .seen
                .1
                .wait_timeout(seen, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// How it ended, with all that it printed.
    fn ended(&self) -> Ended {
        self.wait_for(LINGER, |seen| seen.open_pipes == 0);
        self.printed()
    }

    fn printed(&self) -> Ended {
        let seen = lock(&self.seen.0);
        Ended {
            status: seen.ended.map(|(status, _)| status),
            stuck: false,
            stdout: String::from_utf8_lossy(&seen.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&seen.stderr).into_owned(),
            micros: seen.ended.map_or(0, |(_, span)| {
                u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
            }),
        }
    }
}

/// Reads a pipe to its end in a thread of its own.
fn collect(
    mut pipe: impl Read + Send + 'static,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    part: fn(&mut Seen) -> &mut Vec<u8>,
) {
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        loop {
            let read = match pipe.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            let mut seen_now = lock(&seen.0);
            let kept = part(&mut seen_now);
            // Read on, or the program would block on a full pipe; but keep no more than this.
            let room = OUTPUT_BYTES_MAX.saturating_sub(kept.len()).min(read);
            kept.extend_from_slice(&chunk[..room]);
            drop(seen_now);
            seen.1.notify_all();
        }
        lock(&seen.0).open_pipes -= 1;
        seen.1.notify_all();
    });
}

fn reap(mut child: Child, started: Instant, seen: Arc<(Mutex<Seen>, Condvar)>) {
    std::thread::spawn(move || {
        // The only error is "no such child", and this thread alone waits for it.
        let status = child.wait().map_or(-1, |status| {
            status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
        });
        lock(&seen.0).ended = Some((status, started.elapsed()));
        seen.1.notify_all();
    });
}

/// Has this line of JSON all the fields, each with that value?
fn matches(line: &str, fields: &[(String, String)]) -> bool {
    let Ok(document) = serde_json::from_str::<serde_json::Value>(line) else {
        return false;
    };
    fields
        .iter()
        .all(|(path, wanted)| at_path(&document, path).as_ref() == Some(wanted))
}

fn misunderstood(why: String) -> Answer {
    Answer::Misunderstood { why }
}

/// No thread panics while it holds the lock, and if one did, what was read is still worth telling.
fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn a_program_that_does_not_end_is_killed_at_its_bound() {
        let Answer::Ended(ended) = run(&argv(&["sleep", "1000"]), "", Duration::from_millis(20))
        else {
            panic!("no end");
        };
        assert_eq!((ended.status, ended.stuck), (None, false));
    }

    #[test]
    fn a_signal_ends_with_128_and_its_number_as_in_a_shell() {
        let mut processes = Processes::default();
        processes.start("p".into(), &argv(&["sleep", "1000"]));
        assert_eq!(processes.signal("p", "KILL"), Answer::Done);
        let Answer::Ended(ended) = processes.wait("p", Duration::from_secs(10)) else {
            panic!("no end");
        };
        assert_eq!(ended.status, Some(137));
    }

    #[test]
    fn an_event_is_found_once_and_the_next_wait_goes_on_behind_it() {
        let mut processes = Processes::default();
        let script = r#"echo '{"to":"held"}'; echo noise; echo '{"to":"owner","n":{"x":3}}'"#;
        processes.start("p".into(), &argv(&["sh", "-c", script]));
        let wait = |processes: &mut Processes, path: &str, value: &str| {
            let fields = [(path.to_owned(), value.to_owned())];
            matches!(
                processes.event("p", &fields, Duration::from_secs(10)),
                Answer::Event { .. }
            )
        };
        assert!(wait(&mut processes, "n.x", "3"));
        assert!(!wait(&mut processes, "to", "held"));
    }
}

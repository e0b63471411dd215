//! A target, the hosts around it, and processes that are watched.

use crate::lateness::witness;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::cell::Cell;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Nothing that these tests wait for takes a tenth of it on an idle host.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What is written before a dead process's pipe counts as empty.
const REST: Duration = Duration::from_millis(200);

/// A folder of one test's files.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("qctl-iscsi-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// `qctl --json ARGS` on this host, which knows only its own files.
    pub(crate) fn qctl(&self, host: u8, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qctl"));
        command
            .arg("--json")
            .args(args)
            .env("QCTL_INITIATOR", format!("iqn.2026-01.test:host-{host}"))
            .env("STATE_DIRECTORY", self.file(&format!("state-{host}")))
            .env("RUNTIME_DIRECTORY", self.file(&format!("run-{host}")))
            .env_remove("QCTL_CHAP_FILE")
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs it to its end: the exit code, the document, what it said.
    pub(crate) fn run(&self, host: u8, args: &[&str]) -> (Option<i32>, Value, String) {
        let output = self.qctl(host, args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let document = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        (output.status.code(), document, said)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}

/// A `qctl` that runs, and what it has printed.
pub(crate) struct Running {
    pub(crate) process: Child,
    lines: Receiver<String>,
    pub(crate) seen: Vec<Value>,
    /// The test itself stopped or killed it: it is no witness of how punctual the machine is.
    struck: Cell<bool>,
}

impl Running {
    pub(crate) fn of(mut command: Command) -> Self {
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

    fn saw(&mut self, value: Value) {
        if !self.struck.get() {
            witness(&value);
        }
        self.seen.push(value);
    }

    /// Reads on until this event.
    pub(crate) fn until(&mut self, event: &str) -> Value {
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("no {event} in {:#?}", self.seen);
            };
            let Ok(value) = serde_json::from_str::<Value>(&line) else {
                let rest: Vec<String> = self.lines.iter().collect();
                panic!("{line}{} after {:#?}", rest.concat(), self.seen);
            };
            self.saw(value.clone());
            if value["event"] == event {
                return value;
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if matches!(signal, Signal::SIGSTOP | Signal::SIGKILL) {
            self.struck.set(true);
        }
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).unwrap();
    }

    /// Its exit code; everything that it printed is in `seen`.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let status = until("qctl to end", || self.process.try_wait().unwrap());
        let rest: Vec<String> = self.lines.iter().collect();
        for line in rest {
            if let Ok(value) = serde_json::from_str(&line) {
                self.saw(value);
            }
        }
        status.code()
    }

    /// How many of these events there were up to now.
    pub(crate) fn count(&mut self, event: &str) -> usize {
        while let Ok(line) = self.lines.try_recv() {
            self.saw(serde_json::from_str(&line).unwrap());
        }
        self.seen
            .iter()
            .filter(|value| value["event"] == event)
            .count()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _ended = self.process.wait();
        if std::thread::panicking() {
            while let Ok(line) = self.lines.recv_timeout(REST) {
                if let Ok(value) = serde_json::from_str(&line) {
                    self.saw(value);
                }
            }
        }
    }
}

/// Looks until there is something to see.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "waited for {what} in vain");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A disk that several hosts reach.
pub(crate) struct Disk {
    pub(crate) url: String,
    pub(crate) kind: Kind,
    pub(crate) folder: Folder,
    server: Running,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Ours,
    Tgt,
}

impl Disk {
    pub(crate) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Ours => Self::ours(&[]),
            Kind::Tgt => Self::tgt(),
        }
    }

    pub(crate) fn ours(args: &[&str]) -> Self {
        let folder = Folder::new();
        let file = folder.file("disk");
        let mut serve = folder.qctl(0, &["target", "serve", "--size=8MiB"]);
        serve
            .arg(format!("--file={}", file.display()))
            .arg("--listen=127.0.0.1:0")
            .args(args);
        let mut server = Running::of(serve);
        let url = server.until("listening")["url"]
            .as_str()
            .unwrap()
            .to_owned();
        Self {
            url,
            kind: Kind::Ours,
            folder,
            server,
        }
    }

    /// Debian's target, without root, on a port that was free a moment ago.
    fn tgt() -> Self {
        let folder = Folder::new();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let image = folder.file("disk");
        std::fs::File::create(&image)
            .unwrap()
            .set_len(8 << 20)
            .unwrap();
        let mut tgtd = Command::new("tgtd");
        tgtd.args(["-f", "-C", "0", "--iscsi"])
            .arg(format!("portal=127.0.0.1:{port}"))
            .env("TGT_IPC_SOCKET", folder.file("ipc"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let server = Running::of(tgtd);
        let admin = |args: &str| {
            let mut tgtadm = Command::new("tgtadm");
            tgtadm
                .args(["-C", "0", "--lld", "iscsi"])
                .args(args.split(' '))
                .env("TGT_IPC_SOCKET", folder.file("ipc"))
                .stderr(Stdio::null());
            tgtadm.status().unwrap().success()
        };
        let name = "iqn.2026-01.test:tgt";
        until("tgtd to listen", || {
            admin(&format!("--op new --mode target --tid 1 -T {name}")).then_some(())
        });
        let unit = format!(
            "--op new --mode logicalunit --tid 1 --lun 1 -b {}",
            image.display()
        );
        assert!(admin(&unit));
        assert!(admin("--op bind --mode target --tid 1 -I ALL"));
        Self {
            url: format!("iscsi://127.0.0.1:{port}/{name}/1"),
            kind: Kind::Tgt,
            folder,
            server,
        }
    }

    pub(crate) fn server(&self) -> &Running {
        &self.server
    }

    pub(crate) fn server_mut(&mut self) -> &mut Running {
        &mut self.server
    }

    /// Starts to arbitrate on this host.
    pub(crate) fn arbitrate(&self, host: u8, mode: &str, options: &[&str]) -> Running {
        let mut command = self.folder.qctl(host, &["arbitrate"]);
        command
            .arg(format!("--node={host}"))
            .arg(format!("--mode={mode}"))
            .args(options)
            .arg(&self.url);
        if self.kind == Kind::Tgt && mode == "pr" {
            // tgt forgets registrations when it stops, and has no PREEMPT AND ABORT.
            command.args(["--accept-no-aptpl", "--no-abort"]);
        }
        Running::of(command)
    }
}

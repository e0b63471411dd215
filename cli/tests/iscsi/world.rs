//! A target, the hosts around it, and processes that are watched.

use crate::folder::Folder;
pub(crate) use crate::running::{Running, until};
use serde_json::Value;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The folder of a test, and its hosts.
pub(crate) struct Hosts(Folder);

impl Hosts {
    pub(crate) fn new() -> Self {
        Self(Folder::new())
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.file(name)
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

impl Running {
    /// How many of these events there were up to now.
    pub(crate) fn count(&mut self, event: &str) -> usize {
        while let Ok(line) = self.lines.try_recv() {
            self.saw(&line);
        }
        let seen = self.seen.iter();
        seen.filter(|value| value["event"] == event).count()
    }
}

/// A disk that several hosts reach.
pub(crate) struct Disk {
    pub(crate) url: String,
    pub(crate) kind: Kind,
    pub(crate) folder: Hosts,
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
        let folder = Hosts::new();
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
        let folder = Hosts::new();
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

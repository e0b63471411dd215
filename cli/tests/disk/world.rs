//! A directory with a disk in it, and `qctl` to run there.

use serde_json::Value;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of a test's own, gone with the test.
pub(crate) struct World {
    pub(crate) directory: PathBuf,
}

impl World {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("qctl-disk-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        Self { directory }
    }

    /// A world in which these commands were run, each with success.
    pub(crate) fn after(commands: &[&str]) -> Self {
        let world = Self::new();
        for command in commands {
            let output = world.output(command);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{command}: {errors}");
        }
        world
    }

    /// `qctl` with these arguments, separated by spaces, in this world.
    pub(crate) fn qctl(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qctl"));
        command
            .args(arguments.split_whitespace())
            .current_dir(&self.directory)
            .env_remove("RUST_BACKTRACE")
            .env("COLUMNS", "100")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn output(&self, arguments: &str) -> Output {
        self.qctl(arguments).output().unwrap()
    }

    /// What it prints, as a terminal shows it, and its exit code.
    pub(crate) fn run(&self, arguments: &str) -> String {
        self.show(&self.output(arguments))
    }

    /// The exit code alone.
    pub(crate) fn code(&self, arguments: &str) -> i32 {
        self.output(arguments).status.code().unwrap()
    }

    /// The document that it prints with `--json`, held to its schema, and its exit code.
    pub(crate) fn document(&self, arguments: &str) -> (Value, i32) {
        let output = self.output(&format!("--json {arguments}"));
        let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{arguments}: {error}: {}", self.show(&output));
        });
        crate::schema::hold_to_schema(&document);
        (document, output.status.code().unwrap())
    }

    /// The document as text, for a snapshot.
    pub(crate) fn json(&self, arguments: &str) -> String {
        let (document, code) = self.document(arguments);
        format!("{}\n[{code}]", stable(&format!("{document:#}")))
    }

    /// The token of the plan of this dangerous verb.
    pub(crate) fn token(&self, arguments: &str) -> String {
        let (plan, code) = self.document(arguments);
        assert_eq!(code, 107);
        plan["token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn show(&self, output: &Output) -> String {
        let mut text = String::from_utf8(output.stdout.clone()).unwrap();
        text.push_str(&String::from_utf8(output.stderr.clone()).unwrap());
        writeln!(text, "[{}]", output.status.code().unwrap()).unwrap();
        stable(&text.replace(&self.directory.display().to_string(), "DIRECTORY"))
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.directory.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.directory);
    }
}

/// The text without what differs from run to run.
pub(crate) fn stable(text: &str) -> String {
    let hex = |c: char| c.is_ascii_hexdigit();
    let text = replace(text, "naa.3", "naa.WWID", hex);
    let text = replace(&text, "EMU", "EMU-SERIAL", hex);
    let text = replace(&text, "\"time\": \"", "\"time\": \"TIME", |c| c != '"');
    let text = replace(&text, "\"monotonic_ns\": ", "\"monotonic_ns\": 0", |c| {
        c.is_ascii_digit()
    });
    let text = replace(&text, "\"uid\": ", "\"uid\": 0", |c| c.is_ascii_digit());
    let text = replace(&text, "\"logged\": ", "\"logged\": false", |c| {
        c.is_ascii_alphabetic()
    });
    tokens(&text)
}

/// Replaces each `start`, and what follows it for as long as `belongs`, where something does.
fn replace(text: &str, start: &str, by: &str, belongs: impl Fn(char) -> bool) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(start) {
        let after = &rest[at + start.len()..];
        let end = after.find(|c| !belongs(c)).unwrap_or(after.len());
        out.push_str(&rest[..at]);
        out.push_str(if end == 0 { start } else { by });
        rest = &after[end..];
    }
    out + rest
}

/// Tokens of plans: `g3-0123abcd`.
fn tokens(text: &str) -> String {
    let is_token = |word: &str| {
        word.split_once('-').is_some_and(|(head, hash)| {
            (head.starts_with('g') || head == "unread")
                && hash.len() == 8
                && hash.chars().all(|c| c.is_ascii_hexdigit())
        })
    };
    let mut out = String::new();
    for word in text.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || c == '-')) {
        let bare = word.trim_end_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        if is_token(bare) {
            out.push_str("TOKEN");
            out.push_str(&word[bare.len()..]);
        } else {
            out.push_str(word);
        }
    }
    out
}

/// A path as an argument.
pub(crate) fn argument(path: &Path) -> String {
    path.display().to_string()
}

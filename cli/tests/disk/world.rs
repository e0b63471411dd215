//! A directory with a disk in it, and `qctl` to run there.

use crate::folder::Folder;
use crate::shown::Shown;
use std::path::{Path, PathBuf};

/// A folder of a test's own.
pub(crate) struct World {
    folder: Folder,
}

impl Shown for World {
    fn directory(&self) -> &Path {
        &self.folder.0
    }

    fn stable(&self, text: &str) -> String {
        stable(&text.replace(&self.directory().display().to_string(), "DIRECTORY"))
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            folder: Folder::new(),
        }
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

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.file(name);
        std::fs::write(&path, bytes).unwrap();
        path
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

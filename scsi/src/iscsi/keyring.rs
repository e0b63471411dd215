//! The CHAP names and secrets of a file.
//!
//! ```text
//!   # who      name     secret
//!   initiator  node-1   a secret of twelve characters or more
//!   target     disk     another one
//! ```
//!
//! `initiator` lines are what initiators prove themselves with: an initiator uses the one that its URL names
//! (or the only one), a target takes them all. A `target` line is what the target proves itself with: an
//! initiator that has one refuses a target that cannot.
//!
//! One format for both ends, so that one file can be copied. The secret goes from its first to its last
//! character that is no white space.

use crate::iscsi::chap::{Credentials, Secret};

/// How many initiators a file may name: as many as a target has sessions.
const INITIATORS_MAX: usize = 64;

/// The longest file. Every line with the longest name and secret.
pub const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Names and secrets.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    /// What initiators prove themselves with.
    pub initiators: Vec<Credentials>,
    /// What the target proves itself with.
    pub target: Option<Credentials>,
}

/// What is wrong with a file of secrets. Never repeats what may be a secret.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct KeyringError {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

impl Keyring {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        let mut keyring = Self::default();
        for (at, line) in text.lines().enumerate() {
            keyring
                .take(line.trim())
                .map_err(|why| KeyringError { line: at + 1, why })?;
        }
        let same = keyring.target.as_ref().is_some_and(|target| {
            keyring
                .initiators
                .iter()
                .any(|one| one.secret.is_same(&target.secret))
        });
        if same {
            return Err(KeyringError {
                line: text.lines().count(),
                why: "the target has the secret of an initiator; it must have its own".to_owned(),
            });
        }
        Ok(keyring)
    }

    fn take(&mut self, line: &str) -> Result<(), String> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let (who, rest) = split(line);
        let (name, secret) = split(rest);
        if name.is_empty() || secret.is_empty() {
            return Err("a line has `initiator` or `target`, a name and a secret".to_owned());
        }
        if name.len() > 255 || secret.len() > 255 {
            return Err("a name or a secret has at most 255 bytes".to_owned());
        }
        let credentials = Credentials {
            name: name.to_owned(),
            secret: Secret::new(secret.as_bytes()),
        };
        match who {
            "initiator" if self.initiators.len() >= INITIATORS_MAX => {
                Err(format!("more than {INITIATORS_MAX} initiators"))
            }
            "initiator" if self.initiators.iter().any(|one| one.name == name) => {
                Err(format!("the initiator {name} has two secrets"))
            }
            "initiator" => {
                self.initiators.push(credentials);
                Ok(())
            }
            "target" if self.target.is_some() => Err("a second target".to_owned()),
            "target" => {
                self.target = Some(credentials);
                Ok(())
            }
            _ => Err("a line begins with `initiator` or `target`".to_owned()),
        }
    }

    /// What to prove oneself with under this user name, or the only one there is.
    ///
    /// # Errors
    /// Why there is none.
    pub fn choose(&self, user: Option<&str>) -> Result<&Credentials, String> {
        match (user, self.initiators.as_slice()) {
            (Some(user), all) => all
                .iter()
                .find(|one| one.name == user)
                .ok_or_else(|| format!("there is no secret for the initiator {user}")),
            (None, [one]) => Ok(one),
            (None, []) => Err("there is no `initiator` line".to_owned()),
            (None, _) => {
                Err("there are several initiators: say which in the URL, iscsi://NAME@…".to_owned())
            }
        }
    }

    /// Is there a secret that is too short for a network that others can read?
    #[must_use]
    pub fn has_short_secret(&self) -> bool {
        self.initiators
            .iter()
            .chain(&self.target)
            .any(|one| one.secret.is_short())
    }
}

/// The first word, and the rest.
fn split(line: &str) -> (&str, &str) {
    match line.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (line, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "# both ways\ninitiator a first secret\n\n  initiator b\tsecond-secret\ntarget d third\n";

    #[test]
    fn a_file_names_initiators_and_a_target() {
        let keyring = Keyring::parse(FILE).unwrap();
        assert_eq!(keyring.choose(Some("b")).unwrap().name, "b");
        let first = keyring.choose(Some("a")).unwrap();
        assert!(first.secret.is_same(&Secret::new(*b"first secret")));
        assert_eq!(keyring.target.as_ref().unwrap().name, "d");
        assert!(keyring.has_short_secret());
        assert!(keyring.choose(Some("c")).is_err());
        assert!(keyring.choose(None).unwrap_err().contains("several"));
        let one = Keyring::parse("initiator only aaaaaaaaaaaa").unwrap();
        assert_eq!(one.choose(None).unwrap().name, "only");
        assert!(!one.has_short_secret());
    }

    #[test]
    fn what_is_wrong_is_said_by_its_line_and_without_the_secret() {
        for (text, line, word) in [
            ("initiator a\n", 1, "a secret"),
            ("\nhost a hush\n", 2, "begins with"),
            ("initiator a hush\ninitiator a hush2\n", 2, "two secrets"),
            ("target a hush\ntarget b hush2\n", 2, "second"),
            ("initiator a hush\ntarget b hush\n", 2, "its own"),
        ] {
            let error = Keyring::parse(text).unwrap_err();
            assert_eq!(error.line, line, "{text}");
            let said = error.to_string();
            assert!(said.contains(word), "{said}");
            assert!(!said.contains("hush"), "{said}");
        }
    }
}

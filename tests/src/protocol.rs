//! The words between the lab and the agent inside a guest: one JSON document a line, each request answered once,
//! in order.
//!
//! Why not a shell on a console: a shell costs a fork and a dynamic load for each word of a test, which under
//! emulation is a thousand times the SCSI command that the test is about.

use serde::{Deserialize, Serialize};

/// The name of the virtio-serial port that carries the lines.
pub const PORT_NAME: &str = "lab";

/// How much of a process's output is kept. Anything longer is cut, and the answer says so.
pub const OUTPUT_BYTES_MAX: usize = 1 << 20;

/// The longest line that either side reads: two outputs, each byte six characters at worst (`\u0000`), and room.
pub const LINE_BYTES_MAX: usize = 2 * 6 * OUTPUT_BYTES_MAX + 4096;

/// What the lab asks for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Request {
    /// Are you there?
    Ping,
    /// Load a kernel module from a file of the image.
    LoadModule {
        /// The file.
        path: String,
        /// Parameters, as `insmod` takes them.
        parameters: String,
    },
    /// Run a program to its end.
    Run {
        /// The program and its arguments.
        argv: Vec<String>,
        /// What it reads.
        stdin: String,
        /// Killed when it has not ended by then; given up when not even that ends it.
        bound_ms: u64,
    },
    /// Start a program and go on.
    Start {
        /// How later requests name it.
        name: String,
        /// The program and its arguments.
        argv: Vec<String>,
    },
    /// Send a signal to a started program (to it alone, not to its children).
    Signal {
        /// The program.
        name: String,
        /// The signal's name without SIG.
        signal: String,
    },
    /// Wait for a started program to end.
    Wait {
        /// The program.
        name: String,
        /// How long.
        bound_ms: u64,
    },
    /// Wait for a line of JSON on a started program's stdout that has all these fields. Each line is looked at
    /// once: the next wait goes on behind the line that this one found.
    Event {
        /// The program.
        name: String,
        /// Field (a dotted path) and value, as text.
        fields: Vec<(String, String)>,
        /// How long.
        bound_ms: u64,
    },
    /// What a started program has printed so far.
    Output {
        /// The program.
        name: String,
    },
    /// Read a block device past the page cache, or a file.
    Read {
        /// The node.
        path: String,
        /// Where, in bytes.
        offset: u64,
        /// How much, in bytes; at most [`IO_BYTES_MAX`].
        length: u32,
    },
    /// Write to a block device past the page cache, or to a file.
    Write {
        /// The node.
        path: String,
        /// Where, in bytes.
        offset: u64,
        /// This byte, ...
        byte: u8,
        /// ... this many times; at most [`IO_BYTES_MAX`].
        length: u32,
    },
    /// Write a text to a file, made if it is not there.
    Put {
        /// The file.
        path: String,
        /// Its content.
        text: String,
    },
}

/// The most that one read or write moves.
pub const IO_BYTES_MAX: u32 = 1 << 16;

/// What the agent answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// Done, and there is nothing more to say.
    Done,
    /// A program ended, or was given up.
    Ended(Ended),
    /// The line that matched.
    Event {
        /// The whole line.
        line: String,
    },
    /// No such line came in time; or the program ended without it.
    NoEvent {
        /// Everything printed so far, stdout and stderr.
        printed: String,
    },
    /// Still running at the bound.
    Running,
    /// Bytes that were read, run-length coded: byte and count.
    Bytes {
        /// The runs, in order.
        runs: Vec<(u8, u32)>,
    },
    /// The kernel refused.
    Errno {
        /// The error's name, such as `EBADE`.
        name: String,
        /// What was tried.
        what: String,
    },
    /// The request made no sense to the agent.
    Misunderstood {
        /// Why.
        why: String,
    },
}

/// How a program ended.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ended {
    /// The exit status: 128+n after signal n, as a shell has it; none when the bound ended the wait.
    pub status: Option<i32>,
    /// Was it still there after SIGKILL (it sits in the kernel)?
    pub stuck: bool,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
    /// How long it ran.
    pub micros: u64,
}

/// The value at a dotted path of a document, as text: strings without their quotes, all else as JSON writes it.
#[must_use]
pub fn at_path(document: &serde_json::Value, path: &str) -> Option<String> {
    let mut value = document;
    for part in path.split('.') {
        value = match part.parse::<usize>() {
            Ok(index) if value.is_array() => value.get(index)?,
            _ => value.get(part)?,
        };
    }
    Some(
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned),
    )
}

/// Folds bytes into runs.
#[must_use]
pub fn runs_of(bytes: &[u8]) -> Vec<(u8, u32)> {
    let mut runs: Vec<(u8, u32)> = Vec::new();
    for &byte in bytes {
        match runs.last_mut() {
            Some((same, count)) if *same == byte => *count += 1,
            _ => runs.push((byte, 1)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_neighbours_become_one_run() {
        assert_eq!(runs_of(&[]), []);
        assert_eq!(runs_of(&[0, 0, 7, 0]), [(0, 2), (7, 1), (0, 1)]);
    }

    #[test]
    fn a_dotted_path_leads_through_objects_and_arrays() {
        let document = serde_json::json!({ "a": [{ "b": "x" }, 7], "1": true });
        assert_eq!(at_path(&document, "a.0.b").unwrap(), "x");
        assert_eq!(at_path(&document, "a.1").unwrap(), "7");
        assert_eq!(at_path(&document, "1").unwrap(), "true");
        assert_eq!(at_path(&document, "a.2"), None);
    }

    #[test]
    fn a_request_reads_back_as_it_was_written() {
        let request = Request::Event {
            name: "owner".into(),
            fields: vec![("to".into(), "owner".into())],
            bound_ms: 5,
        };
        let line = serde_json::to_string(&request).unwrap();
        assert_eq!(line.lines().count(), 1);
        assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), request);
    }
}

//! `qctl` to its end in a folder, and what a user sees of it.

use serde_json::Value;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Where `qctl` is run, and how what it prints is made the same from run to run.
pub(crate) trait Shown {
    fn directory(&self) -> &Path;

    /// The text without what differs.
    fn stable(&self, text: &str) -> String;

    /// `qctl` with these arguments, separated by spaces, there.
    fn qctl(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qctl"));
        command
            .args(arguments.split_whitespace())
            .current_dir(self.directory())
            .env_remove("RUST_BACKTRACE")
            .env("COLUMNS", "100")
            .stdin(Stdio::null());
        command
    }

    fn output(&self, arguments: &str) -> Output {
        self.qctl(arguments).output().unwrap()
    }

    /// What it prints, as a terminal shows it, and its exit code.
    fn run(&self, arguments: &str) -> String {
        self.show(&self.output(arguments))
    }

    /// The exit code alone.
    fn code(&self, arguments: &str) -> i32 {
        self.output(arguments).status.code().unwrap()
    }

    /// The document that it prints with `--json`, held to its schema, and its exit code.
    fn document(&self, arguments: &str) -> (Value, i32) {
        let output = self.output(&format!("--json {arguments}"));
        let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{arguments}: {error}: {}", self.show(&output));
        });
        crate::schema::hold_to_schema(&document);
        (document, output.status.code().unwrap())
    }

    fn show(&self, output: &Output) -> String {
        let mut text = String::from_utf8(output.stdout.clone()).unwrap();
        text.push_str(&String::from_utf8(output.stderr.clone()).unwrap());
        writeln!(text, "[{}]", output.status.code().unwrap()).unwrap();
        self.stable(&text)
    }
}

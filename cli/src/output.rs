//! The one place that prints.
//!
//! Rules:
//! * results go to stdout, messages to stderr;
//! * with `--json` a command prints one document (pretty), a stream prints one document a line; an error
//!   is a document too, on stdout, with `error.code` the exit code;
//! * a closed pipe is not an error: what is left is not printed, and the exit code stays the command's.

use crate::exit::{Exit, Failure};
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use serde_json::{Map, Value, json};
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

/// Headings and names.
pub(crate) const STRONG: Style = Style::new().bold();
/// What is as it should be.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What needs a look.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// What is wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What can be skipped.
pub(crate) const FAINT: Style = Style::new().dimmed();

/// When text is coloured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Colour {
    /// When a terminal watches
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What a command found or did: printed as text for people or as JSON for programs.
pub(crate) trait Report {
    /// The name of its schema, as `qctl schema NAME` knows it.
    fn schema(&self) -> &'static str;
    /// The document, an object, without `schema` and `error`.
    fn json(&self) -> Value;
    /// The text.
    fn text(&self, page: &mut dyn Write) -> io::Result<()>;
}

/// Where the program prints.
pub(crate) struct Output {
    json: bool,
    out: AutoStream<io::Stdout>,
    err: AutoStream<io::Stderr>,
    /// Nobody reads stdout any more.
    closed: bool,
}

impl Output {
    /// Prints JSON or text.
    pub(crate) fn new(json: bool, colour: Colour) -> Self {
        let choice = match colour {
            Colour::Auto => ColorChoice::Auto,
            Colour::Always => ColorChoice::Always,
            Colour::Never => ColorChoice::Never,
        };
        Self {
            json,
            out: AutoStream::new(io::stdout(), choice),
            err: AutoStream::new(io::stderr(), choice),
            closed: false,
        }
    }

    /// Is this for a program?
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Has the reader of stdout gone? A stream that serves nobody else may end then.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Prints the result of a one-shot command.
    pub(crate) fn report(&mut self, report: &dyn Report) -> Result<(), Failure> {
        if self.json {
            let document = Value::Object(document(Some(report), None));
            return self.write(|out| writeln!(out, "{document:#}"));
        }
        self.write(|out| report.text(out))
    }

    /// Prints one event of a stream, and hands it on at once.
    pub(crate) fn event(&mut self, report: &dyn Report) -> Result<(), Failure> {
        if self.json {
            let document = Value::Object(document(Some(report), None));
            return self.write(|out| writeln!(out, "{document}"));
        }
        self.write(|out| report.text(out))
    }

    /// Prints text that is the same for people and programs (a schema, completions, a manual page).
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.write(|out| out.write_all(bytes))
    }

    /// Says something to whoever watches; programs need not read it.
    pub(crate) fn message(&mut self, text: &str) {
        // A message that nobody can receive is no reason to stop.
        drop(writeln!(self.err, "qctl: {text}"));
    }

    /// Says how far it is, in place of what it said last, where a person watches; an empty text takes it away.
    pub(crate) fn progress(&mut self, text: &str) {
        if io::stderr().is_terminal() {
            // Progress that nobody can see is no reason to stop.
            drop(write!(self.err, "\r\x1b[K{text}").and_then(|()| self.err.flush()));
        }
    }

    /// Ends the program with the code of what happened.
    pub(crate) fn end(mut self, ending: Result<Exit, Failure>) -> ExitCode {
        match ending {
            Ok(exit) => exit.into(),
            Err(failure) => {
                self.failure(&failure);
                failure.exit.into()
            }
        }
    }

    fn failure(&mut self, failure: &Failure) {
        let report = failure.report.as_deref();
        if self.json {
            let document = Value::Object(document(report, Some(failure)));
            drop(self.write(|out| writeln!(out, "{document:#}")));
            return;
        }
        if let Some(report) = report {
            drop(self.write(|out| report.text(out)));
        }
        drop(error_text(&mut self.err, failure));
    }

    fn write(
        &mut self,
        print: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Failure> {
        if self.closed {
            return Ok(());
        }
        match print(&mut self.out).and_then(|()| self.out.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            Err(error) => Err(Failure::new(
                Exit::CannotOpen,
                format!("the result could not be printed: {error}"),
                "look at where stdout goes",
            )),
        }
    }
}

/// Prints what clap says about the arguments: help and version are results, the rest is a usage error.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let json = std::env::args_os().any(|arg| arg == "--json");
    if !error.use_stderr() || !json {
        // The terminal may be gone; the code says it all the same.
        drop(error.print());
    } else {
        let text = error.render().to_string();
        let (message, hint) = text.split_once("\n\n").unwrap_or((&text, ""));
        let failure = Failure::new(
            Exit::Usage,
            message.trim_start_matches("error: ").trim(),
            hint.trim(),
        );
        Output::new(true, Colour::Never).failure(&failure);
    }
    if error.use_stderr() {
        Exit::Usage.into()
    } else {
        Exit::Done.into()
    }
}

/// Prints a line of `--trace`, from whatever thread the device lives on.
pub(crate) fn trace(text: &str) {
    // A trace that nobody can receive is no reason to stop.
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// Prints a failure from outside the normal way down: the program ends at once afterwards.
pub(crate) fn last_words(json: bool, failure: &Failure) {
    Output::new(json, Colour::Auto).failure(failure);
}

fn document(report: Option<&dyn Report>, failure: Option<&Failure>) -> Map<String, Value> {
    let schema = report.map_or("error", Report::schema);
    let mut document = Map::new();
    document.insert("schema".to_owned(), json!(format!("{schema}/1")));
    if let Some(Value::Object(fields)) = report.map(Report::json) {
        document.extend(fields);
    }
    if let Some(failure) = failure {
        document.insert("error".to_owned(), failure.json());
    }
    document
}

fn error_text(err: &mut dyn Write, failure: &Failure) -> io::Result<()> {
    writeln!(err, "{BAD}error:{BAD:#} {}", failure.message)?;
    if let Some(words) = failure.outcome.words() {
        writeln!(err, "  {words}")?;
    }
    for (index, line) in failure.next.lines().enumerate() {
        let label = if index == 0 { "next:" } else { "     " };
        writeln!(err, "  {STRONG}{label}{STRONG:#} {line}")?;
    }
    err.flush()
}

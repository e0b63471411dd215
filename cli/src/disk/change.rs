//! Making a change: send it, read back what is true, write the audit event, report.
//!
//! Invariants:
//! * nothing is called done before it was read back;
//! * a change that was sent is always followed by a read-back and an audit event, also when it failed or
//!   the operator interrupted it;
//! * commands are sent in order, and none after one that was not performed.

use super::condition::Condition;
use super::diff;
use super::session::{About, Met, Reading, Session};
use super::view;
use crate::Context;
use crate::audit;
use crate::exit::{Exit, Failure, Outcome};
use crate::interrupt::Interrupts;
use crate::output::{GOOD, Report, STRONG, WARN};
use crate::words;
use scsi::reservation::{Support, Verb};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::Path;

/// One command over one path.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The path's index.
    pub(crate) path: usize,
    /// What is sent.
    pub(crate) verb: Verb,
}

/// Judges the state after the change: is it what was asked for?
pub(crate) type Expectation = Box<dyn Fn(&Condition) -> Result<(), Failure>>;

/// A change that is to be made.
pub(crate) struct Change {
    /// Its name in the audit event and in the report.
    pub(crate) name: &'static str,
    /// The commands, in order; at least one.
    pub(crate) steps: Vec<Step>,
    /// What must be true afterwards.
    pub(crate) expectation: Expectation,
    /// Ask for admission too (SPC-2 verbs and resets).
    pub(crate) spc2: bool,
    /// What the operator should know about it.
    pub(crate) remarks: Vec<String>,
}

/// What was done, as it is printed.
#[derive(Debug)]
pub(crate) struct ChangeReport {
    about: About,
    name: &'static str,
    outcome: Outcome,
    commands: Vec<Command>,
    remarks: Vec<String>,
    met: Vec<Met>,
    before: Condition,
    after: Condition,
    /// Nothing was sent: nothing to audit.
    audit: Option<audit::Event>,
}

/// A command that was sent.
#[derive(Debug)]
struct Command {
    path: String,
    words: String,
    performed: bool,
}

/// Makes the change and prints what came of it.
pub(crate) fn make(
    session: &mut Session,
    context: &mut Context,
    interrupts: &Interrupts,
    before: Condition,
    change: &Change,
) -> Result<(), Failure> {
    let report = carry_out(session, interrupts, before, change)?;
    context.output.report(&report)
}

/// Makes the change; what came of it is the caller's to print.
pub(crate) fn carry_out(
    session: &mut Session,
    interrupts: &Interrupts,
    before: Condition,
    change: &Change,
) -> Result<ChangeReport, Failure> {
    interrupts.arm();
    let mut met = before.met.clone();
    let mut commands = Vec::new();
    let mut failure = None;
    for step in &change.steps {
        let exchange = session.perform(step.path, &step.verb);
        session.note(step.path, &exchange, &mut met);
        failure = Failure::of_answer(&step.verb, &exchange.answer, session.name());
        commands.push(Command {
            path: session.disk.paths[step.path].name.clone(),
            words: words::verb(&step.verb),
            performed: failure.is_none(),
        });
        if failure.is_some() {
            break;
        }
    }
    let mut after = read_back(session, change);
    met.append(&mut after.met);
    let failure = judge(change, &commands, failure, &after, session.name())
        .or_else(|| forgets_aptpl(session, change));
    let outcome = failure
        .as_ref()
        .map_or(Outcome::Done, |failure| failure.outcome);
    let audit = (!commands.is_empty()).then(|| {
        let about = session.about();
        let (before, after) = (before.json(), after.json());
        audit::Event::now(&about, change.name, outcome.name(), before, after)
            .logged_to(Path::new(audit::SYSTEM_LOG))
    });
    let report = ChangeReport {
        about: session.about(),
        name: change.name,
        outcome,
        commands,
        remarks: change.remarks.clone(),
        met,
        before,
        after,
        audit,
    };
    match failure {
        None => Ok(report),
        Some(failure) => Err(failure.with(report)),
    }
}

fn read_back(session: &mut Session, change: &Change) -> Condition {
    match change.steps.first() {
        // The nexus that acted is the one whose admission is asked.
        Some(step) if change.spc2 => Condition::with_admission(session, step.path),
        Some(_) | None => Condition::read(session),
    }
}

/// What the change came to: `None` when it is done and reads so.
fn judge(
    change: &Change,
    commands: &[Command],
    failure: Option<Failure>,
    after: &Condition,
    disk: &str,
) -> Option<Failure> {
    let Some(mut failure) = failure else {
        return (change.expectation)(after).err();
    };
    if let (Exit::Conflict, Some(reading)) = (failure.exit, after.reading()) {
        let held = view::reservation_words(reading.state.reservation.as_ref());
        failure.message = format!("{}; in force: {held}", failure.message);
    }
    // Earlier commands of the same change were performed: "nothing was changed" would be wrong.
    let performed = commands.iter().filter(|command| command.performed).count();
    if failure.outcome == Outcome::None && performed > 0 {
        failure.message = format!(
            "{} (after {performed} of {} commands of this change)",
            failure.message,
            change.steps.len()
        );
        failure.outcome = Outcome::Done;
        failure.next = format!("qctl disk pr audit {disk}   (what is registered on which path)");
    }
    Some(failure)
}

/// What was asked to survive a power loss does not, although GOOD was answered.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the other verbs carry no APTPL"
)]
fn forgets_aptpl(session: &mut Session, change: &Change) -> Option<Failure> {
    let asks = |verb: &Verb| match verb {
        Verb::Register { new, options, .. } | Verb::RegisterIgnoringExisting { new, options } => {
            new.is_some() && options.aptpl
        }
        Verb::Move { aptpl, .. } => *aptpl,
        _ => false,
    };
    if !change.steps.iter().any(|step| asks(&step.verb)) {
        return None;
    }
    let why = match session.capabilities() {
        Ok((can, _)) if can.aptpl_active == Support::No => {
            "APTPL is not active (PTPL_A is 0): a power loss of the target opens the disk"
                .to_owned()
        }
        Ok(_) => return None,
        // A disk may register and not report capabilities.
        Err(why) if matches!(why.exit, Exit::Unsupported | Exit::IllegalRequest) => return None,
        Err(why) => format!(
            "whether APTPL is active cannot be read back: {}",
            why.message
        ),
    };
    let disk = session.name();
    let mut failure = reads_otherwise(&why, disk);
    failure.next = format!(
        "qctl disk pr capabilities {disk}   (if nobody else has registered without APTPL, this target does not keep it: no \
         quorum disk)"
    );
    Some(failure)
}

/// GOOD was answered, and what reads back is not so, by nobody else's doing that could be seen.
pub(crate) fn reads_otherwise(what: &str, disk: &str) -> Failure {
    Failure::new(
        Exit::Unknown,
        format!("the disk answered GOOD, but {what}"),
        format!("qctl disk show {disk}   (what is true now)"),
    )
    .outcome(Outcome::Unknown)
}

/// The state after a change. Unreadable, it is a failure: what was not read back is not done.
pub(crate) fn read_back_of<'a>(after: &'a Condition, disk: &str) -> Result<&'a Reading, Failure> {
    after
        .persistent
        .as_ref()
        .map_err(|why| reads_otherwise(&format!("the state could not be read back: {why}"), disk))
}

impl Report for ChangeReport {
    fn schema(&self) -> &'static str {
        "disk-change"
    }

    fn json(&self) -> Value {
        let commands: Vec<Value> = self
            .commands
            .iter()
            .map(|command| {
                json!({
                    "path": command.path,
                    "command": command.words,
                    "performed": command.performed,
                })
            })
            .collect();
        json!({
            "disk": view::about_json(&self.about),
            "verb": self.name,
            "outcome": self.outcome.name(),
            "commands": commands,
            "remarks": self.remarks,
            "attentions": view::met_json(&self.met),
            "before": self.before.json(),
            "after": self.after.json(),
            "audit": self.audit.as_ref().map(audit::Event::summary),
        })
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        view::about_text(page, &self.about)?;
        for command in &self.commands {
            let verdict = if command.performed {
                format!("{GOOD}done{GOOD:#}")
            } else {
                format!("{WARN}not done{WARN:#}")
            };
            writeln!(page, "{}  {}: {verdict}", command.path, command.words)?;
        }
        view::met_text(page, &self.met)?;
        for remark in &self.remarks {
            writeln!(page, "note        {remark}")?;
        }
        if let (Some(before), Some(after)) = (self.before.reading(), self.after.reading()) {
            let differences = diff::between(&before.state, &after.state);
            if differences.is_empty() {
                writeln!(
                    page,
                    "{STRONG}changed{STRONG:#}     nothing that the disk shows"
                )?;
            } else {
                writeln!(page, "{STRONG}changed{STRONG:#}")?;
            }
            for difference in differences {
                writeln!(page, "  {}", difference.words())?;
            }
        }
        self.after.text(page)
    }
}

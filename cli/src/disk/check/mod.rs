//! `qctl disk check`: can this disk be trusted as a quorum disk?
//!
//! Two tiers. The read-only one asks what the disk says, measures how long it takes, and looks at what
//! this host would do to it at boot. The destructive one tries the rules out. What was not tested is *not
//! proven*; only a disk of which everything was tested is *fit*.

mod blocks;
mod boot;
mod keys;
mod latency;
mod point;
mod survey;
mod trial;

use super::condition::Condition;
use super::session::{About, DiskArg, Met, Session};
use super::{capabilities, view};
use crate::Context;
use crate::audit;
use crate::content;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;
use crate::output::{BAD, GOOD, Report, STRONG, WARN};
use latency::{Carried, Latency};
use point::{Answer, Point, Verdict};
use quorum_core::arbitration::Mode;
use scsi::disk::Way;
use scsi::reservation::{Capabilities, Support, Verb};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::Path;
use survey::Aptpl;

/// `qctl disk check`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Ends with 0 when the disk is fit or nothing speaks against it, with 36 when it is unfit.

Examples:
  qctl disk check /dev/sdb                                    reads only
  qctl disk check /dev/sdb --destructive --second /dev/sdc    tries the rules with two nexuses
  qctl disk check /dev/sdb --destructive --leave-mark         before a power cycle of the target
  qctl disk check /dev/sdb --after-power-cycle                and after it
  qctl disk check /dev/sdb --cleanup                          after a check that was killed")]
pub(crate) struct Args {
    #[command(flatten)]
    disk: DiskArg,
    /// Try the rules out: registers, reserves, preempts, resets, and writes a block back as it was
    #[arg(long)]
    destructive: bool,
    /// The content is worthless: try it although something is recognised on it
    #[arg(long, requires = "destructive")]
    scratch: bool,
    /// The block that is written back; the last one unless said otherwise
    #[arg(long, value_name = "BLOCK", requires = "destructive")]
    lba: Option<u64>,
    /// The same disk through another nexus; an iscsi:// disk has one without this
    #[arg(long, value_name = "DISK", requires = "destructive")]
    second: Option<String>,
    /// Leave out PREEMPT AND ABORT, on which some targets hang
    #[arg(long, requires = "destructive")]
    no_abort: bool,
    /// Leave a registration behind, to be found after a power cycle of the target
    #[arg(long, requires = "destructive")]
    leave_mark: bool,
    /// Look for the mark of the run before the power cycle, and remove it
    #[arg(long, conflicts_with_all = ["destructive", "cleanup"])]
    after_power_cycle: bool,
    /// Remove the keys that a killed check has left
    #[arg(long, conflicts_with = "destructive")]
    cleanup: bool,
}

impl Args {
    /// Checks the disk.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let interrupts = Interrupts::catch(context.output.is_json());
        let mut session = Session::open(&self.disk, context)?;
        let mut second = self.open_second(&session, context)?;
        // What no kernel tells, the disk does.
        super::capacity::complete(&mut session);
        second.iter_mut().for_each(super::capacity::complete);
        if self.cleanup {
            return clean_up(&mut session, &interrupts, context);
        }
        let mut check = Check::survey(&mut session)?;
        let before = Condition::read(&mut session);
        if self.after_power_cycle {
            interrupts.arm();
            check.look_for_mark(&mut session)?;
        }
        if self.destructive {
            self.refuse_in_use(&mut session, &check)?;
            interrupts.arm();
            let lba = self.block(&session)?;
            let can = check.can;
            let trial = trial::Trial::prepare(
                &mut session,
                second.as_mut(),
                &interrupts,
                can,
                lba,
                !self.no_abort,
            )?;
            let (points, met) = trial.run();
            check.points.extend(points);
            check.met.extend(met);
        } else {
            check.points.push(
                Point::new(
                    "enforcement",
                    "the disk refuses whom it must refuse",
                    Answer::NotProven,
                )
                .because("it takes --destructive, and a second nexus"),
            );
        }
        if self.leave_mark && !interrupts.came() {
            let mark = trial::leave_mark(&mut session)?;
            check.remarks.push(format!(
                "the mark {mark} is registered and holds; power-cycle the target, then run \
                 `qctl disk check {} --after-power-cycle`",
                session.name()
            ));
        }
        if self.destructive || self.after_power_cycle {
            check.audit = Some(audit(&mut session, "CHECK", &before));
        }
        let verdict = Verdict::over(&check.points);
        context.output.report(&check)?;
        Ok(match verdict {
            Verdict::Unfit => Exit::No,
            Verdict::Fit | Verdict::NotProven => Exit::Done,
        })
    }

    /// The second nexus: the same disk by its WWID, through another nexus. Every session over iSCSI is a nexus of
    /// its own, so there a second one is opened unasked.
    fn open_second(&self, first: &Session, context: &Context) -> Result<Option<Session>, Failure> {
        let by_itself = self.destructive && first.disk.paths[0].way == Way::Iscsi;
        let own = by_itself.then_some(&self.disk.disk);
        let Some(name) = self.second.as_ref().or(own) else {
            return Ok(None);
        };
        let arg = DiskArg {
            disk: name.clone(),
            ..self.disk.clone()
        };
        let second = Session::open(&arg, context)?;
        let (ours, theirs) = (&first.disk.identity.wwid, &second.disk.identity.wwid);
        if ours.is_none() || ours != theirs {
            let text = |wwid: &Option<String>| wwid.clone().unwrap_or_else(|| "none".to_owned());
            return Err(Failure::usage(
                format!(
                    "{name} is not the same disk: its WWID is {}, that of {} is {}",
                    text(theirs),
                    first.name(),
                    text(ours)
                ),
                "`qctl disk list` shows which names have one WWID",
            ));
        }
        let nexus = &first.disk.paths[0].nexus;
        if nexus.is_some() && *nexus == second.disk.paths[0].nexus {
            return Err(Failure::usage(
                format!("{name} is the same nexus as {}", first.name()),
                "name the disk as it is seen through another path",
            ));
        }
        Ok(Some(second))
    }

    /// Refuses a disk that somebody uses, or that something is recognised on.
    fn refuse_in_use(&self, session: &mut Session, check: &Check) -> Result<(), Failure> {
        let disk = session.name().to_owned();
        if let Some(why) = super::guard::in_use(&session.disk).first() {
            return Err(Failure::new(
                Exit::Unsafe,
                format!("{disk} is not tried out: {why}"),
                "stop that use first, or name another disk",
            ));
        }
        let (admission, _) = super::condition::admission(session, 0);
        if admission == super::condition::Admission::ShutOut {
            return Err(Failure::new(
                Exit::Foreign,
                format!("{disk} is not tried out: another nexus has an SPC-2 reservation on it"),
                "find out whose disk it is; a LUN reset ends the reservation",
            ));
        }
        if check.can.persistent == Support::Yes {
            let state = session.read()?.state;
            let keys: Vec<_> = state.registrations.iter().map(|entry| entry.key).collect();
            if !keys.is_empty() || state.reservation.is_some() {
                return Err(Failure::new(
                    Exit::Foreign,
                    format!(
                        "{disk} is not tried out: somebody uses it; registered: {}; reservation: {}",
                        crate::args::list(&keys),
                        view::reservation_words(state.reservation.as_ref())
                    ),
                    format!(
                        "qctl disk show {disk}   (who); keys of a killed check go with \
                         `qctl disk check {disk} --cleanup`"
                    ),
                ));
            }
        }
        match &check.content {
            Ok(found) if found.is_empty() || self.scratch => Ok(()),
            Ok(found) => Err(Failure::new(
                Exit::Unsafe,
                format!("{disk} is not tried out: it carries {}", found.join(", ")),
                "if its content is worthless, say so with --scratch",
            )),
            Err(_) if self.scratch => Ok(()),
            Err(why) => Err(Failure::new(
                Exit::Unsafe,
                format!("{disk} is not tried out: what is on it cannot be read: {why}"),
                "if its content is worthless, say so with --scratch",
            )),
        }
    }

    fn block(&self, session: &Session) -> Result<u64, Failure> {
        let count = session.disk.identity.block_count.unwrap_or(0);
        match (self.lba, count.checked_sub(1)) {
            (_, None) => Err(Failure::new(
                Exit::NotReady,
                format!("the size of {} is not known", session.name()),
                "a disk without a medium cannot be tried out",
            )),
            (None, Some(last)) => Ok(last),
            (Some(lba), Some(last)) if lba <= last => Ok(lba),
            (Some(lba), Some(last)) => Err(Failure::usage(
                format!(
                    "--lba {lba}: the last block of {} is {last}",
                    session.name()
                ),
                "name a block that is there",
            )),
        }
    }
}

fn clean_up(
    session: &mut Session,
    interrupts: &Interrupts,
    context: &mut Context,
) -> Result<Exit, Failure> {
    interrupts.arm();
    let condition = Condition::of_reading(session.read()?);
    let before = condition
        .reading()
        .map_or_else(Vec::new, |reading| keys::ours(&reading.state));
    let left = if before.is_empty() {
        Vec::new()
    } else {
        keys::clean_up(session)?
    };
    let audit = (!before.is_empty()).then(|| audit(session, "CHECK (cleanup)", &condition));
    context.output.report(&Cleaned {
        about: session.about(),
        removed: before
            .iter()
            .filter(|key| !left.contains(key))
            .map(ToString::to_string)
            .collect(),
        left: left.iter().map(ToString::to_string).collect(),
        audit,
    })?;
    Ok(if left.is_empty() {
        Exit::Done
    } else {
        Exit::No
    })
}

/// The trial's many changes are one event: what it was before and what it is after.
fn audit(session: &mut Session, verb: &str, before: &Condition) -> audit::Event {
    let after = Condition::read(session).json();
    audit::Event::now(&session.about(), verb, "done", before.json(), after)
        .logged_to(Path::new(audit::SYSTEM_LOG))
}

/// What is found out.
struct Check {
    about: About,
    can: Capabilities,
    aptpl: Aptpl,
    points: Vec<Point>,
    quirks: Vec<String>,
    dangers: Vec<String>,
    content: Result<Vec<&'static str>, String>,
    latency: Latency,
    carried: Vec<Carried>,
    remarks: Vec<String>,
    met: Vec<Met>,
    /// Of a run that changed something.
    audit: Option<audit::Event>,
}

impl Check {
    /// The read-only tier.
    fn survey(session: &mut Session) -> Result<Self, Failure> {
        let (can, mut met) = session.capabilities()?;
        let (verb, modes): (Verb, &[Mode]) = match (can.persistent, can.spc2) {
            (Support::No, _) => (Verb::TestUnitReady, &[Mode::Spc2]),
            (Support::Yes | Support::Unknown, Support::Yes) => {
                (Verb::ReadState, &[Mode::Persistent, Mode::Spc2])
            }
            (Support::Yes | Support::Unknown, Support::No | Support::Unknown) => {
                (Verb::ReadState, &[Mode::Persistent])
            }
        };
        let latency = Latency::measure(session, &verb)?;
        let head = blocks::read_head(session, content::HEAD_BYTES, &mut met);
        let head = head.map_err(|moved| moved.words());
        let dangers = boot::Host::real().dangers(
            &boot::nodes(&session.disk),
            &session.disk.usages,
            head.as_deref().unwrap_or_default(),
        );
        let mut points = survey::points(session, &can);
        let carried = latency.carried(modes);
        let slow = !carried.iter().any(Carried::holds);
        points.push(
            Point::new(
                "fast-enough",
                "its slowest answer leaves room for the times of a profile",
                if slow { Answer::Failed } else { Answer::Passed },
            )
            .because(latency.words()),
        );
        Ok(Self {
            about: session.about(),
            aptpl: Aptpl::declared(&can),
            points,
            quirks: survey::quirks(&can),
            dangers,
            content: head.map(|head| content::recognise(&head)),
            carried,
            latency,
            remarks: session.disk.remarks.clone(),
            met,
            can,
            audit: None,
        })
    }

    /// The mark of the run before the power cycle: registered, and holding.
    fn look_for_mark(&mut self, session: &mut Session) -> Result<(), Failure> {
        let claim = "the mark of the run before the power cycle is registered and holds";
        let state = session.read()?.state;
        let mark = keys::ours(&state)
            .into_iter()
            .find(|key| keys::is_mark(*key));
        let point = match mark {
            Some(mark) if state.is_held_by(mark) => {
                self.aptpl = Aptpl::Proven;
                Point::new("aptpl-proven", claim, Answer::Passed)
            }
            Some(mark) => Point::new("aptpl-proven", claim, Answer::Failed)
                .because(format!("{mark} is registered, and does not hold")),
            None => Point::new("aptpl-proven", claim, Answer::Failed).because(
                "no mark is registered: it was lost, or `--leave-mark` was not run before",
            ),
        };
        self.points.push(point);
        let left = keys::clean_up(session)?;
        if !left.is_empty() {
            self.remarks
                .push(format!("not removed: {}", crate::args::list(&left)));
        }
        Ok(())
    }
}

impl Report for Check {
    fn schema(&self) -> &'static str {
        "disk-check"
    }

    fn json(&self) -> Value {
        let points: Vec<Value> = self.points.iter().map(Point::json).collect();
        let carried: Vec<Value> = self.carried.iter().map(Carried::json).collect();
        let (content, unreadable) = match &self.content {
            Ok(found) => (json!(found), Value::Null),
            Err(why) => (Value::Null, json!(why)),
        };
        json!({
            "disk": view::about_json(&self.about),
            "verdict": Verdict::over(&self.points).name(),
            "passed": point::count(&self.points, Answer::Passed),
            "failed": point::count(&self.points, Answer::Failed),
            "not_proven": point::count(&self.points, Answer::NotProven),
            "points": points,
            "aptpl": self.aptpl.name(),
            "quirks": self.quirks,
            "dangers": self.dangers,
            "content": content,
            "content_unreadable": unreadable,
            "latency": self.latency.json(),
            "profiles": carried,
            "capabilities": capabilities::json(&self.can),
            "remarks": self.remarks,
            "attentions": view::met_json(&self.met),
            "audit": self.audit.as_ref().map(audit::Event::summary),
        })
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        view::about_text(page, &self.about)?;
        writeln!(
            page,
            "size        {}",
            view::size_words(&self.about.identity)
        )?;
        for point in &self.points {
            let mark = match point.answer {
                Answer::Passed => format!("{GOOD}passed    {GOOD:#}"),
                Answer::Failed => format!("{BAD}FAILED    {BAD:#}"),
                Answer::NotProven => format!("{WARN}not proven{WARN:#}"),
            };
            write!(page, "{mark}  {:18}  {}", point.name, point.claim)?;
            match &point.why {
                Some(why) => writeln!(page, " ({why})")?,
                None => writeln!(page)?,
            }
        }
        writeln!(page, "APTPL       {}", self.aptpl.name())?;
        writeln!(page, "latency     {}", self.latency.words())?;
        for carried in &self.carried {
            writeln!(page, "profile     {}", carried.words())?;
        }
        for quirk in &self.quirks {
            writeln!(page, "quirk       {quirk}")?;
        }
        match &self.content {
            Ok(found) if found.is_empty() => writeln!(page, "content     none that is recognised")?,
            Ok(found) => writeln!(page, "content     {}", found.join(", "))?,
            Err(why) => writeln!(page, "content     cannot be read: {why}")?,
        }
        for danger in &self.dangers {
            writeln!(page, "{WARN}at boot{WARN:#}     {danger}")?;
        }
        for remark in &self.remarks {
            writeln!(page, "note        {remark}")?;
        }
        let verdict = match Verdict::over(&self.points) {
            Verdict::Fit => format!("{GOOD}fit{GOOD:#}"),
            Verdict::Unfit => format!("{BAD}UNFIT{BAD:#}"),
            Verdict::NotProven => format!("{WARN}not proven{WARN:#}"),
        };
        writeln!(
            page,
            "{STRONG}verdict{STRONG:#}     {verdict}: {} passed, {} failed, {} not proven",
            point::count(&self.points, Answer::Passed),
            point::count(&self.points, Answer::Failed),
            point::count(&self.points, Answer::NotProven)
        )
    }
}

/// What a cleaning removed.
struct Cleaned {
    about: About,
    removed: Vec<String>,
    left: Vec<String>,
    audit: Option<audit::Event>,
}

impl Report for Cleaned {
    fn schema(&self) -> &'static str {
        "disk-check-cleanup"
    }

    fn json(&self) -> Value {
        json!({
            "disk": view::about_json(&self.about),
            "removed": self.removed,
            "left": self.left,
            "audit": self.audit.as_ref().map(audit::Event::summary),
        })
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        if self.removed.is_empty() && self.left.is_empty() {
            return writeln!(page, "no keys of a check are registered");
        }
        for key in &self.removed {
            writeln!(page, "removed  {key}")?;
        }
        for key in &self.left {
            writeln!(page, "left     {key}")?;
        }
        Ok(())
    }
}

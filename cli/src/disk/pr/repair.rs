//! `repair`: registers the paths of this host that `audit` finds wrong, under the key that this host has.
//! It never touches a nexus that is not a path of this host.

use super::audit::{self, Finding};
use crate::Context;
use crate::disk::change::{self, Change, Step};
use crate::disk::condition::Condition;
use crate::disk::own::Own;
use crate::disk::plan::{Consent, Plan};
use crate::disk::session::{DiskArg, Session};
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;
use scsi::reservation::{Key, RegisterOptions, Verb};

/// `qctl disk pr repair`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
A path that is not registered gets the key of this host's other paths; a path that has another
key gets it in its place. What belongs to other nexuses is only told.

Examples:
  qctl disk pr repair /dev/mapper/quorum            prints what it would do, and a token
  qctl disk pr repair /dev/mapper/quorum --yes --if TOKEN")]
pub(crate) struct Args {
    #[command(flatten)]
    disk: DiskArg,
    /// APTPL: registrations and reservation survive a power loss of the target
    #[arg(long)]
    aptpl: bool,
    #[command(flatten)]
    consent: Consent,
}

impl Args {
    /// Repairs.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let interrupts = Interrupts::catch(context.output.is_json());
        let mut session = Session::open_to_change(&self.disk, context)?;
        let reading = session.read()?;
        let findings = audit::findings(&session, &reading);
        if findings.contains(&Finding::CannotTell) {
            return Err(Failure::new(
                Exit::Unsupported,
                format!("{} does not tell which path is registered", session.name()),
                "register each path by hand: qctl disk pr register PATH --key 0x...",
            ));
        }
        let Some(key) = audit::own_key(&reading) else {
            return Err(Failure::new(
                Exit::Conflict,
                format!("this host is not registered on {}", session.name()),
                format!("qctl disk pr register {} --key 0x...", session.name()),
            ));
        };
        let mut remarks = session.disk.remarks.clone();
        let mut steps = Vec::new();
        for finding in &findings {
            match self.step(finding, key) {
                Some(step) => steps.push(step),
                None => remarks.push(finding.words(&reading.paths)),
            }
        }
        if steps.is_empty() {
            remarks.push("every path of this host is in order: nothing to send".to_owned());
        }
        let sent: Vec<usize> = steps.iter().map(|step| step.path).collect();
        let disk = session.name().to_owned();
        let change = Change {
            name: "PR REGISTER (repair)",
            steps,
            expectation: Box::new(move |after| is_repaired(after, &sent, key, &disk)),
            spc2: false,
            remarks,
        };
        let before = Condition::of_reading(reading);
        let plan = Plan::new(&session, &before, &change, Vec::new(), Vec::new());
        if self.consent.given(&session, context, plan)? {
            change::make(&mut session, context, &interrupts, before, &change)?;
        }
        Ok(Exit::Done)
    }

    /// What this finding takes; nothing where it is not this host's to mend.
    fn step(&self, finding: &Finding, key: Key) -> Option<Step> {
        let (path, existing) = match finding {
            Finding::PathUnregistered { path } => (*path, None),
            Finding::PathDiffers { path, has, .. } => (*path, Some(*has)),
            Finding::KeyElsewhere { .. } | Finding::CannotTell => return None,
        };
        let options = RegisterOptions {
            aptpl: self.aptpl,
            ..RegisterOptions::default()
        };
        Some(Step {
            path,
            verb: Verb::Register {
                existing,
                new: Some(key),
                options,
            },
        })
    }
}

fn is_repaired(after: &Condition, paths: &[usize], key: Key, disk: &str) -> Result<(), Failure> {
    let reading = change::read_back_of(after, disk)?;
    let mended = |path: usize| {
        reading
            .entries()
            .any(|(entry, own)| own == Own::Path(path) && entry.key == key)
    };
    if paths.iter().all(|path| mended(*path)) {
        return Ok(());
    }
    let what = format!("{key} is not registered on every path now");
    Err(change::reads_otherwise(&what, disk))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::session::sessions;
    use scsi::reservation::Answer;

    fn register(session: &mut Session, path: usize, key: u64) {
        let verb = Verb::Register {
            existing: None,
            new: Key::new(key),
            options: RegisterOptions::default(),
        };
        let answer = session.perform(path, &verb).answer;
        assert!(matches!(answer, Answer::Done(_)), "{answer:?}");
    }

    /// What `audit` finds, and what is left of it after `repair` has sent its steps.
    fn found_and_left(session: &mut Session) -> (Vec<Finding>, Vec<Finding>) {
        let args = Args {
            disk: DiskArg {
                disk: String::new(),
                timeout: session.bound(),
                via: None,
            },
            aptpl: false,
            consent: Consent {
                yes: true,
                token: None,
                wwid: None,
                dry_run: false,
            },
        };
        let reading = session
            .read()
            .unwrap_or_else(|why| panic!("{}", why.message));
        let found = audit::findings(session, &reading);
        let key = audit::own_key(&reading).unwrap();
        for step in found.iter().filter_map(|finding| args.step(finding, key)) {
            let answer = session.perform(step.path, &step.verb).answer;
            assert!(matches!(answer, Answer::Done(_)), "{answer:?}");
        }
        let reading = session
            .read()
            .unwrap_or_else(|why| panic!("{}", why.message));
        (found, audit::findings(session, &reading))
    }

    #[test]
    fn a_path_that_is_not_registered_gets_the_key_of_the_others() {
        let directory = sessions::directory("repair-unregistered");
        let mut session = sessions::multipath(&directory, &["a", "b"]);
        register(&mut session, 0, 0xa);
        assert_eq!(
            found_and_left(&mut session),
            (vec![Finding::PathUnregistered { path: 1 }], vec![])
        );
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_path_with_another_key_gets_the_holders() {
        let directory = sessions::directory("repair-differs");
        let mut session = sessions::multipath(&directory, &["a", "b"]);
        register(&mut session, 0, 0xa);
        register(&mut session, 1, 0xb);
        let key = Key::new(0xb).unwrap();
        let kind = scsi::reservation::ReservationType::WriteExclusive;
        session.perform(1, &Verb::Reserve { key, kind });
        assert_eq!(
            found_and_left(&mut session),
            (
                vec![Finding::PathDiffers {
                    path: 0,
                    has: Key::new(0xa).unwrap(),
                    wanted: key,
                }],
                vec![]
            )
        );
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn what_belongs_to_another_nexus_is_told_and_left_alone() {
        let directory = sessions::directory("repair-elsewhere");
        let mut session = sessions::multipath(&directory, &["a"]);
        let mut other = sessions::multipath(&directory, &["other"]);
        register(&mut session, 0, 0xa);
        register(&mut other, 0, 0xa);
        let (found, left) = found_and_left(&mut session);
        assert_eq!(found, left);
        assert!(matches!(found.as_slice(), [Finding::KeyElsewhere { .. }]));
        std::fs::remove_dir_all(directory).unwrap();
    }
}

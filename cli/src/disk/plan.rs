//! The plan of a dangerous verb, and the consent that it takes.
//!
//! A dangerous verb reads, and prints what it would send and who would lose what. It goes on only with
//! `--yes`; with `--if TOKEN` only while the disk is as the plan saw it; on a name that can mean another
//! disk tomorrow only with `--wwid`. Nothing ever prompts.

use super::change::Change;
use super::condition::Condition;
use super::session::{About, Session};
use super::{list, view};
use crate::Context;
use crate::exit::{Exit, Failure};
use crate::output::{BAD, Report, STRONG, WARN};
use crate::words;
use serde_json::{Value, json};
use std::io::{self, Write};

/// What the operator says to a plan.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Consent")]
pub(crate) struct Consent {
    /// Do it; without this the plan is printed and nothing is changed
    #[arg(long)]
    pub(crate) yes: bool,
    /// Only if the disk is still as the plan with this token saw it
    #[arg(long = "if", value_name = "TOKEN", requires = "yes")]
    pub(crate) token: Option<String>,
    /// Only if the disk's WWID begins so; needed with --yes on /dev/sdX and /dev/sgN names
    #[arg(long, value_name = "PREFIX")]
    pub(crate) wwid: Option<String>,
    /// Print the plan and end with 0; sends reads only
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
}

/// What a dangerous verb would do.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    about: About,
    name: &'static str,
    condition: Condition,
    commands: Vec<(String, String)>,
    losses: Vec<String>,
    refusals: Vec<String>,
    remarks: Vec<String>,
    token: String,
    dry_run: bool,
}

impl Plan {
    /// The plan of this change in this condition.
    pub(crate) fn new(
        session: &Session,
        condition: &Condition,
        change: &Change,
        losses: Vec<String>,
        refusals: Vec<String>,
    ) -> Self {
        let commands = change
            .steps
            .iter()
            .map(|step| {
                let path = session.disk.paths[step.path].name.clone();
                (path, words::verb(&step.verb))
            })
            .collect();
        Self {
            about: session.about(),
            name: change.name,
            condition: condition.clone(),
            commands,
            losses,
            refusals,
            remarks: change.remarks.clone(),
            token: token(session, condition),
            dry_run: false,
        }
    }
}

impl Consent {
    /// Goes on (`true`), or prints the plan of a dry run (`false`), or refuses.
    pub(crate) fn given(
        &self,
        session: &Session,
        context: &mut Context,
        plan: Plan,
    ) -> Result<bool, Failure> {
        if let Some(prefix) = &self.wwid {
            check_wwid(session, prefix)?;
        }
        if self.dry_run {
            context.output.report(&Plan {
                dry_run: true,
                ..plan
            })?;
            return Ok(false);
        }
        if let Some(refusal) = plan.refusals.first() {
            let refusal = refusal.clone();
            return Err(Failure::new(
                Exit::Unsafe,
                format!("{} is refused: {refusal}", plan.name),
                "no option overrides this; stop that use first, or name another disk",
            )
            .with(plan));
        }
        if !self.yes {
            let wwid = if unstable(session.name()) && self.wwid.is_none() {
                " --wwid PREFIX"
            } else {
                ""
            };
            let next = format!(
                "to do it, repeat the command with: --yes --if {}{wwid}",
                plan.token
            );
            return Err(Failure::new(
                Exit::Unsafe,
                format!(
                    "{} was not sent: it is dangerous, and wants --yes",
                    plan.name
                ),
                next,
            )
            .with(plan));
        }
        if unstable(session.name()) && self.wwid.is_none() {
            return Err(Failure::new(
                Exit::Unsafe,
                format!(
                    "{} can be another disk after the next boot; a dangerous verb wants --wwid beside it",
                    session.name()
                ),
                "add --wwid with the beginning of the WWID above, or use a /dev/disk/by-id name",
            )
            .with(plan));
        }
        match &self.token {
            Some(token) if *token != plan.token => Err(Failure::new(
                Exit::Unsafe,
                format!(
                    "the disk has changed since the plan {token}: it is at {} now",
                    plan.token
                ),
                "read the new plan above, then repeat with its token",
            )
            .with(plan)),
            Some(_) | None => Ok(true),
        }
    }
}

/// A kernel name that is given out anew at each boot.
pub(crate) fn unstable(name: &str) -> bool {
    name.strip_prefix("/dev/").is_some_and(|node| {
        ["sd", "sg"].iter().any(|kind| {
            node.strip_prefix(kind)
                .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        })
    })
}

/// The WWID begins so, and no other disk's does.
fn check_wwid(session: &Session, prefix: &str) -> Result<(), Failure> {
    let Some(wwid) = &session.disk.identity.wwid else {
        return Err(Failure::new(
            Exit::Unsafe,
            format!(
                "{} does not tell a WWID, so --wwid cannot be checked",
                session.name()
            ),
            "name it by a path that cannot move (/dev/disk/by-path/...) and leave --wwid out",
        ));
    };
    if prefix.is_empty() || !wwid.starts_with(prefix) {
        return Err(Failure::new(
            Exit::Unsafe,
            format!("{} has the WWID {wwid}, not {prefix}...", session.name()),
            "`qctl disk list` shows which disk has which WWID",
        ));
    }
    let others: Vec<String> = list::wwids()
        .into_iter()
        .filter(|other| other != wwid && other.starts_with(prefix))
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Unsafe,
        format!(
            "the WWID prefix {prefix} is not unique: {} begin so too",
            others.join(", ")
        ),
        "give more of it",
    ))
}

/// Stands for what the plan saw: generation, holder, keys, and the disk itself.
///
/// The generation alone would not do: RESERVE and RELEASE do not count it (SPC-4 6.15.2).
fn token(session: &Session, condition: &Condition) -> String {
    let mut text = format!("{:?}", session.disk.identity.wwid);
    let head = match &condition.persistent {
        Ok(reading) => {
            for entry in &reading.state.registrations {
                text.push_str(&format!("|{} {}", entry.key, view::nexus_words(entry)));
            }
            text.push_str(&view::reservation_words(reading.state.reservation.as_ref()));
            format!("g{}", reading.state.generation)
        }
        Err(_) => "unread".to_owned(),
    };
    text.push_str(&head);
    if let Some(admission) = &condition.admission {
        text.push_str(admission.name());
    }
    format!("{head}-{:08x}", fnv1a(text.as_bytes()))
}

/// FNV-1a, 32 bits: tells states apart that differ by accident; nobody forges a plan against himself.
pub(crate) fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

impl Report for Plan {
    fn schema(&self) -> &'static str {
        "disk-plan"
    }

    fn json(&self) -> Value {
        let commands: Vec<Value> = self
            .commands
            .iter()
            .map(|(path, command)| json!({ "path": path, "command": command }))
            .collect();
        json!({
            "disk": view::about_json(&self.about),
            "verb": self.name,
            "dry_run": self.dry_run,
            "token": self.token,
            "commands": commands,
            "losses": self.losses,
            "refusals": self.refusals,
            "remarks": self.remarks,
            "attentions": view::met_json(&self.condition.met),
            "state": self.condition.json(),
        })
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        view::about_text(page, &self.about)?;
        view::met_text(page, &self.condition.met)?;
        self.condition.text(page)?;
        writeln!(page, "{STRONG}would send{STRONG:#}")?;
        for (path, command) in &self.commands {
            writeln!(page, "  {path}  {command}")?;
        }
        writeln!(page, "{STRONG}who loses what{STRONG:#}")?;
        if self.losses.is_empty() {
            writeln!(page, "  nobody loses anything")?;
        }
        for loss in &self.losses {
            writeln!(page, "  {WARN}{loss}{WARN:#}")?;
        }
        for refusal in &self.refusals {
            writeln!(page, "{BAD}refused{BAD:#}     {refusal}")?;
        }
        for remark in &self.remarks {
            writeln!(page, "note        {remark}")?;
        }
        writeln!(page, "token       {}", self.token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Global;
    use crate::disk::change::Step;
    use crate::disk::guard;
    use crate::disk::session::sessions;
    use crate::output::{Colour, Output};
    use scsi::disk::{Usage, UsageKind};
    use scsi::reservation::{Key, Verb};

    /// What comes of CLEAR on a disk of this name and with these uses, when the operator says this.
    fn clear(name: &str, usages: &[Usage], wwid: Option<&str>, yes: bool) -> Result<bool, String> {
        let directory = sessions::directory(&format!("plan{}{yes}", name.replace('/', "-")));
        let mut session = sessions::multipath(&directory, &["a"]);
        session.disk.name = name.to_owned();
        session.disk.usages = usages.to_vec();
        session.disk.identity.wwid = Some("naa.5000".to_owned());
        let condition = Condition::read(&mut session);
        let change = Change {
            name: "PR CLEAR",
            steps: vec![Step {
                path: 0,
                verb: Verb::Clear {
                    key: Key::new(1).unwrap(),
                },
            }],
            expectation: Box::new(|_| Ok(())),
            spc2: false,
            remarks: Vec::new(),
        };
        let refusals = guard::in_use(&session.disk);
        let plan = Plan::new(&session, &condition, &change, Vec::new(), refusals);
        let consent = Consent {
            yes,
            token: None,
            wwid: wwid.map(str::to_owned),
            dry_run: false,
        };
        let mut context = Context {
            output: Output::new(false, Colour::Never),
            global: Global {
                json: false,
                trace: false,
                color: Colour::Never,
                initiator: None,
                chap_file: None,
                fault: None,
            },
        };
        let given = consent.given(&session, &mut context, plan);
        std::fs::remove_dir_all(directory).unwrap();
        given.map_err(|failure| {
            assert_eq!(failure.exit, Exit::Unsafe);
            failure.message
        })
    }

    #[test]
    fn a_disk_in_use_on_this_host_is_refused_whatever_is_said() {
        let mounted = Usage {
            node: "/dev/sdb1".to_owned(),
            kind: UsageKind::Mounted {
                at: "/srv".to_owned(),
                file_system: "ext4".to_owned(),
            },
        };
        let why = clear("/dev/sdb", &[mounted], Some("naa.5"), true).unwrap_err();
        assert_eq!(
            why,
            "PR CLEAR is refused: this disk is in use on this host: /dev/sdb1 is mounted on /srv (ext4)"
        );
    }

    #[test]
    fn a_name_that_may_move_wants_the_wwid_beside_yes() {
        let why = clear("/dev/sg3", &[], None, true).unwrap_err();
        assert!(why.contains("wants --wwid"), "{why}");
        assert_eq!(clear("/dev/sg3", &[], Some("naa.5"), true), Ok(true));
        let why = clear("/dev/sg3", &[], Some("naa.6"), true).unwrap_err();
        assert!(why.contains("has the WWID naa.5000"), "{why}");
        assert_eq!(clear("/dev/disk/by-id/x", &[], None, true), Ok(true));
        let why = clear("/dev/disk/by-id/x", &[], None, false).unwrap_err();
        assert!(why.contains("wants --yes"), "{why}");
    }

    #[test]
    fn kernel_names_are_unstable_and_links_are_not() {
        for name in ["/dev/sda", "/dev/sdab", "/dev/sg0"] {
            assert!(unstable(name), "{name}");
        }
        for name in [
            "/dev/disk/by-id/wwn-0x5000",
            "/dev/mapper/quorum",
            "/dev/nvme0n1",
            "emu:/tmp/f",
        ] {
            assert!(!unstable(name), "{name}");
        }
    }
}

//! `register` and `unregister`: on every path of this host, each read back.

use super::actor::{self, Actor};
use crate::Context;
use crate::args::{self, KeyArg};
use crate::disk::change::{self, Change, Step};
use crate::disk::condition::Condition;
use crate::disk::own::Own;
use crate::disk::session::{DiskArg, Reading, Session};
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupts;
use scsi::reservation::{Key, RegisterOptions, Support, Verb};
use scsi::wire::transport_id::TransportId;

/// `qctl disk pr register`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Every path of this host is registered, with one key. A path that is registered already is left
alone when it has that key, and wants --replace when it has another.

Examples:
  qctl disk pr register /dev/sdb --key 0x1a2b --aptpl
  qctl disk pr register /dev/sdb --key 0x1a2c --replace")]
pub(crate) struct RegisterArgs {
    #[command(flatten)]
    disk: DiskArg,
    /// The key to register
    #[arg(long, value_name = "KEY")]
    key: KeyArg,
    /// Replace the key that a path has now
    #[arg(long, conflicts_with = "ignore_existing")]
    replace: bool,
    /// REGISTER AND IGNORE EXISTING KEY: whatever the path has now
    #[arg(long)]
    ignore_existing: bool,
    /// APTPL: registrations and reservation survive a power loss of the target
    #[arg(long)]
    aptpl: bool,
    /// ALL_TG_PT: through every target port at once
    #[arg(long)]
    all_target_ports: bool,
    /// SPEC_I_PT: this initiator port too, as `qctl disk show` prints it; may be repeated
    #[arg(long, value_name = "INITIATOR", value_parser = args::initiator,
          conflicts_with_all = ["ignore_existing", "replace"])]
    spec_initiator: Vec<TransportId>,
}

/// `qctl disk pr unregister`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Every path of this host that is registered is unregistered. A reservation that one of them holds
is released with it.

Examples:
  qctl disk pr unregister /dev/sdb
  qctl disk pr unregister /dev/sdb --key 0x1a2b     where the disk does not tell whose key is whose")]
pub(crate) struct UnregisterArgs {
    #[command(flatten)]
    disk: DiskArg,
    /// The key that this host has registered; without it, what the disk tells
    #[arg(long, value_name = "KEY")]
    key: Option<KeyArg>,
}

impl RegisterArgs {
    /// Registers.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let interrupts = Interrupts::catch(context.output.is_json());
        let mut session = Session::open_to_change(&self.disk, context)?;
        let reading = session.read()?;
        let key = self.key.resolve(&reading.state, session.name())?;
        let mut steps = Vec::new();
        for path in 0..session.disk.paths.len() {
            let verb = self.verb_for(&session, &reading, path, key)?;
            steps.extend(verb.map(|verb| Step { path, verb }));
        }
        let mut remarks = self.remarks(&mut session)?;
        if steps.is_empty() {
            remarks.push(format!("{key} is registered already: nothing was sent"));
        }
        let sent: Vec<usize> = steps.iter().map(|step| step.path).collect();
        let disk = session.name().to_owned();
        let change = Change {
            name: if self.ignore_existing {
                "PR REGISTER AND IGNORE EXISTING KEY"
            } else {
                "PR REGISTER"
            },
            steps,
            expectation: Box::new(move |after| is_registered(after, key, &sent, &disk)),
            spc2: false,
            remarks,
        };
        let before = Condition::of_reading(reading);
        change::make(&mut session, context, &interrupts, before, &change)?;
        Ok(Exit::Done)
    }

    /// What this path is sent; nothing when it has the key already.
    fn verb_for(
        &self,
        session: &Session,
        reading: &Reading,
        path: usize,
        key: Key,
    ) -> Result<Option<Verb>, Failure> {
        let options = RegisterOptions {
            aptpl: self.aptpl,
            all_target_ports: self.all_target_ports,
            also: self.spec_initiator.clone(),
        };
        let new = Some(key);
        if self.ignore_existing {
            return Ok(Some(Verb::RegisterIgnoringExisting { new, options }));
        }
        let existing = match actor::registered(session, reading, path) {
            Ok(existing) => existing,
            Err(cannot_tell) if self.replace => return Err(cannot_tell),
            // REGISTER with reservation key 0 lets the disk decide: it conflicts if there is one.
            Err(_) => None,
        };
        match existing {
            Some(existing) if existing == key && !self.replace => Ok(None),
            Some(existing) if !self.replace => Err(Failure::new(
                Exit::Conflict,
                format!(
                    "{} has {existing} registered already",
                    session.disk.paths[path].name
                ),
                "to give it another key, add --replace",
            )),
            Some(_) | None => Ok(Some(Verb::Register {
                existing,
                new,
                options,
            })),
        }
    }

    /// What the operator should know about these options on this disk; an option that the disk does not
    /// have is refused here, before anything is sent.
    fn remarks(&self, session: &mut Session) -> Result<Vec<String>, Failure> {
        let mut remarks = session.disk.remarks.clone();
        let can = match session.capabilities() {
            Ok((capabilities, _)) => capabilities,
            // A disk may register and not report capabilities; the verb itself will tell.
            Err(failure) if matches!(failure.exit, Exit::Unsupported | Exit::IllegalRequest) => {
                return Ok(remarks);
            }
            Err(failure) => return Err(failure),
        };
        let unsupported = |option: &str, why: &str| {
            let disk = session.name();
            Failure::new(
                Exit::Unsupported,
                format!("{disk} does not support {option} ({why})"),
                format!("qctl disk pr capabilities {disk}   (what it can do)"),
            )
        };
        if self.aptpl && can.aptpl_capable == Support::No {
            return Err(unsupported("--aptpl", "PTPL_C is 0"));
        }
        if self.all_target_ports && can.all_target_ports == Support::No {
            return Err(unsupported("--all-target-ports", "ATP_C is 0"));
        }
        if !self.spec_initiator.is_empty() && can.specify_initiator_ports == Support::No {
            return Err(unsupported("--spec-initiator", "SIP_C is 0"));
        }
        if !self.aptpl && can.aptpl_capable == Support::Yes {
            remarks.push(
                "without --aptpl a power loss of the target removes the registrations".to_owned(),
            );
        }
        Ok(remarks)
    }
}

/// Is this key registered for each of these paths?
fn is_registered(after: &Condition, key: Key, paths: &[usize], disk: &str) -> Result<(), Failure> {
    let reading = change::read_back_of(after, disk)?;
    let shared = |own: Own| matches!(own, Own::Path(_));
    let missing = paths.iter().any(|path| {
        !reading.entries().any(|(entry, own)| {
            // One registration through all target ports stands for every path of its initiator.
            let here = own == Own::Path(*path) || (entry.all_target_ports && shared(own));
            entry.key == key && (here || own == Own::Unknown)
        })
    });
    if missing {
        let what = format!("{key} is not registered for every path now");
        return Err(change::reads_otherwise(&what, disk));
    }
    Ok(())
}

impl UnregisterArgs {
    /// Unregisters.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let interrupts = Interrupts::catch(context.output.is_json());
        let mut session = Session::open_to_change(&self.disk, context)?;
        let reading = session.read()?;
        let steps = self.steps(&session, &reading)?;
        let gone: Vec<usize> = steps.iter().map(|step| step.path).collect();
        let disk = session.name().to_owned();
        let change = Change {
            name: "PR REGISTER (unregister)",
            steps,
            expectation: Box::new(move |after| is_unregistered(after, &gone, &disk)),
            spc2: false,
            remarks: session.disk.remarks.clone(),
        };
        let before = Condition::of_reading(reading);
        change::make(&mut session, context, &interrupts, before, &change)?;
        Ok(Exit::Done)
    }

    fn steps(&self, session: &Session, reading: &Reading) -> Result<Vec<Step>, Failure> {
        let unregister = |path, key| Step {
            path,
            verb: Verb::Register {
                existing: Some(key),
                new: None,
                options: RegisterOptions::default(),
            },
        };
        // Fails when nothing is registered, or when it cannot be told.
        let actor = actor::find(session, reading, self.key.as_ref())?;
        if self.key.is_some() {
            let paths = paths_with(session, reading, &actor);
            return Ok(paths
                .into_iter()
                .map(|path| unregister(path, actor.key))
                .collect());
        }
        let mut steps = Vec::new();
        for path in 0..session.disk.paths.len() {
            let key = actor::registered(session, reading, path)?;
            steps.extend(key.map(|key| unregister(path, key)));
        }
        Ok(steps)
    }
}

/// The paths that a key which was named is removed from: those that are known to have it. Where the nexuses are not
/// known, every path if it is registered as often as there are paths: a path that stayed behind would go on writing.
fn paths_with(session: &Session, reading: &Reading, actor: &Actor) -> Vec<usize> {
    let with_key = || {
        reading
            .entries()
            .filter(|(entry, _)| entry.key == actor.key)
    };
    let known: Vec<usize> = with_key()
        .filter_map(|(_, own)| match own {
            Own::Path(path) => Some(path),
            Own::Other | Own::Unknown => None,
        })
        .collect();
    let paths = session.disk.paths.len();
    if !known.is_empty() {
        known
    } else if with_key().count() >= paths {
        (0..paths).collect()
    } else {
        vec![actor.path]
    }
}

fn is_unregistered(after: &Condition, paths: &[usize], disk: &str) -> Result<(), Failure> {
    let reading = change::read_back_of(after, disk)?;
    let left = reading
        .own
        .iter()
        .any(|own| matches!(own, Own::Path(path) if paths.contains(path)));
    if left {
        return Err(change::reads_otherwise(
            "this host is still registered",
            disk,
        ));
    }
    Ok(())
}

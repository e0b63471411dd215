//! The scripts under `testscripts/logical_unit`: nexuses act by verbs (the prefix is the nexus: `a`, `b`,
//! `a2` for a through port 2), answers and state are printed.
//!
//! | verb | |
//! |---|---|
//! | `unit [behaviour=…]` | a new unit with two target ports |
//! | `a: ready`, `inquiry`, `sense`, `capacity`, `mode`, `opcodes` | plain commands |
//! | `a: reserve6`, `release6`, `reserve10`, `release10` | SPC-2 |
//! | `a: register [key=K] [new=K] [aptpl] [all] [also="b,c"] [ignore]` | and the other actions by name |
//! | `a: keys`, `reservation`, `full-status`, `capabilities` | PERSISTENT RESERVE IN |
//! | `a: write LBA BYTE [fua]`, `read LBA`, `swap LBA OLD NEW`, `sync` | the medium |
//! | `a: raw CDB [DATA]` | any bytes |
//! | `a: queue VERB…`, `run TAG`, `abort TAG` | accept now, run later |
//! | `reset SCOPE`, `a: lost`, `a: clear-task-set`, `power-cycle` | what happens to the unit |
//! | `state` | what is registered and held, and who has which attentions waiting |

use crate::commands::{self, Sent, name_of, nexus, plain, words};
use goldenscript::{Argument, Command as Line, Context};
use scsi::logical_unit::{
    Accepted, Behaviour, Config, LogicalUnit, MemoryMedia, Nexus, Outcome, Tag,
};
use scsi::reservation::{Key, NexusId, Registration, ReservationType, ResetScope};
use scsi::wire::cdb::{Cdb, Command, ModePages, OpcodeQuery, PrInAction, PrOutAction};
use scsi::wire::persistent_in::{
    FullStatus, HeldReservation, RegisteredKeys, ReportedCapabilities,
};
use scsi::wire::persistent_out::{BasicList, MoveList};
use scsi::wire::status::Status;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

type Outcomes = Result<String, Box<dyn Error>>;

/// Allocation length of every read: no script has longer answers.
const ALLOCATION: u16 = 4096;

#[derive(Default)]
struct Script {
    unit: Option<LogicalUnit>,
    media: MemoryMedia,
    queued: Vec<Tag>,
}

impl goldenscript::Runner for Script {
    type Command = Line;

    fn run(&mut self, line: &Line, context: &Context) -> Outcomes {
        check_options(line)?;
        if line.name == "unit" {
            return self.make(line);
        }
        let prefix = context.prefix.as_deref();
        match (line.name.as_str(), prefix) {
            ("state", None) => return Ok(state(self.unit()?)),
            ("power-cycle", None) => {
                self.media.power_loss();
                self.unit()?.power_cycle();
            }
            ("reset", None) => {
                let scope = match positional(line, 0)? {
                    "lun" => ResetScope::Lun,
                    "target" => ResetScope::Target,
                    "bus" => ResetScope::Bus,
                    "host" => ResetScope::Host,
                    other => return Err(format!("no scope {other}").into()),
                };
                self.unit()?.reset(scope);
            }
            ("run", None) => return self.run_queued(line),
            ("abort", None) => {
                let tag = self.queued[positional(line, 0)?.parse::<usize>()? - 1];
                let was = self.unit()?.abort(tag);
                return Ok(if was { "aborted" } else { "not there" }.to_owned());
            }
            ("lost", Some(name)) => self.unit()?.nexus_loss(&nexus(name)),
            ("clear-task-set", Some(name)) => self.unit()?.clear_task_set(&nexus(name)),
            ("queue", Some(name)) => return self.queue(line, &nexus(name)),
            (verb, Some(name)) => {
                let sent = command(verb, line, 0)?;
                let nexus = nexus(name);
                let outcome = self.unit.as_mut().ok_or("begin with unit")?.execute(
                    &nexus,
                    &sent.cdb,
                    &sent.data_out,
                    &mut self.media,
                );
                return Ok(print(verb, &outcome));
            }
            (verb, None) => return Err(format!("who says {verb}? write a: {verb}").into()),
        }
        Ok(String::new())
    }
}

impl Script {
    fn unit(&mut self) -> Result<&mut LogicalUnit, Box<dyn Error>> {
        self.unit.as_mut().ok_or_else(|| "begin with unit".into())
    }

    fn make(&mut self, line: &Line) -> Outcomes {
        let behaviour = match option(line, "behaviour") {
            Some(name) => Behaviour::from_name(name).ok_or("no such behaviour")?,
            None => Behaviour::Standard,
        };
        let config = Config {
            behaviour,
            blocks: 1024,
            target_ports: 2,
            ..Config::default()
        };
        self.unit = Some(LogicalUnit::new(config));
        Ok(String::new())
    }

    fn queue(&mut self, line: &Line, nexus: &Nexus) -> Outcomes {
        let sent = command(positional(line, 0)?, line, 1)?;
        match self.unit()?.accept(nexus, &sent.cdb, &sent.data_out) {
            Accepted::Ended(outcome) => Ok(words(&outcome)),
            Accepted::Waits(tag) => {
                self.queued.push(tag);
                Ok(format!("waits as {}", self.queued.len()))
            }
        }
    }

    fn run_queued(&mut self, line: &Line) -> Outcomes {
        let tag = self.queued[positional(line, 0)?.parse::<usize>()? - 1];
        let unit = self.unit.as_mut().ok_or("begin with unit")?;
        Ok(match unit.run(tag, &mut self.media) {
            Some(outcome) => words(&outcome),
            None => "was aborted: no status".to_owned(),
        })
    }
}

/// The command that a line says; its positional arguments start at `first`.
fn command(verb: &str, line: &Line, first: usize) -> Result<Sent, Box<dyn Error>> {
    let number =
        |at: usize| -> Result<u64, Box<dyn Error>> { value(positional(line, first + at)?) };
    let byte = |at: usize| -> Result<u8, Box<dyn Error>> { Ok(u8::try_from(number(at)?)?) };
    let flag = |name: &str| {
        line.args
            .iter()
            .any(|argument| *argument == Argument::Positional(name.to_owned()))
    };
    let key = |name: &str| -> Result<Option<Key>, Box<dyn Error>> {
        Ok(match option(line, name) {
            Some(text) => Key::new(value(text)?),
            None => None,
        })
    };
    // `type=none` sends type 0, which is obsolete.
    let kind = match option(line, "type") {
        None | Some("none") => None,
        Some(name) => Some(ReservationType::from_name(name).ok_or("no such type")?),
    };
    let basic = || -> Result<BasicList, Box<dyn Error>> {
        Ok(BasicList {
            key: key("key")?,
            service_action_key: match (key("new")?, key("victim")?) {
                (Some(new), _) => Some(new),
                (None, victim) => victim,
            },
            aptpl: flag("aptpl"),
            all_target_ports: flag("all"),
            initiator_ports: option(line, "also")
                .map(|names| names.split(',').map(commands::initiator_of).collect()),
        })
    };
    let pr_in = |action| {
        plain(Command::PersistentReserveIn {
            action,
            allocation_length: ALLOCATION,
        })
    };
    let action =
        |action| -> Result<Sent, Box<dyn Error>> { Ok(commands::pr_out(action, kind, &basic()?)) };
    Ok(match verb {
        "ready" => plain(Command::TestUnitReady),
        "inquiry" => plain(Command::Inquiry {
            vpd: None,
            allocation_length: 36,
        }),
        "luns" => plain(Command::ReportLuns {
            select_report: 0,
            allocation_length: 16,
        }),
        "sense" => plain(Command::RequestSense {
            descriptor: false,
            allocation_length: 252,
        }),
        "capacity10" => plain(Command::ReadCapacity10),
        "capacity16" => plain(Command::ReadCapacity16 {
            allocation_length: 32,
        }),
        "mode" => plain(Command::ModeSense6 {
            pages: ModePages {
                page: 0x3f,
                ..ModePages::default()
            },
            allocation_length: 255,
        }),
        "opcodes" => plain(Command::ReportSupportedOperationCodes {
            query: OpcodeQuery::All,
            timeouts: false,
            allocation_length: 4096,
        }),
        "raw" => Sent {
            cdb: Cdb::new(&bytes(positional(line, first)?)?).ok_or("6 to 32 bytes")?,
            data_out: positional(line, first + 1).map_or(Ok(Vec::new()), bytes)?,
        },
        "reserve6" => plain(Command::Reserve6),
        "release6" => plain(Command::Release6),
        "reserve10" => plain(Command::Reserve10),
        "release10" => plain(Command::Release10),
        "register" if flag("ignore") => action(PrOutAction::RegisterAndIgnoreExistingKey)?,
        "register" => action(PrOutAction::Register)?,
        "reserve" => action(PrOutAction::Reserve)?,
        "release" => action(PrOutAction::Release)?,
        "clear" => action(PrOutAction::Clear)?,
        "preempt" if flag("abort") => action(PrOutAction::PreemptAndAbort)?,
        "preempt" => action(PrOutAction::Preempt)?,
        "replace-lost" => action(PrOutAction::ReplaceLostReservation)?,
        "move" => {
            let to = nexus(option(line, "to").ok_or("move to=NEXUS")?);
            commands::pr_move(&MoveList {
                key: key("key")?,
                service_action_key: key("new")?,
                unregister: flag("unregister"),
                aptpl: flag("aptpl"),
                relative_target_port: to.target_port,
                destination: to.initiator,
            })
        }
        "keys" => pr_in(PrInAction::ReadKeys),
        "reservation" => pr_in(PrInAction::ReadReservation),
        "capabilities" => pr_in(PrInAction::ReportCapabilities),
        "full-status" => pr_in(PrInAction::ReadFullStatus),
        "write" => commands::write(number(0)?, byte(1)?, flag("fua")),
        "read" => commands::read(number(0)?),
        "swap" => commands::compare_and_write(number(0)?, byte(1)?, byte(2)?),
        "sync" => commands::synchronize(),
        other => return Err(format!("no verb {other}").into()),
    })
}

/// How it ended, and what it brought.
fn print(verb: &str, outcome: &Outcome) -> String {
    if outcome.status != Status::GOOD {
        return words(outcome);
    }
    let data = &outcome.data_in;
    match verb {
        "read" => format!("{} of {:#04x}", data.len(), data[0]),
        "sense" => format!(
            "GOOD {:02X}/{:02X}/{:02X}",
            data[2] & 0xf,
            data[12],
            data[13]
        ),
        "keys" => {
            let keys = RegisteredKeys::parse(data, ALLOCATION).unwrap();
            let list: Vec<String> = keys.keys.iter().map(Key::to_string).collect();
            format!("generation {}: {}", keys.generation, list.join(" "))
        }
        "reservation" => {
            match HeldReservation::parse(data, ALLOCATION)
                .unwrap()
                .reservation
            {
                None => "none".to_owned(),
                Some(held) => match held.key {
                    Some(key) => format!("{} by {key}", held.kind),
                    None => format!("{} by all", held.kind),
                },
            }
        }
        "full-status" => {
            let status = FullStatus::parse(data, ALLOCATION).unwrap();
            let mut text = format!("generation {}", status.generation);
            for entry in &status.entries {
                let port = entry
                    .relative_target_port
                    .map_or("all ports".to_owned(), |port| format!("port {port}"));
                let initiator = name_of(&Nexus::new(entry.initiator.clone(), 1));
                let _written = write!(text, "\n{} of {initiator} {port}", entry.key);
                if let Some(kind) = entry.holds {
                    let _written = write!(text, " holds {kind}");
                }
            }
            text
        }
        "capabilities" => {
            let told = ReportedCapabilities::parse(data).unwrap();
            format!("{told:?}")
        }
        "opcodes" => {
            let codes: Vec<String> = data[4..]
                .chunks(8)
                .map(|one| match one[5] & 1 {
                    0 => format!("{:02x}", one[0]),
                    _ => format!("{:02x}.{:x}", one[0], one[3]),
                })
                .collect();
            codes.join(" ")
        }
        "inquiry" => String::from_utf8_lossy(&data[8..36]).into_owned(),
        "capacity10" | "capacity16" | "luns" | "mode" | "raw" if !data.is_empty() => {
            data.iter().map(|byte| format!("{byte:02x}")).collect()
        }
        _ => words(outcome),
    }
}

/// What is registered and held, and the attentions that wait.
fn state(unit: &LogicalUnit) -> String {
    let state = unit.persistent_state();
    let mut text = format!("generation {}", state.generation);
    if unit.aptpl() {
        text.push_str(", aptpl");
    }
    for one in &state.registrations {
        let _written = write!(text, "\n{} of {}", one.key, registrant(one));
        if one.holder == Some(true) {
            text.push_str(" holds");
        }
    }
    match state.reservation {
        Some(held) => {
            let _written = write!(text, "\nreserved {}", held.kind);
        }
        None => text.push_str("\nnot reserved"),
    }
    if let Some(holder) = unit.spc2_holder() {
        let _written = write!(text, "\nSPC-2 reserved by {}", name_of(holder));
    }
    for name in ["a", "a2", "b", "b2", "c", "c2", "d"] {
        let waiting: Vec<String> = unit
            .attentions(&nexus(name))
            .iter()
            .map(|one| format!("{:02X}/{:02X}", one.asc, one.ascq))
            .collect();
        if !waiting.is_empty() {
            let _written = write!(text, "\n{name} has waiting {}", waiting.join(" "));
        }
    }
    text
}

/// The registrant as scripts name it.
fn registrant(one: &Registration) -> String {
    match one.nexus.as_ref().unwrap() {
        NexusId::Scsi {
            initiator,
            relative_target_port: Some(port),
        } => name_of(&Nexus::new(initiator.clone(), *port)),
        NexusId::Scsi {
            initiator,
            relative_target_port: None,
        } => format!(
            "{} on all ports",
            name_of(&Nexus::new(initiator.clone(), 1))
        ),
        NexusId::Nvme { host } => host.to_string(),
    }
}

/// The options that a line may have; a misspelt one must not pass for "none".
const OPTIONS: [&str; 7] = ["behaviour", "key", "new", "victim", "type", "also", "to"];

fn check_options(line: &Line) -> Result<(), Box<dyn Error>> {
    let unknown = line
        .args
        .iter()
        .find_map(|argument| key_value(argument).filter(|(key, _)| !OPTIONS.contains(key)));
    match unknown {
        Some((key, _)) => Err(format!("no option {key}").into()),
        None => Ok(()),
    }
}

fn key_value(argument: &Argument) -> Option<(&str, &str)> {
    if let Argument::KeyValue(key, value) = argument {
        Some((key, value))
    } else {
        None
    }
}

fn option<'a>(line: &'a Line, name: &str) -> Option<&'a str> {
    line.args
        .iter()
        .filter_map(key_value)
        .find_map(|(key, value)| (key == name).then_some(value))
}

fn positional(line: &Line, at: usize) -> Result<&str, Box<dyn Error>> {
    line.args
        .iter()
        .filter_map(|argument| {
            if let Argument::Positional(value) = argument {
                Some(value.as_str())
            } else {
                None
            }
        })
        .nth(at)
        .ok_or_else(|| format!("{} needs more arguments", line.name).into())
}

/// The bytes of a string of hexadecimal digits.
fn bytes(text: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    (0..text.len())
        .step_by(2)
        .map(|at| {
            let digits = text.get(at..at + 2).ok_or("an odd number of digits")?;
            Ok(u8::from_str_radix(digits, 16)?)
        })
        .collect()
}

fn value(text: &str) -> Result<u64, Box<dyn Error>> {
    Ok(match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16)?,
        None => text.parse()?,
    })
}

fn run(path: &Path) {
    goldenscript::run(&mut Script::default(), path).expect("the script runs as written");
}

test_each_file::test_each_path! { in "./scsi/testscripts/logical_unit" => run }

//! One machine, its answers given by hand.
//!
//! ```text
//! machine [node=N] [paths=N] [profile=P] [spc2] [wait] [no-preempt] [no-abort] [accept-no-aptpl]
//!         [evict-foreign] [others-are-down] [log] [no-serials]     a machine, begun
//! caps [no-aptpl] [aptpl-inactive] [no-abort] [no-reset] [no-cts] [host-registration] [types="we ..."]
//! state [keys="K[@PORT] ..."] [holder=K] [type=T] [generation=N] [ua="A ..."]
//!       a key may be with the initiator port that has it; the generation is that of the disk taken unseen
//! good | conflict | timeout | transport | no-path | busy |
//!   malformed | unsupported | ua A | refused KEY/ASC/ASCQ          answers to the oldest command, or to path=N's
//! mark K|none    epoch ours|other    park    release    path N up|down    serials N    feed
//! handed-over    stalled
//! pass D         time passes, in one step; whoever is served feeds it, but after: hungry
//! tick           the machine's next deadline comes
//! own            the machine takes an idle disk, unseen, and is Owner
//! challenge K    the machine challenges the disk that K holds, unseen, until it waits
//! ```

use goldenscript::{Argument, Command};
use quorum_core::Instant;
use quorum_core::arbitration::{
    Arbitration, CommandId, Guards, Input, Output, ParkedMark, PathId, Status,
};
use quorum_sim::disk::{Disk, Nexus};
use quorum_sim::script::config;
use quorum_sim::words::{attention, duration, key, kind, ms, output_word};
use scsi::reservation::{
    Answer, Attention, Capabilities, Exchange, Key, NexusId, PersistentState, Refusal,
    RegisterOptions, Registration, Reply, Reservation, ReservationType, Support, TypeMask,
    Uncertainty, Unsent, Verb,
};
use scsi::wire::sense::Sense;
use scsi::wire::transport_id::TransportId;
use std::collections::BTreeMap;

pub(crate) struct Alone {
    machine: Arbitration,
    now: Instant,
    out: BTreeMap<CommandId, PathId>,
    question: CommandId,
    hungry: bool,
    /// Of the disk that was taken or challenged unseen.
    generation: u32,
    /// The verbs that are out, for `own` and `challenge`.
    verbs: BTreeMap<CommandId, Verb>,
}

impl Alone {
    pub(crate) fn begin(command: &Command, guards: Guards) -> Result<(Self, String), String> {
        let (config, rest) = config(command, guards)?;
        let serials = match rest.as_slice() {
            [] => (1, 1000),
            [Argument::Positional(word)] if word == "no-serials" => (0, 0),
            [unknown, ..] => return Err(format!("unknown argument {unknown}")),
        };
        let mut alone = Self {
            machine: Arbitration::new(config),
            now: Instant::ZERO,
            out: BTreeMap::new(),
            question: CommandId(0),
            hungry: false,
            generation: 0,
            verbs: BTreeMap::new(),
        };
        let text = alone.handle(Input::Start { serials });
        Ok((alone, text))
    }

    fn handle(&mut self, input: Input) -> String {
        self.machine.handle(self.now, input);
        let mut text = String::new();
        while let Some(output) = self.machine.poll_output() {
            match &output {
                Output::Perform { id, path, verb, .. } => {
                    self.out.insert(*id, *path);
                    self.verbs.insert(*id, verb.clone());
                }
                Output::ReadMark { id } | Output::ReadEpoch { id } => self.question = *id,
                Output::NeedSerials | Output::ProvedUntil(_) | Output::Event(_) => {}
            }
            text.push_str(&output_word(&output));
            text.push('\n');
        }
        self.stays_itself_when_normalized();
        text
    }

    /// A normalised machine is the same machine: it is normal already, and has its next deadline as far
    /// ahead.
    fn stays_itself_when_normalized(&self) {
        let (normal, _) = self.machine.normalized();
        assert_eq!(
            normal.normalized().0,
            normal,
            "normalising twice changes nothing"
        );
        assert_eq!(normal.status(), self.machine.status());
        let ahead = |machine: &Arbitration, now: Instant| {
            machine.next_deadline().map(|at| at.saturating_since(now))
        };
        assert_eq!(
            ahead(&normal, Arbitration::NORMAL_NOW),
            ahead(&self.machine, self.now)
        );
    }

    pub(crate) fn run(&mut self, command: &Command) -> Result<String, String> {
        let words: Vec<&str> = command
            .args
            .iter()
            .filter_map(|argument| {
                if let Argument::Positional(word) = argument {
                    Some(word.as_str())
                } else {
                    None
                }
            })
            .collect();
        let named = |name: &str| {
            command.args.iter().find_map(|argument| {
                if let Argument::KeyValue(key, value) = argument
                    && key == name
                {
                    Some(value.as_str())
                } else {
                    None
                }
            })
        };
        let word = || words.first().copied().ok_or("an argument is missing");
        if let Some(answer) = answer(&command.name, &words, &named, self.generation)? {
            return self.answer(answer, named("path"));
        }
        let input = match command.name.as_str() {
            "mark" => Input::Mark {
                id: self.question,
                mark: match word()? {
                    "none" => None,
                    holder => Some(ParkedMark {
                        epoch: 1,
                        holder: key(holder)?,
                    }),
                },
            },
            "epoch" => Input::Epoch {
                id: self.question,
                still_ours: word()? == "ours",
            },
            "park" => Input::Park,
            "handed-over" => Input::HandedOver,
            "stalled" => Input::Stalled,
            "release" => Input::Release,
            "feed" => Input::Fed,
            "serials" => Input::Serials {
                serials: (word()?.parse().map_err(|_| "not a number")?, 1000),
            },
            "path" => Input::PathChanged {
                path: PathId(word()?.parse().map_err(|_| "not a path")?),
                usable: words.get(1) == Some(&"up"),
            },
            "hungry" => {
                self.hungry = true;
                return Ok(String::new());
            }
            "pass" => return self.pass(self.now + duration(word()?)?),
            "tick" => {
                let at = self.machine.next_deadline().ok_or("there is no deadline")?;
                return self.pass(at.max(self.now));
            }
            "own" => return self.own(),
            "challenge" => return self.challenge(key(word()?)?),
            "status" => return Ok(format!("{:?}", self.machine.status())),
            other => return Err(format!("unknown command {other}")),
        };
        Ok(self.handle(input))
    }

    /// Takes a disk of its own, unseen.
    fn own(&mut self) -> Result<String, String> {
        let mut disk = Disk::standard();
        for _ in 0..100 {
            self.serve(&mut disk);
            self.generation = disk.state().generation;
            if self.machine.status() == Status::Owner && self.out.is_empty() {
                return Ok(format!("owner at {}", ms(self.now.elapsed_since_zero())));
            }
            self.next_deadline()?;
        }
        Err("it does not become owner".into())
    }

    /// Challenges a disk that a stranger holds, unseen.
    fn challenge(&mut self, holder: Key) -> Result<String, String> {
        let stranger = Nexus(99);
        let mut disk = Disk::standard();
        disk.log_in(stranger);
        let register = Verb::Register {
            existing: None,
            new: Some(holder),
            options: RegisterOptions {
                aptpl: true,
                ..RegisterOptions::default()
            },
        };
        let reserve = Verb::Reserve {
            key: holder,
            kind: ReservationType::WriteExclusive,
        };
        disk.perform(stranger, &register);
        disk.perform(stranger, &reserve);
        self.serve(&mut disk);
        self.generation = disk.state().generation;
        Ok(format!("waiting at {}", ms(self.now.elapsed_since_zero())))
    }

    /// Answers everything that is out, until nothing is.
    fn serve(&mut self, disk: &mut Disk) {
        while let Some((id, path)) = self.out.pop_first() {
            let exchange = disk.perform(Nexus(u32::from(path.0)), &self.verbs[&id]);
            let sent_at = self.now;
            self.handle(Input::Answer {
                id,
                sent_at,
                exchange,
            });
        }
    }

    fn next_deadline(&mut self) -> Result<(), String> {
        self.now = self.machine.next_deadline().ok_or("there is no deadline")?;
        self.handle(Input::Fed);
        self.handle(Input::Tick);
        Ok(())
    }

    fn pass(&mut self, until: Instant) -> Result<String, String> {
        self.now = until;
        let mut text = format!("at {}\n", ms(self.now.elapsed_since_zero()));
        if !self.hungry {
            text.push_str(&self.handle(Input::Fed));
        }
        text.push_str(&self.handle(Input::Tick));
        Ok(text)
    }

    fn answer(&mut self, exchange: Exchange, path: Option<&str>) -> Result<String, String> {
        let path = match path {
            None => None,
            Some(number) => Some(PathId(number.parse().map_err(|_| "not a path")?)),
        };
        let id = self
            .out
            .iter()
            .find(|(_, on)| path.is_none_or(|path| path == **on))
            .map(|(id, _)| *id)
            .ok_or("no command is out")?;
        self.out.remove(&id);
        Ok(self.handle(Input::Answer {
            id,
            // The machine takes the time at which it asked, when the driver's word is earlier.
            sent_at: Instant::ZERO,
            exchange,
        }))
    }
}

fn list<T>(
    words: Option<&str>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    words.map_or_else(
        || Ok(Vec::new()),
        |words| words.split_whitespace().map(parse).collect(),
    )
}

fn answer<'a>(
    name: &str,
    words: &[&str],
    named: &impl Fn(&str) -> Option<&'a str>,
    generation: u32,
) -> Result<Option<Exchange>, String> {
    let attentions: Vec<Attention> = list(named("ua"), attention)?;
    let word = || words.first().copied().ok_or("an argument is missing");
    let answer = match name {
        "caps" => Answer::Done(Reply::Capabilities(capabilities(words, named)?)),
        "state" => Answer::Done(Reply::State(state(named, generation)?)),
        "good" => Answer::Done(Reply::Good),
        "conflict" => Answer::Conflict { holder: None },
        "timeout" => Answer::OutcomeUnknown(Uncertainty::TimedOut),
        "transport" => Answer::OutcomeUnknown(Uncertainty::Transport("link down".into())),
        "no-path" => Answer::NotSent(Unsent::NoPath("gone".into())),
        "busy" => Answer::NotSent(Unsent::Busy),
        "malformed" => Answer::Refused(Refusal::Malformed("cut short".into())),
        "unsupported" => Answer::Unsupported,
        "ua" => Answer::Attention(attention(word()?)?),
        "refused" => {
            let codes: Vec<u8> = word()?
                .split('/')
                .map(|hex| u8::from_str_radix(hex, 16).map_err(|_| "not a sense"))
                .collect::<Result<_, _>>()?;
            let [key, asc, ascq] = codes[..] else {
                return Err("KEY/ASC/ASCQ".into());
            };
            Answer::Refused(Refusal::Sense(Sense {
                key,
                asc,
                ascq,
                deferred: false,
                information: None,
                field: None,
            }))
        }
        _ => return Ok(None),
    };
    Ok(Some(Exchange { answer, attentions }))
}

fn capabilities<'a>(
    words: &[&str],
    named: &impl Fn(&str) -> Option<&'a str>,
) -> Result<Capabilities, String> {
    let unless = |word: &str| {
        if words.contains(&word) {
            Support::No
        } else {
            Support::Yes
        }
    };
    let types = named("types")
        .map(|_| list(named("types"), kind))
        .transpose()?;
    let mut capabilities = Capabilities {
        spc2: Support::Yes,
        persistent: unless("no-pr"),
        types: types.map(|types| types.into_iter().fold(TypeMask::default(), TypeMask::with)),
        aptpl_capable: unless("no-aptpl"),
        aptpl_active: unless("aptpl-inactive"),
        host_registration: words.contains(&"host-registration"),
        preempt_and_abort: unless("no-abort"),
        clear_task_set: unless("no-cts"),
        attentions: Support::Yes,
        ..Capabilities::default()
    };
    capabilities.resets.lun = unless("no-reset");
    Ok(capabilities)
}

fn state<'a>(
    named: &impl Fn(&str) -> Option<&'a str>,
    generation: u32,
) -> Result<PersistentState, String> {
    let keys = list(named("keys"), key_and_port)?;
    let generation = named("generation").map_or(Ok(generation), |number| {
        number.parse().map_err(|_| format!("generation {number}"))
    })?;
    let kind = named("type").map_or(Ok(ReservationType::WriteExclusive), kind)?;
    let holder = named("holder").map(key).transpose()?;
    Ok(PersistentState {
        generation,
        registrations: keys
            .into_iter()
            .map(|(key, nexus)| Registration {
                key,
                nexus,
                holder: None,
                all_target_ports: false,
            })
            .collect(),
        reservation: holder.map(|key| Reservation {
            key: Some(key),
            kind,
        }),
    })
}

/// `1.7@2`: node 1's key, registered by the initiator port 2.
fn key_and_port(word: &str) -> Result<(Key, Option<NexusId>), String> {
    let Some((word, port)) = word.split_once('@') else {
        return Ok((key(word)?, None));
    };
    let port: u64 = port.parse().map_err(|_| format!("not a port: {port}"))?;
    let nexus = NexusId::Scsi {
        initiator: TransportId::Sas(port.to_be_bytes()),
        relative_target_port: Some(1),
    };
    Ok((key(word)?, Some(nexus)))
}

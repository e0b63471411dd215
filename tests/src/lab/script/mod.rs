//! The language of cases.
//!
//! A case is a file that reads as a story: what is done, and indented under it what must come of it.
//!
//! ```text
//! # A second registrant's RESERVE is refused.        the first paragraph of comments says what and why
//! bound 60s                                          how long the whole case may take (default 60s)
//! only all                                           left out of the core set
//! times 5                                            played so often with --all
//!
//! a: qctl disk pr register {sd} --key 0xa1           a command on the nexus a; {sd} is its disk
//! b: qctl disk pr reserve {sd} --key 0xb2
//!   exit 24                                          without a word: exit 0
//!   err conflict                                     also: out TEXT, json PATH VALUE, stuck
//!   same as: sg_persist --out ...                    another program that must do the very same (`compare`)
//! observe c                                          read by sg_persist, through c: judged by no code of ours
//!   keys 0xa1 0xb2                                   also: keys none
//!   holder 0xa1 we                                   also: holder none
//!   full a=0xa1,holder b=0xb2                        READ FULL STATUS, by nexus
//! write a 8 0x5a 1                                   1 block of 0x5a at block 8, past the page cache
//!   errno EBADE
//! media b 8 0x00 1                                   what is on the medium there
//! start owner on a: qctl arbitrate {sd} --json       goes on while the story does
//! event owner 20s event=owner                        a line of JSON with these fields; each line is seen once
//! never owner event=lost                             no such line so far
//! signal owner KILL
//! wait owner 10s                                     its end
//!   exit 137
//! until 10s observe b                                again and again until it is as expected
//!   keys none
//! within 90s guest: slow thing                       how long this one command may take (default 30s)
//! sleep 500ms
//! gone 20s                                           the guest itself ends (a watchdog)
//! power-cut                                          the machine is killed, and started again over the same disk; what
//!                                                    NAME has printed until then is in the new guest's /tmp/NAME.printed
//! machine stop                                       the guest as a whole stands still, its clocks too
//! machine continue                                   it goes on, as if no time had passed
//! start next outside: qctl arbitrate {url} --json    on the host, against the same target of ours (group `served`);
//!                                                    {host} is a folder for that host's files
//! repeat 3                                           the steps up to `end`, so often
//! end
//! print                                              shows what the last command printed in the lab's report
//! ```
//!
//! Words are split at blanks; `'...'` keeps blanks together.

mod parse;
mod words;

pub(crate) use parse::parse;

use std::time::Duration;

/// The node that is no node of the guest: the host.
pub(crate) const OUTSIDE: &str = "outside";

/// A case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Case {
    pub(crate) group: String,
    pub(crate) name: String,
    /// The first sentence of its comment.
    pub(crate) title: String,
    pub(crate) bound: Duration,
    pub(crate) only_all: bool,
    /// How often it is played with --all.
    pub(crate) times: u32,
    pub(crate) steps: Vec<Step>,
}

impl Case {
    /// As it is listed and filtered.
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.group, self.name)
    }

    /// Does it wait most of its time for spans to pass, and leave the processors alone? Who arbitrates does.
    pub(crate) fn waits(&self) -> bool {
        let is_arbiter = |word: &String| word.contains("arbitrate") || word.contains("daemon ");
        let arbitrates = |argv: &[String]| argv.iter().any(is_arbiter);
        (self.steps.iter())
            .any(|step| matches!(&step.act, Act::Start { argv, .. } if arbitrates(argv)))
    }

    /// Is it played twice, by qctl and by the tools that everybody knows?
    pub(crate) fn is_comparison(&self) -> bool {
        self.steps.iter().any(|step| step.peer.is_some())
    }
}

/// One step of a case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    /// Where it is in its file, from 1.
    pub(crate) line: usize,
    /// Its text, for messages.
    pub(crate) text: String,
    pub(crate) act: Act,
    /// Tried again until it is as expected, at most so long.
    pub(crate) until: Option<Duration>,
    pub(crate) expects: Vec<Expect>,
    /// What another program would be told for the same.
    pub(crate) peer: Option<Vec<String>>,
}

/// What is done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Act {
    Run {
        node: String,
        argv: Vec<String>,
        bound: Option<Duration>,
    },
    Start {
        name: String,
        node: String,
        argv: Vec<String>,
    },
    Signal {
        name: String,
        signal: String,
    },
    Wait {
        name: String,
        bound: Duration,
    },
    Event {
        name: String,
        fields: Vec<(String, String)>,
        bound: Duration,
    },
    Never {
        name: String,
        fields: Vec<(String, String)>,
    },
    Observe {
        node: String,
    },
    Write {
        node: String,
        block: u64,
        byte: u8,
        blocks: u32,
    },
    Media {
        node: String,
        block: u64,
        byte: u8,
        blocks: u32,
    },
    Sleep(Duration),
    Gone(Duration),
    PowerCut,
    MachineStop,
    MachineContinue,
    Print,
}

/// What must come of a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Expect {
    /// The exit status.
    Exit(i32),
    /// It sits in the kernel and cannot even be killed.
    Stuck,
    /// Stdout has this text.
    Out(String),
    /// Stderr has this text.
    Err(String),
    /// Neither has this text.
    Not(String),
    /// Stdout is a document of JSON with this value at this dotted path.
    Json(String, String),
    /// The kernel's refusal.
    Errno(String),
    /// The registered keys, sorted, one for each registration.
    Keys(Vec<String>),
    /// The holder's key and type.
    Holder(Option<(String, String)>),
    /// READ FULL STATUS: nexus, key, and whether it holds.
    Full(Vec<(String, String, bool)>),
}

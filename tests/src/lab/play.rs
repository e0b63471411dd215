//! Plays the steps of one case in one guest, and judges each.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an answer of any other kind is the agent's mistake"
)]

use crate::group::Group;
use crate::guest::Guest;
use crate::observe::{Observed, observe};
use crate::outside::Outside;
use crate::script::{Act, Expect, OUTSIDE, Step};
use ::tests::protocol::{Answer, Ended, Request};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

const BLOCK_BYTES: u32 = 512;
/// How long one command may take unless its step says otherwise. Under emulation a loaded machine needs seconds for
/// what is milliseconds elsewhere.
const COMMAND: Duration = Duration::from_secs(30);
/// How long one read or write may take.
const TRANSFER: Duration = Duration::from_secs(20);
/// Between two tries of an `until`.
const RETRY: Duration = Duration::from_millis(100);

/// What came of a step.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// There was nothing to come of it.
    Nothing,
    Ended(Ended),
    Observed(Observed),
    /// The kernel refused.
    Errno {
        name: String,
        what: String,
    },
    /// The medium is not as it should be.
    Media(String),
}

/// A case being played.
pub(crate) struct Player<'a> {
    pub(crate) guest: Guest,
    pub(crate) group: &'a Group,
    /// The whole case's end.
    pub(crate) deadline: Instant,
    /// What `print` steps asked to show.
    pub(crate) shown: Vec<String>,
    last_printed: String,
    /// The programs that were started in this guest.
    started: Vec<String>,
    /// Our program on the host, and those of it that run there.
    qctl: PathBuf,
    outside: BTreeMap<String, Outside>,
    /// What programs had printed when their machines were killed.
    printed: BTreeMap<String, String>,
}

impl<'a> Player<'a> {
    pub(crate) fn new(guest: Guest, group: &'a Group, bound: Duration) -> Self {
        Self {
            guest,
            group,
            deadline: Instant::now() + bound,
            shown: Vec::new(),
            last_printed: String::new(),
            started: Vec::new(),
            qctl: PathBuf::from("qctl"),
            outside: BTreeMap::new(),
            printed: BTreeMap::new(),
        }
    }

    /// What `qctl` is outside of the guest.
    pub(crate) fn with_qctl(self, qctl: PathBuf) -> Self {
        Self { qctl, ..self }
    }

    /// Plays a step: does it, and compares what came with what must.
    pub(crate) fn play(&mut self, step: &Step) -> Result<Outcome> {
        let patience = Instant::now() + step.until.unwrap_or_default();
        loop {
            ensure!(
                Instant::now() < self.deadline,
                "the case's bound is over before this step"
            );
            let outcome = self.perform(&step.act)?;
            match judge(step, &outcome) {
                Ok(()) => return Ok(outcome),
                Err(error) if Instant::now() >= patience => return Err(error),
                Err(_) => sleep(RETRY),
            }
        }
    }

    /// Runs a command on a node, its words filled in.
    pub(crate) fn run(&mut self, node: &str, argv: &[String], bound: Duration) -> Result<Ended> {
        let argv = self.fill_in(node, argv)?;
        let ended = self.guest.run(&argv, "", bound.min(self.left()))?;
        self.last_printed.clone_from(&ended.stdout);
        Ok(ended)
    }

    fn perform(&mut self, act: &Act) -> Result<Outcome> {
        Ok(match act {
            Act::Run { node, argv, bound } => {
                Outcome::Ended(self.run(node, argv, bound.unwrap_or(COMMAND))?)
            }
            Act::Start { name, node, argv } if node == OUTSIDE => {
                let served = self.guest.served()?;
                let (url, host) = (served.url(), served.host_files().display().to_string());
                let argv: Vec<String> = argv
                    .iter()
                    .map(|word| word.replace("{url}", &url).replace("{host}", &host))
                    .collect();
                let started = Outside::start(&self.qctl, &argv)?;
                self.outside.insert(name.clone(), started);
                Outcome::Nothing
            }
            Act::Write {
                node,
                block,
                byte,
                blocks,
            } if node == OUTSIDE => {
                let offset = block * u64::from(BLOCK_BYTES);
                let length = blocks * BLOCK_BYTES;
                self.guest.served()?.write(offset, *byte, length)?;
                Outcome::Nothing
            }
            Act::Start { name, node, argv } => {
                let request = Request::Start {
                    name: name.clone(),
                    argv: self.fill_in(node, argv)?,
                };
                self.started.push(name.clone());
                self.done(&request)?
            }
            Act::Signal { name, signal } if self.outside.contains_key(name) => {
                self.outside[name].signal(signal)?;
                Outcome::Nothing
            }
            Act::Signal { name, signal } => self.done(&Request::Signal {
                name: name.clone(),
                signal: signal.clone(),
            })?,
            Act::Wait { name, bound } => self.wait(name, *bound)?,
            Act::Event {
                name,
                fields,
                bound,
            } => self.event(name, fields, *bound)?,
            Act::Never { name, fields } => self.never(name, fields)?,
            Act::Observe { node } => Outcome::Observed(observe(&mut self.guest, self.group, node)?),
            &Act::Write {
                ref node,
                block,
                byte,
                blocks,
            } => {
                let request = Request::Write {
                    path: self.block_node(node)?,
                    offset: block * u64::from(BLOCK_BYTES),
                    byte,
                    length: blocks * BLOCK_BYTES,
                };
                self.done(&request)?
            }
            &Act::Media {
                ref node,
                block,
                byte,
                blocks,
            } => self.media(node, block, byte, blocks)?,
            Act::Sleep(span) => {
                sleep(*span);
                Outcome::Nothing
            }
            Act::Gone(bound) => {
                ensure!(self.guest.wait_for_end(*bound)?, "the guest is still there");
                Outcome::Nothing
            }
            Act::MachineStop => {
                self.guest.stop()?;
                Outcome::Nothing
            }
            Act::MachineContinue => {
                self.guest.go_on()?;
                Outcome::Nothing
            }
            Act::PowerCut => bail!("a power cut is the suite's to play"),
            Act::Print => {
                self.shown.push(self.last_printed.clone());
                Outcome::Nothing
            }
        })
    }

    /// Kills the machine, and goes on in the one that is given.
    pub(crate) fn power_cut(&mut self, next: impl FnOnce() -> Result<Guest>) -> Result<()> {
        for name in std::mem::take(&mut self.started) {
            // Only what is known here before the cut was surely said before it.
            let printed = self.printed_by(&name)?;
            self.printed.entry(name).or_default().push_str(&printed);
        }
        self.guest.power_cut()?;
        self.guest = next()?;
        for (name, text) in self.printed.clone() {
            let path = format!("/tmp/{name}.printed");
            self.done(&Request::Put { path, text })?;
        }
        Ok(())
    }

    fn wait(&mut self, name: &str, bound: Duration) -> Result<Outcome> {
        if let Some(outside) = self.outside.get_mut(name) {
            let ended = outside.wait(bound)?;
            self.last_printed.clone_from(&ended.stdout);
            return Ok(Outcome::Ended(ended));
        }
        let request = Request::Wait {
            name: name.to_owned(),
            bound_ms: millis(bound),
        };
        match self.ask(&request, bound)? {
            Answer::Ended(ended) => {
                self.last_printed.clone_from(&ended.stdout);
                Ok(Outcome::Ended(ended))
            }
            Answer::Running => bail!(
                "{name} is still running; it printed:\n{}",
                self.printed_by(name)?
            ),
            other => bail!("{other:?}"),
        }
    }

    fn event(
        &mut self,
        name: &str,
        fields: &[(String, String)],
        bound: Duration,
    ) -> Result<Outcome> {
        if let Some(outside) = self.outside.get_mut(name) {
            self.last_printed = outside.event(fields, bound)?;
            return Ok(Outcome::Nothing);
        }
        let request = Request::Event {
            name: name.to_owned(),
            fields: fields.to_vec(),
            bound_ms: millis(bound),
        };
        match self.ask(&request, bound)? {
            Answer::Event { line } => {
                self.last_printed = line;
                Ok(Outcome::Nothing)
            }
            Answer::NoEvent { printed } => bail!("no such event; it printed:\n{printed}"),
            other => bail!("{other:?}"),
        }
    }

    fn never(&mut self, name: &str, fields: &[(String, String)]) -> Result<Outcome> {
        let printed = self.printed_by(name)?;
        if let Some(line) = printed
            .lines()
            .find(|line| fields.iter().all(|(path, value)| has(line, path, value)))
        {
            bail!("it did happen: {line}");
        }
        Ok(Outcome::Nothing)
    }

    fn media(&mut self, node: &str, block: u64, byte: u8, blocks: u32) -> Result<Outcome> {
        let length = blocks * BLOCK_BYTES;
        let request = Request::Read {
            path: self.block_node(node)?,
            offset: block * u64::from(BLOCK_BYTES),
            length,
        };
        Ok(match self.ask(&request, TRANSFER)? {
            Answer::Bytes { runs } if runs == [(byte, length)] => Outcome::Nothing,
            Answer::Bytes { runs } => Outcome::Media(format!("(byte, count): {runs:x?}")),
            Answer::Errno { name, what } => Outcome::Errno { name, what },
            other => bail!("{other:?}"),
        })
    }

    /// A request that is done or refused.
    fn done(&mut self, request: &Request) -> Result<Outcome> {
        match self.ask(request, TRANSFER)? {
            Answer::Done => Ok(Outcome::Nothing),
            Answer::Errno { name, what } => Ok(Outcome::Errno { name, what }),
            other => bail!("{other:?}"),
        }
    }

    fn ask(&mut self, request: &Request, bound: Duration) -> Result<Answer> {
        let answer = self.guest.ask(request, bound.min(self.left()))?;
        if let Answer::Misunderstood { why } = answer {
            bail!("the agent did not understand: {why}");
        }
        Ok(answer)
    }

    fn printed_by(&mut self, name: &str) -> Result<String> {
        if let Some(outside) = self.outside.get_mut(name) {
            return Ok(outside.printed().to_owned());
        }
        let request = Request::Output {
            name: name.to_owned(),
        };
        match self.ask(&request, TRANSFER)? {
            Answer::Ended(ended) => Ok(format!("{}{}", ended.stdout, ended.stderr)),
            other => bail!("{other:?}"),
        }
    }

    fn fill_in(&self, node: &str, argv: &[String]) -> Result<Vec<String>> {
        argv.iter()
            .map(|word| self.group.fill_in(node, word))
            .collect()
    }

    /// The node's disk as a block device.
    fn block_node(&self, node: &str) -> Result<String> {
        let words = &self
            .group
            .nodes
            .get(node)
            .with_context(|| format!("no node {node}"))?
            .words;
        words
            .get("sd")
            .or_else(|| words.get("nvme"))
            .cloned()
            .with_context(|| format!("node {node} has no block device"))
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Compares what came of a step with what must.
fn judge(step: &Step, outcome: &Outcome) -> Result<()> {
    match outcome {
        Outcome::Ended(ended) => judge_end(&step.expects, ended),
        Outcome::Observed(observed) => judge_observed(&step.expects, observed),
        Outcome::Errno { name, what } => {
            let expected = step
                .expects
                .iter()
                .any(|expect| matches!(expect, Expect::Errno(wanted) if wanted == name));
            ensure!(expected, "{what} ({name})");
            Ok(())
        }
        Outcome::Nothing => {
            ensure!(
                step.expects.is_empty(),
                "it was done, which was not expected"
            );
            Ok(())
        }
        Outcome::Media(found) => bail!("the medium has {found}"),
    }
}

fn judge_end(expects: &[Expect], ended: &Ended) -> Result<()> {
    let said = || {
        format!(
            "\nstdout: {}\nstderr: {}",
            ended.stdout.trim_end(),
            ended.stderr.trim_end()
        )
    };
    let is_stuck_expected = expects.contains(&Expect::Stuck);
    ensure!(
        ended.stuck == is_stuck_expected,
        "stuck in the kernel: {}, expected: {is_stuck_expected}{}",
        ended.stuck,
        said()
    );
    let status = expects
        .iter()
        .find_map(|expect| match expect {
            Expect::Exit(status) => Some(*status),
            Expect::Stuck
            | Expect::Out(_)
            | Expect::Err(_)
            | Expect::Not(_)
            | Expect::Json(..)
            | Expect::Errno(_)
            | Expect::Keys(_)
            | Expect::Holder(_)
            | Expect::Full(_) => None,
        })
        .unwrap_or(0);
    if !is_stuck_expected {
        match ended.status {
            Some(found) => ensure!(found == status, "exit {found}, expected {status}{}", said()),
            None => bail!("killed at the bound{}", said()),
        }
    }
    for expect in expects {
        match expect {
            Expect::Exit(_) | Expect::Stuck => {}
            Expect::Out(text) => ensure!(
                ended.stdout.contains(text),
                "stdout lacks {text:?}{}",
                said()
            ),
            Expect::Err(text) => ensure!(
                ended.stderr.contains(text),
                "stderr lacks {text:?}{}",
                said()
            ),
            Expect::Not(text) => ensure!(
                !ended.stdout.contains(text) && !ended.stderr.contains(text),
                "it says {text:?}{}",
                said()
            ),
            Expect::Json(path, value) => {
                ensure!(
                    has(&ended.stdout, path, value),
                    "{path} is not {value}{}",
                    said()
                );
            }
            Expect::Errno(_) | Expect::Keys(_) | Expect::Holder(_) | Expect::Full(_) => {
                bail!("{expect:?} cannot be expected of a command")
            }
        }
    }
    Ok(())
}

fn judge_observed(expects: &[Expect], observed: &Observed) -> Result<()> {
    for expect in expects {
        let holds = match expect {
            Expect::Keys(keys) => &observed.keys == keys,
            Expect::Holder(holder) => &observed.holder == holder,
            Expect::Full(full) => &observed.full == full,
            Expect::Exit(24) => observed.is_closed,
            Expect::Exit(_)
            | Expect::Stuck
            | Expect::Out(_)
            | Expect::Err(_)
            | Expect::Not(_)
            | Expect::Json(..)
            | Expect::Errno(_) => bail!("{expect:?} cannot be expected of a look"),
        };
        ensure!(holds, "{expect:?}, but there is: {}", observed.to_line());
    }
    let closed_is_expected = expects.contains(&Expect::Exit(24));
    ensure!(
        observed.is_closed == closed_is_expected,
        "{}",
        observed.to_line()
    );
    Ok(())
}

/// Is it a document of JSON with this value at this path?
fn has(text: &str, path: &str, wanted: &str) -> bool {
    let Ok(document) = serde_json::from_str::<Value>(text) else {
        return false;
    };
    ::tests::protocol::at_path(&document, path).is_some_and(|found| found == wanted)
}

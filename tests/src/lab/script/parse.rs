//! From a case's text to its steps.

use super::words::{byte, field, key, span, split};
use super::{Act, Case, Expect, OUTSIDE, Step};
use anyhow::{Context as _, Result, bail, ensure};
use std::time::Duration;

/// A case may take this long unless it says otherwise.
const BOUND: Duration = Duration::from_secs(60);

/// Reads a case.
pub(crate) fn parse(group: &str, name: &str, text: &str) -> Result<Case> {
    let mut case = Case {
        group: group.to_owned(),
        name: name.to_owned(),
        title: title(text)?,
        bound: BOUND,
        only_all: false,
        times: 1,
        steps: Vec::new(),
    };
    let mut repeated = None;
    for (number, line) in (1..).zip(text.lines()) {
        add(&mut case, &mut repeated, number, line)
            .with_context(|| format!("line {number}: {line}"))?;
    }
    ensure!(repeated.is_none(), "a repeat without its end");
    ensure!(!case.steps.is_empty(), "a case without steps");
    Ok(case)
}

/// The first sentence of the comment that a case begins with.
fn title(text: &str) -> Result<String> {
    let comment: Vec<&str> = text
        .lines()
        .map_while(|line| line.strip_prefix('#'))
        .map(str::trim)
        .collect();
    let comment = comment.join(" ");
    ensure!(
        !comment.is_empty(),
        "a case begins with a comment that says what happens and why it matters"
    );
    let end = comment.find(". ").unwrap_or(comment.len());
    Ok(comment[..end].trim_end_matches('.').to_owned())
}

/// `repeated`: how often, and from which step on.
fn add(
    case: &mut Case,
    repeated: &mut Option<(usize, usize)>,
    number: usize,
    line: &str,
) -> Result<()> {
    let text = line.trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(());
    }
    if line.starts_with(' ') {
        let step = case.steps.last_mut().context("an expectation of no step")?;
        if let Some(peer) = text.strip_prefix("same as:") {
            step.peer = Some(split(peer)?);
        } else {
            step.expects.push(expect(text)?);
        }
        return Ok(());
    }
    let words = split(text)?;
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["bound", bound] => case.bound = span(bound)?,
        ["only", "all"] => case.only_all = true,
        ["times", count] => case.times = count.parse()?,
        ["repeat", count] => {
            ensure!(repeated.is_none(), "a repeat in a repeat");
            *repeated = Some((count.parse()?, case.steps.len()));
        }
        ["end"] => {
            let (count, from) = repeated.take().context("an end of no repeat")?;
            ensure!(count > 0, "how often?");
            let steps = case.steps.split_off(from);
            case.steps.extend((0..count).flat_map(|_| steps.clone()));
        }
        _ => case.steps.push(step(number, text)?),
    }
    Ok(())
}

fn step(line: usize, text: &str) -> Result<Step> {
    let (until, rest) = match text.strip_prefix("until ") {
        Some(rest) => {
            let (bound, rest) = rest
                .trim()
                .split_once(' ')
                .context("until when, and what?")?;
            (Some(span(bound)?), rest.trim())
        }
        None => (None, text),
    };
    Ok(Step {
        line,
        text: text.to_owned(),
        act: act(rest)?,
        until,
        expects: Vec::new(),
        peer: None,
    })
}

fn act(text: &str) -> Result<Act> {
    // `a: command`: the node is one word before the first colon.
    if let Some((node, command)) = text.split_once(':')
        && !node.contains(' ')
    {
        return Ok(Act::Run {
            node: node.to_owned(),
            argv: split(command)?,
            bound: None,
        });
    }
    if let Some(rest) = text.strip_prefix("within ") {
        let (bound, command) = rest.split_once(' ').context("within SPAN NODE: COMMAND")?;
        let mut act = act(command.trim())?;
        let Act::Run { bound: of_act, .. } = &mut act else {
            bail!("only a command is bounded so, not {act:?}");
        };
        *of_act = Some(span(bound)?);
        return Ok(act);
    }
    if let Some(rest) = text.strip_prefix("start ") {
        let (head, command) = rest
            .split_once(':')
            .context("start NAME on NODE: COMMAND")?;
        let head = split(head)?;
        let (name, node) = match &head[..] {
            [name, on, node] if on == "on" => (name, node),
            [name, node] if node == OUTSIDE => (name, node),
            _ => bail!("start NAME on NODE: COMMAND"),
        };
        return Ok(Act::Start {
            name: name.clone(),
            node: node.clone(),
            argv: split(command)?,
        });
    }
    let words = split(text)?;
    let fields = |words: &[&str]| words.iter().map(|word| field(word)).collect::<Result<_>>();
    Ok(
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["signal", name, signal] => Act::Signal {
                name: name.to_owned(),
                signal: signal.to_owned(),
            },
            ["wait", name, bound] => Act::Wait {
                name: name.to_owned(),
                bound: span(bound)?,
            },
            ["event", name, bound, ref rest @ ..] => Act::Event {
                name: name.to_owned(),
                fields: fields(rest)?,
                bound: span(bound)?,
            },
            ["never", name, ref rest @ ..] => Act::Never {
                name: name.to_owned(),
                fields: fields(rest)?,
            },
            ["observe", node] => Act::Observe {
                node: node.to_owned(),
            },
            ["write", node, block, value, blocks] => Act::Write {
                node: node.to_owned(),
                block: block.parse()?,
                byte: byte(value)?,
                blocks: blocks.parse()?,
            },
            ["media", node, block, value, blocks] => Act::Media {
                node: node.to_owned(),
                block: block.parse()?,
                byte: byte(value)?,
                blocks: blocks.parse()?,
            },
            ["sleep", bound] => Act::Sleep(span(bound)?),
            ["gone", bound] => Act::Gone(span(bound)?),
            ["power-cut"] => Act::PowerCut,
            ["machine", "stop"] => Act::MachineStop,
            ["machine", "continue"] => Act::MachineContinue,
            ["print"] => Act::Print,
            _ => bail!("no such step"),
        },
    )
}

fn expect(text: &str) -> Result<Expect> {
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    let rest = rest.trim();
    Ok(match verb {
        "exit" => Expect::Exit(rest.parse()?),
        "stuck" => Expect::Stuck,
        "out" => Expect::Out(rest.to_owned()),
        "err" => Expect::Err(rest.to_owned()),
        "not" => Expect::Not(rest.to_owned()),
        "json" => {
            let (path, value) = rest.split_once(' ').context("json PATH VALUE")?;
            Expect::Json(path.to_owned(), value.trim().to_owned())
        }
        "errno" => Expect::Errno(rest.to_owned()),
        "keys" if rest == "none" => Expect::Keys(Vec::new()),
        "keys" => {
            let mut keys: Vec<String> = rest.split_whitespace().map(key).collect::<Result<_>>()?;
            keys.sort();
            Expect::Keys(keys)
        }
        "holder" if rest == "none" => Expect::Holder(None),
        "holder" => {
            let (holder, kind) = rest.split_once(' ').context("holder KEY TYPE")?;
            Expect::Holder(Some((key(holder)?, kind.trim().to_owned())))
        }
        "full" if rest == "none" => Expect::Full(Vec::new()),
        "full" => {
            let mut full: Vec<_> = rest
                .split_whitespace()
                .map(registration)
                .collect::<Result<_>>()?;
            full.sort();
            Expect::Full(full)
        }
        other => bail!("{other} is nothing that can be expected"),
    })
}

/// `a=0xa1` or `a=0xa1,holder`.
fn registration(word: &str) -> Result<(String, String, bool)> {
    let (nexus, rest) = word.split_once('=').context("NEXUS=KEY[,holder]")?;
    let (registered, holds) = match rest.strip_suffix(",holder") {
        Some(registered) => (registered, true),
        None => (rest, false),
    };
    Ok((nexus.to_owned(), key(registered)?, holds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_reads_as_it_is_written() {
        let text = "# B is refused. It matters.\nbound 5s\n\na: qctl 'x y' {sd}\n  same as: sg_raw {sd} 16\n\
                    until 3s b: t\n  exit 24\n  err not yours\nobserve c\n  keys 0xb2 0xa1\n  holder none\n  full a=0xa1,holder\n";
        let case = parse("lio", "refused", text).unwrap();
        assert_eq!(case.title, "B is refused");
        assert_eq!(case.bound, Duration::from_secs(5));
        assert!(case.is_comparison());
        assert_eq!(
            case.steps[0].act,
            Act::Run {
                node: "a".into(),
                argv: vec!["qctl".into(), "x y".into(), "{sd}".into()],
                bound: None,
            }
        );
        assert_eq!(case.steps[1].until, Some(Duration::from_secs(3)));
        assert_eq!(
            case.steps[1].expects,
            [Expect::Exit(24), Expect::Err("not yours".into())]
        );
        assert_eq!(
            case.steps[2].expects,
            [
                Expect::Keys(vec!["0xa1".into(), "0xb2".into()]),
                Expect::Holder(None),
                Expect::Full(vec![("a".into(), "0xa1".into(), true)])
            ]
        );
    }

    #[test]
    fn started_programs_are_named_and_watched() {
        let text = "# T\nstart owner on a: qctl arbitrate {sd}\nevent owner 20s event=owner\nsignal owner KILL\n\
                    wait owner 1s\n  exit 137\n";
        let case = parse("lio", "t", text).unwrap();
        assert!(
            matches!(&case.steps[0].act, Act::Start { name, node, .. } if name == "owner" && node == "a")
        );
        assert!(matches!(&case.steps[1].act, Act::Event { fields, .. } if fields[0].1 == "owner"));
    }

    #[test]
    fn steps_can_be_repeated() {
        let case = parse(
            "g",
            "c",
            "# T\na: x\nrepeat 3\na: y\npower-cut\nend\na: z\n",
        )
        .unwrap();
        let texts: Vec<&str> = case.steps.iter().map(|step| step.text.as_str()).collect();
        let thrice = ["a: y", "power-cut"].repeat(3);
        assert_eq!(texts, [vec!["a: x"], thrice, vec!["a: z"]].concat());
        assert_eq!(case.steps[2].act, Act::PowerCut);
        for wrong in ["# T\nrepeat 2\na: x\n", "# T\na: x\nend\n"] {
            assert!(parse("g", "c", wrong).is_err());
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_line() {
        for (text, wanted) in [
            ("a: x\n", "comment"),
            ("# T\n  exit 0\n", "line 2"),
            ("# T\nfly away\n", "no such step"),
            ("# T\na: x\n  keys a1\n", "no key"),
            ("# T\n", "without steps"),
        ] {
            let error = format!("{:#}", parse("g", "c", text).unwrap_err());
            assert!(error.contains(wanted), "{error}");
        }
    }
}

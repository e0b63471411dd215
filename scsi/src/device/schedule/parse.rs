//! Text to rules. An error says what is wrong, and where.

use super::{Action, Rule, Selector, When};
use crate::reservation::ResetScope;
use std::time::Duration;
use thiserror::Error;

/// What is wrong with a schedule, and where.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("line {line}, column {column}: {what}")]
pub struct ScheduleError {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub what: String,
}

/// The most rules of a schedule: it is written by hand, and every command looks at each.
const RULES_MAX: usize = 256;

/// Parses a schedule.
///
/// # Errors
/// [`ScheduleError`], at the first word that is not in the language.
pub fn parse(text: &str) -> Result<Vec<Rule>, ScheduleError> {
    let mut rules = Vec::new();
    for (line_index, line) in text.lines().enumerate() {
        let code = line.split('#').next().unwrap_or_default();
        let mut start = 0;
        for part in code.split(';') {
            let mut words = Words::new(line, line_index + 1, start, part);
            start += part.len() + 1;
            if words.peek().is_none() {
                continue;
            }
            if rules.len() == RULES_MAX {
                return Err(words.error(&format!("more than {RULES_MAX} rules")));
            }
            rules.push(rule(&mut words)?);
        }
    }
    Ok(rules)
}

/// The words of one rule; `:` and `/` are words of their own.
struct Words<'a> {
    line: &'a str,
    line_number: usize,
    words: Vec<(usize, &'a str)>,
    next: usize,
    end: usize,
}

impl<'a> Words<'a> {
    fn new(line: &'a str, line_number: usize, start: usize, part: &'a str) -> Self {
        let mut words = Vec::new();
        let mut word_start = None;
        for (at, c) in part.char_indices().chain([(part.len(), ' ')]) {
            let separates = c.is_whitespace() || c == ':' || c == '/';
            if separates {
                if let Some(from) = word_start.take() {
                    words.push((start + from, &part[from..at]));
                }
                if !c.is_whitespace() {
                    words.push((start + at, &part[at..=at]));
                }
            } else if word_start.is_none() {
                word_start = Some(at);
            }
        }
        Self {
            line,
            line_number,
            words,
            next: 0,
            end: start + part.trim_end().len(),
        }
    }

    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.next).map(|&(_, word)| word)
    }

    fn is(&self, word: &str) -> bool {
        self.peek()
            .is_some_and(|next| next.eq_ignore_ascii_case(word))
    }

    fn skip(&mut self, word: &str) -> bool {
        let found = self.is(word);
        self.next += usize::from(found);
        found
    }

    /// The next word, or an error that says what was expected.
    fn take(&mut self, expected: &str) -> Result<&'a str, ScheduleError> {
        let word = self
            .peek()
            .ok_or_else(|| self.error(&format!("expected {expected}")))?;
        self.next += 1;
        Ok(word)
    }

    /// An error at the next word (or at the end of the rule).
    fn error(&self, what: &str) -> ScheduleError {
        let at = self.words.get(self.next).map_or(self.end, |&(at, _)| at);
        ScheduleError {
            line: self.line_number,
            column: self
                .line
                .get(..at)
                .map_or(0, |before| before.chars().count())
                + 1,
            what: what.to_owned(),
        }
    }

    /// An error at the word before.
    fn error_before(&mut self, what: &str) -> ScheduleError {
        self.next -= 1;
        self.error(what)
    }

    fn number(&mut self) -> Result<u64, ScheduleError> {
        let word = self.take("a number")?;
        word.parse()
            .map_err(|_| self.error_before(&format!("`{word}` is not a number")))
    }

    fn count(&mut self) -> Result<u64, ScheduleError> {
        match self.number()? {
            0 => Err(self.error_before("it counts from 1")),
            count => Ok(count),
        }
    }

    fn hex(&mut self) -> Result<u8, ScheduleError> {
        let word = self.take("two hexadecimal digits")?;
        let digits = word.strip_prefix("0x").unwrap_or(word);
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u8::from_str_radix(digits, 16)
            .ok()
            .filter(|_| plain)
            .ok_or_else(|| self.error_before(&format!("`{word}` is not a byte in hexadecimal")))
    }

    fn time(&mut self) -> Result<Duration, ScheduleError> {
        let word = self.take("a time such as 200ms")?;
        let digits = word.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = word.split_at(digits);
        let micros = match unit {
            "us" => Some(1),
            "ms" => Some(1_000),
            "s" => Some(1_000_000),
            _ => None,
        };
        micros
            .and_then(|micros| number.parse::<u64>().ok()?.checked_mul(micros))
            .map(Duration::from_micros)
            .ok_or_else(|| {
                self.error_before(&format!(
                    "`{word}` is not a time: a number with us, ms or s"
                ))
            })
    }
}

fn rule(words: &mut Words<'_>) -> Result<Rule, ScheduleError> {
    let when = when(words)?;
    let selector = selector(words)?;
    if !words.skip(":") {
        return Err(words.error("expected `:` and then what shall happen"));
    }
    let action = action(words)?;
    match words.peek() {
        None => Ok(Rule {
            when,
            selector,
            action,
        }),
        Some(word) => Err(words.error(&format!("`{word}` is too much here"))),
    }
}

fn when(words: &mut Words<'_>) -> Result<When, ScheduleError> {
    if words.skip("after") {
        words.number().map(When::After)
    } else if words.skip("first") {
        words.count().map(When::First)
    } else if words.skip("at") {
        words.count().map(When::At)
    } else if words.skip("every") {
        words.count().map(When::Every)
    } else {
        Ok(When::Always)
    }
}

fn selector(words: &mut Words<'_>) -> Result<Selector, ScheduleError> {
    let on = words.skip("on");
    if !on && words.is(":") {
        return Ok(Selector::Any);
    }
    let word = words.take("a command's name, `any` or `opcode`")?;
    if word.eq_ignore_ascii_case("any") {
        return Ok(Selector::Any);
    }
    if word.eq_ignore_ascii_case("opcode") {
        let opcode = words.hex()?;
        let action = words.skip("/").then(|| words.hex()).transpose()?;
        return Ok(Selector::Opcode(opcode, action));
    }
    Selector::named(word).ok_or_else(|| {
        words.error_before(&format!(
            "`{word}` is not a command's name; those are any, opcode, {}",
            names()
        ))
    })
}

fn names() -> String {
    let names: Vec<&str> = super::subject::NAMES
        .iter()
        .chain([&super::subject::RESET])
        .map(|name| name.word)
        .collect();
    names.join(", ")
}

/// What an action may be, for messages.
const ACTIONS: &str = "drop, transport, timeout-without-effect, timeout-with-effect, late-effect, delay, hang, \
    sense, status, conflict, lie, truncate, clear, reset, nexus-loss, power-cycle";

fn action(words: &mut Words<'_>) -> Result<Action, ScheduleError> {
    let word = words.take("what shall happen")?;
    Ok(match word {
        "drop" => Action::Drop,
        "transport" => Action::Transport,
        "timeout-without-effect" => Action::TimeoutWithoutEffect,
        "timeout-with-effect" => Action::TimeoutWithEffect,
        "late-effect" => Action::LateEffect(words.time()?),
        "delay" => Action::Delay(words.time()?),
        "hang" => Action::Hang,
        "sense" => sense(words)?,
        "status" => Action::Status(words.hex()?),
        "conflict" => Action::Conflict,
        "lie" => Action::Lie,
        "truncate" => truncate(words)?,
        "clear" => clear(words)?,
        "reset" => Action::Reset(scope(words)?),
        "nexus-loss" => Action::NexusLoss,
        "power-cycle" => Action::PowerCycle,
        _ => {
            return Err(
                words.error_before(&format!("`{word}` is not a fault; those are {ACTIONS}"))
            );
        }
    })
}

fn sense(words: &mut Words<'_>) -> Result<Action, ScheduleError> {
    let key = words.hex()?;
    if key > 0x0f {
        return Err(words.error_before("a sense key has one hexadecimal digit"));
    }
    let asc = slash_hex(words)?;
    let ascq = slash_hex(words)?;
    Ok(Action::Sense { key, asc, ascq })
}

fn slash_hex(words: &mut Words<'_>) -> Result<u8, ScheduleError> {
    if words.skip("/") {
        words.hex()
    } else {
        Err(words.error("expected `/`: a sense is K/ASC/ASCQ, as 06/29/00"))
    }
}

fn truncate(words: &mut Words<'_>) -> Result<Action, ScheduleError> {
    let bytes = words.number()?;
    usize::try_from(bytes)
        .map(Action::Truncate)
        .map_err(|_| words.error_before("that is more than any data"))
}

fn clear(words: &mut Words<'_>) -> Result<Action, ScheduleError> {
    let byte = words.number()?;
    let byte =
        usize::try_from(byte).map_err(|_| words.error_before("that is more than any data"))?;
    if !words.skip("/") {
        return Err(words.error("expected `/`: a byte and its bits, as 3/01"));
    }
    Ok(Action::Clear {
        byte,
        mask: words.hex()?,
    })
}

fn scope(words: &mut Words<'_>) -> Result<ResetScope, ScheduleError> {
    let word = words.take("lun, target, bus or host")?;
    match word {
        "lun" => Ok(ResetScope::Lun),
        "target" => Ok(ResetScope::Target),
        "bus" => Ok(ResetScope::Bus),
        "host" => Ok(ResetScope::Host),
        _ => Err(words.error_before(&format!(
            "`{word}` is not a scope: lun, target, bus or host"
        ))),
    }
}

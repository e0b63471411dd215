//! The same sequence twice, each in a fresh guest: once by qctl, once by the programs that everybody knows.
//!
//! What must be equal, step by step: the exit status, every command that changes something as the target itself saw
//! it complete (which nexus, which bytes, which status), the parameter lists, and what the disk says afterwards.
//! What may differ: commands that only read; they are counted and shown.
//!
//! The judge of commands is the kernel's own tracing of LIO, so neither program is asked what it sent. Parameter
//! lists are in no trace of the kernel: they are taken from `qctl --trace` and `sg_persist -vv`.

use crate::group::Group;
use crate::guest::Guest;
use crate::observe::{Observed, observe};
use crate::play::{Outcome, Player};
use crate::script::{Act, Case};
use anyhow::{Context as _, Result, bail, ensure};
use std::collections::BTreeMap;
use std::time::Duration;

const TRACING: Duration = Duration::from_secs(20);

/// A command as the target saw it end.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Command {
    nexus: String,
    cdb: Vec<u8>,
    status: String,
}

/// What came of one step.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Account {
    status: Option<i32>,
    changes: Vec<Command>,
    parameters: Vec<Vec<u8>>,
    observed: Observed,
}

/// One of the two passes.
#[derive(Debug)]
struct Pass {
    /// By the line of the step.
    accounts: BTreeMap<usize, Account>,
    /// How often which command that only reads was sent.
    reads: BTreeMap<&'static str, u32>,
}

/// Plays both passes; what to show when they are equal.
pub(crate) fn compare(
    case: &Case,
    group: &Group,
    mut fresh: impl FnMut() -> Result<Guest>,
) -> Result<String> {
    let ours = pass(case, group, fresh()?, false).context("by qctl")?;
    let theirs = pass(case, group, fresh()?, true).context("by the other programs")?;
    for step in &case.steps {
        let (Some(one), Some(other)) = (
            ours.accounts.get(&step.line),
            theirs.accounts.get(&step.line),
        ) else {
            continue;
        };
        ensure!(
            one == other,
            "line {}: {}\nours:   {}\ntheirs: {}",
            step.line,
            step.text,
            to_line(one),
            to_line(other)
        );
    }
    Ok(format!(
        "equal in {} steps; reads of ours: {}; of theirs: {}",
        ours.accounts.len(),
        reads_line(&ours.reads),
        reads_line(&theirs.reads)
    ))
}

fn pass(case: &Case, group: &Group, mut guest: Guest, is_theirs: bool) -> Result<Pass> {
    shell(
        &mut guest,
        "mount -t tracefs none /sys/kernel/tracing; echo 1 > /sys/kernel/tracing/events/target/target_cmd_complete/enable",
    )?;
    // The last nexus looks, so that the attentions of the others are left to their own commands.
    let observer = group
        .nodes
        .keys()
        .next_back()
        .context("a group without nodes")?;
    let mut player = Player::new(guest, group, case.bound);
    let mut pass = Pass {
        accounts: BTreeMap::new(),
        reads: BTreeMap::new(),
    };
    for step in &case.steps {
        let mut played = step.clone();
        if let (Some(peer), Act::Run { argv, .. }) = (&step.peer, &mut played.act)
            && is_theirs
        {
            argv.clone_from(peer);
            // Texts are each program's own; the status is not.
            played
                .expects
                .retain(|expect| matches!(expect, crate::script::Expect::Exit(_)));
        }
        let outcome = player
            .play(&played)
            .with_context(|| format!("line {}: {}", step.line, step.text))?;
        let Outcome::Ended(ended) = outcome else {
            continue;
        };
        let trace = shell(
            &mut player.guest,
            "cat /sys/kernel/tracing/trace; echo > /sys/kernel/tracing/trace",
        )?;
        let mut changes = Vec::new();
        for command in trace.lines().filter_map(parse_command) {
            match read_name(&command.cdb) {
                Some(name) => *pass.reads.entry(name).or_default() += 1,
                None => changes.push(command),
            }
        }
        let observed = observe(&mut player.guest, group, observer)?;
        // The looks are not part of the sequence.
        shell(&mut player.guest, "echo > /sys/kernel/tracing/trace")?;
        if step.peer.is_some() {
            let account = Account {
                status: ended.status,
                changes,
                parameters: parameters(&format!("{}{}", ended.stdout, ended.stderr)),
                observed,
            };
            pass.accounts.insert(step.line, account);
        }
    }
    Ok(pass)
}

fn shell(guest: &mut Guest, script: &str) -> Result<String> {
    let argv = ["sh", "-c", script].map(str::to_owned);
    let ended = guest.run(&argv, "", TRACING)?;
    if ended.status != Some(0) {
        bail!("{script}: {:?} {}", ended.status, ended.stderr);
    }
    Ok(ended.stdout)
}

/// `... target_cmd_complete: NEXUS <- LUN 000 tag 0xc6 status GOOD (sense ...) ... CDB 5f 00 ... (TA:...`
fn parse_command(line: &str) -> Option<Command> {
    let (_, rest) = line.split_once("target_cmd_complete: ")?;
    let nexus = rest.split_whitespace().next()?.to_owned();
    let (_, rest) = rest.split_once(" status ")?;
    let (status, rest) = rest.split_once(" (sense")?;
    let (_, rest) = rest.split_once(" CDB ")?;
    let mut cdb: Vec<u8> = rest
        .split_whitespace()
        .map_while(|word| u8::from_str_radix(word, 16).ok())
        .collect();
    cdb.truncate(cdb_length(*cdb.first()?));
    Some(Command {
        nexus,
        cdb,
        status: status.to_owned(),
    })
}

/// The length that an operation code's group has (SPC-4, 4.3.4.1); the trace always shows sixteen bytes.
const fn cdb_length(opcode: u8) -> usize {
    match opcode >> 5 {
        0 => 6,
        1 | 2 => 10,
        5 => 12,
        _ => 16,
    }
}

/// The name of a command that changes nothing; none for all others.
fn read_name(cdb: &[u8]) -> Option<&'static str> {
    Some(match *cdb.first()? {
        0x00 => "TEST UNIT READY",
        0x03 => "REQUEST SENSE",
        0x12 => "INQUIRY",
        0x1A | 0x5A => "MODE SENSE",
        0x25 | 0x9E => "READ CAPACITY",
        0x28 | 0x88 => "READ",
        0x5E => "PERSISTENT RESERVE IN",
        0xA0 => "REPORT LUNS",
        0xA3 => "REPORT SUPPORTED OPERATION CODES",
        _ => return None,
    })
}

/// The parameter lists of commands that change something, from what either program prints.
fn parameters(text: &str) -> Vec<Vec<u8>> {
    let mut lists: Vec<Vec<u8>> = Vec::new();
    let mut is_list = false;
    for line in text.lines() {
        if let Some(hex) = line.strip_prefix("  > ") {
            // qctl: below the line of its CDB.
            if let Some(list) = lists.last_mut() {
                list.extend(hex_bytes(hex.split_whitespace()));
            }
        } else if line.contains(": cdb ") {
            // The list, if there is one, belongs to this command; of no interest but for those that change.
            lists.retain(|list| !list.is_empty());
            lists.push(Vec::new());
            is_list = false;
        } else if line
            .to_lowercase()
            .contains("persistent reservation out parameters")
        {
            lists.push(Vec::new());
            is_list = true;
        } else if is_list {
            // sg_persist: an offset, then the bytes, then the same as characters.
            let mut words = line.split_whitespace();
            match words.next() {
                Some(offset) if u32::from_str_radix(offset, 16).is_ok() => {
                    if let Some(list) = lists.last_mut() {
                        list.extend(hex_bytes(words.take(16)));
                    }
                }
                _ => is_list = false,
            }
        }
    }
    lists.retain(|list| !list.is_empty());
    lists
}

fn hex_bytes<'a>(words: impl Iterator<Item = &'a str>) -> Vec<u8> {
    words
        .map_while(|word| {
            (word.len() == 2)
                .then(|| u8::from_str_radix(word, 16).ok())
                .flatten()
        })
        .collect()
}

fn to_line(account: &Account) -> String {
    let changes: Vec<String> = account
        .changes
        .iter()
        .map(|command| format!("{} {:02x?} {}", command.nexus, command.cdb, command.status))
        .collect();
    format!(
        "exit {:?}; sent {}; lists {:02x?}; then {}",
        account.status,
        changes.join(", "),
        account.parameters,
        account.observed.to_line()
    )
}

fn reads_line(reads: &BTreeMap<&'static str, u32>) -> String {
    if reads.is_empty() {
        return "none".to_owned();
    }
    reads
        .iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_read_from_the_kernels_trace() {
        let line = "  kworker/1:0-22  [001] .....  10.309714: target_cmd_complete: naa.6001405000000001 <- LUN 000 \
                    tag 0xc6 status RESERVATION CONFLICT (sense len 0)  PERSISTENT_RESERVE_OUT data_length     24  \
                    CDB 5f 01 05 00 00 00 00 00 18 00 00 00 00 00 00 00  (TA:SIMPLE C:00)";
        let command = parse_command(line).unwrap();
        assert_eq!(command.nexus, "naa.6001405000000001");
        assert_eq!(command.cdb, [0x5F, 1, 5, 0, 0, 0, 0, 0, 0x18, 0]);
        assert_eq!(command.status, "RESERVATION CONFLICT");
        assert_eq!(read_name(&command.cdb), None);
        assert_eq!(parse_command("# tracer: nop"), None);
    }

    #[test]
    fn both_programs_ways_to_print_a_parameter_list_are_read() {
        let list: Vec<u8> = (0..24).collect();
        let ours = "/dev/sda: cdb 5f 00 GOOD (3 us)\n  > 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f\n\
                    \x20 > 10 11 12 13 14 15 16 17\n/dev/sda: cdb 5e 00 GOOD (3 us)\n  < ff ff\n";
        let theirs = "    Persistent reservation out parameters:\n\
                      \x2000     00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f    ................\n\
                      \x2010     10 11 12 13 14 15 16 17                             ........\n\
                      PR out: command (Register) successful\n";
        assert_eq!(parameters(ours), std::slice::from_ref(&list));
        assert_eq!(parameters(theirs), [list]);
    }
}

//! What a disk says of its reservations, read and told by programs that are not ours.
//!
//! `sg_persist` for SCSI, `nvme` for NVMe. A nexus with a pending attention answers that first; it is asked again.

use crate::group::Group;
use crate::guest::Guest;
use ::tests::protocol::Ended;
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::time::Duration;

/// How long one reading may take.
const BOUND: Duration = Duration::from_secs(20);
/// More attentions than a nexus queues.
const ATTENTIONS_MAX: usize = 8;
/// sg_persist's exit status for an attention.
const UNIT_ATTENTION: i32 = 6;
/// And for a reservation conflict: under an SPC-2 reservation nobody else may even look.
const CONFLICT: i32 = 24;

/// What was read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Observed {
    /// A reservation of SPC-2 kept even the reader out.
    pub(crate) is_closed: bool,
    /// The registered keys, sorted.
    pub(crate) keys: Vec<String>,
    /// Key and type.
    pub(crate) holder: Option<(String, String)>,
    /// Nexus, key, and does it hold; sorted.
    pub(crate) full: Vec<(String, String, bool)>,
}

impl Observed {
    /// In one line, for messages.
    pub(crate) fn to_line(&self) -> String {
        if self.is_closed {
            return "closed to the reader by an SPC-2 reservation".to_owned();
        }
        let full: Vec<String> = self
            .full
            .iter()
            .map(|(nexus, key, holds)| {
                format!("{nexus}={key}{}", if *holds { ",holder" } else { "" })
            })
            .collect();
        let holder = self
            .holder
            .as_ref()
            .map_or_else(|| "none".to_owned(), |(key, kind)| format!("{key} {kind}"));
        format!(
            "keys [{}] holder {holder} full [{}]",
            self.keys.join(" "),
            full.join(" ")
        )
    }
}

/// Reads everything through one nexus.
pub(crate) fn observe(guest: &mut Guest, group: &Group, node: &str) -> Result<Observed> {
    let words = &group
        .nodes
        .get(node)
        .with_context(|| format!("no node {node}"))?
        .words;
    if let Some(device) = words.get("nvme") {
        return observe_nvme(guest, group, device);
    }
    let device = words.get("sd").context("a node without a disk")?;
    let mut read = |what: &str| ask(guest, &["sg_persist", "-n", "-i", what, device]);
    let keys = read("-k")?;
    if keys.status == Some(CONFLICT) {
        return Ok(Observed {
            is_closed: true,
            ..Observed::default()
        });
    }
    Ok(Observed {
        is_closed: false,
        keys: parse_keys(&keys.stdout),
        holder: parse_holder(&read("-r")?.stdout)?,
        full: parse_full(&read("-s")?.stdout, group)?,
    })
}

fn ask(guest: &mut Guest, argv: &[&str]) -> Result<Ended> {
    let argv: Vec<String> = argv.iter().map(|&word| word.to_owned()).collect();
    for _ in 0..=ATTENTIONS_MAX {
        let ended = guest.run(&argv, "", BOUND)?;
        match ended.status {
            Some(0 | CONFLICT) => return Ok(ended),
            Some(UNIT_ATTENTION) => {}
            _ => bail!("{}: {:?} {}", argv.join(" "), ended.status, ended.stderr),
        }
    }
    bail!("{}: attentions without end", argv.join(" "));
}

fn parse_keys(text: &str) -> Vec<String> {
    let mut keys: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("0x"))
        .map(str::to_owned)
        .collect();
    keys.sort();
    keys
}

fn parse_holder(text: &str) -> Result<Option<(String, String)>> {
    if text.contains("NO reservation") {
        return Ok(None);
    }
    let key = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("Key="))
        .with_context(|| format!("no holder in {text:?}"))?;
    Ok(Some((key.to_owned(), kind_of(text)?)))
}

/// The type's short name, from sg_persist's long one.
fn kind_of(text: &str) -> Result<String> {
    let long = text
        .lines()
        .find_map(|line| line.split_once("type: "))
        .map(|(_, kind)| kind.trim())
        .context("no type")?;
    Ok(match long {
        "Write Exclusive" => "we",
        "Exclusive Access" => "ea",
        "Write Exclusive, registrants only" => "we-ro",
        "Exclusive Access, registrants only" => "ea-ro",
        "Write Exclusive, all registrants" => "we-ar",
        "Exclusive Access, all registrants" => "ea-ar",
        other => bail!("an unknown type {other:?}"),
    }
    .to_owned())
}

fn parse_full(text: &str, group: &Group) -> Result<Vec<(String, String, bool)>> {
    let mut full = Vec::new();
    for part in text.split("Key=").skip(1) {
        let key = part.lines().next().unwrap_or_default().trim();
        full.push((
            nexus_of(part, group)?,
            key.to_owned(),
            part.contains("<< Reservation holder >>"),
        ));
    }
    full.sort();
    Ok(full)
}

/// Whose registration it is: the node whose `id` the TransportID has.
fn nexus_of(part: &str, group: &Group) -> Result<String> {
    group
        .nodes
        .iter()
        .find(|(_, node)| {
            node.words
                .get("id")
                .is_some_and(|id| part.contains(id.as_str()))
        })
        .map(|(name, _)| name.clone())
        .with_context(|| format!("a registration of nobody in this group: {part:?}"))
}

fn observe_nvme(guest: &mut Guest, group: &Group, device: &str) -> Result<Observed> {
    let argv = ["nvme", "resv-report", device, "-e", "-o", "json"].map(str::to_owned);
    let ended = guest.run(&argv, "", BOUND)?;
    ensure!(
        ended.status == Some(0),
        "{}: {:?} {}",
        argv.join(" "),
        ended.status,
        ended.stderr
    );
    let report: Value = serde_json::from_str(&ended.stdout)
        .with_context(|| format!("nvme's report is no JSON: {}", ended.stdout))?;
    parse_nvme(&report, group)
}

fn parse_nvme(report: &Value, group: &Group) -> Result<Observed> {
    let kinds = ["none", "we", "ea", "we-ro", "ea-ro", "we-ar", "ea-ar"];
    let kind = report["rtype"]
        .as_u64()
        .and_then(|kind| kinds.get(usize::try_from(kind).ok()?))
        .context("no type")?;
    let mut observed = Observed::default();
    let empty = Vec::new();
    for registrant in report["regctlext"].as_array().unwrap_or(&empty) {
        let key = format!("{:#x}", registrant["rkey"].as_u64().context("no key")?);
        let host = registrant["hostid"].as_str().context("no host id")?;
        let holds = registrant["rcsts"]
            .as_u64()
            .is_some_and(|bits| bits & 1 == 1);
        observed.keys.push(key.clone());
        if holds {
            observed.holder = Some((key.clone(), (*kind).to_owned()));
        }
        observed.full.push((nexus_of(host, group)?, key, holds));
    }
    observed.keys.sort();
    observed.full.sort();
    Ok(observed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> Group {
        let text = "# G\nkernel debian12\nnode a sd=/dev/sda id=0x6001405000000001\n\
                    node b sd=/dev/sdb id=0x6001405000000002\nsetup\ntrue\n";
        Group::parse("g", text).unwrap()
    }

    #[test]
    fn the_words_of_sg_persist_are_read() {
        let keys =
            "  PR generation=0x3, 2 registered reservation keys follow:\n    0xb2\n    0xa1\n";
        assert_eq!(parse_keys(keys), ["0xa1", "0xb2"]);
        let held = "  PR generation=0x3, Reservation follows:\n    Key=0xa1\n    scope: LU_SCOPE,  \
                    type: Write Exclusive, registrants only\n";
        assert_eq!(
            parse_holder(held).unwrap(),
            Some(("0xa1".into(), "we-ro".into()))
        );
        let free = "  PR generation=0x0, there is NO reservation held\n";
        assert_eq!(parse_holder(free).unwrap(), None);
    }

    #[test]
    fn a_registration_is_told_by_the_nexus_that_made_it() {
        let text = "  PR generation=0x4\n    Key=0xb2\n      not reservation holder\n      \
                    SAS address: 0x6001405000000002\n    Key=0xa1\n      << Reservation holder >>\n      \
                    SAS address: 0x6001405000000001\n";
        assert_eq!(
            parse_full(text, &group()).unwrap(),
            [
                ("a".into(), "0xa1".into(), true),
                ("b".into(), "0xb2".into(), false)
            ]
        );
        assert!(parse_full("Key=0x1\n SAS address: 0x77\n", &group()).is_err());
    }
}

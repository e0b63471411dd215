//! `qctl log dump`: what a log holds, record by record.

use super::place;
use super::{failure, view};
use crate::Context;
use crate::exit::{Exit, Failure};
use crate::output::{BAD, FAINT, Report, STRONG};
use qlog::Lsn;
use qlog::inspect::{Item, dump};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::PathBuf;

/// Bytes of a record that are shown unless all are asked for.
const SHOWN: usize = 48;
/// Bytes of a line of a hexadecimal dump.
const LINE: usize = 16;

/// `qctl log dump`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Shows everything that the log still holds, also records that a checkpoint covers, and goes on behind damage, which is
shown where it is. What a deposed owner wrote behind the cut of its successor is void and not shown. With --json one
line for each item. Ends with 3 when it met damage.

Examples:
  qctl log dump /var/lib/quorum.log --from 1200 --to 1300
  qctl log dump /var/lib/quorum.log --from 1207 --to 1207 --data
  qctl --json log dump /dev/sdb1 --data")]
pub(crate) struct Args {
    /// The file or block device
    #[arg(value_name = "LOG")]
    path: PathBuf,
    /// The first record
    #[arg(
        long,
        value_name = "LSN",
        default_value_t = 0,
        hide_default_value = true
    )]
    from: u64,
    /// The last record
    #[arg(long, value_name = "LSN", default_value_t = u64::MAX - 1, hide_default_value = true)]
    to: u64,
    /// All bytes of each record, in hexadecimal
    #[arg(long)]
    data: bool,
}

impl Args {
    /// Dumps it.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        if self.from > self.to {
            return Err(Failure::usage(
                format!("--from {} is behind --to {}", self.from, self.to),
                "give the smaller number to --from",
            ));
        }
        let (_, storage) = place::open(&self.path, context)?;
        let wanted = Lsn(self.from)..Lsn(self.to.saturating_add(1));
        let items = dump(&storage, wanted).map_err(|error| failure::of_open(&self.path, &error))?;
        let mut damaged = 0_u64;
        for item in items {
            damaged += u64::from(matches!(item, Item::Damage { .. }));
            context.output.event(&Dumped {
                item,
                all: self.data,
            })?;
            if context.output.is_closed() {
                return Ok(Exit::Done);
            }
        }
        if damaged == 0 {
            return Ok(Exit::Done);
        }
        let name = self.path.display();
        Err(Failure::new(
            Exit::Medium,
            format!("{name}: {damaged} damaged places"),
            format!("qctl log verify {name}   (what is lost by them)"),
        ))
    }
}

struct Dumped {
    item: Item,
    all: bool,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What can be read of it, the rest as dots.
fn readable(bytes: &[u8]) -> String {
    let shown = |byte: &u8| match byte {
        b' '..=b'~' => char::from(*byte),
        _ => '.',
    };
    bytes.iter().map(shown).collect()
}

impl Report for Dumped {
    fn schema(&self) -> &'static str {
        "log-dump"
    }

    fn json(&self) -> Value {
        match &self.item {
            Item::Record {
                lsn,
                epoch,
                generation,
                offset,
                bytes,
            } => {
                let mut document = json!({
                    "kind": "record",
                    "lsn": view::lsn(*lsn),
                    "epoch": epoch.to_string(),
                    "generation": generation.to_string(),
                    "frame_offset": offset,
                    "bytes": bytes.len(),
                });
                if self.all {
                    document["data"] = json!(hex(bytes));
                }
                document
            }
            Item::EpochStart {
                lsn,
                generation,
                offset,
                started,
            } => json!({
                "kind": "epoch-start",
                "lsn": view::lsn(*lsn),
                "epoch": started.epoch.to_string(),
                "generation": generation.to_string(),
                "frame_offset": offset,
                "owner": view::owner_json(started.owner),
                "cut_lsn": view::lsn(started.cut),
            }),
            Item::Seal {
                lsn,
                epoch,
                generation,
                offset,
            } => json!({
                "kind": "seal",
                "lsn": view::lsn(*lsn),
                "epoch": epoch.to_string(),
                "generation": generation.to_string(),
                "frame_offset": offset,
            }),
            Item::Damage {
                lsn,
                generation,
                range,
                resumed_at,
            } => json!({
                "kind": "damage",
                "lsn": view::lsn(*lsn),
                "generation": generation.to_string(),
                "from": range.start,
                "to": range.end,
                "resumed_at_lsn": resumed_at.map(view::lsn),
            }),
        }
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        match &self.item {
            Item::Record {
                lsn, epoch, bytes, ..
            } => {
                let shown = if self.all { 0 } else { bytes.len().min(SHOWN) };
                let more = if !self.all && bytes.len() > SHOWN {
                    "…"
                } else {
                    ""
                };
                writeln!(
                    page,
                    "{lsn:>10}  epoch {epoch:<4} {:>8} bytes  {FAINT}{}{more}{FAINT:#}",
                    bytes.len(),
                    readable(&bytes[..shown])
                )?;
                if self.all {
                    for (index, line) in bytes.chunks(LINE).enumerate() {
                        writeln!(
                            page,
                            "            {:06x}  {:<32}  {}",
                            index * LINE,
                            hex(line),
                            readable(line)
                        )?;
                    }
                }
                Ok(())
            }
            Item::EpochStart { lsn, started, .. } => writeln!(
                page,
                "{lsn:>10}  {STRONG}epoch {} begins{STRONG:#}: {}; older epochs end before LSN {}",
                started.epoch,
                view::owner_words(started.owner),
                started.cut
            ),
            Item::Seal { lsn, epoch, .. } => {
                writeln!(
                    page,
                    "{lsn:>10}  epoch {epoch:<4} a proof that nothing is missing before"
                )
            }
            Item::Damage {
                lsn,
                range,
                resumed_at,
                ..
            } => {
                let next = resumed_at.map_or_else(
                    || "nothing behind it can be read".to_owned(),
                    |resumed| format!("LSN {resumed} is the next that can be read"),
                );
                writeln!(
                    page,
                    "{lsn:>10}  {BAD}damage{BAD:#} in bytes {}..{}; {next}",
                    range.start, range.end
                )
            }
        }
    }
}

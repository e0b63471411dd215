//! `qctl log checkpoint`: the checkpoints and objects of a log, and the bytes of one.

use super::place::{self, Place};
use super::{failure, view};
use crate::Context;
use crate::exit::{Exit, Failure};
use crate::output::{GOOD, Report, STRONG};
use qlog::Lsn;
use qlog::inspect::{Content, Which, extract, inspect};
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// `qctl log checkpoint`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Without --out it lists what is stored beside the records. With --out it takes the bytes of one out, as its owner stored
them, if every one of them is good; that works, too, on a log whose records are damaged.

It takes no checkpoint: what stands for the records up to an LSN only their owner can work out, and one that claimed
the log for it would depose that owner. Its owner takes them while it runs.

Examples:
  qctl log checkpoint /var/lib/quorum.log
  qctl log checkpoint /var/lib/quorum.log --out state.bin
  qctl log checkpoint /var/lib/quorum.log --object disk-1 --out disk-1.bin")]
pub(crate) struct Args {
    /// The file or block device
    #[arg(value_name = "LOG")]
    path: PathBuf,
    /// Write its bytes to this file, which must not be there yet; - is stdout
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Of this object, and not of the newest checkpoint
    #[arg(
        long,
        value_name = "NAME",
        requires = "out",
        conflicts_with = "previous"
    )]
    object: Option<String>,
    /// Of the checkpoint before the newest
    #[arg(long, requires = "out")]
    previous: bool,
}

impl Args {
    /// Lists them, or takes one out.
    pub(crate) fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let (place, storage) = place::open(&self.path, context)?;
        if let Some(out) = &self.out {
            let (which, name) = match (&self.object, self.previous) {
                (Some(name), _) => (Which::Object(name), format!("object {name:?}")),
                (None, true) => (Which::Previous, "previous checkpoint".to_owned()),
                (None, false) => (Which::Checkpoint, "checkpoint".to_owned()),
            };
            let found =
                extract(&storage, which).map_err(|error| failure::of_open(&self.path, &error))?;
            let Some((lsn, bytes)) = found else {
                return Err(Failure::new(
                    Exit::NoSuch,
                    format!("{} has no {name}", self.path.display()),
                    format!("qctl log checkpoint {}   (lists them)", self.path.display()),
                ));
            };
            return write(context, place, &name, lsn, &bytes, out);
        }
        let inspection = inspect(&storage, &mut |_, _| {});
        let refused = inspection.refused.as_ref();
        let Some(log) = inspection.log else {
            let error = refused.expect("a log without a superblock does not open");
            return Err(failure::of_open(&self.path, error));
        };
        let damaged = log
            .contents
            .iter()
            .any(|content| content.health.is_corrupt());
        let listed = Listed {
            place,
            contents: log.contents,
            free: log.chunks.free(),
            all: log.chunks.all,
        };
        if damaged {
            return Err(Failure::new(
                Exit::Medium,
                format!(
                    "{}: something that was stored is damaged",
                    self.path.display()
                ),
                format!("qctl log verify {}   (everything)", self.path.display()),
            )
            .with(listed));
        }
        context.output.report(&listed)?;
        Ok(Exit::Done)
    }
}

fn write(
    context: &mut Context,
    place: Place,
    name: &str,
    lsn: Lsn,
    bytes: &[u8],
    out: &Path,
) -> Result<Exit, Failure> {
    if out == Path::new("-") {
        context.output.raw(bytes)?;
        return Ok(Exit::Done);
    }
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(out)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Failure::new(
                Exit::Unsafe,
                format!("{} is there already", out.display()),
                "name a file that is not there yet",
            ));
        }
        Err(error) => return Err(failure::of_io(out, "write it", &error)),
    }
    context.output.report(&Taken {
        place,
        name: name.to_owned(),
        lsn,
        bytes: bytes.len(),
        out: out.to_owned(),
    })?;
    Ok(Exit::Done)
}

struct Listed {
    place: Place,
    contents: Vec<Content>,
    free: u32,
    all: u32,
}

impl Report for Listed {
    fn schema(&self) -> &'static str {
        "log-checkpoint"
    }

    fn json(&self) -> Value {
        json!({
            "place": self.place.json(),
            "contents": self.contents.iter().map(view::content_json).collect::<Vec<_>>(),
            "chunks": { "all": self.all, "used": self.all - self.free, "free": self.free },
        })
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        let name = self.place.path.display();
        writeln!(page, "{STRONG}{name}{STRONG:#}  {}", self.place.words())?;
        if self.contents.is_empty() {
            writeln!(page, "no checkpoint and no object was stored yet")?;
        }
        for content in &self.contents {
            view::content_text(page, content)?;
        }
        writeln!(
            page,
            "room        {} of {} chunks are free",
            self.free, self.all
        )
    }
}

struct Taken {
    place: Place,
    name: String,
    lsn: Lsn,
    bytes: usize,
    out: PathBuf,
}

impl Report for Taken {
    fn schema(&self) -> &'static str {
        "log-checkpoint"
    }

    fn json(&self) -> Value {
        json!({
            "place": self.place.json(),
            "taken": {
                "name": self.name,
                "lsn": view::lsn(self.lsn),
                "bytes": self.bytes,
                "file": self.out.display().to_string(),
            },
        })
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        writeln!(
            page,
            "{GOOD}written{GOOD:#}     {}: the {} bytes of the {}, LSN {}",
            self.out.display(),
            self.bytes,
            self.name,
            self.lsn
        )
    }
}

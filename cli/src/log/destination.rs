//! A place that is about to be written over: what is there, who uses it, and the consent that it takes.
//!
//! Invariants:
//! * what is in use on this host is never written over, whatever is said;
//! * what is recognised, and what is not recognised but not empty either, is written over only with `--yes`;
//! * a device is claimed from the check to the end, so that nobody mounts it in between.

use super::failure;
use super::place::{self, Place};
use super::unit;
use crate::Context;
use crate::content;
use crate::disk::plan::{self, Consent};
use crate::exit::{Exit, Failure};
use crate::output::{BAD, Report, STRONG, WARN};
use nix::sys::statfs::{self, FsType};
use qlog::storage::FileStorage;
use qlog::{Format, Storage};
use quorum::lun::Lun;
use scsi::linux::{BlockDevice, Roots, block_device, loop_devices_on};
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// File systems that write elsewhere when they overwrite, and one that forgets (statfs(2)).
const COPY_ON_WRITE: [(i64, &str); 4] = [
    (0x9123_683e, "btrfs"),
    (0x2fc1_2fc1, "zfs"),
    (0xca45_1a4e, "bcachefs"),
    (0x794c_7630, "overlayfs"),
];
const TMPFS: i64 = 0x0102_1994;

/// How large, and for whom.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Wish {
    /// The size of the log, with its unit (64MiB, 1GiB); without it a device or a file that is there is used whole
    #[arg(long, value_name = "SIZE", value_parser = crate::args::size)]
    pub(super) size: Option<u64>,
    /// Segments of the ring, 4 to 16
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(4..=16))]
    pub(super) segments: Option<u32>,
    /// Bytes of a segment, with their unit
    #[arg(long, value_name = "SIZE", value_parser = crate::args::size)]
    pub(super) segment_size: Option<u64>,
}

/// What would be written over.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    verb: &'static str,
    pub(super) place: Place,
    exists: bool,
    device: Option<BlockDevice>,
    pub(super) format: Format,
    /// What is there.
    found: Vec<String>,
    refusals: Vec<String>,
    pub(super) remarks: Vec<String>,
    token: String,
    dry_run: bool,
}

/// A place that may be written.
pub(super) struct Destination {
    pub(super) plan: Plan,
    /// A device's claim; nobody else can mount it while this is open.
    claim: Option<File>,
    /// It, where it is reached past the kernel.
    unit: Option<Lun>,
}

impl Destination {
    /// Looks at the place, asks for consent; `None` when it was a dry run.
    pub(super) fn prepare(
        verb: &'static str,
        path: &Path,
        wish: &Wish,
        consent: &Consent,
        context: &mut Context,
    ) -> Result<Option<Self>, Failure> {
        let (plan, claim, unit) = if unit::is_one(path) {
            let (plan, lun) = look_at_unit(verb, path, wish, context)?;
            (plan, None, Some(lun))
        } else {
            let (plan, claim) = look(verb, path, wish)?;
            (plan, claim, None)
        };
        Ok(given(plan, consent, context)?.map(|plan| Self { plan, claim, unit }))
    }

    /// Opens the place for writing, made if it is not there.
    pub(super) fn open(&self) -> Result<Arc<dyn Storage>, Failure> {
        if let Some(lun) = &self.unit {
            return Ok(Arc::new(lun.unfenced()));
        }
        let (path, bytes) = (&self.plan.place.path, self.plan.place.bytes);
        let opened = if self.plan.exists {
            self.resize(bytes)
                .and_then(|()| FileStorage::open_for_writing(path))
        } else {
            FileStorage::create(path, bytes)
        };
        match opened {
            Ok(storage) => Ok(Arc::new(storage)),
            Err(error) => {
                let failure = failure::of_io(path, "open it for writing", &error);
                self.abandon();
                Err(failure)
            }
        }
    }

    /// A file that was made for this, and is no log, is removed again.
    pub(super) fn abandon(&self) {
        if !self.plan.exists {
            // It may not even have been made.
            drop(std::fs::remove_file(&self.plan.place.path));
        }
    }

    fn resize(&self, bytes: u64) -> io::Result<()> {
        let place = &self.plan.place;
        if place.is_device || std::fs::metadata(&place.path)?.len() == bytes {
            return Ok(());
        }
        OpenOptions::new()
            .write(true)
            .open(&place.path)?
            .set_len(bytes)
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        drop(self.claim.take());
    }
}

fn look(verb: &'static str, path: &Path, wish: &Wish) -> Result<(Plan, Option<File>), Failure> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failure::of_io(path, "look at it", &error)),
    };
    let is_device = metadata
        .as_ref()
        .is_some_and(|metadata| metadata.file_type().is_block_device());
    if let Some(metadata) = &metadata
        && !is_device
        && !metadata.is_file()
    {
        return Err(Failure::usage(
            format!("{} is neither a file nor a block device", path.display()),
            "name a file that is to be made, or a block device",
        ));
    }
    let device = is_device
        .then(|| block_device(path, &Roots::default()))
        .flatten();
    let mut refusals = uses(path, is_device, device.as_ref());
    let mut claim = None;
    if is_device {
        match claimed(path) {
            Ok(file) => claim = Some(file),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                if refusals.is_empty() {
                    refusals.push(
                        "this device is in use on this host: the kernel does not give it away"
                            .to_owned(),
                    );
                }
            }
            Err(error) => return Err(failure::of_io(path, "open it for writing", &error)),
        }
    }
    let (there, found, probe) = if metadata.is_some() {
        contents(path, is_device).map_err(|error| failure::of_io(path, "read it", &error))?
    } else {
        (0, Vec::new(), 0)
    };
    let bytes = size(path, is_device, there, wish)?;
    let place = Place {
        path: path.to_owned(),
        is_device,
        is_unit: false,
        bytes,
    };
    let format = format(path, bytes, device_block(path, is_device), wish)?;
    let token = token(there, probe, path, &found);
    let plan = Plan {
        verb,
        place,
        exists: metadata.is_some(),
        device,
        format,
        found,
        refusals,
        remarks: remarks(path),
        token,
        dry_run: false,
    };
    Ok((plan, claim))
}

/// Looks at a unit that is reached past the kernel. Who is registered on it may own it.
fn look_at_unit(
    verb: &'static str,
    path: &Path,
    wish: &Wish,
    context: &Context,
) -> Result<(Plan, Lun), Failure> {
    let unit::Unit { lun, registered } = unit::open(path, context)?;
    let reader = lun.reader();
    let there = reader.region_bytes();
    let bytes = size(path, true, there, wish)?;
    let window = (content::WINDOW_BYTES as u64).next_multiple_of(u64::from(reader.block_bytes()));
    let read = |from: u64| -> Result<Vec<u8>, Failure> {
        let count = usize::try_from(window.min(there)).unwrap_or_default();
        let mut bytes = vec![0; count];
        let read = reader.read_at(from, &mut bytes);
        read.map_err(|error| failure::of_io(path, "read it", &error))?;
        Ok(bytes)
    };
    let (head, tail) = (read(0)?, read(there.saturating_sub(window))?);
    let found = recognised(&head, &tail, log_in(&reader));
    let probe = plan::fnv1a(&head) ^ plan::fnv1a(&tail);
    let plan = Plan {
        verb,
        place: Place {
            path: path.to_owned(),
            is_device: false,
            is_unit: true,
            bytes,
        },
        exists: true,
        device: None,
        format: format(path, bytes, reader.block_bytes(), wish)?,
        token: token(there, probe, path, &found),
        found,
        refusals: registered,
        remarks: Vec::new(),
        dry_run: false,
    };
    Ok((plan, lun))
}

fn token(there: u64, probe: u32, path: &Path, found: &[String]) -> String {
    let sum = plan::fnv1a(format!("{probe:08x}|{}|{found:?}", path.display()).as_bytes());
    format!("l{there}-{sum:08x}")
}

/// Who uses it.
fn uses(path: &Path, is_device: bool, device: Option<&BlockDevice>) -> Vec<String> {
    let roots = Roots::default();
    if is_device {
        let usages = device.map(|device| device.usages.iter()).into_iter();
        return usages
            .flatten()
            .map(|usage| format!("this device is in use on this host: {usage}"))
            .collect();
    }
    loop_devices_on(path, &roots)
        .iter()
        .map(|node| format!("this file is in use on this host: {node} stands on it"))
        .collect()
}

/// Opens a device so that nobody else may claim it, a file system least of all.
fn claimed(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_EXCL | libc::O_CLOEXEC)
        .open(path)
}

/// How long it is, what is recognised, and a sum of what was looked at.
fn contents(path: &Path, is_device: bool) -> io::Result<(u64, Vec<String>, u32)> {
    let mut file = File::open(path)?;
    let there = file.seek(SeekFrom::End(0))?;
    let window = content::WINDOW_BYTES as u64;
    let mut read = |from: u64, count: u64| -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        (&mut file).take(count).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let head = read(0, window)?;
    let tail = read(there.saturating_sub(window), window)?;
    let log = FileStorage::open(path)
        .ok()
        .and_then(|storage| log_in(&storage));
    let mut found = recognised(&head, &tail, log);
    if found.is_empty() && !is_device && there > 0 {
        found.push("a file, which begins and ends with zeros".to_owned());
    }
    Ok((there, found, plan::fnv1a(&head) ^ plan::fnv1a(&tail)))
}

/// What the beginning and the end of a place say is on it.
fn recognised(head: &[u8], tail: &[u8], log: Option<String>) -> Vec<String> {
    let mut found: Vec<String> = content::recognise(head)
        .into_iter()
        .chain(content::recognise_tail(tail))
        .map(str::to_owned)
        .collect();
    let written = |bytes: &[u8]| bytes.iter().any(|byte| *byte != 0);
    if let Some(log) = log {
        found.retain(|what| !what.starts_with("a quorum log"));
        found.push(log);
    } else if found.is_empty() && (written(head) || written(tail)) {
        found.push("bytes that are not recognised".to_owned());
    }
    found
}

/// A log, in the words of whoever is about to lose it.
fn log_in(storage: &impl Storage) -> Option<String> {
    let log = qlog::inspect::inspect(storage, &mut |_, _| {}).log?;
    Some(format!(
        "a quorum log{} of epoch {}, up to LSN {}",
        cluster(&log.cluster.name),
        log.epoch,
        log.next.map_or_else(
            || "unknown (it is damaged)".to_owned(),
            |next| (next.0 - 1).to_string()
        )
    ))
}

pub(crate) fn cluster(name: &str) -> String {
    if name.is_empty() {
        String::new()
    } else {
        format!(" of cluster {name:?}")
    }
}

fn size(path: &Path, is_device: bool, there: u64, wish: &Wish) -> Result<u64, Failure> {
    match wish.size {
        None if there > 0 => Ok(there),
        None => Err(Failure::usage(
            format!("{}: how large is the log to be?", path.display()),
            "say --size 64MiB, for example",
        )),
        Some(size) if is_device && size != there => Err(Failure::usage(
            format!(
                "{} has {}: a log takes all of a device",
                path.display(),
                place::bytes(there)
            ),
            "leave --size out, or make a partition of that size",
        )),
        Some(size) => Ok(size),
    }
}

/// What the device writes as a whole; a file's is 4096.
fn device_block(path: &Path, is_device: bool) -> u32 {
    let storage = is_device.then(|| FileStorage::open(path)).transpose();
    storage
        .ok()
        .flatten()
        .map_or(4096, |storage| storage.block_bytes())
}

fn format(path: &Path, bytes: u64, block: u32, wish: &Wish) -> Result<Format, Failure> {
    let refused = |error: qlog::FormatError| {
        Failure::usage(
            format!("{}: {error}", path.display()),
            "correct --size, --segments or --segment-size",
        )
    };
    let format = Format::for_region(bytes, block).map_err(refused)?;
    if wish.segments.is_none() && wish.segment_size.is_none() {
        return Ok(format);
    }
    let segments = wish.segments.unwrap_or(format.segments);
    let segment_bytes = wish.segment_size.unwrap_or(format.segment_bytes);
    format.with_ring(segments, segment_bytes).map_err(refused)
}

fn remarks(path: &Path) -> Vec<String> {
    let folder: PathBuf = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    };
    let at = if path.exists() { path } else { &folder };
    let Ok(about) = statfs::statfs(at) else {
        return Vec::new();
    };
    let is = |number: i64| about.filesystem_type() == FsType(number);
    let mut remarks: Vec<String> = COPY_ON_WRITE
        .iter()
        .filter(|(number, _)| is(*number))
        .map(|(_, name)| {
            format!(
                "{name} writes elsewhere when it overwrites: the room that a log takes now is not kept for it, and a \
                 later write may meet a full disk"
            )
        })
        .collect();
    if is(TMPFS) {
        remarks.push("tmpfs is memory: this log is gone at the next boot".to_owned());
    }
    remarks
}

/// Goes on, or prints the plan of a dry run (`None`), or refuses.
fn given(plan: Plan, consent: &Consent, context: &mut Context) -> Result<Option<Plan>, Failure> {
    if let Some(prefix) = &consent.wwid {
        check_wwid(&plan, prefix)?;
    }
    if consent.dry_run {
        context.output.report(&Plan {
            dry_run: true,
            ..plan
        })?;
        return Ok(None);
    }
    let refuse = |message: String, next: String, plan: Plan| {
        Err(Failure::new(Exit::Unsafe, message, next).with(plan))
    };
    let name = plan.place.path.display().to_string();
    if let Some(refusal) = plan.refusals.first() {
        let message = format!("{name} is refused: {refusal}");
        let next =
            "no option overrides this; stop that use first, or name another place".to_owned();
        return refuse(message, next, plan);
    }
    let wants_wwid = plan.place.is_device && plan::unstable(&name) && consent.wwid.is_none();
    if !plan.found.is_empty() && !consent.yes {
        let message = format!(
            "{name} holds {}; nothing was written",
            plan.found.join(", ")
        );
        let wwid = if wants_wwid { " --wwid PREFIX" } else { "" };
        let next = format!(
            "to write over it, repeat the command with: --yes --if {}{wwid}",
            plan.token
        );
        return refuse(message, next, plan);
    }
    if !plan.found.is_empty() && wants_wwid {
        let message = format!(
            "{name} can be another disk after the next boot; writing over something wants --wwid beside --yes"
        );
        let next = "add --wwid with the beginning of the WWID above, or use a /dev/disk/by-id name"
            .to_owned();
        return refuse(message, next, plan);
    }
    match &consent.token {
        Some(token) if *token != plan.token => {
            let message = format!(
                "{name} has changed since the plan {token}: it is at {} now",
                plan.token
            );
            let next = "read the new plan above, then repeat with its token".to_owned();
            refuse(message, next, plan)
        }
        Some(_) | None => Ok(Some(plan)),
    }
}

fn check_wwid(plan: &Plan, prefix: &str) -> Result<(), Failure> {
    let wwid = plan.device.as_ref().and_then(|device| device.wwid.clone());
    let name = plan.place.path.display();
    match wwid {
        Some(wwid) if !prefix.is_empty() && wwid.starts_with(prefix) => Ok(()),
        Some(wwid) => Err(Failure::new(
            Exit::Unsafe,
            format!("{name} is on the disk with the WWID {wwid}, not {prefix}..."),
            "`qctl disk list` shows which disk has which WWID",
        )),
        None => Err(Failure::new(
            Exit::Unsafe,
            format!("{name} does not tell a WWID, so --wwid cannot be checked"),
            "leave --wwid out, and name it by a path that cannot move",
        )),
    }
}

impl Plan {
    /// The device's own description, where there is one.
    pub(super) fn device_json(&self) -> Value {
        self.device.as_ref().map_or(Value::Null, |device| {
            json!({
                "node": device.node,
                "partition": device.is_partition,
                "vendor": device.vendor,
                "model": device.model,
                "wwid": device.wwid,
            })
        })
    }

    pub(super) fn wwid(&self) -> Option<String> {
        self.device.as_ref()?.wwid.clone()
    }
}

impl Report for Plan {
    fn schema(&self) -> &'static str {
        "log-plan"
    }

    fn json(&self) -> Value {
        json!({
            "place": self.place.json(),
            "device": self.device_json(),
            "verb": self.verb,
            "dry_run": self.dry_run,
            "token": self.token,
            "found": self.found,
            "refusals": self.refusals,
            "remarks": self.remarks,
            "format": super::view::format_json(&self.format),
        })
    }

    fn text(&self, page: &mut dyn Write) -> io::Result<()> {
        let kind = if self.exists {
            self.place.words()
        } else {
            format!("a new file of {}", place::bytes(self.place.bytes))
        };
        writeln!(
            page,
            "{STRONG}{}{STRONG:#}  {kind}",
            self.place.path.display()
        )?;
        if let Some(device) = &self.device {
            let unknown = || "?".to_owned();
            writeln!(
                page,
                "disk        {} {}, WWID {}",
                device.vendor.clone().unwrap_or_else(unknown),
                device.model.clone().unwrap_or_else(unknown),
                device.wwid.clone().unwrap_or_else(unknown)
            )?;
        }
        for found in &self.found {
            writeln!(page, "{WARN}would be lost{WARN:#}  {found}")?;
        }
        for refusal in &self.refusals {
            writeln!(page, "{BAD}refused{BAD:#}     {refusal}")?;
        }
        for remark in &self.remarks {
            writeln!(page, "note        {remark}")?;
        }
        super::view::format_text(page, &self.format)
    }
}

//! From arguments to what an arbiter starts with: the disk opened, the protocol chosen, the names found.

use super::mount::in_use;
use super::quorum_log::Place;
use super::record::{What, ms};
use super::{Args, drain};
use crate::Context;
use crate::disk::guard;
use crate::exit::{Exit, Failure};
use quorum::arbiter::{Settings, WatchdogOptions, runtime_dir, state_dir};
use quorum_core::arbitration::{Config, Mode, NodeNumber, Policy};
use quorum_core::times::{Demand, Profile, Times};
use scsi::disk::{Disk, Options, Path, Purpose, Way};
use scsi::linux::{Roots, claimable_nodes};
use scsi::reservation::{Answer, Capabilities, Reply, Support, Verb};
use scsi::reservations::Reservations;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::time::Duration;

/// The bound on opening the disk and on the one look at what it can do.
const OPEN_MAX: Duration = Duration::from_secs(5);

/// How often a block node is asked whether it is in use: another's look at it passes.
const CLAIM_LOOKS: u32 = 10;

/// What to do about a file system that lives on.
pub(super) const STILL_IN_USE_HINT: &str =
    "end what keeps it, or unmount it there (`nsenter -t PID -m umount DIR`)";

/// Everything that an arbitration starts with.
pub(super) struct Setup {
    /// The paths' verbs.
    pub(super) paths: Vec<Box<dyn Reservations>>,
    /// For the arbiter.
    pub(super) settings: Settings,
    /// The quorum log.
    pub(super) log: Option<Place>,
    /// The first event.
    pub(super) started: What,
    /// What the user should know before.
    pub(super) remarks: Vec<String>,
    /// Between TERM and KILL when the command is stopped in good order.
    pub(super) grace: Duration,
    /// The same at a loss: never longer than the times allow for stopping.
    pub(super) loss_grace: Duration,
}

/// Opens the disk and settles what is left open by the arguments. Changes nothing on the disk.
pub(super) fn setup(args: &Args, context: &Context) -> Result<Setup, Failure> {
    let mut disk = open(args, context)?;
    refuse_in_use(&disk)?;
    refuse_claimed(args, &disk)?;
    refuse_attached(&disk)?;
    let (mode, why) = mode(args, &mut disk)?;
    let times = times(args, mode)?;
    let mut remarks = std::mem::take(&mut disk.remarks);
    remarks.extend(drain::drain(&disk, OPEN_MAX)?);
    let wwid = disk.identity.wwid.clone().unwrap_or_else(|| {
        // The address is the same by every node of the path.
        let address = disk.identity.address.map(|address| address.to_string());
        let name = address.unwrap_or_else(|| disk.name.clone());
        remarks.push(format!(
            "the disk has no world-wide name: {name} stands for it, so another path to it would not be noticed"
        ));
        name
    });
    let node = match args.node {
        Some(node) => NodeNumber(node),
        None => {
            let (node, of) = own_node(&disk);
            remarks.push(format!("this is node {} by {of}; --node sets it", node.0));
            node
        }
    };
    let log = args
        .log
        .as_ref()
        .map(|place| Place::new(place, &mut disk, &args.cluster, node.0, times))
        .transpose()?;
    let count = u16::try_from(disk.paths.len()).map_err(|_| too_many_paths(&disk))?;
    let mut config = Config::new(mode, &args.cluster, node, times);
    config.paths = count;
    config.policy = policy(args);
    let (state_dir, runtime_dir) = host_files(args, &disk)?;
    let settings = Settings {
        config,
        wwid: wwid.clone(),
        nexuses: disk
            .paths
            .iter()
            .flat_map(|path| path.lock_names.clone())
            .collect(),
        state_dir,
        runtime_dir,
        watchdog: args.watchdog.as_ref().map(|path| WatchdogOptions {
            path: path.clone(),
            accept_no_way_out: args.watchdog_nowayout_ok,
        }),
    };
    Ok(Setup {
        started: started(args, &disk, &settings, mode, &why),
        settings,
        log,
        remarks,
        grace: args.grace,
        loss_grace: args.grace.min(times.stop_time / 2),
        paths: disk
            .paths
            .into_iter()
            .map(|path| path.reservations)
            .collect(),
    })
}

fn open(args: &Args, context: &Context) -> Result<Disk, Failure> {
    let options = Options {
        bound: OPEN_MAX,
        purpose: Purpose::Arbitrate,
        ..Options::default()
    };
    crate::disk::opening::open(&args.disk, &context.global, &options)
}

/// What is mounted, swapped to or stacked on the disk writes by itself, and from the moment this host is
/// registered nothing keeps those writes off another owner's disk.
fn refuse_in_use(disk: &Disk) -> Result<(), Failure> {
    let uses = guard::in_use(disk);
    if uses.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Unsafe,
        format!("not started, nothing was sent: {}", uses.join("; ")),
        "free it first (umount, swapoff, vgchange -an, mdadm --stop) and keep it from being used at boot; CMD \
         is what mounts it, once the disk is ours",
    ))
}

/// A file system can live on the disk although no table of this process shows it: mounted in a container, or detached and
/// still open. Registered with ours, its nexus would let its pages through; mounted again, it would show them.
///
/// Asked are the nodes of the paths that this arbiter will register: what goes through another one the disk refuses.
fn refuse_claimed(args: &Args, disk: &Disk) -> Result<(), Failure> {
    let source = args.mount.as_ref().map(|mount| mount.source().to_owned());
    let mut devices: Vec<PathBuf> = source.into_iter().collect();
    for path in &disk.paths {
        let nodes = claimable_nodes(&path.name, &Roots::default());
        devices.extend(nodes.into_iter().map(PathBuf::from));
    }
    let (found_in, found) = channel();
    std::thread::spawn(move || {
        // What cannot be opened says so when it is used.
        let look = |device: &PathBuf| in_use::claimed(device, CLAIM_LOOKS).ok().flatten();
        let _nobody_waits_any_more = found_in.send(devices.iter().find_map(look));
    });
    match found.recv_timeout(2 * OPEN_MAX) {
        Ok(None) => Ok(()),
        Ok(Some(claimed)) => Err(Failure::new(
            Exit::Unsafe,
            format!("not started, nothing was sent: {claimed}"),
            STILL_IN_USE_HINT,
        )),
        Err(_) => Err(Failure::new(
            Exit::TimedOut,
            format!(
                "not started, nothing was sent: a block node of {} does not open",
                disk.name
            ),
            "see the kernel's log; once the path works again, or is removed, start again",
        )),
    }
}

/// What goes through a block node goes through the kernel's nexus: neither fenced with ours nor registered with it, and
/// on a loss nothing stops it.
fn refuse_attached(disk: &Disk) -> Result<(), Failure> {
    let [first, ..] = disk.attached.as_slice() else {
        return Ok(());
    };
    Err(Failure::new(
        Exit::Unsafe,
        format!(
            "not started, nothing was changed: the same disk is also attached to this host as {}; a disk that is \
             arbitrated over iscsi:// is used over that session alone",
            disk.attached.join(", ")
        ),
        format!(
            "arbitrate over the block device ({first}), or detach it (iscsiadm --logout); if they are two disks, give \
             them different names at their targets"
        ),
    ))
}

/// Of the profile, or solved for the takeover that was asked for: from that target alone, so that every node of the
/// cluster comes to the same ones.
fn times(args: &Args, mode: Mode) -> Result<Times, Failure> {
    match args.takeover {
        None => Ok(args.profile.0.times(mode)),
        Some(takeover) => crate::sim::solve(&Demand::for_takeover(mode, takeover)),
    }
}

fn policy(args: &Args) -> Policy {
    Policy {
        wait: args.wait.is_some(),
        no_preempt: args.no_preempt,
        no_abort: args.no_abort,
        accept_no_aptpl: args.accept_no_aptpl,
        evict_foreign: args.evict_foreign,
        others_are_down: false,
        has_log: args.log.is_some(),
    }
}

/// The protocol, and why this one.
fn mode(args: &Args, disk: &mut Disk) -> Result<(Mode, String), Failure> {
    match args.mode {
        ModeArg::Pr => return Ok((Mode::Persistent, "as asked".to_owned())),
        ModeArg::Scsi2 => return Ok((Mode::Spc2, "as asked".to_owned())),
        ModeArg::Auto => {}
    }
    let can = capabilities(disk);
    match (can.persistent, can.spc2) {
        (Support::Yes, _) => Ok((Mode::Persistent, "the disk has them".to_owned())),
        (Support::Unknown, Support::No | Support::Unknown) => Ok((
            Mode::Persistent,
            "the disk does not say what it has, and these are safer".to_owned(),
        )),
        (Support::No | Support::Unknown, Support::Yes) => {
            Ok((Mode::Spc2, "the disk has no persistent ones".to_owned()))
        }
        (Support::No, Support::Unknown) => Ok((
            Mode::Spc2,
            "the disk has no persistent ones, and does not say about these".to_owned(),
        )),
        (Support::No, Support::No) => Err(Failure::new(
            Exit::Unsupported,
            format!("{} has no reservations of either kind", disk.name),
            format!("qctl disk check {}   (what it can do)", disk.name),
        )),
    }
}

/// What the first path that answers says; what is known already where none does.
fn capabilities(disk: &mut Disk) -> Capabilities {
    for path in &mut disk.paths {
        let exchange = path.reservations.perform(&Verb::ReadCapabilities, OPEN_MAX);
        if let Answer::Done(Reply::Capabilities(can)) = exchange.answer {
            return can;
        }
    }
    disk.paths[0].reservations.capabilities()
}

/// Where the state and the locks are. Two hosts can be played on one only where a nexus is not the host's: on
/// an emulated disk, and in an iSCSI session over the loopback, whose initiator name each player has for itself.
fn host_files(args: &Args, disk: &Disk) -> Result<(PathBuf, PathBuf), Failure> {
    let Some(dir) = &args.host_files else {
        return Ok((state_dir(), runtime_dir()));
    };
    if !disk.paths.iter().all(is_played) {
        return Err(Failure::usage(
            "--host-files is for disks that are emulated on this host: a lock elsewhere would not keep a second \
             arbiter off",
            "leave it out",
        ));
    }
    Ok((dir.join("state"), dir.join("run")))
}

fn is_played(path: &Path) -> bool {
    let loopback = ["iscsi://127.", "iscsi://[::1]"];
    match path.way {
        Way::Emulated => true,
        Way::Iscsi => loopback.iter().any(|start| path.name.starts_with(start)),
        Way::SgIo | Way::IocPr | Way::Nvme => false,
    }
}

/// A number of this machine, where none is given: the same at every start, and seldom another's.
fn own_node(disk: &Disk) -> (NodeNumber, &'static str) {
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let machine = match machine.trim() {
        "" => nix::unistd::gethostname()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default(),
        id => id.to_owned(),
    };
    let emulated = disk.paths.iter().find(|path| path.way == Way::Emulated);
    // Every nexus of an emulated disk is a machine of its own.
    let (seed, of) = match emulated {
        Some(path) => (format!("{machine} {}", path.name), "its nexus name"),
        None => (machine, "this machine's id"),
    };
    let hash = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let number = u8::try_from(hash % 255).unwrap_or(0);
    (NodeNumber(number + 1), of)
}

fn started(args: &Args, disk: &Disk, settings: &Settings, mode: Mode, why: &str) -> What {
    let times: Times = settings.config.times;
    What::Started {
        disk: disk.name.clone(),
        wwid: settings.wwid.clone(),
        mode: match mode {
            Mode::Persistent => "pr".to_owned(),
            Mode::Spc2 => "scsi2".to_owned(),
        },
        why: why.to_owned(),
        cluster: args.cluster.clone(),
        profile: args
            .takeover
            .is_none()
            .then(|| args.profile.0.name().to_owned()),
        takeover_ms: args.takeover.map(ms),
        paths: settings.config.paths,
        defend_interval_ms: ms(times.defend_interval),
        challenge_wait_ms: ms(times.challenge_wait),
        self_stop_ms: ms(times.self_stop),
        stop_time_ms: ms(times.stop_time),
    }
}

fn too_many_paths(disk: &Disk) -> Failure {
    Failure::new(
        Exit::Unsupported,
        format!("{} has more paths than an arbiter can use", disk.name),
        "name one path of it",
    )
}

/// Which protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum ModeArg {
    /// Persistent reservations (SCSI-3, NVMe)
    Pr,
    /// SCSI-2 RESERVE and LUN reset
    Scsi2,
    /// Persistent reservations where the disk has them
    Auto,
}

/// A profile by its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ProfileArg(pub(crate) Profile);

impl std::str::FromStr for ProfileArg {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Profile::from_name(name).map(Self).ok_or_else(|| {
            let names = Profile::ALL.map(Profile::name);
            format!("a profile is one of {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scsi::disk::{Usage, UsageKind};

    fn disk(name: &str) -> (PathBuf, Disk) {
        let directory = std::env::temp_dir().join(format!("qctl-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let url = format!("emu:{}?nexus=a", directory.join("q").display());
        let disk = scsi::disk::open(&url, &Options::default()).unwrap();
        (directory, disk)
    }

    #[test]
    fn a_disk_that_this_host_mounts_swaps_to_or_stacks_on_is_refused_with_107() {
        let (directory, mut disk) = disk("arbitrate-in-use");
        assert!(refuse_in_use(&disk).is_ok());
        let mounted = UsageKind::Mounted {
            at: "/srv".to_owned(),
            file_system: "ext4".to_owned(),
        };
        let held = UsageKind::HeldBy {
            holder: "/dev/dm-3".to_owned(),
            what: "lvm vg-lv".to_owned(),
        };
        for kind in [mounted, held, UsageKind::Swap, UsageKind::Root] {
            let usage = Usage {
                node: "/dev/sdb1".to_owned(),
                kind,
            };
            disk.usages = vec![usage.clone()];
            let failure = refuse_in_use(&disk).unwrap_err();
            assert_eq!(failure.exit, Exit::Unsafe);
            assert!(failure.message.contains(&usage.to_string()));
        }
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_disk_that_is_also_a_block_device_of_this_host_is_refused_with_107_and_named() {
        let (directory, mut disk) = disk("arbitrate-attached");
        assert!(refuse_attached(&disk).is_ok());
        disk.attached = vec!["/dev/sdb".to_owned(), "/dev/sdc".to_owned()];
        let failure = refuse_attached(&disk).unwrap_err();
        assert_eq!(failure.exit, Exit::Unsafe);
        assert!(failure.message.contains("/dev/sdb, /dev/sdc"));
        std::fs::remove_dir_all(directory).unwrap();
    }
}

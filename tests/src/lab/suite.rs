//! The whole run: what is played, the guests that it needs, and several guests at a time.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an answer of any other kind is the agent's mistake"
)]

use crate::binaries;
use crate::compare::compare;
use crate::disk::Disk;
use crate::group::Group;
use crate::guest::{Guest, Machine, Served};
use crate::image::{self, Kernel, Tools};
use crate::jobs::{Jobs, in_parallel};
use crate::options::Options;
use crate::packages;
use crate::paths::Paths;
use crate::play::Player;
use crate::report::{CaseResult, Verdict, say, say_case};
use crate::script::{Act, Case, OUTSIDE, parse};
use ::tests::protocol::{Answer, Request};
use anyhow::{Context as _, Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a group's set-up may take.
const SETUP: Duration = Duration::from_secs(120);
/// How long one module may take to load.
const LOAD: Duration = Duration::from_secs(20);
/// How often a case's guest is restored when it does not come up.
const RESTORES_MAX: u32 = 2;

/// Everything that there is to play.
pub(crate) struct Suite {
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) cases: Vec<Case>,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Run {
    pub(crate) results: Vec<CaseResult>,
    pub(crate) remarks: Vec<String>,
}

/// A group's guest, saved when it was set up; one with a target beside it is booted each time.
struct Ready<'a> {
    machine: Machine,
    kernel: &'a Kernel,
    tools: &'a Tools,
    saved: Option<PathBuf>,
}

/// A case to be played, and which time it is.
struct Turn<'a> {
    case: &'a Case,
    time: u32,
}

impl Suite {
    /// Reads every group and every case: a case is a file in the folder of its group.
    pub(crate) fn read(paths: &Paths) -> Result<Self> {
        let groups = Group::read_all(&paths.groups())?;
        let mut cases = Vec::new();
        for folder in std::fs::read_dir(paths.cases())? {
            let folder = folder?;
            let group = folder.file_name().to_string_lossy().into_owned();
            ensure!(
                groups.contains_key(&group),
                "cases of a group that is not described: {group}"
            );
            for file in std::fs::read_dir(folder.path())? {
                let file = file?;
                let name = file.file_name().to_string_lossy().into_owned();
                let text = std::fs::read_to_string(file.path())?;
                let case =
                    parse(&group, &name, &text).with_context(|| format!("case {group}/{name}"))?;
                check_nodes(&case, &groups[&group])?;
                cases.push(case);
            }
        }
        cases.sort_by_key(Case::full_name);
        Ok(Self { groups, cases })
    }

    /// The cases that these options play.
    pub(crate) fn select(&self, options: &Options) -> Vec<&Case> {
        self.cases
            .iter()
            .filter(|case| {
                let name = case.full_name();
                let is_long = case.only_all || self.groups[&case.group].only_all;
                options.selects(&case.group, &name)
                    && (!is_long || options.all || options.names(&case.group, &name))
            })
            .collect()
    }

    /// Plays.
    pub(crate) fn run(&self, options: &Options, paths: &Paths) -> Result<Run> {
        let selected = self.select(options);
        ensure!(
            !selected.is_empty(),
            "no case is called so; --list lists them"
        );
        packages::check_host()?;
        let started = Instant::now();
        std::fs::create_dir_all(paths.run())?;
        let mut run = Run::default();
        let jobs = Jobs::of(options.jobs);

        let names: BTreeSet<&str> = selected.iter().map(|case| case.group.as_str()).collect();
        let groups: Vec<&Group> = names.iter().map(|&name| &self.groups[name]).collect();
        let (machines, skipped) = self.prepare(&groups, paths, &mut run.remarks)?;
        say(&format!(
            "images after {:.1} s",
            started.elapsed().as_secs_f64()
        ));
        let ready = boot_all(&groups, &machines, paths, jobs.boots(), &mut run.remarks)?;
        say(&format!(
            "guests saved after {:.1} s",
            started.elapsed().as_secs_f64()
        ));

        let mut turns = Vec::new();
        for case in selected {
            if let Some(why) = skipped.get(&self.groups[&case.group].kernel) {
                run.results.push(CaseResult {
                    group: case.group.clone(),
                    name: case.full_name(),
                    verdict: Verdict::Skipped(why.clone()),
                    retried: None,
                    took: Duration::ZERO,
                    shown: Vec::new(),
                });
            } else {
                let times = if options.all { case.times } else { 1 };
                turns.extend((1..=times).map(|time| Turn { case, time }));
            }
        }
        // The long ones first, so that none is left running alone at the end.
        turns.sort_by_key(|turn| std::cmp::Reverse(turn.case.bound));
        let (waiting, working): (Vec<_>, Vec<_>) =
            turns.into_iter().partition(|turn| turn.case.waits());
        let played = jobs.play(&waiting, &working, |turn| {
            let result = self.play(turn, &ready, paths);
            say_case(&result);
            result
        });
        run.results.extend(played);
        run.results.sort_by(|one, other| one.name.cmp(&other.name));
        for state in ready.values() {
            if let Some(saved) = &state.saved {
                drop(std::fs::remove_file(saved));
            }
        }
        say(&format!(
            "over after {:.1} s",
            started.elapsed().as_secs_f64()
        ));
        Ok(run)
    }

    /// Kernels and archives: a machine for each archive, or why there is none of a kernel.
    #[expect(clippy::type_complexity, reason = "two maps by the kernel's name")]
    fn prepare(
        &self,
        groups: &[&Group],
        paths: &Paths,
        remarks: &mut Vec<String>,
    ) -> Result<(
        BTreeMap<String, (Kernel, Tools, PathBuf)>,
        BTreeMap<String, String>,
    )> {
        let mut programs = binaries::build(paths)?;
        for script in std::fs::read_dir(paths.scripts())? {
            let script = script?;
            let name = script.file_name().to_string_lossy().into_owned();
            programs.push((script.path(), name));
        }
        let mut machines = BTreeMap::new();
        let mut skipped = BTreeMap::new();
        let images: BTreeMap<String, &Group> =
            groups.iter().map(|group| (group.image(), *group)).collect();
        for (image, of) in images {
            let name = of.kernel.as_str();
            let tools = Tools::get(paths)?;
            let kernel = match Kernel::get(paths, &tools, name) {
                Ok(kernel) => kernel,
                Err(error) if image::is_optional(name) == Some(true) => {
                    skipped.insert(
                        name.to_owned(),
                        format!("the kernel {name} cannot be had: {error:#}"),
                    );
                    continue;
                }
                Err(error) => return Err(error.context(format!("get the kernel {name}"))),
            };
            remarks.extend(tools.remarks.iter().chain(&kernel.remarks).cloned());
            remarks.push(format!("{name} is Linux {}", kernel.version));
            // Of every group, also those that are not played now: equal images, whatever is played.
            let modules: Vec<String> = self
                .groups
                .values()
                .filter(|group| group.kernel == name)
                .flat_map(|group| group.modules.iter().map(|(module, _)| module.clone()))
                .collect();
            let archive = paths.run().join(format!("{image}.cpio"));
            let more = of.fence_scsi;
            image::build(paths, more, &kernel, &tools, &modules, &programs, &archive)?;
            machines.insert(image, (kernel, tools, archive));
        }
        Ok((machines, skipped))
    }

    fn play(
        &self,
        turn: &Turn<'_>,
        ready: &BTreeMap<String, Ready<'_>>,
        paths: &Paths,
    ) -> CaseResult {
        let started = Instant::now();
        let case = turn.case;
        let group = &self.groups[&case.group];
        let mut result = CaseResult {
            group: case.group.clone(),
            name: case.full_name(),
            verdict: Verdict::Passed,
            retried: None,
            took: Duration::ZERO,
            shown: Vec::new(),
        };
        if turn.time > 1 {
            result.name.push_str(&format!(" ({})", turn.time));
        }
        if let Err(error) = play_in_guest(case, group, &ready[&case.group], paths, &mut result) {
            result.verdict = Verdict::Failed(format!("{error:#}"));
        }
        result.took = started.elapsed();
        result
    }
}

fn play_in_guest(
    case: &Case,
    group: &Group,
    ready: &Ready<'_>,
    paths: &Paths,
    result: &mut CaseResult,
) -> Result<()> {
    if case.is_comparison() {
        let shown = compare(case, group, || {
            restore(group, ready, &Disk::new(group, paths)?, paths, result)
        })?;
        result.shown.push(shown);
        return Ok(());
    }
    let disk = Disk::new(group, paths)?;
    let first = restore(group, ready, &disk, paths, result)?;
    let mut player = Player::new(first, group, case.bound).with_qctl(binaries::qctl(paths));
    for step in &case.steps {
        let played = match step.act {
            Act::PowerCut => player.power_cut(|| restore(group, ready, &disk, paths, result)),
            _ => player.play(step).map(|_outcome| ()),
        };
        let played = played.with_context(|| format!("line {}: {}", step.line, step.text));
        if let Err(error) = played {
            result.shown = player.shown;
            bail!("{error:#}\nconsole:\n{}", player.guest.console_tail());
        }
    }
    result.shown = player.shown;
    Ok(())
}

/// A fresh guest; tried again when QEMU or the guest does not come up, which is said.
fn restore(
    group: &Group,
    ready: &Ready<'_>,
    disk: &Disk,
    paths: &Paths,
    result: &mut CaseResult,
) -> Result<Guest> {
    let mut machine = ready.machine.clone();
    machine.devices = disk.devices();
    let Some(saved) = &ready.saved else {
        let mut remarks = Vec::new();
        let guest = set_up(
            group,
            ready.kernel,
            ready.tools,
            &machine,
            paths,
            &mut remarks,
        );
        result.retried = remarks.pop();
        return guest;
    };
    for attempt in 1.. {
        match Guest::restore(&machine, saved, &paths.run()) {
            Ok(guest) => return Ok(guest),
            Err(error) if attempt < RESTORES_MAX => result.retried = Some(format!("{error:#}")),
            Err(error) => return Err(error),
        }
    }
    unreachable!("the loop returns at the last attempt")
}

/// Boots, sets up and saves the guest of each group whose kernel there is.
fn boot_all<'a>(
    groups: &[&Group],
    machines: &'a BTreeMap<String, (Kernel, Tools, PathBuf)>,
    paths: &Paths,
    jobs: usize,
    remarks: &mut Vec<String>,
) -> Result<BTreeMap<String, Ready<'a>>> {
    let booted = in_parallel(jobs, groups, |group| {
        let (kernel, tools, archive) = machines.get(&group.image())?;
        // The case's own takes its place when the state is restored.
        let disk = Disk::new(group, paths);
        let machine = Machine {
            vmlinux: kernel.vmlinux.clone(),
            initramfs: archive.clone(),
            cpus: group.cpus,
            memory_mib: 512,
            devices: disk.as_ref().map(Disk::devices).unwrap_or_default(),
        };
        let mut said = Vec::new();
        let saved = (!group.served).then(|| paths.run().join(format!("{}.state", group.name)));
        let done = match &saved {
            Some(saved) => set_up(group, kernel, tools, &machine, paths, &mut said)
                .and_then(|guest| guest.save(saved))
                .with_context(|| format!("set up the guest of group {}", group.name)),
            None => Ok(()),
        };
        let done = done.and(disk.map(|_disk| ()));
        let ready = done.map(|()| Ready {
            machine,
            kernel,
            tools,
            saved,
        });
        Some((group.name.clone(), said, ready))
    });
    let mut ready = BTreeMap::new();
    for (name, said, done) in booted.into_iter().flatten() {
        remarks.extend(said);
        ready.insert(name, done?);
    }
    Ok(ready)
}

fn set_up(
    group: &Group,
    kernel: &Kernel,
    tools: &Tools,
    machine: &Machine,
    paths: &Paths,
    remarks: &mut Vec<String>,
) -> Result<Guest> {
    let mut machine = machine.clone();
    let served = if group.served {
        Some(Served::start(&binaries::qctl(paths), &paths.run())?)
    } else {
        None
    };
    let mut setup = String::new();
    if let Some(served) = &served {
        machine.devices = served.devices(&group.drives);
        setup = served.prologue();
    }
    setup.push_str(&group.setup);
    let mut guest = Guest::boot(&machine, &paths.run(), remarks)?.with(served);
    let wanted: Vec<String> = group.modules.iter().map(|(name, _)| name.clone()).collect();
    let parameters: BTreeMap<String, &str> = group
        .modules
        .iter()
        .map(|(name, parameters)| (name.replace('-', "_"), parameters.as_str()))
        .collect();
    for name in kernel.load_order(tools, &wanted)? {
        let request = Request::LoadModule {
            path: image::module_path(&name),
            parameters: parameters
                .get(&name)
                .copied()
                .unwrap_or_default()
                .to_owned(),
        };
        match guest.ask(&request, LOAD)? {
            Answer::Done => {}
            other => bail!("load {name}: {other:?}\n{}", guest.console_tail()),
        }
    }
    let ended = guest.run(&["sh".into(), "-e".into(), "-s".into()], &setup, SETUP)?;
    ensure!(
        ended.status == Some(0),
        "the set-up ended with {:?}\n{}{}",
        ended.status,
        ended.stdout,
        ended.stderr
    );
    Ok(guest)
}

/// Every node that a case names is one of its group's, or `guest` for what belongs to none.
fn check_nodes(case: &Case, group: &Group) -> Result<()> {
    for step in &case.steps {
        let node = match &step.act {
            Act::Write { node, .. } if node == OUTSIDE => continue,
            Act::Run { node, .. } | Act::Start { node, .. }
                if node == "guest" || node == OUTSIDE =>
            {
                continue;
            }
            Act::Run { node, .. }
            | Act::Start { node, .. }
            | Act::Observe { node }
            | Act::Write { node, .. }
            | Act::Media { node, .. } => node,
            Act::Signal { .. }
            | Act::Wait { .. }
            | Act::Event { .. }
            | Act::Never { .. }
            | Act::Sleep(_)
            | Act::Gone(_)
            | Act::PowerCut
            | Act::MachineStop
            | Act::MachineContinue
            | Act::Print => continue,
        };
        ensure!(
            group.nodes.contains_key(node),
            "case {}, line {}: the group has no node {node}",
            case.full_name(),
            step.line
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_and_every_group_of_this_repository_can_be_read() {
        let suite = Suite::read(&Paths::new()).unwrap();
        assert!(!suite.cases.is_empty());
    }
}

//! Random schedules of two and three machines, from one seed each, with every checker after every step.
//!
//! Two questions, each for both protocols: does a live owner keep the disk whatever its challengers do and
//! suffer (S3, S4), and are there never two owners nor writes of an old one whatever happens to all (S2, S5)?
//! After the second, everything heals, and one owner must come out (L1).
//!
//! A failure names its seed; `STRESS_SEED=n` runs that one alone, and `STRESS_SEEDS=n` more of them.

use crate::disk::{Disk, Lacks};
use crate::rng::Rng;
use crate::world::{Belief, Chances, World};
use quorum_core::arbitration::{Config, Guards, Mode, NodeNumber};
use quorum_core::times::Profile;
use scsi::logical_unit::Behaviour;
use std::time::Duration;

/// Seeds of an ordinary run; each is some twenty virtual seconds.
const SEEDS: u64 = 100;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// What was counted over all seeds, so that a claim is about something that happened.
#[derive(Default, Debug)]
pub(crate) struct Counted {
    pub(crate) steps: u64,
    pub(crate) terms: u64,
    pub(crate) owners: u64,
    pub(crate) writes_landed: u64,
    pub(crate) violations: Vec<String>,
}

impl Counted {
    fn add(&mut self, seed: u64, world: &mut World) {
        self.steps += world.steps;
        self.terms += world.checkers.terms;
        self.owners += world.checkers.owners;
        self.writes_landed += world.checkers.landed;
        for violation in std::mem::take(&mut world.checkers.violations) {
            self.violations.push(format!("seed {seed}: {violation}"));
        }
    }

    fn must_be_clean(&self, world: impl Fn(u64) -> World) {
        let Some(first) = self.violations.first() else {
            return;
        };
        let seed = first
            .strip_prefix("seed ")
            .and_then(|rest| rest.split(':').next())
            .and_then(|seed| seed.parse().ok())
            .unwrap_or(0);
        let timeline = world(seed).timeline.join("\n");
        panic!(
            "{} violations, the first: {first}\n{timeline}",
            self.violations.len()
        );
    }
}

/// A plan for one kind of run.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) mode: Mode,
    pub(crate) guards: Guards,
    /// Node 1 is owner first, and nothing happens to it.
    pub(crate) protect: bool,
    /// Whose disk; none: a different one for each seed.
    pub(crate) behaviour: Option<Behaviour>,
}

impl Plan {
    fn behaviour(self, seed: u64) -> Behaviour {
        self.behaviour.unwrap_or(match seed % 3 {
            0 => Behaviour::Tgt,
            1 => Behaviour::Standard,
            _ => Behaviour::Lio,
        })
    }
}

fn config(plan: Plan, node: u8, rng: &mut Rng) -> Config {
    let mut config = Config {
        cluster: crate::words::CLUSTER,
        guards: plan.guards,
        ..Config::new(
            plan.mode,
            "stress",
            NodeNumber(node),
            Profile::Default.times(plan.mode),
        )
    };
    config.policy.wait = true;
    config.policy.no_abort = rng.chance(300);
    if plan.mode == Mode::Persistent && rng.chance(200) {
        config.paths = 2;
    }
    config
}

/// One random run.
pub(crate) fn run(plan: Plan, seed: u64) -> World {
    let mut rng = Rng(seed ^ 0x5eed);
    let disk = Disk::new(plan.behaviour(seed), seed, Lacks::default());
    let mut world = World::new(seed, disk);
    let nodes = 2 + u8::from(rng.chance(700));
    // The paths of a node decide the type; a cluster has one type.
    let several_paths = rng.chance(200);
    for number in 1..=nodes {
        let mut config = config(plan, number, &mut rng);
        config.paths = if several_paths && plan.mode == Mode::Persistent {
            2
        } else {
            1
        };
        // tgt does not have it.
        config.policy.accept_no_aptpl = plan.behaviour(seed) == Behaviour::Tgt;
        let late = config.times.lateness;
        world.add(config);
        if let Some(node) = world.nodes.get_mut(&number) {
            node.late = late.mul_f64(0.9);
            node.round_trip = ms(1 + rng.below(18));
        }
    }
    world.start(1);
    world.run(ms(3000));
    if plan.protect {
        world.checkers.protected = Some(1);
    }
    world.chances = Chances {
        lose_request: rng.below(40),
        lose_reply: rng.below(40),
        zombie: 1 + rng.below(60),
        slow: rng.below(60),
        spare: plan.protect.then_some(1),
        tame_reserve: plan.mode == Mode::Spc2,
    };
    let first = if plan.protect { 2 } else { 1 };
    for _ in 0..60 {
        disturb(&mut world, &mut rng, first, nodes, plan);
        world.run(ms(20 + rng.below(600)));
    }
    world
}

/// Something happens to one of the nodes `first..=last`, or to the disk.
fn disturb(world: &mut World, rng: &mut Rng, first: u8, last: u8, plan: Plan) {
    let span = u64::from(last - first) + 1;
    let node = first + u8::try_from(rng.below(span)).expect("few nodes");
    match rng.below(12) {
        0..=2 => world.start(node),
        3 => world.kill(node),
        4..=6 => world.pause_for(node, ms(rng.below(3000))),
        7 => world.start_on_new_nexus(node),
        8 => {
            if let Some(node) = world.nodes.get_mut(&node) {
                node.eats_attentions = !node.eats_attentions && plan.mode == Mode::Persistent;
            }
        }
        9 if !plan.protect && plan.mode == Mode::Persistent => world.lose_power(),
        _ => {}
    }
}

/// Everything heals: exactly one owner must come out.
pub(crate) fn heal(world: &mut World) -> Result<(), String> {
    world.chances = Chances::default();
    let numbers: Vec<u8> = world.nodes.keys().copied().collect();
    for number in &numbers {
        world.resume(*number);
    }
    world.run(ms(5000));
    for number in &numbers {
        let node = &world.nodes[number];
        let stopped = node.machine.as_ref().is_none_or(|machine| {
            matches!(
                machine.status(),
                quorum_core::arbitration::Status::Stopped(_)
            )
        });
        if stopped {
            world.start(*number);
        }
    }
    world.run(ms(15_000));
    let owners = world
        .nodes
        .values()
        .filter(|node| node.belief == Belief::Owner)
        .count();
    if owners == 1 {
        Ok(())
    } else {
        Err(format!("L1: {owners} owners, 20 s after everything healed"))
    }
}

fn seeds() -> Vec<u64> {
    let from = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    match (from("STRESS_SEED"), from("STRESS_SEEDS")) {
        (Some(seed), _) => vec![seed],
        (None, count) => (1..=count.unwrap_or(SEEDS)).collect(),
    }
}

fn count(plan: Plan, seeds: &[u64]) -> Counted {
    let mut counted = Counted::default();
    for seed in seeds {
        let mut world = run(plan, *seed);
        if !plan.protect
            && let Err(violation) = heal(&mut world)
        {
            world.checkers.violations.push(violation);
        }
        counted.add(*seed, &mut world);
    }
    counted
}

fn must_be_clean(plan: Plan) -> Counted {
    let counted = count(plan, &seeds());
    counted.must_be_clean(|seed| {
        let mut world = run(plan, seed);
        if !plan.protect {
            // Only the timeline is wanted here.
            if heal(&mut world).is_err() {
                world.timeline.push("not healed".into());
            }
        }
        world
    });
    counted
}

fn plan(mode: Mode, protect: bool) -> Plan {
    Plan {
        mode,
        guards: Guards::ALL_ON,
        protect,
        behaviour: None,
    }
}

#[test]
fn a_live_owner_keeps_the_disk_whatever_its_challengers_do() {
    let counted = must_be_clean(plan(Mode::Persistent, true));
    assert!(counted.steps > 10_000, "{counted:?}");
}

#[test]
fn never_two_owners_and_one_in_the_end_whatever_happens() {
    let counted = must_be_clean(plan(Mode::Persistent, false));
    assert!(
        counted.terms > counted.owners / 2 && counted.owners > 100,
        "{counted:?}"
    );
}

#[test]
fn spc2_a_live_owner_keeps_the_disk_whatever_its_challengers_do() {
    must_be_clean(plan(Mode::Spc2, true));
}

#[test]
fn spc2_never_two_owners_and_one_in_the_end_whatever_happens() {
    let counted = must_be_clean(plan(Mode::Spc2, false));
    assert!(counted.owners > 100, "{counted:?}");
}

/// A disk that answers GOOD and does nothing, that aborts nothing and raises the wrong attentions cannot keep
/// an old write out, nor a live owner in. But a read of the state tells the truth, and so nobody believes to
/// own what another owns.
#[test]
fn on_a_hostile_disk_nobody_believes_wrongly() {
    let plan = Plan {
        behaviour: Some(Behaviour::Hostile),
        ..plan(Mode::Persistent, false)
    };
    let counted = count(plan, &seeds());
    let wrong = |violation: &&String| violation.contains("S5") || violation.contains("self-stop");
    let wrong: Vec<&String> = counted.violations.iter().filter(wrong).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(counted.owners > 50, "{}", counted.owners);
}

/// The checkers are not blind: with a guard off they must see something.
pub(crate) fn violations(plan: Plan, seeds: u64) -> Vec<String> {
    let all: Vec<u64> = (1..=seeds).collect();
    count(plan, &all).violations
}

#[test]
fn the_checkers_see_a_take_without_a_wait() {
    use quorum_core::arbitration::Guard;
    let plan = Plan {
        guards: Guards::all_but(Guard::FullWait),
        ..plan(Mode::Persistent, true)
    };
    assert!(!violations(plan, 20).is_empty());
}

//! One run: a world that suffers, and then heals; and many runs from one seed.

use crate::adversary::{Adversary, STRANGERS};
use crate::checkers::{Property, Violation, progress};
use crate::clock::Clock;
use crate::counts::Counts;
use crate::disk::Disk;
use crate::faults::{Chances, FaultKind, LATE_MAX};
use crate::node::{Belief, Node};
use crate::plan::{Asked, Plan};
use crate::rng::Rng;
use crate::trial::Trials;
use crate::world::{Rhythm, Tells, World};
use quorum_core::Instant;
use quorum_core::arbitration::{Arbitration, Mode, Stage};
use scsi::logical_unit::Behaviour;
use std::time::Duration;

/// How many lines before a violation a report shows.
const LINES: usize = 400;

/// What came of one run.
#[derive(Debug)]
pub struct Outcome {
    /// What the seed meant.
    pub plan: Plan,
    /// What was counted.
    pub counts: Counts,
    /// What did not hold; the run ends with the first.
    pub violations: Vec<Violation>,
    /// The last lines of the timeline, where they were kept.
    pub timeline: Vec<String>,
}

/// Runs one world.
#[must_use]
pub fn run(plan: &Plan, tells: Tells, trials: &mut Option<Trials>) -> Outcome {
    let mut world = world(plan);
    world.tell(tells);
    world.trials = trials.take();
    let mut adversary = Adversary::new(plan);
    let end = Instant::ZERO + plan.span;
    while world.now() < end && world.checkers.violations.is_empty() {
        let pause = adversary.pause(&world, plan);
        world.run(pause);
        adversary.act(&mut world, plan);
        world.forget_old_lines(LINES);
    }
    if world.checkers.violations.is_empty() {
        heal(&mut world, plan);
    }
    *trials = world.trials.take();
    Outcome {
        plan: plan.clone(),
        counts: world.counts.clone(),
        violations: std::mem::take(&mut world.checkers.violations),
        timeline: std::mem::take(&mut world.timeline),
    }
}

fn world(plan: &Plan) -> World {
    let mut rng = Rng(plan.seed ^ 0xc10c);
    let disk = Disk::new(plan.behaviour, plan.seed, plan.lacks);
    let mut world = World::new(plan.seed, disk);
    world.rhythm = Rhythm {
        write: plan.times.defend_interval / 3,
        feed: plan.times.self_stop / 4,
    };
    let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    let drift = i64::from(plan.times.drift_ppm);
    for number in 1..=plan.nodes {
        let wrong = rng.below(2 * drift.unsigned_abs() + 1).cast_signed() - drift;
        let rate = i32::try_from(wrong).unwrap_or(0);
        let clock = Clock::new(rate, Duration::from_micros(rng.below(1_000_000_000)));
        world.add(plan.config(number), clock);
        let trip =
            Duration::from_micros(200 + rng.below(micros(plan.times.round_trip) * 9 / 10 - 200));
        if let Some(node) = world.node(number) {
            node.round_trip = trip;
        }
    }
    world.chances = plan.chances;
    if plan.keeps_log {
        world.keep_a_log();
    }
    world.late_timers = Some(plan.late_timers);
    // A disk that lies cannot keep a live owner in.
    world.checkers.live_owner.void = plan.behaviour == Behaviour::Hostile;
    world.start(1);
    world
}

/// Everything heals: somebody must own the disk within the bound, and keep it.
fn heal(world: &mut World, plan: &Plan) {
    world.chances = Chances::default();
    world.late_timers = Some(0);
    world.spared = None;
    world.healed = true;
    let numbers: Vec<u8> = world.nodes().iter().map(|node| node.number).collect();
    // Who must not preempt does not take over from the dead.
    let timid = |node: &&Node| node.config.policy.no_preempt;
    let timid: Vec<u8> = world
        .nodes()
        .iter()
        .filter(timid)
        .map(|node| node.number)
        .collect();
    for number in &numbers {
        world.resume(*number);
        for path in 0..plan.paths {
            world.path(*number, path, true);
        }
        if let Some(node) = world.node(*number) {
            node.hungry = false;
            node.eats_attentions = false;
            node.late = Duration::ZERO;
            node.faults.clear();
            node.ambushes.clear();
        }
    }
    world.evict_strangers(STRANGERS);
    // What is under way takes effect, or never does.
    world.run(LATE_MAX + plan.times.challenge_wait);
    world.evict_strangers(STRANGERS);
    if plan.behaviour == Behaviour::Hostile {
        return;
    }
    for number in numbers {
        let stage = world
            .node(number)
            .and_then(|node| node.machine.as_ref().map(Arbitration::stage));
        let over = stage.is_none_or(Stage::is_final) || timid.contains(&number);
        if over || world.is_cut_off(number) {
            if let Some(node) = world.node(number) {
                node.config.policy = plan.config(number).policy;
            }
            world.start(number);
        }
    }
    demand_an_owner(world, plan);
}

fn demand_an_owner(world: &mut World, plan: &Plan) {
    // Of two worlds one heals from the worst: its owner has just died, for good.
    let owner = world.believers().map(|node| node.number).next();
    if let Some(owner) = owner
        && world.rng.chance(500)
    {
        world.befell(FaultKind::Death, owner);
        world.kill(owner);
    }
    let healed_at = world.now();
    let bound = progress::bound(&plan.times, u32::from(plan.nodes));
    let step = plan.times.round_trip;
    let mut owner = None;
    while world.now() <= healed_at + bound && world.checkers.violations.is_empty() {
        // An owner that was one before counts from now on: it must stay.
        owner = world
            .nodes()
            .iter()
            .find(|node| node.belief == Belief::Owner && node.machine.is_some())
            .map(|node| node.number);
        if owner.is_some() {
            break;
        }
        world.run(step);
    }
    if !world.checkers.violations.is_empty() {
        return;
    }
    let owner_at = owner.map(|_| world.now());
    match progress::check(healed_at, owner_at, bound) {
        Ok(took) => {
            let left = bound.saturating_sub(took).as_millis() * 1000 / bound.as_millis().max(1);
            let left = u64::try_from(left).unwrap_or(1000);
            let counts = &mut world.counts;
            counts.healed += 1;
            counts.healed_longest = counts.healed_longest.max(took);
            counts.healed_room_per_mille = counts.healed_room_per_mille.min(left);
        }
        Err(what) => {
            world.checkers.hold(Property::Progress, Err(what));
            return;
        }
    }
    // And it keeps what it has.
    world.checkers.live_owner.protected = owner;
    world.run(plan.times.challenge_wait * 4);
}

/// Many runs from one seed.
#[derive(Debug)]
pub struct Campaign {
    asked: Asked,
    seed: u64,
    runs: u64,
    /// What was counted so far.
    pub counts: Counts,
    trials: Option<Trials>,
}

impl Campaign {
    /// A campaign that has not begun. With `trials` it is tried for a sample of the inputs what each guard changes.
    #[must_use]
    pub fn new(seed: u64, asked: Asked, trials: bool) -> Self {
        Self {
            asked,
            seed,
            runs: 0,
            counts: Counts::default(),
            trials: trials.then(Trials::default),
        }
    }

    /// How many runs there were.
    #[must_use]
    pub const fn runs(&self) -> u64 {
        self.runs
    }

    /// The seed of the run with this number: that of the first is the campaign's own, so that a run that failed
    /// is repeated alone by its own seed.
    #[must_use]
    pub fn seed_of(&self, run: u64) -> u64 {
        if run == 0 {
            return self.seed;
        }
        // Short enough to be typed.
        Rng(self.seed.wrapping_add(run)).draw() >> 16
    }

    /// One more run.
    ///
    /// # Errors
    /// The outcome of the same run, told in full, when a property did not hold.
    pub fn next_run(&mut self) -> Result<(), Box<Outcome>> {
        let plan = Plan::of(self.seed_of(self.runs), &self.asked);
        self.runs += 1;
        let outcome = run(&plan, Tells::Nothing, &mut self.trials);
        self.counts.add(&outcome.counts);
        if outcome.violations.is_empty() {
            return Ok(());
        }
        Err(Box::new(run(&plan, Tells::Everything, &mut None)))
    }

    /// Are both protocols asked for?
    #[must_use]
    pub const fn asks_for(&self, mode: Mode) -> bool {
        match self.asked.mode {
            None => true,
            Some(asked) => matches!(
                (asked, mode),
                (Mode::Persistent, Mode::Persistent) | (Mode::Spc2, Mode::Spc2)
            ),
        }
    }
}

//! What is done to a world, drawn from its seed: to nodes, to paths, to the disk.
//!
//! One half of what happens happens to whoever owns the disk, for that is where it matters. Now and then the
//! owner is *spared* for a spell, and all the rest suffers: that is how it is seen that a live owner keeps the
//! disk whatever its challengers do.

use crate::faults::{Fault, FaultKind};
use crate::node::{Ambush, Belief};
use crate::plan::{Plan, Shape};
use crate::rng::Rng;
use crate::scenes;
use crate::world::World;
use quorum_core::Instant;
use quorum_core::arbitration::{Arbitration, Mode};
use scsi::logical_unit::Behaviour;
use scsi::reservation::Key;
use std::time::Duration;

/// The adversary of one world.
#[derive(Debug)]
pub struct Adversary {
    rng: Rng,
    spared_until: Instant,
    strangers: u32,
}

/// How many of the acts are scenes, in a world of a shape: in a thousand.
const SCENES: u64 = 400;

/// How many strangers there are at most.
pub const STRANGERS: u32 = 2;

impl Adversary {
    /// The adversary of this plan.
    #[must_use]
    pub const fn new(plan: &Plan) -> Self {
        Self {
            rng: Rng(plan.seed ^ 0xadd5),
            spared_until: Instant::ZERO,
            strangers: 0,
        }
    }

    /// How long until the next act.
    pub fn pause(&mut self, world: &World, plan: &Plan) -> Duration {
        // A win and the settle time are short, and much may go wrong in them.
        let young = world.nodes().iter().any(|node| node.belief == Belief::Held);
        if young && self.rng.chance(300) {
            return plan
                .times
                .settle
                .mul_f64(self.rng.below(1000) as f64 / 1000.0);
        }
        plan.act_every.mul_f64(self.rng.below(2000) as f64 / 1000.0)
    }

    /// Something happens.
    pub fn act(&mut self, world: &mut World, plan: &Plan) {
        self.wake_the_dead(world, plan);
        self.spare(world, plan);
        if plan.shape != Shape::Everything && self.rng.chance(SCENES) {
            scenes::play(&mut self.rng, world, plan);
            return;
        }
        let victim = self.victim(world);
        let wait = plan.times.challenge_wait;
        let spared = world.spared.is_some();
        match self.rng.below(100) {
            0..=11 => self.kill(world, victim),
            12..=19 => self.restart(world, victim, plan),
            20..=33 => {
                let span = self.span(wait, 2500);
                count(world, FaultKind::PauseRunning, victim);
                world.pause_for(victim, span);
            }
            34..=39 => {
                let span = self.span(wait, 2500);
                count(world, FaultKind::PauseStanding, victim);
                world.stand_still_for(victim, span);
            }
            40..=42 => {
                let span = self.span(plan.times.self_stop, 4000);
                count(world, FaultKind::Unfed, victim);
                world.starve_for(victim, span);
            }
            43..=49 => self.path_trouble(world, victim, plan),
            50..=55 => self.nexus_loss(world, victim, plan),
            56..=60 => {
                count(world, FaultKind::StrangerReset, 0);
                world.reset();
            }
            61..=65 if !spared && plan.lacks_aptpl() => {
                count(world, FaultKind::PowerLoss, 0);
                world.lose_power();
            }
            61..=63 if !spared => {
                count(world, FaultKind::PowerLoss, 0);
                world.lose_power();
            }
            64..=65 if !spared => {
                count(world, FaultKind::Outage, 0);
                let span = self.span(wait, 1500);
                world.outage(span);
            }
            66..=70 => {
                let span = self.span(wait, 4000);
                world.eat_for(victim, span);
            }
            71..=72 if plan.mode == Mode::Persistent => {
                count(world, FaultKind::ForeignRegistration, 0);
                self.strangers += 1;
                let which = self.strangers % STRANGERS;
                let careless = self.rng.chance(400);
                if let Some(key) = foreign_key(self.strangers) {
                    if careless && !spared {
                        world.register_careless_stranger(which, key);
                    } else {
                        world.register_stranger(which, key);
                    }
                }
            }
            73..=74 if !spared && plan.mode == Mode::Persistent => {
                count(world, FaultKind::OperatorClear, 0);
                if let Some(key) = foreign_key(0x0e) {
                    world.clear(key);
                }
            }
            75..=80 => world.ask_to_park(victim),
            81..=83 => world.ask_to_release(victim),
            84..=93 => self.ambush(world, victim, plan),
            _ => {}
        }
    }

    fn span(&mut self, of: Duration, most_per_mille: u64) -> Duration {
        // As often short as long.
        let most = if self.rng.chance(500) {
            most_per_mille
        } else {
            most_per_mille / 8
        };
        of.mul_f64(self.rng.below(most) as f64 / 1000.0)
    }

    /// The dead and those that have stopped are born again, sooner or later.
    fn wake_the_dead(&mut self, world: &mut World, plan: &Plan) {
        let down: Vec<u8> = world
            .nodes()
            .iter()
            .filter(|node| {
                let stage = node.machine.as_ref().map(Arbitration::stage);
                stage.is_none_or(quorum_core::arbitration::Stage::is_final)
            })
            .map(|node| node.number)
            .collect();
        for number in down {
            if self.rng.chance(500) {
                self.bear(world, number, plan);
            }
        }
    }

    fn bear(&mut self, world: &mut World, number: u8, plan: &Plan) {
        let rivals = plan.shape == Shape::Rivals;
        let single_try = self.rng.chance(if rivals { 400 } else { 200 });
        let no_preempt = self.rng.chance(60);
        let evict = self.rng.chance(200);
        let strict = self.rng.chance(60);
        if let Some(node) = world.node(number) {
            node.config.policy.wait = !single_try;
            node.config.policy.no_preempt = no_preempt;
            node.config.policy.evict_foreign = evict;
            node.config.policy.accept_no_aptpl = plan.lacks_aptpl() && !strict;
        }
        if single_try && self.rng.chance(300) {
            // Its path goes just when it has looked.
            if let Some(node) = world.node(number) {
                node.faults.push(("REGISTER".into(), Fault::NoPath));
            }
        }
        match self.rng.below(10) {
            0..=5 => {
                count(world, FaultKind::Rebirth, number);
                world.start(number);
            }
            6..=7 => {
                count(world, FaultKind::Rebirth, number);
                world.start_drained(number);
            }
            _ => {
                count(world, FaultKind::RebirthElsewhere, number);
                world.start_on_new_nexus(number);
            }
        }
    }

    /// Stages that last for one command only are met by what happens right behind that command.
    fn ambush(&mut self, world: &mut World, victim: u8, plan: &Plan) {
        const VERBS: [&str; 10] = [
            "REPORT",
            "REGISTER",
            "READ STATE",
            "PREEMPT",
            "RESERVE",
            "RELEASE",
            "RESET",
            "TEST",
            "CLEAR",
            "",
        ];
        let verb = VERBS[usize::try_from(self.rng.below(10)).unwrap_or(0)];
        let span = self.span(plan.times.challenge_wait, 2500);
        let what = match self.rng.below(8) {
            0..=2 => Ambush::Pause(span),
            3..=4 => Ambush::Release,
            5 => Ambush::Park,
            6 => Ambush::Reset,
            _ => Ambush::Die,
        };
        world.ambush(victim, &[(verb, what)]);
    }

    fn kill(&mut self, world: &mut World, victim: u8) {
        count(world, FaultKind::Death, victim);
        world.kill(victim);
    }

    fn restart(&mut self, world: &mut World, victim: u8, plan: &Plan) {
        count(world, FaultKind::Death, victim);
        world.kill(victim);
        self.bear(world, victim, plan);
    }

    fn path_trouble(&mut self, world: &mut World, victim: u8, plan: &Plan) {
        count(world, FaultKind::PathDown, victim);
        let path = u16::try_from(self.rng.below(u64::from(plan.paths))).unwrap_or(0);
        let span = self.span(plan.times.challenge_wait, 2500);
        world.path_down_for(victim, path, span);
    }

    fn nexus_loss(&mut self, world: &mut World, victim: u8, plan: &Plan) {
        let path = u16::try_from(self.rng.below(u64::from(plan.paths))).unwrap_or(0);
        if self.rng.chance(500) {
            count(world, FaultKind::SilentNexusLoss, victim);
            world.log_in_again(victim, path);
        } else {
            count(world, FaultKind::NexusLoss, victim);
            world.path(victim, path, false);
            world.log_in_again(victim, path);
            world.path(victim, path, true);
        }
    }

    /// The owner is spared for a spell, or not any more.
    fn spare(&mut self, world: &mut World, plan: &Plan) {
        if world.now() < self.spared_until {
            return;
        }
        world.spared = None;
        let owner = world
            .nodes()
            .iter()
            .find(|node| node.belief == Belief::Owner && !node.paused);
        let owner = owner.map(|node| node.number);
        if plan.behaviour != Behaviour::Hostile && owner.is_some() && self.rng.chance(150) {
            world.spared = owner;
            let spell =
                plan.times.challenge_wait * (3 + u32::try_from(self.rng.below(7)).unwrap_or(0));
            self.spared_until = world.now() + spell;
        }
    }

    /// Whom it happens to.
    fn victim(&mut self, world: &World) -> u8 {
        let owner = world.believers().map(|node| node.number).next();
        if let Some(owner) = owner
            && world.spared != Some(owner)
            && self.rng.chance(500)
        {
            return owner;
        }
        let others: Vec<u8> = world
            .nodes()
            .iter()
            .map(|node| node.number)
            .filter(|number| world.spared != Some(*number))
            .collect();
        let at = self.rng.below(others.len() as u64);
        usize::try_from(at)
            .ok()
            .and_then(|at| others.get(at).copied())
            .unwrap_or(1)
    }
}

fn count(world: &mut World, kind: FaultKind, node: u8) {
    world.befell(kind, node);
}

/// A key of no arbiter of ours.
fn foreign_key(number: u32) -> Option<Key> {
    Key::new(u64::from(number) + 0xf00d_0000)
}

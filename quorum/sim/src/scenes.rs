//! Scenes: several things in a row that bring a machine to where it seldom gets.
//!
//! Each is a few faults, and a few occasions (what happens right behind a named command), of kinds that happen anyhow: together
//! by chance they are met too seldom to be believed. A world of a [`Shape`] plays them again and again, among all the rest.

use crate::faults::{Fault, FaultKind};
use crate::node::{Ambush, Belief};
use crate::plan::{Plan, Shape};
use crate::rng::Rng;
use crate::world::World;
use std::time::Duration;

/// One scene of this world's shape.
pub(crate) fn play(rng: &mut Rng, world: &mut World, plan: &Plan) {
    match plan.shape {
        Shape::Everything => {}
        Shape::PowerCycles if plan.has_log && rng.chance(250) => epoch_of_another(rng, world, plan),
        Shape::PowerCycles => power_cycle(rng, world),
        Shape::Rivals => rivals(rng, world, plan),
    }
}

/// The power goes under an owner; while it takes its disk again, its people want it to leave, or more goes wrong.
fn power_cycle(rng: &mut Rng, world: &mut World) {
    let Some(owner) = world.believers().map(|node| node.number).next() else {
        return;
    };
    if world.spared.is_some() {
        return;
    }
    if rng.chance(300)
        && let Some(node) = world.node(owner)
    {
        // Nothing of its own is on the disk then.
        node.faults.push(("REGISTER".into(), Fault::NoPath));
    }
    let verb = *pick(
        rng,
        &["REGISTER", "RESERVE", "READ STATE", "RESET", "REPORT"],
    );
    let what = *pick(
        rng,
        &[Ambush::Release, Ambush::Park, Ambush::Park, Ambush::Reset],
    );
    world.ambush(owner, &[(verb, what)]);
    world.befell(FaultKind::PowerLoss, 0);
    world.lose_power();
}

/// The guest of an owner stands still, clock and all, for so long that another owns the disk; then the power goes. It goes on,
/// takes the disk again, reads another's epoch, and gives back. The mark of a hand-over, sent before, comes to its end
/// meanwhile.
fn epoch_of_another(rng: &mut Rng, world: &mut World, plan: &Plan) {
    let owner = world.believers().find(|node| node.belief == Belief::Owner);
    let owner = owner.map(|node| node.number);
    let Some(owner) = owner.filter(|_| world.spared.is_none()) else {
        return;
    };
    let times = &plan.times;
    let span = times.challenge_wait * 2 + times.defend_interval * u32::from(plan.nodes);
    let mut some = |of: Duration, most: u64| of.mul_f64(rng.below(most) as f64 / 1000.0);
    let before = some(times.round_trip, 3000);
    let mark_ends = span + some(times.round_trip, 16_000);
    if let Some(node) = world.node(owner) {
        node.hold_next = Some(mark_ends);
    }
    world.ask_to_park(owner);
    world.befell(FaultKind::PauseStanding, owner);
    world.stand_still_for(owner, span);
    world.later(span.saturating_sub(before), owner, Ambush::PowerLoss);
}

/// What a win rests on goes on under it.
fn rivals(rng: &mut Rng, world: &mut World, plan: &Plan) {
    let contenders: Vec<u8> = world
        .nodes()
        .iter()
        .filter(|node| node.runs() && node.belief == Belief::Nothing)
        .map(|node| node.number)
        .collect();
    if contenders.is_empty() {
        return;
    }
    let one = *pick(rng, &contenders);
    let times = &plan.times;
    let too_long = Ambush::Pause(
        times.self_stop + times.challenge_wait.mul_f64(rng.below(600) as f64 / 1000.0),
    );
    match rng.below(6) {
        // Its win is over before it knows; its RELEASE has no answer, and it is told to end while it may hold.
        0 => {
            let verb = *pick(rng, &["REPORT", "TEST"]);
            lose(world, one, "RELEASE", Fault::LoseRequest);
            world.ambush(one, &[("CLEAR", too_long), (verb, Ambush::Release)]);
        }
        // The same, and its RELEASE lasts beyond its rest.
        1 => {
            let rest = Ambush::Pause(times.challenge_wait * 2);
            world.ambush(one, &[("CLEAR", too_long), ("RELEASE", rest)]);
        }
        // They take the disk at the same time, and are told to end meanwhile.
        2 => {
            for number in contenders {
                world.ambush(number, &[("RESERVE", Ambush::Release)]);
            }
        }
        // The disk is reset right behind its RESERVE, and it stands still for a while; others, which are blind to resets, take
        // the disk meanwhile.
        _ => {
            for number in contenders.into_iter().filter(|number| *number != one) {
                world.eat_for(number, times.challenge_wait * 2);
            }
            let pause = Ambush::Pause(times.self_stop.mul_f64(rng.below(1000) as f64 / 1000.0));
            let end = rng.chance(500).then_some(("RESERVE", Ambush::Release));
            let occasions = [("RESERVE", Ambush::Reset), ("CLEAR", pause)];
            let occasions: Vec<_> = occasions.into_iter().chain(end).collect();
            world.ambush(one, &occasions);
        }
    }
}

fn lose(world: &mut World, number: u8, verb: &str, fault: Fault) {
    if let Some(node) = world.node(number) {
        node.faults.push((verb.into(), fault));
    }
}

fn pick<'a, T>(rng: &mut Rng, of: &'a [T]) -> &'a T {
    let at = usize::try_from(rng.below(of.len() as u64)).unwrap_or(0);
    &of[at]
}

//! Every crash of every small world: sectors of 64 bytes, four a block (and eight: only then a block is in both of its
//! shadow slots in turn).
//!
//! A world is a [`workload`] of up to four operations, from a new log or from one that has been through its ring; of it,
//! every flush; of each, every state that a crash under the writes before it may leave ([`states`]); from each of
//! these, recovery and the next claim, and every state that a crash of *that* may leave.
//!
//! `cargo test --release -p qlog --test sim -- --ignored --nocapture every_small_world`

mod states;
mod workload;

use crate::oracle::{Found, Oracle, Tolerance};
use crate::overlay::{Moment, Over, Overlay, Patch};
use crate::rng::Rng;
use crate::world::{Shared, claim_of, lock};
use qlog::{Guard, Guards, Layout};
use states::{Missing, States};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use workload::{Life, STEPS, Start, Step};

/// What was looked at.
#[derive(Clone, Copy, Default, Debug)]
struct Counts {
    workloads: u64,
    /// Flushes with writes before them.
    moments: u64,
    /// Of these, more states than are looked at.
    sampled: u64,
    crashes: u64,
    /// Crashes of the recovery after a crash.
    second: u64,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.workloads += other.workloads;
        self.moments += other.moments;
        self.sampled += other.sampled;
        self.crashes += other.crashes;
        self.second += other.second;
    }
}

/// One world, and how much of it is looked at.
struct Look<'a> {
    start: &'a Start,
    guards: Guards,
    layout: Layout,
    /// Of so many crashes, the recovery of one is crashed too.
    second_of: u64,
    counts: Counts,
    rng: Rng,
}

/// Every crash under the last operation of this workload.
fn look(start: &Start, steps: &[Step], second_of: u64, guards: Guards) -> Result<Counts, String> {
    let mut look = Look {
        start,
        guards,
        layout: start.format.layout().expect("it is possible"),
        second_of,
        counts: Counts {
            workloads: 1,
            ..Counts::default()
        },
        rng: Rng::new(7),
    };
    let mut life = Life::begin(start, guards);
    let mut before = 0;
    for step in steps {
        before = life.disk.moments().len();
        // One that finds no room has done nothing.
        let _full = life.step(*step);
    }
    let moments = life.disk.moments();
    let over = life.disk.over();
    for moment in &moments[before..] {
        let (durable, pending) = over.patches[..moment.upto].split_at(moment.flushed);
        look.crash(durable, pending, &moment.oracle)?;
    }
    // And when nothing is under way.
    let oracle = lock(&life.oracle).clone();
    look.crash(&over.patches, &[], &oracle)?;
    Ok(look.counts)
}

impl Look<'_> {
    fn states(&mut self, durable: &[Patch], pending: &[Patch]) -> (States, Vec<Vec<usize>>) {
        let layout = self.layout;
        let ends = layout.scratch()..layout.superblock(0, 0, 1);
        let is_superblock = |offset: usize| !ends.contains(&(offset as u64));
        let states = States::of(&self.start.base, durable, pending, is_superblock);
        let chosen = states.chosen(&mut self.rng);
        (states, chosen)
    }

    /// Every state that a crash may leave now is recovered from.
    fn crash(
        &mut self,
        durable: &[Patch],
        pending: &[Patch],
        oracle: &Oracle,
    ) -> Result<(), String> {
        let (states, chosen) = self.states(durable, pending);
        self.counts.moments += 1;
        self.counts.sampled += u64::from(states.all > chosen.len());
        for choice in &chosen {
            for missing in [Missing::AsBefore, Missing::Garbage, Missing::Unreadable] {
                if missing != Missing::AsBefore && states.is_whole(choice) {
                    continue;
                }
                let over = states.over(choice, missing);
                let again = missing == Missing::AsBefore
                    && self.counts.crashes.is_multiple_of(self.second_of);
                self.counts.crashes += 1;
                self.recover(over, oracle, again)
                    .map_err(|why| format!("{choice:?} {missing:?}: {why}"))?;
            }
        }
        Ok(())
    }

    /// It opens, with what it must have; the next owner claims it and writes; and a crash of the claim changes nothing.
    fn recover(&mut self, over: Over, oracle: &Oracle, again: bool) -> Result<(), String> {
        let known = Shared::default();
        *lock(&known) = oracle.clone();
        let block = self.start.format.block_bytes;
        let there = over.patches.len();
        let disk = Overlay::new(&self.start.base, block, over, &known);
        let (found, opened) = self.served(&disk, oracle)?;
        let claim = claim_of(77, 77_777);
        let log = opened
            .claim(claim)
            .map_err(|error| format!("REFUSED: a claim: {error}"))?;
        let claimed = disk.moments().len();
        let mut after = oracle.clone();
        after.settle(&found);
        let ticket = log.append(b"after all").map_err(|error| error.to_string());
        // The ring may be full; a claim finds room all the same.
        if let Ok(ticket) = ticket {
            after.submit(ticket.lsn, b"after all");
            log.commit(ticket).map_err(|error| error.to_string())?;
            after.acknowledge(ticket.lsn);
        }
        self.served(&disk, &after)
            .map_err(|why| format!("after a claim: {why}"))?;
        if again {
            let moments = &disk.moments()[..claimed];
            // What was there already is looked at as a first crash.
            let of_the_claim = moments.iter().filter(|moment| moment.upto > there);
            for moment in of_the_claim {
                self.crash_again(&disk, moment, oracle, &found)?;
            }
        }
        Ok(())
    }

    /// Every state that a crash of the claim may leave is as good as the one that it began with: what was found then is
    /// found again.
    fn crash_again(
        &mut self,
        claimed: &Overlay,
        moment: &Moment,
        oracle: &Oracle,
        first: &Found,
    ) -> Result<(), String> {
        let patches = claimed.over().patches;
        let (durable, pending) = patches[..moment.upto].split_at(moment.flushed);
        let (states, chosen) = self.states(durable, pending);
        for choice in &chosen {
            let over = states.over(choice, Missing::AsBefore);
            let known = Shared::default();
            let disk = Overlay::new(
                &self.start.base,
                self.start.format.block_bytes,
                over,
                &known,
            );
            self.counts.second += 1;
            let told = |why| format!("crash of the claim, {choice:?}: {why}");
            let (found, opened) = self.served(&disk, oracle).map_err(told)?;
            if found.next != first.next || found.checkpoint != first.checkpoint {
                let (then, now) = (first.next, found.next);
                return Err(told(format!("CHANGED: LSN {then} was next, now {now}")));
            }
            if states.is_whole(choice) {
                let claim = opened.claim(claim_of(78, 78_787));
                claim.map_err(|error| told(format!("REFUSED: a second claim: {error}")))?;
            }
        }
        Ok(())
    }

    fn served(
        &self,
        disk: &Arc<Overlay>,
        oracle: &Oracle,
    ) -> Result<(Found, qlog::Recovered<Arc<Overlay>>), String> {
        let (found, opened) = Found::open(Arc::clone(disk), self.guards)
            .map_err(|error| format!("REFUSED: {error}"))?;
        oracle.judge(&found, Tolerance::Nothing)?;
        Oracle::objects_are_whole(&found)?;
        Ok((found, opened))
    }
}

/// Every workload of up to so many operations.
fn workloads(most: usize) -> Vec<Vec<Step>> {
    let mut all = vec![Vec::new()];
    let mut longest = all.clone();
    for _ in 0..most {
        longest = longest
            .iter()
            .flat_map(|steps| {
                STEPS.iter().map(|step| {
                    let mut steps: Vec<Step> = steps.clone();
                    steps.push(*step);
                    steps
                })
            })
            .collect();
        all.extend(longest.clone());
    }
    all
}

/// All of them, on two threads; the first that is wrong ends it.
fn worlds(most: usize, second_of: u64, guards: Guards) -> Result<Counts, String> {
    let begun = std::time::Instant::now();
    let starts = [Start::new(), Start::used(), Start::larger_blocks()];
    let all = workloads(most);
    let next = AtomicUsize::new(0);
    let result = Mutex::new((Counts::default(), None::<String>));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let start = &starts[number % starts.len()];
            let Some(steps) = all.get(number / starts.len()) else {
                return;
            };
            if result.lock().unwrap().1.is_some() {
                return;
            }
            let looked = look(start, steps, second_of, guards);
            let mut result = result.lock().unwrap();
            match looked {
                Ok(counts) => result.0.add(counts),
                Err(why) => {
                    let name = start.name;
                    result.1.get_or_insert(format!("{name}, {steps:?}: {why}"));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(work);
        }
    });
    let (counts, wrong) = result.into_inner().unwrap();
    println!("{most} operations in {:?}: {counts:?}", begun.elapsed());
    wrong.map_or(Ok(counts), Err)
}

#[test]
fn every_crash_of_two_operations_leaves_what_was_acknowledged() {
    let counts = worlds(2, 2, Guards::ALL_ON).unwrap();
    assert!(counts.crashes > 1_000 && counts.second > 1_000);
}

/// The worlds are alive: without what a crash can tell they go wrong.
#[test]
fn a_guard_against_crashes_that_is_off_is_noticed_by_small_worlds() {
    for guard in [Guard::TailShadow, Guard::SuperblockBanks, Guard::Reserve] {
        let wrong = worlds(2, u64::MAX, Guards::without(guard)).unwrap_err();
        println!("{guard:?}: {wrong}");
    }
}

#[test]
#[ignore = "by command: minutes"]
fn every_small_world() {
    let most = std::env::var("QLOG_OPERATIONS").map_or(4, |most| most.parse().unwrap());
    worlds(most, 1, Guards::ALL_ON).unwrap();
}

//! Worlds from seeds: fixed ones, fresh ones, and a million crashes by command.
//!
//! `cargo test --release -p qlog --test sim -- --ignored --nocapture a_million_crashes`
//!
//! `QLOG_SEED=n cargo test --release -p qlog --test sim -- one_seed` repeats one world.

use crate::disk::{Fate, Phase};
use crate::world::{self, DISHONEST, Setting, Tally};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Worlds from these seeds on until `enough`; the first violation ends it, with its seed.
fn worlds(first: u64, setting: Setting, enough: impl Fn(&Tally, Duration) -> bool + Sync) -> Tally {
    let next = Mutex::new((first, Tally::default(), None::<String>));
    let begun = Instant::now();
    let work = || {
        loop {
            let seed = {
                let mut shared = next.lock().unwrap();
                if shared.2.is_some() || enough(&shared.1, begun.elapsed()) {
                    return;
                }
                shared.0 += 1;
                shared.0 - 1
            };
            let outcome = std::panic::catch_unwind(|| world::run(seed, setting));
            let (tally, result) = outcome.unwrap_or_else(|panic| {
                let why = panic.downcast_ref::<String>().cloned();
                (Tally::default(), Err(format!("PANIC: {why:?}")))
            });
            let mut shared = next.lock().unwrap();
            shared.1.add(&tally);
            if let Err(error) = result {
                shared.2.get_or_insert(format!("seed {seed}: {error}"));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(work);
        }
    });
    let (end, tally, violation) = next.into_inner().unwrap();
    println!("seeds {first}..{end} in {:?}: {tally}", begun.elapsed());
    assert_eq!(violation, None, "repeat with QLOG_SEED");
    tally
}

fn fresh() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs()) << 20
}

fn setting_of(name: &str) -> Setting {
    match name {
        "honest" => Setting::HONEST,
        "real" => Setting {
            real_geometry: true,
            ..Setting::HONEST
        },
        "beside" => Setting {
            beside: true,
            ..Setting::HONEST
        },
        "dishonest" => Setting {
            fates: DISHONEST,
            ..Setting::HONEST
        },
        "flips" => Setting {
            flips: true,
            ..Setting::HONEST
        },
        "lying" => Setting {
            lying: true,
            ..Setting::HONEST
        },
        "cut" => Setting {
            fates: &[Fate::Cut],
            ..Setting::HONEST
        },
        "kill" => Setting {
            fates: &[Fate::Cut, Fate::Kill],
            ..Setting::HONEST
        },
        "fence" => Setting {
            fates: &[Fate::Cut, Fate::Fence],
            ..Setting::HONEST
        },
        "werr" => Setting {
            fates: &[Fate::Cut, Fate::WriteError, Fate::NoSpace],
            ..Setting::HONEST
        },
        "ferr" => Setting {
            fates: &[Fate::Cut, Fate::FlushError],
            ..Setting::HONEST
        },
        other => panic!("no setting {other}"),
    }
}

#[test]
#[ignore = "by command"]
fn one_seed() {
    let setting = std::env::var("QLOG_SETTING").unwrap_or_else(|_| "honest".into());
    let seed = std::env::var("QLOG_SEED").unwrap().parse().unwrap();
    let (tally, result) = world::run(seed, setting_of(&setting));
    println!("{tally}");
    assert_eq!(result, Ok(()));
}

fn first_seed(otherwise: u64) -> u64 {
    std::env::var("QLOG_SEED").map_or(otherwise, |seed| seed.parse().unwrap())
}

#[test]
#[ignore = "by command"]
fn survey() {
    let name = std::env::var("QLOG_SETTING").unwrap_or_else(|_| "honest".into());
    let count: u64 = std::env::var("QLOG_COUNT").map_or(3000, |count| count.parse().unwrap());
    let mut kinds = std::collections::BTreeMap::<String, (u64, u64, String)>::new();
    let mut all = Tally::default();
    std::panic::set_hook(Box::new(|_| {}));
    let first = first_seed(0);
    for seed in first..first + count {
        let outcome = std::panic::catch_unwind(|| world::run(seed, setting_of(&name)));
        let (tally, result) = outcome.unwrap_or_else(|panic| {
            let why = panic.downcast_ref::<String>().cloned();
            let why = why.or_else(|| panic.downcast_ref::<&str>().map(|why| (*why).to_owned()));
            (Tally::default(), Err(format!("PANIC: {why:?}")))
        });
        all.add(&tally);
        if let Err(error) = result {
            let kind: String = error
                .chars()
                .filter(|c| !c.is_ascii_digit())
                .take(70)
                .collect();
            kinds.entry(kind).or_insert((seed, 0, error)).1 += 1;
        }
    }
    println!("{all}");
    for (seed, count, error) in kinds.values() {
        println!("{count:>6} x, first seed {seed}: {error}");
    }
}

#[test]
fn appends_beside_checkpoints_lose_nothing() {
    for first in [1, fresh()] {
        let tally = worlds(first, setting_of("beside"), |tally, _| {
            tally.crashes() > 4_000
        });
        assert!(tally.percent(|phase, frame| frame && phase == Phase::Checkpoint) > 2);
    }
}

#[test]
fn no_crash_loses_what_was_acknowledged() {
    for first in [1, fresh()] {
        let tally = worlds(first, Setting::HONEST, |tally, _| tally.crashes() > 4_000);
        assert!(tally.percent(|_, frame| frame) >= 30);
        let roots = |phase, _| matches!(phase, Phase::Recovery | Phase::Claim | Phase::Checkpoint);
        assert!(tally.percent(roots) >= 20);
    }
}

/// Fresh seeds that once showed a loss, by what was mended.
#[test]
fn seeds_that_once_lost() {
    // A segment that was begun again, with its head in a shadow slot only, was taken for one that had been read whole.
    let (_, result) = world::run(1_882_931_205_243_038, Setting::HONEST);
    assert_eq!(result, Ok(()));
}

#[test]
fn a_disk_that_does_wrong_is_noticed_or_served_around() {
    for name in ["dishonest", "flips", "real"] {
        for first in [1, fresh()] {
            let tally = worlds(first, setting_of(name), |tally, _| tally.worlds >= 150);
            assert!(tally.refused < tally.worlds);
        }
    }
}

/// The oracle is alive: with a flush that lies the same worlds lose what was acknowledged.
#[test]
fn a_flush_that_lies_is_seen_to_lose() {
    let mut lost = 0;
    for seed in 0..100 {
        let (_, result) = world::run(seed, setting_of("lying"));
        lost += u32::from(result.is_err_and(|why| why.starts_with("LOST")));
    }
    println!("{lost} of 100 worlds with a lying flush lost acknowledged records");
    assert!(lost > 10);
}

#[test]
#[ignore = "by command: minutes"]
fn a_million_crashes() {
    let first = first_seed(1 << 32);
    let half = |tally: &Tally, _: Duration| tally.crashes() >= 500_000;
    let tallies = [
        worlds(first, Setting::HONEST, half),
        worlds(first, setting_of("real"), half),
        worlds(first, setting_of("beside"), half),
    ];
    for tally in tallies {
        assert!(tally.percent(|_, frame| frame) >= 30);
    }
}

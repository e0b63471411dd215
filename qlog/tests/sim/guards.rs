//! Each guard switched off is noticed: the same worlds that hold with all of them do not hold without it.

use crate::disk::Fate;
use crate::world::{self, DISHONEST, Setting};
use qlog::{Guard, Guards};

/// The worlds that know it, and how many of them to try.
fn worlds_for(guard: Guard) -> Option<(Setting, u64)> {
    let honest = Setting::HONEST;
    let with = |fates| Setting { fates, ..honest };
    let dishonest = with(DISHONEST);
    let flips = Setting {
        flips: true,
        ..honest
    };
    Some(match guard {
        Guard::TailShadow | Guard::SuperblockBanks => (with(&[Fate::Cut]), 3_000),
        Guard::Poison => (
            with(&[Fate::Cut, Fate::FlushError, Fate::WriteError]),
            3_000,
        ),
        Guard::FreshSegment | Guard::Reserve => (honest, 3_000),
        Guard::SealedEnd | Guard::FlippedBit => (flips, 20_000),
        Guard::LookAhead | Guard::LaterSegment | Guard::ReadBack => (dishonest, 20_000),
        // Not by these worlds: a foreign log and a later lap at the same place need a crafted region, and one late
        // write of a superblock leaves the second copy.
        Guard::SeedOfPlace
        | Guard::SeedOfLap
        | Guard::SeedOfLog
        | Guard::Chain
        | Guard::CleanEnd
        | Guard::EpochAhead
        | Guard::UnreadableIsDamage
        | Guard::KeepPrevious
        | Guard::SlotByEpoch
        | Guard::ClaimReadBack
        | Guard::OwnerRecheck
        | Guard::ProofBeforeAck => return None,
    })
}

#[test]
fn a_guard_that_is_off_is_noticed() {
    let mut unnoticed = Vec::new();
    std::panic::set_hook(Box::new(|_| {}));
    for guard in Guard::ALL {
        let Some((setting, count)) = worlds_for(*guard) else {
            continue;
        };
        let setting = Setting {
            guards: Guards::without(*guard),
            ..setting
        };
        let lost = |seed: &u64| {
            let outcome = std::panic::catch_unwind(|| world::run(*seed, setting).1);
            outcome.map_or(true, |result| result.is_err())
        };
        match (1..count).find(lost) {
            Some(seed) => println!("{guard:?}: noticed by seed {seed}"),
            None => unnoticed.push(guard),
        }
    }
    let _default = std::panic::take_hook();
    assert!(unnoticed.is_empty(), "nothing notices {unnoticed:?}");
}

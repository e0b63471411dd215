//! What a crash may leave of the writes that were not flushed.
//!
//! Each sector of each of them is there or not, and the sectors that are not may be as they were, garbage, or
//! unreadable. A sector whose content the write does not change is the same either way.
//!
//! Of a superblock copy, which is 64 sectors, four cases can be told apart: none of it, all of it, and a part with or
//! without its first sector; a part is never whole, for its sums cover every byte.

use crate::overlay::{Over, Patch, SECTOR, read};
use crate::rng::Rng;
use std::ops::Range;

/// The most states of one moment that are looked at; of more, so many by chance, and none and all.
pub(super) const MOST: usize = 4096;

/// What of the missing sectors is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Missing {
    AsBefore,
    Garbage,
    Unreadable,
}

/// A part of a write that is there or not as a whole.
struct Unit {
    sectors: Vec<Patch>,
    /// For each alternative, which of them are there.
    alternatives: Vec<Range<usize>>,
}

/// All states of one moment.
pub(super) struct States {
    durable: Vec<Patch>,
    units: Vec<Unit>,
    /// Of how many.
    pub(super) all: usize,
}

impl States {
    /// `is_superblock` tells by the offset.
    pub(super) fn of(
        base: &[u8],
        durable: &[Patch],
        pending: &[Patch],
        is_superblock: impl Fn(usize) -> bool,
    ) -> Self {
        let mut units = Vec::new();
        for write in pending {
            let sectors = changed(base, durable, write);
            if is_superblock(write.offset) && sectors.len() > 1 {
                let count = sectors.len();
                units.push(Unit {
                    sectors,
                    alternatives: vec![0..0, 0..count, 0..count / 2, count / 2..count],
                });
            } else {
                units.extend(sectors.into_iter().map(|sector| Unit {
                    sectors: vec![sector],
                    alternatives: vec![0..0, 0..1],
                }));
            }
        }
        let all = units.iter().try_fold(1_usize, |all, unit| {
            all.checked_mul(unit.alternatives.len())
        });
        Self {
            durable: durable.to_vec(),
            units,
            all: all.unwrap_or(usize::MAX),
        }
    }

    /// Which states are looked at.
    pub(super) fn chosen(&self, rng: &mut Rng) -> Vec<Vec<usize>> {
        let radix: Vec<usize> = self.units.iter().map(|it| it.alternatives.len()).collect();
        if self.all <= MOST {
            let one = |mut number: usize| {
                radix
                    .iter()
                    .map(|radix| {
                        let digit = number % radix;
                        number /= radix;
                        digit
                    })
                    .collect()
            };
            return (0..self.all).map(one).collect();
        }
        let mut chosen = vec![vec![0; radix.len()], vec![1; radix.len()]];
        chosen.extend((2..MOST).map(|_| radix.iter().map(|radix| rng.below(*radix)).collect()));
        chosen
    }

    /// The disk in that state. What is there of the pending writes is not flushed: a process that was killed left it in
    /// the disk's cache.
    pub(super) fn over(&self, choice: &[usize], missing: Missing) -> Over {
        let mut over = Over {
            patches: self.durable.clone(),
            flushed: self.durable.len(),
            ..Over::default()
        };
        for (unit, choice) in self.units.iter().zip(choice) {
            let there = &unit.alternatives[*choice];
            for (index, sector) in unit.sectors.iter().enumerate() {
                if there.contains(&index) {
                    over.patches.push(sector.clone());
                    continue;
                }
                match missing {
                    Missing::AsBefore => {}
                    Missing::Garbage => over.patches.push(Patch {
                        offset: sector.offset,
                        bytes: sector.bytes.iter().map(|byte| byte ^ 0xa5).collect(),
                    }),
                    Missing::Unreadable => {
                        over.broken.insert(sector.offset / SECTOR);
                    }
                }
            }
        }
        over
    }

    /// Is all of it there?
    pub(super) fn is_whole(&self, choice: &[usize]) -> bool {
        choice.iter().all(|choice| *choice == 1)
    }
}

/// The sectors that the write changes.
fn changed(base: &[u8], durable: &[Patch], write: &Patch) -> Vec<Patch> {
    let mut before = vec![0; write.bytes.len()];
    read(base, durable, write.offset, &mut before);
    let sectors = write.bytes.chunks(SECTOR).zip(before.chunks(SECTOR));
    let changed = sectors.enumerate().filter(|(_, (new, old))| new != old);
    changed
        .map(|(index, (new, _))| Patch {
            offset: write.offset + index * SECTOR,
            bytes: new.into(),
        })
        .collect()
}

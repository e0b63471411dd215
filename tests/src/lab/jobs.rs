//! How many guests run at a time, and which cases they play.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many guests play at a time. Cases that wait for spans of time to pass leave the processors to those that work:
/// so many of these as there are processors, and twice as many of those beside them. More would make each slow enough
/// to miss its bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Jobs {
    waiting: usize,
    working: usize,
}

impl Jobs {
    const MAX: usize = 6;

    pub(crate) fn of(wanted: Option<usize>) -> Self {
        let processors = std::thread::available_parallelism().map_or(2, NonZero::get);
        let all = wanted.unwrap_or((3 * processors).min(Self::MAX)).max(1);
        let working = all.div_ceil(3);
        Self {
            waiting: all - working,
            working,
        }
    }

    /// How many guests boot at a time.
    pub(crate) fn boots(self) -> usize {
        (2 * self.working).min(self.waiting + self.working)
    }

    /// Plays them all, the results in no order. Who has nothing left to work at takes one that waits.
    pub(crate) fn play<T: Sync, R: Send>(
        self,
        waiting: &[T],
        working: &[T],
        play: impl Fn(&T) -> R + Sync,
    ) -> Vec<R> {
        let (waiting, working) = (Queue::new(waiting), Queue::new(working));
        let played = Mutex::new(Vec::new());
        let keep = |result| {
            let mut played = played.lock().unwrap_or_else(PoisonError::into_inner);
            played.push(result);
        };
        std::thread::scope(|scope| {
            for _ in 0..self.waiting {
                scope.spawn(|| {
                    while let Some(item) = waiting.take() {
                        keep(play(item));
                    }
                });
            }
            for _ in 0..self.working {
                scope.spawn(|| {
                    while let Some(item) = working.take().or_else(|| waiting.take()) {
                        keep(play(item));
                    }
                });
            }
        });
        played.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Items that several take, each once, in order.
struct Queue<'a, T> {
    items: &'a [T],
    next: AtomicUsize,
}

impl<'a, T> Queue<'a, T> {
    const fn new(items: &'a [T]) -> Self {
        Self {
            items,
            next: AtomicUsize::new(0),
        }
    }

    fn take(&self) -> Option<&'a T> {
        self.items.get(self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Does the work for each item, some at a time; the results in the items' order.
pub(crate) fn in_parallel<T: Sync, R: Send>(
    jobs: usize,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while let Some((index, item)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    items.get(index).map(|item| (index, item))
                } {
                    let result = work(item);
                    done.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_is_played_once_however_many_guests_there_may_be() {
        let (waiting, working): (Vec<u32>, Vec<u32>) = (0..50).partition(|item| item % 3 == 0);
        for wanted in [Some(1), Some(2), Some(6), None] {
            let mut played = Jobs::of(wanted).play(&waiting, &working, |&item| item);
            played.sort_unstable();
            assert_eq!(played, (0..50).collect::<Vec<_>>(), "{wanted:?}");
        }
    }

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..50).collect();
        assert_eq!(in_parallel(4, &items, |&item| item), items);
    }
}

//! What each path of this node has registered, as far as that can be known.
//!
//! A nexus cannot be asked which key it has: it is tried. Each path keeps a short list of keys that it may
//! have, most likely first; a REGISTER whose RESERVATION KEY does not match conflicts and changes nothing,
//! which strikes that guess out.
//!
//! Invariants: the guesses are made before a REGISTER leaves, so that whatever comes back, or does not,
//! the key that the path has is among them; a path that failed is not used again before the next
//! challenge or before its driver says that it is back.

use super::super::PathId;
use scsi::reservation::{Answer, Key, PersistentState, Verb};

/// How many keys a path may be thought to have: one for each REGISTER in a row without a definite end, and
/// a contender gives up after as many.
const GUESSES_MAX: usize = 8;

/// A key that a nexus may have; none: it is not registered.
type Guess = Option<Key>;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Paths {
    list: Vec<Path>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Path {
    /// The driver's word.
    up: bool,
    /// A command could not be sent on it.
    failed: bool,
    /// What it may have registered, most likely first.
    guesses: Vec<Guess>,
    /// What it has certainly not registered, since its last success.
    tried: Vec<Guess>,
}

impl Paths {
    pub(super) fn new(count: u16) -> Self {
        let path = Path {
            up: true,
            failed: false,
            guesses: vec![None],
            tried: Vec::new(),
        };
        Self {
            list: vec![path; usize::from(count)],
        }
    }

    fn get(&mut self, path: PathId) -> Option<&mut Path> {
        self.list.get_mut(usize::from(path.0))
    }

    fn each(&self) -> impl Iterator<Item = (PathId, &Path)> {
        (0..).map(PathId).zip(&self.list)
    }

    /// A new challenge: what failed may work again.
    pub(super) fn forgive(&mut self) {
        for path in &mut self.list {
            path.failed = false;
            path.tried.clear();
        }
    }

    pub(super) fn fail(&mut self, path: PathId) {
        if let Some(path) = self.get(path) {
            path.failed = true;
        }
    }

    /// The driver's word on a path. A path that comes back may have its registration still, or be another
    /// nexus that has none. True when something changed.
    pub(super) fn set_up(&mut self, path: PathId, usable: bool) -> bool {
        let Some(path) = self.get(path) else {
            return false;
        };
        let changed = path.up != usable;
        if !changed && !path.failed {
            return false;
        }
        path.up = usable;
        path.failed = false;
        path.tried.clear();
        if usable && !path.guesses.contains(&None) {
            path.guesses.insert(0, None);
        }
        changed
    }

    /// The usable paths, in order.
    pub(super) fn usable(&self) -> Vec<PathId> {
        let usable = self.each().filter(|(_, path)| path.up && !path.failed);
        usable.map(|(id, _)| id).collect()
    }

    /// The best path for a read: usable and free, registered if there is one.
    pub(super) fn best(&self, is_free: impl Fn(PathId) -> bool) -> Option<PathId> {
        let usable = || {
            self.each()
                .filter(|(id, path)| path.up && !path.failed && is_free(*id))
        };
        let registered = usable().find(|(_, path)| path.registered().is_some());
        registered.or_else(|| usable().next()).map(|(id, _)| id)
    }

    /// Paths that are up and certainly have this key.
    pub(super) fn registered_with(&self, key: Key) -> Vec<PathId> {
        let registered = self
            .each()
            .filter(|(_, path)| path.up && path.registered() == Some(key));
        registered.map(|(id, _)| id).collect()
    }

    /// Paths that are up and perhaps lack this key.
    pub(super) fn lacking(&self, key: Key) -> Vec<PathId> {
        let lacking = self
            .each()
            .filter(|(_, path)| path.up && !path.failed && path.registered() != Some(key));
        lacking.map(|(id, _)| id).collect()
    }

    /// The key that the path certainly has.
    pub(super) fn registered(&self, path: PathId) -> Option<Key> {
        self.list
            .get(usize::from(path.0))
            .and_then(Path::registered)
    }

    /// Every key that this node may have registered on some path.
    pub(super) fn own_keys(&self) -> Vec<Key> {
        let guesses = self.list.iter().flat_map(|path| path.guesses.iter());
        guesses.copied().flatten().collect()
    }

    /// The next RESERVATION KEY to try on this path: a guess that the state does not rule out, then
    /// `further` keys that may be ours from another life. `None` when all have been tried.
    pub(super) fn next_existing(
        &self,
        path: PathId,
        state: Option<&PersistentState>,
        further: &[Key],
    ) -> Option<Guess> {
        let path = self.list.get(usize::from(path.0))?;
        let possible = |guess: &Guess| match (guess, state) {
            (Some(key), Some(state)) => state.has_key(*key),
            (Some(_) | None, _) => true,
        };
        let guesses = path.guesses.iter().copied().filter(possible);
        let further = further.iter().copied().map(Some);
        guesses
            .chain(further)
            .chain([None])
            .find(|guess| !path.tried.contains(guess))
    }

    /// The state shows that no key of this node is registered.
    pub(super) fn none_is_registered(&mut self) {
        for path in &mut self.list {
            path.guesses = vec![None];
            path.tried.clear();
        }
    }

    /// Everything was tried on this path, and refused: the state must have changed meanwhile.
    pub(super) fn try_again(&mut self, path: PathId) {
        if let Some(path) = self.get(path) {
            path.tried.clear();
        }
    }

    /// A PREEMPT of one's own key has removed it from every path but this one.
    pub(super) fn only_registered(&mut self, holder: PathId) {
        for (number, path) in (0..).zip(&mut self.list) {
            if PathId(number) != holder {
                path.guesses.insert(0, None);
            }
        }
    }

    /// One registration stands for all paths (NVMe).
    pub(super) fn all_registered(&mut self, key: Key) {
        for path in &mut self.list {
            path.guesses = vec![Some(key)];
            path.tried.clear();
        }
    }

    /// A REGISTER is about to leave: from now on the path may have the new key.
    pub(super) fn will_send(&mut self, path: PathId, verb: &Verb) {
        let Some((existing, new)) = keys_of(verb) else {
            return;
        };
        if let Some(path) = self.get(path) {
            let older = std::mem::take(&mut path.guesses);
            path.guesses = vec![new, existing];
            for guess in older {
                if !path.guesses.contains(&guess) && path.guesses.len() < GUESSES_MAX {
                    path.guesses.push(guess);
                }
            }
        }
    }

    /// What an answer says about the path's registration.
    pub(super) fn learn(&mut self, path: PathId, verb: &Verb, answer: &Answer) {
        let Some((existing, new)) = keys_of(verb) else {
            return;
        };
        let Some(path) = self.get(path) else {
            return;
        };
        match answer {
            Answer::Done(_) => {
                path.guesses = vec![new];
                path.tried.clear();
            }
            Answer::Conflict { .. } => {
                // Not what this nexus has; and the new key was not registered.
                path.guesses
                    .retain(|guess| *guess != new && *guess != existing);
                path.tried.push(existing);
            }
            Answer::Attention(_)
            | Answer::Refused(_)
            | Answer::Unsupported
            | Answer::NotSent(_) => {
                path.guesses.retain(|guess| *guess != new);
            }
            // Either may be true, now or later.
            Answer::OutcomeUnknown(_) => {}
        }
    }

    /// Is this key among what the path may have?
    pub(super) fn may_have(&self, path: PathId, key: Key) -> bool {
        let path = self.list.get(usize::from(path.0));
        path.is_some_and(|path| path.guesses.contains(&Some(key)))
    }

    /// The next RESERVATION KEY with which a path is given the term's key: what it may have but for that
    /// key itself, then `further`.
    pub(super) fn next_to_join(&self, path: PathId, key: Key, further: &[Key]) -> Option<Guess> {
        let path = self.list.get(usize::from(path.0))?;
        let further = further.iter().copied().map(Some);
        let guesses = path.guesses.iter().copied();
        guesses
            .filter(|guess| *guess != Some(key))
            .chain([None])
            .chain(further)
            .find(|guess| !path.tried.contains(guess))
    }

    /// The path is known to have the term's key.
    pub(super) fn accept_term_key(&mut self, path: PathId, key: Key) {
        if let Some(path) = self.get(path) {
            path.guesses = vec![Some(key)];
            path.tried.clear();
        }
    }
}

impl Path {
    fn registered(&self) -> Option<Key> {
        match self.guesses.as_slice() {
            [only] => *only,
            _ => None,
        }
    }
}

/// The two keys of a REGISTER.
fn keys_of(verb: &Verb) -> Option<(Guess, Guess)> {
    match verb {
        Verb::Register { existing, new, .. } => Some((*existing, *new)),
        Verb::RegisterIgnoringExisting { new, .. } => Some((None, *new)),
        Verb::TestUnitReady
        | Verb::ReadState
        | Verb::ReadCapabilities
        | Verb::Spc2Reserve
        | Verb::Spc2Release
        | Verb::Reserve { .. }
        | Verb::Release { .. }
        | Verb::Clear { .. }
        | Verb::Preempt { .. }
        | Verb::Move { .. }
        | Verb::ReplaceLost { .. }
        | Verb::ClearTaskSet
        | Verb::Reset { .. } => None,
    }
}

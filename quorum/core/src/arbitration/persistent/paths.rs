//! What each path of this node has registered, as far as that can be known.
//!
//! A nexus cannot be asked which key it has: it is tried. Each path keeps a short list of keys that it may
//! have, most likely first; a REGISTER whose RESERVATION KEY does not match conflicts and changes nothing,
//! which strikes that guess out.
//!
//! Invariants: the guesses are made before a REGISTER leaves, so that whatever comes back, or does not,
//! the key that the path has is among them; a path that failed is not used again before the next
//! challenge, before its driver says that it is back, or before an owner tries it again some rounds later;
//! a path that lost a command is shunned while another is usable, so that one that hangs holds up nothing;
//! a path on which a change conflicted is doubted, and changes go over another one, until a REGISTER on it
//! shows what it has.

use super::super::PathId;
use scsi::reservation::{Answer, Key, PersistentState, Verb};

/// How many keys a path may be thought to have: one for each REGISTER in a row without a definite end, and
/// a contender gives up after as many.
const GUESSES_MAX: usize = 8;

/// After how many rounds an owner tries a path again that failed; twice as many after each failure in a
/// row, but for the last [`DOUBLINGS_MAX`], so that a dead path does not fill the log.
const RETRY_AFTER: u32 = 4;
/// Up to 64 rounds: a path that came back is used within them.
const DOUBLINGS_MAX: u32 = 4;

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
    /// How often in a row it failed, up to [`DOUBLINGS_MAX`].
    failures: u32,
    /// How many rounds of an owner are left until a failed path is tried again.
    retry_in: u32,
    /// Its last command came to no definite end.
    shunned: bool,
    /// A change on it conflicted: its registration may be gone, although the key is seen (another path
    /// has it too).
    doubted: bool,
    /// The key that was sent last was among the guesses already.
    guessed_before: bool,
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
            failures: 0,
            retry_in: 0,
            shunned: false,
            doubted: false,
            guessed_before: false,
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
            path.shunned = false;
            path.tried.clear();
        }
    }

    pub(super) fn fail(&mut self, path: PathId) {
        if let Some(path) = self.get(path) {
            path.failed = true;
            path.retry_in = RETRY_AFTER << path.failures;
            path.failures = (path.failures + 1).min(DOUBLINGS_MAX);
        }
    }

    /// A round of an owner begins: what failed some rounds ago may work again.
    pub(super) fn count_down_to_retry(&mut self) {
        for path in self.list.iter_mut().filter(|path| path.failed) {
            path.retry_in = path.retry_in.saturating_sub(1);
            if path.retry_in == 0 {
                path.failed = false;
                path.tried.clear();
            }
        }
    }

    /// A command on this path came to no definite end, or the path is busy with an earlier one: others go
    /// first. When all have lost one, the one that lost it last comes last.
    pub(super) fn shun(&mut self, lost: PathId) {
        if let Some(path) = self.get(lost) {
            path.shunned = true;
        }
        if !self.each().any(|(_, path)| path.is_open() && !path.shunned) {
            for (number, path) in (0..).zip(&mut self.list) {
                path.shunned = PathId(number) == lost;
            }
        }
    }

    /// A change on this path conflicted: others go first. When changes have conflicted on all of them (a victim that had
    /// another key by then conflicts on a path that is registered too), the one that conflicted last comes last.
    fn doubt(&mut self, doubted: PathId) {
        if let Some(path) = self.get(doubted) {
            path.doubted = true;
        }
        if !self.each().any(|(_, path)| path.is_open() && !path.doubted) {
            for (number, path) in (0..).zip(&mut self.list) {
                path.doubted = PathId(number) == doubted;
            }
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
        path.failures = 0;
        path.shunned = false;
        path.tried.clear();
        if usable && !path.guesses.contains(&None) {
            path.guesses.insert(0, None);
        }
        changed
    }

    /// The usable paths, in order; those that are shunned come last.
    pub(super) fn usable(&self) -> Vec<PathId> {
        let mut usable: Vec<_> = self.each().filter(|(_, path)| path.is_open()).collect();
        usable.sort_by_key(|(_, path)| path.shunned);
        usable.into_iter().map(|(id, _)| id).collect()
    }

    /// The usable paths but those that are shunned, unless nothing else is left.
    pub(super) fn trusted(&self) -> Vec<PathId> {
        let usable = || self.each().filter(|(_, path)| path.is_open());
        let mut trusted: Vec<_> = usable().filter(|(_, path)| !path.shunned).collect();
        if trusted.is_empty() {
            trusted = usable().collect();
        }
        trusted.into_iter().map(|(id, _)| id).collect()
    }

    /// The best path for a read: usable and free, not shunned and registered if there is one.
    pub(super) fn best(&self, is_free: impl Fn(PathId) -> bool) -> Option<PathId> {
        let usable = self
            .each()
            .filter(|(id, path)| path.is_open() && is_free(*id));
        let best = usable.min_by_key(|(_, path)| (path.shunned, path.registered().is_none()));
        best.map(|(id, _)| id)
    }

    /// Paths that are up and certainly have this key, the least doubtful first.
    pub(super) fn registered_with(&self, key: Key) -> Vec<PathId> {
        let registered = self
            .each()
            .filter(|(_, path)| path.up && path.registered() == Some(key));
        let mut registered: Vec<_> = registered.collect();
        registered.sort_by_key(|(_, path)| path.doubts());
        registered.into_iter().map(|(id, _)| id).collect()
    }

    /// Paths over which an owner with this key reads: those that certainly have it, without those that are
    /// doubted, unless nothing else is left; where none certainly has it, those that may.
    pub(super) fn defending(&self, key: Key) -> Vec<PathId> {
        let mut paths = self.registered_with(key);
        if paths.is_empty() {
            let may =
                |(_, path): &(PathId, &Path)| path.is_open() && path.guesses.contains(&Some(key));
            return self.each().filter(may).map(|(id, _)| id).collect();
        }
        let doubted = |path: &PathId| self.is_doubted(*path);
        if !paths.iter().all(doubted) {
            paths.retain(|path| !doubted(path));
        }
        paths.sort();
        paths
    }

    /// The best path for a change with this key: one that certainly has it, else one that may. A change
    /// from a nexus that is not registered conflicts, and does nothing.
    pub(super) fn for_change(&self, key: Key, is_free: impl Fn(PathId) -> bool) -> Option<PathId> {
        let able = self
            .each()
            .filter(|(id, path)| path.up && path.guesses.contains(&Some(key)) && is_free(*id));
        let best = able.min_by_key(|(_, path)| (path.registered().is_none(), path.doubts()));
        best.map(|(id, _)| id)
    }

    fn is_doubted(&self, path: PathId) -> bool {
        let path = self.list.get(usize::from(path.0));
        path.is_some_and(|path| path.doubted)
    }

    /// Paths that are up and perhaps lack this key.
    pub(super) fn lacking(&self, key: Key) -> Vec<PathId> {
        let lacking = self
            .each()
            .filter(|(_, path)| path.is_open())
            .filter(|(_, path)| path.doubted || path.registered() != Some(key));
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

    /// The next key to take away from this path: one that it may have and the state does not rule out, then
    /// one of `further`. `None` when there is none, or all have been tried.
    pub(super) fn next_to_remove(
        &self,
        path: PathId,
        state: Option<&PersistentState>,
        further: &[Key],
    ) -> Option<Key> {
        let path = self.list.get(usize::from(path.0))?;
        if path.guesses == [None] {
            return None;
        }
        let guesses = path.guesses.iter().copied().flatten();
        guesses
            .filter(|key| state.is_none_or(|state| state.has_key(*key)))
            .chain(further.iter().copied())
            .find(|key| !path.tried.contains(&Some(*key)))
    }

    /// The state shows that no key of this node is registered.
    pub(super) fn none_is_registered(&mut self) {
        for path in &mut self.list {
            path.guesses = vec![None];
            path.tried.clear();
            path.doubted = false;
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
            path.succeed(Some(key));
        }
    }

    /// A REGISTER is about to leave: from now on the path may have the new key.
    pub(super) fn will_send(&mut self, path: PathId, verb: &Verb) {
        let Some((existing, new)) = keys_of(verb) else {
            return;
        };
        if let Some(path) = self.get(path) {
            let older = std::mem::take(&mut path.guesses);
            path.guessed_before = older.contains(&new);
            path.guesses = vec![new, existing];
            for guess in older {
                if !path.guesses.contains(&guess) && path.guesses.len() < GUESSES_MAX {
                    path.guesses.push(guess);
                }
            }
        }
    }

    /// What an answer says about the path's registration.
    pub(super) fn learn(&mut self, id: PathId, verb: &Verb, answer: &Answer) {
        let several = self.list.len() > 1;
        let Some(path) = self.get(id) else {
            return;
        };
        if let Answer::Done(_) = answer {
            path.shunned = false;
        }
        let Some((existing, new)) = keys_of(verb) else {
            // Of an only path, the state itself tells whether its registration is gone.
            if several && !verb.is_read() {
                match answer {
                    Answer::Done(_) => path.doubted = false,
                    Answer::Conflict { .. } => self.doubt(id),
                    Answer::Attention(_)
                    | Answer::Refused(_)
                    | Answer::Unsupported
                    | Answer::OutcomeUnknown(_)
                    | Answer::NotSent(_) => {}
                }
            }
            return;
        };
        match answer {
            Answer::Done(_) => path.succeed(new),
            Answer::Conflict { .. } => {
                // Not what this nexus has; and the new key was not registered, but may have been before.
                let guessed_before = path.guessed_before;
                path.guesses
                    .retain(|guess| *guess != existing && (*guess != new || guessed_before));
                path.tried.push(existing);
                // Nor does this show that it has any.
                if guessed_before && !path.tried.contains(&None) && !path.guesses.contains(&None) {
                    path.guesses.push(None);
                }
            }
            Answer::Attention(_)
            | Answer::Refused(_)
            | Answer::Unsupported
            | Answer::NotSent(_) => {
                // Not performed; but it may have had that key before.
                let guessed_before = path.guessed_before;
                path.guesses.retain(|guess| *guess != new || guessed_before);
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
            path.succeed(Some(key));
        }
    }
}

impl Path {
    /// May be used at all.
    const fn is_open(&self) -> bool {
        self.up && !self.failed
    }

    /// The less, the better for a change.
    const fn doubts(&self) -> (bool, bool, bool) {
        (self.failed, self.doubted, self.shunned)
    }

    /// It has this, for certain.
    fn succeed(&mut self, has: Guess) {
        self.guesses = vec![has];
        self.tried.clear();
        self.doubted = false;
        self.failures = 0;
    }

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
        // It says a key again, for the APTPL bit: whatever comes of it, the registration stays what it is.
        Verb::Register { existing, new, .. } if existing == new => None,
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

//! The one judge: acknowledged ⊆ recovered ⊆ submitted, by content.
//!
//! Records are known by number and content; a checkpoint's state is a digest of every record that it stands for, so
//! a wrong prefix is noticed behind a checkpoint too. Objects are judged by name: the value that was acknowledged
//! last, or one that was submitted after it.
//!
//! A claim that succeeded settles history: what it recovered is acknowledged from then on (its service acts on it),
//! and what it did not recover must never come back.

use qlog::{Entry, Guards, Lsn, Note, OpenError, Recovered, Replay, Storage, open_with};
use std::collections::BTreeMap;

/// What a log handed out.
#[derive(Default, Debug)]
pub(crate) struct Found {
    pub(crate) checkpoint: Option<(u64, Vec<u8>)>,
    pub(crate) records: Vec<(u64, Vec<u8>)>,
    /// By name; nothing for one that is damaged.
    pub(crate) objects: BTreeMap<String, Option<Vec<u8>>>,
    pub(crate) next: u64,
    pub(crate) notes: Vec<Note>,
}

impl Replay for Found {
    fn checkpoint(&mut self, upto: Lsn, state: &[u8]) {
        self.checkpoint = Some((upto.0, state.to_vec()));
    }

    fn record(&mut self, entry: Entry<'_>) {
        self.records.push((entry.lsn.0, entry.bytes.to_vec()));
    }
}

impl Found {
    /// Opens, and reads all objects too.
    pub(crate) fn open<S: Storage>(
        storage: S,
        guards: Guards,
    ) -> Result<(Self, Recovered<S>), OpenError> {
        let mut found = Self::default();
        let opened = open_with(storage, &mut found, guards)?;
        let names: Vec<_> = opened.object_names().map(str::to_owned).collect();
        for name in names {
            let value = opened.object(&name).ok().flatten();
            found.objects.insert(name, value);
        }
        found.next = opened.next_lsn().0;
        found.notes = opened.notes().to_vec();
        Ok((found, opened))
    }
}

/// An object's possible values.
#[derive(Clone, Debug, Default)]
struct Values {
    acknowledged: Option<Vec<u8>>,
    since: Vec<Option<Vec<u8>>>,
}

/// What was submitted and acknowledged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Oracle {
    /// Submitted records, from LSN 1.
    records: Vec<Vec<u8>>,
    /// `digests[n]` is that of the first n records.
    digests: Vec<u64>,
    acknowledged: u64,
    /// Before the frame that was acknowledged last.
    before_last_frame: u64,
    /// And before the one before it.
    before_that: u64,
    checkpoint: u64,
    /// What a superblock says was durable, at least.
    watermark: u64,
    objects: BTreeMap<String, Values>,
}

/// What damage excuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tolerance {
    /// Nothing may be missing.
    Nothing,
    /// The frame that was acknowledged last and that nothing follows.
    LastFrame,
    /// That, and the one before it: a misdirected write loses its own and hits another.
    LastTwoFrames,
    /// Whatever no superblock tells of: a misdirected write of several blocks hits many.
    SinceSuperblock,
}

const FNV: u64 = 0xcbf2_9ce4_8422_2325;

fn digest(before: u64, record: &[u8]) -> u64 {
    let fold = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let sum = record.iter().fold(before ^ record.len() as u64, fold);
    sum.rotate_left(29).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Oracle {
    /// Appended, and so it may be found.
    pub(crate) fn submit(&mut self, lsn: Lsn, record: &[u8]) {
        assert_eq!(lsn.0, self.records.len() as u64 + 1, "numbers have no gap");
        self.digests
            .push(digest(self.digest(self.records.len()), record));
        self.records.push(record.to_vec());
    }

    /// Acknowledged by one frame (or several: then `LastFrame` is all of them).
    pub(crate) fn acknowledge(&mut self, lsn: Lsn) {
        if lsn.0 > self.acknowledged {
            self.before_that = self.before_last_frame;
            self.before_last_frame = self.acknowledged;
            self.acknowledged = lsn.0;
        }
    }

    /// A frame without records follows, or the end is written down.
    pub(crate) fn sealed(&mut self) {
        self.before_that = self.acknowledged;
        self.before_last_frame = self.acknowledged;
    }

    pub(crate) fn submitted(&self) -> u64 {
        self.records.len() as u64
    }

    fn digest(&self, count: usize) -> u64 {
        count.checked_sub(1).map_or(FNV, |last| self.digests[last])
    }

    /// The checkpoint that stands for the first `upto` records, of this size at least.
    pub(crate) fn state(&self, upto: u64, bytes: usize) -> Vec<u8> {
        let count = usize::try_from(upto).expect("a count");
        let digest = self.digest(count);
        let mut state = upto.to_le_bytes().to_vec();
        state.extend(digest.to_le_bytes());
        while state.len() < bytes {
            let filler = digest.wrapping_mul(state.len() as u64 | 1).to_le_bytes();
            state.extend(filler);
        }
        state
    }

    /// A checkpoint was acknowledged.
    pub(crate) fn checkpointed(&mut self, upto: u64) {
        self.checkpoint = self.checkpoint.max(upto);
        self.watermark = self.watermark.max(upto);
        if upto >= self.acknowledged {
            self.sealed();
        }
    }

    pub(crate) fn checkpoint(&self) -> u64 {
        self.checkpoint
    }

    pub(crate) fn submit_object(&mut self, name: &str, value: Option<Vec<u8>>) {
        self.objects
            .entry(name.to_owned())
            .or_default()
            .since
            .push(value);
    }

    /// A superblock has been written after the last acknowledgement.
    pub(crate) fn marked(&mut self) {
        self.watermark = self.acknowledged;
    }

    pub(crate) fn acknowledge_object(&mut self, name: &str) {
        let values = self.objects.entry(name.to_owned()).or_default();
        values.acknowledged = values.since.pop().expect("it was submitted");
        values.since.clear();
    }

    /// Is what was found one of the possible histories? The last record, if so.
    pub(crate) fn judge(&self, found: &Found, tolerance: Tolerance) -> Result<u64, String> {
        let end = self.judge_log(found, tolerance)?;
        self.judge_objects(found)?;
        Ok(end)
    }

    /// The same, of the records alone.
    pub(crate) fn judge_log(&self, found: &Found, tolerance: Tolerance) -> Result<u64, String> {
        let end = self.judge_records(found)?;
        if found.next != end + 1 {
            return Err(format!(
                "WRONG: next is {}, but {end} was handed out last",
                found.next
            ));
        }
        let least = match tolerance {
            Tolerance::Nothing => self.acknowledged,
            Tolerance::LastFrame => self.before_last_frame,
            Tolerance::LastTwoFrames => self.before_that,
            Tolerance::SinceSuperblock => self.watermark,
        };
        if end < least {
            return Err(format!(
                "LOST: LSN {} was acknowledged, the log ends with {end} ({:?})",
                self.acknowledged, found.notes
            ));
        }
        Ok(end)
    }

    fn judge_records(&self, found: &Found) -> Result<u64, String> {
        let mut end = 0;
        if let Some((upto, state)) = &found.checkpoint {
            if *upto > self.submitted() || *state != self.state(*upto, state.len()) {
                return Err(format!(
                    "WRONG: the checkpoint of {upto} is not what was written"
                ));
            }
            end = *upto;
        }
        for (lsn, record) in &found.records {
            if *lsn != end + 1 {
                return Err(format!("WRONG: {lsn} comes after {end}"));
            }
            let index = usize::try_from(lsn - 1).expect("an index");
            match self.records.get(index) {
                None => return Err(format!("INVENTED: {lsn} was never submitted")),
                Some(right) if right != record => {
                    return Err(format!("WRONG: {lsn} is not what was submitted"));
                }
                Some(_) => end = *lsn,
            }
        }
        Ok(end)
    }

    /// Has every object the value that was acknowledged last, or one that was submitted since?
    pub(crate) fn judge_objects(&self, found: &Found) -> Result<(), String> {
        for name in found.objects.keys() {
            if !self.objects.contains_key(name) {
                return Err(format!("INVENTED: the object {name} was never submitted"));
            }
        }
        for (name, values) in &self.objects {
            let value = match found.objects.get(name) {
                Some(None) => continue, // Damaged, and told: the caller decides whether it may be.
                Some(Some(value)) => Some(value.clone()),
                None => None,
            };
            if value != values.acknowledged && !values.since.contains(&value) {
                let was = value.map(|value| value.len());
                return Err(format!(
                    "LOST: the object {name} is an older value or none: {was:?}, not {:?} ({:?})",
                    values.acknowledged.as_ref().map(Vec::len),
                    found.notes
                ));
            }
        }
        Ok(())
    }

    /// Every object can be read.
    pub(crate) fn objects_are_whole(found: &Found) -> Result<(), String> {
        match found.objects.iter().find(|(_, value)| value.is_none()) {
            Some((name, _)) => Err(format!("REFUSED: the object {name} is damaged")),
            None => Ok(()),
        }
    }

    /// A claim succeeded on this: it is history.
    pub(crate) fn settle(&mut self, found: &Found) {
        let count = usize::try_from(found.next - 1).expect("a count");
        self.records.truncate(count);
        self.digests.truncate(count);
        self.acknowledged = found.next - 1;
        self.watermark = self.acknowledged;
        self.sealed();
        self.checkpoint = found.checkpoint.as_ref().map_or(0, |(upto, _)| *upto);
        for (name, values) in &mut self.objects {
            let found = match found.objects.get(name) {
                Some(None) => continue, // It could not be read this time.
                Some(Some(value)) => Some(value.clone()),
                None => None,
            };
            values.since.clear();
            values.acknowledged = found;
        }
    }
}

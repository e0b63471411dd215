//! A history in words: owners on one disk, what happens to it, and the oracle's judgement at the end.

use crate::oracle::{Found, Oracle, Tolerance};
use crate::tape::Tape;
use crate::world::claim_of;
use qlog::inspect::Item;
use qlog::{
    Claim, ClaimError, Cluster, Format, Guards, Layout, Log, Lsn, Recovered, WriteError,
    create_with,
};
use std::ops::Range;
use std::sync::Arc;

pub(crate) type Owner = Log<Arc<Tape>>;
/// What was wrong.
pub(crate) type Verdict = Result<(), String>;

/// One disk, and everything that is known about it.
pub(crate) struct History {
    pub(crate) guards: Guards,
    pub(crate) disk: Arc<Tape>,
    pub(crate) oracle: Oracle,
    pub(crate) layout: Layout,
}

/// Four segments of eight blocks of 256 bytes.
pub(crate) const SCALED: Format = Format {
    block_bytes: 256,
    segments: 4,
    segment_bytes: 2048,
    catalogue_bytes: 1024,
    chunk_bytes: 256,
    chunks: 9,
    region_bytes: 0,
};

/// The format, with its region.
pub(crate) fn sized(format: Format) -> Format {
    Format {
        region_bytes: format.used_bytes().next_multiple_of(4096),
        ..format
    }
}

impl History {
    /// A new log of scaled geometry.
    pub(crate) fn new(guards: Guards) -> Self {
        Self::of(SCALED, guards)
    }

    pub(crate) fn of(format: Format, guards: Guards) -> Self {
        let format = sized(format);
        let length = usize::try_from(format.region_bytes).expect("small");
        let disk = Tape::new(vec![0; length], format.block_bytes);
        let history = Self {
            guards,
            disk,
            oracle: Oracle::default(),
            layout: format.layout().expect("it is possible"),
        };
        history.create();
        history
    }

    /// Makes the log, whatever was there.
    pub(crate) fn create(&self) {
        let (disk, format) = (&self.disk, self.layout.format());
        create_with(disk, format, Cluster::default(), self.guards).expect("the disk takes it");
    }

    /// The same past on a disk of its own.
    pub(crate) fn fork(&self) -> Self {
        let disk = Tape::new(self.disk.image(), self.layout.format().block_bytes);
        Self {
            disk,
            oracle: self.oracle.clone(),
            ..*self
        }
    }

    pub(crate) fn open(&self) -> Result<(Found, Recovered<Arc<Tape>>), String> {
        let opened = Found::open(Arc::clone(&self.disk), self.guards);
        opened.map_err(|error| format!("REFUSED: {error}"))
    }

    /// The next owner: opens, judges, claims.
    pub(crate) fn owner(&mut self, node: u32) -> Result<Owner, String> {
        self.owner_by(claim_of(node, u64::from(node) + 7))
    }

    pub(crate) fn owner_by(&mut self, claim: Claim) -> Result<Owner, String> {
        let (found, opened) = self.open()?;
        self.oracle.judge(&found, Tolerance::Nothing)?;
        let claimed = opened.claim(claim);
        let log = claimed.map_err(|error: ClaimError| format!("REFUSED: a claim: {error}"))?;
        self.oracle.settle(&found);
        Ok(log)
    }

    /// Appends and commits.
    pub(crate) fn append(&mut self, log: &Owner, record: &[u8]) -> Result<(), WriteError> {
        let ticket = log.append(record)?;
        self.oracle.submit(ticket.lsn, record);
        log.commit(ticket)?;
        self.oracle.acknowledge(ticket.lsn);
        Ok(())
    }

    pub(crate) fn checkpoint(
        &mut self,
        log: &Owner,
        upto: u64,
        bytes: usize,
    ) -> Result<(), WriteError> {
        log.checkpoint(Lsn(upto), &self.oracle.state(upto, bytes))?;
        self.oracle.checkpointed(upto);
        Ok(())
    }

    pub(crate) fn put(&mut self, log: &Owner, name: &str, value: &[u8]) -> Result<(), WriteError> {
        self.oracle.submit_object(name, Some(value.to_vec()));
        log.put_object(name, value)?;
        self.oracle.acknowledge_object(name);
        Ok(())
    }

    /// Everything that was acknowledged is served.
    pub(crate) fn serves(&self) -> Verdict {
        let (found, _) = self.open()?;
        self.oracle.judge(&found, Tolerance::Nothing)?;
        Oracle::objects_are_whole(&found)?;
        if self.guards == Guards::ALL_ON {
            self.is_described_as(&found)?;
        }
        Ok(())
    }

    /// Whoever only looks finds the same.
    fn is_described_as(&self, found: &Found) -> Verdict {
        let seen = qlog::inspect::inspect(&self.disk, &mut |_, _| {});
        if let Some(part) = seen.parts().iter().find(|part| part.health.is_corrupt()) {
            return Err(format!("DESCRIBED: it opens, and {part:?}"));
        }
        let from = found
            .records
            .first()
            .map_or(Lsn(found.next), |(lsn, _)| Lsn(*lsn));
        let items =
            qlog::inspect::dump(&self.disk, from..Lsn(u64::MAX)).map_err(|e| e.to_string())?;
        let dumped: Vec<(u64, Vec<u8>)> = items
            .filter_map(|item| match item {
                Item::Record { lsn, bytes, .. } => Some((lsn.0, bytes)),
                Item::EpochStart { .. } | Item::Seal { .. } | Item::Damage { .. } => None,
            })
            .collect();
        if dumped == found.records {
            return Ok(());
        }
        Err(format!(
            "DUMPED: {} records of {}",
            dumped.len(),
            found.records.len()
        ))
    }

    /// It does not open; or if it does, then with everything.
    pub(crate) fn serves_or_refuses(&self) -> Verdict {
        match self.open() {
            Err(_) => Ok(()),
            Ok((found, _)) => self.oracle.judge(&found, Tolerance::Nothing).map(|_| ()),
        }
    }

    /// And here it must not open, for what was acknowledged is gone.
    pub(crate) fn refuses(&self) -> Verdict {
        self.serves_or_refuses()?;
        match self.open() {
            Err(_) => Ok(()),
            Ok(_) => Err("SERVED: what is damaged was served".into()),
        }
    }

    /// Where the last write was.
    pub(crate) fn last_write(&self) -> Range<usize> {
        let (offset, bytes) = self.disk.writes_since(0).pop().expect("there is one");
        offset..offset + bytes.len()
    }

    /// The superblock places at the start of the region, or at its end.
    pub(crate) fn is_superblock(&self, offset: usize) -> bool {
        let first = self.layout.superblock(0, 0, 1);
        (offset as u64) < self.layout.scratch() || offset as u64 >= first
    }

    /// Shadow slots and segments.
    pub(crate) fn is_frame(&self, offset: usize) -> bool {
        let frames = self.layout.shadow(0, 0)..self.layout.catalogue(0);
        frames.contains(&(offset as u64))
    }

    pub(crate) fn is_catalogue(&self, offset: usize) -> bool {
        let catalogues = self.layout.catalogue(0)..self.layout.chunk(0);
        catalogues.contains(&(offset as u64))
    }

    pub(crate) fn is_chunk(&self, offset: usize) -> bool {
        let end = self.layout.chunk(self.layout.format().chunks);
        (self.layout.chunk(0)..end).contains(&(offset as u64))
    }
}

/// In words, for histories that end with an error of a handle.
pub(crate) fn told(error: &WriteError) -> String {
    format!("TOLD: {error}")
}

//! The log of a quorum disk in its owner's hand: claimed after the barrier, resumed only after a clean round, parked
//! at a hand-over.
//!
//! ```text
//!   Held ──claim──► Log ──append, checkpoint──► … ──park──► Arbiter::park
//!                    │ a write that met an attention, an abort, an error
//!                    └──► the handle has ended ──a clean round──► claim again: read anew, verified anew
//! ```

use crate::arbiter::{Fenced, Ownership, Stage};
use qlog::{Claim, ClaimError, Fencing, Log, OpenError, Owner, Proof, Recovered, Replay, Storage};
use quorum_core::times::Times;
use std::io;
use std::sync::Arc;

/// How often a claim is tried, each time after a further clean round: attentions of a reset, each told once, are soon
/// used up; a disk that goes on failing is told to be so.
const TRIES: usize = 5;

impl Proof for Ownership {
    fn check(&self) -> Result<(), String> {
        self.check_before_write()
            .map_err(|fenced| fenced.to_string())
    }
}

/// Why the log could not be claimed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk is not this owner's any more.
    #[error(transparent)]
    Fenced(#[from] Fenced),
    /// Where it is cannot be opened.
    #[error("the log: {0}")]
    Storage(#[from] io::Error),
    /// It does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be claimed.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// It is another cluster's.
    #[error("the log belongs to cluster \"{found}\", not to \"{wanted}\"")]
    Foreign {
        /// The name in the log.
        found: String,
        /// This cluster's.
        wanted: String,
    },
    /// It was made for other times than those in force here: a node that goes by them would be foreign.
    #[error("the log was made for other times than those that this node goes by")]
    OtherTimes,
}

/// Whose log it has to be.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The cluster's name.
    pub name: &'a str,
    /// The times in force; none: whatever the log was made for.
    pub times: Option<&'a Times>,
}

impl<'a> From<&'a str> for Wanted<'a> {
    fn from(name: &'a str) -> Self {
        Self { name, times: None }
    }
}

/// What a claim gave.
#[derive(Debug)]
pub struct Claimed<S, R> {
    /// The log; everything in it so far went into `replay`.
    pub log: Log<S>,
    /// What was replayed into.
    pub replay: R,
    /// What was found and did no harm.
    pub notes: Vec<qlog::Note>,
}

/// Reads the log and begins an epoch on it, as the owner of the disk it is on.
///
/// A read or write that meets an attention fails; it is tried again only after ownership was proved once more, from the
/// beginning, with a new storage and a new `replay`.
///
/// # Errors
/// [`LogError`].
pub fn claim<'a, S: Storage, R: Replay>(
    mut storage: impl FnMut() -> io::Result<S>,
    ownership: &Ownership,
    cluster: impl Into<Wanted<'a>>,
    node: u32,
    mut replay: impl FnMut() -> R,
) -> Result<Claimed<S, R>, LogError> {
    let cluster = cluster.into();
    let mut tries = TRIES;
    loop {
        let seen = ownership.proved_until();
        ownership.check()?;
        let mut told = replay();
        let error = match qlog::open(storage()?, &mut told) {
            Ok(found) => match begin(found, ownership, cluster, node) {
                Ok((log, notes)) => {
                    return Ok(Claimed {
                        log,
                        replay: told,
                        notes,
                    });
                }
                Err(error) => error,
            },
            Err(error) => error.into(),
        };
        tries -= 1;
        if tries == 0 || !may_pass(&error) {
            return Err(error);
        }
        ownership.wait_for_proof_beyond(seen)?;
    }
}

/// Why a log could not be parked.
#[derive(Debug, thiserror::Error)]
pub enum ParkError {
    /// It holds the disk, and is not its owner yet: what an owner before it runs may not have ended, and whoever reads
    /// a mark does not wait for that. Nothing was sent: give the disk back without a mark.
    #[error(
        "not the owner yet: what the disk cannot fence may still run on a node before this one"
    )]
    NotOwner,
    /// The mark was sent, and nobody knows whether it arrived: the disk counts as parked all the same.
    #[error(transparent)]
    Write(#[from] qlog::WriteError),
}

/// Sends the mark of a hand-over; then comes [`crate::arbiter::Arbiter::park`]. Everything that writes, and everything that
/// the disk cannot fence, has ended before: the next owner starts its own at once.
///
/// # Errors
/// [`ParkError`].
pub fn park<S: Storage>(log: &Log<S>, ownership: &Ownership) -> Result<(), ParkError> {
    if ownership.stage() < Stage::Owner {
        return Err(ParkError::NotOwner);
    }
    log.park()?;
    Ok(())
}

fn begin<S: Storage>(
    found: Recovered<S>,
    ownership: &Ownership,
    cluster: Wanted<'_>,
    node: u32,
) -> Result<(Log<S>, Vec<qlog::Note>), LogError> {
    if found.cluster().name != cluster.name {
        return Err(LogError::Foreign {
            found: found.cluster().name.clone(),
            wanted: cluster.name.to_owned(),
        });
    }
    // A log need not name any.
    let made_for = &found.cluster().times;
    let other = |times: &Times| !made_for.is_empty() && *made_for != times.to_bytes();
    if cluster.times.is_some_and(other) {
        return Err(LogError::OtherTimes);
    }
    let notes = found.notes().to_vec();
    let key = ownership.key().map_or(0, |key| key.get());
    let proof = Fencing::Proved(Arc::new(ownership.clone()));
    let log = found.claim(Claim::new(Owner { node, key }, proof))?;
    Ok((log, notes))
}

/// Attentions pass; damage and other owners do not.
fn may_pass(error: &LogError) -> bool {
    match error {
        LogError::Open(OpenError::Read { .. } | OpenError::NoSuperblock { .. })
        | LogError::Claim(ClaimError::Io { .. }) => true,
        LogError::Fenced(_)
        | LogError::Storage(_)
        | LogError::Open(_)
        | LogError::Claim(_)
        | LogError::Foreign { .. }
        | LogError::OtherTimes => false,
    }
}

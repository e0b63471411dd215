//! Who claims a log, and by what right.

use std::fmt;
use std::sync::Arc;

/// Who writes in an epoch: for people and for the parked mark.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Owner {
    /// The node's number in its cluster.
    pub node: u32,
    /// The reservation key that it holds the disk with; 0 where there is none.
    pub key: u64,
}

/// A proof that the bearer owns the disk. Only an arbiter makes one worth having: `quorum`'s `Ownership` is one.
pub trait Proof: Send + Sync {
    /// Is it still proved? Asked before every write, and again before its success is told.
    ///
    /// # Errors
    /// Why not, in words.
    fn check(&self) -> Result<(), String>;
}

/// By what right an epoch is claimed.
#[derive(Clone)]
pub enum Fencing {
    /// The disk refuses everybody else, and this proves it.
    Proved(Arc<dyn Proof>),
    /// Nothing fences another writer: the operator's word (`--unfenced`), and tests.
    Unfenced,
}

impl Fencing {
    pub(crate) fn check(&self) -> Result<(), String> {
        match self {
            Self::Proved(proof) => proof.check(),
            Self::Unfenced => Ok(()),
        }
    }
}

impl fmt::Debug for Fencing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Proved(_) => "Proved",
            Self::Unfenced => "Unfenced",
        })
    }
}

/// What [`crate::Recovered::claim`] is told.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Who.
    pub owner: Owner,
    /// By what right.
    pub fencing: Fencing,
    /// 64 random bits: two claims of one node are not the same owner.
    pub incarnation: u64,
}

impl Claim {
    /// A claim of this owner, of a random incarnation.
    #[must_use]
    pub fn new(owner: Owner, fencing: Fencing) -> Self {
        Self {
            owner,
            fencing,
            incarnation: crate::log::random(),
        }
    }
}

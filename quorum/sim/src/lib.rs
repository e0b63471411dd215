//! The simulator: the shipped machines on a virtual clock, over the rule book of the disk, with everything
//! that may go wrong, all from one seed.
//!
//! ```text
//!   seed ──► plan ──► world: nodes ── machine (quorum-core) ── commands, writes ──► disk (scsi::logical_unit)
//!                      ▲      clocks, drivers' promises            │
//!               adversary                                          ▼
//!           (faults, strangers, operators)                  checkers, counts ──► report
//! ```
//!
//! | question | module |
//! |---|---|
//! | what may go wrong, and what may not | [`faults`] |
//! | what must hold | [`checkers`], one file for each property |
//! | what happens in a world, and in which order | [`world`], [`node`], [`clock`], [`disk`] |
//! | the shipped log on the disk of a world | `log` |
//! | what a seed means | [`plan`], [`adversary`] |
//! | one run, and many | [`run`] |
//! | what was counted, and which transitions there are | [`counts`], [`transitions`] |
//! | what each guard changes | [`trial`] |
//! | every schedule of a small world | [`exhaustive`] |
//! | worlds as text | `script` (feature) |
//!
//! The same seed gives the same run on every machine. Nothing here reads a clock, a file or anything random.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a world watches the few events, verbs and arguments that it knows, and lets the rest pass"
)]

pub mod adversary;
pub mod checkers;
pub mod clock;
pub mod counts;
pub mod disk;
pub mod exhaustive;
pub mod faults;
pub(crate) mod log;
pub mod node;
pub mod plan;
pub mod rng;
pub mod run;
pub(crate) mod scenes;
#[cfg(feature = "script")]
pub mod script;
pub mod transitions;
pub mod trial;
pub mod words;
pub mod world;

pub use world::World;

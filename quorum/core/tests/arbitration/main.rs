//! Arbitration: a script for every behaviour, random schedules, and the guards, each switched off.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a model of a disk and a reader of scripts pick out what they know, and refuse the rest"
)]

mod alone;
mod checkers;
mod disk;
mod guards;
mod rng;
mod script;
mod setup;
mod stress;
mod together;
mod words;
mod world;

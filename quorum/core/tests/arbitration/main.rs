//! Arbitration: a script for every behaviour, and the guards, each switched off. Several machines and their disk
//! live in a world of `quorum-sim`, with its checkers.

mod alone;
mod guards;
mod script;

//! Arbitration: a script for every behaviour, random schedules, and the guards, each switched off.

mod alone;
mod script;
mod setup;
mod words;

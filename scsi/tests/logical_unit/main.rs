//! The rules of the logical unit: as scripts (one behaviour each, by name), and as properties of random
//! sequences.
#![expect(clippy::unwrap_used, reason = "helpers of tests that cannot go on")]

mod commands;
mod properties;
mod script;

//! The engines, one file each.

mod fjall;
mod okaywal;
mod ours;
mod raft_engine;
pub(crate) mod raw;
mod redb;
mod sqlite;

use crate::engine::Engine;

/// Everyone who keeps a log, ours first.
pub(crate) fn all() -> Vec<Box<dyn Engine>> {
    vec![
        Box::new(ours::Ours),
        Box::new(raft_engine::RaftEngine),
        Box::new(okaywal::OkayWal),
        Box::new(fjall::Fjall),
        Box::new(sqlite::Sqlite),
        Box::new(redb::Redb),
    ]
}

/// Our name in the tables.
pub(crate) const OURS: &str = "ours";

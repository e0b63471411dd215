//! Bytes to values and back, one file for each format. Pure; bytes are never trusted.

pub mod cdb;
pub mod sense;
pub mod status;
pub mod transport_id;

//! Shared-disk reservations: SCSI-2 RESERVE/RELEASE, SCSI-3 persistent reservations and resets, and
//! NVMe's equivalents, behind one set of verbs.
//!
//! | module | what it is | touches the world |
//! |---|---|---|
//! | [`wire`] | bytes to values and back: CDBs, sense, parameter lists | no |
//! | [`reservation`] | keys, types, holders, the verbs and their answers as values | no |
//! | [`logical_unit`] | a logical unit in memory: the rule book for many nexuses | no |
//! | [`device`] | seam one: execute a CDB, reset; wrappers that trace, delay, inject faults | by its implementations |
//! | [`reservations`] | seam two: the verbs of [`reservation`], whatever the disk speaks | by its implementations |
//! | `emulated` | `emu:FILE`, a [`logical_unit`] kept in a file between processes | yes, feature `emulated` |
//! | [`disk`] | a disk by its name: identity, paths, who uses it | by feature |
//! | `iscsi` | the iSCSI protocol as values; initiator and target | by feature |
//!
//! Without features the crate is pure: values in, values out.

pub mod device;
pub mod disk;
#[cfg(feature = "emulated")]
pub mod emulated;
#[cfg(feature = "iscsi")]
pub mod iscsi;
#[cfg(feature = "linux")]
pub mod linux;
pub mod logical_unit;
pub mod reservation;
pub mod reservations;
pub mod wire;

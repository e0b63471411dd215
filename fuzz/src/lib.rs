//! The bodies of the fuzz targets: one for each file of [`scsi::wire`], the state image of
//! [`scsi::logical_unit`], what a network peer may send ([`scsi::iscsi`]), the schedules of [`scsi::device::schedule`], and
//! the regions of [`qlog`].
//!
//! A body takes any bytes, parses them, and holds the parser to its word: it must not panic, must not
//! bring back more than arrived, and what it accepted must be emitted to bytes that parse to the same
//! value. It says whether anything was accepted, so that a corpus can be seen to reach both ends.
//!
//! * Run as tests, on stable, over the kept corpus and a bounded set of mutations of it:
//!   `cargo test -p fuzz`.
//! * Run by libFuzzer: `cargo +nightly fuzz run --features libfuzzer cdb`. What it finds becomes a file
//!   in `corpus/`, named after what was wrong.
//!
//! [`TARGETS`] is the one list; a test holds the manifest, `fuzz_targets/` and `corpus/` to it.

mod iscsi;
mod log_image;
mod logical_unit;
mod mutate;
mod schedule;
mod wire;

pub use iscsi::{iscsi_pdu, iscsi_target, iscsi_text};
pub use log_image::{Picture, Rights, log_image};
pub use logical_unit::logical_unit;
pub use mutate::mutations;
pub use schedule::schedule;
pub use wire::{
    capacity, cdb, inquiry, luns, mode, nvme_command, nvme_identify, nvme_report, opcodes,
    persistent_in, persistent_out, sense, transport_id, transport_id_text, vpd,
};

/// A target's name, and its body: were the bytes accepted by any of its parsers?
pub type Target = (&'static str, fn(&[u8]) -> bool);

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        /// Every target.
        pub const TARGETS: &[Target] = &[$((stringify!($name), $name)),*];
    };
}

targets! {
    capacity,
    cdb,
    inquiry,
    iscsi_pdu,
    iscsi_target,
    iscsi_text,
    log_image,
    logical_unit,
    luns,
    mode,
    nvme_command,
    nvme_identify,
    nvme_report,
    opcodes,
    persistent_in,
    persistent_out,
    schedule,
    sense,
    transport_id,
    transport_id_text,
    vpd,
}

//! Writes the first corpus: the answers of ordinary disks, by the values they stand for; units that have
//! been used; schedules as they are written; logs at work.
//!
//! `cargo run -p fuzz --example seeds`, after a format was added; files that are there already and are
//! not among these are left alone.

mod emulator;
mod iscsi;
mod log_image;
mod nvme;
mod wire;

use std::path::Path;
use std::{fs, io};

fn main() -> io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (target, seeds) in seeds() {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder)?;
        for (name, bytes) in seeds {
            fs::write(folder.join(name), bytes)?;
        }
    }
    Ok(())
}

type Seeds = Vec<(String, Vec<u8>)>;

fn named(seeds: Vec<(&str, Vec<u8>)>) -> Seeds {
    let own = |(name, bytes): (&str, Vec<u8>)| (name.to_owned(), bytes);
    seeds.into_iter().map(own).collect()
}

fn seeds() -> Vec<(&'static str, Seeds)> {
    vec![
        ("capacity", wire::capacity()),
        ("cdb", wire::cdb()),
        ("inquiry", wire::inquiry()),
        ("iscsi_pdu", iscsi::iscsi_pdu()),
        ("iscsi_target", iscsi::iscsi_target()),
        ("iscsi_text", iscsi::iscsi_text()),
        ("log_image", log_image::log_image()),
        ("logical_unit", emulator::logical_unit()),
        ("luns", wire::luns()),
        ("mode", wire::mode()),
        ("nvme_command", nvme::nvme_command()),
        ("nvme_identify", nvme::nvme_identify()),
        ("nvme_report", nvme::nvme_report()),
        ("opcodes", wire::opcodes()),
        ("persistent_in", wire::persistent_in()),
        ("persistent_out", wire::persistent_out()),
        ("schedule", emulator::schedule()),
        ("sense", wire::sense()),
        ("transport_id", wire::transport_id()),
        ("transport_id_text", wire::transport_id_text()),
        ("vpd", wire::vpd()),
    ]
}

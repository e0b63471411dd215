//! `emu:FILE…` as a disk: one path, and nobody else on this host uses it.

use super::paths::{open_within, over_device};
use super::{Disk, Identity, OpenError, Options, Way};
use crate::device::{Data, Device};
use crate::emulated::{self, EmulatedError};
use crate::logical_unit::BLOCK_BYTES;
use crate::wire::cdb::Command;
use crate::wire::inquiry::{self, StandardInquiry};
use crate::wire::vpd::{self, DeviceIdentification, UnitSerial};
use std::time::Duration;

pub(super) fn open(name: &str, options: &Options<'_>) -> Result<Disk, OpenError> {
    let bound = options.bound;
    let given = name.to_owned();
    let (identity, nexus) = open_within(name, options, move || {
        let mut device =
            emulated::open(&given, bound).map_err(|error| open_error(&given, error))?;
        let mut identity = identity(&mut device, bound);
        let unit = device.look(bound).map_err(|why| OpenError::CannotOpen {
            name: given.clone(),
            why: why.to_string(),
        })?;
        identity.block_count = Some(unit.config().blocks);
        identity.block_bytes = Some(BLOCK_BYTES);
        identity.transport = Some("emulated".to_owned());
        let nexus = device.nexus().id();
        Ok((identity, nexus))
    })?;
    let given = name.to_owned();
    let path = over_device(name, Way::Emulated, Some(nexus), options, move || {
        emulated::open(&given, bound)
            .map(|device| Box::new(device) as Box<dyn Device>)
            .map_err(|error| open_error(&given, error))
    })?;
    Ok(Disk {
        name: name.to_owned(),
        identity,
        paths: vec![path],
        usages: Vec::new(),
        remarks: Vec::new(),
    })
}

fn open_error(name: &str, error: EmulatedError) -> OpenError {
    match error {
        EmulatedError::Name { why, .. } => OpenError::BadName {
            name: name.to_owned(),
            why: why.to_string(),
        },
        EmulatedError::Store { why, .. } => OpenError::CannotOpen {
            name: name.to_owned(),
            why: why.to_string(),
        },
    }
}

/// What INQUIRY tells; it never meets, and never consumes, an attention.
fn identity(device: &mut dyn Device, bound: Duration) -> Identity {
    let mut ask = |vpd: Option<u8>| {
        let allocation_length = match vpd {
            Some(_) => vpd::FIRST_ALLOCATION,
            None => inquiry::ALLOCATION_LENGTH,
        };
        let command = Command::Inquiry {
            vpd,
            allocation_length,
        };
        let mut buffer = vec![0; usize::from(allocation_length)];
        let done = device
            .execute(&command.cdb(), Data::In(&mut buffer), bound)
            .ok()?;
        buffer.truncate(done.transferred);
        Some(buffer)
    };
    let standard = ask(None).and_then(|data| StandardInquiry::parse(&data).ok());
    let serial = ask(Some(vpd::UNIT_SERIAL)).and_then(|page| UnitSerial::parse(&page).ok());
    let named = ask(Some(vpd::DEVICE_IDENTIFICATION))
        .and_then(|page| DeviceIdentification::parse(&page).ok());
    let standard = standard.unwrap_or_default();
    let told = |text: String| (!text.is_empty()).then_some(text);
    Identity {
        vendor: told(standard.vendor),
        model: told(standard.product),
        revision: told(standard.revision),
        serial: serial.and_then(|page| told(page.serial)),
        wwid: named.and_then(|page| page.wwid()),
        ..Identity::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Options, Way, open};
    use super::*;
    use crate::reservation::{Answer, Key, RegisterOptions, Reply, ReservationType, Verb};

    const BOUND: Duration = Duration::from_secs(20);

    fn fresh(test: &str) -> String {
        let file = std::env::temp_dir().join(format!("disk-{test}-{}", std::process::id()));
        file.display().to_string()
    }

    #[test]
    fn an_emulated_disk_is_opened_by_its_name_and_answers_the_verbs() {
        let file = fresh("verbs");
        let mut disk = open(&format!("emu:{file}?nexus=a"), &Options::default()).unwrap();
        assert_eq!(disk.identity.size_bytes(), Some(64 << 20));
        assert!(disk.identity.wwid.is_some() && disk.identity.serial.is_some());
        let path = &mut disk.paths[0];
        assert_eq!(path.way, Way::Emulated);
        let key = Key::new(0xaa).unwrap();
        let mut perform = |verb: Verb| loop {
            let answer = path.reservations.perform(&verb, BOUND).answer;
            // Power on, once.
            if !matches!(answer, Answer::Attention(_)) {
                break answer;
            }
        };
        let register = Verb::Register {
            existing: None,
            new: Some(key),
            options: RegisterOptions::default(),
        };
        assert_eq!(perform(register), Answer::Done(Reply::Good));
        let kind = ReservationType::WriteExclusive;
        assert_eq!(
            perform(Verb::Reserve { key, kind }),
            Answer::Done(Reply::Good)
        );
        let Answer::Done(Reply::State(state)) = perform(Verb::ReadState) else {
            panic!("the state can be read");
        };
        assert!(state.is_held_by(key));
        assert_eq!(state.registrations[0].nexus, path.nexus);
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn a_name_without_a_nexus_says_what_is_missing() {
        let error = open("emu:/nowhere/at/all", &Options::default()).unwrap_err();
        assert!(matches!(error, OpenError::BadName { .. }), "{error:?}");
    }

    #[test]
    fn a_file_that_cannot_be_made_says_why() {
        let error = open("emu:/nowhere/at/all?nexus=a", &Options::default()).unwrap_err();
        assert!(matches!(error, OpenError::CannotOpen { .. }), "{error:?}");
    }
}

//! An emulated disk as [`crate::disk::open`] gives it.

use super::store::StoreError;
use super::{EmulatedError, open};
use crate::device::Device;
use crate::disk::paths::over_device;
use crate::disk::{Disk, Identity, OpenError, Options, Way};
use crate::logical_unit::{BLOCK_BYTES, Config, PRODUCT, REVISION, VENDOR};
use std::time::Duration;

/// Opens the emulated disk with this name, and makes it if its file is not there.
///
/// The verbs and the plain commands each have the file open, as one nexus: its name is the same.
pub(crate) fn open_disk(name: &str, options: &Options<'_>) -> Result<Disk, OpenError> {
    let bound = options.bound;
    let mut first = open(name, bound).map_err(open_error)?;
    let file = first.name().file.display().to_string();
    let unit = first.look(bound).map_err(|why| store_error(file, &why))?;
    let nexus = first.nexus().id();
    drop(first);
    let given = name.to_owned();
    let lock_names = vec![nexus.to_string()];
    let named = (Some(nexus), lock_names);
    let path = over_device(name, Way::Emulated, named, options, move || {
        let device = open(&given, bound).map_err(open_error)?;
        Ok(Box::new(device) as Box<dyn Device>)
    })?;
    Ok(Disk {
        name: name.to_owned(),
        identity: identity(unit.config()),
        paths: vec![path],
        usages: Vec::new(),
        attached: Vec::new(),
        remarks: vec![format!(
            "emulated, behaviour {}: what holds here holds between the processes of this host",
            unit.config().behaviour
        )],
    })
}

fn identity(config: &Config) -> Identity {
    let text = |field: &[u8]| Some(String::from_utf8_lossy(field).trim_end().to_owned());
    Identity {
        names: Vec::new(),
        vendor: text(VENDOR),
        model: text(PRODUCT),
        revision: text(REVISION),
        serial: Some(config.serial.clone()),
        wwid: Some(format!("naa.{:016x}", config.naa())),
        transport: Some("emulated".to_owned()),
        address: None,
        block_count: Some(config.blocks),
        block_bytes: Some(BLOCK_BYTES),
    }
}

fn open_error(error: EmulatedError) -> OpenError {
    match error {
        EmulatedError::Name { name, why } => OpenError::BadName {
            name,
            why: why.to_string(),
        },
        EmulatedError::Store { file, why } => store_error(file.display().to_string(), &why),
    }
}

fn store_error(name: String, why: &StoreError) -> OpenError {
    match why {
        StoreError::Busy { bound } => OpenError::TimedOut {
            name,
            bound_ms: milliseconds(*bound),
        },
        StoreError::Foreign => OpenError::NotADisk {
            name,
            what: "a file that is not an emulated disk".to_owned(),
            instead: Vec::new(),
        },
        StoreError::OtherBehaviour { .. } | StoreError::OtherSize { .. } => OpenError::BadName {
            name,
            why: why.to_string(),
        },
        StoreError::Io { why: error, .. }
            if error.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            OpenError::NotPermitted {
                privilege: format!("read and write access to {name}"),
                name,
            }
        }
        StoreError::Io { .. } | StoreError::Newer { .. } | StoreError::Damaged { .. } => {
            OpenError::CannotOpen {
                name,
                why: why.to_string(),
            }
        }
    }
}

fn milliseconds(bound: Duration) -> u64 {
    u64::try_from(bound.as_millis()).unwrap_or(u64::MAX)
}

//! `iscsi://…` as a disk: one session for each portal, each a path and a nexus of its own.

use super::device::{ConnectError, IscsiDevice, Options as SessionOptions};
use super::login::LoginError;
use super::url::{Portal, Url};
use super::{arbiter_isid, own_isid, verbs_isid, world};
use crate::device::{Data, Device, DeviceError};
use crate::disk::paths::over_device;
use crate::disk::{Disk, Identity, OpenError, Options, Path, Purpose, Way};
use crate::iscsi::keyring::Keyring;
use crate::iscsi::name::check_name;
use crate::iscsi::negotiation::Wishes;
use crate::iscsi::pdu::{Isid, LoginStatus};
use crate::reservation::NexusId;
use crate::wire::cdb::Command;
use crate::wire::inquiry::StandardInquiry;
use crate::wire::status::Status;
use crate::wire::transport_id::TransportId;
use crate::wire::vpd::{DeviceIdentification, UnitSerial};

/// Room for any answer to INQUIRY that is used here.
const INQUIRY_BYTES: u16 = 1024;
/// VPD pages (SPC-4 7.8).
const UNIT_SERIAL: u8 = 0x80;
const DEVICE_IDENTIFICATION: u8 = 0x83;
/// PERIPHERAL QUALIFIER: there is no unit behind this LUN.
const NOTHING_THERE: u8 = 3;
const PERIPHERAL_QUALIFIER_SHIFT: u32 = 5;

/// Opens a URL: logs in through every portal.
pub(crate) fn open_disk(name: &str, options: &Options<'_>) -> Result<Disk, OpenError> {
    let bad = |why: String| OpenError::BadName {
        name: Url::shown(name),
        why,
    };
    let url = Url::parse(name).map_err(bad)?;
    let initiator = options.initiator.ok_or_else(|| {
        bad("an initiator name is wanted: --initiator IQN, or QCTL_INITIATOR".to_owned())
    })?;
    check_name(initiator).map_err(|why| bad(format!("--initiator: {why}")))?;
    let keyring = keyring(&url, options)?;

    let mut paths = Vec::new();
    let mut identity: Option<Identity> = None;
    for (index, portal) in url.portals.iter().enumerate() {
        let session = Session {
            url: &url,
            portal,
            initiator,
            isid: isid(options.purpose, index)?,
            keyring: &keyring,
        };
        let (device, found) = session.open(options)?;
        let first = identity.get_or_insert_with(|| found.clone());
        if first.wwid != found.wwid {
            return Err(bad(format!(
                "{portal} leads to another disk than {}",
                url.portals[0]
            )));
        }
        let speaks_for = match options.purpose {
            Purpose::Look => isid(Purpose::Change, index)?,
            Purpose::Verb | Purpose::Change | Purpose::Arbitrate => session.isid,
        };
        paths.push(path(&session.name(), device, speaks_for, options)?);
    }
    Ok(Disk {
        name: name.to_owned(),
        identity: identity.unwrap_or_default(),
        paths,
        usages: Vec::new(),
        attached: Vec::new(),
        remarks: remarks(options.purpose, &keyring),
    })
}

/// The secrets, if they are needed and there are any.
fn keyring(url: &Url, options: &Options<'_>) -> Result<Keyring, OpenError> {
    match (options.chap_file, &url.user) {
        (Some(file), _) => world::read_keyring(file).map_err(|why| OpenError::CannotOpen {
            name: file.display().to_string(),
            why,
        }),
        (None, Some(user)) => Err(OpenError::BadName {
            name: url.of_portal(&url.portals[0]),
            why: format!("the user {user} needs a secret: --chap-file FILE, or QCTL_CHAP_FILE"),
        }),
        (None, None) => Ok(Keyring::default()),
    }
}

fn isid(purpose: Purpose, portal: usize) -> Result<Isid, OpenError> {
    // PORTALS_MAX is far below.
    let portal = u8::try_from(portal).unwrap_or(u8::MAX);
    match purpose {
        Purpose::Arbitrate => Ok(arbiter_isid(portal)),
        Purpose::Change => Ok(verbs_isid(portal)),
        Purpose::Verb | Purpose::Look => own_isid().map_err(|error| OpenError::CannotOpen {
            name: "/dev/urandom".to_owned(),
            why: error.to_string(),
        }),
    }
}

fn remarks(purpose: Purpose, keyring: &Keyring) -> Vec<String> {
    let session = match purpose {
        Purpose::Arbitrate => None,
        Purpose::Verb | Purpose::Look => Some("seen through a session of its own"),
        Purpose::Change => Some("by this host's session for such verbs"),
    };
    let mut remarks: Vec<String> = session
        .map(|session| {
            format!("{session}: an arbiter of this host has another, which is left alone")
        })
        .into_iter()
        .collect();
    if keyring.has_short_secret() {
        remarks.push(
            "a CHAP secret is shorter than 12 characters: whoever reads the network finds it"
                .to_owned(),
        );
    }
    remarks
}

/// One session to open.
struct Session<'a> {
    url: &'a Url,
    portal: &'a Portal,
    initiator: &'a str,
    isid: Isid,
    keyring: &'a Keyring,
}

impl Session<'_> {
    /// The name of its path.
    fn name(&self) -> String {
        self.url.of_portal(self.portal)
    }

    fn open(&self, options: &Options<'_>) -> Result<(IscsiDevice, Identity), OpenError> {
        let with_chap = options.chap_file.is_some();
        let credentials = if with_chap {
            let chosen = self.keyring.choose(self.url.user.as_deref());
            Some(chosen.cloned().map_err(|why| OpenError::CannotOpen {
                name: self.name(),
                why: format!("the CHAP file: {why}"),
            })?)
        } else {
            None
        };
        let settings = SessionOptions {
            portal: self.portal.clone(),
            target: self.url.target.clone(),
            lun: self.url.lun,
            initiator: self.initiator.to_owned(),
            isid: self.isid,
            credentials,
            target_credentials: self.keyring.target.clone(),
            wishes: Wishes::default(),
        };
        let device = IscsiDevice::connect(settings, options.bound)
            .map_err(|error| self.refused(error, options))?;
        let identity = self.identify(&device, options)?;
        Ok((device, identity))
    }

    /// The device with what its user wants around it, here too.
    fn wrapped(&self, device: &IscsiDevice, options: &Options<'_>) -> Box<dyn Device> {
        let bare = || Box::new(device.clone()) as Box<dyn Device>;
        let wrap = options.wrap_device;
        wrap.and_then(|wrap| wrap(&self.name(), vec![bare()]).pop())
            .unwrap_or_else(bare)
    }

    fn refused(&self, error: ConnectError, options: &Options<'_>) -> OpenError {
        let name = self.name();
        match error {
            ConnectError::TimedOut => OpenError::TimedOut {
                name,
                bound_ms: u64::try_from(options.bound.as_millis()).unwrap_or(u64::MAX),
            },
            ConnectError::Connection(why) => OpenError::Transport { name, why },
            ConnectError::Login(LoginError::Refused {
                status: LoginStatus::NOT_FOUND,
                ..
            }) => OpenError::NoSuchTarget {
                target: self.url.target.clone(),
                portal: self.portal.to_string(),
            },
            ConnectError::Login(
                error @ (LoginError::Refused { .. }
                | LoginError::TargetNotProven
                | LoginError::Method(_)),
            ) => OpenError::LoginRefused {
                name,
                why: error.to_string(),
            },
            ConnectError::Login(error @ LoginError::Protocol(_)) => OpenError::Transport {
                name,
                why: error.to_string(),
            },
        }
    }

    /// What it is, by INQUIRY alone: that consumes no attention and passes every reservation.
    fn identify(&self, device: &IscsiDevice, options: &Options<'_>) -> Result<Identity, OpenError> {
        let mut device = self.wrapped(device, options);
        let mut inquiry = |vpd| inquire(&mut *device, vpd, options);
        if options.purpose == Purpose::Arbitrate
            && let Ok(Some(page)) = inquiry(Some(DEVICE_IDENTIFICATION))
            && let Some(identity) = identity_for_an_arbiter(&page)
        {
            return Ok(identity);
        }
        let standard = inquiry(None).map_err(|error| OpenError::Transport {
            name: self.name(),
            why: error.to_string(),
        })?;
        let standard = standard
            .and_then(|data| StandardInquiry::parse(&data).ok())
            .filter(|inquiry| inquiry.qualifier != NOTHING_THERE)
            .ok_or_else(|| OpenError::NoSuchLun {
                target: self.url.target.clone(),
                lun: format!("{:?}", self.url.lun),
            })?;
        let mut page = |page| inquiry(Some(page)).ok().flatten();
        let serial = page(UNIT_SERIAL).and_then(|data| UnitSerial::parse(&data).ok());
        let named = page(DEVICE_IDENTIFICATION)
            .and_then(|data| DeviceIdentification::parse(&data).ok())
            .unwrap_or_default();
        Ok(Identity {
            vendor: Some(standard.vendor),
            model: Some(standard.product),
            revision: Some(standard.revision),
            serial: serial
                .map(|page| page.serial)
                .filter(|serial| !serial.is_empty()),
            wwid: named.wwid(),
            names: named.names(),
            transport: Some("iscsi".to_owned()),
            ..Identity::default()
        })
    }
}

/// An arbiter goes by the world-wide name alone, and is in a hurry: it is one command, where it is told.
fn identity_for_an_arbiter(page: &[u8]) -> Option<Identity> {
    let there = page.first()? >> PERIPHERAL_QUALIFIER_SHIFT == 0;
    let wwid = DeviceIdentification::parse(page).ok()?.wwid()?;
    there.then(|| Identity {
        wwid: Some(wwid),
        transport: Some("iscsi".to_owned()),
        ..Identity::default()
    })
}

/// The answer to an INQUIRY; none when it was refused.
fn inquire(
    device: &mut dyn Device,
    vpd: Option<u8>,
    options: &Options<'_>,
) -> Result<Option<Vec<u8>>, DeviceError> {
    let command = Command::Inquiry {
        vpd,
        allocation_length: INQUIRY_BYTES,
    };
    let mut data = vec![0; INQUIRY_BYTES.into()];
    let done = device.execute(&command.cdb(), Data::In(&mut data), options.bound)?;
    data.truncate(done.transferred);
    Ok((done.status == Status::GOOD).then_some(data))
}

/// Both handles of a path share the session: another login with its ISID would end it.
fn path(
    name: &str,
    device: IscsiDevice,
    speaks_for: Isid,
    options: &Options<'_>,
) -> Result<Path, OpenError> {
    let mut initiator = device.initiator().clone();
    if let TransportId::Iscsi { isid, .. } = &mut initiator {
        *isid = Some(speaks_for.0);
    }
    let nexus = NexusId::Scsi {
        initiator,
        relative_target_port: None,
    };
    let named = (Some(nexus.clone()), vec![nexus.to_string()]);
    over_device(name, Way::Iscsi, named, options, move || {
        Ok(Box::new(device.clone()) as Box<dyn Device>)
    })
}

//! One initiator's way to a real unit: a node of the kernel, or an iSCSI session of our own initiator.

use crate::operation::Operation;
use ::tests::bare_ioctl;
use anyhow::{Context as _, Result, anyhow, ensure};
use scsi::device::{Data, Device as _};
use scsi::iscsi::initiator::{IscsiDevice, Options, Url};
use scsi::iscsi::negotiation::{DigestWish, Wishes};
use scsi::iscsi::pdu::Isid;
use scsi::reservation::ResetScope;
use scsi::wire::cdb::Cdb;
use scsi::wire::sense::Sense;
use scsi::wire::transport_id::TransportId;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

/// Nothing that is sent here takes a hundredth of it.
const BOUND: Duration = Duration::from_secs(30);

/// A way.
pub(crate) enum Port {
    Node(File),
    Session(IscsiDevice),
}

/// What came back.
pub(crate) struct Raw {
    pub(crate) status: u8,
    pub(crate) sense: Option<Sense>,
    /// As long as there was room for it; zeros where nothing came.
    pub(crate) came: Vec<u8>,
}

impl Port {
    /// A device node.
    pub(crate) fn of_node(node: &str) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(node)
            .with_context(|| format!("open {node}"))?;
        Ok(Self::Node(file))
    }

    /// A session to this URL, by the so-many-th of our initiators.
    pub(crate) fn of_url(url: &str, index: u8, digests: DigestWish) -> Result<Self> {
        let url = Url::parse(url).map_err(|why| anyhow!("{url}: {why}"))?;
        let options = Options {
            portal: url.portals[0].clone(),
            target: url.target,
            lun: url.lun,
            initiator: initiator_name(index),
            isid: isid(index),
            credentials: None,
            target_credentials: None,
            wishes: Wishes {
                digests,
                ..Wishes::default()
            },
        };
        Ok(Self::Session(IscsiDevice::connect(options, BOUND)?))
    }

    /// Sends it.
    pub(crate) fn execute(&mut self, operation: &Operation) -> Result<Raw> {
        let mut came = vec![0; operation.data_in];
        match self {
            Self::Node(file) => {
                let mut out = operation.data_out.clone();
                let data = if !out.is_empty() {
                    bare_ioctl::Data::Out(&mut out)
                } else if came.is_empty() {
                    bare_ioctl::Data::None
                } else {
                    bare_ioctl::Data::In(&mut came)
                };
                let ended = bare_ioctl::execute(file, &operation.cdb, data)
                    .with_context(|| format!("{operation:?}"))?;
                let host_status = ended.host_status;
                ensure!(host_status == 0, "{operation:?}: host status {host_status}");
                Ok(Raw {
                    status: ended.status,
                    sense: Sense::parse(&ended.sense),
                    came,
                })
            }
            Self::Session(device) => {
                let cdb = Cdb::new(&operation.cdb).context("a CDB of no length")?;
                let data = if !operation.data_out.is_empty() {
                    Data::Out(&operation.data_out)
                } else if came.is_empty() {
                    Data::None
                } else {
                    Data::In(&mut came)
                };
                let done = device
                    .execute(&cdb, data, BOUND)
                    .with_context(|| format!("{operation:?}"))?;
                Ok(Raw {
                    status: done.status.0,
                    sense: done.sense,
                    came,
                })
            }
        }
    }

    /// LUN RESET.
    pub(crate) fn reset(&mut self) -> Result<()> {
        match self {
            Self::Node(file) => bare_ioctl::reset_unit(file).context("reset"),
            Self::Session(device) => device
                .reset(ResetScope::Lun, false, BOUND)
                .context("LUN RESET"),
        }
    }
}

/// The TransportID of the so-many-th of our initiators.
pub(crate) fn transport_id(index: u8) -> TransportId {
    TransportId::Iscsi {
        name: initiator_name(index),
        isid: Some(isid(index).0),
    }
}

fn initiator_name(index: u8) -> String {
    format!("iqn.2026-01.lab:walker-{index}")
}

const fn isid(index: u8) -> Isid {
    Isid([0x80, 0, 0, 0, 0, index])
}

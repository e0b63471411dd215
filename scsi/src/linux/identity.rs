//! What a disk is, from what the kernel already asked it. Sends no command.

use super::resolve::ScsiDisk;
use super::sysfs::{self, Roots};
use crate::disk::{Address, Identity};
use crate::reservation::{HostId, NexusId};
use crate::wire::transport_id::TransportId;
use crate::wire::vpd::{DeviceIdentification, UnitSerial};
use std::path::Path;

/// sysfs counts in these, whatever a logical block is.
const SECTOR_BYTES: u64 = 512;

/// A SCSI disk.
pub(super) fn of_scsi(disk: &ScsiDisk, roots: &Roots) -> Identity {
    let device = &disk.device;
    let attribute = |name: &str| sysfs::text(&device.join(name));
    let page = |name: &str| sysfs::bytes(&device.join(name));
    let serial = page("vpd_pg80").and_then(|page| Some(UnitSerial::parse(&page).ok()?.serial));
    let named = page("vpd_pg83")
        .and_then(|page| DeviceIdentification::parse(&page).ok())
        .unwrap_or_default();
    let (block_count, block_bytes) = size(disk.block.as_deref(), roots);
    Identity {
        vendor: attribute("vendor"),
        model: attribute("model"),
        revision: attribute("rev"),
        serial: serial.filter(|serial| !serial.is_empty()),
        wwid: attribute("wwid").or_else(|| named.wwid()),
        names: named.names(),
        transport: transport(device),
        address: sysfs::name_of(device).and_then(|name| Address::parse(&name)),
        block_count,
        block_bytes,
    }
}

/// A multipath map: the identity of its paths, which are SCSI disks or NVMe namespaces, and the size of the map.
pub(super) fn of_map(
    map: &str,
    paths: &[ScsiDisk],
    namespaces: &[String],
    roots: &Roots,
) -> Identity {
    let (block_count, block_bytes) = size(Some(map), roots);
    let scsi = paths.first().map(|path| of_scsi(path, roots));
    let nvme = || namespaces.first().map(|path| of_nvme(path, roots));
    Identity {
        address: None,
        block_count,
        block_bytes,
        ..scsi.or_else(nvme).unwrap_or_default()
    }
}

/// An NVMe namespace.
pub(super) fn of_nvme(block: &str, roots: &Roots) -> Identity {
    let namespace = roots.block(block);
    let controller = namespace.join("device");
    let attribute = |name: &str| sysfs::text(&controller.join(name));
    let (block_count, block_bytes) = size(Some(block), roots);
    Identity {
        vendor: None,
        model: attribute("model"),
        revision: attribute("firmware_rev"),
        serial: attribute("serial"),
        wwid: sysfs::text(&namespace.join("wwid")),
        names: Vec::new(),
        transport: attribute("transport").map(|transport| format!("nvme-{transport}")),
        address: None,
        block_count,
        block_bytes,
    }
}

/// Number and size of the logical blocks.
fn size(block: Option<&str>, roots: &Roots) -> (Option<u64>, Option<u32>) {
    let Some(block) = block else {
        return (None, None);
    };
    let folder = roots.block(block);
    let bytes = sysfs::number::<u32>(&folder.join("queue/logical_block_size"));
    let sectors = sysfs::number::<u64>(&folder.join("size"));
    let count = sectors.zip(bytes).and_then(|(sectors, bytes)| {
        sectors
            .checked_mul(SECTOR_BYTES)?
            .checked_div(u64::from(bytes))
    });
    (count, bytes)
}

/// How a SCSI device is attached, by the folders that it lies in.
fn transport(device: &Path) -> Option<String> {
    let parts: Vec<String> = device
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    let lies_in = |prefix: &str| parts.iter().any(|part| part.starts_with(prefix));
    let by_folder = [
        ("session", "iscsi"),
        ("rport-", "fc"),
        ("end_device-", "sas"),
        ("tcm_loop", "loop"),
        ("usb", "usb"),
        ("ata", "ata"),
        ("virtio", "virtio"),
    ];
    by_folder
        .iter()
        .find(|(prefix, _)| lies_in(prefix))
        .map(|(_, transport)| (*transport).to_owned())
        .or_else(|| host_driver(device))
}

/// The folder of the host adapter above a SCSI device.
fn host_folder(device: &Path) -> Option<&Path> {
    device.ancestors().find(|folder| {
        sysfs::name_of(folder).is_some_and(|name| {
            name.strip_prefix("host")
                .is_some_and(|number| number.parse::<u32>().is_ok())
        })
    })
}

fn host_driver(device: &Path) -> Option<String> {
    let host = host_folder(device)?;
    let name = sysfs::name_of(host)?;
    sysfs::text(&host.join("scsi_host").join(name).join("proc_name"))
}

/// This host's end of the nexus, and the target port at the other, as far as the kernel tells.
pub(super) fn nexus_of_scsi(disk: &ScsiDisk) -> Option<NexusId> {
    let initiator = iscsi_initiator(&disk.device)
        .or_else(|| fc_initiator(&disk.device))
        .or_else(|| sas_initiator(&disk.device))?;
    let page = sysfs::bytes(&disk.device.join("vpd_pg83"));
    let relative_target_port = page
        .and_then(|page| DeviceIdentification::parse(&page).ok())
        .and_then(|page| page.relative_target_port());
    Some(NexusId::Scsi {
        initiator,
        relative_target_port,
    })
}

/// What an arbiter on this path locks. The address is every node's (sd, sg, bsg) and tells two paths apart
/// although their ports are not known; the nexus is still the same when the path came back under another
/// address while the first one's user lives.
pub(super) fn lock_names_of_scsi(disk: &ScsiDisk) -> Vec<String> {
    let address = sysfs::name_of(&disk.device).map(|address| format!("scsi {address}"));
    let nexus = nexus_of_scsi(disk).filter(|nexus| match nexus {
        NexusId::Scsi {
            relative_target_port,
            ..
        } => relative_target_port.is_some(),
        NexusId::Nvme { .. } => true,
    });
    let nexus = nexus.map(|nexus| nexus.to_string());
    address.into_iter().chain(nexus).collect()
}

/// The same for a namespace: a host has one registration, whatever its controllers.
pub(super) fn lock_names_of_nvme(block: &str, roots: &Roots) -> Vec<String> {
    let host = nexus_of_nvme(block, roots);
    vec![host.map_or_else(|| "nvme host".to_owned(), |host| host.to_string())]
}

/// The same for a map by the kernel's calls: all of its paths. A map without any is known by its name.
pub(super) fn lock_names_of_map(
    map: &str,
    paths: &[ScsiDisk],
    namespaces: &[String],
    roots: &Roots,
) -> Vec<String> {
    let scsi = paths.iter().flat_map(lock_names_of_scsi);
    let nvme = namespaces
        .iter()
        .flat_map(|namespace| lock_names_of_nvme(namespace, roots));
    let mut names: Vec<String> = scsi.chain(nvme).collect();
    if names.is_empty() {
        names.push(format!("map {map}"));
    }
    names
}

fn iscsi_initiator(device: &Path) -> Option<TransportId> {
    let folder = device
        .ancestors()
        .find(|folder| sysfs::name_of(folder).is_some_and(|name| name.starts_with("session")))?;
    let session = folder.join("iscsi_session").join(sysfs::name_of(folder)?);
    Some(TransportId::Iscsi {
        name: sysfs::text(&session.join("initiatorname"))?,
        isid: sysfs::text(&session.join("isid")).and_then(|isid| fixed_hex(&isid)),
    })
}

fn fc_initiator(device: &Path) -> Option<TransportId> {
    let host = host_folder(device)?;
    let name = sysfs::name_of(host)?;
    let port = sysfs::text(&host.join("fc_host").join(name).join("port_name"))?;
    fixed_hex(&port).map(TransportId::FibreChannel)
}

/// Every phy of the adapter's port has the port's address.
fn sas_initiator(device: &Path) -> Option<TransportId> {
    let host = host_folder(device)?;
    let addresses: Vec<String> = sysfs::names(host)
        .into_iter()
        .filter(|name| name.starts_with("phy-"))
        .filter_map(|phy| {
            sysfs::text(
                &host
                    .join(&phy)
                    .join("sas_phy")
                    .join(&phy)
                    .join("sas_address"),
            )
        })
        .collect();
    let first = addresses.first()?;
    let one_port = addresses.iter().all(|address| address == first);
    one_port
        .then(|| fixed_hex(first).map(TransportId::Sas))
        .flatten()
}

/// Just so many bytes in hexadecimal, with or without `0x` and dashes.
fn fixed_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits: Vec<u8> = text
        .strip_prefix("0x")
        .unwrap_or(text)
        .bytes()
        .filter(|&byte| byte != b'-')
        .map(|byte| {
            char::from(byte)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        })
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect();
    if digits.len() == 2 * N {
        bytes.try_into().ok()
    } else {
        None
    }
}

/// This host as an NVMe registrant, where the controller's host identifier is known (fabrics).
pub(super) fn nexus_of_nvme(block: &str, roots: &Roots) -> Option<NexusId> {
    let host = sysfs::text(&roots.block(block).join("device/hostid"))?;
    fixed_hex(&host).map(|host| NexusId::Nvme { host: HostId(host) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_read_with_and_without_prefix_and_dashes_and_only_at_their_length() {
        assert_eq!(
            fixed_hex("0x2100001b32a1"),
            Some([0x21, 0, 0, 0x1b, 0x32, 0xa1])
        );
        assert_eq!(fixed_hex("00-01"), Some([0, 1]));
        for bad in ["", "0", "001", "00zz", "000102", "+1-1"] {
            assert_eq!(fixed_hex::<2>(bad), None, "{bad}");
        }
    }
}

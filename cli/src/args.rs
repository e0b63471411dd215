//! Arguments as values. What cannot be meant unambiguously is refused here, with an explanation.
//!
//! Rules:
//! * a key is `0x` and hexadecimal digits, or is named by who registered it; bare digits are refused,
//!   for some tools read them as decimal and some as hexadecimal;
//! * a reservation type is a name: SCSI and NVMe number the types differently;
//! * a duration has a unit.

use crate::exit::{Exit, Failure};
use quorum_core::arbitration::KeyParts;
use scsi::reservation::{Key, PersistentState, Registration, ReservationType};
use scsi::wire::transport_id::TransportId;
use std::str::FromStr;
use std::time::Duration;

/// A key as a user gives it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum KeyArg {
    /// `0x…`: this very key.
    Value(Key),
    /// `node:N`: the key that this node of a cluster has registered.
    Node(u8),
    /// `nexus:NAME`: the key that this nexus has registered.
    Nexus(String),
}

impl FromStr for KeyArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(number) = text.strip_prefix("node:") {
            return match number.parse() {
                Ok(0) | Err(_) => Err("a node is node:1 to node:255".to_owned()),
                Ok(number) => Ok(Self::Node(number)),
            };
        }
        if let Some(name) = text.strip_prefix("nexus:") {
            return if name.is_empty() {
                Err("nexus: wants a name, as `qctl disk show` prints it".to_owned())
            } else {
                Ok(Self::Nexus(name.to_owned()))
            };
        }
        key_value(text).map(Self::Value)
    }
}

/// A literal key: `0x` and one to sixteen hexadecimal digits, not zero.
pub(crate) fn key_value(text: &str) -> Result<Key, String> {
    let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) else {
        let hex = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        return Err(if hex {
            format!(
                "bare digits are ambiguous (sg_persist reads them as hexadecimal, others as decimal); \
                 if you mean hexadecimal, write 0x{text}"
            )
        } else {
            "a key is 0x and hexadecimal digits, node:N, or nexus:NAME".to_owned()
        });
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("after 0x come hexadecimal digits, and nothing else".to_owned());
    }
    let value = u64::from_str_radix(digits, 16)
        .map_err(|_| "a key has 64 bits: at most sixteen hexadecimal digits".to_owned())?;
    Key::new(value).ok_or_else(|| {
        "key 0 means \"no key\" and cannot be registered; to remove a registration use \
         `qctl disk pr unregister`"
            .to_owned()
    })
}

impl KeyArg {
    /// The key that is meant, in the light of who is registered.
    pub(crate) fn resolve(&self, state: &PersistentState, disk: &str) -> Result<Key, Failure> {
        match self {
            Self::Value(key) => Ok(*key),
            Self::Node(node) => one_key(
                &format!("node:{node}"),
                state.registrations.iter().filter(|entry| {
                    KeyParts::decode(entry.key).is_some_and(|parts| parts.node.0 == *node)
                }),
                disk,
            ),
            Self::Nexus(name) => {
                let named = |entry: &&Registration, exact: bool| {
                    entry.nexus.as_ref().is_some_and(|nexus| {
                        let nexus = nexus.to_string();
                        if exact {
                            nexus == *name
                        } else {
                            nexus.contains(name.as_str())
                        }
                    })
                };
                let exact = state.registrations.iter().any(|entry| named(&entry, true));
                one_key(
                    &format!("nexus:{name}"),
                    state
                        .registrations
                        .iter()
                        .filter(|entry| named(entry, exact)),
                    disk,
                )
            }
        }
    }
}

/// The one key of these registrations; a failure when there is none, or several.
fn one_key<'a>(
    name: &str,
    entries: impl Iterator<Item = &'a Registration>,
    disk: &str,
) -> Result<Key, Failure> {
    let mut keys: Vec<Key> = entries.map(|entry| entry.key).collect();
    keys.sort_unstable();
    keys.dedup();
    match keys.as_slice() {
        [key] => Ok(*key),
        [] => Err(Failure::new(
            Exit::NoSuch,
            format!("{name} has no registration on {disk}"),
            format!("qctl disk show {disk}   (who is registered)"),
        )),
        several => Err(Failure::new(
            Exit::NoSuch,
            format!("{name} names {} different keys on {disk}", several.len()),
            format!("name one of them by its value: {}", list(several)),
        )),
    }
}

/// Keys, separated by commas.
pub(crate) fn list(keys: &[Key]) -> String {
    keys.iter()
        .map(Key::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// A reservation type by name.
pub(crate) fn kind(text: &str) -> Result<ReservationType, String> {
    ReservationType::from_name(text).ok_or_else(|| {
        let names = ReservationType::ALL.map(|kind| format!("{} ({})", kind.name(), kind.words()));
        let why = if text.bytes().all(|byte| byte.is_ascii_digit()) {
            "types are named, because SCSI and NVMe number them differently"
        } else {
            "not a reservation type"
        };
        format!("{why}: {}", names.join(", "))
    })
}

/// An initiator port, as `qctl disk show` prints it.
pub(crate) fn initiator(text: &str) -> Result<TransportId, String> {
    text.parse().map_err(|error| format!("{error}"))
}

/// A duration with its unit: `500ms`, `2s`, `1m`, `1h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let wrong = || "a duration is a number and its unit: 500ms, 2s, 1m, 1h".to_owned();
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => return Err(wrong()),
    };
    // A year bounds every sum of durations far below an overflow of `Instant`.
    match millis {
        Some(millis) if millis <= 366 * 24 * 3_600_000 => Ok(Duration::from_millis(millis)),
        _ => Err("longer than a year".to_owned()),
    }
}

/// A duration that is not zero.
pub(crate) fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("zero is too short".to_owned()),
        span => Ok(span),
    }
}

/// A size with its unit, in whole blocks of 512 bytes.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let wrong =
        || "a size is a number and its unit: 64MiB, 1GiB; it is a multiple of 512 bytes".to_owned();
    let factor: u64 = match unit {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number
        .checked_mul(factor)
        .filter(|bytes| *bytes > 0 && bytes.is_multiple_of(512) && *bytes <= 1 << 50)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorum_core::arbitration::{ClusterTag, NodeNumber};
    use scsi::reservation::{HostId, NexusId};

    #[test]
    fn a_size_has_a_unit_and_whole_blocks() {
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert_eq!(size("1KiB"), Ok(1024));
        for wrong in ["", "64", "64M", "0MiB", "-1MiB", "1.5GiB", "9999999TiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_is_hexadecimal_with_its_prefix() {
        assert_eq!("0x1f".parse(), Ok(KeyArg::Value(Key::new(0x1f).unwrap())));
        assert_eq!("node:3".parse(), Ok(KeyArg::Node(3)));
        assert_eq!("nexus:a".parse(), Ok(KeyArg::Nexus("a".to_owned())));
        for wrong in [
            "", "0x", "0xg", "0x0", "12", "abc", "node:0", "node:256", "nexus:",
        ] {
            assert!(wrong.parse::<KeyArg>().is_err(), "{wrong}");
        }
        assert!("0x10000000000000000".parse::<KeyArg>().is_err());
    }

    #[test]
    fn bare_digits_are_explained() {
        let why = key_value("123").unwrap_err();
        assert!(why.contains("write 0x123"), "{why}");
    }

    #[test]
    fn a_duration_needs_its_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("1m"), Ok(Duration::from_secs(60)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
        for wrong in [
            "",
            "5",
            "s",
            "1.5s",
            "-1s",
            "99999999999h",
            "18446744073709551615m",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert!(positive_duration("0ms").is_err());
    }

    #[test]
    fn a_nexus_names_the_one_key_that_it_registered() {
        let entry = |key, host| Registration {
            key: Key::new(key).unwrap(),
            nexus: Some(NexusId::Nvme {
                host: HostId([host; 16]),
            }),
            holder: None,
            all_target_ports: false,
        };
        let state = PersistentState {
            registrations: vec![entry(1, 0xaa), entry(2, 0xab)],
            ..PersistentState::default()
        };
        let resolve = |name: &str| {
            name.parse::<KeyArg>()
                .unwrap()
                .resolve(&state, "d")
                .map_err(|failure| failure.exit)
        };
        assert_eq!(resolve("nexus:abab"), Ok(Key::new(2).unwrap()));
        assert_eq!(resolve("nexus:host:a"), Err(Exit::NoSuch));
        assert_eq!(resolve("nexus:zz"), Err(Exit::NoSuch));
        assert_eq!(resolve("0x9"), Ok(Key::new(9).unwrap()));
    }

    #[test]
    fn a_node_names_the_one_key_that_it_registered() {
        let key = |node, serial| {
            KeyParts {
                cluster: ClusterTag::from_bits(5),
                node: NodeNumber(node),
                serial,
            }
            .encode()
        };
        let entry = |key| Registration {
            key,
            nexus: None,
            holder: None,
            all_target_ports: false,
        };
        // Two paths of node 1 share a key; node 2 has an old one too; the last is no arbiter's.
        let keys = [
            key(1, 9),
            key(1, 9),
            key(2, 3),
            key(2, 4),
            Key::new(3).unwrap(),
        ];
        let state = PersistentState {
            registrations: keys.map(entry).to_vec(),
            ..PersistentState::default()
        };
        let resolve = |node| {
            KeyArg::Node(node)
                .resolve(&state, "d")
                .map_err(|failure| failure.message)
        };
        assert_eq!(resolve(1), Ok(key(1, 9)));
        assert_eq!(
            resolve(2),
            Err("node:2 names 2 different keys on d".to_owned())
        );
        assert_eq!(
            resolve(3),
            Err("node:3 has no registration on d".to_owned())
        );
    }
}

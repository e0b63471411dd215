//! CHAP (RFC 1994 over RFC 7143 12.1.3): the computation, the encodings and the rules for secrets.
//!
//! ```text
//!   initiator                                   target
//!   AuthMethod=CHAP,None              ──►
//!                                     ◄──       AuthMethod=CHAP
//!   CHAP_A=7,5                        ──►
//!                                     ◄──       CHAP_A=7  CHAP_I=id  CHAP_C=challenge
//!   CHAP_N=name  CHAP_R=H(id, secret, challenge)
//!   [CHAP_I=id'  CHAP_C=challenge']   ──►
//!                                     ◄──       [CHAP_N=name'  CHAP_R=H(id', secret', challenge')]
//! ```
//!
//! Invariants:
//! * a secret never leaves this module but hashed, and is never printed;
//! * responses are compared in time that does not depend on where they differ.

use std::fmt;

/// RFC 7143 12.1.3: a challenge has at most 1024 bytes.
const BINARY_BYTES_MAX: usize = 1024;

/// How long our own challenges are: as long as the longest hash.
pub const CHALLENGE_BYTES: usize = 32;

/// RFC 7143 12.1.3 asks for at least 96 bits of secret where IPsec does not protect the connection.
pub const SECRET_BYTES_MIN: usize = 12;

/// A hash function by its number in CHAP_A.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Algorithm {
    /// 5: MD5, the one that everybody has.
    Md5,
    /// 7: SHA-256.
    Sha256,
}

impl Algorithm {
    /// What we offer, best first.
    pub const OFFER: &'static str = "7,5";

    /// The algorithm with this number.
    #[must_use]
    pub fn from_number(number: &str) -> Option<Self> {
        match number {
            "5" => Some(Self::Md5),
            "7" => Some(Self::Sha256),
            _ => None,
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> &'static str {
        match self {
            Self::Md5 => "5",
            Self::Sha256 => "7",
        }
    }

    /// The first of a list of numbers that is known here.
    #[must_use]
    pub fn choose(offer: &str) -> Option<Self> {
        offer.split(',').find_map(Self::from_number)
    }

    /// The response to a challenge.
    #[must_use]
    pub fn response(self, id: u8, secret: &Secret, challenge: &[u8]) -> Vec<u8> {
        match self {
            Self::Md5 => hash::<md5::Md5>(id, secret, challenge),
            Self::Sha256 => hash::<sha2::Sha256>(id, secret, challenge),
        }
    }
}

fn hash<D: sha2::Digest>(id: u8, secret: &Secret, challenge: &[u8]) -> Vec<u8> {
    let mut hasher = D::new();
    hasher.update([id]);
    hasher.update(&secret.0);
    hasher.update(challenge);
    hasher.finalize().to_vec()
}

/// A shared secret.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// The secret with these bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Is it shorter than is safe on a network that others can read?
    #[must_use]
    pub const fn is_short(&self) -> bool {
        self.0.len() < SECRET_BYTES_MIN
    }

    /// Are the two the same? A target must not accept its own secret from an initiator (RFC 7143 12.1.3).
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        same(&self.0, &other.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A name and its secret.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// CHAP_N.
    pub name: String,
    /// What proves it.
    pub secret: Secret,
}

/// Are they equal? Takes as long for any two of one length.
#[must_use]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |seen, (x, y)| seen | (x ^ y)) == 0
}

/// A binary value in hexadecimal.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    use fmt::Write as _;
    let mut text = String::from("0x");
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A binary value out of hexadecimal (`0x`) or base64 (`0b`), of 1 to 1024 bytes.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let (prefix, digits) = text.split_at_checked(2)?;
    let bytes = match prefix {
        "0x" | "0X" => decode_hex(digits)?,
        "0b" | "0B" => decode_base64(digits)?,
        _ => return None,
    };
    (1..=BINARY_BYTES_MAX)
        .contains(&bytes.len())
        .then_some(bytes)
}

fn decode_hex(digits: &str) -> Option<Vec<u8>> {
    if digits.len() > 2 * BINARY_BYTES_MAX {
        return None;
    }
    let nibbles: Vec<u8> = digits
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|value| u8::try_from(value).ok())
        })
        .collect::<Option<_>>()?;
    // An odd count: the leading zero is left out.
    let (first, rest) = nibbles.split_at(nibbles.len() % 2);
    let mut bytes = first.to_vec();
    bytes.extend(rest.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]));
    Some(bytes)
}

fn decode_base64(digits: &str) -> Option<Vec<u8>> {
    if digits.len() > BINARY_BYTES_MAX.div_ceil(3) * 4 || !digits.len().is_multiple_of(4) {
        return None;
    }
    let content = digits.trim_end_matches('=');
    if digits.len() - content.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(content.len());
    let (mut bits, mut held) = (0_u32, 0);
    for digit in content.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn challenge() -> Vec<u8> {
        (0..16).collect()
    }

    /// Computed with another implementation of MD5 and SHA-256 over id, secret, challenge.
    #[test]
    fn known_responses() {
        let secret = Secret::new(*b"0123456789abcdef");
        assert_eq!(
            encode(&Algorithm::Md5.response(0x2a, &secret, &challenge())),
            "0x0fbee2a235349701655e644832d106bf"
        );
        assert_eq!(
            encode(&Algorithm::Sha256.response(0x2a, &secret, &challenge())),
            "0xd8c3aedd13f3e0017b09becc2da9c74a6d001ab22424256ad456063e668f5d14"
        );
    }

    #[test]
    fn the_first_known_algorithm_of_an_offer_is_chosen() {
        assert_eq!(Algorithm::choose("8,7,5"), Some(Algorithm::Sha256));
        assert_eq!(Algorithm::choose("5,7"), Some(Algorithm::Md5));
        assert_eq!(Algorithm::choose("6"), None);
        assert_eq!(Algorithm::choose(""), None);
    }

    #[test]
    fn binary_values_are_hexadecimal_or_base64() {
        assert_eq!(decode("0x0aFf"), Some(vec![0x0a, 0xff]));
        assert_eq!(decode("0xaff"), Some(vec![0x0a, 0xff]));
        assert_eq!(decode("0bTWFu"), Some(b"Man".to_vec()));
        assert_eq!(decode("0bTWE="), Some(b"Ma".to_vec()));
        assert_eq!(decode("0bTQ=="), Some(b"M".to_vec()));
        for wrong in [
            "", "0", "0x", "0b", "0xg0", "ff", "0bTQ=", "0b=TQ=", "0b????", "é0x",
        ] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
        assert_eq!(decode(&format!("0x{}", "00".repeat(1025))), None);
    }

    #[test]
    fn a_secret_is_not_printed() {
        let credentials = Credentials {
            name: "me".to_owned(),
            secret: Secret::new(*b"hidden"),
        };
        assert!(!format!("{credentials:?}").contains("hidden"));
    }

    proptest! {
        #[test]
        fn encoding_is_undone_by_decoding(bytes in proptest::collection::vec(any::<u8>(), 1..100)) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }

        #[test]
        fn no_text_panics(text: String) {
            for text in [text.clone(), format!("0x{text}"), format!("0b{text}")] {
                prop_assert!(decode(&text).is_none_or(|bytes| !bytes.is_empty()));
            }
        }
    }
}

//! The `key=value` lists of login and text requests (RFC 7143 6.1).
//!
//! ```text
//!   InitiatorName=iqn.2026-01.org.example:a NUL AuthMethod=CHAP,None NUL …
//! ```
//!
//! Invariants:
//! * a list holds at most [`PAIRS_MAX`] pairs, and a text gathered from several PDUs at most [`TEXT_BYTES_MAX`]
//!   bytes, whatever arrives;
//! * emitting what was parsed gives the same list.

use std::fmt;

/// How many pairs one text may have. A whole login has about 25, a discovery of one target 2.
pub const PAIRS_MAX: usize = 256;

/// How long a text may be that goes over several PDUs. RFC 7143 6.1 wants at least 8192 received.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// RFC 7143 6.1: a key name has at most 63 characters.
const KEY_BYTES_MAX: usize = 63;

/// The longest value. RFC 7143 6.1 says 255, but binary values may have 1024 bytes, in hexadecimal.
const VALUE_BYTES_MAX: usize = 2 + 2 * 1024;

/// The answer to a key that is not known.
pub const NOT_UNDERSTOOD: &str = "NotUnderstood";
/// The answer to a value that cannot be taken.
pub const REJECT: &str = "Reject";
/// The answer to a key that means nothing beside another.
pub const IRRELEVANT: &str = "Irrelevant";

/// Why a text is not a list of pairs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum TextError {
    /// Longer than is taken, or too many pairs.
    #[error("the text is too long")]
    TooLong,
    /// Something that is no pair. The offset counts from the start of the text.
    #[error("no key=value pair at byte {offset} of the text")]
    NotAPair {
        /// Where it starts.
        offset: usize,
    },
}

/// A list of pairs, in order. A key may stand there several times (`TargetAddress` of a discovery).
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The pairs of this text. The NUL behind the last one may be missing.
    ///
    /// # Errors
    /// [`TextError`].
    pub fn parse(text: &[u8]) -> Result<Self, TextError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(TextError::TooLong);
        }
        let mut pairs = Vec::new();
        let mut offset = 0;
        for part in text.split(|&byte| byte == 0) {
            // Some initiators pad a text with NULs.
            if !part.is_empty() {
                if pairs.len() == PAIRS_MAX {
                    return Err(TextError::TooLong);
                }
                pairs.push(pair(part).ok_or(TextError::NotAPair { offset })?);
            }
            offset += part.len() + 1;
        }
        Ok(Self(pairs))
    }

    /// The text.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for (key, value) in &self.0 {
            text.extend_from_slice(key.as_bytes());
            text.push(b'=');
            text.extend_from_slice(value.as_bytes());
            text.push(0);
        }
        text
    }

    /// Adds a pair at the end.
    ///
    /// # Panics
    /// When key or value could not be parsed again. Keys are literals; values are checked where they come
    /// from outside.
    pub fn push(&mut self, key: &str, value: impl Into<String>) {
        let value = value.into();
        assert!(is_key(key), "{key}: not a key");
        assert!(is_value(&value), "{key}: not a value");
        self.0.push((key.to_owned(), value));
    }

    /// The value of the first pair with this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter()
            .find_map(|(known, value)| (known == key).then_some(value))
    }

    /// All pairs, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// A key that stands there twice: not allowed where values are negotiated (RFC 7143 6.2).
    #[must_use]
    pub fn repeated(&self) -> Option<&str> {
        let mut keys: Vec<&str> = self.iter().map(|(key, _)| key).collect();
        keys.sort_unstable();
        keys.windows(2)
            .find_map(|pair| (pair[0] == pair[1]).then_some(pair[0]))
    }

    /// Are there none?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Keys, and the values of all that are no part of an authentication.
impl fmt::Debug for Pairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (key, value) in self.iter() {
            map.entry(
                &key,
                &if key.starts_with("CHAP_") {
                    "…"
                } else {
                    value
                },
            );
        }
        map.finish()
    }
}

/// Can this stand as a value?
#[must_use]
pub fn is_value(value: &str) -> bool {
    value.len() <= VALUE_BYTES_MAX && !value.contains('\0')
}

fn is_key(key: &str) -> bool {
    // RFC 7143 6.1: standard-label, with the characters that extension keys use too.
    (1..=KEY_BYTES_MAX).contains(&key.len())
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-+@_/:#".contains(&byte))
}

fn pair(part: &[u8]) -> Option<(String, String)> {
    let (key, value) = std::str::from_utf8(part).ok()?.split_once('=')?;
    (is_key(key) && is_value(value)).then(|| (key.to_owned(), value.to_owned()))
}

/// Gathers a text that goes over several PDUs.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Gather(Vec<u8>);

impl Gather {
    /// Adds one PDU's part. Gives the pairs when no more follows.
    ///
    /// # Errors
    /// [`TextError`]; what was gathered is dropped.
    pub fn push(&mut self, part: &[u8], more: bool) -> Result<Option<Pairs>, TextError> {
        if self.0.len() + part.len() > TEXT_BYTES_MAX {
            self.0 = Vec::new();
            return Err(TextError::TooLong);
        }
        self.0.extend_from_slice(part);
        if more {
            return Ok(None);
        }
        Pairs::parse(&std::mem::take(&mut self.0)).map(Some)
    }
}

/// A number as login texts write it: decimal, or hexadecimal with 0x.
#[must_use]
pub fn number(value: &str) -> Option<u32> {
    match value
        .strip_prefix("0x")
        .or_else(|| value.strip_prefix("0X"))
    {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            u32::from_str_radix(digits, 16).ok()
        }
        None if value.bytes().all(|byte| byte.is_ascii_digit()) => value.parse().ok(),
        Some(_) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_login_text_reads_as_its_pairs() {
        let text = b"InitiatorName=iqn.a:b\0SessionType=Normal\0AuthMethod=CHAP,None\0";
        let pairs = Pairs::parse(text).unwrap();
        assert_eq!(pairs.get("InitiatorName"), Some("iqn.a:b"));
        assert_eq!(pairs.get("AuthMethod"), Some("CHAP,None"));
        assert_eq!(pairs.get("TargetName"), None);
        assert_eq!(pairs.emit(), text);
    }

    #[test]
    fn an_equals_sign_in_a_value_belongs_to_the_value_and_an_empty_value_is_one() {
        let pairs = Pairs::parse(b"A=b=c\0SendTargets=\0").unwrap();
        assert_eq!(pairs.get("A"), Some("b=c"));
        assert_eq!(pairs.get("SendTargets"), Some(""));
    }

    #[test]
    fn what_is_no_pair_is_refused_with_its_place() {
        let wrong = |text: &[u8]| Pairs::parse(text).unwrap_err();
        assert_eq!(wrong(b"A=b\0nonsense\0"), TextError::NotAPair { offset: 4 });
        assert_eq!(wrong(b"=b\0"), TextError::NotAPair { offset: 0 });
        assert_eq!(wrong(b"A\xff=b\0"), TextError::NotAPair { offset: 0 });
        let long = format!("{}=b", "k".repeat(64));
        assert_eq!(wrong(long.as_bytes()), TextError::NotAPair { offset: 0 });
        assert_eq!(wrong(&b"A=b\0".repeat(257)), TextError::TooLong);
        assert_eq!(wrong(&vec![0; TEXT_BYTES_MAX + 1]), TextError::TooLong);
    }

    #[test]
    fn a_text_over_several_requests_is_gathered_up_to_a_bound() {
        let mut gather = Gather::default();
        assert_eq!(gather.push(b"Initiat", true), Ok(None));
        let pairs = gather.push(b"orName=x\0", false).unwrap().unwrap();
        assert_eq!(pairs.get("InitiatorName"), Some("x"));

        let part = vec![b'a'; 8192];
        for _ in 0..8 {
            assert_eq!(gather.push(&part, true), Ok(None));
        }
        assert_eq!(gather.push(&part, true), Err(TextError::TooLong));
    }

    #[test]
    fn what_belongs_to_an_authentication_is_not_printed() {
        let pairs = Pairs::parse(b"CHAP_R=0x1234\0CHAP_N=me\0").unwrap();
        assert!(!format!("{pairs:?}").contains("1234"));
    }

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        assert_eq!(number("262144"), Some(262_144));
        assert_eq!(number("0x40000"), Some(262_144));
        for wrong in ["", "-1", "+1", "0x", "1 ", "4294967296", "0x+1"] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_to_pairs_that_emit_to_themselves(text: Vec<u8>) {
            if let Ok(pairs) = Pairs::parse(&text) {
                prop_assert_eq!(Pairs::parse(&pairs.emit()), Ok(pairs));
            }
        }
    }
}

//! Words, spans and numbers of the language.

use anyhow::{Context as _, Result, bail, ensure};
use std::time::Duration;

/// Splits at blanks; `'...'` keeps blanks together, and may stand inside a word.
pub(crate) fn split(text: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut is_quoted = false;
    for character in text.chars() {
        match character {
            '\'' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            blank if blank.is_whitespace() && !is_quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    ensure!(!is_quoted, "a quote is not closed");
    words.extend(word);
    Ok(words)
}

/// `500ms` or `20s`.
pub(crate) fn span(word: &str) -> Result<Duration> {
    if let Some(number) = word.strip_suffix("ms") {
        return Ok(Duration::from_millis(number.parse()?));
    }
    match word.strip_suffix('s') {
        Some(number) => Ok(Duration::from_secs(number.parse()?)),
        None => bail!("{word:?} is no span of time: 500ms or 20s"),
    }
}

/// A byte as `0x5a`.
pub(crate) fn byte(word: &str) -> Result<u8> {
    let digits = word
        .strip_prefix("0x")
        .with_context(|| format!("{word:?} is no byte: 0x5a"))?;
    Ok(u8::from_str_radix(digits, 16)?)
}

/// A key as `0x` and hex digits without leading zeros, as sg_persist prints them.
pub(crate) fn key(word: &str) -> Result<String> {
    let digits = word
        .strip_prefix("0x")
        .with_context(|| format!("{word:?} is no key: 0xa1"))?;
    let key = u64::from_str_radix(digits, 16)?;
    Ok(format!("{key:#x}"))
}

/// `path=value`.
pub(crate) fn field(word: &str) -> Result<(String, String)> {
    let (path, value) = word
        .split_once('=')
        .with_context(|| format!("{word:?} is no PATH=VALUE"))?;
    Ok((path.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_blanks_together_also_inside_a_word() {
        assert_eq!(
            split("sh -c 'echo a b' x='y z' ''").unwrap(),
            ["sh", "-c", "echo a b", "x=y z", ""]
        );
        assert!(split("a 'b").is_err());
    }

    #[test]
    fn spans_bytes_and_keys_have_one_spelling() {
        assert_eq!(span("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(span("20s").unwrap(), Duration::from_secs(20));
        assert!(span("20").is_err());
        assert_eq!(byte("0x5a").unwrap(), 0x5A);
        assert_eq!(key("0x00a1").unwrap(), "0xa1");
        assert!(key("a1").is_err());
    }
}

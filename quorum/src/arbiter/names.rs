//! File names made of what a disk, a cluster or a nexus is called.
//!
//! Invariants: two different lists of names never share a file name (but for a 64-bit hash collision of
//! names too long to be spelled out); the file name has no slash, no dot in front, at most 200 bytes.

/// The longest name that is spelled out; NAME_MAX is 255, and a suffix follows.
const SPELLED_MAX: usize = 180;

/// `kind`, then the names, each with everything but letters, digits, `-` and `_` written as `%xx`.
pub(super) fn file_name(kind: &str, names: &[&str]) -> String {
    let mut spelled = String::from(kind);
    for name in names {
        spelled.push('+');
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
                spelled.push(char::from(byte));
            } else {
                spelled.push_str(&format!("%{byte:02x}"));
            }
        }
    }
    if spelled.len() <= SPELLED_MAX {
        return spelled;
    }
    let hash = fnv1a(spelled.as_bytes());
    spelled.truncate(SPELLED_MAX - 17);
    format!("{spelled}~{hash:016x}")
}

/// FNV-1a, 64 bits: the same on every host and in every version.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn names_stay_readable_and_apart() {
        assert_eq!(file_name("lock", &["naa.50", "a/b"]), "lock+naa%2e50+a%2fb");
        assert_ne!(file_name("k", &["a", "bc"]), file_name("k", &["ab", "c"]));
        assert_ne!(file_name("k", &["a+b"]), file_name("k", &["a", "b"]));
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let long = "x".repeat(300);
        let one = file_name("k", &[&long, "1"]);
        let two = file_name("k", &[&long, "2"]);
        assert_ne!(one, two);
        assert!(one.len() <= 200);
    }
}

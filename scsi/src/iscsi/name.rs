//! iSCSI names (RFC 7143 4.2.7).

use crate::wire::transport_id::ISCSI_NAME_LENGTH_MAX;

/// Is this an iSCSI name (RFC 7143 4.2.7.1)? Its type and its characters are looked at, not whose it is.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(name: &str) -> Result<(), String> {
    if !["iqn.", "eui.", "naa."]
        .iter()
        .any(|kind| name.starts_with(kind))
    {
        return Err(format!(
            "{name:?} is no iSCSI name: one begins with iqn., eui. or naa."
        ));
    }
    if name.len() > ISCSI_NAME_LENGTH_MAX {
        return Err(format!(
            "an iSCSI name has at most {ISCSI_NAME_LENGTH_MAX} bytes, this one has {}",
            name.len()
        ));
    }
    let wrong = name.chars().find(|letter| {
        !letter.is_lowercase() && !letter.is_ascii_digit() && !".-:".contains(*letter)
    });
    match wrong {
        Some(letter) => Err(format!(
            "{letter:?} has no place in an iSCSI name: small letters, digits and . - : have"
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_type_and_plain_characters() {
        assert_eq!(check_name("iqn.2026-01.org.example:disk-1"), Ok(()));
        assert_eq!(check_name("naa.600140500000000a"), Ok(()));
        for wrong in [
            "",
            "disk",
            "iqn.A",
            "iqn.a b",
            "iqn.a/b",
            "iqn.a\0",
            "iqn.a,i,0x1",
        ] {
            assert!(check_name(wrong).is_err(), "{wrong}");
        }
        assert!(check_name(&format!("iqn.{}", "a".repeat(220))).is_err());
    }
}

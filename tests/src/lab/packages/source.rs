//! Which mirror of Debian this machine uses.
//!
//! The lab asks the same one: it is the one that can be reached. Both ways to write sources are read: one line
//! each (`*.list`), and paragraphs (`*.sources`). What is no mirror of Debian is passed over.

/// Asked when the machine names no mirror (it is no Debian, but has apt).
pub(crate) const FALLBACK: &str = "http://deb.debian.org/debian";

/// The archive that everything comes from.
pub(crate) const MAIN: &str = "/debian";
/// The archive of security updates, where the newest kernel of a stable Debian is.
pub(crate) const SECURITY: &str = "/debian-security";

/// The first mirror of one of Debian's archives that a file of sources names.
pub(crate) fn debian_mirror(text: &str, archive: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let line = line.trim();
        let uris = if let Some(list) = line.strip_prefix("URIs:") {
            list
        } else if line.starts_with("deb ") {
            line
        } else {
            return None;
        };
        uris.split_whitespace()
            .map(|word| word.trim_end_matches('/'))
            .find(|word| word.contains("://") && word.ends_with(archive))
            .map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_names_its_mirror() {
        let text = "Types: deb\n# was http://old.example/debian\nURIs: http://mirror.example/debian\n\
                    Suites: bookworm\n";
        assert_eq!(
            debian_mirror(text, MAIN).unwrap(),
            "http://mirror.example/debian"
        );
    }

    #[test]
    fn a_line_names_its_mirror() {
        let text = "# deb http://no.example/debian x main\n\
                    deb [signed-by=/k.gpg] https://mirror.example/debian/ bookworm main\n";
        assert_eq!(
            debian_mirror(text, MAIN).unwrap(),
            "https://mirror.example/debian"
        );
    }

    #[test]
    fn security_updates_are_another_archive_and_other_projects_are_passed_over() {
        let security = "URIs: http://a.example/debian-security\n";
        assert_eq!(debian_mirror(security, MAIN), None);
        assert_eq!(
            debian_mirror(security, SECURITY).unwrap(),
            "http://a.example/debian-security"
        );
        assert_eq!(
            debian_mirror("deb https://b.example/node_20.x nodistro main", MAIN),
            None
        );
    }
}

//! `iscsi://[user@]host[:port][,host[:port]…]/target/lun`, as users name a logical unit.
//!
//! Several portals are several ways to one unit, each a nexus of its own.
//!
//! A password has no place here: a URL stands in the process list and in logs, for everybody to read.
//! Secrets come from a file ([`crate::iscsi::keyring`]).

use crate::iscsi::name::check_name;
use crate::iscsi::pdu::Lun;
use std::fmt;

/// The port that is assigned to iSCSI.
const PORT: u16 = 3260;

/// How many portals one URL may name. As many paths as an arbiter serves.
pub const PORTALS_MAX: usize = 8;

/// A portal: an address and a port.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Portal {
    /// A name or an address, without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl fmt::Display for Portal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

/// A logical unit of a target.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Url {
    /// Which credentials to use.
    pub user: Option<String>,
    /// At least one.
    pub portals: Vec<Portal>,
    /// The target's name.
    pub target: String,
    /// The logical unit.
    pub lun: Lun,
}

impl Url {
    /// The URL of one of its portals alone.
    #[must_use]
    pub fn of_portal(&self, portal: &Portal) -> String {
        let lun = self.lun;
        format!("iscsi://{portal}/{}/{lun:?}", self.target)
    }

    /// The text as it may be shown: what stands before the @ may be a secret, and is left out.
    #[must_use]
    pub fn shown(text: &str) -> String {
        match text.rsplit_once('@') {
            Some((_, rest)) => format!("iscsi://…@{rest}"),
            None => text.to_owned(),
        }
    }

    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it. Never repeats what may be a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rest = text
            .strip_prefix("iscsi://")
            .ok_or("it does not begin with iscsi://")?;
        let (authority, path) = rest
            .split_once('/')
            .ok_or("after the portal come /TARGET/LUN")?;
        let (user, portals) = match authority.rsplit_once('@') {
            Some((user, portals)) => (Some(self::user(user)?), portals),
            None => (None, authority),
        };
        let portals = portals
            .split(',')
            .map(portal)
            .collect::<Result<Vec<_>, _>>()?;
        if portals.len() > PORTALS_MAX {
            return Err(format!("at most {PORTALS_MAX} portals"));
        }
        let (target, lun) = path
            .rsplit_once('/')
            .ok_or("after the target's name comes /LUN")?;
        check_name(target)?;
        let lun = (!lun.is_empty() && lun.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| lun.parse().ok().and_then(Lun::from_number))
            .flatten()
            .ok_or("the LUN is a number from 0 to 16383")?;
        Ok(Self {
            user,
            portals,
            target: target.to_owned(),
            lun,
        })
    }
}

fn user(user: &str) -> Result<String, String> {
    if user.contains(['%', ':']) {
        return Err(
            "a password in a URL is there for everybody to read in the process list; \
             put it into a file and name that with --chap-file"
                .to_owned(),
        );
    }
    if user.is_empty() {
        return Err("before @ comes a user's name".to_owned());
    }
    Ok(user.to_owned())
}

fn portal(text: &str) -> Result<Portal, String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest
                .split_once(']')
                .ok_or("the bracket of an IPv6 address is not closed")?;
            let port = match after.strip_prefix(':') {
                Some(port) => Some(port),
                None if after.is_empty() => None,
                None => return Err("after ] comes :PORT".to_owned()),
            };
            (host, port)
        }
        None => match text.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err("an IPv6 address stands in brackets".to_owned());
            }
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() {
        return Err("a portal has no host".to_owned());
    }
    let port = match port {
        None => PORT,
        Some(port) => port
            .parse()
            .ok()
            .filter(|&port: &u16| port != 0)
            .ok_or("a port is a number from 1 to 65535")?,
    };
    Ok(Portal {
        host: host.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_portal_target_and_lun() {
        let url = Url::parse("iscsi://127.0.0.1:3261/iqn.2026-01.org.example:q/1").unwrap();
        assert_eq!(url.portals[0].to_string(), "127.0.0.1:3261");
        assert_eq!(url.target, "iqn.2026-01.org.example:q");
        assert_eq!(url.lun, Lun::from_number(1).unwrap());
        assert_eq!(url.user, None);
        let url = Url::parse("iscsi://me@disk/iqn.a/300").unwrap();
        assert_eq!(url.user.as_deref(), Some("me"));
        assert_eq!(url.portals[0].to_string(), "disk:3260");
        assert_eq!(url.lun.number(), Some(300));
    }

    #[test]
    fn several_portals_are_several_ways() {
        let url = Url::parse("iscsi://a,b:1,[::1]:2,[fe80::1]/iqn.a/0").unwrap();
        let portals: Vec<_> = url.portals.iter().map(Portal::to_string).collect();
        assert_eq!(portals, ["a:3260", "b:1", "[::1]:2", "[fe80::1]:3260"]);
        assert_eq!(url.of_portal(&url.portals[2]), "iscsi://[::1]:2/iqn.a/0");
        assert!(Url::parse(&format!("iscsi://{}/iqn.a/0", ["a"; 9].join(","))).is_err());
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        for with_password in ["iscsi://me%hush@h/iqn.a/0", "iscsi://me:hush@h/iqn.a/0"] {
            let why = Url::parse(with_password).unwrap_err();
            assert!(why.contains("--chap-file"), "{why}");
            assert!(!why.contains("hush"), "{why}");
            assert_eq!(Url::shown(with_password), "iscsi://…@h/iqn.a/0");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, word) in [
            ("iscsi:/h/iqn.a/0", "iscsi://"),
            ("iscsi://h", "/TARGET/LUN"),
            ("iscsi://h/iqn.a", "/LUN"),
            ("iscsi://h/iqn.a/", "number"),
            ("iscsi://h/iqn.a/+1", "number"),
            ("iscsi://h/iqn.a/16384", "number"),
            ("iscsi:///iqn.a/0", "no host"),
            ("iscsi://h:0/iqn.a/0", "port"),
            ("iscsi://h:99999/iqn.a/0", "port"),
            ("iscsi://::1/iqn.a/0", "brackets"),
            ("iscsi://[::1/iqn.a/0", "bracket"),
            ("iscsi://[::1]x/iqn.a/0", ":PORT"),
            ("iscsi://@h/iqn.a/0", "user"),
            ("iscsi://h/disk/0", "iqn."),
            ("iscsi://h/iqn.a b/0", "no place"),
            ("iscsi://h/iqn.A/0", "no place"),
        ] {
            let why = Url::parse(text).unwrap_err();
            assert!(why.contains(word), "{text}: {why}");
        }
    }
}

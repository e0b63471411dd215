//! A network between one initiator and its target that can be cut: while it is cut nothing passes, and nobody
//! is told. Connections that were there when it was cut are gone when it is whole again.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// How often a stopped pump looks whether the network is whole again.
const LOOK: Duration = Duration::from_millis(5);

/// Large enough for any PDU that arbitration sends.
const BUFFER_BYTES: usize = 64 * 1024;

/// A network.
pub(super) struct Proxy {
    state: Arc<State>,
    url: String,
}

#[derive(Default)]
struct State {
    cut: AtomicBool,
    /// Connections of an earlier era are dead.
    era: AtomicU32,
}

impl Proxy {
    /// Stands before the target of this URL. None when the URL names several portals or none.
    pub(super) fn start(url: &str) -> Option<io::Result<Self>> {
        let (portal, start, end) = portal(url)?;
        let portal = if portal.contains(':') && !portal.ends_with(']') {
            portal.to_owned()
        } else {
            format!("{portal}:3260")
        };
        Some(Self::listen(&portal, &url[..start], &url[end..]))
    }

    fn listen(portal: &str, before: &str, after: &str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("{before}{}{after}", listener.local_addr()?);
        let state = Arc::new(State::default());
        let theirs = Arc::clone(&state);
        let portal = portal.to_owned();
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(&portal) else {
                    continue;
                };
                join(&near, &far, &theirs);
            }
        });
        Ok(Self { state, url })
    }

    /// What the initiator names the disk.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// From now on nothing passes.
    pub(super) fn cut(&self) {
        self.state.cut.store(true, Ordering::SeqCst);
    }

    /// It is whole again, for new connections.
    pub(super) fn heal(&self) {
        self.state.era.fetch_add(1, Ordering::SeqCst);
        self.state.cut.store(false, Ordering::SeqCst);
    }
}

/// The portal of a URL, and where it stands in it.
fn portal(url: &str) -> Option<(&str, usize, usize)> {
    let scheme = "iscsi://";
    let rest = url.strip_prefix(scheme)?;
    let authority = &rest[..rest.find('/')?];
    let user = authority.rfind('@').map_or(0, |at| at + 1);
    let start = scheme.len() + user;
    let portal = &authority[user..];
    (!portal.is_empty() && !portal.contains(',')).then_some((portal, start, start + portal.len()))
}

fn join(near: &TcpStream, far: &TcpStream, state: &Arc<State>) {
    let era = state.era.load(Ordering::SeqCst);
    for (from, to) in [(near, far), (far, near)] {
        let _slower = from.set_nodelay(true);
        let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else {
            return;
        };
        let state = Arc::clone(state);
        std::thread::spawn(move || pump(from, to, &state, era));
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, state: &State, era: u32) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let length = match from.read(&mut buffer) {
            Ok(0) | Err(_) => 0,
            Ok(length) => length,
        };
        // An end, too, is only told while there is a network.
        while state.cut.load(Ordering::SeqCst) && state.era.load(Ordering::SeqCst) == era {
            std::thread::sleep(LOOK);
        }
        let dead = state.era.load(Ordering::SeqCst) != era;
        if length == 0 || dead || to.write_all(&buffer[..length]).is_err() {
            let _gone = to.shutdown(Shutdown::Both);
            let _gone = from.shutdown(Shutdown::Both);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_portal_is_found_whatever_stands_around_it() {
        let found = |url| portal(url).map(|(portal, ..)| portal);
        assert_eq!(found("iscsi://h/iqn.x/0"), Some("h"));
        assert_eq!(found("iscsi://u%p@h:1/iqn.x/0"), Some("h:1"));
        assert_eq!(found("iscsi://[::1]:3/iqn.x/0"), Some("[::1]:3"));
        assert_eq!(found("iscsi://a,b/iqn.x/0"), None);
        assert_eq!(found("emu:x"), None);
    }

    #[test]
    fn what_is_sent_while_it_is_cut_never_arrives() {
        let target = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("iscsi://{}/iqn.x/0", target.local_addr().unwrap());
        let proxy = Proxy::start(&url).unwrap().unwrap();
        let (near, ..) = portal(proxy.url()).unwrap();
        let connect = || {
            let near = TcpStream::connect(near).unwrap();
            (near, target.accept().unwrap().0)
        };
        let (mut near, mut far) = connect();
        let mut got = [0; 1];
        near.write_all(b"a").unwrap();
        far.read_exact(&mut got).unwrap();
        proxy.cut();
        near.write_all(b"b").unwrap();
        proxy.heal();
        assert_eq!(far.read(&mut got).unwrap_or(0), 0);
        let (mut near, mut far) = connect();
        near.write_all(b"c").unwrap();
        far.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"c");
    }
}
